/* packing.h: arranges the weights of a convolution in the order in which its kernel reads them. */
#ifndef CONVNET_KERNELS_PACKING_H
#define CONVNET_KERNELS_PACKING_H

#include "kernels/conv2d.h"

/* The floats of the packed kernel, and of kernel and bias together. */
size_t cn_conv2d_kernel_size(const struct cn_conv2d *shape);
size_t cn_conv2d_packed_size(const struct cn_conv2d *shape);

/* packed[cn_conv2d_packed_size] from kernel[kernel_height, kernel_width, in_channels / groups,
 * out_channels] and bias[out_channels], NULL for zeros. */
void cn_conv2d_pack(float *packed, const float *kernel, const float *bias,
                    const struct cn_conv2d *shape);

/* The same for a kernel[out_channels, rows of the reduction] of one group, without a bias. */
void cn_conv2d_pack_transposed(float *packed, const float *kernel, const struct cn_conv2d *shape);

/* Folds a scale and a shift into the weights: output channel c becomes c * scale[c] + shift[c]. */
void cn_conv2d_fold(float *packed, const struct cn_conv2d *shape, const float *scale,
                    const float *shift);

#endif
