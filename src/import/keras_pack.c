/* keras_pack.c: see keras_pack.h. libhdf5 and libzip write into memory; `convnet export` has chosen
 * names and positions. One thread. */
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "base/file.h"
#include "import/keras_pack.h"
#include "import/source.h"

enum { GROWTH = 1 << 20, /* bytes by which the file in memory grows */ ZIP_EPOCH = 315532800 };

/* Properties of all objects for libhdf5: parents are created, and no times are stored, so that the
 * same model gives the same bytes. */
struct pack {
    hid_t file, links, group, dataset;
    const float *values;
    size_t count;
    struct cn_error *error;
};

static enum cn_status failed(const struct pack *p, const char *what) {
    return cn_fail(p->error, CN_IO, "libhdf5 cannot write \"%s\"", what);
}

/* Writes a text, or a list of texts, as UTF-8 strings of variable length, as h5py does for str. */
static enum cn_status pack_attribute(const struct pack *p, hid_t object, const char *name,
                                     const json_t *value) {
    const size_t count = json_is_array(value) ? json_array_size(value) : 1;
    const hsize_t dims = count;
    const char **texts = calloc(count + 1, sizeof *texts);
    if (texts == NULL)
        return cn_fail(p->error, CN_MEMORY, "no memory for the attribute %s", name);
    for (size_t i = 0; i < count; i++)
        texts[i] = json_string_value(json_is_array(value) ? json_array_get(value, i) : value);
    const hid_t space =
        json_is_array(value) ? H5Screate_simple(1, &dims, NULL) : H5Screate(H5S_SCALAR);
    const hid_t type = H5Tcopy(H5T_C_S1);
    bool good = H5Tset_size(type, H5T_VARIABLE) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good = good && attribute >= 0 && (count == 0 || H5Awrite(attribute, type, texts) >= 0);
    (void)H5Aclose(attribute);
    (void)H5Tclose(type);
    (void)H5Sclose(space);
    free(texts);
    return good ? CN_OK : failed(p, name);
}

static enum cn_status pack_group(const struct pack *p, const json_t *entry) {
    const char *path = json_string_value(json_array_get(entry, 0)), *key;
    json_t *attributes = json_array_get(entry, 1), *value;
    const bool root = strcmp(path, "/") == 0;
    const hid_t group = root ? H5Gopen2(p->file, path, H5P_DEFAULT)
                             : H5Gcreate2(p->file, path, p->links, p->group, H5P_DEFAULT);
    enum cn_status status = group >= 0 ? CN_OK : failed(p, path);
    json_object_foreach(attributes, key, value) {
        if (status == CN_OK)
            status = pack_attribute(p, group, key, value);
    }
    (void)H5Gclose(group);
    return status;
}

static enum cn_status pack_array(const struct pack *p, const json_t *entry) {
    const char *path = json_string_value(json_array_get(entry, 0));
    const json_t *shape = json_array_get(entry, 1);
    const size_t first = (size_t)json_integer_value(json_array_get(entry, 2));
    hsize_t dims[IMPORT_MAX_RANK] = {0};
    size_t size = 1, rank = json_array_size(shape);
    for (size_t i = 0; i < rank && i < IMPORT_MAX_RANK; i++) {
        dims[i] = (hsize_t)json_integer_value(json_array_get(shape, i));
        size *= (size_t)dims[i];
    }
    if (rank > IMPORT_MAX_RANK || first > p->count || size > p->count - first)
        return cn_fail(p->error, CN_INVALID, "\"%s\" lies beyond the %zu floats", path, p->count);
    const hid_t space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple((int)rank, dims, NULL);
    const hid_t array =
        H5Dcreate2(p->file, path, H5T_IEEE_F32LE, space, p->links, p->dataset, H5P_DEFAULT);
    const bool good = array >= 0 && H5Dwrite(array, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                             p->values + first) >= 0;
    (void)H5Dclose(array);
    (void)H5Sclose(space);
    return good ? CN_OK : failed(p, path);
}

static enum cn_status pack_contents(const struct pack *p, const json_t *layout) {
    enum cn_status status = CN_OK;
    const json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(layout, "groups"), i, entry) {
        if (status == CN_OK)
            status = pack_group(p, entry);
    }
    json_array_foreach(json_object_get(layout, "arrays"), i, entry) {
        if (status == CN_OK)
            status = pack_array(p, entry);
    }
    return status;
}

/* Makes the HDF5 file; caller frees *ret_bytes with free(). */
static enum cn_status pack_hdf5(struct pack *p, const json_t *layout, void **ret_bytes,
                                size_t *ret_length) {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    void *bytes = NULL;
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    p->links = H5Pcreate(H5P_LINK_CREATE);
    p->group = H5Pcreate(H5P_GROUP_CREATE);
    p->dataset = H5Pcreate(H5P_DATASET_CREATE);
    (void)H5Pset_create_intermediate_group(p->links, 1);
    (void)H5Pset_obj_track_times(p->group, false);
    (void)H5Pset_obj_track_times(p->dataset, false);
    (void)H5Pset_fapl_core(access, GROWTH, false);
    p->file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    enum cn_status status = p->file >= 0 ? pack_contents(p, layout) : failed(p, "/");
    if (status == CN_OK && H5Fflush(p->file, H5F_SCOPE_LOCAL) < 0)
        status = failed(p, "/");
    const ssize_t length = status == CN_OK ? H5Fget_file_image(p->file, NULL, 0) : 0;
    if (status == CN_OK && (length <= 0 || (bytes = malloc((size_t)length)) == NULL ||
                            H5Fget_file_image(p->file, bytes, (size_t)length) != length)) {
        free(bytes);
        status = cn_fail(p->error, CN_MEMORY, "no memory for the HDF5 file");
    }
    (void)H5Fclose(p->file);
    (void)H5Pclose(p->links);
    (void)H5Pclose(p->group);
    (void)H5Pclose(p->dataset);
    (void)H5Pclose(access);
    if (status == CN_OK) {
        *ret_bytes = bytes;
        *ret_length = (size_t)length;
    }
    return status;
}

/* Adds bytes, which must exist until the archive is closed. They are stored uncompressed, as in
 * Keras. */
static bool zip_put(zip_t *zip, const char *name, const void *bytes, size_t length) {
    zip_source_t *source = zip_source_buffer(zip, bytes, length, 0);
    const zip_int64_t index =
        source != NULL ? zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
    if (source != NULL && index < 0)
        zip_source_free(source);
    return index >= 0 && zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_STORE, 0) == 0 &&
           zip_file_set_mtime(zip, (zip_uint64_t)index, ZIP_EPOCH, 0) == 0;
}

static enum cn_status zip_write(zip_source_t *whole, int fd, struct cn_error *error) {
    enum cn_status status = zip_source_open(whole) == 0 ? CN_OK : CN_IO;
    unsigned char *bytes = malloc(GROWTH);
    zip_int64_t got = 1;
    while (status == CN_OK && bytes != NULL && got > 0) {
        got = zip_source_read(whole, bytes, GROWTH);
        if (got > 0)
            status =
                cn_file_write_descriptor(fd, &(struct cn_file_part){bytes, (size_t)got}, 1, error);
    }
    (void)zip_source_close(whole);
    const bool good = bytes != NULL && got == 0;
    free(bytes);
    return status != CN_OK || good ? status : cn_fail(error, CN_IO, "libzip cannot write the file");
}

static enum cn_status pack_zip(json_t *entries, const void *hdf5, size_t length, int fd,
                               struct cn_error *error) {
    zip_source_t *whole = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *zip = whole != NULL ? zip_open_from_source(whole, ZIP_TRUNCATE, NULL) : NULL;
    enum cn_status status = CN_OK;
    const char *name;
    json_t *text;
    if (zip == NULL) {
        zip_source_free(whole);
        return cn_fail(error, CN_MEMORY, "no memory for the archive");
    }
    zip_source_keep(whole);
    bool good = true;
    json_object_foreach(entries, name, text) good =
        good && zip_put(zip, name, json_string_value(text), json_string_length(text));
    good = good && zip_put(zip, "model.weights.h5", hdf5, length);
    if (!good || zip_close(zip) != 0) {
        status = cn_fail(error, CN_IO, "libzip cannot write the file: %s", zip_strerror(zip));
        zip_discard(zip);
    }
    if (status == CN_OK)
        status = zip_write(whole, fd, error);
    zip_source_free(whole);
    return status;
}

enum cn_status import_keras_pack(const json_t *layout, const float *values, size_t count, int fd,
                                 struct cn_error *error) {
    struct pack pack = {.values = values, .count = count, .error = error};
    json_t *entries = json_object_get(layout, "entries");
    size_t length = 0;
    void *hdf5 = NULL;
    enum cn_status status = pack_hdf5(&pack, layout, &hdf5, &length);
    if (status == CN_OK)
        status = json_is_object(entries)
                     ? pack_zip(entries, hdf5, length, fd, error)
                     : cn_file_write_descriptor(fd, &(struct cn_file_part){hdf5, length}, 1, error);
    free(hdf5);
    return status;
}
