/* backward.h: the vectorised arithmetic of the backward passes, one table per instruction set; part
 * of struct cn_kernels, where the padding of rows is described. */
#ifndef CONVNET_KERNELS_BACKWARD_H
#define CONVNET_KERNELS_BACKWARD_H

#include <stddef.h>

#include "kernels/conv2d.h"
#include "kernels/pooling.h"

struct cn_backward_kernels {
    /* dw[kernel_height, kernel_width, in_channels, padded(out_channels)] += x (outer) dz.
     * x: [in_height, in_width, in_channels]
     * dz: [out_height, out_width, padded(out_channels)] */
    void (*conv2d_kernel_gradient)(float *dw, const float *x, const float *dz,
                                   const struct cn_conv2d *shape);

    /* dx[in_height, in_width, in_channels] += the gradient of the convolution's input.
     * dz: [out_height, out_width, padded(out_channels)]
     * w: [kernel_height, out_channels, padded(kernel_width * in_channels)] */
    void (*conv2d_input_gradient)(float *dx, const float *dz, const float *w,
                                  const struct cn_conv2d *shape);

    /* dz[pixels, padded(channels)] = dy[pixels, channels] where y[pixels, channels] > 0, else 0,
     * and db[channels] += the sum of dz over the pixels. Columns of dz beyond `channels` are not
     * written. */
    void (*relu_gradient)(float *dz, float *db, const float *dy, const float *y, size_t pixels,
                          size_t channels);

    /* sum[columns] += the rows of x[rows, stride]. */
    void (*add_rows)(float *sum, const float *x, size_t rows, size_t columns, size_t stride);

    /* Overwrites dx[in_height, in_width, channels]. The first of equal maxima gets the gradient; y
     * is the output of the forward pass for x. */
    void (*max_pooling)(float *dx, const float *dy, const float *x, const float *y,
                        const struct cn_pooling *shape);
};

#endif
