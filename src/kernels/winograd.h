/* winograd.h: 3 x 3 convolutions by Winograd's minimal filtering F(4 x 4, 3 x 3), as Lavin and Gray
 * describe it (2016, arXiv:1509.09308): a tile of 4 x 4 outputs takes 36 multiplications of each
 * input channel where the definition takes 144. The polynomials are evaluated at 0, 3/4, -3/4, 3/2,
 * -3/2 and infinity, with which a result is as close to the exact one as the definition's is, up to
 * a factor of 2 in the mean. */
#ifndef CONVNET_KERNELS_WINOGRAD_H
#define CONVNET_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/conv2d.h"

enum {
    CN_WINOGRAD_OUT = 4,     /* rows and columns of a tile's outputs */
    CN_WINOGRAD_IN = 6,      /* and of its inputs */
    CN_WINOGRAD_POINTS = 36, /* products that a tile becomes */
    CN_WINOGRAD_TILES = 64   /* that are worth a call of the kernel */
};

/* True if `shape`, of a whole image, is computed faster so. */
bool cn_winograd_pays(const struct cn_conv2d *shape);

/* The shape with windows of 6 x 6: its packed weights have the size and the order that the
 * transformed weights have, so that cn_conv2d_packed_size, cn_conv2d_kernel_size and cn_conv2d_fold
 * work with it. */
struct cn_conv2d cn_winograd_packing(const struct cn_conv2d *shape);

/* As cn_conv2d_pack. */
void cn_winograd_pack(float *packed, const float *kernel, const float *bias,
                      const struct cn_conv2d *shape);

/* Floats between the products of one point and of the next one, which do not begin at the same
 * place of a cache. */
size_t cn_winograd_stride(size_t tiles, int channels);

/* Floats of scratch for an image, or a band of rows of one. */
size_t cn_winograd_scratch_size(const struct cn_conv2d *shape);

#endif
