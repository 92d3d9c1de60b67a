/* safetensors.c: reads and checks the container; see safetensors.h.
 *
 * Every length and offset is checked before a pointer is made from it. Independent of networks.
 * Works on private memory; a parsed file is read-only and may be shared by threads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/sha256.h"
#include "model/foreign.h"
#include "model/safetensors.h"
#include "json/load.h"

_Static_assert(sizeof(float) == 4 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the tensors of a file are used as they lie: little-endian binary32");

enum { LENGTH_BYTES = 8 };

/* The extent of one tensor in the data, for checking that tensors cover it without overlaps. */
struct span {
    size_t begin, end;
    const char *name;
    bool is_bytes; /* I8 */
};

/* The state of the reader. */
struct reader {
    const char *source;
    struct cn_error *error;
    size_t data_start, data_length;
};

static enum cn_status read_length(const unsigned char *bytes, size_t length, struct reader *reader,
                                  size_t *ret_header) {
    if (length < LENGTH_BYTES)
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, (long long)length,
                          "has %zu bytes; a model file begins with 8 bytes of header length",
                          length);
    const uint64_t header = cn_number_little(bytes, LENGTH_BYTES);
    if (header > CN_SAFETENSORS_MAX_HEADER)
        return cn_fail_at(
            reader->error, CN_LIMIT, reader->source, 0,
            "is no safetensors file: its first 8 bytes claim a header of %llu bytes; the "
            "limit is %d",
            (unsigned long long)header, CN_SAFETENSORS_MAX_HEADER);
    if (header > length - LENGTH_BYTES)
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, 0,
                          "claims a header of %llu bytes, but only %zu follow",
                          (unsigned long long)header, length - LENGTH_BYTES);
    if (header == 0 || bytes[LENGTH_BYTES] != '{')
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "the header must begin with '{'");
    *ret_header = (size_t)header;
    return CN_OK;
}

static enum cn_status read_metadata(const struct reader *reader, const json_t *object,
                                    struct cn_safetensors *file) {
    char shown[CN_JSON_TEXT];
    if (!json_is_object(object))
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "__metadata__ is %s; it must be an object", cn_json_show(object, shown));
    file->metadata = calloc(json_object_size(object) + 1, sizeof *file->metadata);
    if (file->metadata == NULL)
        goto no_memory;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        struct cn_metadata *pair = &file->metadata[file->metadata_count];
        if (!json_is_string(value))
            return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                              "__metadata__ has a value %s; each must be a string",
                              cn_json_show(value, shown));
        file->metadata_count++;
        pair->key = strdup(key);
        pair->value = strdup(json_string_value(value));
        if (pair->key == NULL || pair->value == NULL)
            goto no_memory;
    }
    return CN_OK;
no_memory:
    return cn_fail_at(reader->error, CN_MEMORY, reader->source, -1, "no memory for the metadata");
}

static enum cn_status read_shape(const struct reader *reader, const char *name, const json_t *shape,
                                 struct cn_safetensor *tensor) {
    char shown[CN_JSON_TEXT];
    const size_t rank = json_array_size(shape); /* 0 unless it is an array */
    if (!json_is_array(shape))
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "tensor \"%s\" has shape %s; it must be a list", name,
                          cn_json_show(shape, shown));
    if (rank > CN_SAFETENSOR_MAX_RANK)
        return cn_fail_at(reader->error, CN_UNSUPPORTED, reader->source, LENGTH_BYTES,
                          "tensor \"%s\" has rank %zu; the limit is %d", name, rank,
                          CN_SAFETENSOR_MAX_RANK);
    tensor->rank = (int)rank;
    tensor->size = 1;
    for (size_t i = 0; i < CN_SAFETENSOR_MAX_RANK; i++) {
        const json_t *dim = json_array_get(shape, i);
        tensor->dims[i] = 1;
        if (i >= rank)
            continue;
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                              "tensor \"%s\" has shape %s; each must be an integer of at least 0",
                              name, cn_json_show(shape, shown));
        tensor->dims[i] = (size_t)json_integer_value(dim);
        if (__builtin_mul_overflow(tensor->size, tensor->dims[i], &tensor->size) ||
            tensor->size > SIZE_MAX / sizeof(float))
            return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                              "tensor \"%s\" has shape %s: too many elements", name,
                              cn_json_show(shape, shown));
    }
    return CN_OK;
}

static enum cn_status read_span(const struct reader *reader, const char *name,
                                const json_t *offsets, const struct cn_safetensor *tensor,
                                size_t unit, struct span *span) {
    char shown[CN_JSON_TEXT];
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "tensor \"%s\" has data_offsets %s; they must be two integers, 0 <= "
                          "begin <= end",
                          name, cn_json_show(offsets, shown));
    if ((uint64_t)json_integer_value(end) > reader->data_length)
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "tensor \"%s\" has data_offsets %s, but the file holds %zu bytes of data",
                          name, cn_json_show(offsets, shown), reader->data_length);
    span->begin = (size_t)json_integer_value(begin);
    span->end = (size_t)json_integer_value(end);
    span->name = tensor->name;
    if (span->end - span->begin != tensor->size * unit)
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source,
                          (long long)(reader->data_start + span->begin),
                          "tensor \"%s\" has %zu bytes, but its shape takes %zu", name,
                          span->end - span->begin, tensor->size * unit);
    if (span->begin % unit != 0)
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source,
                          (long long)(reader->data_start + span->begin),
                          "tensor \"%s\" begins at data byte %zu, which is not a multiple of %zu",
                          name, span->begin, unit);
    span->is_bytes = unit == 1;
    return CN_OK;
}

static enum cn_status read_tensor(const struct reader *reader, const char *key,
                                  const json_t *object, struct cn_safetensor *tensor,
                                  struct span *span) {
    char name[CN_JSON_TEXT], shown[CN_JSON_TEXT];
    const char *member;
    json_t *value;
    (void)cn_text_show(key, name);
    if (key[0] == '\0' || strlen(key) >= sizeof tensor->name)
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "a tensor's name \"%s\" has %zu bytes; it must have 1 to %zu", name,
                          strlen(key), sizeof tensor->name - 1);
    memcpy(tensor->name, key, strlen(key) + 1);
    json_object_foreach((json_t *)object, member, value) {
        if (strcmp(member, "dtype") != 0 && strcmp(member, "shape") != 0 &&
            strcmp(member, "data_offsets") != 0)
            return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                              "tensor \"%s\" has an unknown key \"%s\"", name,
                              cn_text_show(member, shown));
    }
    const json_t *dtype = json_object_get(object, "dtype");
    if (!json_is_string(dtype))
        return cn_fail_at(reader->error, CN_MALFORMED, reader->source, LENGTH_BYTES,
                          "tensor \"%s\" has dtype %s; it must be \"F32\" or \"I8\"", name,
                          cn_json_show(dtype, shown));
    const bool is_bytes = strcmp(json_string_value(dtype), "I8") == 0;
    if (!is_bytes && strcmp(json_string_value(dtype), "F32") != 0)
        return cn_fail_at(reader->error, CN_UNSUPPORTED, reader->source, LENGTH_BYTES,
                          "tensor \"%s\" has dtype %s; only \"F32\" and \"I8\" are supported", name,
                          cn_json_show(dtype, shown));
    enum cn_status status = read_shape(reader, name, json_object_get(object, "shape"), tensor);
    if (status == CN_OK)
        status = read_span(reader, name, json_object_get(object, "data_offsets"), tensor,
                           is_bytes ? 1 : sizeof(float), span);
    return status;
}

static int compare_spans(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Checks that the tensors cover the data from 0 to its end without holes or overlaps. Sorts the
 * spans. */
static enum cn_status check_cover(const struct reader *reader, struct span *spans, size_t count) {
    char name[CN_JSON_TEXT];
    size_t covered = 0;
    qsort(spans, count, sizeof *spans, compare_spans);
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin != covered)
            return cn_fail_at(reader->error, CN_MALFORMED, reader->source,
                              (long long)(reader->data_start + spans[i].begin),
                              "tensor \"%s\" begins at data byte %zu, but the one before it ends "
                              "at %zu (%s)",
                              cn_text_show(spans[i].name, name), spans[i].begin, covered,
                              spans[i].begin < covered ? "overlap" : "hole");
        covered = spans[i].end;
    }
    if (covered != reader->data_length)
        return cn_fail_at(
            reader->error, CN_MALFORMED, reader->source, (long long)(reader->data_start + covered),
            "%zu bytes of data follow the last tensor", reader->data_length - covered);
    return CN_OK;
}

/* Fills tensors and metadata; `spans` has one entry per tensor, in the same order. */
static enum cn_status read_header(const struct reader *reader, json_t *header,
                                  struct cn_safetensors *file, struct span *spans) {
    enum cn_status status = CN_OK;
    const char *key;
    json_t *value;
    json_object_foreach(header, key, value) {
        if (strcmp(key, "__metadata__") == 0) {
            status = read_metadata(reader, value, file);
        } else {
            status = read_tensor(reader, key, value, &file->tensors[file->tensor_count],
                                 &spans[file->tensor_count]);
            file->tensor_count++;
        }
        if (status != CN_OK)
            return status;
    }
    return CN_OK;
}

/* Points the tensors to their data: in place if it is aligned, else in an aligned copy. */
static enum cn_status place_data(const struct reader *reader, const unsigned char *data,
                                 const struct span *spans, struct cn_safetensors *file) {
    const unsigned char *base = data;
    if ((uintptr_t)data % _Alignof(float) != 0) {
        file->copy = cn_floats_allocate((reader->data_length + 3) / sizeof(float));
        if (file->copy == NULL)
            return cn_fail_at(reader->error, CN_MEMORY, reader->source, -1,
                              "no memory for %zu bytes of data", reader->data_length);
        memcpy(file->copy, data, reader->data_length);
        base = (const unsigned char *)file->copy;
    }
    for (size_t i = 0; i < file->tensor_count; i++) {
        const void *at = base + spans[i].begin;
        file->tensors[i].data = spans[i].is_bytes ? NULL : (const float *)at;
        file->tensors[i].bytes = spans[i].is_bytes ? (const int8_t *)at : NULL;
    }
    return CN_OK;
}

enum cn_status cn_safetensors_parse(const void *bytes, size_t length, const char *source,
                                    struct cn_safetensors **ret, struct cn_error *error) {
    struct reader reader = {.source = source, .error = error};
    struct cn_safetensors *file = NULL;
    struct span *spans = NULL, *sorted = NULL;
    json_t *header = NULL;
    size_t header_length = 0;
    const enum cn_foreign kind = cn_foreign_recognize(bytes, length);
    if (kind != CN_FOREIGN_SAFETENSORS && kind != CN_FOREIGN_UNKNOWN && kind != CN_FOREIGN_JSON) {
        (void)cn_foreign_refuse(kind, source, error);
        cn_error_set_source(error, source);
        return CN_UNSUPPORTED;
    }
    if (length > CN_SAFETENSORS_MAX_FILE)
        return cn_fail_at(error, CN_LIMIT, source, -1, "has %zu bytes; the limit is %d", length,
                          CN_SAFETENSORS_MAX_FILE);
    enum cn_status status = read_length(bytes, length, &reader, &header_length);
    if (status != CN_OK)
        return status;
    const char *text = (const char *)bytes + LENGTH_BYTES;
    reader.data_start = LENGTH_BYTES + header_length;
    reader.data_length = length - reader.data_start;
    status = cn_json_parse(text, header_length, "header", source, LENGTH_BYTES, &header, error);
    if (status != CN_OK)
        return status;
    const size_t count =
        json_object_size(header) - (json_object_get(header, "__metadata__") != NULL ? 1 : 0);
    if (count > CN_SAFETENSORS_MAX_TENSORS) {
        status = cn_fail_at(error, CN_LIMIT, source, LENGTH_BYTES,
                            "the header has %zu tensors; the limit is %d", count,
                            CN_SAFETENSORS_MAX_TENSORS);
        goto out;
    }
    file = calloc(1, sizeof *file);
    spans = calloc(count + 1, sizeof *spans);
    sorted = calloc(count + 1, sizeof *sorted);
    if (file != NULL)
        file->tensors = calloc(count + 1, sizeof *file->tensors);
    if (file == NULL || spans == NULL || sorted == NULL || file->tensors == NULL) {
        status = cn_fail_at(error, CN_MEMORY, source, -1, "no memory for %zu tensors", count);
        goto out;
    }
    status = read_header(&reader, header, file, spans);
    if (status != CN_OK)
        goto out;
    memcpy(sorted, spans, (count + 1) * sizeof *spans);
    file->raw = bytes;
    file->raw_length = length;
    status = check_cover(&reader, sorted, file->tensor_count);
    if (status == CN_OK)
        status = place_data(&reader, (const unsigned char *)bytes + reader.data_start, spans, file);
    if (status != CN_OK)
        goto out;
    *ret = file;
    file = NULL;
out:
    cn_safetensors_free(file);
    free(spans);
    free(sorted);
    json_decref(header);
    return status;
}

enum cn_status cn_safetensors_read(const char *path, struct cn_safetensors **ret,
                                   char ret_sha256[65], struct cn_error *error) {
    struct cn_safetensors *file = NULL;
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, CN_SAFETENSORS_MAX_FILE, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    status = cn_safetensors_parse(bytes, length, path, &file, error);
    if (status != CN_OK) {
        free(bytes);
        return status;
    }
    if (ret_sha256 != NULL)
        cn_sha256(&(struct cn_file_part){.bytes = bytes, .length = length}, 1, ret_sha256);
    file->bytes = bytes;
    *ret = file;
    return CN_OK;
}

const struct cn_safetensor *cn_safetensors_tensor(const struct cn_safetensors *file,
                                                  const char *name) {
    for (size_t i = 0; i < file->tensor_count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *cn_safetensors_metadata(const struct cn_safetensors *file, const char *key) {
    for (size_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0)
            return file->metadata[i].value;
    return NULL;
}

void cn_safetensors_free(struct cn_safetensors *file) {
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->metadata_count; i++) {
        free(file->metadata[i].key);
        free(file->metadata[i].value);
    }
    free(file->metadata);
    free(file->tensors);
    free(file->bytes);
    free(file->copy);
    free(file);
}
