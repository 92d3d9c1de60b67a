/* architecture_keras.c: Keras's spellings, as tables: the names in Keras 1, 2 and 3, and the keys
 * of a layer that do not change what the network computes.
 *
 * The fields of layer types are in the types' own tables. No state. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "model/architecture.h"

/* Older and standalone class names. A standalone activation implies its key. */
static const struct {
    const char *alias, *class_name, *key, *value;
} class_aliases[] = {
    {"Convolution2D", "Conv2D", NULL, NULL},
    {"MaxPool2D", "MaxPooling2D", NULL, NULL},
    {"AvgPool2D", "AveragePooling2D", NULL, NULL},
    {"GlobalAvgPool2D", "GlobalAveragePooling2D", NULL, NULL},
    {"GlobalMaxPool2D", "GlobalMaxPooling2D", NULL, NULL},
    {"Convolution1D", "Conv1D", NULL, NULL},
    {"AtrousConvolution2D", "Conv2D", NULL, NULL},
    {"AtrousConvolution1D", "Conv1D", NULL, NULL},
    {"SeparableConvolution2D", "SeparableConv2D", NULL, NULL},
    {"SeparableConvolution1D", "SeparableConv1D", NULL, NULL},
    {"Convolution2DTranspose", "Conv2DTranspose", NULL, NULL},
    {"Deconvolution2D", "Conv2DTranspose", NULL, NULL},
    {"Convolution1DTranspose", "Conv1DTranspose", NULL, NULL},
    {"MaxPool1D", "MaxPooling1D", NULL, NULL},
    {"AvgPool1D", "AveragePooling1D", NULL, NULL},
    {"GlobalAvgPool1D", "GlobalAveragePooling1D", NULL, NULL},
    {"GlobalMaxPool1D", "GlobalMaxPooling1D", NULL, NULL},
    {"CenterCrop", "Cropping2D", NULL, NULL},
    {"SyncBatchNormalization", "BatchNormalization", NULL, NULL},
    {"BatchNormalizationV1", "BatchNormalization", NULL, NULL}, /* TensorFlow 1.14 */
    {"BatchNormalizationV2", "BatchNormalization", NULL, NULL},
    /* of add-ons and of programs that many models come from */
    {"Addons>GroupNormalization", "GroupNormalization", NULL, NULL},
    {"FixedDropout", "Dropout", NULL, NULL},
    {"Custom>FixedDropout", "Dropout", NULL, NULL},
    {"ReLU", "Activation", "activation", "relu"},
    {"Softmax", "Activation", "activation", "softmax"},
};

/* Keys of Keras 1. */
static const struct {
    const char *alias, *key;
} key_aliases[] = {
    {"nb_filter", "filters"},
    {"output_dim", "units"},
    {"subsample", "strides"},
    {"border_mode", "padding"},
    {"bias", "use_bias"},
    {"init", "kernel_initializer"},
    {"dim_ordering", "data_format"},
    {"p", "rate"},
    {"filter_length", "kernel_size"},
    {"subsample_length", "strides"},
    {"pool_length", "pool_size"},
    {"stride", "strides"},
    {"length", "size"},
    {"atrous_rate", "dilation_rate"},
};

/* Keys that no layer's type needs: `accepted` is a JSON array of harmless values, NULL: any value.
 * null is always harmless: in Keras it means "not given". */
static const struct {
    const char *key, *accepted;
} harmless[] = {
    {"name", NULL},
    {"trainable", NULL},
    {"seed", NULL},
    {"fused", NULL},
    {"module", NULL},
    {"registered_name", NULL},
    {"build_config", NULL},
    {"batch_input_shape", NULL}, /* cn_keras_input_shape reads the shapes */
    {"batch_shape", NULL},
    {"input_shape", NULL},
    {"shape", NULL},
    {"input_dim", NULL},
    {"dtype", NULL}, /* everything is computed in float32 */
    {"input_dtype", NULL},
    {"autocast", "[true, false]"},
    {"data_format", "[\"channels_last\", \"tf\"]"},
    {"dilation_rate", "[1, [1, 1]]"},
    {"groups", "[1]"},
    {"keepdims", "[false]"},
    {"bias_initializer", "[\"zeros\"]"},
    {"kernel_initializer", "[\"glorot_uniform\"]"},
    {"beta_initializer", "[\"zeros\"]"},
    {"alpha_initializer", "[\"zeros\"]"},
    {"crop_to_aspect_ratio", "[false]"},
    {"pad_to_aspect_ratio", "[false]"},
    {"fill_mode", NULL}, /* of what pad_to_aspect_ratio adds */
    {"fill_value", NULL},
    {"antialias", "[false]"},
    {"rms_scaling", "[false]"},
    {"gamma_initializer", "[\"ones\"]"},
    {"beta_init", "[\"zeros\"]"},
    {"gamma_init", "[\"ones\"]"},
    {"moving_mean_initializer", "[\"zeros\"]"},
    {"moving_variance_initializer", "[\"ones\"]"},
    {"use_bias", "[true]"},
    {"center", "[true]"},
    {"scale", "[true]"},
    {"renorm", "[false]"},
    {"synchronized", "[true, false]"},
    {"mode", "[0]"},
    {"negative_slope", "[0, 0.0]"},
    {"threshold", "[0, 0.0]"},
    {"sparse", "[false]"},
    {"ragged", "[false]"},
    {"optional", "[false]"},
};

/* Older spellings of words. */
static const struct {
    const char *alias, *word;
} word_aliases[] = {{"zero", "zeros"}, {"one", "ones"}};

/* Keras 2.0 wrote VarianceScaling for the initializers that have names now. */
static const struct {
    double scale;
    const char *mode, *distribution, *word;
} variance_scalings[] = {
    {1.0, "fan_avg", "uniform", "glorot_uniform"},
    {2.0, "fan_in", "normal", "he_normal"},
    {2.0, "fan_in", "truncated_normal", "he_normal"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const char *cn_keras_class(const char *class_name, json_t *config) {
    class_name = cn_keras_1_class(class_name, config);
    for (size_t i = 0; i < COUNT(class_aliases); i++) {
        if (strcmp(class_aliases[i].alias, class_name) != 0)
            continue;
        if (class_aliases[i].key != NULL)
            (void)json_object_set_new(config, class_aliases[i].key,
                                      json_string(class_aliases[i].value));
        return class_aliases[i].class_name;
    }
    return class_name;
}

/* Renames `alias` to `key`. If both exist the alias stays, and is refused as unknown. */
static void rename_key(json_t *config, const char *alias, const char *key) {
    json_t *value = json_object_get(config, alias);
    if (value != NULL && json_object_get(config, key) == NULL &&
        json_object_set(config, key, value) == 0)
        (void)json_object_del(config, alias);
}

static bool is_field(const struct cn_layer_type *type, const char *key) {
    size_t count = 0;
    const struct cn_field *fields = type != NULL ? cn_layer_type_fields(type, &count) : NULL;
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, key) == 0)
            return true;
    return false;
}

void cn_keras_rename_keys(json_t *config, const struct cn_layer_type *type) {
    for (size_t i = 0; i < COUNT(key_aliases); i++)
        if (!is_field(type, key_aliases[i].alias))
            rename_key(config, key_aliases[i].alias, key_aliases[i].key);
    json_t *rows = json_object_get(config, "nb_row"), *columns = json_object_get(config, "nb_col");
    if (rows != NULL && columns != NULL && json_object_get(config, "kernel_size") == NULL &&
        json_object_set_new(config, "kernel_size", json_pack("[O, O]", rows, columns)) == 0) {
        (void)json_object_del(config, "nb_row");
        (void)json_object_del(config, "nb_col");
    }
}

/* "GlorotUniform" becomes "glorot_uniform". */
static bool snake_case(const char *name, char ret_word[static CN_JSON_TEXT]) {
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        const unsigned char letter = (unsigned char)name[i];
        if (used + 3 > CN_JSON_TEXT)
            return false;
        if (i > 0 && isupper(letter) && !isupper((unsigned char)name[i - 1]))
            ret_word[used++] = '_';
        ret_word[used++] = (char)tolower(letter);
    }
    ret_word[used] = '\0';
    return true;
}

void cn_keras_group_name(const char *name, char to[static CN_KERAS_GROUP_NAME]) {
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0' && used < CN_KERAS_GROUP_NAME - 3; i++) {
        const bool upper = isupper((unsigned char)name[i]) != 0;
        const bool next_lower = islower((unsigned char)name[i + 1]) != 0;
        const bool before_lower = i > 0 && islower((unsigned char)name[i - 1]) != 0;
        if (upper && i > 0 && (next_lower || before_lower))
            to[used++] = '_';
        to[used++] = (char)tolower((unsigned char)name[i]);
    }
    to[used] = '\0';
}

static const char *member(const json_t *object, const char *key) {
    const char *string = json_string_value(json_object_get(object, key));
    return string != NULL ? string : "";
}

static const char *variance_scaling(const json_t *config) {
    const double scale = json_number_value(json_object_get(config, "scale"));
    for (size_t i = 0; i < COUNT(variance_scalings); i++)
        if (scale == variance_scalings[i].scale &&
            strcmp(member(config, "mode"), variance_scalings[i].mode) == 0 &&
            strcmp(member(config, "distribution"), variance_scalings[i].distribution) == 0)
            return variance_scalings[i].word;
    return "VarianceScaling";
}

bool cn_keras_word(const json_t *value, char ret_word[static CN_JSON_TEXT]) {
    const char *word = json_string_value(value);
    if (json_is_object(value)) {
        const json_t *config = json_object_get(value, "config");
        const char *class_name = member(value, "class_name");
        if (json_is_string(config)) /* {"class_name": "function", "config": "relu"} */
            word = json_string_value(config);
        else if (strcmp(class_name, "DTypePolicy") == 0 || strcmp(class_name, "Policy") == 0)
            word = member(config, "name");
        else if (strcmp(class_name, "VarianceScaling") == 0)
            word = variance_scaling(config);
        else
            word = class_name;
    }
    /* "Custom>relu6": the package that registered it */
    if (word != NULL && strchr(word, '>') != NULL)
        word = strrchr(word, '>') + 1;
    if (word == NULL || !snake_case(word, ret_word))
        return false;
    for (size_t i = 0; i < COUNT(word_aliases); i++)
        if (strcmp(ret_word, word_aliases[i].alias) == 0)
            strcpy(ret_word, word_aliases[i].word);
    return true;
}

static bool is_accepted(const json_t *value, const char *accepted) {
    char word[CN_JSON_TEXT];
    json_error_t problem;
    json_t *list = cn_json_load(accepted, strlen(accepted), &problem), *element;
    bool found = false;
    size_t i;
    json_array_foreach(list, i, element) found =
        found || json_equal(value, element) ||
        (json_is_string(element) && cn_keras_word(value, word) &&
         strcmp(word, json_string_value(element)) == 0);
    json_decref(list);
    return found;
}

/* BatchNormalization's axis: the innermost one, counted from the end or with the batch as 0. */
static bool is_last_axis(const json_t *value, int rank) {
    if (json_array_size(value) == 1)
        value = json_array_get(value, 0);
    return json_is_integer(value) &&
           (json_integer_value(value) == -1 || json_integer_value(value) == rank);
}

bool cn_keras_ignorable(const char *key, const json_t *value, int rank, const char **ret_rule) {
    *ret_rule = NULL;
    if (json_is_null(value))
        return true;
    if (strcmp(key, "axis") == 0) {
        *ret_rule = "the last axis";
        return is_last_axis(value, rank);
    }
    for (size_t i = 0; i < COUNT(harmless); i++)
        if (strcmp(key, harmless[i].key) == 0) {
            *ret_rule = harmless[i].accepted;
            return harmless[i].accepted == NULL || is_accepted(value, harmless[i].accepted);
        }
    return false;
}

/* Activations that are functions of Unary, by Keras's names. */
static const struct {
    const char *word;
    struct cn_keras_function function;
} functions[] = {
    {"elu", {"elu", 1, 0, 0, false, false}},
    {"selu", {"selu", 1.6732632423543772, 1.0507009873554805, 0, false, false}},
    {"gelu", {"gelu", 0, 0, 0, false, false}},
    {"swish", {"sigmoid", 0, 0, 0, true, false}},
    {"silu", {"sigmoid", 0, 0, 0, true, false}},
    {"relu6", {"clip", 0, 6, 0, false, false}},
    {"leaky_relu", {"leaky_relu", 0.2, 0, 0, false, false}},
    {"hard_sigmoid", {"hard_sigmoid", 0.2, 0.5, 0, false, false}},
    {"hard_swish", {"hard_swish", 0, 0, 0, false, false}},
    {"hard_silu", {"hard_swish", 0, 0, 0, false, false}},
    {"softplus", {"softplus", 0, 0, 0, false, false}},
    {"softsign", {"softsign", 0, 0, 0, false, false}},
    {"exponential", {"exp", 0, 0, 0, false, false}},
    {"mish", {"mish", 0, 0, 0, false, false}},
    {"celu", {"celu", 1, 0, 0, false, false}},
    {"hard_tanh", {"clip", -1, 1, 0, false, false}},
    {"hard_shrink", {"shrink", 0.5, 0, 0, false, false}},
    {"soft_shrink", {"shrink", 0.5, 0.5, 0, false, false}},
    {"log_softmax", {"log", 0, 0, 0, false, true}},
    /* several layers each, see architecture.c */
    {"log_sigmoid", {"log_sigmoid", 0, 0, 0, false, false}},
    {"tanh_shrink", {"tanh_shrink", 0, 0, 0, false, false}},
    {"squareplus", {"squareplus", 0, 0, 0, false, false}},
    {"sparse_plus", {"sparse_plus", 0, 0, 0, false, false}},
    {"glu", {"glu", 0, 0, 0, false, false}},
};

double cn_keras_number(const json_t *config, const char *key, double otherwise) {
    const json_t *value = json_object_get(config, key);
    /* Keras 2 writes NumPy's numbers as objects. */
    if (json_is_object(value))
        value = json_object_get(value, "value");
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* ReLU with a maximum, a slope or a threshold. */
static struct cn_keras_function take_relu(const json_t *config) {
    const double most = cn_keras_number(config, "max_value", -1);
    const double slope = cn_keras_number(config, "negative_slope", 0);
    const double threshold = cn_keras_number(config, "threshold", 0);
    if (slope == 0 && threshold == 0 && most >= 0)
        return (struct cn_keras_function){"clip", 0, most, 0, false, false};
    if (most < 0 && threshold == 0 && slope != 0)
        return (struct cn_keras_function){"leaky_relu", slope, 0, 0, false, false};
    if (most < 0 && slope == 0 && threshold != 0)
        return (struct cn_keras_function){"thresholded_relu", threshold, 0, 0, false, false};
    if (most < 0 && slope == 0)
        return (struct cn_keras_function){NULL, 0, 0, 0, false, false};
    return (struct cn_keras_function){"relu",    slope, most < 0 ? CN_KERAS_LARGEST : most,
                                      threshold, false, false};
}

/* An activation that is a layer of its own in Keras; its function is NULL for others, and for a
 * plain ReLU, which is an activation of ours. */
static struct cn_keras_function take_layer(const char *class_name, const json_t *config) {
    if (strcmp(class_name, "LeakyReLU") == 0)
        return (struct cn_keras_function){
            "leaky_relu",
            cn_keras_number(config, "negative_slope", cn_keras_number(config, "alpha", 0.3)),
            0,
            0,
            false,
            false};
    if (strcmp(class_name, "ELU") == 0)
        return (struct cn_keras_function){"elu", cn_keras_number(config, "alpha", 1), 0, 0, false,
                                          false};
    if (strcmp(class_name, "ThresholdedReLU") == 0)
        return (struct cn_keras_function){
            "thresholded_relu", cn_keras_number(config, "theta", 1), 0, 0, false, false};
    if (strcmp(class_name, "ReLU") == 0)
        return take_relu(config);
    if (strcmp(class_name, "Swish") == 0 || strcmp(class_name, "Custom>Swish") == 0)
        return (struct cn_keras_function){"sigmoid", 0, 0, 0, true, false};
    return (struct cn_keras_function){NULL, 0, 0, 0, false, false};
}

struct cn_keras_function cn_keras_take_function(const char *class_name, json_t *config,
                                                bool *ret_alone) {
    struct cn_keras_function none = {NULL, 0, 0, 0, false, false};
    char word[CN_JSON_TEXT];
    *ret_alone = true;
    const struct cn_keras_function own = take_layer(class_name, config);
    if (own.function != NULL)
        return own;
    *ret_alone = strcmp(class_name, "Activation") == 0;
    json_t *activation = json_object_get(config, "activation");
    if (strcmp(member(activation, "class_name"), "Activation") == 0) {
        activation = json_object_get(json_object_get(activation, "config"), "activation");
        (void)json_object_set(config, "activation", activation);
    }
    if (activation == NULL || !cn_keras_word(activation, word))
        return none;
    const json_t *inner = json_object_get(activation, "config");
    if (json_is_object(inner)) { /* a layer as the activation of another */
        none = take_layer(member(activation, "class_name"), inner);
        if (none.function != NULL) {
            (void)json_object_set_new(config, "activation", json_string("linear"));
            return none;
        }
    }
    for (size_t i = 0; i < COUNT(functions); i++)
        if (strcmp(functions[i].word, word) == 0) {
            none = functions[i].function;
            /* Keras 3, recognised by its dtype policies, has another hard_sigmoid; see
             * cn_keras_mark_version. */
            if (strcmp(word, "hard_sigmoid") == 0 &&
                strstr(member(json_object_get(config, "dtype"), "class_name"), "DTypePolicy") !=
                    NULL)
                none.alpha = 1.0 / 6;
            (void)json_object_set_new(config, "activation",
                                      json_string(none.after_softmax ? "softmax" : "linear"));
            break;
        }
    *ret_alone = *ret_alone && none.function != NULL && !none.after_softmax;
    return none;
}

void cn_keras_unwrap_values(json_t *config) {
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(config, next, key, value) {
        const char *class_name = member(value, "class_name");
        json_t *plain = NULL;
        if (strcmp(class_name, "__tuple__") == 0)
            plain = json_object_get(value, "items");
        else if (strcmp(class_name, "__numpy__") == 0)
            plain = json_object_get(json_object_get(value, "config"), "value");
        else if (strcmp(member(value, "type"), "ndarray") == 0)
            plain = json_object_get(value, "value");
        if (plain != NULL)
            (void)json_object_set(config, key, plain);
    }
}

enum { MAX_NESTING = 64 /* of models */ };

static json_t *layers_of(json_t *model) {
    json_t *config = json_object_get(model, "config");
    return json_is_array(config) ? config : json_object_get(config, "layers");
}

/* True if an input has Keras 3's batch_shape and says where its class is from: Keras 2 writes
 * batch_input_shape, and this program no module. */
static bool has_input_of_3(json_t *model, int depth) {
    json_t *layers = layers_of(model), *layer;
    size_t i;
    json_array_foreach(layers, i, layer) {
        if (json_object_get(layer, "module") != NULL &&
            strcmp(member(layer, "class_name"), "InputLayer") == 0 &&
            json_object_get(json_object_get(layer, "config"), "batch_shape") != NULL)
            return true;
        if (depth < MAX_NESTING && has_input_of_3(layer, depth + 1))
            return true;
    }
    return false;
}

static void add_policies(json_t *model, int depth) {
    json_t *layers = layers_of(model), *layer;
    size_t i;
    json_array_foreach(layers, i, layer) {
        json_t *config = json_object_get(layer, "config");
        if (json_is_object(config) && !json_is_object(json_object_get(config, "dtype")))
            (void)json_object_set_new(config, "dtype",
                                      json_pack("{s:s, s:{s:s}}", "class_name", "DTypePolicy",
                                                "config", "name", "float32"));
        if (depth < MAX_NESTING)
            add_policies(layer, depth + 1);
    }
}

void cn_keras_mark_version(json_t *root) {
    const char *version = json_string_value(json_object_get(root, "keras_version"));
    if (version != NULL ? strtol(version, NULL, 10) >= 3 : has_input_of_3(root, 0))
        add_policies(root, 0);
}

bool cn_keras_trains_only_class(const char *class_name, const json_t *config) {
    static const char *const classes[] = {"SpatialDropout1D",
                                          "SpatialDropout2D",
                                          "SpatialDropout3D",
                                          "GaussianNoise",
                                          "GaussianDropout",
                                          "AlphaDropout",
                                          "ActivityRegularization",
                                          "RandomFlip",
                                          "RandomRotation",
                                          "RandomZoom",
                                          "RandomTranslation",
                                          "RandomContrast",
                                          "RandomBrightness",
                                          "RandomHeight",
                                          "RandomWidth",
                                          "RandomShear",
                                          "RandomColorJitter"};
    for (size_t i = 0; i < COUNT(classes); i++)
        if (strcmp(classes[i], class_name) == 0)
            return true;
    /* numbers that are dropped together */
    const json_t *together = json_object_get(config, "noise_shape");
    return strcmp(class_name, "Dropout") == 0 && together != NULL && !json_is_null(together);
}

bool cn_keras_trains_only(const char *key) {
    static const char *const ends[] = {"_initializer", "_regularizer", "_constraint", "_init"};
    static const char *const keys[] = {"init", "weights", "activity_regularizer"};
    const size_t length = strlen(key);
    for (size_t i = 0; i < COUNT(ends); i++) {
        const size_t end = strlen(ends[i]);
        if (length > end && strcmp(key + length - end, ends[i]) == 0)
            return true;
    }
    for (size_t i = 0; i < COUNT(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static enum cn_status read_dims(const json_t *list, size_t skip, const struct cn_shape *given,
                                struct cn_shape *ret_shape, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    struct cn_shape shape = {.dims = {1, 1, 1, 1, 1}};
    const size_t size = json_array_size(list);
    if (size < skip + 1 || size > skip + CN_SHAPE_MAX_RANK)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the input shape is %s; it must have from 1 to %d dimensions, such as "
                       "height, width and channels, or features",
                       cn_json_show(list, shown), CN_SHAPE_MAX_RANK);
    shape.rank = (int)(size - skip);
    for (size_t i = 0; i < size - skip; i++) {
        const json_t *dim = json_array_get(list, skip + i);
        if (json_is_null(dim) && given != NULL && given->rank == shape.rank) {
            shape.dims[i] = given->dims[i];
            continue;
        }
        if (!json_is_integer(dim) || json_integer_value(dim) < 1 ||
            json_integer_value(dim) > CN_SHAPE_MAX_ELEMENTS)
            return cn_fail(error, CN_INVALID,
                           "the input shape is %s; each dimension must be an integer from 1 to %d",
                           cn_json_show(list, shown), CN_SHAPE_MAX_ELEMENTS);
        shape.dims[i] = (int)json_integer_value(dim);
    }
    const enum cn_status status = cn_shape_check(&shape, "the input shape", error);
    if (status == CN_OK)
        *ret_shape = shape;
    return status;
}

enum cn_status cn_keras_input_shape(const json_t *config, const struct cn_shape *given,
                                    bool *ret_found, struct cn_shape *ret_shape,
                                    struct cn_error *error) {
    /* The first element of these shapes is the batch. */
    static const struct {
        const char *key;
        size_t skip;
    } keys[] = {{"batch_input_shape", 1},
                {"batch_shape", 1},
                {"build_input_shape", 1},
                {"input_shape", 0},
                {"shape", 0}};
    *ret_found = false;
    for (size_t i = 0; i < COUNT(keys); i++) {
        const json_t *list = json_object_get(config, keys[i].key);
        if (list == NULL || json_is_null(list))
            continue;
        const enum cn_status status = read_dims(list, keys[i].skip, given, ret_shape, error);
        *ret_found = status == CN_OK;
        return status;
    }
    json_t *features = json_object_get(config, "input_dim");
    if (features == NULL || json_is_null(features))
        return CN_OK;
    json_t *list = json_pack("[O]", features);
    const enum cn_status status = read_dims(list, 0, given, ret_shape, error);
    json_decref(list);
    *ret_found = status == CN_OK;
    return status;
}
