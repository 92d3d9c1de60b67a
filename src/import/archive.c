/* archive.c: see archive.h. libzip reads; this file adds the limits. One thread. */
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "import/archive.h"
#include "json/load.h"

enum { MAX_ENTRIES = 65535 };

struct import_archive {
    zip_t *zip;
    size_t count;
};

enum cn_status import_archive_open(const void *bytes, size_t length,
                                   struct import_archive **ret_archive, struct cn_error *error) {
    struct import_archive *archive = calloc(1, sizeof *archive);
    zip_source_t *source = zip_source_buffer_create(bytes, length, 0, NULL);
    if (archive == NULL || source == NULL) {
        zip_source_free(source);
        free(archive);
        return cn_fail(error, CN_MEMORY, "no memory for the archive");
    }
    archive->zip = zip_open_from_source(source, ZIP_RDONLY, NULL);
    if (archive->zip == NULL) {
        zip_source_free(source);
        free(archive);
        return cn_fail(error, CN_MALFORMED,
                       "is not a whole zip archive: its directory is missing or broken");
    }
    const zip_int64_t count = zip_get_num_entries(archive->zip, 0);
    if (count < 0 || count > MAX_ENTRIES) {
        import_archive_close(archive);
        return cn_fail(error, CN_LIMIT, "has %lld entries; the limit is %d", (long long)count,
                       MAX_ENTRIES);
    }
    archive->count = (size_t)count;
    *ret_archive = archive;
    return CN_OK;
}

void import_archive_close(struct import_archive *archive) {
    if (archive == NULL)
        return;
    zip_discard(archive->zip);
    free(archive);
}

size_t import_archive_count(const struct import_archive *archive) {
    return archive->count;
}

const char *import_archive_name(const struct import_archive *archive, size_t index) {
    const char *name = zip_get_name(archive->zip, index, ZIP_FL_ENC_RAW);
    return name != NULL ? name : "";
}

bool import_archive_find(const struct import_archive *archive, const char *name,
                         size_t *ret_index) {
    for (size_t i = 0; i < archive->count; i++)
        if (strcmp(import_archive_name(archive, i), name) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

enum cn_status import_archive_read(struct import_archive *archive, size_t index, size_t limit,
                                   unsigned char **ret_bytes, size_t *ret_length,
                                   struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    zip_stat_t info;
    enum cn_status status = CN_OK;
    size_t used = 0;
    (void)cn_text_show(import_archive_name(archive, index), shown);
    if (zip_stat_index(archive->zip, index, 0, &info) != 0 || (info.valid & ZIP_STAT_SIZE) == 0)
        return cn_fail(error, CN_MALFORMED, "entry \"%s\" has no size", shown);
    if (info.size > limit)
        return cn_fail(error, CN_LIMIT, "entry \"%s\" unpacks to %llu bytes; the limit is %zu",
                       shown, (unsigned long long)info.size, limit);
    unsigned char *bytes = malloc((size_t)info.size + 1);
    zip_file_t *entry = zip_fopen_index(archive->zip, index, 0);
    if (bytes == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for the %llu bytes of entry \"%s\"",
                         (unsigned long long)info.size, shown);
    else if (entry == NULL)
        status = cn_fail(error, CN_UNSUPPORTED, "entry \"%s\" cannot be opened: %s", shown,
                         zip_strerror(archive->zip));
    /* One more byte is read at the end, so that libzip compares the checksum. */
    while (status == CN_OK) {
        unsigned char beyond;
        const bool whole = used == info.size;
        const zip_int64_t got = whole ? zip_fread(entry, &beyond, 1)
                                      : zip_fread(entry, bytes + used, (size_t)info.size - used);
        if (got < 0 || (got == 0) != whole)
            status = cn_fail(error, CN_MALFORMED, "entry \"%s\" is broken: %s", shown,
                             got < 0 ? zip_file_strerror(entry) : "its length is wrong");
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    if (entry != NULL)
        (void)zip_fclose(entry);
    if (status != CN_OK) {
        free(bytes);
        return status;
    }
    bytes[used] = '\0';
    *ret_bytes = bytes;
    *ret_length = used;
    return CN_OK;
}
