/* shape.h: the shape of one sample, without the batch dimension. */
#ifndef CONVNET_SHAPE_H
#define CONVNET_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "convnet/status.h"

CN_DECLARATIONS_BEGIN

enum {
    CN_SHAPE_MAX_ELEMENTS = 1 << 26, /* floats in one sample of one activation */
    CN_SHAPE_MAX_RANK = 5,
    CN_SHAPE_TEXT = 72 /* the most bytes that cn_shape_format writes */
};

/* Row-major, channels last. Rank 1: features; rank 2: steps, channels of a signal, or the height
 * and width of a picture of one channel; rank 3: height, width, channels. Unused dims are 1. */
struct cn_shape {
    int rank;
    int dims[CN_SHAPE_MAX_RANK];
};

/* A feature map of height x width x channels. */
struct cn_shape cn_shape_image(int height, int width, int channels);

/* A vector of `features`. */
struct cn_shape cn_shape_vector(int features);

/* Number of floats of one sample. The shape must have passed cn_shape_check. */
size_t cn_shape_size(const struct cn_shape *shape);

/* The innermost dimension: channels, or features. */
static inline int cn_shape_channels(const struct cn_shape *shape) {
    return shape->dims[shape->rank - 1];
}

/* CN_INVALID unless rank is 1 to CN_SHAPE_MAX_RANK, each dim is at least 1 and the product is at
 * most CN_SHAPE_MAX_ELEMENTS. `what` names the shape in the message. */
enum cn_status cn_shape_check(const struct cn_shape *shape, const char *what,
                              struct cn_error *error);

bool cn_shape_equal(const struct cn_shape *a, const struct cn_shape *b);

/* Writes "(28, 28, 1)" into `text` and returns it. */
const char *cn_shape_format(const struct cn_shape *shape, char text[CN_SHAPE_TEXT]);

CN_DECLARATIONS_END

#endif
