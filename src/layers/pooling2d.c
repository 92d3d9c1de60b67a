/* pooling2d.c: Keras's MaxPooling2D, AveragePooling2D and GlobalAveragePooling2D. No state. */
#include "kernels/backward.h"
#include "kernels/kernels.h"
#include "kernels/pooling.h"
#include "layers/layer_type.h"

struct pooling2d_config {
    int pool_size[2];
    int strides[2]; /* 0: pool_size */
    int padding;
};

static const struct pooling2d_config defaults = {.pool_size = {2, 2}};

#define AT(member) offsetof(struct pooling2d_config, member)
static const struct cn_field fields[] = {
    {"pool_size", CN_FIELD_INT_PAIR, AT(pool_size), false, false, 1, 1 << 12, NULL},
    {"strides", CN_FIELD_INT_PAIR, AT(strides), false, true, 1, 1 << 12, NULL},
    {"padding", CN_FIELD_ENUM, AT(padding), false, false, 0, 0, cn_padding_names},
};

static enum cn_status pooling_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                      struct cn_error *error) {
    const struct pooling2d_config *config =
        (const struct pooling2d_config *)(const void *)layer->config;
    const int *strides = config->strides[0] > 0 ? config->strides : config->pool_size;
    return cn_windows_build(windows, config->pool_size, strides, (enum cn_padding)config->padding,
                            layer, error);
}

static struct cn_pooling pooling_shape(const struct cn_layer *layer) {
    struct cn_window windows[2];
    (void)pooling_windows(layer, windows, NULL); /* build has seen them fit */
    return (struct cn_pooling){.in_height = windows[0].in,
                               .in_width = windows[1].in,
                               .channels = layer->input_shape.dims[2],
                               .out_height = windows[0].out,
                               .out_width = windows[1].out,
                               .pool_height = windows[0].window,
                               .pool_width = windows[1].window,
                               .row_stride = windows[0].stride,
                               .column_stride = windows[1].stride,
                               .pad_top = windows[0].before,
                               .pad_left = windows[1].before};
}

/* The whole image as one window. */
static struct cn_pooling global_pooling_shape(const struct cn_layer *layer) {
    const int *in = layer->input_shape.dims;
    return (struct cn_pooling){in[0], in[1], in[2], 1, 1, in[0], in[1], 1, 1, 0, 0};
}

static enum cn_status pooling_build(struct cn_layer *layer, struct cn_error *error) {
    struct cn_window windows[2];
    enum cn_status status = cn_layer_need_rank(layer, 3, "", error);
    if (status == CN_OK)
        status = pooling_windows(layer, windows, error);
    if (status == CN_OK)
        layer->output_shape =
            cn_shape_image(windows[0].out, windows[1].out, layer->input_shape.dims[2]);
    return status;
}

static enum cn_status global_pooling_build(struct cn_layer *layer, struct cn_error *error) {
    const enum cn_status status = cn_layer_need_rank(layer, 3, "", error);
    if (status == CN_OK)
        layer->output_shape = cn_shape_vector(layer->input_shape.dims[2]);
    return status;
}

static void pooling_prepare(struct cn_step *step) {
    step->pooling = pooling_shape(&step->layer);
}

static void global_pooling_prepare(struct cn_step *step) {
    step->pooling = global_pooling_shape(&step->layer);
}

static void pooling_infer(void (*kernel)(float *, const float *, const struct cn_pooling *),
                          const struct cn_step *step, const float *x, size_t count, float *y) {
    const size_t in = cn_shape_size(&step->layer.input_shape);
    const size_t out = cn_shape_size(&step->layer.output_shape);
    for (size_t i = 0; i < count; i++)
        kernel(y + i * out, x + i * in, &step->pooling);
}

static void max_pooling_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                              float *y, float *scratch) {
    (void)scratch;
    pooling_infer(cn_kernels()->max_pooling, step, inputs[0], count, y);
}

static void average_pooling_infer(const struct cn_step *step, const float *const *inputs,
                                  size_t count, float *y, float *scratch) {
    (void)scratch;
    pooling_infer(cn_kernels()->average_pooling, step, inputs[0], count, y);
}

static void pooling_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_step step = cn_step_of(layer, NULL);
    layer->type->inference->infer(&step, pass->xs, pass->count, pass->y, NULL);
}

static void max_pooling_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = pooling_shape(layer);
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; pass->dx != NULL && i < pass->count; i++)
        cn_kernels()->backward->max_pooling(pass->dx + i * in, pass->dy + i * out, pass->x + i * in,
                                            pass->y + i * out, &shape);
}

static void average_pooling_backward_as(const struct cn_layer *layer, const struct cn_pass *pass,
                                        const struct cn_pooling *shape) {
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; pass->dx != NULL && i < pass->count; i++)
        cn_average_pooling_backward(pass->dx + i * in, pass->dy + i * out, shape);
}

static void average_pooling_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = pooling_shape(layer);
    average_pooling_backward_as(layer, pass, &shape);
}

static void global_pooling_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = global_pooling_shape(layer);
    average_pooling_backward_as(layer, pass, &shape);
}

#define WINDOWED                                                                                   \
    .config_size = sizeof defaults, .defaults = &defaults, .fields = fields,                       \
    .field_count = sizeof fields / sizeof *fields, .build = pooling_build

static const struct cn_layer_training max_pooling_training = {.forward = pooling_forward,
                                                              .backward = max_pooling_backward};
static const struct cn_layer_training average_pooling_training = {
    .forward = pooling_forward, .backward = average_pooling_backward};
static const struct cn_layer_training global_pooling_training = {
    .forward = pooling_forward, .backward = global_pooling_backward};

static const struct cn_layer_inference max_pooling_inference = {
    .prepare = pooling_prepare, .infer = max_pooling_infer, .maxima = pooling_shape};
static const struct cn_layer_inference average_pooling_inference = {.prepare = pooling_prepare,
                                                                    .infer = average_pooling_infer};
static const struct cn_layer_inference global_pooling_inference = {
    .prepare = global_pooling_prepare, .infer = average_pooling_infer};

const struct cn_layer_type cn_max_pooling2d_type = {.class_name = "MaxPooling2D",
                                                    .onnx = "MaxPool",
                                                    WINDOWED,
                                                    .training = &max_pooling_training,
                                                    .inference = &max_pooling_inference};

const struct cn_layer_type cn_average_pooling2d_type = {.class_name = "AveragePooling2D",
                                                        .onnx = "AveragePool",
                                                        WINDOWED,
                                                        .training = &average_pooling_training,
                                                        .inference = &average_pooling_inference};

const struct cn_layer_type cn_global_average_pooling2d_type = {
    .class_name = "GlobalAveragePooling2D",
    .onnx = "GlobalAveragePool",
    .build = global_pooling_build,
    .training = &global_pooling_training,
    .inference = &global_pooling_inference};
