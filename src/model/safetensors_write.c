/* safetensors_write.c: writes the container; see safetensors.h.
 *
 * Builds the header with jansson and passes header and data to cn_file_write, which writes
 * atomically. Writes only what the reader accepts. No state. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/safetensors.h"
#include "model/seal.h"
#include "json/load.h"

enum { LENGTH_BYTES = 8 };

static bool is_sealed(const struct cn_metadata *metadata, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(metadata[i].key, CN_SAFETENSORS_CHECKSUM) == 0)
            return true;
    return false;
}

static enum cn_status add_metadata(json_t *header, const struct cn_metadata *metadata, size_t count,
                                   struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    if (count == 0)
        return CN_OK;
    json_t *object = json_object();
    if (json_object_set_new(header, "__metadata__", object) != 0)
        return cn_fail(error, CN_MEMORY, "no memory for the metadata");
    for (size_t i = 0; i < count; i++) {
        const bool seal = strcmp(metadata[i].key, CN_SAFETENSORS_CHECKSUM) == 0;
        if (json_object_get(object, metadata[i].key) != NULL ||
            json_object_set_new(object, metadata[i].key,
                                json_string(seal ? CN_SEAL_OPEN : metadata[i].value)) != 0)
            return cn_fail(error, CN_INVALID, "metadata \"%s\" occurs twice or not UTF-8",
                           cn_text_show(metadata[i].key, shown));
    }
    return CN_OK;
}

/* Bytes of one number. */
static size_t unit_of(const struct cn_safetensor *tensor) {
    return tensor->bytes != NULL ? 1 : sizeof(float);
}

static enum cn_status check_tensor(const json_t *header, const struct cn_safetensor *tensor,
                                   size_t begin, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    size_t size = 1;
    (void)cn_text_show(tensor->name, shown);
    if (tensor->name[0] == '\0' || strcmp(tensor->name, "__metadata__") == 0 ||
        json_object_get(header, tensor->name) != NULL)
        return cn_fail(error, CN_INVALID, "tensor name \"%s\" is empty, reserved or there twice",
                       shown);
    if (tensor->rank < 0 || tensor->rank > CN_SAFETENSOR_MAX_RANK)
        return cn_fail(error, CN_INVALID, "tensor \"%s\" has rank %d; it must be 0 to %d", shown,
                       tensor->rank, CN_SAFETENSOR_MAX_RANK);
    for (int i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(size, tensor->dims[i], &size))
            return cn_fail(error, CN_INVALID, "tensor \"%s\" has too many elements", shown);
    if (size != tensor->size)
        return cn_fail(error, CN_INVALID, "tensor \"%s\" has %zu numbers, but its shape takes %zu",
                       shown, tensor->size, size);
    if (size > (CN_SAFETENSORS_MAX_FILE - begin) / unit_of(tensor))
        return cn_fail(error, CN_LIMIT, "tensor \"%s\" makes the file larger than %d bytes", shown,
                       CN_SAFETENSORS_MAX_FILE);
    return CN_OK;
}

static enum cn_status add_tensor(json_t *header, const struct cn_safetensor *tensor, size_t *offset,
                                 struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    enum cn_status status = check_tensor(header, tensor, *offset, error);
    if (status != CN_OK)
        return status;
    const size_t end = *offset + tensor->size * unit_of(tensor);
    if (*offset % unit_of(tensor) != 0)
        return cn_fail(error, CN_INVALID, "tensor \"%s\" of floats follows one of bytes",
                       cn_text_show(tensor->name, shown));
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        if (json_array_append_new(shape, json_integer((json_int_t)tensor->dims[i])) != 0) {
            json_decref(shape);
            return cn_fail(error, CN_MEMORY, "no memory for the header");
        }
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->bytes != NULL ? "I8" : "F32",
                              "shape", shape, "data_offsets", (json_int_t)*offset, (json_int_t)end);
    if (json_object_set_new(header, tensor->name, entry) != 0)
        return cn_fail(error, CN_INVALID, "tensor name \"%s\" is not UTF-8",
                       cn_text_show(tensor->name, shown));
    *offset = end;
    return CN_OK;
}

/* The header as JSON text padded with spaces so that the data begins at a multiple of 8. */
static enum cn_status format_header(const json_t *header, char **ret_text, size_t *ret_length,
                                    struct cn_error *error) {
    char *text = json_dumps(header, JSON_COMPACT);
    if (text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the header");
    const size_t length = strlen(text), padded = (length + 7) & ~(size_t)7;
    char *larger = realloc(text, padded + 1);
    if (larger == NULL || padded > CN_SAFETENSORS_MAX_HEADER) {
        free(larger != NULL ? larger : text);
        return larger == NULL
                   ? cn_fail(error, CN_MEMORY, "no memory for the header")
                   : cn_fail(error, CN_LIMIT, "the header takes %zu bytes; the limit is %d", padded,
                             CN_SAFETENSORS_MAX_HEADER);
    }
    memset(larger + length, ' ', padded - length);
    *ret_text = larger;
    *ret_length = padded;
    return CN_OK;
}

/* Writes to `path`, or to the descriptor `fd` if path is NULL. */
static enum cn_status write_all_parts(const char *path, int fd, const struct cn_safetensor *tensors,
                                      size_t tensor_count, const struct cn_metadata *metadata,
                                      size_t metadata_count, struct cn_error *error) {
    struct cn_file_part *parts = calloc(tensor_count + 2, sizeof *parts);
    json_t *header = json_object();
    enum cn_status status = CN_OK;
    unsigned char length_bytes[LENGTH_BYTES];
    char *text = NULL;
    size_t length = 0, offset = 0;
    if (parts == NULL || header == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu tensors", tensor_count);
        goto out;
    }
    if (tensor_count > CN_SAFETENSORS_MAX_TENSORS) {
        status = cn_fail(error, CN_LIMIT, "%zu tensors; the limit is %d", tensor_count,
                         CN_SAFETENSORS_MAX_TENSORS);
        goto out;
    }
    status = add_metadata(header, metadata, metadata_count, error);
    for (size_t i = 0; i < tensor_count && status == CN_OK; i++) {
        status = add_tensor(header, &tensors[i], &offset, error);
        parts[i + 2] = (struct cn_file_part){
            tensors[i].bytes != NULL ? (const void *)tensors[i].bytes : tensors[i].data,
            tensors[i].size * unit_of(&tensors[i])};
    }
    if (status == CN_OK)
        status = format_header(header, &text, &length, error);
    if (status == CN_OK && offset > CN_SAFETENSORS_MAX_FILE - LENGTH_BYTES - length)
        status = cn_fail(error, CN_LIMIT, "the file would be larger than %d bytes",
                         CN_SAFETENSORS_MAX_FILE);
    if (status != CN_OK)
        goto out;
    for (int i = 0; i < LENGTH_BYTES; i++)
        length_bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
    parts[0] = (struct cn_file_part){length_bytes, sizeof length_bytes};
    parts[1] = (struct cn_file_part){text, length};
    if (is_sealed(metadata, metadata_count))
        cn_seal_set(parts, tensor_count + 2, cn_seal_find(text, length));
    status = path != NULL ? cn_file_write(path, parts, tensor_count + 2, error)
                          : cn_file_write_descriptor(fd, parts, tensor_count + 2, error);
out:
    if (path != NULL)
        cn_error_set_source(error, path);
    free(text);
    free(parts);
    json_decref(header);
    return status;
}

enum cn_status cn_safetensors_write(const char *path, const struct cn_safetensor *tensors,
                                    size_t tensor_count, const struct cn_metadata *metadata,
                                    size_t metadata_count, struct cn_error *error) {
    return write_all_parts(path, -1, tensors, tensor_count, metadata, metadata_count, error);
}

enum cn_status cn_safetensors_write_descriptor(int fd, const struct cn_safetensor *tensors,
                                               size_t tensor_count,
                                               const struct cn_metadata *metadata,
                                               size_t metadata_count, struct cn_error *error) {
    return write_all_parts(NULL, fd, tensors, tensor_count, metadata, metadata_count, error);
}
