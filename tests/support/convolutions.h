/* convolutions.h: the shapes that the kernels' tests sweep over. */
#ifndef CONVNET_TESTS_CONVOLUTIONS_H
#define CONVNET_TESTS_CONVOLUTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/conv2d.h"

/* The shape at `index`: odd and even, one and many; false past the end. */
bool test_convolution_at(size_t index, struct cn_conv2d *ret_shape);

/* [rows, columns] with each row padded to the kernels' stride. Caller frees with free(). */
float *test_padded(const float *from, size_t rows, int columns);

#endif
