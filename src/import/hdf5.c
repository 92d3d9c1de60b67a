/* hdf5.c: reads Keras's HDF5 files: models and weights of Keras 1 and 2, and weights of Keras 3.
 *
 * libhdf5 reads the file from memory and never opens one. It has known crashes on crafted files,
 * which is one reason for the sandboxed program. One thread. */
#include <hdf5.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "import/source.h"
#include "json/load.h"

enum {
    MAX_TEXT = 32 << 20, /* bytes of one attribute */
    MAX_LAYERS = 4096,   /* names in one attribute */
};

/* The strings of an attribute, all owned. */
struct texts {
    size_t count;
    char **texts;
};

static void texts_clear(struct texts *texts) {
    for (size_t i = 0; i < texts->count; i++)
        free(texts->texts[i]);
    free(texts->texts);
    *texts = (struct texts){0};
}

/* Copies a path; backslashes, which Keras wrote on Windows, become slashes. */
static void copy_path(char to[static IMPORT_NAME], const char *from) {
    size_t used = 0;
    for (; from[used] != '\0' && used < IMPORT_NAME - 1; used++)
        to[used] = from[used] == '\\' ? '/' : from[used];
    to[used] = '\0';
}

/* The number and the type of the strings in an attribute; false if it has no strings. */
static bool strings_measure(hid_t attribute, hid_t type, size_t *ret_count, size_t *ret_width) {
    const hid_t space = H5Aget_space(attribute);
    const hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    const size_t width = H5Tget_size(type);
    (void)H5Sclose(space);
    *ret_count = count > 0 ? (size_t)count : 0;
    *ret_width = width;
    return H5Tget_class(type) == H5T_STRING && count >= 0 && count <= MAX_LAYERS && width > 0 &&
           width <= MAX_TEXT && (size_t)count * width <= MAX_TEXT;
}

static bool strings_read_fixed(hid_t attribute, hid_t type, size_t width, struct texts *texts) {
    char *block = calloc(texts->count + 1, width);
    bool good = block != NULL && H5Aread(attribute, type, block) >= 0;
    for (size_t i = 0; good && i < texts->count; i++)
        good = (texts->texts[i] = strndup(block + i * width, width)) != NULL;
    free(block);
    return good;
}

static bool strings_read_variable(hid_t attribute, hid_t type, struct texts *texts) {
    char **block = calloc(texts->count + 1, sizeof *block);
    const hid_t space = H5Aget_space(attribute);
    bool good = block != NULL && H5Aread(attribute, type, block) >= 0;
    for (size_t i = 0; good && i < texts->count; i++)
        good = (texts->texts[i] = strdup(block[i] != NULL ? block[i] : "")) != NULL;
    if (good)
        (void)H5Dvlen_reclaim(type, space, H5P_DEFAULT, block);
    (void)H5Sclose(space);
    free(block);
    return good;
}

/* Appends the strings of attribute `name`; false if it does not exist. An empty list of another
 * type counts as one without strings. */
static bool strings_read(hid_t object, const char *name, struct texts *ret_texts,
                         enum cn_status *status, struct cn_error *error) {
    struct texts texts = {0};
    size_t width = 0;
    if (*status != CN_OK || H5Aexists(object, name) <= 0)
        return false;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    if (type < 0) {
        *status = cn_fail(error, CN_MALFORMED, "its attribute %s cannot be read", name);
        goto out;
    }
    if (!strings_measure(attribute, type, &texts.count, &width)) {
        if (texts.count > 0)
            *status =
                cn_fail(error, CN_MALFORMED, "its attribute %s is not a list of strings", name);
        texts.count = 0;
        goto out;
    }
    texts.texts = calloc(texts.count + 1, sizeof *texts.texts);
    if (texts.texts == NULL ||
        !(H5Tis_variable_str(type) > 0 ? strings_read_variable(attribute, type, &texts)
                                       : strings_read_fixed(attribute, type, width, &texts))) {
        *status = cn_fail(error, CN_MALFORMED, "its attribute %s cannot be read", name);
        goto out;
    }
    char **larger =
        reallocarray(ret_texts->texts, ret_texts->count + texts.count + 1, sizeof *larger);
    if (larger == NULL) {
        *status = cn_fail(error, CN_MEMORY, "no memory for its attribute %s", name);
        goto out;
    }
    ret_texts->texts = larger;
    memcpy(larger + ret_texts->count, texts.texts, texts.count * sizeof *larger);
    ret_texts->count += texts.count;
    free(texts.texts);
    texts = (struct texts){0};
out:
    texts_clear(&texts);
    (void)H5Tclose(type);
    (void)H5Aclose(attribute);
    return true;
}

/* Reads the list of names `name`, or its parts name0, name1, ... if it was too long for one
 * attribute. */
static bool names_read(hid_t object, const char *name, struct texts *texts, enum cn_status *status,
                       struct cn_error *error) {
    char piece[64];
    if (strings_read(object, name, texts, status, error))
        return true;
    for (int i = 0; i < MAX_LAYERS; i++) {
        (void)snprintf(piece, sizeof piece, "%s%d", name, i);
        if (!strings_read(object, piece, texts, status, error))
            return i > 0;
    }
    return true;
}

/* Dimensions of a dataset of numbers. */
static enum cn_status dataset_measure(hid_t dataset, const char *shown, int *ret_rank,
                                      size_t dims[IMPORT_MAX_RANK], struct cn_error *error) {
    hsize_t sizes[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    const hid_t plist = H5Dget_create_plist(dataset);
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, sizes, NULL) : -1;
    const H5T_class_t class = H5Tget_class(type);
    const bool elsewhere = plist < 0 || H5Pget_external_count(plist) != 0;
    enum cn_status status = CN_OK;
    if (rank < 0 || rank > IMPORT_MAX_RANK || (class != H5T_FLOAT && class != H5T_INTEGER))
        status = cn_fail(error, CN_UNSUPPORTED,
                         "\"%s\" must be an array of numbers with at most %d dimensions", shown,
                         IMPORT_MAX_RANK);
    else if (elsewhere)
        status = cn_fail(error, CN_UNSUPPORTED, "\"%s\" keeps its numbers in another file", shown);
    for (int i = 0; i < rank && status == CN_OK; i++)
        dims[i] = (size_t)sizes[i];
    *ret_rank = rank;
    (void)H5Pclose(plist);
    (void)H5Tclose(type);
    (void)H5Sclose(space);
    return status;
}

static enum cn_status dataset_add(struct import_source *source, hid_t place, const char *path,
                                  const char *group, const char *name, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    size_t dims[IMPORT_MAX_RANK];
    struct import_tensor *tensor;
    int rank = 0;
    (void)cn_text_show(path, shown);
    const hid_t dataset = H5Dopen2(place, path, H5P_DEFAULT);
    if (dataset < 0)
        return cn_fail(error, CN_MALFORMED, "the weights \"%s\" are missing or cannot be read",
                       shown);
    enum cn_status status = dataset_measure(dataset, shown, &rank, dims, error);
    if (status == CN_OK)
        status = import_source_add(source, group, name, rank, dims, &tensor, error);
    if (status == CN_OK && tensor->size > 0 &&
        H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor->values) < 0)
        status = cn_fail(error, CN_MALFORMED, "the numbers of \"%s\" cannot be read", shown);
    (void)H5Dclose(dataset);
    return status;
}

/* ---- Keras 1 and 2: a group per layer, with its list of weights ---- */

static enum cn_status layer_read(struct import_source *source, hid_t place, const char *layer,
                                 struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    enum cn_status status = CN_OK;
    struct texts names = {0};
    const hid_t group = H5Gopen2(place, layer, H5P_DEFAULT);
    if (group < 0)
        return cn_fail(error, CN_MALFORMED, "has no group \"%s\", which it lists",
                       cn_text_show(layer, shown));
    (void)names_read(group, "weight_names", &names, &status, error);
    for (size_t i = 0; i < names.count && status == CN_OK; i++) {
        char name[IMPORT_NAME];
        copy_path(name, names.texts[i]);
        status = dataset_add(source, group, names.texts[i], layer, name, error);
    }
    texts_clear(&names);
    (void)H5Gclose(group);
    return status;
}

static enum cn_status layers_read(struct import_source *source, hid_t place, struct texts *layers,
                                  struct cn_error *error) {
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < layers->count && status == CN_OK; i++)
        status = layer_read(source, place, layers->texts[i], error);
    return status;
}

/* The first string of an attribute; caller frees with free(). NULL: there is none. */
static char *text_read(hid_t object, const char *name, enum cn_status *status,
                       struct cn_error *error) {
    struct texts texts = {0};
    char *text = NULL;
    if (strings_read(object, name, &texts, status, error) && *status == CN_OK && texts.count > 0) {
        text = texts.texts[0];
        texts.texts[0] = NULL;
    }
    texts_clear(&texts);
    return text;
}

static enum cn_status origin_read(struct import_source *source, hid_t place,
                                  struct cn_error *error) {
    enum cn_status status = CN_OK;
    char *backend = text_read(place, "backend", &status, error);
    char *version = text_read(place, "keras_version", &status, error);
    source->flipped_kernels = backend != NULL && strcmp(backend, "theano") == 0;
    source->keras_1 = source->keras_1 || (version != NULL && version[0] == '1');
    import_source_set_version(source, version);
    free(backend);
    free(version);
    return status;
}

/* ---- Keras 3: nested groups, with "vars" in each ---- */

struct walk {
    struct import_source *source;
    hid_t file;
    enum cn_status status;
    struct cn_error *error;
};

/* "layers/conv2d/vars/0" is the variable "0" of the group "layers/conv2d". */
static herr_t visit(hid_t place, const char *path, const H5O_info_t *info, void *context) {
    struct walk *walk = context;
    char group[IMPORT_NAME];
    (void)place;
    if (strlen(path) >= IMPORT_NAME)
        return 0;
    copy_path(group, path);
    if (strncmp(group, "optimizer", 9) == 0)
        return 0;
    if (info->type == H5O_TYPE_GROUP) {
        walk->status = import_source_add_group(walk->source, group, walk->error);
    } else if (info->type == H5O_TYPE_DATASET) {
        char *name = strrchr(group, '/');
        if (name == NULL)
            return 0;
        *name = '\0';
        char *vars = strrchr(group, '/');
        if (vars != NULL && strcmp(vars, "/vars") == 0)
            *vars = '\0';
        walk->status = dataset_add(walk->source, walk->file, path, group, name + 1, walk->error);
    }
    return walk->status == CN_OK ? 0 : -1;
}

static enum cn_status groups_read(struct import_source *source, hid_t file,
                                  struct cn_error *error) {
    struct walk walk = {source, file, CN_OK, error};
    const herr_t result = H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &walk, H5O_INFO_BASIC);
    if (walk.status != CN_OK)
        return walk.status;
    if (result < 0)
        return cn_fail(error, CN_MALFORMED, "its groups cannot be listed");
    source->naming = IMPORT_BY_CLASS;
    return CN_OK;
}

static enum cn_status architecture_read(struct import_source *source, hid_t file,
                                        struct cn_error *error) {
    enum cn_status status = CN_OK;
    json_error_t problem;
    char *text = text_read(file, "model_config", &status, error);
    if (text != NULL) {
        source->architecture = cn_json_load(text, strlen(text), &problem);
        if (source->architecture == NULL)
            status = cn_fail(error, CN_MALFORMED, "its model_config is not JSON: %s", problem.text);
    }
    free(text);
    return status;
}

static enum cn_status file_read(struct import_source *source, hid_t file, struct cn_error *error) {
    struct texts layers = {0};
    enum cn_status status = architecture_read(source, file, error);
    const bool whole = status == CN_OK && H5Lexists(file, "model_weights", H5P_DEFAULT) > 0;
    const hid_t place = whole ? H5Gopen2(file, "model_weights", H5P_DEFAULT) : file;
    if (status == CN_OK && place < 0)
        status = cn_fail(error, CN_MALFORMED, "its group model_weights cannot be opened");
    if (status == CN_OK)
        status = origin_read(source, file, error);
    if (status == CN_OK && whole && !source->flipped_kernels)
        status = origin_read(source, place, error);
    const bool listed =
        status == CN_OK && names_read(place, "layer_names", &layers, &status, error);
    if (status == CN_OK)
        status =
            listed ? layers_read(source, place, &layers, error) : groups_read(source, file, error);
    source->format = source->architecture != NULL ? "Keras HDF5 model" : "Keras HDF5 weights";
    texts_clear(&layers);
    if (whole)
        (void)H5Gclose(place);
    return status;
}

/* True if a global heap, which has the texts of attributes, has an object without any length:
 * libhdf5 1.10 would walk on the spot. Version 1 of "III.E. Global Heap" in HDF5's file format. */
static bool has_endless_heap(const struct import_file *file) {
    static const unsigned char mark[8] = {'G', 'C', 'O', 'L', 1};
    const unsigned char *end = file->bytes + file->length, *heap = file->bytes;
    while ((heap = memmem(heap, (size_t)(end - heap), mark, sizeof mark)) != NULL) {
        const size_t left = (size_t)(end - heap);
        const uint64_t size = left >= 16 ? cn_number_little(heap + 8, 8) : 0;
        uint64_t at = 16;
        while (at + 16 <= size && at + 16 <= left) {
            const uint64_t length = cn_number_little(heap + at + 8, 8);
            const uint64_t step =
                cn_number_little(heap + at, 2) == 0 ? length : 16 + (length + 7) / 8 * 8;
            if (step == 0)
                return true;
            if (step > left)
                break;
            at += step;
        }
        heap += sizeof mark;
    }
    return false;
}

enum cn_status import_hdf5(const struct import_file *file, struct import_source *source,
                           struct cn_error *error) {
    source->naming = IMPORT_BY_LAYER;
    if (has_endless_heap(file))
        return cn_fail(error, CN_MALFORMED, "has a damaged heap of texts");
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t hdf5 = -1;
    if (H5Pset_fapl_core(access, (size_t)1 << 16, false) >= 0 &&
        H5Pset_file_image(access, (void *)(uintptr_t)file->bytes, file->length) >= 0)
        hdf5 = H5Fopen("memory", H5F_ACC_RDONLY, access);
    (void)H5Pclose(access);
    if (hdf5 < 0)
        return cn_fail(error, CN_MALFORMED, "is not a whole HDF5 file");
    const enum cn_status status = file_read(source, hdf5, error);
    (void)H5Fclose(hdf5);
    return status;
}
