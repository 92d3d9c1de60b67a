/* binary.c: Binary, a function of two tensors of one rank; axes of length 1 are broadcast as in
 * NumPy. (Keras's merging layers need equal shapes.) No state. */
#include <math.h>
#include <string.h>

#include "layers/layer_type.h"
#include "layers/strided_walk.h"

enum function {
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    DIVIDE_WHOLE,
    POWER,
    MAXIMUM,
    MINIMUM,
    PRELU,
    MODULO,
    REMAINDER,
    EQUAL,
    GREATER,
    GREATER_EQUAL,
    LESS,
    LESS_EQUAL,
    AND,
    OR,
    XOR
};
static const char *const function_names[] = {
    "add",     "subtract",   "multiply", "divide",    "divide_whole", "power",   "maximum",
    "minimum", "prelu",      "modulo",   "remainder", "equal",        "greater", "greater_equal",
    "less",    "less_equal", "and",      "or",        "xor",          NULL};

struct binary_config {
    enum function function;
};

static const struct binary_config binary_defaults = {ADD};

static const struct cn_field binary_fields[] = {
    {"function", CN_FIELD_ENUM, offsetof(struct binary_config, function), true, false, 0, 0,
     function_names},
};

static enum function binary_of(const struct cn_layer *layer) {
    return ((const struct binary_config *)(const void *)layer->config)->function;
}

static enum cn_status binary_build(struct cn_layer *layer, struct cn_error *error) {
    char first[CN_SHAPE_TEXT], second[CN_SHAPE_TEXT];
    if (!cn_walk_broadcast(&layer->inputs[0].shape, &layer->inputs[1].shape, &layer->output_shape))
        return cn_fail(
            error, CN_INVALID,
            "layer \"%s\" (Binary): its inputs are %s and %s; each axis must be alike, or "
            "1 in one of them",
            layer->name, cn_shape_format(&layer->inputs[0].shape, first),
            cn_shape_format(&layer->inputs[1].shape, second));
    return cn_shape_check(&layer->output_shape, layer->name, error);
}

/* Computes one row; sa, sb: 0 where the operand's innermost axis is broadcast. One loop per
 * function, so that the compiler can vectorise the simple ones. */
#define EACH(expression)                                                                           \
    for (ptrdiff_t i = 0; i < n; i++) {                                                            \
        const float u = a[i * sa], v = b[i * sb];                                                  \
        y[i] = (expression);                                                                       \
    }                                                                                              \
    break
static void binary_row(enum function function, const float *a, ptrdiff_t sa, const float *b,
                       ptrdiff_t sb, float *y, ptrdiff_t n) {
    switch (function) {
    case ADD:
        EACH(u + v);
    case SUBTRACT:
        EACH(u - v);
    case MULTIPLY:
        EACH(u * v);
    case DIVIDE:
        EACH(u / v);
    case DIVIDE_WHOLE:
        EACH(truncf(u / v));
    case POWER:
        EACH(powf(u, v));
    case MAXIMUM:
        EACH(u > v ? u : v);
    case MINIMUM:
        EACH(u < v ? u : v);
    case PRELU:
        EACH(u >= 0 ? u : u * v);
    case MODULO: /* the sign of the divisor */
        EACH(u - v * floorf(u / v));
    case REMAINDER: /* the sign of the dividend */
        EACH(fmodf(u, v));
    case EQUAL:
        EACH(u == v ? 1 : 0);
    case GREATER:
        EACH(u > v ? 1 : 0);
    case GREATER_EQUAL:
        EACH(u >= v ? 1 : 0);
    case LESS:
        EACH(u < v ? 1 : 0);
    case LESS_EQUAL:
        EACH(u <= v ? 1 : 0);
    case AND:
        EACH(u != 0 && v != 0 ? 1 : 0);
    case OR:
        EACH(u != 0 || v != 0 ? 1 : 0);
    case XOR:
        EACH((u != 0) != (v != 0) ? 1 : 0);
    }
}
#undef EACH

static void binary_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                         float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    (void)scratch;
    const size_t sizes[2] = {cn_shape_size(&layer->inputs[0].shape),
                             cn_shape_size(&layer->inputs[1].shape)};
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t s = 0; s < count; s++) {
        const float *a = inputs[0] + s * sizes[0], *b = inputs[1] + s * sizes[1];
        struct cn_walk walk = cn_walk_over(&layer->output_shape);
        cn_walk_follow_broadcast(&walk, &layer->inputs[0].shape);
        cn_walk_follow_broadcast(&walk, &layer->inputs[1].shape);
        do
            binary_row(binary_of(layer), a + walk.at[0], walk.step[0], b + walk.at[1], walk.step[1],
                       y + s * out + walk.row * (size_t)walk.columns, walk.columns);
        while (cn_walk_next(&walk));
    }
}

/* The derivatives of y = f(u, v) with respect to both. */
static void binary_slopes(enum function function, float u, float v, float y, float *by_u,
                          float *by_v) {
    *by_u = *by_v = 0;
    switch (function) {
    case ADD:
        *by_u = *by_v = 1;
        break;
    case SUBTRACT:
        *by_u = 1;
        *by_v = -1;
        break;
    case MULTIPLY:
        *by_u = v;
        *by_v = u;
        break;
    case DIVIDE:
        *by_u = 1 / v;
        *by_v = -y / v;
        break;
    case POWER:
        *by_u = v * powf(u, v - 1);
        *by_v = u > 0 ? y * logf(u) : 0;
        break;
    case MAXIMUM:
        *by_u = u > v ? 1 : 0;
        *by_v = 1 - *by_u;
        break;
    case MINIMUM:
        *by_u = u < v ? 1 : 0;
        *by_v = 1 - *by_u;
        break;
    case PRELU:
        *by_u = u >= 0 ? 1 : v;
        *by_v = u >= 0 ? 0 : u;
        break;
    case MODULO:
    case REMAINDER:
        *by_u = 1;
        break;
    default: /* piecewise constant functions */
        break;
    }
}

static void binary_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t sizes[2] = {cn_shape_size(&layer->inputs[0].shape),
                             cn_shape_size(&layer->inputs[1].shape)};
    const size_t out = cn_shape_size(&layer->output_shape);
    for (int i = 0; i < 2; i++)
        if (pass->dxs[i] != NULL)
            memset(pass->dxs[i], 0, pass->count * sizes[i] * sizeof *pass->dxs[i]);
    for (size_t s = 0; s < pass->count; s++) {
        struct cn_walk walk = cn_walk_over(&layer->output_shape);
        cn_walk_follow_broadcast(&walk, &layer->inputs[0].shape);
        cn_walk_follow_broadcast(&walk, &layer->inputs[1].shape);
        do {
            for (int i = 0; i < walk.columns; i++) {
                const size_t a = s * sizes[0] + (size_t)(walk.at[0] + i * walk.step[0]);
                const size_t b = s * sizes[1] + (size_t)(walk.at[1] + i * walk.step[1]);
                const size_t at = s * out + walk.row * (size_t)walk.columns + (size_t)i;
                float by_a, by_b;
                binary_slopes(binary_of(layer), pass->xs[0][a], pass->xs[1][b], pass->y[at], &by_a,
                              &by_b);
                if (pass->dxs[0] != NULL)
                    pass->dxs[0][a] += pass->dy[at] * by_a;
                if (pass->dxs[1] != NULL)
                    pass->dxs[1][b] += pass->dy[at] * by_b;
            }
        } while (cn_walk_next(&walk));
    }
}

static const struct cn_layer_training binary_training = {.backward = binary_backward};
static const struct cn_layer_inference binary_inference = {.infer = binary_infer};

const struct cn_layer_type cn_binary_type = {
    .class_name = "Binary",
    .onnx =
        "Add Sub Mul Div Pow Max Min PRelu Mod Equal Greater GreaterOrEqual Less LessOrEqual And "
        "Or Xor Expand",
    CN_LAYER_KEYS(binary_defaults, binary_fields),
    .min_inputs = 2,
    .max_inputs = 2,
    .build = binary_build,
    .training = &binary_training,
    .inference = &binary_inference};
