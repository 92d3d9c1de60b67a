/* onnx_write_functions.c: functions of single numbers, of several tensors and along an axis, and
 * layers that move numbers without computing, in ONNX. No state. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/onnx_write.h"

/* ---- Functions of single numbers ---- */

/* Rounds towards 0, for which opset 17 has no operator. */
static struct onnx_name put_truncated(struct onnx_graph *g, struct onnx_name x) {
    const struct onnx_name size = graph_put_unary(g, "Floor", graph_put_unary(g, "Abs", x));
    return graph_put_binary(g, "Mul", graph_put_unary(g, "Sign", x), size);
}

static struct onnx_name put_gelu(struct onnx_graph *g, struct onnx_name x) {
    const struct onnx_name scaled =
        graph_put_binary(g, "Mul", x, graph_put_number(g, 0.70710678118654752F));
    const struct onnx_name part =
        graph_put_binary(g, "Add", graph_put_unary(g, "Erf", scaled), graph_put_number(g, 1));
    const struct onnx_name half = graph_put_binary(g, "Mul", x, graph_put_number(g, 0.5F));
    return graph_put_binary(g, "Mul", half, part);
}

static struct onnx_name put_gelu_tanh(struct onnx_graph *g, struct onnx_name x) {
    const struct onnx_name square = graph_put_binary(g, "Mul", x, x);
    const float one = 1, cubic = 0.044715F;
    const struct onnx_name inner =
        graph_put_binary(g, "Mul", x, graph_put_scale_shift(g, square, &cubic, 1, &one, 1));
    const struct onnx_name scaled =
        graph_put_binary(g, "Mul", inner, graph_put_number(g, 0.79788456080286536F));
    const struct onnx_name bent = graph_put_unary(g, "Tanh", scaled);
    const struct onnx_name half = graph_put_binary(g, "Mul", x, graph_put_number(g, 0.5F));
    return graph_put_binary(g, "Mul", half,
                            graph_put_binary(g, "Add", bent, graph_put_number(g, 1)));
}

/* Operators with at most two attributes, in the order alpha, beta. */
static const struct {
    const char *function, *type, *alpha, *beta;
} operators[] = {
    {"abs", "Abs", NULL, NULL},
    {"ceil", "Ceil", NULL, NULL},
    {"celu", "Celu", "alpha", NULL},
    {"cos", "Cos", NULL, NULL},
    {"elu", "Elu", "alpha", NULL},
    {"erf", "Erf", NULL, NULL},
    {"exp", "Exp", NULL, NULL},
    {"floor", "Floor", NULL, NULL},
    {"hard_sigmoid", "HardSigmoid", "alpha", "beta"},
    {"hard_swish", "HardSwish", NULL, NULL},
    {"leaky_relu", "LeakyRelu", "alpha", NULL},
    {"log", "Log", NULL, NULL},
    {"negative", "Neg", NULL, NULL},
    {"reciprocal", "Reciprocal", NULL, NULL},
    {"round", "Round", NULL, NULL},
    {"selu", "Selu", "alpha", "gamma"},
    {"sign", "Sign", NULL, NULL},
    {"sin", "Sin", NULL, NULL},
    {"softplus", "Softplus", NULL, NULL},
    {"softsign", "Softsign", NULL, NULL},
    {"sqrt", "Sqrt", NULL, NULL},
    {"thresholded_relu", "ThresholdedRelu", "alpha", NULL},
};

enum cn_status export_unary(struct onnx_graph *g, struct onnx_name x, struct onnx_name *ret) {
    const char *function = cli_export_function(g->layer);
    const float alpha = graph_field_float(g, "alpha"), beta = graph_field_float(g, "beta");
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (strcmp(operators[i].function, function) != 0)
            continue;
        if (operators[i].alpha != NULL)
            graph_add_float(&g->attributes, operators[i].alpha, alpha);
        if (operators[i].beta != NULL)
            graph_add_float(&g->attributes, operators[i].beta, beta);
        *ret = graph_put_unary(g, operators[i].type, x);
        return CN_OK;
    }
    if (strcmp(function, "affine") == 0) {
        *ret = graph_put_scale_shift(g, x, &alpha, 1, &beta, 1);
    } else if (strcmp(function, "clip") == 0) {
        *ret = graph_put(g, "Clip", x, graph_put_number(g, alpha), graph_put_number(g, beta));
    } else if (strcmp(function, "power") == 0) {
        *ret = graph_put_binary(g, "Pow", x, graph_put_number(g, alpha));
    } else if (strcmp(function, "square") == 0) {
        *ret = graph_put_binary(g, "Mul", x, x);
    } else if (strcmp(function, "mish") == 0) {
        *ret = graph_put_binary(g, "Mul", x,
                                graph_put_unary(g, "Tanh", graph_put_unary(g, "Softplus", x)));
    } else if (strcmp(function, "gelu") == 0) {
        *ret = put_gelu(g, x);
    } else if (strcmp(function, "gelu_tanh") == 0) {
        *ret = put_gelu_tanh(g, x);
    } else if (strcmp(function, "shrink") == 0) {
        graph_add_float(&g->attributes, "lambd", alpha);
        graph_add_float(&g->attributes, "bias", beta);
        *ret = graph_put_unary(g, "Shrink", x);
    } else if (strcmp(function, "truncate") == 0) {
        *ret = put_truncated(g, x);
    } else if (strcmp(function, "not") == 0) {
        *ret = graph_put_cast(g, graph_put_unary(g, "Not", graph_put_cast(g, x, ONNX_BOOL)),
                              ONNX_FLOAT);
    } else if (strcmp(function, "truth") == 0) {
        *ret = graph_put_cast(g, graph_put_cast(g, x, ONNX_BOOL), ONNX_FLOAT);
    } else {
        return graph_refuse(g, "has a function that is not written");
    }
    return CN_OK;
}

/* ---- Functions of several tensors ---- */

/* Combines all inputs, two at a time. */
static struct onnx_name put_merged(struct onnx_graph *g, const char *type) {
    const int rank = g->layer->output_shape.rank;
    struct onnx_name value = graph_operand(g, 0, rank);
    for (size_t i = 1; i < g->layer->input_count; i++)
        value = graph_put_binary(g, type, value, graph_operand(g, i, rank));
    return value;
}

#define MERGE(name, type)                                                                          \
    enum cn_status export_##name(struct onnx_graph *g, struct onnx_name value,                     \
                                 struct onnx_name *ret) {                                          \
        (void)value;                                                                               \
        *ret = put_merged(g, type);                                                                \
        return CN_OK;                                                                              \
    }
MERGE(add, "Add")
MERGE(subtract, "Sub")
MERGE(multiply, "Mul")
MERGE(maximum, "Max")
MERGE(minimum, "Min")

enum cn_status export_average(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    (void)value;
    *ret = graph_put_binary(g, "Div", put_merged(g, "Add"),
                            graph_put_number(g, (float)g->layer->input_count));
    return CN_OK;
}

enum cn_status export_matmul(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    (void)value;
    *ret = put_merged(g, "MatMul");
    return CN_OK;
}

/* 1 where the comparison is true. */
static struct onnx_name put_comparison(struct onnx_graph *g, const char *type, bool of_truths) {
    const int rank = g->layer->output_shape.rank;
    struct onnx_name a = graph_operand(g, 0, rank), b = graph_operand(g, 1, rank);
    if (of_truths) {
        a = graph_put_cast(g, a, ONNX_BOOL);
        b = graph_put_cast(g, b, ONNX_BOOL);
    }
    return graph_put_cast(g, graph_put_binary(g, type, a, b), ONNX_FLOAT);
}

enum cn_status export_binary(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    static const struct {
        const char *function, *type;
        enum { PLAIN, COMPARES, OF_TRUTHS } kind;
    } types[] = {{"add", "Add", PLAIN},
                 {"subtract", "Sub", PLAIN},
                 {"multiply", "Mul", PLAIN},
                 {"divide", "Div", PLAIN},
                 {"power", "Pow", PLAIN},
                 {"maximum", "Max", PLAIN},
                 {"minimum", "Min", PLAIN},
                 {"prelu", "PRelu", PLAIN},
                 {"equal", "Equal", COMPARES},
                 {"greater", "Greater", COMPARES},
                 {"greater_equal", "GreaterOrEqual", COMPARES},
                 {"less", "Less", COMPARES},
                 {"less_equal", "LessOrEqual", COMPARES},
                 {"and", "And", OF_TRUTHS},
                 {"or", "Or", OF_TRUTHS},
                 {"xor", "Xor", OF_TRUTHS}};
    const char *function = cli_export_function(g->layer);
    const int rank = g->layer->output_shape.rank;
    (void)value;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].function, function) == 0) {
            *ret = types[i].kind == PLAIN
                       ? put_merged(g, types[i].type)
                       : put_comparison(g, types[i].type, types[i].kind == OF_TRUTHS);
            return CN_OK;
        }
    const struct onnx_name a = graph_operand(g, 0, rank), b = graph_operand(g, 1, rank);
    const struct onnx_name ratio = graph_put_binary(g, "Div", a, b);
    if (strcmp(function, "divide_whole") == 0) {
        *ret = put_truncated(g, ratio);
    } else if (strcmp(function, "modulo") == 0) {
        const struct onnx_name whole =
            graph_put_binary(g, "Mul", b, graph_put_unary(g, "Floor", ratio));
        *ret = graph_put_binary(g, "Sub", a, whole);
    } else if (strcmp(function, "remainder") == 0) {
        graph_add_int(&g->attributes, "fmod", 1);
        *ret = graph_put_binary(g, "Mod", a, b);
    } else {
        return graph_refuse(g, "has a function that is not written");
    }
    return CN_OK;
}

enum cn_status export_where(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const int rank = g->layer->output_shape.rank;
    (void)value;
    *ret = graph_put(g, "Where", graph_put_cast(g, graph_operand(g, 0, rank), ONNX_BOOL),
                     graph_operand(g, 1, rank), graph_operand(g, 2, rank));
    return CN_OK;
}

/* ---- Functions along an axis ---- */

enum cn_status export_reduction(struct onnx_graph *g, struct onnx_name value,
                                struct onnx_name *ret) {
    static const char *const types[][2] = {{"mean", "ReduceMean"},
                                           {"max", "ReduceMax"},
                                           {"min", "ReduceMin"},
                                           {"product", "ReduceProd"},
                                           {"l1", "ReduceL1"},
                                           {"l2", "ReduceL2"},
                                           {"sum_square", "ReduceSumSquare"},
                                           {"log_sum", "ReduceLogSum"},
                                           {"log_sum_exp", "ReduceLogSumExp"}};
    const char *function = cli_export_function(g->layer);
    const int64_t axis = graph_field_int(g, "axis", -1);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i][0], function) != 0)
            continue;
        graph_add_ints(&g->attributes, "axes", 1, &axis);
        graph_add_int(&g->attributes, "keepdims", 0);
        *ret = graph_put_unary(g, types[i][1], value);
        return CN_OK;
    }
    if (strncmp(function, "arg", 3) == 0) {
        graph_add_int(&g->attributes, "axis", axis);
        graph_add_int(&g->attributes, "keepdims", 0);
        graph_add_int(&g->attributes, "select_last_index", strstr(function, "last") != NULL);
        value =
            graph_put_unary(g, strncmp(function, "argmax", 6) == 0 ? "ArgMax" : "ArgMin", value);
        value = graph_put_cast(g, value, ONNX_FLOAT);
        *ret = graph_put_shape(g, value, &g->layer->output_shape);
        return CN_OK;
    }
    if (strcmp(function, "sum") != 0)
        return graph_refuse(g, "has a function that is not written");
    graph_add_int(&g->attributes, "keepdims", 0);
    *ret = graph_put_binary(g, "ReduceSum", value, graph_put_ints(g, 1, &axis));
    return CN_OK;
}

/* ---- Movements ---- */

enum cn_status export_permutation(struct onnx_graph *g, struct onnx_name value,
                                  struct onnx_name *ret) {
    const struct cn_ints *dims = cli_export_field(g->layer, "dims");
    int64_t order[ONNX_RANK] = {0};
    for (int i = 0; i < dims->count; i++)
        order[i + 1] = dims->values[i];
    *ret = graph_put_transpose(g, value, (size_t)dims->count + 1, order);
    return CN_OK;
}

enum cn_status export_concatenation(struct onnx_graph *g, struct onnx_name value,
                                    struct onnx_name *ret) {
    struct onnx_name *inputs = calloc(g->layer->input_count, sizeof *inputs);
    (void)value;
    if (inputs == NULL)
        return cn_fail(g->error, CN_MEMORY, "no memory for %zu names", g->layer->input_count);
    for (size_t i = 0; i < g->layer->input_count; i++)
        inputs[i] = g->values[g->layer->inputs[i].value];
    graph_add_int(&g->attributes, "axis", graph_field_int(g, "axis", -1));
    *ret = graph_put_many(g, "Concat", g->layer->input_count, inputs);
    free(inputs);
    return CN_OK;
}

/* [features] to [n, features] */
enum cn_status export_repeat(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const int features = g->layer->input_shape.dims[0];
    const int64_t times[] = {1, graph_field_int(g, "n", 1), 1};
    value = graph_put_reshape(g, value, 2, (const int[]){1, features});
    *ret = graph_put_binary(g, "Tile", value, graph_put_ints(g, 3, times));
    return CN_OK;
}
