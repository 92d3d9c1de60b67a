/* pooling2d.c: Keras's MaxPooling and AveragePooling over one or two axes, and the global ones,
 * whose window is the whole image. No state. */
#include "kernels/backward.h"
#include "kernels/bytes.h"
#include "kernels/kernels.h"
#include "kernels/pooling.h"
#include "layers/window.h"

struct pooling2d_config {
    int axes; /* set by the type, not by a key */
    int pool_size[2];
    int strides[2]; /* 0: pool_size */
    int padding;
};

static const struct pooling2d_config pooling2d_defaults = {.axes = 2, .pool_size = {2, 2}};
static const struct pooling2d_config pooling1d_defaults = {.axes = 1, .pool_size = {1, 2}};

#define AT(member) offsetof(struct pooling2d_config, member)
#define FIELDS(pair)                                                                               \
    {"pool_size", pair, AT(pool_size), false, false, 1, 1 << 12, NULL},                            \
        {"strides", pair, AT(strides), false, true, 1, 1 << 12, NULL}, {                           \
        "padding", CN_FIELD_ENUM, AT(padding), false, false, 0, 0, cn_padding_names                \
    }
static const struct cn_field pooling2d_fields[] = {FIELDS(CN_FIELD_INT_PAIR)};
static const struct cn_field pooling1d_fields[] = {FIELDS(CN_FIELD_INT_WIDTH)};

static const struct pooling2d_config *config_of(const struct cn_layer *layer) {
    return (const struct pooling2d_config *)(const void *)layer->config;
}

static enum cn_status pooling_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                      struct cn_shape *ret_image, struct cn_error *error) {
    const struct pooling2d_config *c = config_of(layer);
    const int *strides = c->strides[1] > 0 ? c->strides : c->pool_size;
    const struct cn_window_config window = {.size = {c->pool_size[0], c->pool_size[1]},
                                            .strides = {strides[0], strides[1]},
                                            .dilation = {1, 1},
                                            .padding = c->padding};
    return cn_windows_build(layer, c->axes, &window, windows, ret_image, error);
}

static struct cn_pooling pooling_shape(const struct cn_layer *layer) {
    struct cn_window windows[2];
    struct cn_shape image;
    (void)pooling_windows(layer, windows, &image, NULL); /* build has checked them */
    return (struct cn_pooling){.in_height = windows[0].in,
                               .in_width = windows[1].in,
                               .channels = image.dims[2],
                               .out_height = windows[0].out,
                               .out_width = windows[1].out,
                               .pool_height = windows[0].size,
                               .pool_width = windows[1].size,
                               .row_stride = windows[0].stride,
                               .column_stride = windows[1].stride,
                               .pad_top = windows[0].before,
                               .pad_left = windows[1].before};
}

static enum cn_status pooling_build(struct cn_layer *layer, struct cn_error *error) {
    struct cn_window windows[2];
    struct cn_shape image;
    const enum cn_status status = pooling_windows(layer, windows, &image, error);
    if (status == CN_OK)
        layer->output_shape =
            cn_axes_shape(config_of(layer)->axes, windows[0].out, windows[1].out, image.dims[2]);
    return status;
}

/* ---- Global ---- */

struct global_config {
    int axes; /* set by the type, not by a key */
    bool keepdims;
};

static const struct global_config global2d_defaults = {.axes = 2}, global1d_defaults = {.axes = 1};
static const struct cn_field global_fields[] = {
    {"keepdims", CN_FIELD_BOOL, offsetof(struct global_config, keepdims), false, false, 0, 0, NULL},
};

static const struct global_config *global_config_of(const struct cn_layer *layer) {
    return (const struct global_config *)(const void *)layer->config;
}

/* The whole image as one window. */
static struct cn_pooling global_shape(const struct cn_layer *layer) {
    struct cn_shape image;
    (void)cn_layer_image(layer, global_config_of(layer)->axes, &image, NULL);
    const int *in = image.dims;
    return (struct cn_pooling){in[0], in[1], in[2], 1, 1, in[0], in[1], 1, 1, 0, 0};
}

static enum cn_status global_build(struct cn_layer *layer, struct cn_error *error) {
    const struct global_config *config = global_config_of(layer);
    struct cn_shape image;
    const enum cn_status status = cn_layer_image(layer, config->axes, &image, error);
    if (status == CN_OK)
        layer->output_shape = config->keepdims ? cn_axes_shape(config->axes, 1, 1, image.dims[2])
                                               : cn_shape_vector(image.dims[2]);
    return status;
}

/* ---- Both ---- */

static void pooling_prepare(struct cn_step *step) {
    step->pooling = pooling_shape(&step->layer);
    step->by_rows = step->inference->infer_rows != NULL;
}

static void global_prepare(struct cn_step *step) {
    step->pooling = global_shape(&step->layer);
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

/* The windows of these rows of the output over an input that begins with row x_first. */
static struct cn_pooling pooling_of_rows(const struct cn_step *step, int x_first,
                                         struct cn_rows out) {
    struct cn_pooling shape = step->pooling;
    shape.pad_top -= out.first * shape.row_stride - x_first;
    shape.in_height -= x_first;
    shape.out_height = out.end - out.first;
    return shape;
}

static void max_pooling_rows(const struct cn_step *step, const float *x, int x_first, float *y,
                             struct cn_rows out, float *scratch) {
    const struct cn_pooling shape = pooling_of_rows(step, x_first, out);
    (void)scratch;
    cn_kernels()->max_pooling(y, x, &shape);
}

static void average_pooling_rows(const struct cn_step *step, const float *x, int x_first, float *y,
                                 struct cn_rows out, float *scratch) {
    const struct cn_pooling shape = pooling_of_rows(step, x_first, out);
    (void)scratch;
    cn_kernels()->average_pooling(y, x, &shape);
}

static struct cn_rows pooling_rows_under(const struct cn_step *step, struct cn_rows out) {
    const struct cn_pooling *p = &step->pooling;
    return (struct cn_rows){out.first * p->row_stride - p->pad_top,
                            (out.end - 1) * p->row_stride - p->pad_top + p->pool_height};
}

/* ---- On bytes ---- */

static bool same_ranges(const struct cn_byte_range *a, const struct cn_byte_range *b) {
    return a->scale == b->scale && a->zero == b->zero;
}

static bool max_pooling_takes(const struct cn_layer *layer, const struct cn_byte_range *in,
                              struct cn_byte_range out) {
    (void)layer;
    return same_ranges(in, &out);
}

/* A window's sum of bytes is exact as a float. */
static bool average_pooling_takes(const struct cn_layer *layer, const struct cn_byte_range *in,
                                  struct cn_byte_range out) {
    (void)in;
    return out.scale > 0 && cn_shape_size(&layer->input_shape) < 1 << 24;
}

static void max_pooling_bytes(const struct cn_step *step, const float *const *inputs, size_t count,
                              float *y, float *scratch) {
    const size_t in = cn_shape_size(&step->layer.input_shape);
    const size_t out = cn_shape_size(&step->layer.output_shape);
    (void)scratch;
    for (size_t i = 0; i < count; i++)
        cn_bytes_kernels()->max_pooling((uint8_t *)y + i * out, (const uint8_t *)inputs[0] + i * in,
                                        &step->pooling);
}

static void average_pooling_bytes(const struct cn_step *step, const float *const *inputs,
                                  size_t count, float *y, float *scratch) {
    const size_t in = cn_shape_size(&step->layer.input_shape);
    const size_t out = cn_shape_size(&step->layer.output_shape);
    (void)scratch;
    for (size_t i = 0; i < count; i++)
        cn_bytes_kernels()->average_pooling((uint8_t *)y + i * out,
                                            (const uint8_t *)inputs[0] + i * in, &step->pooling,
                                            step->bytes.in[0], step->bytes.out);
}

static const char *pooling_bytes_kernel(const struct cn_step *step) {
    (void)step;
    return "bytes";
}

#define ON_BYTES(pooling, shape)                                                                   \
    {                                                                                              \
        .prepare = shape##_prepare, .infer = pooling##_bytes, .kernel = pooling_bytes_kernel,      \
        .takes = pooling##_takes                                                                   \
    }
static const struct cn_layer_inference average_pooling_on_bytes =
    ON_BYTES(average_pooling, pooling);
static const struct cn_layer_inference global_max_on_bytes = {.prepare = global_prepare,
                                                              .infer = max_pooling_bytes,
                                                              .kernel = pooling_bytes_kernel,
                                                              .takes = max_pooling_takes,
                                                              .one_range = true};
static const struct cn_layer_inference global_average_on_bytes = ON_BYTES(average_pooling, global);
static const struct cn_layer_inference max_pooling_on_bytes = {.prepare = pooling_prepare,
                                                               .infer = max_pooling_bytes,
                                                               .kernel = pooling_bytes_kernel,
                                                               .takes = max_pooling_takes,
                                                               .one_range = true,
                                                               .maxima = pooling_shape};

/* ---- Training ---- */

static void max_pooling_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = cn_step_of(layer, NULL).pooling;
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; pass->dx != NULL && i < pass->count; i++)
        cn_kernels()->backward->max_pooling(pass->dx + i * in, pass->dy + i * out, pass->x + i * in,
                                            pass->y + i * out, &shape);
}

static void average_pooling_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_pooling shape = cn_step_of(layer, NULL).pooling;
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; pass->dx != NULL && i < pass->count; i++)
        cn_average_pooling_backward(pass->dx + i * in, pass->dy + i * out, &shape);
}

static const struct cn_layer_training max_pooling_training = {.backward = max_pooling_backward};
static const struct cn_layer_training average_pooling_training = {.backward =
                                                                      average_pooling_backward};

static const struct cn_layer_inference max_pooling_inference = {.prepare = pooling_prepare,
                                                                .infer = max_pooling_infer,
                                                                .infer_rows = max_pooling_rows,
                                                                .rows_under = pooling_rows_under,
                                                                .maxima = pooling_shape,
                                                                .bytes = &max_pooling_on_bytes};
static const struct cn_layer_inference average_pooling_inference = {
    .prepare = pooling_prepare,
    .infer = average_pooling_infer,
    .infer_rows = average_pooling_rows,
    .rows_under = pooling_rows_under,
    .bytes = &average_pooling_on_bytes};
static const struct cn_layer_inference global_max_inference = {
    .prepare = global_prepare, .infer = max_pooling_infer, .bytes = &global_max_on_bytes};
static const struct cn_layer_inference global_average_inference = {
    .prepare = global_prepare, .infer = average_pooling_infer, .bytes = &global_average_on_bytes};

#define WINDOWED(prefix) CN_LAYER_KEYS(prefix##_defaults, prefix##_fields), .build = pooling_build
#define MAXIMUM                                                                                    \
    .onnx = "MaxPool", .training = &max_pooling_training, .inference = &max_pooling_inference
#define AVERAGE                                                                                    \
    .onnx = "AveragePool", .training = &average_pooling_training,                                  \
    .inference = &average_pooling_inference

const struct cn_layer_type cn_max_pooling2d_type = {
    .class_name = "MaxPooling2D", WINDOWED(pooling2d), MAXIMUM};
const struct cn_layer_type cn_max_pooling1d_type = {
    .class_name = "MaxPooling1D", WINDOWED(pooling1d), MAXIMUM};
const struct cn_layer_type cn_average_pooling2d_type = {
    .class_name = "AveragePooling2D", WINDOWED(pooling2d), AVERAGE};
const struct cn_layer_type cn_average_pooling1d_type = {
    .class_name = "AveragePooling1D", WINDOWED(pooling1d), AVERAGE};

#define GLOBAL(prefix)                                                                             \
    CN_LAYER_KEYS(prefix##_defaults, global_fields), .late_fields = 1, .build = global_build
#define GLOBAL_MAXIMUM                                                                             \
    .onnx = "GlobalMaxPool", .training = &max_pooling_training, .inference = &global_max_inference
#define GLOBAL_AVERAGE                                                                             \
    .onnx = "GlobalAveragePool", .training = &average_pooling_training,                            \
    .inference = &global_average_inference

const struct cn_layer_type cn_global_max_pooling2d_type = {
    .class_name = "GlobalMaxPooling2D", GLOBAL(global2d), GLOBAL_MAXIMUM};
const struct cn_layer_type cn_global_max_pooling1d_type = {
    .class_name = "GlobalMaxPooling1D", GLOBAL(global1d), GLOBAL_MAXIMUM};
const struct cn_layer_type cn_global_average_pooling2d_type = {
    .class_name = "GlobalAveragePooling2D", GLOBAL(global2d), GLOBAL_AVERAGE};
const struct cn_layer_type cn_global_average_pooling1d_type = {
    .class_name = "GlobalAveragePooling1D", GLOBAL(global1d), GLOBAL_AVERAGE};
