/* tfjs_file.c: a network as a TensorFlow.js layers model: Keras layers in Keras 2's spelling,
 * which TensorFlow.js reads, and the weights unchanged. No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/export.h"
#include "json/load.h"

static void list_weight(const char *name, json_t *shape, const float *values, size_t size,
                        json_t *list, struct cn_text *bytes) {
    (void)json_array_append_new(
        list, json_pack("{s:s, s:o, s:s}", "name", name, "shape", shape, "dtype", "float32"));
    cn_text_add_bytes(bytes, values, size * sizeof(float));
}

/* A Constant's numbers are the bias of a Dense, whose kernel [1, size] is 0. */
static void list_constant(const struct cn_network *network, const struct cn_tensor *tensor,
                          const char *name, json_t *list, struct cn_text *bytes) {
    char full[2 * CN_TENSOR_NAME];
    float *zeros = calloc(tensor->size, sizeof *zeros);
    if (zeros == NULL) {
        bytes->failed = true;
        return;
    }
    (void)snprintf(full, sizeof full, "%s/kernel", name);
    list_weight(full, json_pack("[i, I]", 1, (json_int_t)tensor->size), zeros, tensor->size, list,
                bytes);
    (void)snprintf(full, sizeof full, "%s/bias", name);
    list_weight(full, json_pack("[I]", (json_int_t)tensor->size),
                network->parameters + tensor->offset, tensor->size, list, bytes);
    free(zeros);
}

/* The weights of a layer of sequences that is written as one of pictures get an axis of 1. */
static json_t *shape_of(const struct cn_tensor *tensor, const char *class_name, const char *ours) {
    json_t *shape = cn_json_ints(tensor->dims, tensor->rank);
    if (tensor->rank == 3 && strstr(class_name, "2D") != NULL && strstr(ours, "1D") != NULL)
        (void)json_array_insert_new(shape, 1, json_integer(1));
    return shape;
}

static const char *class_holding(const struct cn_network *network, const char *holds) {
    for (size_t l = 0; l < network->layer_count; l++)
        if (strcmp(network->layers[l].name, holds) == 0)
            return cn_layer_type_name(network->layers[l].type);
    return "";
}

/* Writes the weights of our layer `holds` as those of the layer `name` of class `class_name`. */
static void list_weights(const struct cn_network *network, const char *holds,
                         const char *class_name, const char *name, json_t *list,
                         struct cn_text *bytes) {
    const char *ours = class_holding(network, holds);
    const size_t length = strlen(holds);
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        char full[2 * CN_TENSOR_NAME];
        if (strncmp(tensor->name, holds, length) != 0 || tensor->name[length] != '/')
            continue;
        if (strcmp(ours, "Constant") == 0) {
            list_constant(network, tensor, name, list, bytes);
            continue;
        }
        (void)snprintf(full, sizeof full, "%s%s", name, tensor->name + length);
        list_weight(full, shape_of(tensor, class_name, ours), network->parameters + tensor->offset,
                    tensor->size, list, bytes);
    }
}

enum cn_status cli_export_tfjs(const struct cn_model *model, const char *weights_name,
                               char **ret_json, struct cn_text *ret_weights,
                               struct cn_error *error) {
    json_t *root = NULL, *weights = json_array(), *layer;
    size_t i;
    const enum cn_status status = cli_export_layers(model->network, CLI_TFJS, &root, error);
    if (status != CN_OK) {
        json_decref(weights);
        return status;
    }
    json_array_foreach(json_object_get(json_object_get(root, "config"), "layers"), i, layer) {
        const char *holds = json_string_value(json_object_get(layer, "holds"));
        const char *name =
            json_string_value(json_object_get(json_object_get(layer, "config"), "name"));
        if (holds != NULL)
            list_weights(model->network, holds,
                         json_string_value(json_object_get(layer, "class_name")), name, weights,
                         ret_weights);
    }
    cli_export_respell(root);
    json_t *whole =
        json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:o}, s:[{s:[s], s:o}]}", "format", "layers-model",
                  "generatedBy", "convnet", "convertedBy", "convnet export", "modelTopology",
                  "keras_version", "2.15.0", "backend", "tensorflow", "model_config", root,
                  "weightsManifest", "paths", weights_name, "weights", weights);
    *ret_json = whole != NULL ? json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(whole);
    return *ret_json != NULL && !ret_weights->failed
               ? CN_OK
               : cn_fail(error, CN_MEMORY, "no memory for the file");
}
