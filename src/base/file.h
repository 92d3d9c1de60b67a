/* file.h: reads and writes whole files, with checks. */
#ifndef CONVNET_BASE_FILE_H
#define CONVNET_BASE_FILE_H

#include <stddef.h>

#include "convnet/status.h"

/* Reads a whole regular file of at most `limit` bytes into private memory with one NUL after its
 * end (not counted). Caller frees with free(). error->source is `path`. */
enum cn_status cn_file_read(const char *path, size_t limit, unsigned char **ret_bytes,
                            size_t *ret_length, struct cn_error *error);

/* The two halves of cn_file_read, for a file that is read more than once: it need not be found
 * under its name any more. Caller closes the descriptor. */
enum cn_status cn_file_open(const char *path, int *ret_fd, struct cn_error *error);
enum cn_status cn_file_read_open(int fd, const char *path, size_t limit, unsigned char **ret_bytes,
                                 size_t *ret_length, struct cn_error *error);

/* One part of a file to be written. */
struct cn_file_part {
    const void *bytes;
    size_t length;
};

/* Writes the parts one after another as the file `path`, atomically: a temporary file in the same
 * folder, fsync, rename, fsync of the folder. After a failure the old file is unchanged and no
 * temporary file is left. A killed process may leave one, .<name>.XXXXXX; the next save of the name
 * removes it. */
enum cn_status cn_file_write(const char *path, const struct cn_file_part *parts, size_t part_count,
                             struct cn_error *error);

/* Writes the parts to an open descriptor, from its current position. */
enum cn_status cn_file_write_descriptor(int fd, const struct cn_file_part *parts, size_t part_count,
                                        struct cn_error *error);

#endif
