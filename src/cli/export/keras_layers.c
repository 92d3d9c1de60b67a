/* keras_layers.c: a network as layers of Keras. A layer of ours that Keras lacks becomes several
 * of its layers, or a call of one of its functions; a layer that it cannot express is refused by
 * name. No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/export.h"
#include "json/load.h"

enum { ALL = CLI_KERAS_3 | CLI_KERAS_2 | CLI_TFJS, KERAS = CLI_KERAS_3 | CLI_KERAS_2 };

/* ---- The layers of Keras ---- */

/* Our layers that Keras also has, with the same keys. */
static const struct {
    const char *class_name;
    unsigned dialects;
} own_classes[] = {
    {"Conv1D", ALL},
    {"Conv2D", ALL},
    {"Conv1DTranspose", KERAS},
    {"Conv2DTranspose", ALL},
    {"DepthwiseConv1D", KERAS},
    {"DepthwiseConv2D", ALL},
    {"SeparableConv1D", KERAS},
    {"SeparableConv2D", ALL},
    {"Dense", ALL},
    {"MaxPooling1D", ALL},
    {"MaxPooling2D", ALL},
    {"AveragePooling1D", ALL},
    {"AveragePooling2D", ALL},
    {"GlobalMaxPooling1D", ALL},
    {"GlobalMaxPooling2D", ALL},
    {"GlobalAveragePooling1D", ALL},
    {"GlobalAveragePooling2D", ALL},
    {"Flatten", ALL},
    {"Reshape", ALL},
    {"Permute", ALL},
    {"RepeatVector", ALL},
    {"ZeroPadding1D", KERAS},
    {"ZeroPadding2D", ALL},
    {"Cropping1D", KERAS},
    {"Cropping2D", ALL},
    {"UpSampling1D", KERAS},
    {"UpSampling2D", ALL},
    {"Resizing", KERAS},
    {"Add", ALL},
    {"Subtract", KERAS},
    {"Multiply", ALL},
    {"Average", ALL},
    {"Maximum", ALL},
    {"Minimum", ALL},
    {"Concatenate", ALL},
    {"Activation", ALL},
    {"Dropout", ALL},
    {"SpatialDropout1D", ALL},
    {"SpatialDropout2D", KERAS},
    {"GaussianNoise", ALL},
    {"GaussianDropout", ALL},
    {"AlphaDropout", ALL},
    {"ActivityRegularization", KERAS},
    {"RandomFlip", KERAS},
    {"RandomRotation", KERAS},
    {"RandomZoom", KERAS},
    {"RandomTranslation", KERAS},
    {"RandomContrast", CLI_KERAS_3},
    {"RandomBrightness", KERAS},
    {"BatchNormalization", ALL},
    {"LayerNormalization", ALL},
    {"GroupNormalization", KERAS},
    {"UnitNormalization", KERAS},
    {"Normalization", KERAS},
    {"Rescaling", ALL},
    {"PReLU", ALL},
};

/* A Unary that is a layer with our alpha as `key`, or an activation of this name. */
static const struct {
    const char *function;
    unsigned dialects;
    const char *class_name, *key, *activation;
} own_functions[] = {
    {"elu", KERAS, "ELU", "alpha", NULL},
    {"leaky_relu", CLI_KERAS_3, "LeakyReLU", "negative_slope", NULL},
    {"leaky_relu", CLI_KERAS_2 | CLI_TFJS, "LeakyReLU", "alpha", NULL},
    {"thresholded_relu", CLI_KERAS_3, "ReLU", "threshold", NULL},
    {"thresholded_relu", CLI_KERAS_2 | CLI_TFJS, "ThresholdedReLU", "theta", NULL},
    {"exp", KERAS, "Activation", NULL, "exponential"},
    {"gelu", ALL, "Activation", NULL, "gelu"},
    {"hard_swish", CLI_KERAS_3, "Activation", NULL, "hard_silu"},
    {"mish", ALL, "Activation", NULL, "mish"},
    {"softplus", ALL, "Activation", NULL, "softplus"},
    {"softsign", ALL, "Activation", NULL, "softsign"},
};

/* A Unary that is a function of Keras 3. */
static const struct {
    const char *function, *module, *class_name;
} own_calls[] = {{"abs", "numpy", "Absolute"}, {"ceil", "numpy", "Ceil"},
                 {"cos", "numpy", "Cos"},      {"erf", "math", "Erf"},
                 {"floor", "numpy", "Floor"},  {"log", "numpy", "Log"},
                 {"sign", "numpy", "Sign"},    {"reciprocal", "numpy", "Reciprocal"},
                 {"sin", "numpy", "Sin"},      {"sqrt", "numpy", "Sqrt"},
                 {"square", "numpy", "Square"}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *cli_export_function(const struct cn_layer *layer) {
    size_t count;
    const struct cn_field *fields = cn_layer_type_fields(layer->type, &count);
    const int *function = cli_export_field(layer, "function");
    return function != NULL ? fields[0].names[*function] : "";
}

const struct cn_layer *cli_export_calibrated(const struct cn_network *network) {
    size_t value = network->outputs[0].value;
    if (network->temperature == 1)
        return NULL;
    while (value >= network->input_count) {
        const struct cn_layer *layer = &network->layers[value - network->input_count];
        const int *activation = cli_export_field(layer, "activation");
        if (activation != NULL && *activation == CN_ACTIVATION_SOFTMAX)
            return layer;
        value = layer->inputs[0].value;
    }
    return NULL;
}

/* ---- One layer as its parts ---- */

struct rewriting {
    const struct cn_network *network;
    enum cli_dialect dialect;
    const struct cn_layer *layer;
    json_t *config; /* of the layer, as in our file */
    json_t *parts;  /* the parts of the layer, first to last */
    bool calls;     /* some layer is the call of a function */
    struct cn_error *error;
};

static const char *class_of(const struct rewriting *t) {
    return cn_layer_type_name(t->layer->type);
}

static enum cn_status refuse_part(const struct rewriting *t, const char *why) {
    const char *function = cli_export_function(t->layer);
    const char *who = t->dialect == CLI_TFJS      ? "TensorFlow.js"
                      : t->dialect == CLI_KERAS_2 ? "a .h5 file of Keras"
                                                  : "Keras";
    return cn_fail(t->error, CN_UNSUPPORTED, "layer \"%s\" is a %s%s%s, which %s %s",
                   t->layer->name, class_of(t), function[0] != '\0' ? " " : "", function, who, why);
}

static bool has(unsigned dialects, const struct rewriting *t) {
    return (dialects & t->dialect) != 0;
}

static json_t *dims_of(const struct cn_shape *shape, bool with_channels) {
    json_t *dims = cn_json_ints(shape->dims, shape->rank);
    if (with_channels)
        (void)json_array_append_new(dims, json_integer(1));
    return dims;
}

/* Appends a layer; takes ownership of `config`. */
static enum cn_status add_part(struct rewriting *t, const char *class_name, json_t *config) {
    json_t *part =
        json_pack("{s:s, s:s, s:o, s:n}", "module", "keras.layers", "class_name", class_name,
                  "config", config != NULL ? config : json_object(), "registered_name");
    if (part == NULL || json_array_append_new(t->parts, part) != 0)
        return cn_fail(t->error, CN_MEMORY, "no memory for the layer \"%s\"", t->layer->name);
    return CN_OK;
}

/* Appends a call of a function of Keras 3. `more`: its arguments after the tensors, or NULL;
 * `named`: given by name. Takes ownership of all. */
static enum cn_status add_call(struct rewriting *t, const char *module, const char *class_name,
                               json_t *config, json_t *more, json_t *named) {
    enum cn_status status = CN_OK;
    if (!has(CLI_KERAS_3, t)) {
        json_decref(config);
        json_decref(more);
        json_decref(named);
        return refuse_part(t, "does not have");
    }
    status = add_part(t, class_name, config);
    if (status == CN_OK) {
        char path[40];
        json_t *part = json_array_get(t->parts, json_array_size(t->parts) - 1);
        (void)snprintf(path, sizeof path, "keras.src.ops.%s", module);
        (void)json_object_set_new(part, "module", json_string(path));
        (void)json_object_set_new(part, "registered_name", json_string(class_name));
        (void)json_object_set_new(part, "more", more != NULL ? more : json_array());
        (void)json_object_set_new(part, "named", named != NULL ? named : json_object());
        t->calls = true;
    }
    return status;
}

static enum cn_status add_scale(struct rewriting *t, double scale, double offset) {
    return add_part(t, "Rescaling", json_pack("{s:f, s:f}", "scale", scale, "offset", offset));
}

/* Adds x - y as x + -y: -y is computed in a branch of its own. */
static enum cn_status add_difference(struct rewriting *t) {
    enum cn_status status = add_scale(t, -1, 0);
    if (status == CN_OK)
        status = add_part(t, "Add", NULL);
    if (status == CN_OK) {
        (void)json_object_set_new(json_array_get(t->parts, json_array_size(t->parts) - 2), "reads",
                                  json_integer(1));
        (void)json_object_set_new(json_array_get(t->parts, json_array_size(t->parts) - 1), "joins",
                                  json_integer(0));
    }
    return status;
}

/* False for the large numbers that stand for "no limit". */
static bool is_limit(double x) {
    return x > -1e38 && x < 1e38;
}

static enum cn_status rewrite_clip(struct rewriting *t, double least, double most) {
    if (least == 0 && most > 0)
        return add_part(t, "ReLU", is_limit(most) ? json_pack("{s:f}", "max_value", most) : NULL);
    if (has(CLI_KERAS_3, t))
        return add_call(t, "numpy", "Clip", json_pack("{s:f, s:f}", "x_min", least, "x_max", most),
                        NULL, NULL);
    if (!is_limit(least) || !is_limit(most))
        return refuse_part(t, "does not have");
    enum cn_status status = add_scale(t, 1, -least);
    if (status == CN_OK)
        status = add_part(t, "ReLU", json_pack("{s:f}", "max_value", most - least));
    return status == CN_OK ? add_scale(t, 1, least) : status;
}

/* Keras 3 divides by 6, TensorFlow.js by 5, and Keras 2's files are read by both Keras. */
static enum cn_status rewrite_hard_sigmoid(struct rewriting *t, double slope, double middle) {
    const double theirs = t->dialect == CLI_KERAS_3 ? 1.0 / 6 : 0.2;
    if (t->dialect != CLI_KERAS_2 && middle == 0.5 && (float)slope == (float)theirs)
        return add_part(t, "Activation", json_pack("{s:s}", "activation", "hard_sigmoid"));
    const enum cn_status status = add_scale(t, slope, middle);
    return status == CN_OK ? add_part(t, "ReLU", json_pack("{s:f}", "max_value", 1.0)) : status;
}

static enum cn_status rewrite_unary(struct rewriting *t) {
    const char *function = cli_export_function(t->layer);
    const double alpha = json_number_value(json_object_get(t->config, "alpha"));
    const double beta = json_number_value(json_object_get(t->config, "beta"));
    for (size_t i = 0; i < COUNT(own_functions); i++)
        if (strcmp(own_functions[i].function, function) == 0 && has(own_functions[i].dialects, t))
            return add_part(t, own_functions[i].class_name,
                            own_functions[i].key != NULL
                                ? json_pack("{s:f}", own_functions[i].key, alpha)
                                : json_pack("{s:s}", "activation", own_functions[i].activation));
    for (size_t i = 0; i < COUNT(own_calls); i++)
        if (strcmp(own_calls[i].function, function) == 0)
            return add_call(t, own_calls[i].module, own_calls[i].class_name, NULL, NULL, NULL);
    if (strcmp(function, "elu") == 0 && alpha == 1)
        return add_part(t, "ELU", NULL);
    if (strcmp(function, "affine") == 0)
        return add_scale(t, alpha, beta);
    if (strcmp(function, "negative") == 0)
        return add_scale(t, -1, 0);
    if (strcmp(function, "clip") == 0)
        return rewrite_clip(t, alpha, beta);
    if (strcmp(function, "hard_sigmoid") == 0)
        return rewrite_hard_sigmoid(t, alpha, beta);
    if (strcmp(function, "power") == 0)
        return add_call(t, "numpy", "Power", NULL, json_pack("[f]", alpha), NULL);
    if (strcmp(function, "round") == 0)
        return add_call(t, "numpy", "Round", json_pack("{s:i}", "decimals", 0), NULL, NULL);
    if (strcmp(function, "gelu_tanh") == 0)
        return add_call(t, "nn", "Gelu", json_pack("{s:b}", "approximate", 1), NULL, NULL);
    if (strcmp(function, "selu") == 0 && (float)alpha == 1.67326324F && (float)beta == 1.05070098F)
        return add_part(t, "Activation", json_pack("{s:s}", "activation", "selu"));
    return refuse_part(t, "does not have");
}

static enum cn_status rewrite_binary(struct rewriting *t) {
    static const char *const merges[][2] = {{"add", "Add"},
                                            {"subtract", "Subtract"},
                                            {"multiply", "Multiply"},
                                            {"maximum", "Maximum"},
                                            {"minimum", "Minimum"}};
    const char *function = cli_export_function(t->layer);
    for (size_t i = 0; i < COUNT(merges); i++)
        if (strcmp(merges[i][0], function) == 0)
            return i == 1 && !has(KERAS, t) ? add_difference(t) : add_part(t, merges[i][1], NULL);
    if (strcmp(function, "divide") == 0)
        return add_call(t, "numpy", "TrueDivide", NULL, NULL, NULL);
    if (strcmp(function, "power") == 0)
        return add_call(t, "numpy", "Power", NULL, NULL, NULL);
    return refuse_part(t, "does not have");
}

/* Adds a reduction as the pooling of a sequence: the axis is moved to the front, and the other axes
 * become its channels. */
static enum cn_status reduce_by_pooling(struct rewriting *t, const char *function) {
    const struct cn_shape *in = &t->layer->input_shape;
    const json_int_t given = json_integer_value(json_object_get(t->config, "axis"));
    const int axis = (int)(given < 0 ? given + in->rank : given - 1), length = in->dims[axis];
    const bool least = strcmp(function, "min") == 0, most = least || strcmp(function, "max") == 0;
    json_t *dims = json_pack("[i]", axis + 1);
    for (int i = 0; i < in->rank; i++)
        if (i != axis)
            (void)json_array_append_new(dims, json_integer(i + 1));
    enum cn_status status = add_part(t, "Permute", json_pack("{s:o}", "dims", dims));
    if (status == CN_OK)
        status = add_part(t, "Reshape",
                          json_pack("{s:[i, I]}", "target_shape", length,
                                    (json_int_t)(cn_shape_size(in) / (size_t)length)));
    if (status == CN_OK && least)
        status = add_scale(t, -1, 0);
    if (status == CN_OK)
        status = add_part(t, most ? "GlobalMaxPooling1D" : "GlobalAveragePooling1D", NULL);
    if (status == CN_OK && (least || strcmp(function, "sum") == 0))
        status = add_scale(t, least ? -1 : length, 0);
    return status == CN_OK ? add_part(t, "Reshape",
                                      json_pack("{s:o}", "target_shape",
                                                dims_of(&t->layer->output_shape, false)))
                           : status;
}

static enum cn_status rewrite_reduce(struct rewriting *t) {
    static const char *const reductions[][2] = {
        {"sum", "Sum"}, {"mean", "Mean"}, {"max", "Max"}, {"min", "Min"}};
    const char *function = cli_export_function(t->layer);
    const bool keeps = t->layer->input_shape.rank == 1; /* a shape of ours has an axis */
    for (size_t i = 0; i < COUNT(reductions) && !has(CLI_KERAS_3, t); i++)
        if (strcmp(reductions[i][0], function) == 0)
            return reduce_by_pooling(t, function);
    for (size_t i = 0; i < COUNT(reductions); i++)
        if (strcmp(reductions[i][0], function) == 0)
            return add_call(t, "numpy", reductions[i][1],
                            json_pack("{s:O, s:b}", "axis", json_object_get(t->config, "axis"),
                                      "keepdims", (int)keeps),
                            NULL, NULL);
    return refuse_part(t, "does not have");
}

/* True if the padding or cropping does not affect the channels of a picture or sequence. */
static bool is_spatial(const struct cn_layer *layer, const struct cn_ints *before,
                       const struct cn_ints *after) {
    const int rank = layer->input_shape.rank;
    return (rank == 2 || rank == 3) && before->values[rank - 1] == 0 &&
           after->values[rank - 1] == 0;
}

/* {"padding": [[1, 0], [0, 2]]}, or of a sequence {"padding": [1, 0]}. */
static json_t *sides_of(const char *key, int rank, const struct cn_ints *before,
                        const struct cn_ints *after) {
    if (rank == 2)
        return json_pack("{s:[i, i]}", key, before->values[0], after->values[0]);
    return json_pack("{s:[[i, i], [i, i]]}", key, before->values[0], after->values[0],
                     before->values[1], after->values[1]);
}

static enum cn_status rewrite_pad(struct rewriting *t) {
    static const char *const modes[] = {"constant", "reflect", "edge"};
    const struct cn_ints *before = cli_export_field(t->layer, "before");
    const struct cn_ints *after = cli_export_field(t->layer, "after");
    const int mode = *(const int *)cli_export_field(t->layer, "mode");
    const float value = *(const float *)cli_export_field(t->layer, "value");
    const int rank = t->layer->input_shape.rank;
    json_t *width = json_pack("[[i, i]]", 0, 0);
    if (mode == 0 && value == 0 && is_spatial(t->layer, before, after) &&
        (rank == 3 || has(KERAS, t))) {
        json_decref(width);
        return add_part(t, rank == 3 ? "ZeroPadding2D" : "ZeroPadding1D",
                        sides_of("padding", rank, before, after));
    }
    for (int i = 0; i < before->count; i++)
        (void)json_array_append_new(width,
                                    json_pack("[i, i]", before->values[i], after->values[i]));
    return add_call(t, "numpy", "Pad",
                    json_pack("{s:o, s:s}", "pad_width", width, "mode", modes[mode]), NULL,
                    mode == 0 ? json_pack("{s:f}", "constant_values", (double)value) : NULL);
}

static enum cn_status rewrite_slice(struct rewriting *t) {
    const struct cn_ints *begin = cli_export_field(t->layer, "begin");
    const struct cn_ints *size = cli_export_field(t->layer, "size");
    const struct cn_ints *strides = cli_export_field(t->layer, "strides");
    const struct cn_shape *shape = &t->layer->input_shape;
    struct cn_ints after = {.count = begin->count};
    json_t *key = json_array();
    bool crops = true;
    for (int i = 0; i <= begin->count; i++) {
        const int k = i - 1; /* the batch comes first and is unchanged */
        const int stop = k >= 0 ? begin->values[k] + size->values[k] * strides->values[k] : 0;
        json_t *range = json_pack("{s:s, s:{s:o, s:o, s:o}}", "class_name", "__slice__", "config",
                                  "start", k < 0 ? json_null() : json_integer(begin->values[k]),
                                  "stop", k < 0 || stop < 0 ? json_null() : json_integer(stop),
                                  "step", k < 0 ? json_null() : json_integer(strides->values[k]));
        (void)json_array_append_new(key, range);
        if (k >= 0) {
            crops = crops && strides->values[k] == 1;
            after.values[k] = shape->dims[k] - begin->values[k] - size->values[k];
        }
    }
    if (!crops || !is_spatial(t->layer, begin, &after) || (shape->rank == 2 && !has(KERAS, t)))
        return add_call(t, "numpy", "GetItem", NULL, json_pack("[o]", key), NULL);
    json_decref(key);
    return add_part(t, shape->rank == 3 ? "Cropping2D" : "Cropping1D",
                    sides_of("cropping", shape->rank, begin, &after));
}

/* Resizes along one axis of a picture, as UpSampling2D and Resizing do. */
static enum cn_status rewrite_resize(struct rewriting *t) {
    const struct cn_shape *in = &t->layer->input_shape, *out = &t->layer->output_shape;
    const char *interpolation = json_string_value(json_object_get(t->config, "interpolation"));
    const char *coordinates = json_string_value(json_object_get(t->config, "coordinates"));
    const char *rounding = json_string_value(json_object_get(t->config, "rounding"));
    const float scale = *(const float *)cli_export_field(t->layer, "scale");
    const int axis = in->dims[0] != out->dims[0] ? 0 : 1;
    const bool whole = out->dims[axis] % in->dims[axis] == 0;
    const int factor = out->dims[axis] / in->dims[axis];
    const bool exact = scale == 0 || scale == (float)out->dims[axis] / (float)in->dims[axis];
    const bool halves = strcmp(coordinates, "half_pixel") == 0;
    const bool nearest =
        strcmp(interpolation, "nearest") == 0 && exact && whole &&
        ((strcmp(coordinates, "asymmetric") == 0 && strcmp(rounding, "floor") == 0) ||
         (halves && strncmp(rounding, "round", 5) == 0));
    if (in->rank != 3 || in->dims[2] != out->dims[2])
        return refuse_part(t, "has along the height or the width of a picture only");
    if (nearest)
        return add_part(t, "UpSampling2D",
                        json_pack("{s:[i, i], s:s}", "size", axis == 0 ? factor : 1,
                                  axis == 1 ? factor : 1, "interpolation", "nearest"));
    if (strcmp(interpolation, "linear") == 0 && exact && halves && has(KERAS, t))
        return add_part(t, "Resizing",
                        json_pack("{s:i, s:i, s:s}", "height", out->dims[0], "width", out->dims[1],
                                  "interpolation", "bilinear"));
    return refuse_part(t, "has with other coordinates");
}

/* The first key that TensorFlow.js does not know and whose value is not harmless; NULL: there is
 * none. */
static const char *key_beyond_tfjs(const struct rewriting *t) {
    static const struct {
        const char *words, *key, *harmless; /* of classes whose names contain this */
    } keys[] = {{"Conv", "groups", "[1]"},
                {"Conv1D", "padding", "[\"valid\", \"same\"]"},
                {"Global", "keepdims", "[false]"},
                {"Transpose", "output_padding", "[null]"},
                {"Transpose", "dilation_rate", "[[1, 1]]"}};
    for (size_t i = 0; i < COUNT(keys); i++) {
        const json_t *value = json_object_get(t->config, keys[i].key);
        json_t *harmless = json_loads(keys[i].harmless, 0, NULL), *one;
        bool same = value == NULL;
        size_t k;
        json_array_foreach(harmless, k, one) same = same || json_equal(value, one);
        json_decref(harmless);
        if (!same && strstr(class_of(t), keys[i].words) != NULL)
            return keys[i].key;
    }
    return NULL;
}

static enum cn_status refuse_beyond_tfjs(const struct rewriting *t) {
    const char *beyond = t->dialect == CLI_TFJS ? key_beyond_tfjs(t) : NULL;
    char why[64];
    if (beyond == NULL)
        return CN_OK;
    (void)snprintf(why, sizeof why, "has with other values of \"%s\" only", beyond);
    return refuse_part(t, why);
}

/* Adds a layer that exists in both. */
static enum cn_status rewrite_own(struct rewriting *t) {
    const enum cn_status status = refuse_beyond_tfjs(t);
    if (status != CN_OK)
        return status;
    for (size_t i = 0; i < COUNT(own_classes); i++)
        if (strcmp(own_classes[i].class_name, class_of(t)) == 0 &&
            has(own_classes[i].dialects, t)) {
            json_t *config = json_deep_copy(t->config);
            (void)json_object_del(config, "name");
            return add_part(t, class_of(t), config);
        }
    return refuse_part(t, "does not have");
}

static enum cn_status rewrite_up_sampling(struct rewriting *t) {
    const char *interpolation = json_string_value(json_object_get(t->config, "interpolation"));
    if (t->dialect == CLI_TFJS && interpolation != NULL && strcmp(interpolation, "nearest") != 0)
        return refuse_part(t, "computes from other pixels");
    return rewrite_own(t);
}

/* One number, or a list of one, for the only axis; NULL: it is not given. */
static json_t *only_number(const struct rewriting *t, const char *key) {
    json_t *value = json_object_get(t->config, key);
    return json_is_array(value) ? json_array_get(value, 0) : value;
}

/* The settings of a layer of sequences for pictures that are 1 wide. */
static json_t *widen_config(const struct rewriting *t) {
    static const char *const numbers[] = {"kernel_size", "strides", "dilation_rate", "size"};
    static const char *const sides[] = {"padding", "cropping"};
    json_t *config = json_deep_copy(t->config);
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (only_number(t, numbers[i]) != NULL)
            (void)json_object_set_new(config, numbers[i],
                                      json_pack("[O, i]", only_number(t, numbers[i]), 1));
    for (size_t i = 0; i < COUNT(sides); i++) {
        json_t *both = json_object_get(t->config, sides[i]);
        if (json_is_array(both))
            (void)json_object_set_new(config, sides[i], json_pack("[O, [i, i]]", both, 0, 0));
    }
    (void)json_object_del(config, "name");
    return config;
}

/* Adds causal padding as zeros before the picture. */
static enum cn_status pad_causally(struct rewriting *t, json_t *config) {
    const json_int_t kernel = json_integer_value(only_number(t, "kernel_size"));
    const json_t *given = only_number(t, "dilation_rate");
    const json_int_t rows = (kernel - 1) * (given != NULL ? json_integer_value(given) : 1);
    (void)json_object_set_new(config, "padding", json_string("valid"));
    return add_part(t, "ZeroPadding2D",
                    json_pack("{s:[[I, i], [i, i]]}", "padding", rows, 0, 0, 0));
}

/* Adds a layer of sequences that TensorFlow.js lacks as the layer of pictures, here 1 wide. */
static enum cn_status rewrite_sequence(struct rewriting *t) {
    const struct cn_shape *in = &t->layer->input_shape, *out = &t->layer->output_shape;
    char class_name[40];
    if (has(KERAS, t))
        return rewrite_own(t);
    (void)snprintf(class_name, sizeof class_name, "%s", class_of(t));
    char *ends = strstr(class_name, "1D");
    if (ends != NULL)
        *ends = '2';
    json_t *config = widen_config(t), *own = t->config;
    const char *padding = json_string_value(json_object_get(config, "padding"));
    enum cn_status status = add_part(
        t, "Reshape",
        json_pack("{s:[i, i, i]}", "target_shape", in->dims[0], 1, in->rank > 1 ? in->dims[1] : 1));
    if (status == CN_OK && padding != NULL && strcmp(padding, "causal") == 0)
        status = pad_causally(t, config);
    t->config = config;
    if (status == CN_OK)
        status = refuse_beyond_tfjs(t);
    t->config = own;
    if (status == CN_OK)
        status = add_part(t, class_name, json_incref(config));
    json_decref(config);
    if (status == CN_OK && t->layer->tensor_count > 0)
        (void)json_object_set_new(json_array_get(t->parts, json_array_size(t->parts) - 1), "holds",
                                  json_string(t->layer->name));
    return status == CN_OK ? add_part(t, "Reshape",
                                      json_pack("{s:[i, i]}", "target_shape", out->dims[0],
                                                out->rank > 1 ? out->dims[1] : 1))
                           : status;
}

/* Adds constants as the bias of a dense layer with weights of 0; its input is one number, the
 * largest of the layer's input. */
static enum cn_status rewrite_constant(struct rewriting *t) {
    const struct cn_shape *in = &t->layer->input_shape, *out = &t->layer->output_shape;
    if (has(KERAS, t))
        return refuse_part(t, "does not have");
    enum cn_status status = add_part(
        t, "Reshape", json_pack("{s:[I, i]}", "target_shape", (json_int_t)cn_shape_size(in), 1));
    if (status == CN_OK)
        status = add_part(t, "GlobalMaxPooling1D", NULL);
    if (status == CN_OK)
        status = add_part(t, "Dense", json_pack("{s:I}", "units", (json_int_t)cn_shape_size(out)));
    if (status == CN_OK)
        (void)json_object_set_new(json_array_get(t->parts, json_array_size(t->parts) - 1), "holds",
                                  json_string(t->layer->name));
    return status == CN_OK
               ? add_part(t, "Reshape", json_pack("{s:o}", "target_shape", dims_of(out, false)))
               : status;
}

static enum cn_status rewrite_subtract(struct rewriting *t) {
    return has(KERAS, t) ? rewrite_own(t) : add_difference(t);
}

/* Keras requires the number itself. */
static enum cn_status rewrite_up_sampling_1d(struct rewriting *t) {
    if (!has(KERAS, t))
        return rewrite_sequence(t);
    const enum cn_status status = rewrite_own(t);
    json_t *part = json_array_get(t->parts, json_array_size(t->parts) - 1);
    json_t *config = json_object_get(part, "config");
    if (status == CN_OK)
        (void)json_object_set(config, "size", json_array_get(json_object_get(config, "size"), 0));
    return status;
}

/* TensorFlow.js has only one number for scale and offset, not one per channel. */
static enum cn_status rewrite_rescaling(struct rewriting *t) {
    if (t->dialect == CLI_TFJS && (json_is_array(json_object_get(t->config, "scale")) ||
                                   json_is_array(json_object_get(t->config, "offset"))))
        return refuse_part(t, "has for all channels alike only");
    return rewrite_own(t);
}

static enum cn_status rewrite_matmul(struct rewriting *t) {
    const struct cn_shape *other = cn_network_value_shape(t->network, t->layer->inputs[1].value);
    if (!has(CLI_KERAS_3, t) && (t->layer->input_shape.rank != 2 || other->rank != 2))
        return refuse_part(t, "has for two matrices only");
    if (!has(CLI_KERAS_3, t))
        return add_part(t, "Dot", json_pack("{s:[i, i], s:b}", "axes", 2, 1, "normalize", 0));
    return add_call(t, "numpy", "Matmul", NULL, NULL, NULL);
}

/* THE list of layers that Keras names differently or lacks: whether they can be expressed at all,
 * beside own_classes, and which ones only in some cases. */
static const struct {
    const char *class_name;
    enum cn_status (*rewrite)(struct rewriting *t);
    unsigned dialects, some;
} rewrites[] = {
    {"Unary", rewrite_unary, ALL, ALL},
    {"Binary", rewrite_binary, ALL, ALL},
    {"Reduce", rewrite_reduce, ALL, ALL},
    {"Pad", rewrite_pad, ALL, CLI_KERAS_2 | CLI_TFJS},
    {"Slice", rewrite_slice, ALL, CLI_KERAS_2 | CLI_TFJS},
    {"Resize", rewrite_resize, ALL, ALL},
    {"MatMul", rewrite_matmul, ALL, CLI_KERAS_2 | CLI_TFJS},
    {"Constant", rewrite_constant, CLI_TFJS, 0},
    {"Subtract", rewrite_subtract, CLI_TFJS, 0},
    {"ZeroPadding1D", rewrite_sequence, CLI_TFJS, 0},
    {"Cropping1D", rewrite_sequence, CLI_TFJS, 0},
    {"DepthwiseConv1D", rewrite_sequence, CLI_TFJS, 0},
    {"SeparableConv1D", rewrite_sequence, CLI_TFJS, 0},
    {"Conv1DTranspose", rewrite_sequence, CLI_TFJS, CLI_TFJS},
    {"Conv1D", rewrite_own, 0, CLI_TFJS},
    {"Conv2D", rewrite_own, 0, CLI_TFJS},
    {"Conv2DTranspose", rewrite_own, 0, CLI_TFJS},
    {"GlobalMaxPooling1D", rewrite_own, 0, CLI_TFJS},
    {"GlobalMaxPooling2D", rewrite_own, 0, CLI_TFJS},
    {"GlobalAveragePooling1D", rewrite_own, 0, CLI_TFJS},
    {"GlobalAveragePooling2D", rewrite_own, 0, CLI_TFJS},
    {"UpSampling1D", rewrite_up_sampling_1d, CLI_TFJS, 0},
    {"UpSampling2D", rewrite_up_sampling, 0, CLI_TFJS},
    {"Rescaling", rewrite_rescaling, 0, CLI_TFJS},
};

const char *cli_export_extent(const struct cn_layer_type *type, enum cli_dialect dialect) {
    const char *extent = "no";
    for (size_t i = 0; i < COUNT(own_classes); i++)
        if (strcmp(own_classes[i].class_name, cn_layer_type_name(type)) == 0 &&
            (own_classes[i].dialects & dialect) != 0)
            extent = "yes";
    for (size_t i = 0; i < COUNT(rewrites); i++)
        if (strcmp(rewrites[i].class_name, cn_layer_type_name(type)) == 0)
            extent = (rewrites[i].some & dialect) != 0       ? "some"
                     : (rewrites[i].dialects & dialect) != 0 ? "yes"
                                                             : extent;
    return extent;
}

/* The number of axes without channels that a layer works on; 0: any. */
static int axes_of(const struct cn_layer *layer) {
    const char *class_name = cn_layer_type_name(layer->type);
    static const char *const words[] = {"Conv",     "Pooling",  "Padding",
                                        "Cropping", "Sampling", "Resizing"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (strstr(class_name, words[i]) != NULL)
            return strstr(class_name, "1D") != NULL ? 1 : 2;
    return 0;
}

static bool has_softmax(const json_t *part) {
    const char *activation =
        json_string_value(json_object_get(json_object_get(part, "config"), "activation"));
    return activation != NULL && strcmp(activation, "softmax") == 0;
}

/* Divides the input of the softmax by the temperature. The part that has the softmax may be before
 * a Reshape that keeps the channels. */
static enum cn_status divide_softmax(struct rewriting *t) {
    size_t at = json_array_size(t->parts) - 1;
    while (at > 0 && !has_softmax(json_array_get(t->parts, at)))
        at--;
    json_t *part = json_array_get(t->parts, at), *config = json_object_get(part, "config");
    if (strcmp(json_string_value(json_object_get(part, "class_name")), "Activation") == 0)
        (void)json_array_remove(t->parts, at);
    else
        (void)json_object_set_new(config, "activation", json_string("linear"));
    const enum cn_status status = add_scale(t, 1 / (double)t->network->temperature, 0);
    return status == CN_OK ? add_part(t, "Activation", json_pack("{s:s}", "activation", "softmax"))
                           : status;
}

/* True if a part says that it has the weights. */
static bool is_held(const struct rewriting *t) {
    const json_t *part;
    size_t i;
    json_array_foreach(t->parts, i, part) {
        if (json_object_get(part, "holds") != NULL)
            return true;
    }
    return false;
}

/* Rewrites our layer as parts. A picture of one channel without an axis for it gets such an axis in
 * between. */
static enum cn_status rewrite_layer(struct rewriting *t) {
    const int axes = axes_of(t->layer);
    const bool lacks = axes > 0 && t->layer->input_shape.rank == axes;
    enum cn_status status = CN_OK;
    enum cn_status (*rewrite)(struct rewriting *) = rewrite_own;
    if (lacks)
        status =
            add_part(t, "Reshape",
                     json_pack("{s:o}", "target_shape", dims_of(&t->layer->input_shape, true)));
    for (size_t i = 0; i < COUNT(rewrites); i++)
        if (strcmp(rewrites[i].class_name, class_of(t)) == 0)
            rewrite = rewrites[i].rewrite;
    if (status == CN_OK)
        status = rewrite(t);
    if (status == CN_OK && t->layer->tensor_count > 0 && !is_held(t)) {
        json_t *part = json_array_get(t->parts, json_array_size(t->parts) - 1);
        (void)json_object_set_new(part, "holds", json_string(t->layer->name));
    }
    if (status == CN_OK && cli_export_calibrated(t->network) == t->layer)
        status = divide_softmax(t);
    if (status == CN_OK && lacks && t->layer->output_shape.rank == axes &&
        strncmp(class_of(t), "Global", 6) != 0)
        status =
            add_part(t, "Reshape",
                     json_pack("{s:o}", "target_shape", dims_of(&t->layer->output_shape, false)));
    return status;
}

/* ---- The graph of the parts ---- */

static json_t *tensor_of(const char *name, size_t call, const struct cn_shape *shape) {
    json_t *dims = dims_of(shape, false);
    (void)json_array_insert_new(dims, 0, json_null());
    return json_pack("{s:s, s:{s:o, s:s, s:[s, I, i]}}", "class_name", "__keras_tensor__", "config",
                     "shape", dims, "dtype", "float32", "keras_history", name, (json_int_t)call, 0);
}

/* Adds a function's arguments: the tensors one by one, then the rest. */
static void fill_call(json_t *call, const json_t *part) {
    json_t *args = json_object_get(call, "args"), *first = json_array_get(args, 0);
    if (json_object_get(part, "more") == NULL)
        return;
    json_t *flat = json_is_array(first) ? json_copy(first) : json_pack("[O]", first);
    (void)json_array_extend(flat, json_object_get(part, "more"));
    (void)json_object_set_new(call, "args", flat);
    (void)json_object_set(call, "kwargs", json_object_get(part, "named"));
}

static bool is_taken(const struct rewriting *t, const json_t *layers, const char *name) {
    const json_t *layer;
    size_t i;
    for (i = 0; i < t->network->layer_count; i++)
        if (strcmp(t->network->layers[i].name, name) == 0)
            return true;
    json_array_foreach(layers, i, layer) {
        const char *taken = json_string_value(json_object_get(layer, "name"));
        if (taken != NULL && strcmp(taken, name) == 0)
            return true;
    }
    return false;
}

/* An unused name for part `index` of a layer. */
static void name_part(const struct rewriting *t, const json_t *layers, size_t index,
                      char name[static CN_LAYER_NAME]) {
    (void)snprintf(name, CN_LAYER_NAME, "%.36s_part%zu", t->layer->name, index + 1);
    for (int i = 2; is_taken(t, layers, name); i++)
        (void)snprintf(name, CN_LAYER_NAME, "%.24s_part%zu_%d", t->layer->name, index + 1, i);
}

/* Call `c` of part `index`. The first part reads the layer's inputs, or the one input that "reads"
 * names; the others read the part before, and the input that "joins" names, if they have it. */
static json_t *call_of_part(const struct rewriting *t, const json_t *call, const json_t *part,
                            size_t index, const char *before, size_t c) {
    const json_t *one = json_object_get(part, "reads"), *joined = json_object_get(part, "joins");
    json_t *inputs = json_array_get(json_object_get(call, "args"), 0);
    if (index == 0 && one == NULL)
        return json_deep_copy(call);
    if (index == 0)
        return json_pack("{s:[O], s:{}}", "args",
                         json_array_get(inputs, (size_t)json_integer_value(one)), "kwargs");
    json_t *last = tensor_of(before, c, &t->layer->output_shape);
    if (joined == NULL)
        return json_pack("{s:[o], s:{}}", "args", last, "kwargs");
    return json_pack("{s:[[O, o]], s:{}}", "args",
                     json_array_get(inputs, (size_t)json_integer_value(joined)), last, "kwargs");
}

/* Appends the parts to `layers`: the first reads the inputs of the layer, the last has its name. */
static void link_parts(const struct rewriting *t, const json_t *calls, json_t *layers) {
    const size_t count = json_array_size(t->parts);
    char before[CN_LAYER_NAME] = "", name[CN_LAYER_NAME];
    for (size_t i = 0; i < count; i++) {
        json_t *part = json_array_get(t->parts, i), *nodes = json_array();
        json_t *config = json_object_get(part, "config");
        if (i + 1 == count)
            (void)snprintf(name, sizeof name, "%s", t->layer->name);
        else
            name_part(t, layers, i, name);
        for (size_t c = 0; c < json_array_size(calls); c++) {
            json_t *call = call_of_part(t, json_array_get(calls, c), part, i, before, c);
            fill_call(call, part);
            (void)json_array_append_new(nodes, call);
        }
        /* Some classes of functions take no name. */
        if (json_object_get(part, "more") == NULL || json_object_size(config) == 0)
            (void)json_object_set_new(config, "name", json_string(name));
        if (t->layer->frozen && json_object_get(part, "more") == NULL)
            (void)json_object_set_new(config, "trainable", json_false());
        (void)json_object_set_new(part, "name", json_string(name));
        (void)json_object_set_new(part, "inbound_nodes", nodes);
        (void)json_object_del(part, "more");
        (void)json_object_del(part, "named");
        (void)json_object_del(part, "reads");
        (void)json_object_del(part, "joins");
        (void)json_array_append(layers, part);
        (void)snprintf(before, sizeof before, "%s", name);
    }
}

static const struct cn_layer *layer_named(const struct cn_network *network, const char *name) {
    for (size_t i = 0; name != NULL && i < network->layer_count; i++)
        if (strcmp(network->layers[i].name, name) == 0)
            return &network->layers[i];
    return NULL;
}

/* A layer of a Sequential model in the form of a Functional one: with its name and its inputs. */
static void name_input(json_t *object, const struct rewriting *t) {
    json_t *config = json_object_get(object, "config");
    char name[CN_LAYER_NAME] = "input";
    if (json_object_get(config, "name") == NULL) {
        while (layer_named(t->network, name) != NULL && strlen(name) + 1 < sizeof name)
            strcat(name, "_");
        (void)json_object_set_new(config, "name", json_string(name));
    }
    (void)json_object_set(object, "name", json_object_get(config, "name"));
    if (json_object_get(object, "inbound_nodes") == NULL)
        (void)json_object_set_new(object, "inbound_nodes", json_array());
}

/* The only call of a layer in a chain. */
static json_t *chain_call(const struct rewriting *t, const json_t *layers) {
    const json_t *last = json_array_get(layers, json_array_size(layers) - 1);
    return json_pack(
        "[{s:[o], s:{}}]", "args",
        tensor_of(json_string_value(json_object_get(last, "name")), 0, &t->layer->input_shape),
        "kwargs");
}

static enum cn_status rewrite_all(struct rewriting *t, json_t *from, json_t *layers) {
    enum cn_status status = CN_OK;
    json_t *object;
    size_t i;
    json_array_foreach(from, i, object) {
        t->config = json_object_get(object, "config");
        t->layer = layer_named(t->network, json_string_value(json_object_get(t->config, "name")));
        if (strcmp(json_string_value(json_object_get(object, "class_name")), "InputLayer") == 0) {
            name_input(object, t);
            (void)json_array_append(layers, object);
            continue;
        }
        json_t *calls = json_incref(json_object_get(object, "inbound_nodes"));
        if (calls == NULL)
            calls = chain_call(t, layers);
        t->parts = json_array();
        status = rewrite_layer(t);
        if (status == CN_OK)
            link_parts(t, calls, layers);
        json_decref(t->parts);
        json_decref(calls);
        if (status != CN_OK)
            break;
    }
    return status;
}

/* Removes the keys that the layers of a chain do not need. */
static json_t *make_chain(json_t *layers) {
    json_t *layer;
    size_t i;
    json_array_foreach(layers, i, layer) {
        (void)json_object_del(layer, "name");
        (void)json_object_del(layer, "inbound_nodes");
    }
    return layers;
}

static json_t *end_of(const json_t *layers, size_t index) {
    return json_pack("[[s, i, i]]",
                     json_string_value(json_object_get(json_array_get(layers, index), "name")), 0,
                     0);
}

enum cn_status cli_export_layers(const struct cn_network *network, enum cli_dialect dialect,
                                 json_t **ret_model, struct cn_error *error) {
    struct rewriting t = {.network = network, .dialect = dialect, .error = error};
    char *text = NULL;
    enum cn_status status = cn_architecture_format(network, &text, error);
    json_t *root = status == CN_OK ? json_loads(text, 0, NULL) : NULL;
    json_t *config = json_object_get(root, "config"), *layers = json_array();
    const bool chain = root != NULL && json_object_get(config, "input_layers") == NULL;
    free(text);
    if (status == CN_OK)
        status = rewrite_all(&t, json_object_get(config, "layers"), layers);
    if (status == CN_OK && chain && t.calls) {
        (void)json_object_set_new(root, "class_name", json_string("Functional"));
        (void)json_object_set_new(config, "input_layers", end_of(layers, 0));
        (void)json_object_set_new(config, "output_layers",
                                  end_of(layers, json_array_size(layers) - 1));
    }
    if (status == CN_OK) {
        (void)json_object_set(config, "layers", chain && !t.calls ? make_chain(layers) : layers);
        *ret_model = json_incref(root);
    }
    json_decref(layers);
    json_decref(root);
    return status;
}

/* {"args": [tensor or [tensor, ...]]} as [[name, call, tensor, {}], ...]. */
static json_t *respell_call(const json_t *call) {
    const json_t *given = json_array_get(json_object_get(call, "args"), 0), *tensor;
    json_t *list = json_array();
    const size_t count = json_is_array(given) ? json_array_size(given) : 1;
    for (size_t i = 0; i < count; i++) {
        tensor = json_is_array(given) ? json_array_get(given, i) : given;
        json_t *reference =
            json_deep_copy(json_object_get(json_object_get(tensor, "config"), "keras_history"));
        (void)json_array_append_new(reference, json_object());
        (void)json_array_append_new(list, reference);
    }
    return list;
}

void cli_export_respell(json_t *model) {
    json_t *layer, *value;
    const char *key;
    void *next;
    size_t l, i;
    json_array_foreach(json_object_get(json_object_get(model, "config"), "layers"), l, layer) {
        json_t *config = json_object_get(layer, "config"), *calls = json_array();
        const json_t *call;
        json_object_foreach_safe(config, next, key, value) {
            if (strstr(key, "_initializer") != NULL)
                (void)json_object_del(config, key);
        }
        value = json_object_get(config, "batch_shape");
        if (value != NULL) {
            (void)json_object_set(config, "batch_input_shape", value);
            (void)json_object_del(config, "batch_shape");
        }
        json_array_foreach(json_object_get(layer, "inbound_nodes"), i, call)(void)
            json_array_append_new(calls, respell_call(call));
        (void)json_object_set_new(layer, "inbound_nodes", calls);
        (void)json_object_set(layer, "name", json_object_get(config, "name"));
        (void)json_object_del(layer, "module");
        (void)json_object_del(layer, "registered_name");
        (void)json_object_del(layer, "holds");
    }
    (void)json_object_del(model, "module");
    (void)json_object_del(model, "registered_name");
}
