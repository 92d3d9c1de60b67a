/* tfjs.c: reads TensorFlow.js layers models: model.json, and the shards of weights that it names.
 *
 * Quantized weights are converted to numbers: value * scale + min. Graph models are refused. One
 * thread. */
#include <stdlib.h>
#include <string.h>

#include "import/source.h"
#include "json/load.h"

/* The bytes of a group of shards, concatenated. */
struct shards {
    unsigned char *bytes;
    size_t length, used;
};

static const struct {
    const char *name;
    enum import_dtype dtype;
} dtypes[] = {{"float32", IMPORT_F32}, {"float16", IMPORT_F16}, {"int32", IMPORT_I32},
              {"uint8", IMPORT_U8},    {"uint16", IMPORT_U16},  {"bool", IMPORT_BOOL}};

static bool dtype_find(const char *name, enum import_dtype *ret_dtype) {
    for (size_t i = 0; name != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *ret_dtype = dtypes[i].dtype;
            return true;
        }
    return false;
}

static enum cn_status shards_read(const struct import_file *file, const json_t *paths, size_t limit,
                                  struct shards *shards, struct cn_error *error) {
    enum cn_status status = CN_OK;
    const json_t *path;
    size_t i;
    json_array_foreach((json_t *)paths, i, path) {
        unsigned char *bytes = NULL;
        size_t length = 0;
        if (!json_is_string(path))
            return cn_fail(error, CN_MALFORMED, "weightsManifest has a path that is not a string");
        status = import_read_beside(file, json_string_value(path), limit - shards->length, &bytes,
                                    &length, error);
        if (status != CN_OK)
            return status;
        unsigned char *larger = realloc(shards->bytes, shards->length + length + 1);
        if (larger != NULL) {
            memcpy(larger + shards->length, bytes, length);
            shards->bytes = larger;
            shards->length += length;
        } else {
            status = cn_fail(error, CN_MEMORY, "no memory for the weights");
        }
        free(bytes);
        if (status != CN_OK)
            return status;
    }
    return CN_OK;
}

static enum cn_status dims_read(const json_t *weight, const char *shown, int *ret_rank,
                                size_t dims[IMPORT_MAX_RANK], struct cn_error *error) {
    const json_t *shape = json_object_get(weight, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > IMPORT_MAX_RANK)
        return cn_fail(error, CN_MALFORMED, "weight \"%s\" has no shape of at most %d dimensions",
                       shown, IMPORT_MAX_RANK);
    *ret_rank = (int)json_array_size(shape);
    for (int i = 0; i < *ret_rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return cn_fail(error, CN_MALFORMED,
                           "weight \"%s\": dimension %d is not an integer of at "
                           "least 0",
                           shown, i);
        dims[i] = (size_t)json_integer_value(dim);
    }
    return CN_OK;
}

/* "model/conv2d/kernel" belongs to the layer "model/conv2d". */
static enum cn_status weight_add(struct import_source *source, const char *full, int rank,
                                 const size_t *dims, struct import_tensor **ret_tensor,
                                 struct cn_error *error) {
    char group[IMPORT_NAME];
    const char *slash = strrchr(full, '/');
    (void)snprintf(group, sizeof group, "%.*s", slash != NULL ? (int)(slash - full) : 0, full);
    return import_source_add(source, group, slash != NULL ? slash + 1 : full, rank, dims,
                             ret_tensor, error);
}

static enum cn_status weight_read(struct import_source *source, const json_t *weight,
                                  struct shards *shards, struct cn_error *error) {
    char shown[CN_JSON_TEXT], shown_type[CN_JSON_TEXT];
    const char *name = json_string_value(json_object_get(weight, "name"));
    const json_t *quantization = json_object_get(weight, "quantization");
    const json_t *type = json_object_get(quantization != NULL ? quantization : weight, "dtype");
    double scale = 1, minimum = 0;
    size_t dims[IMPORT_MAX_RANK];
    struct import_tensor *tensor;
    enum import_dtype dtype;
    int rank = 0;
    if (name == NULL || strlen(name) >= IMPORT_NAME)
        return cn_fail(error, CN_MALFORMED, "weightsManifest has a weight without a usable name");
    (void)cn_text_show(name, shown);
    if (!dtype_find(json_string_value(type), &dtype))
        return cn_fail(error, CN_UNSUPPORTED, "weight \"%s\" has dtype %s", shown,
                       cn_json_show(type, shown_type));
    if (quantization != NULL && dtype != IMPORT_F16) {
        scale = json_number_value(json_object_get(quantization, "scale"));
        minimum = json_number_value(json_object_get(quantization, "min"));
    }
    enum cn_status status = dims_read(weight, shown, &rank, dims, error);
    if (status == CN_OK)
        status = weight_add(source, name, rank, dims, &tensor, error);
    if (status != CN_OK)
        return status;
    const size_t element = import_dtype_size(dtype);
    if (tensor->size > (shards->length - shards->used) / element)
        return cn_fail(error, CN_MALFORMED,
                       "the shards end at %zu bytes, within weight \"%s\", which begins at %zu",
                       shards->length, shown, shards->used);
    /* TensorFlow.js computes in float32. */
    for (size_t i = 0; i < tensor->size; i++) {
        const float value = import_dtype_value(dtype, shards->bytes + shards->used, i);
        tensor->values[i] = quantization != NULL ? value * (float)scale + (float)minimum : value;
    }
    shards->used += tensor->size * element;
    return CN_OK;
}

static enum cn_status group_read(const struct import_file *file, struct import_source *source,
                                 const json_t *group, struct cn_error *error) {
    const json_t *weights = json_object_get(group, "weights"), *weight;
    struct shards shards = {0};
    size_t i;
    enum cn_status status = shards_read(file, json_object_get(group, "paths"),
                                        source->limit * sizeof(float), &shards, error);
    if (status == CN_OK && !json_is_array(weights))
        status = cn_fail(error, CN_MALFORMED, "weightsManifest has a group without weights");
    json_array_foreach((json_t *)weights, i, weight) if (status == CN_OK) status =
        weight_read(source, weight, &shards, error);
    free(shards.bytes);
    return status;
}

static enum cn_status topology_read(struct import_source *source, const json_t *root,
                                    struct cn_error *error) {
    json_t *topology = json_object_get(root, "modelTopology");
    json_t *config = json_object_get(topology, "model_config");
    const char *format = json_string_value(json_object_get(root, "format"));
    if ((format != NULL && strcmp(format, "graph-model") == 0) ||
        json_object_get(topology, "node") != NULL)
        return cn_fail(
            error, CN_UNSUPPORTED,
            "is a TensorFlow.js graph model, which has no layers any more; convert the "
            "Keras model that it was made of, or the SavedModel: python -m tf2onnx.convert "
            "--saved-model FOLDER --output model.onnx");
    if (json_is_string(config)) { /* some writers store the JSON as text */
        json_error_t problem;
        source->architecture =
            cn_json_load(json_string_value(config), strlen(json_string_value(config)), &problem);
    } else {
        source->architecture = json_incref(config != NULL ? config : topology);
    }
    if (!json_is_object(source->architecture))
        return cn_fail(error, CN_MALFORMED, "has no modelTopology of layers");
    import_source_set_version(source,
                              json_string_value(json_object_get(topology, "keras_version")));
    return CN_OK;
}

enum cn_status import_tfjs(const struct import_file *file, struct import_source *source,
                           struct cn_error *error) {
    json_error_t problem;
    size_t i;
    json_t *root = cn_json_load((const char *)file->bytes, file->length, &problem);
    if (root == NULL)
        return cn_fail(error, CN_MALFORMED, "is not JSON: %s (line %d)", problem.text,
                       problem.line);
    source->format = "TensorFlow.js layers model";
    source->naming = IMPORT_BY_NAME;
    enum cn_status status = topology_read(source, root, error);
    const json_t *manifest = json_object_get(root, "weightsManifest"), *group;
    if (status == CN_OK && !json_is_array(manifest))
        status = cn_fail(error, CN_MALFORMED, "has no weightsManifest");
    json_array_foreach((json_t *)manifest, i, group) if (status == CN_OK) status =
        group_read(file, source, group, error);
    json_decref(root);
    return status;
}
