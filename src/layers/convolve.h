/* convolve.h: shared by the convolution types besides affine.c: tensors, geometry, and the backward
 * pass of one image with groups and dilation, in plain loops. */
#ifndef CONVNET_LAYERS_CONVOLVE_H
#define CONVNET_LAYERS_CONVOLVE_H

#include "layers/layer_type.h"
#include "layers/window.h"

/* The geometry of a convolution over `windows`. */
struct cn_affine cn_convolution_affine(const struct cn_window windows[2], int in_channels,
                                       int out_channels, int groups, enum cn_activation activation,
                                       bool use_bias);

/* Appends the tensor `name` [rows, columns, in, out] to the layer's; for a layer over one axis
 * without rows. */
void cn_convolution_tensors(struct cn_layer *layer, const char *name,
                            const struct cn_window windows[2], int in, int out,
                            enum cn_initializer initializer);

/* Appends "bias" [channels]. */
void cn_bias_tensor(struct cn_layer *layer, int channels, enum cn_initializer initializer);

/* Floats of the kernel [kernel_height, kernel_width, in_channels / groups, out_channels]. */
size_t cn_convolve_kernel_size(const struct cn_affine *affine);

/* Computes dz of one image [out_height, out_width, out_channels] from dy and y of the same shape;
 * adds its sums to the bias's gradient db[out_channels] if there is a bias. */
void cn_convolve_activation_gradient(const struct cn_affine *affine, bool dy_is_dz, const float *dy,
                                     const float *y, float *dz, float *db);

/* The backward pass of one image x[height, width, in_channels]: adds to dw, the gradient of the
 * kernel w, and overwrites dx (NULL: not needed). */
void cn_convolve_backward(const struct cn_affine *affine, const float *w, const float *x,
                          const float *dz, float *dw, float *dx);

#endif
