/* conv2d.c: Keras's Conv2D. Arithmetic: affine.c. No state. */
#include "layers/affine.h"

struct conv2d_config {
    int filters;
    int kernel_size[2];
    int strides[2];
    int padding;
    enum cn_activation activation;
    bool use_bias;
    int kernel_initializer, bias_initializer;
};
_Static_assert(sizeof(struct conv2d_config) <= CN_LAYER_CONFIG, "configuration too large");

static const struct conv2d_config defaults = {
    .strides = {1, 1}, .use_bias = true, .bias_initializer = CN_INITIALIZER_ZEROS};

#define AT(member) offsetof(struct conv2d_config, member)
static const struct cn_field fields[] = {
    {"filters", CN_FIELD_INT, AT(filters), true, false, 1, 1 << 16, NULL},
    {"kernel_size", CN_FIELD_INT_PAIR, AT(kernel_size), true, false, 1, 1 << 12, NULL},
    {"strides", CN_FIELD_INT_PAIR, AT(strides), false, false, 1, 1 << 12, NULL},
    {"padding", CN_FIELD_ENUM, AT(padding), false, false, 0, 0, cn_padding_names},
    {"activation", CN_FIELD_ENUM, AT(activation), false, true, 0, 0, cn_activation_names},
    {"use_bias", CN_FIELD_BOOL, AT(use_bias), false, false, 0, 0, NULL},
    {"kernel_initializer", CN_FIELD_ENUM, AT(kernel_initializer), false, false, 0, 0,
     cn_initializer_names},
    {"bias_initializer", CN_FIELD_ENUM, AT(bias_initializer), false, false, 0, 0,
     cn_initializer_names},
};

static const struct conv2d_config *config_of(const struct cn_layer *layer) {
    return (const struct conv2d_config *)(const void *)layer->config;
}

static enum cn_status windows_of(const struct cn_layer *layer, struct cn_window windows[2],
                                 struct cn_error *error) {
    const struct conv2d_config *config = config_of(layer);
    return cn_windows_build(windows, config->kernel_size, config->strides,
                            (enum cn_padding)config->padding, layer, error);
}

static struct cn_affine conv2d_affine(const struct cn_layer *layer) {
    const struct conv2d_config *config = config_of(layer);
    struct cn_window windows[2];
    (void)windows_of(layer, windows, NULL); /* build has seen it fit */
    const struct cn_window rows = windows[0], columns = windows[1];
    return (struct cn_affine){.shape = {.in_height = rows.in + rows.before + rows.after,
                                        .in_width = columns.in + columns.before + columns.after,
                                        .in_channels = layer->input_shape.dims[2],
                                        .out_height = rows.out,
                                        .out_width = columns.out,
                                        .out_channels = config->filters,
                                        .kernel_height = rows.window,
                                        .kernel_width = columns.window,
                                        .row_stride = rows.stride,
                                        .column_stride = columns.stride},
                              .pad_top = rows.before,
                              .pad_left = columns.before,
                              .height = rows.in,
                              .width = columns.in,
                              .activation = config->activation,
                              .use_bias = config->use_bias};
}

static enum cn_status conv2d_build(struct cn_layer *layer, struct cn_error *error) {
    const struct conv2d_config *config = config_of(layer);
    struct cn_window windows[2];
    enum cn_status status = cn_layer_need_rank(layer, 3, "", error);
    if (status == CN_OK)
        status = windows_of(layer, windows, error);
    if (status != CN_OK)
        return status;
    const struct cn_window rows = windows[0], columns = windows[1];
    const int in_channels = layer->input_shape.dims[2];
    const double window = (double)rows.window * columns.window;
    layer->output_shape = cn_shape_image(rows.out, columns.out, config->filters);
    layer->tensor_count = config->use_bias ? 2 : 1;
    layer->tensors[0] =
        (struct cn_tensor_spec){.name = "kernel",
                                .rank = 4,
                                .dims = {rows.window, columns.window, in_channels, config->filters},
                                .trainable = true,
                                .initializer = (enum cn_initializer)config->kernel_initializer,
                                .fan_in = window * in_channels,
                                .fan_out = window * config->filters};
    layer->tensors[1] =
        (struct cn_tensor_spec){.name = "bias",
                                .rank = 1,
                                .dims = {config->filters},
                                .trainable = true,
                                .initializer = (enum cn_initializer)config->bias_initializer,
                                .fan_in = config->filters,
                                .fan_out = config->filters};
    return CN_OK;
}

static enum cn_activation *conv2d_activation(struct cn_layer *layer) {
    return &((struct conv2d_config *)(void *)layer->config)->activation;
}

/* 2 x 2 maxima side by side, when nothing but ReLU comes between: its order does not matter. */
static bool conv2d_absorb_maxima(struct cn_step *step, const struct cn_pooling *pooling) {
    const bool twos = pooling->pool_height == 2 && pooling->pool_width == 2 &&
                      pooling->row_stride == 2 && pooling->column_stride == 2 &&
                      pooling->pad_top == 0 && pooling->pad_left == 0;
    const enum cn_activation activation = step->affine.activation;
    if (!twos || step->pooled ||
        (activation != CN_ACTIVATION_LINEAR && activation != CN_ACTIVATION_RELU))
        return false;
    step->pooling = *pooling;
    step->pooled = true;
    return true;
}

static const struct cn_layer_inference conv2d_inference = {.prepare = cn_affine_prepare,
                                                           .infer = cn_affine_infer,
                                                           .packed_size = cn_affine_packed_size,
                                                           .pack = cn_affine_pack,
                                                           .scratch_size = cn_affine_scratch_size,
                                                           .fold = cn_affine_fold,
                                                           .absorb_maxima = conv2d_absorb_maxima};

const struct cn_layer_type cn_conv2d_type = {
    .class_name = "Conv2D",
    .onnx = "Conv",
    .config_size = sizeof defaults,
    .defaults = &defaults,
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .build = conv2d_build,
    .macs = cn_affine_macs,
    .affine = conv2d_affine,
    .activation = conv2d_activation,
    .training = &cn_affine_training,
    .inference = &conv2d_inference,
};
