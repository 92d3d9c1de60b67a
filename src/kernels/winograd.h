/* winograd.h: 3 x 3 convolutions by Winograd's minimal filtering F(4 x 4, 3 x 3), as Lavin and Gray
 * describe it (2016, arXiv:1509.09308): a tile of 4 x 4 outputs takes 36 multiplications of each
 * input channel where the definition takes 144. The polynomials are evaluated at 0, 3/4, -3/4, 3/2,
 * -3/2 and infinity, with which a result is as close to the exact one as the definition's is, up to
 * a factor of 2 in the mean. The weights are packed as for conv2d and transformed when they are
 * used: transformed they are four times as large, and reading so many takes longer. */
#ifndef CONVNET_KERNELS_WINOGRAD_H
#define CONVNET_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/kernels.h"

enum {
    CN_WINOGRAD_OUT = 4,     /* rows and columns of a tile's outputs */
    CN_WINOGRAD_IN = 6,      /* and of its inputs */
    CN_WINOGRAD_POINTS = 36, /* products that a tile becomes */
    CN_WINOGRAD_PANELS = 2,  /* panels of CN_LANES output channels that are computed together */
    CN_WINOGRAD_CHANNELS = CN_WINOGRAD_PANELS * CN_LANES,
    CN_WINOGRAD_DEPTH = 128 /* input channels of a slice: as many as keep the transformed weights of
                               those panels in a cache */
};

/* True if `shape`, of a whole image, is computed faster so. */
bool cn_winograd_pays(const struct cn_conv2d *shape);

/* The number of rows of tiles for one call of the kernel: enough tiles to share the transformed
 * weights, and few enough that their transformed inputs stay in a cache. */
size_t cn_winograd_band(const struct cn_conv2d *shape);

/* The sizes of an image or a band. The last three are the floats from the array of one point to
 * that of the next. They are not powers of 2, so that the arrays begin at different places of a
 * cache. */
struct cn_winograd_room {
    size_t tiles, slices; /* slices: of the input channels */
    size_t inputs;        /* of all tiles and input channels */
    size_t weights;       /* of one panel and one slice */
    size_t outputs;       /* of all tiles and CN_WINOGRAD_CHANNELS */
};
struct cn_winograd_room cn_winograd_room_of(const struct cn_conv2d *shape);

/* Floats of scratch for an image, or a band of rows of one. */
size_t cn_winograd_scratch_size(const struct cn_conv2d *shape);

#endif
