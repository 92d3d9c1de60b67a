/* unary.c: Unary, an elementwise function that is not one of Keras's activations, or one with
 * parameters. No state. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "layers/layer_type.h"

enum function {
    ABS,
    AFFINE,
    CEIL,
    CELU,
    CLIP,
    COS,
    ELU,
    ERF,
    EXP,
    FLOOR,
    GELU,
    GELU_TANH,
    HARD_SIGMOID,
    HARD_SWISH,
    LEAKY_RELU,
    LOG,
    MISH,
    NEGATIVE,
    NOT,
    POWER,
    RECIPROCAL,
    ROUND,
    SELU,
    SHRINK,
    SIGN,
    SIN,
    SOFTPLUS,
    SOFTSIGN,
    SQRT,
    SQUARE,
    THRESHOLDED_RELU,
    TRUNCATE,
    TRUTH
};
static const char *const function_names[] = {"abs",
                                             "affine",
                                             "ceil",
                                             "celu",
                                             "clip",
                                             "cos",
                                             "elu",
                                             "erf",
                                             "exp",
                                             "floor",
                                             "gelu",
                                             "gelu_tanh",
                                             "hard_sigmoid",
                                             "hard_swish",
                                             "leaky_relu",
                                             "log",
                                             "mish",
                                             "negative",
                                             "not",
                                             "power",
                                             "reciprocal",
                                             "round",
                                             "selu",
                                             "shrink",
                                             "sign",
                                             "sin",
                                             "softplus",
                                             "softsign",
                                             "sqrt",
                                             "square",
                                             "thresholded_relu",
                                             "truncate",
                                             "truth",
                                             NULL};

struct unary_config {
    enum function function;
    float alpha, beta; /* clip: from, to; power: the exponent; else ONNX's attributes */
};

static const struct unary_config unary_defaults = {ABS, 0, 0};

#define AT(member) offsetof(struct unary_config, member)
static const struct cn_field unary_fields[] = {
    {"function", CN_FIELD_ENUM, AT(function), true, false, 0, 0, function_names},
    {"alpha", CN_FIELD_FLOAT, AT(alpha), false, false, -3.5e38, 3.5e38, NULL},
    {"beta", CN_FIELD_FLOAT, AT(beta), false, false, -3.5e38, 3.5e38, NULL},
};

static const struct unary_config *unary_of(const struct cn_layer *layer) {
    return (const struct unary_config *)(const void *)layer->config;
}

static enum cn_status unary_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

static float softplus(float x) {
    return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

#define ROOT_HALF    0.70710678118654752F
#define ROOT_2_BY_PI 0.79788456080286536F
#define GELU_CUBIC   0.044715F

static float gelu_tanh_inner(float x) {
    return ROOT_2_BY_PI * (x + GELU_CUBIC * x * x * x);
}

/* Functions that need a kernel and a little more are computed in pieces of this many numbers. The
 * kernel's results are stored apart from x, since y may be x. */
enum { PIECE = 256 };

static void piece_of(const struct unary_config *config, const float *x, float *y, size_t count) {
    const struct cn_function_kernels *functions = cn_kernels()->functions;
    const float a = config->alpha, b = config->beta;
    const bool selu = config->function == SELU;
    float values[PIECE];
    switch (config->function) {
    case GELU_TANH: /* v/2 (1 + tanh(t)) = v sigmoid(2t) */
        for (size_t i = 0; i < count; i++)
            values[i] = 2 * gelu_tanh_inner(x[i]);
        functions->sigmoid(values, values, count);
        cn_kernels()->unary->product(y, x, values, count);
        break;
    case MISH:
        functions->softplus(values, x, count);
        functions->tanh(values, values, count);
        cn_kernels()->unary->product(y, x, values, count);
        break;
    case CELU:
        for (size_t i = 0; i < count; i++)
            values[i] = x[i] / a;
        functions->elu(values, values, count);
        for (size_t i = 0; i < count; i++)
            y[i] = x[i] > 0 ? x[i] : a * values[i];
        break;
    default: /* ELU and SELU */
        functions->elu(values, x, count);
        for (size_t i = 0; i < count; i++)
            y[i] = (selu ? b : 1) * (x[i] > 0 ? x[i] : a * values[i]);
    }
}

static void by_pieces(const struct unary_config *config, const float *x, float *y, size_t size) {
    for (size_t i = 0; i < size; i += PIECE)
        piece_of(config, x + i, y + i, size - i < PIECE ? size - i : PIECE);
}

/* Rare functions have one plain loop each. y may be x. */
#define EACH(expression)                                                                           \
    for (size_t i = 0; i < size; i++) {                                                            \
        const float v = x[i];                                                                      \
        y[i] = (expression);                                                                       \
    }                                                                                              \
    break
#define KERNEL(call)                                                                               \
    call;                                                                                          \
    break
static void unary_apply(const struct unary_config *config, const float *x, float *y, size_t size) {
    const struct cn_function_kernels *functions = cn_kernels()->functions;
    const struct cn_unary_kernels *unary = cn_kernels()->unary;
    const float a = config->alpha, b = config->beta;
    switch (config->function) {
    case ABS:
        EACH(fabsf(v));
    case AFFINE:
        KERNEL(unary->line(y, x, size, a, b));
    case CEIL:
        EACH(ceilf(v));
    case CELU:
    case ELU:
    case GELU_TANH:
    case MISH:
    case SELU:
        KERNEL(by_pieces(config, x, y, size));
    case CLIP: /* if the bounds cross, the upper one wins */
        KERNEL(unary->clip(y, x, size, a, b));
    case COS:
        EACH(cosf(v));
    case ERF:
        KERNEL(functions->erf(y, x, size));
    case EXP:
        KERNEL(functions->exponential(y, x, size));
    case FLOOR:
        EACH(floorf(v));
    case GELU:
        KERNEL(functions->gelu(y, x, size));
    case HARD_SIGMOID:
        KERNEL(unary->hard_sigmoid(y, x, size, a, b));
    case HARD_SWISH:
        KERNEL(unary->hard_swish(y, x, size));
    case LEAKY_RELU:
        KERNEL(unary->leaky_relu(y, x, size, a));
    case LOG:
        EACH(logf(v));
    case NEGATIVE:
        EACH(-v);
    case NOT:
        EACH(v == 0 ? 1 : 0);
    case POWER:
        EACH(powf(v, a));
    case RECIPROCAL:
        EACH(1 / v);
    case ROUND:
        EACH(rintf(v));
    case SHRINK:
        EACH(v < -a ? v + b : v > a ? v - b : 0);
    case SIGN:
        EACH((float)((v > 0) - (v < 0)));
    case SIN:
        EACH(sinf(v));
    case SOFTPLUS:
        KERNEL(functions->softplus(y, x, size));
    case SOFTSIGN:
        EACH(v / (1 + fabsf(v)));
    case SQRT:
        KERNEL(unary->square_root(y, x, size));
    case SQUARE:
        EACH(v * v);
    case THRESHOLDED_RELU:
        EACH(v > a ? v : 0);
    case TRUNCATE:
        EACH(truncf(v));
    case TRUTH:
        EACH(v != 0 ? 1 : 0);
    }
}
#undef EACH
#undef KERNEL

/* dy/dx at v, where the function gives y. */
static float unary_slope(const struct unary_config *config, float v, float y) {
    const float a = config->alpha, b = config->beta;
    float t;
    switch (config->function) {
    case ABS:
        return v > 0 ? 1 : v < 0 ? -1 : 0;
    case AFFINE:
        return a;
    case CELU:
        return v > 0 ? 1 : expf(v / a);
    case CLIP:
        return v > a && v < b ? 1 : 0;
    case COS:
        return -sinf(v);
    case ELU:
        return v > 0 ? 1 : y + a;
    case ERF:
        return 1.12837916709551257F * expf(-v * v);
    case EXP:
        return y;
    case GELU:
        return 0.5F * (1 + erff(v * ROOT_HALF)) + v * 0.3989422804014327F * expf(-0.5F * v * v);
    case GELU_TANH:
        t = tanhf(gelu_tanh_inner(v));
        return 0.5F * (1 + t) +
               0.5F * v * (1 - t * t) * ROOT_2_BY_PI * (1 + 3 * GELU_CUBIC * v * v);
    case HARD_SIGMOID:
        return y > 0 && y < 1 ? a : 0;
    case HARD_SWISH:
        return v <= -3 ? 0 : v >= 3 ? 1 : v / 3 + 0.5F;
    case LEAKY_RELU:
        return v >= 0 ? 1 : a;
    case LOG:
        return 1 / v;
    case MISH:
        t = tanhf(softplus(v));
        return t + v * (1 - t * t) / (1 + expf(-v));
    case NEGATIVE:
        return -1;
    case POWER:
        return a * powf(v, a - 1);
    case RECIPROCAL:
        return -y * y;
    case SELU:
        return v > 0 ? b : y + b * a;
    case SHRINK:
        return v < -a || v > a ? 1 : 0;
    case SIN:
        return cosf(v);
    case SOFTPLUS:
        return 1 / (1 + expf(-v));
    case SOFTSIGN:
        t = 1 + fabsf(v);
        return 1 / (t * t);
    case SQRT:
        return 0.5F / y;
    case SQUARE:
        return 2 * v;
    case THRESHOLDED_RELU:
        return v > a ? 1 : 0;
    case CEIL: /* piecewise constant functions */
    case FLOOR:
    case NOT:
    case ROUND:
    case SIGN:
    case TRUNCATE:
    case TRUTH:
        break;
    }
    return 0;
}

static void unary_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = pass->count * cn_shape_size(&layer->input_shape);
    for (size_t i = 0; pass->dx != NULL && i < size; i++)
        pass->dx[i] = pass->dy[i] * unary_slope(unary_of(layer), pass->x[i], pass->y[i]);
}

static void unary_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                        float *y, float *scratch) {
    (void)scratch;
    unary_apply(unary_of(&step->layer), inputs[0], y,
                count * cn_shape_size(&step->layer.input_shape));
}

/* True for a clip that no byte of the range exceeds by more than a rounding error. */
static bool unary_passes_bytes(const struct cn_layer *layer, struct cn_byte_range range) {
    const struct unary_config *config = unary_of(layer);
    const float least = range.scale * (float)-range.zero;
    const float most = range.scale * (float)(255 - range.zero);
    const float rounding = 1e-6F * (most - least);
    return config->function == CLIP && config->alpha <= least + rounding &&
           config->beta >= most - rounding;
}

static float unary_ceiling(const struct cn_layer *layer) {
    const struct unary_config *config = unary_of(layer);
    return config->function == CLIP && config->alpha == 0 && config->beta > 0 ? config->beta : 0;
}

static const struct cn_layer_training unary_training = {.backward = unary_backward};
static const struct cn_layer_inference unary_inference = {.infer = unary_infer,
                                                          .in_place = true,
                                                          .passes_bytes = unary_passes_bytes,
                                                          .ceiling = unary_ceiling};

const struct cn_layer_type cn_unary_type = {
    .class_name = "Unary",
    .onnx =
        "Abs Cast Ceil Celu Clip Cos DequantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish "
        "LeakyRelu Log Mish Neg Not Pow QuantizeLinear Reciprocal Round Selu Shrink Sign Sin "
        "Softplus Softsign Sqrt "
        "ThresholdedRelu",
    CN_LAYER_KEYS(unary_defaults, unary_fields),
    .build = unary_build,
    .training = &unary_training,
    .inference = &unary_inference};
