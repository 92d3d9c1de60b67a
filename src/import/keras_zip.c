/* keras_zip.c: reads Keras 3's `.keras`: a zip of config.json, metadata.json and model.weights.h5.
 *
 * hdf5.c reads the weights. One thread. */
#include <stdlib.h>
#include <string.h>

#include "import/archive.h"
#include "import/source.h"
#include "json/load.h"

enum { MAX_CONFIG = 32 << 20 /* bytes */ };

static enum cn_status entry_read(struct import_archive *archive, const char *name, size_t limit,
                                 unsigned char **ret_bytes, size_t *ret_length,
                                 struct cn_error *error) {
    size_t index;
    if (!import_archive_find(archive, name, &index))
        return cn_fail(error, CN_MALFORMED, "has no %s, which a .keras file needs", name);
    return import_archive_read(archive, index, limit, ret_bytes, ret_length, error);
}

static enum cn_status config_read(struct import_archive *archive, struct import_source *source,
                                  struct cn_error *error) {
    unsigned char *bytes = NULL;
    json_error_t problem;
    size_t length = 0;
    enum cn_status status = entry_read(archive, "config.json", MAX_CONFIG, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    source->architecture = cn_json_load((const char *)bytes, length, &problem);
    if (source->architecture == NULL)
        status = cn_fail(error, CN_MALFORMED, "its config.json is not JSON: %s", problem.text);
    free(bytes);
    return status;
}

/* Reads the version of Keras from metadata.json, if there is one. */
static enum cn_status version_read(struct import_archive *archive, struct import_source *source,
                                   struct cn_error *error) {
    unsigned char *bytes = NULL;
    json_error_t problem;
    size_t index, length = 0;
    if (!import_archive_find(archive, "metadata.json", &index))
        return CN_OK;
    const enum cn_status status =
        import_archive_read(archive, index, MAX_CONFIG, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    json_t *metadata = cn_json_load((const char *)bytes, length, &problem);
    import_source_set_version(source,
                              json_string_value(json_object_get(metadata, "keras_version")));
    json_decref(metadata);
    free(bytes);
    return CN_OK;
}

enum cn_status import_keras_zip(const struct import_file *file, struct import_source *source,
                                struct cn_error *error) {
    struct import_archive *archive = NULL;
    struct import_file weights = {.name = file->name, .folder = -1};
    unsigned char *bytes = NULL;
    enum cn_status status = import_archive_open(file->bytes, file->length, &archive, error);
    if (status == CN_OK)
        status = config_read(archive, source, error);
    if (status == CN_OK)
        status = version_read(archive, source, error);
    if (status == CN_OK)
        status = entry_read(archive, "model.weights.h5", source->limit * sizeof(float), &bytes,
                            &weights.length, error);
    if (status == CN_OK) {
        weights.bytes = bytes;
        status = import_hdf5(&weights, source, error);
        source->format = "Keras .keras model";
    }
    free(bytes);
    import_archive_close(archive);
    return status;
}
