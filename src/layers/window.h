/* window.h: layers whose windows go over one or two axes of a feature map: the shape they see,
 * their output's size, their padding. A layer over one axis is one over two whose height is 1.
 */
#ifndef CONVNET_LAYERS_WINDOW_H
#define CONVNET_LAYERS_WINDOW_H

#include "layers/layer_type.h"

/* "valid", "same", "causal" (over one axis, after the same as "same" but all of it before), NULL.
 */
extern const char *const cn_padding_names_causal[];
enum { CN_PADDING_CAUSAL = CN_PADDING_SAME + 1 };

/* How a window goes along one axis. */
struct cn_window {
    int size;     /* taps */
    int dilation; /* pixels from one tap to the next */
    int stride, in, out;
    int before, after; /* padding */
};

/* What a type's configuration says of its windows. */
struct cn_window_config {
    int size[2], strides[2], dilation[2];
    int padding;
};

/* The rows' and the columns' window over `image` (height, width, channels): Keras's output size,
 * and for "same" TensorFlow's padding, whose odd row or column goes to the bottom and the right.
 * CN_INVALID when the window does not fit: the message names the layer, the window and the input.
 */
enum cn_status cn_windows_build(struct cn_window windows[2], const struct cn_window_config *config,
                                const struct cn_shape *image, const struct cn_layer *layer,
                                struct cn_error *error);

/* The layer's input as height, width, channels. Over two axes: rank 3, or 2 for a picture of one
 * channel; over one: rank 2, or 1 for a signal of one channel. CN_INVALID names the layer. */
enum cn_status cn_layer_image(const struct cn_layer *layer, int axes, struct cn_shape *ret_image,
                              struct cn_error *error);

/* The shape of a result of `axes` axes; height is 1 for one. */
struct cn_shape cn_axes_shape(int axes, int height, int width, int channels);

#endif
