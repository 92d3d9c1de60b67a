/* separable_conv2d.c: Keras's SeparableConv2D and SeparableConv1D: a depthwise convolution without
 * bias or activation, followed by a 1x1 convolution. No state. */
#include <string.h>

#include "base/memory.h"
#include "kernels/activate.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "layers/affine.h"
#include "layers/convolve.h"

static const struct cn_convolution_config separable_conv2d_defaults = {.axes = 2,
                                                                       CN_CONVOLUTION_DEFAULTS};
static const struct cn_convolution_config separable_conv1d_defaults = {.axes = 1,
                                                                       CN_CONVOLUTION_DEFAULTS};

#define KEYS(pair, paddings)                                                                       \
    CN_KEY_FILTERS, CN_KEYS_WINDOW(pair, paddings), CN_KEY_DILATION(pair),                         \
        CN_KEY_MULTIPLIER(depth_multiplier), CN_KEYS_ACTIVATION,                                   \
        CN_KEY_INITIALIZER("depthwise_initializer", kernel_initializer),                           \
        CN_KEY_INITIALIZER("pointwise_initializer", pointwise_initializer),                        \
        CN_KEY_INITIALIZER("bias_initializer", bias_initializer)
static const struct cn_field separable_conv2d_fields[] = {
    KEYS(CN_FIELD_INT_PAIR, cn_padding_names)};
static const struct cn_field separable_conv1d_fields[] = {
    KEYS(CN_FIELD_INT_WIDTH, cn_padding_names_causal)};

/* The two convolutions. */
struct parts {
    struct cn_affine depthwise, pointwise;
    size_t depthwise_packed; /* floats, aligned */
    size_t between;          /* floats of one image between the two convolutions, aligned */
};

static struct parts parts_of(const struct cn_layer *layer) {
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    struct cn_window windows[2], dots[2];
    struct cn_shape image;
    struct parts parts;
    (void)cn_convolution_windows(layer, windows, &image, NULL); /* build has checked it */
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
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    struct cn_window windows[2];
    const struct cn_window dots[2] = {{.size = 1}, {.size = 1}};
    struct cn_shape image;
    const enum cn_status status = cn_convolution_windows(layer, windows, &image, error);
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
                           (enum cn_initializer)config->kernel_initializer);
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
        .build = separable_build, .macs = separable_macs, .activation = cn_convolution_activation, \
        .training = &separable_training, .inference = &separable_inference

const struct cn_layer_type cn_separable_conv2d_type = {.class_name = "SeparableConv2D",
                                                       SEPARABLE(separable_conv2d)};
const struct cn_layer_type cn_separable_conv1d_type = {.class_name = "SeparableConv1D",
                                                       SEPARABLE(separable_conv1d)};
