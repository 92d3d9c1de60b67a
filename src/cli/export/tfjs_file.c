/* tfjs_file.c: a network as a TensorFlow.js layers model: Keras layers in Keras 2's spelling,
 * which TensorFlow.js reads, and the weights unchanged. No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/export.h"
#include "json/load.h"

/* Writes the weights of our layer `holds` as those of the layer `name`. */
static void list_weights(const struct cn_network *network, const char *holds, const char *name,
                         json_t *list, struct cn_text *bytes) {
    const size_t length = strlen(holds);
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        char full[2 * CN_TENSOR_NAME];
        if (strncmp(tensor->name, holds, length) != 0 || tensor->name[length] != '/')
            continue;
        (void)snprintf(full, sizeof full, "%s%s", name, tensor->name + length);
        (void)json_array_append_new(list, json_pack("{s:s, s:o, s:s}", "name", full, "shape",
                                                    cn_json_ints(tensor->dims, tensor->rank),
                                                    "dtype", "float32"));
        cn_text_add_bytes(bytes, network->parameters + tensor->offset,
                          tensor->size * sizeof(float));
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
            list_weights(model->network, holds, name, weights, ret_weights);
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
