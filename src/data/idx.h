/* idx.h: IDX files, the format of MNIST: two zero bytes, an element type (8: unsigned byte), the
 * rank, one big-endian 32-bit size per axis, then the elements. Plain or gzipped.
 */
#ifndef CONVNET_DATA_IDX_H
#define CONVNET_DATA_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum { CN_IDX_MAX_RANK = 3 };

struct cn_idx {
    int rank;
    int sizes[CN_IDX_MAX_RANK]; /* [0] is the number of items */
    uint8_t *elements;          /* freed by cn_idx_clear */
};

/* Memory for elements that grows as realloc's does: at least `size` bytes, with the old contents.
 * Returns NULL after a failure, with `error` filled in and the old memory unchanged. */
struct cn_idx_room {
    void *data;
    uint8_t *(*resize)(void *data, size_t size, struct cn_error *error);
};

/* Reads a file that must have exactly this rank (1: labels, 3: images). error->source is `path`.
 * room NULL: elements are malloc'd; else they are the room's, also after a failure.
 * CN_MALFORMED: another magic number, more or fewer bytes than the sizes claim, corrupt gzip;
 * CN_LIMIT: more than 1 TiB. */
enum cn_status cn_idx_read(const char *path, int rank, const struct cn_idx_room *room,
                           struct cn_idx *ret_idx, struct cn_error *error);

void cn_idx_clear(struct cn_idx *idx);

#endif
