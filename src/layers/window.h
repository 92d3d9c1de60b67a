/* window.h: layers whose windows move over one or two axes of a feature map: input shape, output
 * size, padding. A layer over one axis is treated as one over two with height 1. */
#ifndef CONVNET_LAYERS_WINDOW_H
#define CONVNET_LAYERS_WINDOW_H

#include "layers/layer_type.h"

/* "valid", "same", "causal" (over one axis; the padding of "same", all of it before), NULL. */
extern const char *const cn_padding_names_causal[];
enum { CN_PADDING_CAUSAL = CN_PADDING_SAME + 1 };

/* A window along one axis. */
struct cn_window {
    int size;     /* number of taps */
    int dilation; /* pixels between two taps */
    int stride, in, out;
    int before, after; /* padding */
};

/* The window in a type's configuration. */
struct cn_window_config {
    int size[2], strides[2], dilation[2];
    int padding;
};

/* Computes the rows' and the columns' window over the layer's input, and *ret_image as
 * cn_layer_image: Keras's output size, and for "same" TensorFlow's padding, whose odd row or column
 * is at the bottom and the right. CN_INVALID when the window does not fit, with the layer, the
 * window and the input. */
enum cn_status cn_windows_build(const struct cn_layer *layer, int axes,
                                const struct cn_window_config *config, struct cn_window windows[2],
                                struct cn_shape *ret_image, struct cn_error *error);

/* The layer's input as height, width, channels. Over two axes: rank 3, or 2 for a picture of one
 * channel; over one: rank 2, or 1 for a signal of one channel. CN_INVALID names the layer. */
enum cn_status cn_layer_image(const struct cn_layer *layer, int axes, struct cn_shape *ret_image,
                              struct cn_error *error);

/* The shape of a result over `axes` axes; height is 1 for one. */
struct cn_shape cn_axes_shape(int axes, int height, int width, int channels);

#endif
