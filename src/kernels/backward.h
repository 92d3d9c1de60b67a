/* backward.h: the vectorised arithmetic of the backward passes, one table an instruction set; part
 * of struct cn_kernels, where the padding of rows is described. */
#ifndef CONVNET_KERNELS_BACKWARD_H
#define CONVNET_KERNELS_BACKWARD_H

#include "kernels/conv2d.h"

struct cn_backward_kernels {
    /* dw[kernel_height, kernel_width, in_channels, padded(out_channels)] += x (outer) dz.
     * x: [in_height, in_width, in_channels]
     * dz: [out_height, out_width, padded(out_channels)] */
    void (*conv2d_kernel_gradient)(float *dw, const float *x, const float *dz,
                                   const struct cn_conv2d *shape);
};

extern const struct cn_backward_kernels cn_backward_portable, cn_backward_avx2, cn_backward_avx512;

#endif
