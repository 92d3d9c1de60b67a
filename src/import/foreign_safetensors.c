/* foreign_safetensors.c: reads safetensors files of other programs, with PyTorch's names and any
 * number type.
 *
 * A model of this program is refused, since it needs no import. One thread. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "import/source.h"
#include "json/load.h"

enum { MAX_HEADER = 64 << 20 /* bytes */, LENGTH_BYTES = 8 };

static const struct {
    const char *name;
    enum import_dtype dtype;
} dtypes[] = {{"F32", IMPORT_F32}, {"F64", IMPORT_F64}, {"F16", IMPORT_F16},  {"BF16", IMPORT_BF16},
              {"U8", IMPORT_U8},   {"I8", IMPORT_I8},   {"U16", IMPORT_U16},  {"I16", IMPORT_I16},
              {"I32", IMPORT_I32}, {"I64", IMPORT_I64}, {"BOOL", IMPORT_BOOL}};

static bool dtype_find(const char *name, enum import_dtype *ret_dtype) {
    for (size_t i = 0; name != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *ret_dtype = dtypes[i].dtype;
            return true;
        }
    return false;
}

static bool size_read(const json_t *value, size_t *ret_size) {
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret_size = (size_t)json_integer_value(value);
    return true;
}

static enum cn_status entry_read(struct import_source *source, const char *key, const json_t *entry,
                                 const unsigned char *data, size_t length, struct cn_error *error) {
    char shown[CN_JSON_TEXT], shown_type[CN_JSON_TEXT], group[IMPORT_NAME];
    const json_t *shape = json_object_get(entry, "shape");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *type = json_object_get(entry, "dtype");
    size_t dims[IMPORT_MAX_RANK], begin = 0, end = 0;
    struct import_tensor *tensor;
    enum import_dtype dtype;
    (void)cn_text_show(key, shown);
    if (strlen(key) >= IMPORT_NAME || !json_is_array(shape) ||
        json_array_size(shape) > IMPORT_MAX_RANK ||
        !size_read(json_array_get(offsets, 0), &begin) ||
        !size_read(json_array_get(offsets, 1), &end) || begin > end || end > length)
        return cn_fail(error, CN_MALFORMED,
                       "tensor \"%s\" has no usable shape and data_offsets within the %zu bytes of "
                       "data",
                       shown, length);
    if (!dtype_find(json_string_value(type), &dtype))
        return cn_fail(error, CN_UNSUPPORTED, "tensor \"%s\" has dtype %s", shown,
                       cn_json_show(type, shown_type));
    for (size_t i = 0; i < json_array_size(shape); i++)
        if (!size_read(json_array_get(shape, i), &dims[i]))
            return cn_fail(error, CN_MALFORMED, "tensor \"%s\": dimension %zu is not a size", shown,
                           i);
    const char *dot = strrchr(key, '.');
    (void)snprintf(group, sizeof group, "%.*s", dot != NULL ? (int)(dot - key) : 0, key);
    const enum cn_status status =
        import_source_add(source, group, dot != NULL ? dot + 1 : key, (int)json_array_size(shape),
                          dims, &tensor, error);
    if (status != CN_OK)
        return status;
    if (tensor->size > (end - begin) / import_dtype_size(dtype))
        return cn_fail(error, CN_MALFORMED, "tensor \"%s\" has %zu bytes, but its shape takes more",
                       shown, end - begin);
    for (size_t i = 0; i < tensor->size; i++)
        tensor->values[i] = import_dtype_value(dtype, data + begin, i);
    return CN_OK;
}

static enum cn_status entries_read(struct import_source *source, json_t *header,
                                   const unsigned char *data, size_t length,
                                   struct cn_error *error) {
    const json_t *metadata = json_object_get(header, "__metadata__");
    const char *format = json_string_value(json_object_get(metadata, "format"));
    enum cn_status status = CN_OK;
    const char *key;
    json_t *entry;
    if (format != NULL && strncmp(format, "convnet/", 8) == 0)
        return cn_fail(error, CN_INVALID, "is a model of this program already; it needs no import");
    json_object_foreach(header, key, entry) {
        if (strcmp(key, "__metadata__") == 0)
            continue;
        status = entry_read(source, key, entry, data, length, error);
        if (status != CN_OK)
            return status;
    }
    return CN_OK;
}

enum cn_status import_safetensors(const struct import_file *file, struct import_source *source,
                                  struct cn_error *error) {
    json_error_t problem;
    source->format = "safetensors state dict";
    source->naming = IMPORT_BY_SHAPE;
    const uint64_t header_length =
        file->length < LENGTH_BYTES ? 0 : cn_number_little(file->bytes, LENGTH_BYTES);
    if (file->length < LENGTH_BYTES || header_length > file->length - LENGTH_BYTES ||
        header_length > MAX_HEADER)
        return cn_fail(error, CN_MALFORMED, "claims a header of %llu bytes, but has %zu in all",
                       (unsigned long long)header_length, file->length);
    json_t *header =
        cn_json_load((const char *)file->bytes + LENGTH_BYTES, (size_t)header_length, &problem);
    if (!json_is_object(header)) {
        json_decref(header);
        return cn_fail(error, CN_MALFORMED, "its header is not a JSON object");
    }
    const size_t start = LENGTH_BYTES + (size_t)header_length;
    const enum cn_status status =
        entries_read(source, header, file->bytes + start, file->length - start, error);
    json_decref(header);
    return status;
}
