/* thicken.c: a square dilation in place, rows then columns. A stroke much thinner than a target
 * pixel would fade to grey when averaged; widened first, it arrives as a stroke. Columns go through
 * in strips, so that a cache line is used whole. Thread-safe.
 */
#include <stdlib.h>
#include <string.h>

#include "image/thicken.h"

enum { STRIP = 64 };

static uint8_t larger(uint8_t a, uint8_t b) {
    return a > b ? a : b;
}

/* Sliding maximum over `count` lines of STRIP lanes, windows of `window` lines from `lead` lines
 * before. forward, backward: scratch of count + 2 * window lines. */
static void slide(uint8_t *samples, size_t line_stride, size_t lane_stride, size_t lanes,
                  size_t count, size_t window, size_t lead, uint8_t *forward, uint8_t *backward) {
    const size_t padded = (count + 2 * window - 1) / window * window;
    memset(forward, 0, padded * STRIP);
    for (size_t i = 0; i < count; i++)
        for (size_t lane = 0; lane < lanes; lane++)
            forward[(i + lead) * STRIP + lane] = samples[i * line_stride + lane * lane_stride];
    memcpy(backward, forward, padded * STRIP);
    for (size_t i = 1; i < padded; i++)
        if (i % window != 0)
            for (size_t lane = 0; lane < STRIP; lane++)
                forward[i * STRIP + lane] =
                    larger(forward[i * STRIP + lane], forward[(i - 1) * STRIP + lane]);
    for (size_t i = padded - 1; i-- > 0;)
        if ((i + 1) % window != 0)
            for (size_t lane = 0; lane < STRIP; lane++)
                backward[i * STRIP + lane] =
                    larger(backward[i * STRIP + lane], backward[(i + 1) * STRIP + lane]);
    for (size_t i = 0; i < count; i++)
        for (size_t lane = 0; lane < lanes; lane++)
            samples[i * line_stride + lane * lane_stride] =
                larger(backward[i * STRIP + lane], forward[(i + window - 1) * STRIP + lane]);
}

enum cn_status cn_thicken(struct cn_plane *plane, int by, struct cn_error *error) {
    const size_t width = (size_t)plane->width, height = (size_t)plane->height;
    const size_t window = (size_t)by + 1, lead = (size_t)by / 2;
    const size_t lines = (width > height ? width : height) + 2 * window;
    if (by <= 0)
        return CN_OK;
    uint8_t *scratch = malloc(2 * lines * STRIP);
    if (scratch == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %zu bytes", 2 * lines * STRIP);
    for (size_t y = 0; y < height; y += STRIP)
        slide(plane->samples + y * width, 1, width, height - y < STRIP ? height - y : STRIP, width,
              window, lead, scratch, scratch + lines * STRIP);
    for (size_t x = 0; x < width; x += STRIP)
        slide(plane->samples + x, width, 1, width - x < STRIP ? width - x : STRIP, height, window,
              lead, scratch, scratch + lines * STRIP);
    free(scratch);
    return CN_OK;
}
