/* reduce.c: Reduce, which replaces all numbers along an axis by one and removes the axis. Keras has
 * no such layer. Sums are in double precision. No state. */
#include <math.h>
#include <string.h>

#include "layers/layer_type.h"

enum function {
    SUM,
    MEAN,
    MAX,
    MIN,
    PRODUCT,
    L1,
    L2,
    SUM_SQUARE,
    LOG_SUM,
    LOG_SUM_EXP,
    ARGMAX,
    ARGMIN,
    ARGMAX_LAST,
    ARGMIN_LAST
};
static const char *const function_names[] = {
    "sum",     "mean",        "max",    "min",    "product",     "l1",          "l2", "sum_square",
    "log_sum", "log_sum_exp", "argmax", "argmin", "argmax_last", "argmin_last", NULL};

struct reduce_config {
    enum function function;
    int axis; /* as in Keras: the batch is 0, -1 the last */
};

static const struct reduce_config reduce_defaults = {SUM, -1};

#define AT(member) offsetof(struct reduce_config, member)
static const struct cn_field reduce_fields[] = {
    {"function", CN_FIELD_ENUM, AT(function), true, false, 0, 0, function_names},
    {"axis", CN_FIELD_INT, AT(axis), false, false, -CN_SHAPE_MAX_RANK, CN_SHAPE_MAX_RANK, NULL},
};

static const struct reduce_config *reduce_of(const struct cn_layer *layer) {
    return (const struct reduce_config *)(const void *)layer->config;
}

/* The axis as an index in the shape's dims; -1: invalid. */
static int reduce_axis(const struct cn_layer *layer) {
    const int axis = reduce_of(layer)->axis, rank = layer->input_shape.rank;
    const int index = axis < 0 ? axis + rank : axis - 1;
    return index >= 0 && index < rank ? index : -1;
}

static enum cn_status reduce_build(struct cn_layer *layer, struct cn_error *error) {
    const int axis = reduce_axis(layer);
    char text[CN_SHAPE_TEXT];
    if (axis < 0)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (Reduce): its input %s has no axis %d",
                       layer->name, cn_shape_format(&layer->input_shape, text),
                       reduce_of(layer)->axis);
    struct cn_shape shape = {.rank = layer->input_shape.rank - 1, .dims = {1, 1, 1, 1, 1}};
    for (int i = 0, to = 0; i < layer->input_shape.rank; i++)
        if (i != axis)
            shape.dims[to++] = layer->input_shape.dims[i];
    if (shape.rank == 0)
        shape.rank = 1;
    layer->output_shape = shape;
    return CN_OK;
}

/* The input as [outer, length, inner]. */
struct reduce_view {
    size_t outer, length, inner;
};

static struct reduce_view reduce_view_of(const struct cn_layer *layer, size_t count) {
    const int axis = reduce_axis(layer);
    struct reduce_view view = {count, (size_t)layer->input_shape.dims[axis], 1};
    for (int i = 0; i < layer->input_shape.rank; i++) {
        view.outer *= i < axis ? (size_t)layer->input_shape.dims[i] : 1;
        view.inner *= i > axis ? (size_t)layer->input_shape.dims[i] : 1;
    }
    return view;
}

/* Reduces the numbers x[0], x[stride], ... */
static float reduce_numbers(enum function function, const float *x, size_t length, size_t stride) {
    double sum = function == PRODUCT ? 1 : 0;
    float most = x[0];
    size_t best = 0;
    const bool least = function == MIN || function == ARGMIN || function == ARGMIN_LAST;
    const bool last = function == ARGMAX_LAST || function == ARGMIN_LAST; /* of equals */
    for (size_t i = 1; i < length; i++)
        if ((least ? x[i * stride] < most : x[i * stride] > most) ||
            (last && x[i * stride] == most)) {
            most = x[i * stride];
            best = i;
        }
    if (function == MAX || function == MIN)
        return most;
    if (function >= ARGMAX)
        return (float)best;
    if (function == LOG_SUM_EXP && !isfinite(most))
        return most;
    for (size_t i = 0; i < length; i++) {
        const double v = (double)x[i * stride];
        switch (function) {
        case PRODUCT:
            sum *= v;
            break;
        case L1:
            sum += fabs(v);
            break;
        case L2:
        case SUM_SQUARE:
            sum += v * v;
            break;
        case LOG_SUM_EXP:
            sum += exp(v - (double)most);
            break;
        default:
            sum += v;
        }
    }
    if (function == MEAN)
        sum /= (double)length;
    if (function == L2)
        sum = sqrt(sum);
    if (function == LOG_SUM)
        sum = log(sum);
    if (function == LOG_SUM_EXP)
        sum = log(sum) + (double)most;
    return (float)sum;
}

/* y[inner] = the sums, or the means, of the columns of x[length, inner]: row by row, as it lies. */
static void reduce_columns(const float *x, size_t length, size_t inner, double factor, float *y) {
    enum { COLUMNS = 64 };
    for (size_t first = 0; first < inner; first += COLUMNS) {
        const size_t count = inner - first < COLUMNS ? inner - first : COLUMNS;
        double sums[COLUMNS] = {0};
        for (size_t k = 0; k < length; k++)
            for (size_t i = 0; i < count; i++)
                sums[i] += (double)x[k * inner + first + i];
        for (size_t i = 0; i < count; i++)
            y[first + i] = (float)(sums[i] / factor);
    }
}

static void reduce_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                         float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const struct reduce_view view = reduce_view_of(layer, count);
    const enum function function = reduce_of(layer)->function;
    if (view.inner > 1 && (function == SUM || function == MEAN)) {
        for (size_t o = 0; o < view.outer; o++)
            reduce_columns(x + o * view.length * view.inner, view.length, view.inner,
                           function == MEAN ? (double)view.length : 1, y + o * view.inner);
        return;
    }
    for (size_t o = 0; o < view.outer; o++)
        for (size_t i = 0; i < view.inner; i++)
            y[o * view.inner + i] = reduce_numbers(function, x + o * view.length * view.inner + i,
                                                   view.length, view.inner);
}

/* dy/dx for number i of those that are reduced to y. */
static float reduce_slope(enum function function, const float *x, size_t length, size_t stride,
                          size_t i, float y) {
    const float v = x[i * stride];
    double rest = 1, sum = 0;
    switch (function) {
    case SUM:
        return 1;
    case MEAN:
        return 1 / (float)length;
    case MAX:
    case MIN:
        return i == (size_t)reduce_numbers(function == MAX ? ARGMAX : ARGMIN, x, length, stride)
                   ? 1
                   : 0;
    case PRODUCT:
        for (size_t k = 0; k < length; k++)
            rest *= k != i ? (double)x[k * stride] : 1;
        return (float)rest;
    case L1:
        return v > 0 ? 1 : v < 0 ? -1 : 0;
    case L2:
        return y > 0 ? v / y : 0;
    case SUM_SQUARE:
        return 2 * v;
    case LOG_SUM:
        for (size_t k = 0; k < length; k++)
            sum += (double)x[k * stride];
        return (float)(1 / sum);
    case LOG_SUM_EXP:
        return expf(v - y);
    default: /* an index */
        break;
    }
    return 0;
}

static void reduce_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct reduce_view view = reduce_view_of(layer, pass->count);
    for (size_t o = 0; pass->dx != NULL && o < view.outer; o++)
        for (size_t k = 0; k < view.length; k++)
            for (size_t i = 0; i < view.inner; i++) {
                const size_t first = o * view.length * view.inner + i, to = o * view.inner + i;
                pass->dx[first + k * view.inner] =
                    pass->dy[to] * reduce_slope(reduce_of(layer)->function, pass->x + first,
                                                view.length, view.inner, k, pass->y[to]);
            }
}

static const struct cn_layer_training reduce_training = {.backward = reduce_backward};
static const struct cn_layer_inference reduce_inference = {.infer = reduce_infer};

const struct cn_layer_type cn_reduce_type = {
    .class_name = "Reduce",
    .onnx = "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare "
            "ReduceLogSum ReduceLogSumExp ArgMax ArgMin",
    CN_LAYER_KEYS(reduce_defaults, reduce_fields),
    .build = reduce_build,
    .training = &reduce_training,
    .inference = &reduce_inference};
