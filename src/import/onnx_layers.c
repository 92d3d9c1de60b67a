/* onnx_layers.c: makes the layers of an import: names, shapes, weights. It knows no operator. Used
 * by one thread. */
#include <stdio.h>
#include <string.h>

#include "convnet/network.h"
#include "import/onnx_private.h"
#include "json/load.h"

/* An unused name for a layer: the source's, with only the characters that are allowed. */
static bool layer_name(struct onnx_import *import, const char *base, char ret_name[64]) {
    char name[64];
    size_t length = 0;
    for (; base[length] != '\0' && length < 48; length++) {
        const char c = base[length];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
        name[length] = plain ? c : '_';
    }
    name[length] = '\0';
    const char *start = name;
    while (*start == '_' || *start == '.' || *start == '-')
        start++; /* "/features/0/Conv" */
    snprintf(ret_name, 64, "%s", *start != '\0' ? start : "layer");
    for (int number = 1; json_object_get(import->layer_names, ret_name) != NULL; number++)
        snprintf(ret_name, 64, "%.50s_%d", *start != '\0' ? start : "layer", number);
    return json_object_set_new(import->layer_names, ret_name, json_true()) == 0 ||
           onnx_fail(import, CN_MEMORY, "no memory for a name");
}

/* "conv2d" for "Conv2D": the name of a layer that no node of the source corresponds to. */
static void class_lower(const char *class_name, char ret[64]) {
    size_t i = 0;
    for (; class_name[i] != '\0' && i < 40; i++)
        ret[i] = class_name[i] >= 'A' && class_name[i] <= 'Z' ? (char)(class_name[i] + 32)
                                                              : class_name[i];
    ret[i] = '\0';
}

static bool layers_grow(struct onnx_import *import) {
    if (import->layer_count < import->layer_room)
        return true;
    const size_t room = import->layer_room > 0 ? 2 * import->layer_room : 128;
    struct onnx_layer *layers = onnx_allocate(import, room, sizeof *layers);
    if (layers == NULL)
        return false;
    if (import->layer_count > 0)
        memcpy(layers, import->layers, import->layer_count * sizeof *layers);
    import->layers = layers;
    import->layer_room = room;
    return true;
}

int onnx_layer(struct onnx_import *import, const char *class_name, json_t *config, int input_count,
               const int *inputs, int rank, const int *dims) {
    struct onnx_layer layer = {
        .class_name = class_name, .config = NULL, .input_count = input_count, .rank = rank};
    long long size = 1;
    char base[64];
    class_lower(class_name, base);
    layer.config = config != NULL ? config : json_object();
    if (layer.config == NULL) {
        onnx_fail(import, CN_MEMORY, "no memory for a layer");
        return -1;
    }
    layer.inputs = onnx_allocate(import, (size_t)input_count + 1, sizeof *layer.inputs);
    if (import->layer_count >= 2 * CN_NETWORK_MAX_LAYERS)
        onnx_fail(import, CN_LIMIT, "needs more than %d layers", CN_NETWORK_MAX_LAYERS);
    if (layer.inputs == NULL || import->status != CN_OK || !layers_grow(import))
        goto failed;
    for (int i = 0; i < input_count; i++) {
        if (inputs[i] < 0)
            goto failed;
        layer.inputs[i] = inputs[i];
    }
    for (int i = 0; i < rank; i++) {
        layer.dims[i] = dims[i];
        if (dims[i] < 1 || (size *= dims[i]) > CN_SHAPE_MAX_ELEMENTS) {
            onnx_refuse(import,
                        "it would give a dimension of %d and %lld numbers or more; from 1 to "
                        "%d numbers are supported",
                        dims[i], size, CN_SHAPE_MAX_ELEMENTS);
            goto failed;
        }
    }
    const char *source = import->node != NULL ? import->node->label : NULL;
    if (source != NULL && strncmp(class_name, "Permute", 7) != 0 &&
        strncmp(class_name, "Reshape", 7) != 0)
        snprintf(base, sizeof base, "%.60s", source);
    if (!layer_name(import, base, layer.name))
        goto failed;
    layer.source = source;
    import->layers[import->layer_count] = layer;
    return (int)import->layer_count++;
failed:
    json_decref(layer.config);
    return -1;
}

void onnx_layer_rename(struct onnx_import *import, int layer, const char *name) {
    json_object_del(import->layer_names, import->layers[layer].name);
    layer_name(import, name, import->layers[layer].name);
}

bool onnx_layer_weight(struct onnx_import *import, int layer, const char *name, int rank,
                       const int *dims, const float *data) {
    struct onnx_layer *owner = &import->layers[layer];
    if (layer < 0 || data == NULL || owner->weight_count == ONNX_WEIGHTS)
        return onnx_fail(import, CN_MEMORY, "cannot hold the weights of a layer");
    struct onnx_weight *weight = &owner->weights[owner->weight_count++];
    weight->name = name;
    weight->rank = rank;
    if (rank > 0)
        memcpy(weight->dims, dims, (size_t)rank * sizeof *dims);
    weight->data = data;
    return true;
}

int onnx_layer_reshape(struct onnx_import *import, int layer, int rank, const int *dims) {
    const struct onnx_layer *from = &import->layers[layer];
    if (from->rank == rank && memcmp(from->dims, dims, (size_t)rank * sizeof *dims) == 0)
        return layer;
    if (strcmp(from->class_name, "Reshape") == 0 || strcmp(from->class_name, "Flatten") == 0)
        /* a single reshape of the first one is enough */
        return onnx_layer_reshape(import, from->inputs[0], rank, dims);
    if (rank == 1)
        return onnx_layer(import, "Flatten", NULL, 1, &layer, rank, dims);
    return onnx_layer(import, "Reshape",
                      json_pack("{s:o}", "target_shape", cn_json_ints(dims, rank)), 1, &layer, rank,
                      dims);
}

int onnx_layer_permute(struct onnx_import *import, int layer, int rank, const int *order) {
    int dims[ONNX_ENGINE_RANK];
    json_t *axes = json_array();
    for (int i = 0; i < rank; i++) {
        dims[i] = import->layers[layer].dims[order[i]];
        json_array_append_new(axes, json_integer(order[i] + 1)); /* Keras counts from the batch */
    }
    return onnx_layer(import, "Permute", json_pack("{s:o}", "dims", axes), 1, &layer, rank, dims);
}

int onnx_layer_constant(struct onnx_import *import, int rank, const int *dims, const float *data) {
    const int first = 0; /* the first InputLayer, since every layer reads something */
    const int layer =
        onnx_layer(import, "Constant", json_pack("{s:o}", "shape", cn_json_ints(dims, rank)), 1,
                   &first, rank, dims);
    return layer >= 0 && onnx_layer_weight(import, layer, "value", rank, dims, data) ? layer : -1;
}

int onnx_layer_affine(struct onnx_import *import, int layer, const float *scale,
                      const float *shift) {
    const struct onnx_layer from = import->layers[layer];
    const int channels = from.dims[from.rank - 1];
    float *still =
        onnx_allocate(import, 2 * (size_t)channels, sizeof *still); /* mean 0, variance 1 */
    if (still == NULL)
        return -1;
    for (int c = 0; c < channels; c++)
        still[channels + c] = 1;
    const int made = onnx_layer(import, "BatchNormalization",
                                json_pack("{s:f, s:b, s:b}", "epsilon", 1e-10, "scale",
                                          scale != NULL, "center", shift != NULL),
                                1, &layer, from.rank, from.dims);
    const bool whole =
        made >= 0 &&
        (scale == NULL || onnx_layer_weight(import, made, "gamma", 1, &channels, scale)) &&
        (shift == NULL || onnx_layer_weight(import, made, "beta", 1, &channels, shift)) &&
        onnx_layer_weight(import, made, "moving_mean", 1, &channels, still) &&
        onnx_layer_weight(import, made, "moving_variance", 1, &channels, still + channels);
    return whole ? made : -1;
}

int onnx_layer_unary(struct onnx_import *import, int layer, const char *function, double alpha,
                     double beta) {
    const struct onnx_layer from = import->layers[layer];
    return onnx_layer(
        import, "Unary",
        json_pack("{s:s, s:f, s:f}", "function", function, "alpha", alpha, "beta", beta), 1, &layer,
        from.rank, from.dims);
}
