/* convolutions.h: the shapes that the kernels' tests sweep over. */
#ifndef CONVNET_TESTS_CONVOLUTIONS_H
#define CONVNET_TESTS_CONVOLUTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/random.h"
#include "kernels/conv2d.h"

/* The shape at `index`: odd and even sizes, one and many channels; false past the end. */
bool test_convolution_at(size_t index, struct cn_conv2d *ret_shape);

/* A random geometry: channels 1 to 70, sizes 1 to 40, strides, dilations, groups. */
struct cn_conv2d test_convolution_by_chance(struct cn_random *random);

/* [rows, columns] with each row padded to the kernels' stride. Caller frees with free(). */
float *test_padded(const float *from, size_t rows, int columns);

#endif
