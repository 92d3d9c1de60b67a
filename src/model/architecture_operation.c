/* architecture_operation.c: turns calls of functions in a Keras model, such as x / 127.5 - 1 before
 * a network, into layers: Keras 2's TFOpLambda, SlicingOpLambda and TensorFlowOpLayer, and Keras
 * 3's operations; and the layer Dot. The meaning of a call depends on the shapes of its inputs, so
 * it is determined when the layer is called. No state. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "model/architecture.h"

enum kind {
    BINARY,     /* of two tensors, or a tensor and numbers */
    ACTIVATION, /* becomes Activation */
    UNARY,      /* becomes Unary */
    GATED,      /* x * sigmoid(x) */
    CLIP,       /* between two given numbers */
    MATMUL,     /* of two tensors */
    DOT,        /* the same, as a layer */
    UNIT,       /* to length 1 */
    REDUCE,
    RESHAPE,
    EXPAND,
    SQUEEZE,
    TRANSPOSE,
    CONCATENATE,
    SLICE,
    PAD,
    BIAS,
    RESIZE,
    DEPTH_TO_SPACE,
    NOTHING
};

/* The name in Keras 2 and TensorFlow (without "math." and "nn."), that in Keras 3, and the meaning
 * here. */
static const struct operation {
    const char *function, *class_name;
    enum kind kind;
    const char *name;
    double alpha, beta; /* for UNARY */
} operations[] = {
    {"__operators__.add", "Add", BINARY, "add", 0, 0},
    {"add", "Add", BINARY, "add", 0, 0},
    {"AddV2", NULL, BINARY, "add", 0, 0},
    {"subtract", "Subtract", BINARY, "subtract", 0, 0},
    {"Sub", NULL, BINARY, "subtract", 0, 0},
    {"multiply", "Multiply", BINARY, "multiply", 0, 0},
    {"Mul", NULL, BINARY, "multiply", 0, 0},
    {"truediv", "TrueDivide", BINARY, "divide", 0, 0},
    {"divide", "Divide", BINARY, "divide", 0, 0},
    {"RealDiv", NULL, BINARY, "divide", 0, 0},
    {"pow", "Power", BINARY, "power", 0, 0},
    {"maximum", "Maximum", BINARY, "maximum", 0, 0},
    {"minimum", "Minimum", BINARY, "minimum", 0, 0},
    {"bias_add", NULL, BIAS, NULL, 0, 0},
    {"relu", "Relu", ACTIVATION, "relu", 0, 0},
    {"sigmoid", "Sigmoid", ACTIVATION, "sigmoid", 0, 0},
    {"tanh", "Tanh", ACTIVATION, "tanh", 0, 0},
    {"softmax", "Softmax", ACTIVATION, "softmax", 0, 0},
    {"silu", "Silu", GATED, NULL, 0, 0},
    {"swish", NULL, GATED, NULL, 0, 0},
    {"relu6", "Relu6", UNARY, "clip", 0, 6},
    {"elu", "Elu", UNARY, "elu", 1, 0},
    {"selu", "Selu", UNARY, "selu", 1.6732632423543772, 1.0507009873554805},
    {"gelu", "Gelu", UNARY, "gelu", 0, 0},
    {"leaky_relu", "LeakyRelu", UNARY, "leaky_relu", 0.2, 0},
    {"hard_sigmoid", "HardSigmoid", UNARY, "hard_sigmoid", 1.0 / 6, 0.5},
    {"hard_silu", "HardSilu", UNARY, "hard_swish", 0, 0},
    {"softplus", "Softplus", UNARY, "softplus", 0, 0},
    {"softsign", "Softsign", UNARY, "softsign", 0, 0},
    {"exp", "Exp", UNARY, "exp", 0, 0},
    {"log", "Log", UNARY, "log", 0, 0},
    {"sqrt", "Sqrt", UNARY, "sqrt", 0, 0},
    {"rsqrt", "Rsqrt", UNARY, "power", -0.5, 0},
    {"square", "Square", UNARY, "square", 0, 0},
    {"abs", "Absolute", UNARY, "abs", 0, 0},
    {"ceil", "Ceil", UNARY, "ceil", 0, 0},
    {"cos", "Cos", UNARY, "cos", 0, 0},
    {"erf", "Erf", UNARY, "erf", 0, 0},
    {"floor", "Floor", UNARY, "floor", 0, 0},
    {"sign", "Sign", UNARY, "sign", 0, 0},
    {"sin", "Sin", UNARY, "sin", 0, 0},
    {"round", "Round", UNARY, "round", 0, 0},
    {"reciprocal", "Reciprocal", UNARY, "reciprocal", 0, 0},
    {NULL, "Abs", UNARY, "abs", 0, 0},
    {"negative", "Negative", UNARY, "negative", 0, 0},
    {"Neg", NULL, UNARY, "negative", 0, 0},
    {"clip_by_value", "Clip", CLIP, NULL, 0, 0},
    {"matmul", "Matmul", MATMUL, NULL, 0, 0},
    {NULL, "Dot", DOT, NULL, 0, 0},
    {"l2_normalize", "Normalize", UNIT, NULL, 0, 0},
    {"reduce_mean", "Mean", REDUCE, "mean", 0, 0},
    {"reduce_sum", "Sum", REDUCE, "sum", 0, 0},
    {"reduce_max", "Max", REDUCE, "max", 0, 0},
    {"reduce_min", "Min", REDUCE, "min", 0, 0},
    {"reshape", "Reshape", RESHAPE, NULL, 0, 0},
    {"expand_dims", "ExpandDims", EXPAND, NULL, 0, 0},
    {"squeeze", "Squeeze", SQUEEZE, NULL, 0, 0},
    {"transpose", "Transpose", TRANSPOSE, NULL, 0, 0},
    {"concat", "Concatenate", CONCATENATE, NULL, 0, 0},
    {"__operators__.getitem", "GetItem", SLICE, NULL, 0, 0},
    {"pad", "Pad", PAD, NULL, 0, 0},
    {"image.resize", NULL, RESIZE, NULL, 0, 0},
    {"depth_to_space", NULL, DEPTH_TO_SPACE, NULL, 0, 0},
    {"identity", "Identity", NOTHING, NULL, 0, 0},
    {"cast", "Cast", NOTHING, NULL, 0, 0},
    {"stop_gradient", "StopGradient", NOTHING, NULL, 0, 0},
};

/* Removes the module: "math.truediv" and "nn.relu" become "truediv" and "relu". */
static const char *without_module(const char *function) {
    static const char *const modules[] = {"tf.", "math.", "nn.", "compat.v1.", "sparse."};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        const size_t length = strlen(modules[i]);
        if (strncmp(function, modules[i], length) == 0) {
            function += length;
            i = (size_t)-1; /* there may be two */
        }
    }
    return function;
}

static const struct operation *find_function(const char *function) {
    for (size_t i = 0; function != NULL && i < sizeof operations / sizeof *operations; i++)
        if (operations[i].function != NULL &&
            strcasecmp(operations[i].function, without_module(function)) == 0)
            return &operations[i];
    return NULL;
}

/* The operation of a layer and, in *ret_name, its name in the file; NULL: the layer is not a call
 * of a function. */
static const struct operation *find_operation(const char *class_name, const json_t *config,
                                              const json_t *module, const char **ret_name) {
    static const char *const lambdas[] = {"TFOpLambda", "SlicingOpLambda", "ClassMethod"};
    static const char *const layers[] = {"Dot", "Identity"};
    *ret_name = NULL;
    for (size_t i = 0; i < sizeof lambdas / sizeof *lambdas; i++)
        if (strcmp(class_name, lambdas[i]) == 0)
            *ret_name = json_string_value(json_object_get(config, "function"));
    if (strcmp(class_name, "TensorFlowOpLayer") == 0)
        *ret_name = json_string_value(json_object_get(json_object_get(config, "node_def"), "op"));
    if (*ret_name != NULL)
        return find_function(*ret_name);
    const char *place = json_string_value(module);
    const bool is_layer = strcmp(class_name, layers[0]) == 0 || strcmp(class_name, layers[1]) == 0;
    if (!is_layer &&
        (place == NULL || (strstr(place, ".ops") == NULL && strncmp(place, "ops", 3) != 0)))
        return NULL;
    *ret_name = class_name;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (operations[i].class_name != NULL && strcmp(operations[i].class_name, class_name) == 0)
            return &operations[i];
    return NULL;
}

bool cn_keras_is_operation(const char *class_name, const json_t *config, const json_t *module,
                           bool *ret_known) {
    const char *name;
    *ret_known = find_operation(class_name, config, module, &name) != NULL;
    return name != NULL;
}

/* ---- What a call was given ---- */

/* One argument: a tensor, by its index among the call's inputs, or something else. */
struct argument {
    bool is_tensor;
    size_t tensor;
    const json_t *value; /* NULL: it was not given */
};

struct arguments {
    const json_t *positional[4];
    size_t count;
    const json_t *keywords, *config;
    size_t tensors; /* number of tensors before the keywords */
};

static bool is_keras_2(const json_t *value) {
    return json_array_size(value) >= 3 && json_is_string(json_array_get(value, 0)) &&
           json_is_integer(json_array_get(value, 1));
}

static bool is_tensor(const json_t *value) {
    const char *class_name = json_string_value(json_object_get(value, "class_name"));
    return (is_keras_2(value) && !cn_keras_is_constant(value)) ||
           (class_name != NULL && strcmp(class_name, "__keras_tensor__") == 0);
}

static size_t count_tensors(const json_t *value, int depth) {
    const json_t *element;
    const char *key;
    size_t i, count = is_tensor(value) ? 1 : 0;
    if (depth > 8 || json_object_get(value, "class_name") != NULL)
        return count;
    if (is_keras_2(value))
        return count + count_tensors(json_array_get(value, 3), depth + 1);
    json_array_foreach(value, i, element) count += count_tensors(element, depth + 1);
    json_object_foreach((json_t *)(uintptr_t)value, key, element) count +=
        count_tensors(element, depth + 1);
    return count;
}

/* Keras 2: [["x", 0, 0, {keywords}]], more tensors after it, or ["_CONSTANT_VALUE", -1, 3.0,
 * {keywords}]; Keras 3: {"args": [...], "kwargs": {...}}. */
static struct arguments arguments_of(const json_t *call, const json_t *config) {
    struct arguments a = {.config = config, .keywords = json_object_get(call, "kwargs")};
    const json_t *list = json_object_get(call, "args");
    if (list == NULL)
        list = is_keras_2(call) ? NULL : call;
    for (size_t i = 0; i < (list != NULL ? json_array_size(list) : 1) && i < 4; i++) {
        const json_t *value = list != NULL ? json_array_get(list, i) : call;
        if (is_keras_2(value) && json_is_object(json_array_get(value, 3)))
            a.keywords = json_array_get(value, 3);
        a.positional[a.count++] = cn_keras_is_constant(value) ? json_array_get(value, 2) : value;
        a.tensors += is_tensor(value)              ? 1
                     : cn_keras_is_constant(value) ? 0
                                                   : count_tensors(value, 0);
    }
    return a;
}

/* Unwraps values such as {"class_name": "__tuple__", "items": [...]} and NumPy's numbers. */
static const json_t *unwrapped(const json_t *value) {
    static const char *const keys[] = {"items", "value", "inner_value"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(value, keys[i]) != NULL)
            return unwrapped(json_object_get(value, keys[i]));
    const json_t *config = json_object_get(value, "config");
    return json_is_object(value) && config != NULL && !is_tensor(value) ? unwrapped(config) : value;
}

/* Argument `index`, which may also be given by one of the names (separated by "|"). */
static struct argument argument(const struct arguments *a, size_t index, const char *names) {
    struct argument found = {0};
    size_t tensor = 0;
    for (size_t i = 0; i < a->count && i < index; i++)
        tensor += count_tensors(a->positional[i], 0);
    if (index < a->count) {
        found.value = a->positional[index];
    } else {
        const char *key;
        const json_t *value;
        tensor = a->tensors;
        json_object_foreach((json_t *)(uintptr_t)a->keywords, key, value) {
            const char *at = strstr(names, key);
            const size_t length = strlen(key);
            if (at != NULL && (at == names || at[-1] == '|') &&
                (at[length] == '|' || at[length] == '\0') && !json_is_null(value)) {
                found.value = value;
                break;
            }
            tensor += count_tensors(value, 0);
        }
        for (const char *name = names; found.value == NULL && *name != '\0';) {
            char one[32];
            const size_t length = strcspn(name, "|");
            (void)snprintf(one, sizeof one, "%.*s", (int)length, name);
            found.value = json_object_get(a->config, one);
            name += length + (name[length] == '|');
        }
    }
    found.is_tensor = is_tensor(found.value);
    found.tensor = tensor;
    if (!found.is_tensor)
        found.value = unwrapped(found.value);
    return found;
}

/* ---- The layers that it becomes ---- */

/* One call while its layers are made. */
struct making {
    const struct cn_keras_layer *entry;
    const char *name;
    const struct cn_shape *shapes;
    size_t input_count;
    struct cn_keras_calls *calls;
};

static enum cn_status refuse_call(const struct making *m, const char *why) {
    return cn_fail(m->entry->error, CN_UNSUPPORTED, "%s calls %s, %s", m->entry->label, m->name,
                   why);
}

/* Appends a layer that reads the inputs `first` and `second` (-1: none) or, with `chained`, the
 * output of the layer before. Takes ownership of `config`. */
static enum cn_status make_layer(const struct making *m, const char *class_name, json_t *config,
                                 int first, int second) {
    struct cn_keras_calls *calls = m->calls;
    if (config == NULL || calls->count == CN_KERAS_MOST_CALLS) {
        json_decref(config);
        return cn_fail(m->entry->error, CN_MEMORY, "no memory for %s", m->entry->label);
    }
    calls->of[calls->count++] = (struct cn_keras_call){class_name, config, {first, second}};
    return CN_OK;
}

static enum cn_status make_unary(const struct making *m, const char *function, double alpha,
                                 double beta, int input) {
    return make_layer(
        m, "Unary",
        json_pack("{s:s, s:f, s:f}", "function", function, "alpha", alpha, "beta", beta), input,
        -1);
}

static bool is_number(const json_t *value) {
    return json_is_number(value) || json_is_boolean(value);
}

static double number(const json_t *value) {
    return json_is_true(value) ? 1 : json_number_value(value);
}

/* Computes with tensor `input` and a number c, in this order or, with `turned`, reversed. */
static enum cn_status make_with_number(const struct making *m, const char *function, int input,
                                       double c, bool turned) {
    if (strcmp(function, "add") == 0)
        return make_unary(m, "affine", 1, c, input);
    if (strcmp(function, "multiply") == 0)
        return make_unary(m, "affine", c, 0, input);
    if (strcmp(function, "subtract") == 0)
        return make_unary(m, "affine", turned ? -1 : 1, turned ? c : -c, input);
    if (strcmp(function, "maximum") == 0)
        return make_unary(m, "clip", c, 3.4e38, input);
    if (strcmp(function, "minimum") == 0)
        return make_unary(m, "clip", -3.4e38, c, input);
    if (strcmp(function, "divide") == 0 && !turned && c != 0)
        return make_unary(m, "affine", 1 / c, 0, input);
    if (strcmp(function, "divide") == 0 && turned) {
        const enum cn_status status = make_unary(m, "reciprocal", 0, 0, input);
        return status == CN_OK ? make_unary(m, "affine", c, 0, CN_KERAS_BEFORE) : status;
    }
    if (strcmp(function, "power") == 0 && !turned)
        return make_unary(m, "power", c, 0, input);
    return refuse_call(m, "which is not supported with these numbers");
}

/* Computes with a tensor and a list of one number per channel. */
static enum cn_status make_with_list(const struct making *m, const char *function, int input,
                                     const json_t *list, bool turned) {
    json_t *scale = json_array(), *offset = json_array(), *config;
    const json_t *element;
    size_t i;
    bool good = json_array_size(list) > 0 && json_array_size(list) <= CN_FLOATS_MAX;
    while (json_array_size(list) == 1 && json_is_array(json_array_get(list, 0)))
        list = json_array_get(list, 0);
    json_array_foreach(list, i, element) {
        const double c = number(element);
        double by = 1, add = 0;
        if (strcmp(function, "add") == 0)
            add = c;
        else if (strcmp(function, "subtract") == 0)
            by = turned ? -1 : 1, add = turned ? c : -c;
        else if (strcmp(function, "multiply") == 0)
            by = c;
        else if (strcmp(function, "divide") == 0 && !turned && c != 0)
            by = 1 / c;
        else
            good = false;
        good = good && is_number(element);
        (void)json_array_append_new(scale, json_real(by));
        (void)json_array_append_new(offset, json_real(add));
    }
    config = json_pack("{s:o, s:o}", "scale", scale, "offset", offset);
    if (good)
        return make_layer(m, "Rescaling", config, input, -1);
    json_decref(config);
    return refuse_call(m, "which is not supported with these numbers");
}

static enum cn_status make_binary(const struct making *m, const struct arguments *a,
                                  const char *function) {
    const struct argument x = argument(a, 0, "x|x1|a|value"), y = argument(a, 1, "y|x2|b|bias");
    const json_t *constants = json_object_get(a->config, "constants");
    if (x.is_tensor && y.is_tensor)
        return make_layer(m, "Binary", json_pack("{s:s}", "function", function), (int)x.tensor,
                          (int)y.tensor);
    if (json_object_size(constants) == 1) { /* TensorFlowOpLayer: {"1": 127.5} */
        const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)constants));
        const json_t *value = unwrapped(json_object_get(constants, key));
        const bool turned = strcmp(key, "0") == 0;
        return is_number(value) ? make_with_number(m, function, 0, number(value), turned)
                                : make_with_list(m, function, 0, value, turned);
    }
    if (x.is_tensor == y.is_tensor)
        return refuse_call(m, "of which nothing is a tensor");
    const json_t *value = x.is_tensor ? y.value : x.value;
    const int input = (int)(x.is_tensor ? x.tensor : y.tensor);
    return is_number(value) ? make_with_number(m, function, input, number(value), !x.is_tensor)
                            : make_with_list(m, function, input, value, !x.is_tensor);
}

/* Converts Keras's axis, which counts the batch, to an axis of the shape; -1: the batch, or
 * invalid. */
static int axis_of(const struct cn_shape *shape, json_int_t axis) {
    if (axis < 0)
        axis += shape->rank + 1;
    return axis >= 1 && axis <= shape->rank ? (int)axis - 1 : -1;
}

static enum cn_status make_reshape(const struct making *m, const struct cn_shape *shape,
                                   int input) {
    return make_layer(m, "Reshape",
                      json_pack("{s:o}", "target_shape", cn_json_ints(shape->dims, shape->rank)),
                      input, -1);
}

/* One Reduce per axis, from the last on; with keepdims the axes are restored with length 1. */
static enum cn_status make_reduce(const struct making *m, const struct arguments *a,
                                  const char *function) {
    const struct argument axes = argument(a, 1, "axis"),
                          keep = argument(a, 2, "keepdims|keep_dims");
    struct cn_shape kept = m->shapes[0];
    enum cn_status status = CN_OK;
    int input = 0;
    unsigned reduced = 0;
    const size_t count = json_is_array(axes.value) ? json_array_size(axes.value) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *value =
            json_is_array(axes.value) ? json_array_get(axes.value, i) : axes.value;
        const int axis = json_is_integer(value) ? axis_of(&kept, json_integer_value(value)) : -1;
        if (axis < 0)
            return refuse_call(m, "over axes that are not those of one sample");
        reduced |= 1u << axis;
    }
    for (int axis = kept.rank - 1; axis >= 0 && status == CN_OK; axis--) {
        if ((reduced >> axis & 1) == 0)
            continue;
        status =
            make_layer(m, "Reduce", json_pack("{s:s, s:i}", "function", function, "axis", axis + 1),
                       input, -1);
        kept.dims[axis] = 1;
        input = CN_KERAS_BEFORE;
    }
    if (status == CN_OK && json_is_true(keep.value))
        status = make_reshape(m, &kept, CN_KERAS_BEFORE);
    return status;
}

static enum cn_status make_shape(const struct making *m, const struct arguments *a,
                                 enum kind kind) {
    const struct argument given = argument(a, 1, "shape|newshape|axis");
    struct cn_shape shape = m->shapes[0];
    if (kind == RESHAPE) {
        const bool batch = json_integer_value(json_array_get(given.value, 0)) == -1 ||
                           json_is_null(json_array_get(given.value, 0));
        json_t *target = json_array();
        for (size_t i = 1; i < json_array_size(given.value); i++)
            (void)json_array_append(target, json_array_get(given.value, i));
        if (batch && json_array_size(target) > 0)
            return make_layer(m, "Reshape", json_pack("{s:o}", "target_shape", target), 0, -1);
        json_decref(target);
        return refuse_call(m, "to a shape that does not begin with the batch");
    }
    json_int_t axis = json_integer_value(json_is_array(given.value) ? json_array_get(given.value, 0)
                                                                    : given.value);
    if (kind == EXPAND) {
        if (axis < 0)
            axis += shape.rank + 2;
        if (axis < 1 || axis > shape.rank + 1 || shape.rank == CN_SHAPE_MAX_RANK)
            return refuse_call(m, "on an axis that is not one of a sample");
        memmove(shape.dims + axis, shape.dims + axis - 1,
                (size_t)(shape.rank + 1 - axis) * sizeof *shape.dims);
        shape.dims[axis - 1] = 1;
        shape.rank++;
        return make_reshape(m, &shape, 0);
    }
    struct cn_shape rest = {.rank = 0, .dims = {1, 1, 1, 1, 1}};
    for (int i = 0; i < shape.rank; i++) {
        bool gone = given.value == NULL && shape.dims[i] == 1;
        for (size_t k = 0; k < (json_is_array(given.value) ? json_array_size(given.value) : 1); k++)
            gone |= given.value != NULL &&
                    axis_of(&shape, json_integer_value(json_is_array(given.value)
                                                           ? json_array_get(given.value, k)
                                                           : given.value)) == i;
        if (!gone)
            rest.dims[rest.rank++] = shape.dims[i];
    }
    return make_reshape(m, &rest, 0);
}

static enum cn_status make_transpose(const struct making *m, const struct arguments *a) {
    const struct argument order = argument(a, 1, "perm|axes");
    if (json_integer_value(json_array_get(order.value, 0)) != 0)
        return refuse_call(m, "which moves the batch");
    json_t *dims = json_array();
    for (size_t i = 1; i < json_array_size(order.value); i++)
        (void)json_array_append(dims, json_array_get(order.value, i));
    return make_layer(m, "Permute", json_pack("{s:o}", "dims", dims), 0, -1);
}

/* Parses one axis of an index: {"start", "stop", "step"}, a number, or an ellipsis. */
static bool slice_axis(const json_t *spec, int size, json_int_t *begin, json_int_t *count,
                       json_int_t *step) {
    const json_t *whole =
        json_object_get(spec, "config") != NULL ? json_object_get(spec, "config") : spec;
    const json_t *start = json_object_get(whole, "start"), *stop = json_object_get(whole, "stop");
    const json_t *by = json_object_get(whole, "step");
    *step = json_is_integer(by) ? json_integer_value(by) : 1;
    if (*step == 0 || *step < -CN_SHAPE_MAX_ELEMENTS || *step > CN_SHAPE_MAX_ELEMENTS)
        return false;
    json_int_t from = json_is_integer(start) ? json_integer_value(start) : *step > 0 ? 0 : size - 1;
    json_int_t to = json_is_integer(stop) ? json_integer_value(stop) : *step > 0 ? size : -1;
    from += json_is_integer(start) && from < 0 ? size : 0;
    to += json_is_integer(stop) && to < 0 ? size : 0;
    const json_int_t low = *step > 0 ? 0 : -1, high = *step > 0 ? size : size - 1;
    from = from < low ? low : from > high ? high : from;
    to = to < low ? low : to > high ? high : to;
    const json_int_t far = *step > 0 ? to - from : from - to;
    const json_int_t stride = *step > 0 ? *step : -*step;
    *begin = from;
    *count = far > 0 ? (far + stride - 1) / stride : 0;
    return *count > 0;
}

static bool is_ellipsis(const json_t *spec) {
    const char *name = json_string_value(json_object_get(spec, "class_name"));
    return (name != NULL && strcmp(name, "__ellipsis__") == 0) ||
           (json_is_string(spec) && strstr(json_string_value(spec), "llipsis") != NULL);
}

/* x[...] with steps of either sign; an index that is a number removes its axis. */
static enum cn_status make_slice(const struct making *m, const struct arguments *a) {
    const struct argument key = argument(a, 1, "slice_spec|key|index");
    const struct cn_shape *shape = &m->shapes[0];
    json_t *begins = json_array(), *sizes = json_array(), *steps = json_array();
    struct cn_shape rest = {.rank = 0, .dims = {1, 1, 1, 1, 1}};
    const size_t specs = json_is_array(key.value) ? json_array_size(key.value) : 1;
    bool good = key.value != NULL, taken = false;
    size_t at = 0;
    for (int axis = -1; axis < shape->rank && good; axis++) {
        const json_t *spec = json_is_array(key.value) ? json_array_get(key.value, at)
                             : at == 0                ? key.value
                                                      : NULL;
        const int size = axis < 0 ? 1 : shape->dims[axis];
        json_int_t begin = 0, count = size, step = 1;
        bool index = false;
        if (is_ellipsis(
                spec)) { /* the ellipsis lasts while there are more axes than specs after it */
            if ((size_t)(shape->rank - axis) <= specs - at - 1) {
                at++;
                axis--;
                continue;
            }
        } else if (json_is_integer(spec)) {
            begin = json_integer_value(spec) + (json_integer_value(spec) < 0 ? size : 0);
            count = 1;
            index = true;
            good = begin >= 0 && begin < size;
            at++;
        } else if (spec != NULL) {
            good = json_is_object(spec) && slice_axis(spec, size, &begin, &count, &step);
            at++;
        }
        if (axis < 0) { /* the batch stays */
            good = good && !index && begin == 0 && step == 1;
            continue;
        }
        (void)json_array_append_new(begins, json_integer(begin));
        (void)json_array_append_new(sizes, json_integer(count));
        (void)json_array_append_new(steps, json_integer(step));
        taken |= index;
        if (!index)
            rest.dims[rest.rank++] = (int)count;
    }
    json_t *config = json_pack("{s:o, s:o, s:o}", "begin", begins, "size", sizes, "strides", steps);
    if (!good) {
        json_decref(config);
        return refuse_call(m, "with an index that is not supported");
    }
    const enum cn_status status = make_layer(m, "Slice", config, 0, -1);
    return status == CN_OK && taken ? make_reshape(m, &rest, CN_KERAS_BEFORE) : status;
}

static enum cn_status make_pad(const struct making *m, const struct arguments *a) {
    const struct argument sides = argument(a, 1, "paddings|pad_width");
    const struct argument mode = argument(a, 2, "mode"), fill = argument(a, 3, "constant_values");
    const char *word = json_is_string(mode.value) ? json_string_value(mode.value) : "constant";
    const char *const known = strcasecmp(word, "reflect") == 0    ? "reflect"
                              : strcasecmp(word, "edge") == 0     ? "edge"
                              : strcasecmp(word, "constant") == 0 ? "constant"
                                                                  : NULL;
    const json_t *batch = unwrapped(json_array_get(sides.value, 0)), *pair;
    size_t i;
    if (known == NULL)
        return refuse_call(m, "in a mode other than constant, reflect and edge");
    if (json_integer_value(json_array_get(batch, 0)) != 0 ||
        json_integer_value(json_array_get(batch, 1)) != 0)
        return refuse_call(m, "which pads the batch");
    json_t *before = json_array(), *after = json_array();
    json_array_foreach(sides.value, i, pair) {
        pair = unwrapped(pair);
        if (i == 0)
            continue;
        (void)json_array_append(before, json_array_get(pair, 0));
        (void)json_array_append(after, json_array_get(pair, 1));
    }
    return make_layer(m, "Pad",
                      json_pack("{s:o, s:o, s:s, s:f}", "before", before, "after", after, "mode",
                                known, "value", is_number(fill.value) ? number(fill.value) : 0.0),
                      0, -1);
}

static enum cn_status make_resize(const struct making *m, const struct arguments *a) {
    const struct argument size = argument(a, 1, "size"), method = argument(a, 2, "method");
    const char *word = json_is_string(method.value) ? json_string_value(method.value) : "bilinear";
    if (json_is_true(argument(a, SIZE_MAX, "antialias").value) ||
        json_is_true(argument(a, SIZE_MAX, "preserve_aspect_ratio").value))
        return refuse_call(m, "with antialias or preserve_aspect_ratio");
    return make_layer(m, "Resizing",
                      json_pack("{s:I, s:I, s:s}", "height",
                                json_integer_value(json_array_get(size.value, 0)), "width",
                                json_integer_value(json_array_get(size.value, 1)), "interpolation",
                                word),
                      0, -1);
}

/* [h, w, b * b * c] to [h * b, w * b, c]: TensorFlow's order. */
static enum cn_status make_depth_to_space(const struct making *m, const struct arguments *a) {
    const struct argument block = argument(a, 1, "block_size");
    const struct cn_shape *in = &m->shapes[0];
    const json_int_t size = json_integer_value(block.value);
    const int b = size >= 1 && size <= 64 ? (int)size : 0;
    if (in->rank != 3 || b == 0 || in->dims[2] % (b * b) != 0)
        return refuse_call(m, "with a block_size that does not fit");
    const int c = in->dims[2] / (b * b);
    const struct cn_shape apart = {.rank = 5, .dims = {in->dims[0], in->dims[1], b, b, c}};
    const struct cn_shape out = {.rank = 3, .dims = {in->dims[0] * b, in->dims[1] * b, c, 1, 1}};
    enum cn_status status = make_reshape(m, &apart, 0);
    if (status == CN_OK)
        status = make_layer(m, "Permute", json_pack("{s:[i, i, i, i, i]}", "dims", 1, 3, 2, 4, 5),
                            CN_KERAS_BEFORE, -1);
    return status == CN_OK ? make_reshape(m, &out, CN_KERAS_BEFORE) : status;
}

static enum cn_status make_clip(const struct making *m, const struct arguments *a) {
    const struct argument least = argument(a, 1, "clip_value_min|x_min");
    const struct argument most = argument(a, 2, "clip_value_max|x_max");
    if (!is_number(least.value) || !is_number(most.value))
        return refuse_call(m, "with limits that are no numbers");
    return make_unary(m, "clip", number(least.value), number(most.value), 0);
}

static enum cn_status make_matmul(const struct making *m, const struct arguments *a) {
    const struct argument x = argument(a, 0, "x|x1|a"), y = argument(a, 1, "y|x2|b");
    static const char *const turns[] = {"transpose_a", "transpose_b", "adjoint_a", "adjoint_b"};
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
        if (json_is_true(argument(a, SIZE_MAX, turns[i]).value))
            return refuse_call(m, "with a matrix that is turned");
    if (!x.is_tensor || !y.is_tensor)
        return refuse_call(m, "which is supported for two tensors only");
    return make_layer(m, "MatMul", json_object(), (int)x.tensor, (int)y.tensor);
}

static enum cn_status make_turned(const struct making *m, int input) {
    return make_layer(m, "Permute", json_pack("{s:[i, i]}", "dims", 2, 1), input, -1);
}

/* Multiplies two vectors, which gives one number; with `unit`, the cosine of their angle. */
static enum cn_status make_vector_dot(const struct making *m, bool unit) {
    enum cn_status status = CN_OK;
    for (int i = 0; i < 2 && unit && status == CN_OK; i++)
        status = make_layer(m, "UnitNormalization", json_object(), i, -1);
    if (status == CN_OK)
        status = make_layer(m, "Multiply", json_object(), unit ? CN_KERAS_MADE : 0,
                            unit ? CN_KERAS_MADE - 1 : 1);
    return status == CN_OK
               ? make_layer(m, "Reduce", json_pack("{s:s, s:i}", "function", "sum", "axis", 1),
                            CN_KERAS_BEFORE, -1)
               : status;
}

/* Sums over one axis of each input: a product of matrices, transposed if necessary. */
static enum cn_status make_dot(const struct making *m) {
    const json_t *given = json_object_get(m->entry->config, "axes");
    const bool unit = json_is_true(json_object_get(m->entry->config, "normalize"));
    int axes[2];
    if (m->input_count != 2)
        return refuse_call(m, "which has two inputs");
    for (size_t i = 0; i < 2; i++) {
        const json_t *axis = json_is_array(given) ? json_array_get(given, i) : given;
        axes[i] = json_is_integer(axis) ? axis_of(&m->shapes[i], json_integer_value(axis)) : -1;
        if (axes[i] < 0)
            return refuse_call(m, "over axes that are not those of one sample");
    }
    if (m->shapes[0].rank == 1 && m->shapes[1].rank == 1)
        return make_vector_dot(m, unit);
    if (m->shapes[0].rank != 2 || m->shapes[1].rank != 2 || unit)
        return refuse_call(m, "which is supported for two vectors, or for two matrices that are "
                              "not normalized");
    if (axes[0] == 1 && axes[1] == 0)
        return make_layer(m, "MatMul", json_object(), 0, 1);
    enum cn_status status = CN_OK;
    if (axes[0] == 0 && axes[1] == 1) { /* the product in the other order, transposed */
        status = make_layer(m, "MatMul", json_object(), 1, 0);
        return status == CN_OK ? make_turned(m, CN_KERAS_BEFORE) : status;
    }
    status = make_turned(m, axes[0] == 0 ? 0 : 1);
    return status == CN_OK
               ? make_layer(m, "MatMul", json_object(), axes[0] == 0 ? CN_KERAS_BEFORE : 0,
                            axes[0] == 0 ? 1 : CN_KERAS_BEFORE)
               : status;
}

/* Divides by the length of each vector over the last axis. */
static enum cn_status make_unit(const struct making *m, const struct arguments *a) {
    const struct argument axis = argument(a, 1, "axis|dim"), order = argument(a, 2, "order"),
                          least = argument(a, 2, "epsilon");
    const json_t *one =
        json_array_size(axis.value) == 1 ? json_array_get(axis.value, 0) : axis.value;
    const bool is_keras_3 = strcmp(m->name, "Normalize") == 0;
    if (json_is_integer(one)
            ? axis_of(&m->shapes[0], json_integer_value(one)) + 1 != m->shapes[0].rank
            : !is_keras_3 || axis.value != NULL)
        return refuse_call(m, "which is supported over the last axis only");
    if ((is_keras_3 && order.value != NULL && number(order.value) != 2) ||
        (!is_keras_3 && least.value != NULL && number(least.value) > 1e-9))
        return refuse_call(m, "which is supported for lengths only");
    return make_layer(m, "UnitNormalization", json_object(), 0, -1);
}

/* Concatenates all inputs: the only operation of more than two. */
static enum cn_status make_concatenate(const struct making *m, const struct arguments *a) {
    const struct argument axis = argument(a, SIZE_MAX, "axis");
    const json_int_t value = json_is_integer(axis.value) ? json_integer_value(axis.value) : -1;
    return make_layer(m, "Concatenate", json_pack("{s:I}", "axis", value), CN_KERAS_ALL, -1);
}

static enum cn_status make_activation(const struct making *m, const struct arguments *a,
                                      const struct operation *operation) {
    const struct argument axis = argument(a, 1, "axis"),
                          slope = argument(a, 1, "alpha|negative_slope");
    if (operation->kind == ACTIVATION && strcmp(operation->name, "softmax") == 0 &&
        json_is_integer(axis.value) &&
        axis_of(&m->shapes[0], json_integer_value(axis.value)) != m->shapes[0].rank - 1)
        return refuse_call(m, "over another axis than the last");
    if (operation->kind == ACTIVATION)
        return make_layer(m, "Activation", json_pack("{s:s}", "activation", operation->name), 0,
                          -1);
    const bool sloped = strcmp(operation->name, "leaky_relu") == 0 && is_number(slope.value);
    if (strcmp(operation->name, "gelu") == 0 && json_is_true(argument(a, 1, "approximate").value))
        return make_unary(m, "gelu_tanh", 0, 0, 0);
    return make_unary(m, operation->name, sloped ? number(slope.value) : operation->alpha,
                      operation->beta, 0);
}

enum cn_status cn_keras_operation_calls(const struct cn_keras_layer *entry, const json_t *module,
                                        const json_t *call, const struct cn_shape *shapes,
                                        size_t input_count, struct cn_keras_calls *ret_calls) {
    struct making m = {
        .entry = entry, .shapes = shapes, .input_count = input_count, .calls = ret_calls};
    const struct operation *operation =
        find_operation(entry->class_name, entry->config, module, &m.name);
    const struct arguments a = arguments_of(call, entry->config);
    *ret_calls = (struct cn_keras_calls){0};
    if (operation == NULL)
        return refuse_call(&m, "which is not supported");
    switch (operation->kind) {
    case BINARY:
        return make_binary(&m, &a, operation->name);
    case BIAS:
        return make_binary(&m, &a, "add");
    case ACTIVATION:
    case UNARY:
        return make_activation(&m, &a, operation);
    case GATED: {
        const enum cn_status status =
            make_layer(&m, "Activation", json_pack("{s:s}", "activation", "sigmoid"), 0, -1);
        return status == CN_OK ? make_layer(&m, "Multiply", json_object(), 0, CN_KERAS_BEFORE)
                               : status;
    }
    case CLIP:
        return make_clip(&m, &a);
    case MATMUL:
        return make_matmul(&m, &a);
    case DOT:
        return make_dot(&m);
    case UNIT:
        return make_unit(&m, &a);
    case REDUCE:
        return make_reduce(&m, &a, operation->name);
    case RESHAPE:
    case EXPAND:
    case SQUEEZE:
        return make_shape(&m, &a, operation->kind);
    case TRANSPOSE:
        return make_transpose(&m, &a);
    case CONCATENATE:
        return make_concatenate(&m, &a);
    case SLICE:
        return make_slice(&m, &a);
    case PAD:
        return make_pad(&m, &a);
    case RESIZE:
        return make_resize(&m, &a);
    case DEPTH_TO_SPACE:
        return make_depth_to_space(&m, &a);
    case NOTHING:
        return CN_OK;
    }
    return CN_OK;
}
