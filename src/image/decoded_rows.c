/* decoded_rows.c: averages squares of pixels while they are decoded, so that the memory depends on
 * what the caller needs, not on the size of the picture. Colours are weighted by their alpha. A
 * picture that is small enough is stored unchanged. Thread-safe. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "image/decoded_rows.h"

enum { STOP_EVERY = 16 /* rows between two checks whether to stop */, OPAQUE = 255 };

static int shorter(int length, int by) {
    return (length + by - 1) / by;
}

enum cn_status cn_rows_begin(struct cn_rows *rows, int width, int height, int channels, int done,
                             bool scattered, const struct cn_picture_limits *limits,
                             struct cn_error *error) {
    memset(rows, 0, offsetof(struct cn_rows, colors));
    rows->limits = limits;
    rows->scattered = scattered;
    rows->by = 1;
    rows->width = shorter(width, done);
    rows->height = shorter(height, done);
    const int longer = rows->width > rows->height ? rows->width : rows->height;
    if (limits->side > 0 && longer > limits->side)
        rows->by = shorter(longer, limits->side);
    struct cn_picture *picture = &rows->picture;
    *picture = (struct cn_picture){.width = shorter(rows->width, rows->by),
                                   .height = shorter(rows->height, rows->by),
                                   .channels = channels,
                                   .reduction = rows->by * done,
                                   .full_width = width,
                                   .full_height = height};
    picture->data = calloc((size_t)picture->height, (size_t)picture->width * (size_t)channels);
    if (rows->by > 1)
        rows->sums = calloc((scattered ? (size_t)picture->height : 1) * (size_t)picture->width,
                            sizeof *rows->sums);
    if (picture->data == NULL || (rows->by > 1 && rows->sums == NULL)) {
        cn_rows_clear(rows);
        return cn_fail(error, CN_MEMORY, "no memory for a picture of %d x %d", picture->width,
                       picture->height);
    }
    return CN_OK;
}

/* A pixel as four numbers: colours times alpha, and alpha; pixels without alpha unchanged. */
static inline cn_lanes to_lanes(const uint8_t *pixel, int channels) {
    const uint32_t alpha = channels % 2 == 0 ? pixel[channels - 1] : 1;
    switch (channels) {
    case 1:
        return (cn_lanes){pixel[0], 0, 0, 0};
    case 2:
        return (cn_lanes){pixel[0] * alpha, 0, 0, alpha};
    case 3:
        return (cn_lanes){pixel[0], pixel[1], pixel[2], 0};
    default:
        return (cn_lanes){pixel[0] * alpha, pixel[1] * alpha, pixel[2] * alpha, alpha};
    }
}

/* The colours of an RGBA entry that `channels` has room for. */
static void pick(const uint8_t *rgba, int channels, uint8_t *pixel) {
    memcpy(pixel, rgba, (size_t)(channels < 3 ? 1 : 3));
    if (channels % 2 == 0)
        pixel[channels - 1] = rgba[3];
}

void cn_rows_index(struct cn_rows *rows, const uint8_t *colors) {
    rows->indexed = true;
    for (size_t i = 0; i < 256; i++) {
        uint8_t pixel[4];
        pick(colors + i * 4, rows->picture.channels, pixel);
        if (rows->by > 1)
            rows->colors[i] = to_lanes(pixel, rows->picture.channels);
        else
            memcpy(&rows->colors[i], pixel, sizeof pixel);
    }
}

/* Computes one row of averages from sums over `rows_summed` rows. */
static void average(const struct cn_rows *rows, const cn_lanes *sums, int y, int rows_summed) {
    const struct cn_picture *picture = &rows->picture;
    const int channels = picture->channels, colors = channels < 3 ? 1 : 3;
    uint8_t *to = picture->data + (size_t)y * (size_t)picture->width * (size_t)channels;
    for (int x = 0; x < picture->width; x++, to += channels) {
        const int end = (x + 1) * rows->by < rows->width ? (x + 1) * rows->by : rows->width;
        const uint32_t count = (uint32_t)((end - x * rows->by) * rows_summed);
        const uint32_t alpha = channels % 2 == 0 ? sums[x][3] : count;
        for (int c = 0; c < colors && alpha > 0; c++)
            to[c] = (uint8_t)((sums[x][c] + alpha / 2) / alpha);
        if (channels % 2 == 0)
            to[channels - 1] = (uint8_t)((alpha + count / 2) / count);
    }
}

static int band_height(const struct cn_rows *rows, int band) {
    const int left = rows->height - band * rows->by;
    return left < rows->by ? left : rows->by;
}

/* Finishes the row that is being summed. */
static void flush(struct cn_rows *rows) {
    if (rows->in_band > 0)
        average(rows, rows->sums, rows->band, rows->in_band);
    memset(rows->sums, 0, (size_t)rows->picture.width * sizeof *rows->sums);
    rows->in_band = 0;
}

/* Adds neighbouring pixels; those of a whole square are summed first. */
static void sum_run(const struct cn_rows *rows, cn_lanes *sums, int x, int count,
                    const uint8_t *pixels) {
    const int channels = rows->picture.channels, end = x + count;
    for (int at = x / rows->by; x < end; at++) {
        const int stop = (at + 1) * rows->by < end ? (at + 1) * rows->by : end;
        cn_lanes sum = sums[at];
        if (rows->indexed)
            for (; x < stop; x++)
                sum += rows->colors[*pixels++];
        else
            for (; x < stop; x++, pixels += channels)
                sum += to_lanes(pixels, channels);
        sums[at] = sum;
    }
}

static void sum_apart(const struct cn_rows *rows, cn_lanes *sums, int x, int step, int count,
                      const uint8_t *pixels) {
    const int channels = rows->picture.channels;
    for (int i = 0; i < count; i++)
        sums[(x + i * step) / rows->by] +=
            rows->indexed ? rows->colors[pixels[i]] : to_lanes(pixels + i * channels, channels);
}

static void store(const struct cn_rows *rows, int y, int x, int step, int count,
                  const uint8_t *pixels) {
    const size_t channels = (size_t)rows->picture.channels;
    uint8_t *to =
        rows->picture.data + ((size_t)y * (size_t)rows->picture.width + (size_t)x) * channels;
    if (!rows->indexed && step == 1) {
        memcpy(to, pixels, (size_t)count * channels);
        return;
    }
    if (channels == 1) { /* constant sizes help the compiler */
        for (int i = 0; i < count; i++)
            to[i * step] = rows->indexed ? *(const uint8_t *)&rows->colors[pixels[i]] : pixels[i];
        return;
    }
    for (int i = 0; i < count; i++, to += (size_t)step * channels)
        memcpy(to,
               rows->indexed ? (const uint8_t *)&rows->colors[pixels[i]]
                             : pixels + (size_t)i * channels,
               channels);
}

bool cn_rows_put(struct cn_rows *rows, int y, int x, int step, int count, const uint8_t *pixels) {
    const struct cn_picture_limits *limits = rows->limits;
    if (limits->stop != NULL && rows->since_stop++ % STOP_EVERY == 0 &&
        limits->stop(limits->context))
        return false;
    if (rows->by == 1) {
        store(rows, y, x, step, count, pixels);
        return true;
    }
    cn_lanes *sums = rows->sums;
    const int band = y / rows->by;
    if (rows->scattered) {
        sums += (size_t)band * (size_t)rows->picture.width;
    } else {
        if (band != rows->band)
            flush(rows);
        rows->band = band;
        rows->in_band++;
    }
    if (step == 1)
        sum_run(rows, sums, x, count, pixels);
    else
        sum_apart(rows, sums, x, step, count, pixels);
    return true;
}

void cn_rows_finish(struct cn_rows *rows, struct cn_picture *ret_picture) {
    if (rows->sums != NULL && !rows->scattered)
        flush(rows);
    for (int y = 0; rows->sums != NULL && rows->scattered && y < rows->picture.height; y++)
        average(rows, rows->sums + (size_t)y * (size_t)rows->picture.width, y,
                band_height(rows, y));
    *ret_picture = rows->picture;
    rows->picture.data = NULL;
    cn_rows_clear(rows);
}

void cn_rows_clear(struct cn_rows *rows) {
    free(rows->sums);
    rows->sums = NULL;
    cn_picture_clear(&rows->picture);
}

enum cn_status cn_rows_fail_stopped(struct cn_error *error) {
    return cn_fail(error, CN_CANCELED, "the decoding of the picture was stopped");
}
