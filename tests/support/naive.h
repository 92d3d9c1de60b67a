/* naive.h: the oracles: each kernel written as its definition, in double, without regard to speed.
 */
#ifndef CONVNET_TESTS_NAIVE_H
#define CONVNET_TESTS_NAIVE_H

#include <stdbool.h>

#include "kernels/conv2d.h"

/* y[out_height, out_width, out_channels] from x[in_height, in_width, in_channels],
 * w[kernel_height, kernel_width, in_channels / groups, out_channels] and b[out_channels]. */
void naive_conv2d(double *y, const float *x, const float *w, const float *b,
                  const struct cn_conv2d *shape, bool relu);

/* dw (as w) from x and dz (as y). */
void naive_conv2d_kernel_gradient(double *dw, const float *x, const float *dz,
                                  const struct cn_conv2d *shape);

/* dx (as x) from w and dz (as y). */
void naive_conv2d_input_gradient(double *dx, const float *w, const float *dz,
                                 const struct cn_conv2d *shape);

#endif
