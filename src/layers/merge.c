/* merge.c: Keras's merging layers: Add, Subtract, Multiply, Average, Maximum, Minimum, whose inputs
 * are broadcast to one shape as in NumPy, and Concatenate. No state. */
#include <stddef.h>
#include <string.h>

#include "kernels/bytes.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

/* ---- Element by element ---- */

enum merge_op {
    MERGE_ADD,
    MERGE_SUBTRACT,
    MERGE_MULTIPLY,
    MERGE_AVERAGE,
    MERGE_MAXIMUM,
    MERGE_MINIMUM
};

struct merge_config {
    enum merge_op op; /* set by the type, not by a key */
};

static enum merge_op op_of(const struct cn_layer *layer) {
    return ((const struct merge_config *)(const void *)layer->config)->op;
}

/* Dimension `axis` of `shape` when it is aligned with the last one of `rank` dimensions. */
static int aligned_dim(const struct cn_shape *shape, int rank, int axis) {
    const int at = axis - (rank - shape->rank);
    return at >= 0 ? shape->dims[at] : 1;
}

static enum cn_status merge_build(struct cn_layer *layer, struct cn_error *error) {
    char first[CN_SHAPE_TEXT], other[CN_SHAPE_TEXT];
    struct cn_shape out = layer->input_shape;
    for (size_t i = 1; i < layer->input_count; i++) {
        const struct cn_shape *in = &layer->inputs[i].shape;
        const int rank = in->rank > out.rank ? in->rank : out.rank;
        struct cn_shape both = {.rank = rank, .dims = {1, 1, 1, 1, 1}};
        for (int axis = 0; axis < rank; axis++) {
            const int a = aligned_dim(&out, rank, axis), b = aligned_dim(in, rank, axis);
            if (a != b && a != 1 && b != 1)
                return cn_fail(
                    error, CN_INVALID,
                    "layer \"%s\" (%s): its inputs are %s and %s; they must be alike, or "
                    "1 where they differ",
                    layer->name, layer->type->class_name,
                    cn_shape_format(&layer->input_shape, first), cn_shape_format(in, other));
            both.dims[axis] = a > b ? a : b;
        }
        out = both;
    }
    layer->output_shape = out;
    return CN_OK;
}

/* One input seen as an array of the output's shape: the offset of row r, and whether one number
 * applies to the whole row. */
struct operand {
    size_t strides[CN_SHAPE_MAX_RANK]; /* 0 where it is broadcast */
    size_t size;                       /* floats of one sample */
    bool whole;                        /* it has the output's shape */
};

static struct operand operand_of(const struct cn_layer *layer, size_t i) {
    const struct cn_shape *in = &layer->inputs[i].shape, *out = &layer->output_shape;
    struct operand operand = {.size = cn_shape_size(in), .whole = cn_shape_equal(in, out)};
    size_t stride = 1;
    for (int axis = out->rank - 1; axis >= 0; axis--) {
        const int dim = aligned_dim(in, out->rank, axis);
        operand.strides[axis] = dim > 1 ? stride : 0;
        stride *= (size_t)dim;
    }
    return operand;
}

/* Floats before row `row` of one sample; rows are the innermost dimension. */
static size_t row_offset(const struct operand *operand, const struct cn_shape *out, size_t row) {
    size_t offset = 0;
    for (int axis = out->rank - 2; axis >= 0; axis--) {
        offset += row % (size_t)out->dims[axis] * operand->strides[axis];
        row /= (size_t)out->dims[axis];
    }
    return offset;
}

static void combine(enum merge_op op, float *y, const float *x, size_t stride, size_t count) {
    if (stride == 1 && (op == MERGE_ADD || op == MERGE_AVERAGE)) {
        cn_kernels()->elementwise->add(y, x, count);
        return;
    }
    if (stride == 1 && op == MERGE_MULTIPLY) {
        cn_kernels()->unary->product(y, y, x, count);
        return;
    }
    switch (op) {
    case MERGE_ADD:
    case MERGE_AVERAGE:
        for (size_t k = 0; k < count; k++)
            y[k] += x[k * stride];
        break;
    case MERGE_SUBTRACT:
        for (size_t k = 0; k < count; k++)
            y[k] -= x[k * stride];
        break;
    case MERGE_MULTIPLY:
        for (size_t k = 0; k < count; k++)
            y[k] *= x[k * stride];
        break;
    case MERGE_MAXIMUM:
        for (size_t k = 0; k < count; k++)
            y[k] = x[k * stride] > y[k] ? x[k * stride] : y[k];
        break;
    case MERGE_MINIMUM:
        for (size_t k = 0; k < count; k++)
            y[k] = x[k * stride] < y[k] ? x[k * stride] : y[k];
        break;
    }
}

static void merge_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                        float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    (void)scratch;
    const struct cn_shape *out = &layer->output_shape;
    const size_t size = cn_shape_size(out), width = (size_t)cn_shape_channels(out);
    for (size_t i = 0; i < layer->input_count; i++) {
        const struct operand operand = operand_of(layer, i);
        const size_t stride = operand.strides[out->rank - 1];
        if (operand.whole && i == 0) {
            if (y != inputs[0])
                memcpy(y, inputs[0], count * size * sizeof *y);
            continue;
        }
        if (operand.whole) {
            combine(op_of(layer), y, inputs[i], 1, count * size);
            continue;
        }
        for (size_t n = 0; n < count; n++)
            for (size_t row = 0; row < size / width; row++) {
                const float *x = inputs[i] + n * operand.size + row_offset(&operand, out, row);
                float *to = y + n * size + row * width;
                for (size_t k = 0; i == 0 && k < width; k++)
                    to[k] = x[k * stride];
                if (i > 0)
                    combine(op_of(layer), to, x, stride, width);
            }
    }
    for (size_t k = 0; op_of(layer) == MERGE_AVERAGE && k < count * size; k++)
        y[k] /= (float)layer->input_count;
}

/* A sample's input j at element k of row `row`. */
static float element_at(const struct cn_layer *layer, const struct cn_pass *pass, size_t n,
                        size_t j, size_t row, size_t k) {
    const struct operand operand = operand_of(layer, j);
    const struct cn_shape *out = &layer->output_shape;
    return pass->xs[j][n * operand.size + row_offset(&operand, out, row) +
                       k * operand.strides[out->rank - 1]];
}

/* d output / d input i, at element k of row `row`, whose output is y. Of equal inputs the first one
 * counts as the maximum. */
static float merge_slope(const struct cn_layer *layer, const struct cn_pass *pass, size_t n,
                         size_t i, size_t row, size_t k, float y) {
    float product = 1;
    switch (op_of(layer)) {
    case MERGE_ADD:
        return 1;
    case MERGE_SUBTRACT:
        return i == 0 ? 1 : -1;
    case MERGE_AVERAGE:
        return 1 / (float)layer->input_count;
    case MERGE_MULTIPLY:
        for (size_t j = 0; j < layer->input_count; j++)
            product *= j != i ? element_at(layer, pass, n, j, row, k) : 1;
        return product;
    case MERGE_MAXIMUM:
    case MERGE_MINIMUM:
        for (size_t j = 0; j < i; j++)
            if (element_at(layer, pass, n, j, row, k) == y)
                return 0;
        return element_at(layer, pass, n, i, row, k) == y ? 1 : 0;
    }
    return 0;
}

static void merge_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_shape *out = &layer->output_shape;
    const size_t size = cn_shape_size(out), width = (size_t)cn_shape_channels(out);
    for (size_t i = 0; i < layer->input_count; i++) {
        const struct operand operand = operand_of(layer, i);
        const size_t stride = operand.strides[out->rank - 1];
        if (pass->dxs[i] == NULL)
            continue;
        if (op_of(layer) == MERGE_ADD && operand.whole) {
            memcpy(pass->dxs[i], pass->dy, pass->count * size * sizeof *pass->dy);
            continue;
        }
        memset(pass->dxs[i], 0, pass->count * operand.size * sizeof *pass->dy);
        for (size_t n = 0; n < pass->count; n++)
            for (size_t row = 0; row < size / width; row++) {
                float *dx = pass->dxs[i] + n * operand.size + row_offset(&operand, out, row);
                const size_t at = n * size + row * width;
                for (size_t k = 0; k < width; k++)
                    dx[k * stride] +=
                        pass->dy[at + k] * merge_slope(layer, pass, n, i, row, k, pass->y[at + k]);
            }
    }
}

/* On bytes: the sum of two, of one shape. */
static bool merge_takes(const struct cn_layer *layer, const struct cn_byte_range *in,
                        struct cn_byte_range out) {
    (void)in;
    return op_of(layer) == MERGE_ADD && layer->input_count == 2 && out.scale > 0 &&
           cn_shape_equal(&layer->inputs[0].shape, &layer->inputs[1].shape);
}

static void merge_bytes_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                              float *y, float *scratch) {
    (void)scratch;
    cn_bytes_kernels()->add((uint8_t *)y, (const uint8_t *)inputs[0], (const uint8_t *)inputs[1],
                            count * cn_shape_size(&step->layer.output_shape), step->bytes.in,
                            step->bytes.out);
}

static const char *merge_bytes_kernel(const struct cn_step *step) {
    (void)step;
    return "bytes";
}

static const struct cn_layer_inference merge_bytes = {
    .infer = merge_bytes_infer, .kernel = merge_bytes_kernel, .takes = merge_takes};

static const struct cn_layer_training merge_training = {.backward = merge_backward};
static const struct cn_layer_inference merge_inference = {
    .infer = merge_infer, .in_place = true, .bytes = &merge_bytes};

#define MERGE(operation, most)                                                                     \
    .config_size = sizeof(struct merge_config),                                                    \
    .defaults = &(const struct merge_config){operation}, .min_inputs = 2, .max_inputs = (most),    \
    .build = merge_build, .training = &merge_training, .inference = &merge_inference

const struct cn_layer_type cn_add_type = {
    .class_name = "Add", .onnx = "Add Sum", MERGE(MERGE_ADD, CN_LAYER_MAX_INPUTS)};
const struct cn_layer_type cn_subtract_type = {
    .class_name = "Subtract", .onnx = "Sub", MERGE(MERGE_SUBTRACT, 2)};
const struct cn_layer_type cn_multiply_type = {
    .class_name = "Multiply", .onnx = "Mul", MERGE(MERGE_MULTIPLY, CN_LAYER_MAX_INPUTS)};
const struct cn_layer_type cn_average_type = {
    .class_name = "Average", .onnx = "Mean", MERGE(MERGE_AVERAGE, CN_LAYER_MAX_INPUTS)};
const struct cn_layer_type cn_maximum_type = {
    .class_name = "Maximum", .onnx = "Max", MERGE(MERGE_MAXIMUM, CN_LAYER_MAX_INPUTS)};
const struct cn_layer_type cn_minimum_type = {
    .class_name = "Minimum", .onnx = "Min", MERGE(MERGE_MINIMUM, CN_LAYER_MAX_INPUTS)};

/* ---- Concatenate ---- */

struct concatenate_config {
    int axis; /* as in Keras: the batch is 0, -1 the last */
};

static const struct concatenate_config concatenate_defaults = {.axis = -1};

static const struct cn_field concatenate_fields[] = {
    {"axis", CN_FIELD_INT, offsetof(struct concatenate_config, axis), false, false,
     -CN_SHAPE_MAX_RANK, CN_SHAPE_MAX_RANK, NULL},
};

/* The axis as an index in the shape's dims; -1: invalid. */
static int concatenate_axis(const struct cn_layer *layer) {
    const int axis = ((const struct concatenate_config *)(const void *)layer->config)->axis;
    const int rank = layer->input_shape.rank;
    const int index = axis < 0 ? axis + rank : axis - 1;
    return index >= 0 && index < rank ? index : -1;
}

static enum cn_status concatenate_build(struct cn_layer *layer, struct cn_error *error) {
    char first[CN_SHAPE_TEXT], other[CN_SHAPE_TEXT];
    const int axis = concatenate_axis(layer);
    if (axis < 0)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (%s): its input %s has no such axis",
                       layer->name, layer->type->class_name,
                       cn_shape_format(&layer->input_shape, first));
    layer->output_shape = layer->input_shape;
    long long sum = layer->input_shape.dims[axis];
    for (size_t i = 1; i < layer->input_count; i++) {
        struct cn_shape shape = layer->inputs[i].shape;
        if (shape.rank == layer->input_shape.rank)
            shape.dims[axis] = layer->input_shape.dims[axis];
        if (!cn_shape_equal(&shape, &layer->input_shape))
            return cn_fail(error, CN_INVALID,
                           "layer \"%s\" (%s): its inputs are %s and %s; they may differ along the "
                           "axis alone",
                           layer->name, layer->type->class_name,
                           cn_shape_format(&layer->input_shape, first),
                           cn_shape_format(&layer->inputs[i].shape, other));
        sum += layer->inputs[i].shape.dims[axis];
        if (sum > CN_SHAPE_MAX_ELEMENTS)
            return cn_fail(error, CN_LIMIT, "layer \"%s\" (%s) gives over %d elements", layer->name,
                           layer->type->class_name, CN_SHAPE_MAX_ELEMENTS);
    }
    layer->output_shape.dims[axis] = (int)sum;
    return CN_OK;
}

/* The number of adjacent floats: those of `shape` from its axis on. */
static size_t run_size(const struct cn_shape *shape, int axis) {
    size_t size = 1;
    for (int i = axis; i < shape->rank; i++)
        size *= (size_t)shape->dims[i];
    return size;
}

/* `unit`: bytes of a number. */
static void concatenate_numbers(const struct cn_layer *layer, const float *const *inputs,
                                size_t count, float *to, size_t unit) {
    const int axis = concatenate_axis(layer);
    const size_t out = run_size(&layer->output_shape, axis);
    const size_t runs = count * cn_shape_size(&layer->output_shape) / out;
    char *y = (char *)to;
    for (size_t i = 0; i < layer->input_count; i++) {
        const size_t in = run_size(&layer->inputs[i].shape, axis) * unit;
        const char *x = (const char *)inputs[i];
        for (size_t r = 0; r < runs; r++)
            memcpy(y + r * out * unit, x + r * in, in);
        y += in;
    }
}

static void concatenate_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const int axis = concatenate_axis(layer);
    const size_t out = run_size(&layer->output_shape, axis);
    const size_t runs = pass->count * cn_shape_size(&layer->output_shape) / out;
    for (size_t i = 0, at = 0; i < layer->input_count; i++) {
        const size_t in = run_size(&layer->inputs[i].shape, axis);
        for (size_t r = 0; pass->dxs[i] != NULL && r < runs; r++)
            memcpy(pass->dxs[i] + r * in, pass->dy + r * out + at, in * sizeof *pass->dy);
        at += in;
    }
}

static void concatenate_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                              float *y, float *scratch) {
    (void)scratch;
    concatenate_numbers(&step->layer, inputs, count, y, sizeof *y);
}

/* On bytes: all of one range. */
static bool concatenate_takes(const struct cn_layer *layer, const struct cn_byte_range *in,
                              struct cn_byte_range out) {
    for (size_t i = 0; i < layer->input_count; i++)
        if (in[i].scale != out.scale || in[i].zero != out.zero)
            return false;
    return true;
}

static void concatenate_bytes_infer(const struct cn_step *step, const float *const *inputs,
                                    size_t count, float *y, float *scratch) {
    (void)scratch;
    concatenate_numbers(&step->layer, inputs, count, y, 1);
}

static const struct cn_layer_inference concatenate_bytes = {.infer = concatenate_bytes_infer,
                                                            .kernel = merge_bytes_kernel,
                                                            .takes = concatenate_takes,
                                                            .one_range = true};

static const struct cn_layer_training concatenate_training = {.backward = concatenate_backward};
static const struct cn_layer_inference concatenate_inference = {.infer = concatenate_infer,
                                                                .bytes = &concatenate_bytes};

const struct cn_layer_type cn_concatenate_type = {
    .class_name = "Concatenate",
    .onnx = "Concat",
    CN_LAYER_KEYS(concatenate_defaults, concatenate_fields),
    .min_inputs = 1,
    .max_inputs = CN_LAYER_MAX_INPUTS,
    .build = concatenate_build,
    .training = &concatenate_training,
    .inference = &concatenate_inference};
