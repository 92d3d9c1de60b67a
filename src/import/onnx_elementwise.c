/* onnx_elementwise.c: ONNX's elementwise functions of one and of several tensors, and softmax. Used
 * by one thread. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "convnet/activation.h"
#include "import/onnx_private.h"

/* ---- Functions of one tensor ---- */

/* An operator that is one of Keras's activations or a function of the Unary layer. */
static const struct unary {
    const char *type;
    const char *activation; /* NULL: none */
    const char *function;   /* of Unary */
    float alpha, beta;      /* the attributes' defaults; 0 without attributes */
} unaries[] = {
    {"Relu", "relu", NULL, 0, 0},
    {"Sigmoid", "sigmoid", NULL, 0, 0},
    {"Tanh", "tanh", NULL, 0, 0},
    {"Selu", NULL, "selu", 1.67326319217681884765625F, 1.05070102214813232421875F},
    {"Elu", NULL, "elu", 1, 0},
    {"Celu", NULL, "celu", 1, 0},
    {"LeakyRelu", NULL, "leaky_relu", 0.01F, 0},
    {"ThresholdedRelu", NULL, "thresholded_relu", 1, 0},
    {"HardSigmoid", NULL, "hard_sigmoid", 0.2F, 0.5F},
    {"HardSwish", NULL, "hard_swish", 0, 0},
    {"Softplus", NULL, "softplus", 0, 0},
    {"Softsign", NULL, "softsign", 0, 0},
    {"Mish", NULL, "mish", 0, 0},
    {"Shrink", NULL, "shrink", 0, 0},
    {"Exp", NULL, "exp", 0, 0},
    {"Log", NULL, "log", 0, 0},
    {"Sqrt", NULL, "sqrt", 0, 0},
    {"Neg", NULL, "negative", 0, 0},
    {"Abs", NULL, "abs", 0, 0},
    {"Erf", NULL, "erf", 0, 0},
    {"Reciprocal", NULL, "reciprocal", 0, 0},
    {"Floor", NULL, "floor", 0, 0},
    {"Ceil", NULL, "ceil", 0, 0},
    {"Round", NULL, "round", 0, 0},
    {"Sign", NULL, "sign", 0, 0},
    {"Sin", NULL, "sin", 0, 0},
    {"Cos", NULL, "cos", 0, 0},
    {"Not", NULL, "not", 0, 0},
};

static bool unary_result(struct onnx_import *import, const struct onnx_value *x, int type,
                         int layer) {
    struct onnx_value *y = onnx_output(import, 0);
    if (layer < 0)
        return false;
    if (y != NULL)
        onnx_result_like(y, type, x, layer);
    return true;
}

static int activation_layer(struct onnx_import *import, int layer, const char *activation) {
    const struct onnx_layer from = import->layers[layer];
    return onnx_layer(import, "Activation", json_pack("{s:s}", "activation", activation), 1, &layer,
                      from.rank, from.dims);
}

/* True if the network has an activation of this name. */
static bool activation_known(const char *name) {
    for (size_t i = 0; cn_activation_names[i] != NULL; i++)
        if (strcmp(cn_activation_names[i], name) == 0)
            return true;
    return false;
}

/* Keras's activation for the operator if its attributes have Keras's values; else NULL. */
static const char *activation_for(const char *type, float alpha, float beta) {
    static const char *const activations[][2] = {
        {"Elu", "elu"},           {"Selu", "selu"},       {"HardSwish", "hard_swish"},
        {"Softplus", "softplus"}, {"Exp", "exponential"}, {"Softsign", "softsign"},
        {"Mish", "mish"},
    };
    if ((strcmp(type, "Elu") == 0 && alpha != 1) ||
        (strcmp(type, "Selu") == 0 &&
         (fabsf(alpha - 1.6732632F) > 1e-6F || fabsf(beta - 1.0507010F) > 1e-6F)))
        return NULL;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i][0], type) == 0 && activation_known(activations[i][1]))
            return activations[i][1];
    return NULL;
}

static const struct unary *unary_find(const char *type) {
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++)
        if (strcmp(unaries[i].type, type) == 0)
            return &unaries[i];
    return NULL;
}

bool onnx_function_defaults(const char *type, float *ret_alpha, float *ret_beta) {
    const struct unary *unary = unary_find(type);
    if (unary == NULL)
        return false;
    *ret_alpha = unary->alpha;
    *ret_beta = unary->beta;
    return true;
}

int onnx_layer_function(struct onnx_import *import, int layer, const char *type, float alpha,
                        float beta) {
    const struct unary *unary = unary_find(type);
    const char *activation =
        unary->activation != NULL ? unary->activation : activation_for(type, alpha, beta);
    return activation != NULL
               ? activation_layer(import, layer, activation)
               : onnx_layer_unary(import, layer, unary->function, (double)alpha, (double)beta);
}

bool onnx_lower_unary(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const char *type = import->node->type;
    float alpha, beta;
    if (x == NULL)
        return false;
    if (strcmp(type, "Gelu") == 0) {
        const char *form = onnx_string(import, import->node, "approximate", "none");
        const bool tanh_form = strcmp(form, "tanh") == 0;
        return unary_result(
            import, x, x->type,
            onnx_layer_unary(import, x->layer, tanh_form ? "gelu_tanh" : "gelu", 0, 0));
    }
    if (!onnx_function_defaults(type, &alpha, &beta))
        return onnx_refuse(import, "is not supported");
    alpha = onnx_float(import->node, "alpha", alpha);
    beta = onnx_float(import->node, strcmp(type, "Selu") == 0 ? "gamma" : "beta", beta);
    if (strcmp(type, "Shrink") == 0) {
        alpha = onnx_float(import->node, "lambd", 0.5F);
        beta = onnx_float(import->node, "bias", 0);
    }
    return unary_result(import, x, strcmp(type, "Not") == 0 ? ONNX_BOOL : x->type,
                        onnx_layer_function(import, x->layer, type, alpha, beta));
}

/* Reads the bound from an attribute (older opsets) or an input (newer ones). */
static bool clip_bound(struct onnx_import *import, size_t input, const char *name, double *bound) {
    *bound = (double)onnx_float(import->node, name, (float)*bound);
    if (onnx_input(import, input) == NULL)
        return true;
    const struct onnx_tensor *tensor = onnx_constant(import, input, name);
    if (tensor == NULL)
        return false;
    if (tensor->count != 1)
        return onnx_refuse(import, "its %s has %zu numbers", name, tensor->count);
    *bound = fmin(fmax(onnx_number(tensor, 0), (double)-FLT_MAX), (double)FLT_MAX);
    return true;
}

bool onnx_lower_clip(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    double low = (double)-FLT_MAX, high = (double)FLT_MAX;
    if (x == NULL || !clip_bound(import, 1, "min", &low) || !clip_bound(import, 2, "max", &high))
        return false;
    if (low == 0 && high == (double)FLT_MAX)
        return unary_result(import, x, x->type, activation_layer(import, x->layer, "relu"));
    if (low == 0 && high == 6 && activation_known("relu6"))
        return unary_result(import, x, x->type, activation_layer(import, x->layer, "relu6"));
    return unary_result(import, x, x->type, onnx_layer_unary(import, x->layer, "clip", low, high));
}

bool onnx_lower_cast(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const int to = (int)onnx_int(import->node, "to", ONNX_FLOAT);
    int layer;
    if (x == NULL)
        return false;
    if (to < 1 || to > ONNX_BFLOAT16 || to == ONNX_STRING || to == 14 || to == 15)
        return onnx_refuse(import, "a cast to %s is not supported", onnx_type_name(to));
    layer = x->layer;
    if (to == ONNX_BOOL && x->type != ONNX_BOOL)
        layer = onnx_layer_unary(import, layer, "truth", 0, 0);
    else if (!onnx_is_float(to) && onnx_is_float(x->type))
        layer = onnx_layer_unary(import, layer, "truncate", 0, 0);
    return unary_result(import, x, to, layer);
}

/* ---- Functions of several tensors ---- */

/* Layers of all operands; constants become Constant layers. */
static bool operand_layers(struct onnx_import *import, const struct onnx_operands *operands,
                           int layers[ONNX_OPERANDS]) {
    for (int i = 0; i < operands->count; i++) {
        layers[i] = operands->of[i].layer;
        if (layers[i] < 0)
            layers[i] = onnx_layer_constant(import, operands->rank, operands->of[i].dims,
                                            operands->of[i].numbers);
        if (layers[i] < 0)
            return false;
    }
    return true;
}

/* Keras's layer for operands of equal shape; NULL: there is none. */
static const char *merge_class(const char *function) {
    static const char *const classes[][2] = {
        {"add", "Add"},         {"subtract", "Subtract"}, {"multiply", "Multiply"},
        {"maximum", "Maximum"}, {"minimum", "Minimum"},   {"mean", "Average"},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i][0], function) == 0)
            return classes[i][1];
    return NULL;
}

/* True if the operand's numbers are one per channel: only its innermost dim differs from 1. */
static bool is_per_channel(const struct onnx_operands *operands, int i) {
    for (int d = 0; d + 1 < operands->rank; d++)
        if (operands->of[i].dims[d] != 1)
            return false;
    return operands->of[i].dims[operands->rank - 1] == operands->dims[operands->rank - 1];
}

static bool is_single(const struct onnx_operands *operands, int i) {
    for (int d = 0; d < operands->rank; d++)
        if (operands->of[i].dims[d] != 1)
            return false;
    return true;
}

/* Lowers an operation with a constant that is a scale or a shift; -2 if it is neither. constant:
 * the index of the constant operand. */
static int affine_lower(struct onnx_import *import, const struct onnx_operands *operands,
                        const char *function, int constant) {
    const float *c = operands->of[constant].numbers;
    const int x = operands->of[!constant].layer;
    const bool first = constant == 0, single = is_single(operands, constant);
    const int channels = operands->dims[operands->rank - 1];
    double scale = 1, shift = 0;
    if (!operands->of[!constant].whole || (!single && !is_per_channel(operands, constant)))
        return -2;
    float *scales = onnx_allocate(import, 2 * (size_t)channels, sizeof *scales);
    if (scales == NULL)
        return -1;
    float *shifts = scales + channels;
    bool scaled = false, shifted = false;
    for (int i = 0; i < channels; i++) {
        const double value = (double)c[single ? 0 : i];
        scale = 1;
        shift = 0;
        if (strcmp(function, "add") == 0) {
            shift = value;
        } else if (strcmp(function, "subtract") == 0) {
            scale = first ? -1 : 1;
            shift = first ? value : -value;
        } else if (strcmp(function, "multiply") == 0) {
            scale = value;
        } else if (strcmp(function, "divide") == 0 && !first && value != 0) {
            scale = 1 / value;
        } else {
            return -2;
        }
        if (!isfinite(value))
            return -2;
        scales[i] = (float)scale;
        shifts[i] = (float)shift;
        scaled |= scale != 1;
        shifted |= shift != 0;
    }
    if (!scaled && !shifted)
        return x;
    if (single)
        return onnx_layer(import, "Rescaling",
                          json_pack("{s:f, s:f}", "scale", scale, "offset", shift), 1, &x,
                          operands->rank, operands->dims);
    return onnx_layer_affine(import, x, scaled ? scales : NULL, shifted ? shifts : NULL);
}

/* True if nothing but `value`'s one reader reads its layer, also under the names that Identity and
 * others give it: each such name is read once. */
static bool read_once(const struct onnx_import *import, const struct onnx_value *value) {
    int uses = 0, names = 0;
    for (size_t v = 0; v < import->value_count; v++) {
        const struct onnx_value *other = &import->values[v];
        if (other->state != ONNX_DYNAMIC || other->layer != value->layer)
            continue;
        if (other->is_output)
            return false;
        names++;
        uses += other->uses;
    }
    return uses == names;
}

/* A constant that is added to a Dense layer, which nothing else reads, is its bias. */
static bool dense_bias(struct onnx_import *import, const struct onnx_operands *operands,
                       const struct onnx_value *x, int constant) {
    struct onnx_layer *dense = &import->layers[x->layer];
    const struct onnx_operands *all = operands;
    const int units = all->dims[all->rank - 1];
    if (strcmp(dense->class_name, "Dense") != 0 || dense->weight_count != 1 ||
        !read_once(import, x) || all->of[!constant].layer != x->layer ||
        !all->of[!constant].whole || !is_per_channel(all, constant) ||
        units != dense->dims[dense->rank - 1])
        return false;
    json_object_set_new(dense->config, "use_bias", json_true());
    return onnx_layer_weight(import, x->layer, "bias", 1, &units, all->of[constant].numbers);
}

/* Lowers one elementwise operator over two or more values. */
static bool merge_lower(struct onnx_import *import, int count, struct onnx_value *const *values,
                        const char *function, int type) {
    struct onnx_operands operands;
    struct onnx_value *y = onnx_output(import, 0);
    int layers[ONNX_OPERANDS], layer = -2;
    if (y == NULL)
        return onnx_refuse(import, "it has no output");
    if (!onnx_operands_align(import, count, values, &operands))
        return false;
    if (count == 2 && (operands.of[0].layer < 0 || operands.of[1].layer < 0)) {
        const int constant = operands.of[0].layer < 0 ? 0 : 1;
        if (strcmp(function, "add") == 0 &&
            dense_bias(import, &operands, values[!constant], constant))
            layer = operands.of[!constant].layer;
        else
            layer = affine_lower(import, &operands, function, constant);
    }
    if (layer == -2) {
        bool alike = true;
        for (int i = 0; i < count; i++)
            alike &= operands.of[i].whole;
        if (!operand_layers(import, &operands, layers))
            return false;
        const char *merge = alike ? merge_class(function) : NULL;
        if (merge != NULL) {
            layer = onnx_layer(import, merge, NULL, count, layers, operands.rank, operands.dims);
        } else {
            int dims[ONNX_ENGINE_RANK];
            memcpy(dims, operands.of[0].dims, sizeof dims);
            layer = layers[0];
            for (int i = 1; i < count && layer >= 0; i++) {
                const int both[2] = {layer, layers[i]};
                for (int d = 0; d < operands.rank; d++)
                    dims[d] = dims[d] > operands.of[i].dims[d] ? dims[d] : operands.of[i].dims[d];
                layer = onnx_layer(import, "Binary",
                                   json_pack("{s:s}", "function",
                                             strcmp(function, "mean") == 0 ? "add" : function),
                                   2, both, operands.rank, dims);
            }
            if (layer >= 0 && strcmp(function, "mean") == 0)
                layer = onnx_layer(import, "Rescaling",
                                   json_pack("{s:f, s:f}", "scale", 1.0 / count, "offset", 0.0), 1,
                                   &layer, operands.rank, operands.dims);
        }
    }
    if (layer < 0)
        return false;
    onnx_result_like(y, type, &operands.result, layer);
    return true;
}

/* Lowers a constant power for which there is a simpler function. */
static int power_lower(struct onnx_import *import, const struct onnx_value *x,
                       const struct onnx_value *exponent) {
    if (exponent->state != ONNX_CONSTANT || exponent->tensor->count != 1 ||
        exponent->rank > x->rank)
        return -2;
    const double power = onnx_number(exponent->tensor, 0);
    if (power == 1)
        return x->layer;
    if (power == 2)
        return onnx_layer_unary(import, x->layer, "square", 0, 0);
    if (power == 0.5)
        return onnx_layer_unary(import, x->layer, "sqrt", 0, 0);
    return onnx_layer_unary(import, x->layer, "power", power, 0);
}

bool onnx_lower_binary(struct onnx_import *import) {
    static const char *const functions[][2] = {
        {"Add", "add"},
        {"Sub", "subtract"},
        {"Mul", "multiply"},
        {"Div", "divide"},
        {"Pow", "power"},
        {"Mod", "modulo"},
        {"Equal", "equal"},
        {"Greater", "greater"},
        {"GreaterOrEqual", "greater_equal"},
        {"Less", "less"},
        {"LessOrEqual", "less_equal"},
        {"And", "and"},
        {"Or", "or"},
        {"Xor", "xor"},
    };
    struct onnx_value *values[2] = {onnx_input(import, 0), onnx_input(import, 1)};
    const char *type = import->node->type;
    if (values[0] == NULL || values[1] == NULL)
        return onnx_refuse(import, "it must have two inputs");
    const struct onnx_value *first = values[0]->state == ONNX_DYNAMIC ? values[0] : values[1];
    if (strcmp(type, "Pow") == 0 && values[0]->state == ONNX_DYNAMIC) {
        const int layer = power_lower(import, values[0], values[1]);
        if (layer != -2)
            return unary_result(import, values[0], values[0]->type, layer);
    }
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i][0], type) == 0) {
            const char *function = functions[i][1];
            const bool compares = i >= 6;
            if (strcmp(function, "divide") == 0 && !onnx_is_float(first->type))
                function = "divide_whole";
            if (strcmp(function, "modulo") == 0 && onnx_int(import->node, "fmod", 0) != 0)
                function = "remainder";
            return merge_lower(import, 2, values, function, compares ? ONNX_BOOL : first->type);
        }
    return onnx_refuse(import, "is not supported");
}

bool onnx_lower_variadic(struct onnx_import *import) {
    struct onnx_value *values[ONNX_OPERANDS];
    const char *type = import->node->type;
    const size_t count = import->node->input_count;
    if (count < 1 || count > ONNX_OPERANDS)
        return onnx_refuse(import, "it has %zu inputs; from 1 to %d are supported", count,
                           ONNX_OPERANDS);
    for (size_t i = 0; i < count; i++) {
        values[i] = onnx_input(import, i);
        if (values[i] == NULL)
            return onnx_refuse(import, "its input %zu is missing", i);
    }
    if (count == 1)
        return unary_result(import, values[0], values[0]->type, values[0]->layer);
    return merge_lower(import, (int)count, values,
                       strcmp(type, "Sum") == 0    ? "add"
                       : strcmp(type, "Mean") == 0 ? "mean"
                       : strcmp(type, "Max") == 0  ? "maximum"
                                                   : "minimum",
                       values[0]->type);
}

bool onnx_lower_where(struct onnx_import *import) {
    struct onnx_value *values[3] = {onnx_input(import, 0), onnx_input(import, 1),
                                    onnx_input(import, 2)};
    struct onnx_value *y = onnx_output(import, 0);
    struct onnx_operands operands;
    int layers[ONNX_OPERANDS];
    if (values[0] == NULL || values[1] == NULL || values[2] == NULL || y == NULL)
        return onnx_refuse(import, "it must have three inputs and an output");
    if (!onnx_operands_align(import, 3, values, &operands) ||
        !operand_layers(import, &operands, layers))
        return false;
    const int layer = onnx_layer(import, "Where", NULL, 3, layers, operands.rank, operands.dims);
    if (layer < 0)
        return false;
    onnx_result_like(y, values[1]->type, &operands.result, layer);
    return true;
}

bool onnx_lower_prelu(struct onnx_import *import) {
    struct onnx_value *values[2] = {onnx_dynamic(import, 0), onnx_input(import, 1)};
    struct onnx_value *y = onnx_output(import, 0);
    struct onnx_operands operands;
    int layers[ONNX_OPERANDS];
    if (values[0] == NULL || values[1] == NULL || y == NULL)
        return false;
    struct onnx_value slope = *values[1];
    /* Older exporters write one slope per channel as a vector. */
    if (slope.state == ONNX_CONSTANT && slope.rank == 1 && slope.dims[0] != 1 &&
        values[0]->rank > 2 && slope.dims[0] == values[0]->dims[1] &&
        slope.dims[0] != values[0]->dims[values[0]->rank - 1]) {
        slope.rank = values[0]->rank - 1;
        for (int i = 1; i < slope.rank; i++)
            slope.dims[i] = 1;
    }
    values[1] = &slope;
    if (!onnx_operands_align(import, 2, values, &operands) ||
        !operand_layers(import, &operands, layers))
        return false;
    const int layer = onnx_layer(import, "Binary", json_pack("{s:s}", "function", "prelu"), 2,
                                 layers, operands.rank, operands.dims);
    if (layer < 0)
        return false;
    onnx_result_like(y, values[0]->type, &operands.result, layer);
    return true;
}

/* ---- Softmax ---- */

/* Adds x - log(sum(exp(x))) over the innermost axis. */
static int log_softmax_layer(struct onnx_import *import, int layer) {
    const struct onnx_layer from = import->layers[layer];
    int dims[ONNX_ENGINE_RANK], both[2] = {layer, -1};
    const int vector = from.rank > 1 ? from.rank - 1 : 1;
    memcpy(dims, from.dims, sizeof dims);
    dims[from.rank - 1] = 1;
    both[1] = onnx_layer(import, "Reduce",
                         json_pack("{s:s, s:i}", "function", "log_sum_exp", "axis", from.rank), 1,
                         &layer, vector, dims);
    if (both[1] >= 0)
        both[1] = onnx_layer_reshape(import, both[1], from.rank, dims);
    return onnx_layer(import, "Binary", json_pack("{s:s}", "function", "subtract"), 2, both,
                      from.rank, from.dims);
}

bool onnx_lower_softmax(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    const bool flattens = import->opset < 13;
    const bool logarithm = strcmp(import->node->type, "LogSoftmax") == 0;
    int axis, axes[ONNX_RANK], count = 0, layer;
    if (x == NULL || y == NULL)
        return false;
    if (!onnx_axis(import, onnx_int(import->node, "axis", flattens ? 1 : -1), x->rank, &axis))
        return false;
    /* Before opset 13 all axes from `axis` on are treated as one. */
    int64_t inner = 1;
    for (int i = axis + 1; i < x->rank; i++)
        inner *= x->dims[i];
    if (flattens && inner > 1) {
        int order[ONNX_RANK], dims[2] = {1, (int)(inner * x->dims[axis])};
        const int all = onnx_axes_of(x, 0, -1, order);
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < all; i++)
                if ((order[i] >= axis) == (pass == 1))
                    axes[count++] = order[i];
        for (int i = 0; i < axis; i++)
            dims[0] *= (int)x->dims[i];
        if (!onnx_arrange(import, x, count, axes, &layer))
            return false;
        const bool vector = dims[0] == 1;
        layer = onnx_layer_reshape(import, layer, vector ? 1 : 2, vector ? dims + 1 : dims);
    } else {
        count = onnx_axes_of(x, 0, axis, axes);
        if (!onnx_arrange(import, x, count, axes, &layer))
            return false;
    }
    if (layer < 0)
        return false;
    layer = !logarithm                        ? activation_layer(import, layer, "softmax")
            : activation_known("log_softmax") ? activation_layer(import, layer, "log_softmax")
                                              : log_softmax_layer(import, layer);
    if (layer < 0)
        return false;
    onnx_result(y, x->type, x->rank, x->dims, count, axes, layer);
    return true;
}
