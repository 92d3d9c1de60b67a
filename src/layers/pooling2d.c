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

static enum cn_status windows_of(const struct cn_layer *layer, struct cn_window windows[2],
                                 struct cn_error *error) {
    const struct pooling2d_config *config =
        (const struct pooling2d_config *)(const void *)layer->config;
    const int *strides = config->strides[0] > 0 ? config->strides : config->pool_size;
    return cn_windows_build(windows, config->pool_size, strides, (enum cn_padding)config->padding,
                            layer, error);
}

static struct cn_pooling shape_of(const struct cn_layer *layer) {
    struct cn_window windows[2];
    (void)windows_of(layer, windows, NULL); /* build has seen them fit */
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
static struct cn_pooling global_shape_of(const struct cn_layer *layer) {
    const int *in = layer->input_shape.dims;
    return (struct cn_pooling){in[0], in[1], in[2], 1, 1, in[0], in[1], 1, 1, 0, 0};
}

static enum cn_status build(struct cn_layer *layer, struct cn_error *error) {
    struct cn_window windows[2];
    enum cn_status status = cn_layer_need_rank(layer, 3, "", error);
    if (status == CN_OK)
        status = windows_of(layer, windows, error);
    if (status == CN_OK)
        layer->output_shape =
            cn_shape_image(windows[0].out, windows[1].out, layer->input_shape.dims[2]);
    return status;
}

static enum cn_status build_global(struct cn_layer *layer, struct cn_error *error) {
    const enum cn_status status = cn_layer_need_rank(layer, 3, "", error);
    if (status == CN_OK)
        layer->output_shape = cn_shape_vector(layer->input_shape.dims[2]);
    return status;
}

static void prepare(struct cn_step *step) {
    step->pooling = shape_of(&step->layer);
}

static void prepare_global(struct cn_step *step) {
    step->pooling = global_shape_of(&step->layer);
}

static void infer_with(void (*kernel)(float *, const float *, const struct cn_pooling *),
                       const struct cn_step *step, const float *x, size_t count, float *y) {
    const size_t in = cn_shape_size(&step->layer.input_shape);
    const size_t out = cn_shape_size(&step->layer.output_shape);
    for (size_t i = 0; i < count; i++)
        kernel(y + i * out, x + i * in, &step->pooling);
}

static void max_infer(const struct cn_step *step, const float *x, size_t count, float *y,
                      float *scratch) {
    (void)scratch;
    infer_with(cn_kernels()->max_pooling, step, x, count, y);
}

static void average_infer(const struct cn_step *step, const float *x, size_t count, float *y,
                          float *scratch) {
    (void)scratch;
    infer_with(cn_kernels()->average_pooling, step, x, count, y);
}

static void forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_step step = cn_step_of(layer, NULL);
    layer->type->infer(&step, pass->x, pass->count, pass->y, NULL);
}

static void max_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = shape_of(layer);
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; pass->dx != NULL && i < pass->count; i++)
        cn_kernels()->backward->max_pooling(pass->dx + i * in, pass->dy + i * out, pass->x + i * in,
                                            pass->y + i * out, &shape);
}

static void average_backward_as(const struct cn_layer *layer, const struct cn_pass *pass,
                                const struct cn_pooling *shape) {
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; pass->dx != NULL && i < pass->count; i++)
        cn_average_pooling_backward(pass->dx + i * in, pass->dy + i * out, shape);
}

static void average_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = shape_of(layer);
    average_backward_as(layer, pass, &shape);
}

static void global_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = global_shape_of(layer);
    average_backward_as(layer, pass, &shape);
}

#define CONFIGURED                                                                                 \
    .config_size = sizeof defaults, .defaults = &defaults, .fields = fields,                       \
    .field_count = sizeof fields / sizeof *fields, .build = build, .forward = forward,             \
    .prepare = prepare

const struct cn_layer_type cn_max_pooling2d_type = {.class_name = "MaxPooling2D",
                                                    CONFIGURED,
                                                    .backward = max_backward,
                                                    .infer = max_infer,
                                                    .maxima = shape_of};

const struct cn_layer_type cn_average_pooling2d_type = {.class_name = "AveragePooling2D",
                                                        CONFIGURED,
                                                        .backward = average_backward,
                                                        .infer = average_infer};

const struct cn_layer_type cn_global_average_pooling2d_type = {.class_name =
                                                                   "GlobalAveragePooling2D",
                                                               .build = build_global,
                                                               .forward = forward,
                                                               .backward = global_backward,
                                                               .prepare = prepare_global,
                                                               .infer = average_infer};
