/* export_tfjs.c: a network as a TensorFlow.js layers model: our architecture in Keras 2's spelling,
 * which that program reads, and the weights as they are. No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export.h"

/* Layers that TensorFlow.js has. */
static const char *const classes[] = {"InputLayer",
                                      "Conv1D",
                                      "Conv2D",
                                      "Conv2DTranspose",
                                      "DepthwiseConv2D",
                                      "SeparableConv2D",
                                      "Dense",
                                      "Flatten",
                                      "Reshape",
                                      "Permute",
                                      "RepeatVector",
                                      "MaxPooling1D",
                                      "MaxPooling2D",
                                      "AveragePooling1D",
                                      "AveragePooling2D",
                                      "GlobalMaxPooling1D",
                                      "GlobalMaxPooling2D",
                                      "GlobalAveragePooling1D",
                                      "GlobalAveragePooling2D",
                                      "UpSampling2D",
                                      "ZeroPadding2D",
                                      "Cropping2D",
                                      "Add",
                                      "Average",
                                      "Concatenate",
                                      "Maximum",
                                      "Minimum",
                                      "Multiply",
                                      "Activation",
                                      "Dropout",
                                      "BatchNormalization",
                                      "LayerNormalization",
                                      "PReLU",
                                      "Rescaling"};

static bool is_known(const char *class_name) {
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i], class_name) == 0)
            return true;
    return false;
}

/* Our Unary as a layer of its own there. */
static void rewrite_unary(json_t *layer, json_t *config) {
    static const struct {
        const char *function, *class_name, *key;
    } layers[] = {{"leaky_relu", "LeakyReLU", "alpha"},
                  {"elu", "ELU", "alpha"},
                  {"thresholded_relu", "ThresholdedReLU", "theta"}};
    static const char *const activations[][2] = {
        {"selu", "selu"},         {"softplus", "softplus"},
        {"softsign", "softsign"}, {"hard_sigmoid", "hard_sigmoid"},
        {"gelu", "gelu"},         {"mish", "mish"}};
    const char *function = json_string_value(json_object_get(config, "function"));
    const double alpha = json_number_value(json_object_get(config, "alpha"));
    const double beta = json_number_value(json_object_get(config, "beta"));
    const char *class_name = "Unary";
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (strcmp(layers[i].function, function) == 0) {
            class_name = layers[i].class_name;
            (void)json_object_set_new(config, layers[i].key, json_real(alpha));
        }
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i][0], function) == 0 &&
            (strcmp(function, "hard_sigmoid") != 0 || (float)alpha == 0.2F)) {
            class_name = "Activation";
            (void)json_object_set_new(config, "activation", json_string(activations[i][1]));
        }
    if (strcmp(function, "clip") == 0 && alpha == 0 && beta > 0) {
        class_name = "ReLU";
        (void)json_object_set_new(config, "max_value", json_real(beta));
    }
    if (strcmp(function, "affine") == 0) {
        class_name = "Rescaling";
        (void)json_object_set_new(config, "scale", json_real(alpha));
        (void)json_object_set_new(config, "offset", json_real(beta));
    }
    (void)json_object_set_new(layer, "class_name", json_string(class_name));
    if (strcmp(class_name, "Unary") == 0)
        return;
    (void)json_object_del(config, "function");
    (void)json_object_del(config, "beta");
    if (strcmp(class_name, "LeakyReLU") != 0 && strcmp(class_name, "ELU") != 0)
        (void)json_object_del(config, "alpha");
}

/* {"args": [tensor or [tensor, ...]]} as [[name, call, tensor, {}], ...]. */
static json_t *rewrite_call(const json_t *call) {
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

static enum cn_status rewrite_layer(json_t *layer, struct cn_error *error) {
    json_t *config = json_object_get(layer, "config"), *value, *calls = json_array();
    const json_t *call;
    const char *key;
    void *next;
    size_t i;
    if (strcmp(json_string_value(json_object_get(layer, "class_name")), "Unary") == 0)
        rewrite_unary(layer, config);
    const char *class_name = json_string_value(json_object_get(layer, "class_name"));
    const char *name = json_string_value(json_object_get(config, "name"));
    if (name == NULL) {
        (void)json_object_set_new(config, "name", json_string("input"));
        name = json_string_value(json_object_get(config, "name"));
    }
    if (!is_known(class_name) && strcmp(class_name, "LeakyReLU") != 0 &&
        strcmp(class_name, "ELU") != 0 && strcmp(class_name, "ThresholdedReLU") != 0 &&
        strcmp(class_name, "ReLU") != 0) {
        json_decref(calls);
        return cn_fail(error, CN_UNSUPPORTED,
                       "layer \"%s\" is a %s, which TensorFlow.js does not have", name, class_name);
    }
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
        json_array_append_new(calls, rewrite_call(call));
    (void)json_object_set_new(layer, "inbound_nodes", calls);
    (void)json_object_set(layer, "name", json_object_get(config, "name"));
    (void)json_object_del(layer, "module");
    (void)json_object_del(layer, "registered_name");
    return CN_OK;
}

static json_t *list_weights(const struct cn_network *network, struct cn_text *bytes) {
    json_t *list = json_array();
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        json_t *shape = json_array();
        for (int i = 0; i < tensor->rank; i++)
            (void)json_array_append_new(shape, json_integer(tensor->dims[i]));
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "name", tensor->name,
                                                    "shape", shape, "dtype", "float32"));
        cn_text_add_bytes(bytes, network->parameters + tensor->offset,
                          tensor->size * sizeof(float));
    }
    return list;
}

enum cn_status cli_export_tfjs(const struct cn_model *model, const char *weights_name,
                               char **ret_json, struct cn_text *ret_weights,
                               struct cn_error *error) {
    char *text = NULL;
    json_t *layer;
    size_t i;
    if (model->network->temperature != 1)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the softmax is divided by a temperature of %g, which this format cannot "
                       "say; take it away with `convnet edit --temperature 1`",
                       (double)model->network->temperature);
    enum cn_status status = cn_architecture_format(model->network, &text, error);
    if (status != CN_OK)
        return status;
    json_t *root = json_loads(text, 0, NULL);
    json_array_foreach(json_object_get(json_object_get(root, "config"), "layers"), i,
                       layer) if (status == CN_OK) status = rewrite_layer(layer, error);
    free(text);
    if (status == CN_OK) {
        (void)json_object_del(root, "module");
        (void)json_object_del(root, "registered_name");
        json_t *whole =
            json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:O}, s:[{s:[s], s:o}]}", "format",
                      "layers-model", "generatedBy", "convnet", "convertedBy", "convnet export",
                      "modelTopology", "keras_version", "2.15.0", "backend", "tensorflow",
                      "model_config", root, "weightsManifest", "paths", weights_name, "weights",
                      list_weights(model->network, ret_weights));
        *ret_json = whole != NULL ? json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(whole);
        if (*ret_json == NULL || ret_weights->failed)
            status = cn_fail(error, CN_MEMORY, "no memory for the file");
    }
    json_decref(root);
    return status;
}
