/* convolve.h: shared by the convolution types besides affine.c: configuration, tensors, geometry,
 * and the backward pass of one image with groups and dilation, in plain loops. */
#ifndef CONVNET_LAYERS_CONVOLVE_H
#define CONVNET_LAYERS_CONVOLVE_H

#include "layers/layer_type.h"
#include "layers/window.h"

/* The configuration of all of them; each has the keys that it lists. */
struct cn_convolution_config {
    int axes;       /* set by the type, not by a key */
    bool depthwise; /* the same: as many groups as input channels */
    int filters;    /* of DepthwiseConv: depth_multiplier */
    int depth_multiplier;
    struct cn_window_config window;
    int output_padding[2]; /* of transposed ones; -1: not given */
    int groups;
    enum cn_activation activation;
    bool use_bias;
    int kernel_initializer, pointwise_initializer, bias_initializer;
};

#define CN_CONVOLUTION_DEFAULTS                                                                    \
    .depth_multiplier = 1, .window = {{1, 1}, {1, 1}, {1, 1}, CN_PADDING_VALID},                   \
    .output_padding = {-1, -1}, .groups = 1, .use_bias = true,                                     \
    .bias_initializer = CN_INITIALIZER_ZEROS

/* Rows of the tables of keys. */
#define CN_CONVOLUTION_AT(member) offsetof(struct cn_convolution_config, member)
#define CN_KEY_FILTERS                                                                             \
    { "filters", CN_FIELD_INT, CN_CONVOLUTION_AT(filters), true, false, 1, 1 << 16, NULL }
#define CN_KEY_MULTIPLIER(member)                                                                  \
    { "depth_multiplier", CN_FIELD_INT, CN_CONVOLUTION_AT(member), false, false, 1, 1 << 12, NULL }
#define CN_KEY_GROUPS                                                                              \
    { "groups", CN_FIELD_INT, CN_CONVOLUTION_AT(groups), false, false, 1, 1 << 16, NULL }
#define CN_KEYS_WINDOW(pair, paddings)                                                             \
    {"kernel_size", pair, CN_CONVOLUTION_AT(window.size), true, false, 1, 1 << 12, NULL},          \
        {"strides", pair, CN_CONVOLUTION_AT(window.strides), false, false, 1, 1 << 12, NULL}, {    \
        "padding", CN_FIELD_ENUM, CN_CONVOLUTION_AT(window.padding), false, false, 0, 0, paddings  \
    }
#define CN_KEY_DILATION(pair)                                                                      \
    { "dilation_rate", pair, CN_CONVOLUTION_AT(window.dilation), false, false, 1, 1 << 12, NULL }
#define CN_KEYS_ACTIVATION                                                                         \
    {"activation",       CN_FIELD_ENUM, CN_CONVOLUTION_AT(activation), false, true, 0, 0,          \
     cn_activation_names},                                                                         \
    {                                                                                              \
        "use_bias", CN_FIELD_BOOL, CN_CONVOLUTION_AT(use_bias), false, false, 0, 0, NULL           \
    }
#define CN_KEY_INITIALIZER(key, member)                                                            \
    { key, CN_FIELD_ENUM, CN_CONVOLUTION_AT(member), false, false, 0, 0, cn_initializer_names }

const struct cn_convolution_config *cn_convolution_config(const struct cn_layer *layer);

/* For the types' `activation`. */
enum cn_activation *cn_convolution_activation(struct cn_layer *layer);

/* cn_windows_build by the layer's configuration. */
enum cn_status cn_convolution_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                      struct cn_shape *ret_image, struct cn_error *error);

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
