/* conv2d.c: Keras's Conv2D, Conv1D, DepthwiseConv2D and DepthwiseConv1D: one convolution over one
 * or two axes, with strides, dilation and groups; depthwise means as many groups as input channels.
 * affine.c has inference, and training without groups and dilation; convolve.c has training with
 * them. No state. */
#include "kernels/activate.h"
#include "layers/affine.h"
#include "layers/convolve.h"
#include "layers/window.h"

struct conv2d_config {
    int axes; /* set by the type, not by a key */
    bool depthwise;
    int filters; /* of DepthwiseConv: depth_multiplier */
    int kernel_size[2], strides[2], dilation_rate[2];
    int padding;
    int groups;
    enum cn_activation activation;
    bool use_bias;
    int kernel_initializer, bias_initializer;
};
_Static_assert(sizeof(struct conv2d_config) <= CN_LAYER_CONFIG, "configuration too large");

#define DEFAULTS                                                                                   \
    .kernel_size = {1, 1}, .strides = {1, 1}, .dilation_rate = {1, 1}, .groups = 1,                \
    .use_bias = true, .bias_initializer = CN_INITIALIZER_ZEROS
static const struct conv2d_config conv2d_defaults = {.axes = 2, DEFAULTS};
static const struct conv2d_config conv1d_defaults = {.axes = 1, DEFAULTS};
static const struct conv2d_config depthwise_conv2d_defaults = {
    .axes = 2, .depthwise = true, .filters = 1, DEFAULTS};
static const struct conv2d_config depthwise_conv1d_defaults = {
    .axes = 1, .depthwise = true, .filters = 1, DEFAULTS};

#define AT(member) offsetof(struct conv2d_config, member)
#define FIELDS(pair, paddings, initializer)                                                        \
    {"kernel_size", pair, AT(kernel_size), true, false, 1, 1 << 12, NULL},                         \
        {"strides", pair, AT(strides), false, false, 1, 1 << 12, NULL},                            \
        {"padding", CN_FIELD_ENUM, AT(padding), false, false, 0, 0, paddings},                     \
        {"activation", CN_FIELD_ENUM, AT(activation), false, true, 0, 0, cn_activation_names},     \
        {"use_bias", CN_FIELD_BOOL, AT(use_bias), false, false, 0, 0, NULL},                       \
        {initializer, CN_FIELD_ENUM,       AT(kernel_initializer), false, false, 0,                \
         0,           cn_initializer_names},                                                       \
        {"bias_initializer",  CN_FIELD_ENUM, AT(bias_initializer), false, false, 0, 0,             \
         cn_initializer_names},                                                                    \
    {                                                                                              \
        "dilation_rate", pair, AT(dilation_rate), false, false, 1, 1 << 12, NULL                   \
    }
#define FILTERS                                                                                    \
    { "filters", CN_FIELD_INT, AT(filters), true, false, 1, 1 << 16, NULL }
#define GROUPS                                                                                     \
    { "groups", CN_FIELD_INT, AT(groups), false, false, 1, 1 << 16, NULL }
#define MULTIPLIER                                                                                 \
    { "depth_multiplier", CN_FIELD_INT, AT(filters), false, false, 1, 1 << 12, NULL }

static const struct cn_field conv2d_fields[] = {
    FILTERS, FIELDS(CN_FIELD_INT_PAIR, cn_padding_names, "kernel_initializer"), GROUPS};
static const struct cn_field conv1d_fields[] = {
    FILTERS, FIELDS(CN_FIELD_INT_WIDTH, cn_padding_names_causal, "kernel_initializer"), GROUPS};
static const struct cn_field depthwise_conv2d_fields[] = {
    MULTIPLIER, FIELDS(CN_FIELD_INT_PAIR, cn_padding_names, "depthwise_initializer")};
static const struct cn_field depthwise_conv1d_fields[] = {
    MULTIPLIER, FIELDS(CN_FIELD_INT_WIDTH, cn_padding_names, "depthwise_initializer")};

static const struct conv2d_config *config_of(const struct cn_layer *layer) {
    return (const struct conv2d_config *)(const void *)layer->config;
}

static enum cn_status conv2d_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                     struct cn_shape *ret_image, struct cn_error *error) {
    const struct conv2d_config *c = config_of(layer);
    const struct cn_window_config window = {.size = {c->kernel_size[0], c->kernel_size[1]},
                                            .strides = {c->strides[0], c->strides[1]},
                                            .dilation = {c->dilation_rate[0], c->dilation_rate[1]},
                                            .padding = c->padding};
    const enum cn_status status = cn_layer_image(layer, c->axes, ret_image, error);
    return status == CN_OK ? cn_windows_build(windows, &window, ret_image, layer, error) : status;
}

static struct cn_affine conv2d_affine(const struct cn_layer *layer) {
    const struct conv2d_config *config = config_of(layer);
    struct cn_window windows[2];
    struct cn_shape image;
    (void)conv2d_windows(layer, windows, &image, NULL); /* build has checked it */
    const int channels = image.dims[2];
    const int out = config->depthwise ? channels * config->filters : config->filters;
    return cn_convolution_affine(windows, channels, out,
                                 config->depthwise ? channels : config->groups, config->activation,
                                 config->use_bias);
}

static enum cn_status conv2d_build(struct cn_layer *layer, struct cn_error *error) {
    const struct conv2d_config *config = config_of(layer);
    struct cn_window windows[2];
    struct cn_shape image;
    const enum cn_status status = conv2d_windows(layer, windows, &image, error);
    if (status != CN_OK)
        return status;
    const int in = image.dims[2], groups = config->depthwise ? in : config->groups;
    const long long out = config->depthwise ? (long long)in * config->filters : config->filters;
    if (in % groups != 0 || out % groups != 0 || out > CN_SHAPE_MAX_ELEMENTS)
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s): %d input channels and %lld filters do not divide into "
                       "%d groups",
                       layer->name, layer->type->class_name, in, out, groups);
    layer->output_shape = cn_axes_shape(config->axes, windows[0].out, windows[1].out, (int)out);
    cn_convolution_tensors(layer, config->depthwise ? "depthwise_kernel" : "kernel", windows,
                           config->depthwise ? in : in / groups, config->filters,
                           (enum cn_initializer)config->kernel_initializer);
    if (config->use_bias)
        cn_bias_tensor(layer, (int)out, (enum cn_initializer)config->bias_initializer);
    return CN_OK;
}

static enum cn_activation *conv2d_activation(struct cn_layer *layer) {
    return &((struct conv2d_config *)(void *)layer->config)->activation;
}

/* ---- Training ---- */

static bool is_plain(const struct cn_affine *a) {
    return a->shape.groups <= 1 && a->shape.row_dilation <= 1 && a->shape.column_dilation <= 1;
}

static void conv2d_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_affine affine = conv2d_affine(layer);
    if (is_plain(&affine)) {
        cn_affine_training.forward(layer, pass);
        return;
    }
    const struct cn_step step = cn_step_of(layer, pass->packed);
    cn_affine_infer(&step, pass->xs, pass->count, pass->y, pass->scratch);
}

static void conv2d_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_affine a = conv2d_affine(layer);
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    if (is_plain(&a)) {
        cn_affine_training.backward(layer, pass);
        return;
    }
    for (size_t n = 0; n < pass->count; n++) {
        float *dx = pass->dx != NULL ? pass->dx + n * in : NULL;
        cn_convolve_activation_gradient(&a, pass->dy_is_dz, pass->dy + n * out, pass->y + n * out,
                                        pass->scratch,
                                        pass->gradients + cn_convolve_kernel_size(&a));
        cn_convolve_backward(&a, pass->parameters, pass->x + n * in, pass->scratch, pass->gradients,
                             dx);
    }
}

static size_t conv2d_training_packed_size(const struct cn_layer *layer) {
    const struct cn_affine affine = conv2d_affine(layer);
    return is_plain(&affine) ? cn_affine_training.packed_size(layer) : cn_affine_packed_size(layer);
}

static void conv2d_training_pack(const struct cn_layer *layer, const float *parameters,
                                 float *packed) {
    const struct cn_affine affine = conv2d_affine(layer);
    if (is_plain(&affine))
        cn_affine_training.pack(layer, parameters, packed);
    else
        cn_affine_pack(layer, parameters, packed);
}

static size_t scratch_of(const struct cn_layer *layer) {
    const struct cn_step step = cn_step_of(layer, NULL);
    return cn_affine_scratch_size(&step);
}

static size_t conv2d_training_scratch_size(const struct cn_layer *layer) {
    const struct cn_affine affine = conv2d_affine(layer);
    const size_t out = cn_shape_size(&layer->output_shape), forward = scratch_of(layer);
    if (is_plain(&affine))
        return cn_affine_training.scratch_size(layer);
    return out > forward ? out : forward;
}

static const struct cn_layer_training conv2d_training = {.forward = conv2d_forward,
                                                         .backward = conv2d_backward,
                                                         .packed_size = conv2d_training_packed_size,
                                                         .pack = conv2d_training_pack,
                                                         .scratch_size =
                                                             conv2d_training_scratch_size};

static const struct cn_layer_inference conv2d_inference = {.prepare = cn_affine_prepare,
                                                           .infer = cn_affine_infer,
                                                           .infer_part = cn_affine_infer_part,
                                                           .kernel = cn_affine_kernel,
                                                           .packed_size = cn_affine_packed_size,
                                                           .pack = cn_affine_pack,
                                                           .scratch_size = cn_affine_scratch_size,
                                                           .fold = cn_affine_fold,
                                                           .absorb_maxima = cn_affine_absorb_maxima,
                                                           .takes_border = true,
                                                           .takes_ceiling = true,
                                                           .bytes = &cn_convolution_bytes};

#define CONVOLUTION(prefix)                                                                        \
    .onnx = "Conv", CN_LAYER_KEYS(prefix##_defaults, prefix##_fields), .build = conv2d_build,      \
    .macs = cn_affine_macs, .affine = conv2d_affine, .activation = conv2d_activation,              \
    .training = &conv2d_training, .inference = &conv2d_inference

const struct cn_layer_type cn_conv2d_type = {
    .class_name = "Conv2D", CONVOLUTION(conv2d), .late_fields = 2 /* dilation_rate, groups */};
const struct cn_layer_type cn_conv1d_type = {.class_name = "Conv1D", CONVOLUTION(conv1d)};
const struct cn_layer_type cn_depthwise_conv2d_type = {.class_name = "DepthwiseConv2D",
                                                       CONVOLUTION(depthwise_conv2d)};
const struct cn_layer_type cn_depthwise_conv1d_type = {.class_name = "DepthwiseConv1D",
                                                       CONVOLUTION(depthwise_conv1d)};
