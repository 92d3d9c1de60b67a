/* separable_conv2d.c: Keras's SeparableConv2D and SeparableConv1D: a depthwise convolution without
 * bias or activation, followed by a 1x1 convolution. No state. */
#include <string.h>

#include "base/memory.h"
#include "kernels/activate.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "layers/affine.h"
#include "layers/convolve.h"
#include "layers/window.h"

struct separable_config {
    int axes; /* set by the type, not by a key */
    int filters, depth_multiplier;
    int kernel_size[2], strides[2], dilation_rate[2];
    int padding;
    enum cn_activation activation;
    bool use_bias;
    int depthwise_initializer, pointwise_initializer, bias_initializer;
};
_Static_assert(sizeof(struct separable_config) <= CN_LAYER_CONFIG, "configuration too large");

#define DEFAULTS                                                                                   \
    .depth_multiplier = 1, .kernel_size = {1, 1}, .strides = {1, 1}, .dilation_rate = {1, 1},      \
    .use_bias = true, .bias_initializer = CN_INITIALIZER_ZEROS
static const struct separable_config separable_conv2d_defaults = {.axes = 2, DEFAULTS};
static const struct separable_config separable_conv1d_defaults = {.axes = 1, DEFAULTS};

#define AT(member) offsetof(struct separable_config, member)
#define FIELDS(pair, paddings)                                                                     \
    {"filters", CN_FIELD_INT, AT(filters), true, false, 1, 1 << 16, NULL},                         \
        {"kernel_size", pair, AT(kernel_size), true, false, 1, 1 << 12, NULL},                     \
        {"strides", pair, AT(strides), false, false, 1, 1 << 12, NULL},                            \
        {"padding", CN_FIELD_ENUM, AT(padding), false, false, 0, 0, paddings},                     \
        {"dilation_rate", pair, AT(dilation_rate), false, false, 1, 1 << 12, NULL},                \
        {"depth_multiplier", CN_FIELD_INT, AT(depth_multiplier), false, false, 1, 1 << 12, NULL},  \
        {"activation", CN_FIELD_ENUM, AT(activation), false, true, 0, 0, cn_activation_names},     \
        {"use_bias", CN_FIELD_BOOL, AT(use_bias), false, false, 0, 0, NULL},                       \
        {"depthwise_initializer", CN_FIELD_ENUM, AT(depthwise_initializer), false, false, 0, 0,    \
         cn_initializer_names},                                                                    \
        {"pointwise_initializer", CN_FIELD_ENUM, AT(pointwise_initializer), false, false, 0, 0,    \
         cn_initializer_names},                                                                    \
    {                                                                                              \
        "bias_initializer", CN_FIELD_ENUM, AT(bias_initializer), false, false, 0, 0,               \
            cn_initializer_names                                                                   \
    }
static const struct cn_field separable_conv2d_fields[] = {
    FIELDS(CN_FIELD_INT_PAIR, cn_padding_names)};
static const struct cn_field separable_conv1d_fields[] = {
    FIELDS(CN_FIELD_INT_WIDTH, cn_padding_names_causal)};

static const struct separable_config *config_of(const struct cn_layer *layer) {
    return (const struct separable_config *)(const void *)layer->config;
}

static enum cn_status separable_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                        struct cn_shape *ret_image, struct cn_error *error) {
    const struct separable_config *c = config_of(layer);
    const struct cn_window_config window = {.size = {c->kernel_size[0], c->kernel_size[1]},
                                            .strides = {c->strides[0], c->strides[1]},
                                            .dilation = {c->dilation_rate[0], c->dilation_rate[1]},
                                            .padding = c->padding};
    const enum cn_status status = cn_layer_image(layer, c->axes, ret_image, error);
    return status == CN_OK ? cn_windows_build(windows, &window, ret_image, layer, error) : status;
}

/* The two convolutions. */
struct parts {
    struct cn_affine depthwise, pointwise;
    size_t depthwise_packed; /* floats, aligned */
    size_t between;          /* floats of one image between the two convolutions, aligned */
};

static struct parts parts_of(const struct cn_layer *layer) {
    const struct separable_config *config = config_of(layer);
    struct cn_window windows[2], dots[2];
    struct cn_shape image;
    struct parts parts;
    (void)separable_windows(layer, windows, &image, NULL); /* build has checked it */
    const int in = image.dims[2], between = in * config->depth_multiplier;
    for (int i = 0; i < 2; i++)
        dots[i] = (struct cn_window){
            .size = 1, .dilation = 1, .stride = 1, .in = windows[i].out, .out = windows[i].out};
    parts.depthwise = cn_convolution_affine(windows, in, between, in, CN_ACTIVATION_LINEAR, false);
    parts.pointwise = cn_convolution_affine(dots, between, config->filters, 1, config->activation,
                                            config->use_bias);
    parts.depthwise_packed = cn_floats_aligned(cn_conv2d_packed_size(&parts.depthwise.shape));
    parts.between =
        cn_floats_aligned((size_t)windows[0].out * (size_t)windows[1].out * (size_t)between);
    return parts;
}

static enum cn_status separable_build(struct cn_layer *layer, struct cn_error *error) {
    const struct separable_config *config = config_of(layer);
    struct cn_window windows[2];
    const struct cn_window dots[2] = {{.size = 1}, {.size = 1}};
    struct cn_shape image;
    const enum cn_status status = separable_windows(layer, windows, &image, error);
    if (status != CN_OK)
        return status;
    const int in = image.dims[2];
    const struct cn_shape between =
        cn_shape_image(windows[0].out, windows[1].out, config->depth_multiplier);
    if ((long long)in * (long long)cn_shape_size(&between) > CN_SHAPE_MAX_ELEMENTS)
        return cn_fail(error, CN_LIMIT, "layer \"%s\" (%s) makes over %d elements", layer->name,
                       layer->type->class_name, CN_SHAPE_MAX_ELEMENTS);
    layer->output_shape =
        cn_axes_shape(config->axes, windows[0].out, windows[1].out, config->filters);
    cn_convolution_tensors(layer, "depthwise_kernel", windows, in, config->depth_multiplier,
                           (enum cn_initializer)config->depthwise_initializer);
    cn_convolution_tensors(layer, "pointwise_kernel", dots, in * config->depth_multiplier,
                           config->filters, (enum cn_initializer)config->pointwise_initializer);
    if (config->use_bias)
        cn_bias_tensor(layer, config->filters, (enum cn_initializer)config->bias_initializer);
    return CN_OK;
}

static unsigned long long separable_macs(const struct cn_layer *layer) {
    const struct parts parts = parts_of(layer);
    const unsigned long long pixels = (unsigned long long)parts.pointwise.shape.out_height *
                                      (unsigned long long)parts.pointwise.shape.out_width;
    return pixels *
           (cn_convolve_kernel_size(&parts.depthwise) + cn_convolve_kernel_size(&parts.pointwise));
}

static enum cn_activation *separable_activation(struct cn_layer *layer) {
    return &((struct separable_config *)(void *)layer->config)->activation;
}

/* Packed: depthwise | pointwise, each with a bias. */
static size_t separable_packed_size(const struct cn_layer *layer) {
    const struct parts parts = parts_of(layer);
    return parts.depthwise_packed + cn_conv2d_packed_size(&parts.pointwise.shape);
}

static void separable_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    const struct parts parts = parts_of(layer);
    const float *pointwise = parameters + cn_convolve_kernel_size(&parts.depthwise);
    const float *bias = pointwise + cn_convolve_kernel_size(&parts.pointwise);
    cn_conv2d_pack(packed, parameters, NULL, &parts.depthwise.shape);
    cn_conv2d_pack(packed + parts.depthwise_packed, pointwise,
                   parts.pointwise.use_bias ? bias : NULL, &parts.pointwise.shape);
}

/* Scratch: between | padded x. */
static size_t separable_scratch_size(const struct cn_layer *layer) {
    const struct parts parts = parts_of(layer);
    const struct cn_conv2d *s = &parts.depthwise.shape;
    return parts.between +
           cn_floats_aligned((size_t)s->in_height * (size_t)s->in_width * (size_t)s->in_channels);
}

/* Computes the output of the first convolution for one image, in `scratch`. */
static void separable_between(const struct parts *parts, const float *packed, const float *x,
                              float *scratch) {
    const float *padded = cn_affine_pad(&parts->depthwise, x, scratch + parts->between);
    cn_kernels()->conv2d(scratch, padded, packed,
                         packed + cn_conv2d_kernel_size(&parts->depthwise.shape),
                         &parts->depthwise.shape, false);
}

static void separable_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                            float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *packed = step->packed, *x = inputs[0];
    const struct parts parts = parts_of(layer);
    const float *pointwise = packed + parts.depthwise_packed;
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    const size_t channels = (size_t)parts.pointwise.shape.out_channels;
    const bool relu = parts.pointwise.activation == CN_ACTIVATION_RELU;
    for (size_t n = 0; n < count; n++) {
        separable_between(&parts, packed, x + n * in, scratch);
        cn_kernels()->conv2d(y + n * out, scratch, pointwise,
                             pointwise + cn_conv2d_kernel_size(&parts.pointwise.shape),
                             &parts.pointwise.shape, relu);
    }
    if (!relu)
        cn_activation_forward(y, count * out / channels, channels, parts.pointwise.activation);
}

static void separable_fold(const struct cn_layer *layer, float *packed, const float *scale,
                           const float *shift) {
    const struct parts parts = parts_of(layer);
    cn_conv2d_fold(packed + parts.depthwise_packed, &parts.pointwise.shape, scale, shift);
}

/* ---- Training ---- */

/* Scratch: as forward | dz | gradient of the intermediate output. */
static size_t separable_training_scratch_size(const struct cn_layer *layer) {
    const struct parts parts = parts_of(layer);
    return separable_scratch_size(layer) + cn_floats_aligned(cn_shape_size(&layer->output_shape)) +
           parts.between;
}

static void separable_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct parts parts = parts_of(layer);
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    const size_t depthwise = cn_convolve_kernel_size(&parts.depthwise);
    float *dz = pass->scratch + separable_scratch_size(layer);
    float *slope = dz + cn_floats_aligned(out);
    float *db = pass->gradients + depthwise + cn_convolve_kernel_size(&parts.pointwise);
    for (size_t n = 0; n < pass->count; n++) {
        const float *x = pass->x + n * in;
        separable_between(&parts, pass->packed, x, pass->scratch);
        cn_convolve_activation_gradient(&parts.pointwise, pass->dy_is_dz, pass->dy + n * out,
                                        pass->y + n * out, dz, db);
        cn_convolve_backward(&parts.pointwise, pass->parameters + depthwise, pass->scratch, dz,
                             pass->gradients + depthwise, slope);
        cn_convolve_backward(&parts.depthwise, pass->parameters, x, slope, pass->gradients,
                             pass->dx != NULL ? pass->dx + n * in : NULL);
    }
}

static const struct cn_layer_training separable_training = {.backward = separable_backward,
                                                            .packed_size = separable_packed_size,
                                                            .pack = separable_pack,
                                                            .scratch_size =
                                                                separable_training_scratch_size};

static size_t separable_scratch_of_step(const struct cn_step *step) {
    return separable_scratch_size(&step->layer);
}

static const struct cn_layer_inference separable_inference = {.infer = separable_infer,
                                                              .packed_size = separable_packed_size,
                                                              .pack = separable_pack,
                                                              .scratch_size =
                                                                  separable_scratch_of_step,
                                                              .fold = separable_fold};

#define SEPARABLE(prefix)                                                                          \
    CN_LAYER_KEYS(prefix##_defaults, prefix##_fields),                                             \
        .build = separable_build, .macs = separable_macs, .activation = separable_activation,      \
        .training = &separable_training, .inference = &separable_inference

const struct cn_layer_type cn_separable_conv2d_type = {.class_name = "SeparableConv2D",
                                                       SEPARABLE(separable_conv2d)};
const struct cn_layer_type cn_separable_conv1d_type = {.class_name = "SeparableConv1D",
                                                       SEPARABLE(separable_conv1d)};
