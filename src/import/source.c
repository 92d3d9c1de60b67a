/* source.c: the tensors of a foreign file, number types, and files beside it; see source.h.
 *
 * Independent of containers. One thread. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/number.h"
#include "import/source.h"
#include "json/load.h"

enum { MAX_TENSORS = 16384 };

/* Makes room for one element more. */
static bool tensors_grow(void **array, size_t count, size_t *capacity, size_t element) {
    if (count < *capacity)
        return true;
    const size_t needed = *capacity == 0 ? 64 : *capacity * 2;
    void *larger = reallocarray(*array, needed, element);
    if (larger == NULL)
        return false;
    *array = larger;
    *capacity = needed;
    return true;
}

enum cn_status import_source_add(struct import_source *source, const char *group, const char *name,
                                 int rank, const size_t *dims, struct import_tensor **ret_tensor,
                                 struct cn_error *error) {
    char shown[CN_JSON_TEXT], shown_group[CN_JSON_TEXT];
    struct import_tensor tensor = {.rank = rank, .size = 1};
    (void)cn_text_show(name, shown);
    (void)cn_text_show(group, shown_group);
    if (rank < 0 || rank > IMPORT_MAX_RANK)
        return cn_fail(error, CN_UNSUPPORTED,
                       "tensor \"%s\" of \"%s\" has rank %d; the limit is %d", shown, shown_group,
                       rank, IMPORT_MAX_RANK);
    for (int i = 0; i < rank; i++) {
        tensor.dims[i] = dims[i];
        if (__builtin_mul_overflow(tensor.size, dims[i], &tensor.size))
            return cn_fail(error, CN_MALFORMED, "tensor \"%s\" of \"%s\" has too many elements",
                           shown, shown_group);
    }
    if (tensor.size > source->limit - source->floats)
        return cn_fail(error, CN_LIMIT,
                       "tensor \"%s\" of \"%s\" has %zu elements, more than a file of this length "
                       "can hold (%zu)",
                       shown, shown_group, tensor.size, source->limit);
    if (source->tensor_count == MAX_TENSORS)
        return cn_fail(error, CN_LIMIT, "the file has more than %d tensors", MAX_TENSORS);
    if (!tensors_grow((void **)&source->tensors, source->tensor_count, &source->tensor_capacity,
                      sizeof *source->tensors))
        return cn_fail(error, CN_MEMORY, "no memory for the tensors");
    tensor.group = strdup(group);
    tensor.name = strdup(name);
    tensor.values = calloc(tensor.size + 1, sizeof *tensor.values);
    if (tensor.group == NULL || tensor.name == NULL || tensor.values == NULL) {
        free(tensor.group);
        free(tensor.name);
        free(tensor.values);
        return cn_fail(error, CN_MEMORY, "no memory for tensor \"%s\" of %zu elements", shown,
                       tensor.size);
    }
    source->floats += tensor.size;
    source->tensors[source->tensor_count] = tensor;
    *ret_tensor = &source->tensors[source->tensor_count++];
    return CN_OK;
}

enum cn_status import_source_add_group(struct import_source *source, const char *path,
                                       struct cn_error *error) {
    if (source->group_count == MAX_TENSORS)
        return cn_fail(error, CN_LIMIT, "the file has more than %d groups", MAX_TENSORS);
    if (!tensors_grow((void **)&source->groups, source->group_count, &source->group_capacity,
                      sizeof *source->groups) ||
        (source->groups[source->group_count] = strdup(path)) == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the groups");
    source->group_count++;
    return CN_OK;
}

void import_source_set_version(struct import_source *source, const char *version) {
    if (version != NULL && json_is_object(source->architecture))
        (void)json_object_set_new(source->architecture, "keras_version", json_string(version));
}

void import_source_clear(struct import_source *source) {
    for (size_t i = 0; i < source->tensor_count; i++) {
        free(source->tensors[i].group);
        free(source->tensors[i].name);
        free(source->tensors[i].values);
    }
    for (size_t i = 0; i < source->group_count; i++)
        free(source->groups[i]);
    free(source->tensors);
    free(source->groups);
    json_decref(source->architecture);
    json_decref(source->labels);
    *source = (struct import_source){0};
}

size_t import_dtype_size(enum import_dtype dtype) {
    static const size_t sizes[] = {
        [IMPORT_F32] = 4, [IMPORT_F64] = 8, [IMPORT_F16] = 2, [IMPORT_BF16] = 2,
        [IMPORT_U8] = 1,  [IMPORT_I8] = 1,  [IMPORT_U16] = 2, [IMPORT_I16] = 2,
        [IMPORT_I32] = 4, [IMPORT_I64] = 8, [IMPORT_BOOL] = 1};
    return sizes[dtype];
}

float import_dtype_value(enum import_dtype dtype, const unsigned char *bytes, size_t index) {
    const size_t size = import_dtype_size(dtype);
    const uint64_t bits = cn_number_little(bytes + index * size, (int)size);
    const uint32_t low = (uint32_t)bits;
    float single;
    double wide;
    switch (dtype) {
    case IMPORT_F32:
        memcpy(&single, &low, sizeof single);
        return single;
    case IMPORT_F64:
        memcpy(&wide, &bits, sizeof wide);
        return (float)wide;
    case IMPORT_F16:
        return cn_number_half((uint16_t)bits);
    case IMPORT_BF16:
        return cn_number_brain((uint16_t)bits);
    case IMPORT_I8:
        return (float)(int8_t)bits;
    case IMPORT_I16:
        return (float)(int16_t)bits;
    case IMPORT_I32:
        return (float)(int32_t)bits;
    case IMPORT_I64:
        return (float)(int64_t)bits;
    case IMPORT_BOOL:
        return bits != 0 ? 1.0f : 0.0f;
    case IMPORT_U8:
    case IMPORT_U16:
        break;
    }
    return (float)bits;
}

/* True for a relative name without "..", which stays in its folder. */
static bool stays_inside(const char *name) {
    if (name[0] == '\0' || name[0] == '/' || strlen(name) >= IMPORT_NAME)
        return false;
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += part[0] == '/' ? 1 : 0;
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    return true;
}

enum cn_status import_read_beside(const struct import_file *file, const char *name, size_t limit,
                                  unsigned char **ret_bytes, size_t *ret_length,
                                  struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    struct stat info;
    unsigned char *bytes = NULL;
    size_t used = 0;
    enum cn_status status = CN_OK;
    (void)cn_text_show(name, shown);
    if (!stays_inside(name))
        return cn_fail(error, CN_INVALID,
                       "names the file \"%s\"; it must be a path below the model's own folder",
                       shown);
    const int fd = file->folder >= 0
                       ? openat(file->folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
                       : -1;
    if (fd < 0)
        return cn_fail(error, CN_IO, "cannot open \"%s\", which it names: %s", shown,
                       file->folder >= 0 ? strerror(errno) : "it has no folder");
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 0)
        status = cn_fail(error, CN_INVALID, "\"%s\", which it names, is not a regular file", shown);
    else if ((size_t)info.st_size > limit)
        status = cn_fail(error, CN_LIMIT, "\"%s\" has %lld bytes; the limit is %zu", shown,
                         (long long)info.st_size, limit);
    else if ((bytes = malloc((size_t)info.st_size + 1)) == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for the %lld bytes of \"%s\"",
                         (long long)info.st_size, shown);
    while (status == CN_OK && used < (size_t)info.st_size) {
        const ssize_t got = read(fd, bytes + used, (size_t)info.st_size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            status = cn_fail(error, CN_IO, "cannot read \"%s\": %s", shown,
                             got < 0 ? strerror(errno) : "it shrank");
        used += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    if (status != CN_OK) {
        free(bytes);
        return status;
    }
    bytes[used] = '\0';
    *ret_bytes = bytes;
    *ret_length = used;
    return CN_OK;
}
