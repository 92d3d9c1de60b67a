/* affine_shape.h: the geometry of a layer that is a convolution with bias and activation. */
#ifndef CONVNET_LAYERS_AFFINE_SHAPE_H
#define CONVNET_LAYERS_AFFINE_SHAPE_H

#include <stdbool.h>

#include "convnet/activation.h"
#include "kernels/conv2d.h"

struct cn_affine {
    struct cn_conv2d shape; /* in_*: with padding */
    int pad_top, pad_left;
    int height, width; /* of the input without padding */
    enum cn_activation activation;
    bool use_bias;
};

#endif
