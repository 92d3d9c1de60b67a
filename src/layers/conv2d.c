/* conv2d.c: Keras's Conv2D, Conv1D, DepthwiseConv2D and DepthwiseConv1D: one convolution over one
 * or two axes, with strides, dilation and groups; depthwise means as many groups as input channels.
 * affine.c has inference, and training without groups and dilation; convolve.c has training with
 * them. No state. */
#include "kernels/activate.h"
#include "layers/affine.h"
#include "layers/convolve.h"

static const struct cn_convolution_config conv2d_defaults = {.axes = 2, CN_CONVOLUTION_DEFAULTS};
static const struct cn_convolution_config conv1d_defaults = {.axes = 1, CN_CONVOLUTION_DEFAULTS};
static const struct cn_convolution_config depthwise_conv2d_defaults = {
    .axes = 2, .depthwise = true, .filters = 1, CN_CONVOLUTION_DEFAULTS};
static const struct cn_convolution_config depthwise_conv1d_defaults = {
    .axes = 1, .depthwise = true, .filters = 1, CN_CONVOLUTION_DEFAULTS};

#define KEYS(pair, paddings, initializer)                                                          \
    CN_KEYS_WINDOW(pair, paddings), CN_KEYS_ACTIVATION,                                            \
        CN_KEY_INITIALIZER(initializer, kernel_initializer),                                       \
        CN_KEY_INITIALIZER("bias_initializer", bias_initializer), CN_KEY_DILATION(pair)
static const struct cn_field conv2d_fields[] = {
    CN_KEY_FILTERS, KEYS(CN_FIELD_INT_PAIR, cn_padding_names, "kernel_initializer"), CN_KEY_GROUPS};
static const struct cn_field conv1d_fields[] = {
    CN_KEY_FILTERS, KEYS(CN_FIELD_INT_WIDTH, cn_padding_names_causal, "kernel_initializer"),
    CN_KEY_GROUPS};
static const struct cn_field depthwise_conv2d_fields[] = {
    CN_KEY_MULTIPLIER(filters), KEYS(CN_FIELD_INT_PAIR, cn_padding_names, "depthwise_initializer")};
static const struct cn_field depthwise_conv1d_fields[] = {
    CN_KEY_MULTIPLIER(filters),
    KEYS(CN_FIELD_INT_WIDTH, cn_padding_names, "depthwise_initializer")};

static struct cn_affine conv2d_affine(const struct cn_layer *layer) {
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    struct cn_window windows[2];
    struct cn_shape image;
    (void)cn_convolution_windows(layer, windows, &image, NULL); /* build has checked it */
    const int channels = image.dims[2];
    const int out = config->depthwise ? channels * config->filters : config->filters;
    return cn_convolution_affine(windows, channels, out,
                                 config->depthwise ? channels : config->groups, config->activation,
                                 config->use_bias);
}

static enum cn_status conv2d_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    struct cn_window windows[2];
    struct cn_shape image;
    const enum cn_status status = cn_convolution_windows(layer, windows, &image, error);
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
                                                           .infer_end = cn_affine_infer_end,
                                                           .infer_rows = cn_affine_infer_rows,
                                                           .rows_under = cn_affine_rows_under,
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
    .macs = cn_affine_macs, .affine = conv2d_affine, .activation = cn_convolution_activation,      \
    .training = &conv2d_training, .inference = &conv2d_inference

const struct cn_layer_type cn_conv2d_type = {
    .class_name = "Conv2D", CONVOLUTION(conv2d), .late_fields = 2 /* dilation_rate, groups */};
const struct cn_layer_type cn_conv1d_type = {.class_name = "Conv1D", CONVOLUTION(conv1d)};
const struct cn_layer_type cn_depthwise_conv2d_type = {.class_name = "DepthwiseConv2D",
                                                       CONVOLUTION(depthwise_conv2d)};
const struct cn_layer_type cn_depthwise_conv1d_type = {.class_name = "DepthwiseConv1D",
                                                       CONVOLUTION(depthwise_conv1d)};
