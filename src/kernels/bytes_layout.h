/* bytes_layout.h: where the packed weights of a convolution of bytes lie, for packing and kernels:
 * panels of CN_LANES output channels as kernels.h has them, but of words of four inputs' weights
 * (of one input's, depthwise); then the sums' beginnings, whole numbers; then their scales. */
#ifndef CONVNET_KERNELS_BYTES_LAYOUT_H
#define CONVNET_KERNELS_BYTES_LAYOUT_H

#include "kernels/conv2d.h"

struct cn_bytes_layout {
    size_t groups, out, padded; /* output channels of a group, and room for them */
    size_t run, runs;           /* inputs side by side, and how often in a window */
    size_t words;               /* that hold a run */
    size_t bias;                /* words before the beginnings */
    size_t scales;              /* words from the beginnings to the scales */
};

struct cn_bytes_layout cn_bytes_layout_of(const struct cn_conv2d *shape);

#endif
