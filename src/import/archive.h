/* archive.h: reads whole entries of a zip archive in memory, with limits, by libzip. */
#ifndef CONVNET_IMPORT_ARCHIVE_H
#define CONVNET_IMPORT_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "convnet/status.h"

struct import_archive;

/* Opens the archive in `bytes`, borrowed until import_archive_close. CN_MALFORMED. */
enum cn_status import_archive_open(const void *bytes, size_t length,
                                   struct import_archive **ret_archive, struct cn_error *error);

/* Accepts NULL. */
void import_archive_close(struct import_archive *archive);

size_t import_archive_count(const struct import_archive *archive);

/* The name of entry `index`, or "". Borrowed until import_archive_close. */
const char *import_archive_name(const struct import_archive *archive, size_t index);

/* The index of the entry of this name; false if there is none. */
bool import_archive_find(const struct import_archive *archive, const char *name, size_t *ret_index);

/* Reads a whole entry, with a NUL after its end; caller frees with free(). CN_LIMIT above `limit`
 * bytes, whatever the directory says; CN_MALFORMED for a bad checksum. */
enum cn_status import_archive_read(struct import_archive *archive, size_t index, size_t limit,
                                   unsigned char **ret_bytes, size_t *ret_length,
                                   struct cn_error *error);

#endif
