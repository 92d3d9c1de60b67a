/* decoded_rows.h: receives rows from decoders and makes a picture of them, which is reduced on the
 * way. */
#ifndef CONVNET_IMAGE_DECODED_ROWS_H
#define CONVNET_IMAGE_DECODED_ROWS_H

#include "image/format.h"

/* Four numbers of one pixel, which are added at once. */
typedef uint32_t cn_lanes __attribute__((vector_size(16)));

struct cn_rows {
    struct cn_picture picture; /* the result */
    const struct cn_picture_limits *limits;
    int width, height; /* of the decoder's output */
    int by;            /* the decoder's pixels per side of a pixel of the picture */
    bool scattered;    /* sums for the whole picture are kept, not for one row */
    bool indexed;      /* rows are indices into `colors` */
    cn_lanes *sums;
    int in_band, band; /* decoder's rows in the current row of the picture */
    unsigned since_stop;
    cn_lanes colors[256]; /* must be last; only cn_rows_index sets it */
};

/* Begins a picture for a file of width x height that a decoder delivers reduced by `done` (1: not).
 * `scattered`: rows or pixels do not arrive from top to bottom. The limits are borrowed until
 * cn_rows_clear. Caller ends with cn_rows_finish or cn_rows_clear. CN_MEMORY. */
enum cn_status cn_rows_begin(struct cn_rows *rows, int width, int height, int channels, int done,
                             bool scattered, const struct cn_picture_limits *limits,
                             struct cn_error *error);

/* From now on rows are indices: `colors` [256, 4] is RGBA, of which the picture's channels are
 * used. */
void cn_rows_index(struct cn_rows *rows, const uint8_t *colors);

/* Takes `count` pixels of row y, at every `step`th column from x on. False: the caller asked to
 * stop. */
bool cn_rows_put(struct cn_rows *rows, int y, int x, int step, int count, const uint8_t *pixels);

/* Returns the picture, which the caller clears, and ends `rows`. */
void cn_rows_finish(struct cn_rows *rows, struct cn_picture *ret_picture);

/* Use this after a failure; it also accepts rows that were only zeroed. */
void cn_rows_clear(struct cn_rows *rows);

enum cn_status cn_rows_fail_stopped(struct cn_error *error);

#endif
