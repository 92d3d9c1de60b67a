/* activate.h: activations in place, and their gradients from their outputs. */
#ifndef CONVNET_KERNELS_ACTIVATE_H
#define CONVNET_KERNELS_ACTIVATE_H

#include <stddef.h>

#include "convnet/activation.h"

/* y[rows, width] = activation(y), row by row. Softmax subtracts the row's maximum first, so that no
 * finite input overflows, and divides by a sum in double, so that a row has the sum 1 within 1e-6.
 */
void cn_activation_forward(float *y, size_t rows, size_t width, enum cn_activation activation);

/* dz[rows, stride] (columns beyond width zero) = dy[rows, width] * d activation, computed from the
 * outputs y[rows, width]. */
void cn_activation_backward(float *dz, size_t stride, const float *dy, const float *y, size_t rows,
                            size_t width, enum cn_activation activation);

#endif
