/* torch.c: reads PyTorch's state dicts: today's zip, and the sequence of pickles before 1.6.
 *
 * Whole modules and TorchScript are refused with the line of Python that saves a state dict. One
 * thread. */
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "import/archive.h"
#include "import/pickle.h"
#include "import/source.h"
#include "json/load.h"

enum { MAX_PICKLE = 64 << 20 /* bytes */ };

static const struct {
    const char *storage;
    enum import_dtype dtype;
} storages[] = {
    {"FloatStorage", IMPORT_F32}, {"DoubleStorage", IMPORT_F64},    {"HalfStorage", IMPORT_F16},
    {"LongStorage", IMPORT_I64},  {"BFloat16Storage", IMPORT_BF16}, {"IntStorage", IMPORT_I32},
    {"ShortStorage", IMPORT_I16}, {"CharStorage", IMPORT_I8},       {"ByteStorage", IMPORT_U8},
    {"BoolStorage", IMPORT_BOOL},
};

/* The bytes of one storage. */
struct storage {
    const char *key; /* borrowed from the pickle */
    const unsigned char *bytes;
    size_t length;
    unsigned char *owned; /* its bytes, if owned */
};

struct reader {
    struct import_source *source;
    struct import_archive *archive; /* NULL for a legacy file */
    const char *prefix;             /* of the entries' names: "archive" */
    struct storage *storages;
    size_t storage_count;
    size_t taken; /* bytes of storages so far */
    struct cn_error *error;
};

static bool dtype_find(const char *global, enum import_dtype *ret_dtype) {
    const char *dot = strrchr(global, '.');
    for (size_t i = 0; dot != NULL && i < sizeof storages / sizeof storages[0]; i++)
        if (strcmp(storages[i].storage, dot + 1) == 0) {
            *ret_dtype = storages[i].dtype;
            return true;
        }
    return false;
}

static enum cn_status storage_load(struct reader *reader, const char *key,
                                   const struct storage **ret_storage) {
    char path[IMPORT_NAME], shown[CN_JSON_TEXT];
    size_t index, length = 0;
    unsigned char *bytes = NULL;
    for (size_t i = 0; i < reader->storage_count; i++)
        if (strcmp(reader->storages[i].key, key) == 0) {
            *ret_storage = &reader->storages[i];
            return CN_OK;
        }
    (void)snprintf(path, sizeof path, "%s/data/%s", reader->prefix, key);
    if (reader->archive == NULL || !import_archive_find(reader->archive, path, &index))
        return cn_fail(reader->error, CN_MALFORMED, "the storage \"%s\" is missing",
                       cn_text_show(key, shown));
    const enum cn_status status = import_archive_read(
        reader->archive, index, reader->source->limit * sizeof(float) - reader->taken, &bytes,
        &length, reader->error);
    if (status != CN_OK)
        return status;
    reader->taken += length;
    struct storage *larger =
        reallocarray(reader->storages, reader->storage_count + 1, sizeof *larger);
    if (larger == NULL) {
        free(bytes);
        return cn_fail(reader->error, CN_MEMORY, "no memory for the storages");
    }
    reader->storages = larger;
    larger[reader->storage_count] = (struct storage){key, bytes, length, bytes};
    *ret_storage = &larger[reader->storage_count++];
    return CN_OK;
}

/* Reads sizes and strides of a tensor; false if they are not numbers or too many. */
static bool geometry_read(const struct pickle_value *tensor, int *ret_rank,
                          size_t dims[IMPORT_MAX_RANK], size_t strides[IMPORT_MAX_RANK],
                          size_t *ret_offset) {
    const struct pickle_value *offset = tensor->items[1], *sizes = tensor->items[2],
                              *steps = tensor->items[3];
    if (offset->kind != PICKLE_INTEGER || offset->integer < 0 || sizes->kind != PICKLE_TUPLE ||
        steps->kind != PICKLE_TUPLE || sizes->count != steps->count ||
        sizes->count > IMPORT_MAX_RANK)
        return false;
    for (size_t i = 0; i < sizes->count; i++) {
        const struct pickle_value *size = sizes->items[i], *step = steps->items[i];
        if (size->kind != PICKLE_INTEGER || size->integer < 0 || step->kind != PICKLE_INTEGER ||
            step->integer < 0)
            return false;
        dims[i] = (size_t)size->integer;
        strides[i] = (size_t)step->integer;
    }
    *ret_rank = (int)sizes->count;
    *ret_offset = (size_t)offset->integer;
    return true;
}

/* The index of the last element that the strides reach; false if it overflows. */
static bool last_element(int rank, const size_t *dims, const size_t *strides, size_t offset,
                         size_t *ret_last) {
    size_t last = offset, reach;
    for (int i = 0; i < rank; i++)
        if (dims[i] > 0 && (__builtin_mul_overflow(dims[i] - 1, strides[i], &reach) ||
                            __builtin_add_overflow(last, reach, &last)))
            return false;
    *ret_last = last;
    return true;
}

static void values_copy(struct import_tensor *tensor, const size_t *strides, size_t offset,
                        enum import_dtype dtype, const unsigned char *bytes) {
    size_t index[IMPORT_MAX_RANK] = {0};
    for (size_t i = 0; i < tensor->size; i++) {
        size_t place = offset;
        for (int k = 0; k < tensor->rank; k++)
            place += index[k] * strides[k];
        tensor->values[i] = import_dtype_value(dtype, bytes, place);
        for (int k = tensor->rank - 1; k >= 0 && ++index[k] == tensor->dims[k]; k--)
            index[k] = 0;
    }
}

/* "module.layer1.0.conv1.weight" is the tensor "weight" of "layer1.0.conv1". */
static enum cn_status tensor_add(struct reader *reader, const char *path,
                                 const struct pickle_value *value) {
    char shown[CN_JSON_TEXT], group[IMPORT_NAME];
    size_t dims[IMPORT_MAX_RANK], strides[IMPORT_MAX_RANK], offset = 0, last = 0;
    const struct storage *storage;
    struct import_tensor *tensor;
    enum import_dtype dtype;
    int rank = 0;
    (void)cn_text_show(path, shown);
    const char *dot = strrchr(path, '.');
    (void)snprintf(group, sizeof group, "%.*s", dot != NULL ? (int)(dot - path) : 0, path);
    if (!geometry_read(value, &rank, dims, strides, &offset) ||
        !last_element(rank, dims, strides, offset, &last))
        return cn_fail(reader->error, CN_MALFORMED, "tensor \"%s\" has no usable size", shown);
    if (!dtype_find(value->items[0]->text, &dtype))
        return cn_fail(reader->error, CN_UNSUPPORTED, "tensor \"%s\" lies in a %s", shown,
                       value->items[0]->text);
    enum cn_status status = storage_load(reader, value->items[0]->items[0]->text, &storage);
    if (status == CN_OK)
        status = import_source_add(reader->source, group, dot != NULL ? dot + 1 : path, rank, dims,
                                   &tensor, reader->error);
    if (status != CN_OK)
        return status;
    if (tensor->size > 0 && last >= storage->length / import_dtype_size(dtype))
        return cn_fail(reader->error, CN_MALFORMED,
                       "tensor \"%s\" reaches element %zu of a storage of %zu", shown, last,
                       storage->length / import_dtype_size(dtype));
    values_copy(tensor, strides, offset, dtype, storage->bytes);
    return CN_OK;
}

/* Keys that training programs keep a network's weights under, the likeliest first. */
static const char *const wrappers[] = {
    "state_dict", "model_state_dict", "model_state", "model",  "net",
    "network",    "weights",          "params",      "module", NULL};

/* Adds the tensors of a dict, and of dicts in it, except an optimizer's. */
static enum cn_status dict_walk(struct reader *reader, const struct pickle_value *dict,
                                const char *prefix, int depth) {
    enum cn_status status = CN_OK;
    if (depth > 4)
        return cn_fail(reader->error, CN_LIMIT, "has dictionaries nested more than 4 deep");
    for (size_t i = 0; i + 1 < dict->count && status == CN_OK; i += 2) {
        const struct pickle_value *key = dict->items[i], *value = dict->items[i + 1];
        char path[IMPORT_NAME];
        if (key == NULL || value == NULL || key->kind != PICKLE_TEXT ||
            strstr(key->text, "optim") != NULL)
            continue;
        const char *name = strncmp(key->text, "module.", 7) == 0 ? key->text + 7 : key->text;
        (void)snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", name);
        if (value->kind == PICKLE_TENSOR)
            status = tensor_add(reader, path, value);
        else if (value->kind == PICKLE_DICT)
            status = dict_walk(reader, value, path, depth + 1);
    }
    return status;
}

/* The dictionary under one of the wrappers' keys, or dictionaries of them; else the same. */
static const struct pickle_value *weights_find(const struct pickle_value *dict) {
    for (int depth = 0; depth < 4; depth++) {
        const struct pickle_value *inner = NULL;
        for (size_t w = 0; wrappers[w] != NULL && inner == NULL; w++)
            for (size_t i = 0; i + 1 < dict->count && inner == NULL; i += 2) {
                const struct pickle_value *key = dict->items[i], *value = dict->items[i + 1];
                if (key != NULL && value != NULL && key->kind == PICKLE_TEXT &&
                    value->kind == PICKLE_DICT && value->count > 0 &&
                    strcmp(key->text, wrappers[w]) == 0)
                    inner = value;
            }
        if (inner == NULL)
            break;
        dict = inner;
    }
    return dict;
}

static enum cn_status state_read(struct reader *reader, const struct pickle_value *root) {
    if (root->kind != PICKLE_DICT)
        return cn_fail(reader->error, CN_UNSUPPORTED,
                       "does not hold a dictionary of tensors; save the weights: "
                       "torch.save(model.state_dict(), \"weights.pth\")");
    reader->source->naming = IMPORT_BY_SHAPE;
    enum cn_status status = dict_walk(reader, weights_find(root), "", 0);
    if (status == CN_OK && reader->source->tensor_count == 0)
        status = cn_fail(reader->error, CN_INVALID, "holds no tensors");
    return status;
}

static void reader_clear(struct reader *reader) {
    for (size_t i = 0; i < reader->storage_count; i++)
        free(reader->storages[i].owned);
    free(reader->storages);
}

/* Finds PREFIX/data.pkl; `prefix` becomes PREFIX with a NUL. */
static bool pickle_find(const struct import_archive *archive, char prefix[static IMPORT_NAME],
                        size_t *ret_index) {
    static const char ending[] = "/data.pkl";
    for (size_t i = 0; i < import_archive_count(archive); i++) {
        const char *name = import_archive_name(archive, i);
        const size_t length = strlen(name), end = sizeof ending - 1;
        if (length > end && length < IMPORT_NAME && strcmp(name + length - end, ending) == 0) {
            (void)snprintf(prefix, IMPORT_NAME, "%.*s", (int)(length - end), name);
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool is_script(const struct import_archive *archive, const char *prefix) {
    char path[IMPORT_NAME];
    size_t index;
    (void)snprintf(path, sizeof path, "%.490s/constants.pkl", prefix);
    return import_archive_find(archive, path, &index);
}

enum cn_status import_torch_zip(const struct import_file *file, struct import_source *source,
                                struct cn_error *error) {
    char prefix[IMPORT_NAME] = "";
    struct reader reader = {.source = source, .prefix = prefix, .error = error};
    const struct pickle_value *root = NULL;
    struct pickle *pickle = NULL;
    unsigned char *bytes = NULL;
    size_t index = 0, length = 0, offset = 0;
    source->format = "PyTorch state dict";
    enum cn_status status = import_archive_open(file->bytes, file->length, &reader.archive, error);
    if (status == CN_OK && !pickle_find(reader.archive, prefix, &index))
        status = cn_fail(error, CN_UNSUPPORTED,
                         "is a zip archive, but neither a .keras file (no config.json) nor a "
                         "PyTorch file (no data.pkl)");
    if (status == CN_OK && is_script(reader.archive, prefix))
        status = cn_fail(error, CN_UNSUPPORTED,
                         "is a TorchScript program; export it: python -c \"import torch; m = "
                         "torch.jit.load('model.pt'); torch.onnx.export(m, torch.zeros(1, 3, 224, "
                         "224), 'model.onnx')\"");
    if (status == CN_OK)
        status = import_archive_read(reader.archive, index, MAX_PICKLE, &bytes, &length, error);
    if (status == CN_OK)
        status = pickle_create(&pickle, error);
    if (status == CN_OK)
        status = pickle_read(pickle, bytes, length, &offset, &root, error);
    if (status == CN_OK)
        status = state_read(&reader, root);
    reader_clear(&reader);
    pickle_free(pickle);
    free(bytes);
    import_archive_close(reader.archive);
    return status;
}

/* ---- Before 1.6: magic number, protocol, system, the pickle, the keys, the storages ---- */

static enum cn_status storages_read(struct reader *reader, const struct import_file *file,
                                    const struct pickle_value *keys, size_t offset,
                                    const size_t *widths) {
    reader->storages = calloc(keys->count + 1, sizeof *reader->storages);
    if (reader->storages == NULL)
        return cn_fail(reader->error, CN_MEMORY, "no memory for the storages");
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->items[i] == NULL || keys->items[i]->kind != PICKLE_TEXT ||
            file->length - offset < 8)
            return cn_fail(reader->error, CN_MALFORMED, "its storages end too early");
        const uint64_t count = cn_number_little(file->bytes + offset, 8);
        offset += 8;
        if (count > (file->length - offset) / widths[i])
            return cn_fail(reader->error, CN_MALFORMED,
                           "storage %zu claims %llu elements, but only %zu bytes follow", i,
                           (unsigned long long)count, file->length - offset);
        reader->storages[i] = (struct storage){keys->items[i]->text, file->bytes + offset,
                                               (size_t)count * widths[i], NULL};
        reader->storage_count++;
        offset += (size_t)count * widths[i];
    }
    return CN_OK;
}

/* The element width of the storage with this key, from the tensors; 0: no tensor uses it. */
static size_t width_find(const struct pickle_value *value, const char *key, int depth) {
    enum import_dtype dtype;
    if (value == NULL || depth > 6)
        return 0;
    if (value->kind == PICKLE_STORAGE)
        return strcmp(value->items[0]->text, key) == 0 && dtype_find(value->text, &dtype)
                   ? import_dtype_size(dtype)
                   : 0;
    for (size_t i = 0; i < value->count; i++) {
        const size_t width = width_find(value->items[i], key, depth + 1);
        if (width != 0)
            return width;
    }
    return 0;
}

static enum cn_status legacy_read(struct reader *reader, const struct import_file *file,
                                  struct pickle *pickle) {
    const struct pickle_value *parts[5] = {NULL}; /* magic, protocol, system, root, keys */
    size_t offset = 0, *widths = NULL;
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < 5 && status == CN_OK; i++)
        status = pickle_read(pickle, file->bytes, file->length, &offset, &parts[i], reader->error);
    if (status != CN_OK)
        return status;
    if (parts[4]->kind != PICKLE_TUPLE)
        return cn_fail(reader->error, CN_MALFORMED, "has no list of storages");
    widths = calloc(parts[4]->count + 1, sizeof *widths);
    if (widths == NULL)
        return cn_fail(reader->error, CN_MEMORY, "no memory for the storages");
    for (size_t i = 0; i < parts[4]->count && status == CN_OK; i++) {
        const struct pickle_value *key = parts[4]->items[i];
        widths[i] =
            key != NULL && key->kind == PICKLE_TEXT ? width_find(parts[3], key->text, 0) : 0;
        if (widths[i] == 0)
            status = cn_fail(reader->error, CN_MALFORMED, "storage %zu belongs to no tensor", i);
    }
    if (status == CN_OK)
        status = storages_read(reader, file, parts[4], offset, widths);
    free(widths);
    return status == CN_OK ? state_read(reader, parts[3]) : status;
}

enum cn_status import_torch_legacy(const struct import_file *file, struct import_source *source,
                                   struct cn_error *error) {
    struct reader reader = {.source = source, .prefix = "", .error = error};
    struct pickle *pickle = NULL;
    source->format = "PyTorch state dict (legacy)";
    enum cn_status status = pickle_create(&pickle, error);
    if (status == CN_OK)
        status = legacy_read(&reader, file, pickle);
    reader_clear(&reader);
    pickle_free(pickle);
    return status;
}
