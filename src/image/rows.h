/* rows.h: where decoders put their rows: a picture that is made as they come, reduced on the way.
 */
#ifndef CONVNET_IMAGE_ROWS_H
#define CONVNET_IMAGE_ROWS_H

#include "image/format.h"

/* Four numbers of one pixel, added at once. */
typedef uint32_t cn_lanes __attribute__((vector_size(16)));

struct cn_rows {
    struct cn_picture picture; /* the result */
    const struct cn_picture_limits *limits;
    int width, height; /* of what the decoder gives */
    int by;            /* of its pixels a side of one of the picture's */
    bool scattered;    /* sums of the whole picture, not of one row */
    bool indexed;      /* rows are indices into `colors` */
    cn_lanes *sums;
    cn_lanes colors[256];
    int in_band, band; /* rows of the picture's row that is being summed up */
    unsigned since_stop;
};

/* A file's picture of width x height that a decoder gives reduced by `done` (1: not). `scattered`:
 * rows or pixels do not come from top to bottom. The limits are borrowed until cn_rows_clear.
 * Caller ends with cn_rows_finish or cn_rows_clear. CN_MEMORY. */
enum cn_status cn_rows_begin(struct cn_rows *rows, int width, int height, int channels, int done,
                             bool scattered, const struct cn_picture_limits *limits,
                             struct cn_error *error);

/* Rows are indices from now on: `colors` [256, 4] is RGBA, of which the picture's channels count.
 */
void cn_rows_index(struct cn_rows *rows, const uint8_t *colors);

/* Takes `count` pixels of row y, every `step`th from x on. False: the caller asked to stop. */
bool cn_rows_put(struct cn_rows *rows, int y, int x, int step, int count, const uint8_t *pixels);

/* The picture, which the caller clears; `rows` ends. */
void cn_rows_finish(struct cn_rows *rows, struct cn_picture *ret_picture);

/* After a failure; also for rows that were only zeroed. */
void cn_rows_clear(struct cn_rows *rows);

enum cn_status cn_rows_fail_stopped(struct cn_error *error);

#endif
