/* levels.h: histograms of grey levels, and rows of a plane of one channel. */
#ifndef CONVNET_IMAGE_LEVELS_H
#define CONVNET_IMAGE_LEVELS_H

#include "image/plane.h"

enum {
    CN_LEVELS_FLAT = 12, /* the pixels of an even page lie within this many grey levels */
    CN_LEVELS_SIDE = 48  /* samples per side; smaller pictures are not photographs */
};

static inline uint8_t *cn_levels_row(const struct cn_plane *plane, int y) {
    return plane->samples + (size_t)y * (size_t)plane->width;
}

/* True for a picture too small for a photograph: it was drawn, or scanned and cut out. */
static inline bool cn_levels_small(const struct cn_plane *plane) {
    return plane->width < CN_LEVELS_SIDE && plane->height < CN_LEVELS_SIDE;
}

/* The number of pixels with levels from `from` to `to`. */
static inline size_t cn_levels_between(const size_t *levels, int from, int to) {
    size_t count = 0;
    for (int i = from < 0 ? 0 : from; i <= to && i < 256; i++)
        count += levels[i];
    return count;
}

/* The bin that a `share` of the histogram's values do not exceed. */
static inline int cn_levels_quantile(const size_t *histogram, int bins, double share) {
    size_t total = 0, below = 0;
    int bin = 0;
    for (int i = 0; i < bins; i++)
        total += histogram[i];
    const double target = share * (double)total;
    while (bin < bins - 1 && (double)(below + histogram[bin]) <= target)
        below += histogram[bin++];
    return bin;
}

#endif
