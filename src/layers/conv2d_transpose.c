/* conv2d_transpose.c: Keras's Conv2DTranspose and Conv1DTranspose: each input pixel contributes a
 * window of outputs. A row of the input is one matrix product, whose columns are then added to the
 * output. No state. */
#include <string.h>

#include "base/memory.h"
#include "kernels/activate.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "layers/convolve.h"

static const struct cn_convolution_config conv2d_transpose_defaults = {.axes = 2,
                                                                       CN_CONVOLUTION_DEFAULTS};
static const struct cn_convolution_config conv1d_transpose_defaults = {.axes = 1,
                                                                       CN_CONVOLUTION_DEFAULTS};

#define KEYS(pair)                                                                                 \
    CN_KEY_FILTERS, CN_KEYS_WINDOW(pair, cn_padding_names), {"output_padding",                     \
                                                             pair,                                 \
                                                             CN_CONVOLUTION_AT(output_padding),    \
                                                             false,                                \
                                                             true,                                 \
                                                             0,                                    \
                                                             1 << 12,                              \
                                                             NULL},                                \
        CN_KEY_DILATION(pair), CN_KEYS_ACTIVATION,                                                 \
        CN_KEY_INITIALIZER("kernel_initializer", kernel_initializer),                              \
        CN_KEY_INITIALIZER("bias_initializer", bias_initializer)
static const struct cn_field conv2d_transpose_fields[] = {KEYS(CN_FIELD_INT_PAIR)};
static const struct cn_field conv1d_transpose_fields[] = {KEYS(CN_FIELD_INT_WIDTH)};

/* Keras's output length along one axis: TensorFlow's for "valid" and "same", with the padding of
 * the convolution that this one reverses. */
static enum cn_status transpose_axis(const struct cn_layer *layer, int axis, int in,
                                     struct cn_window *ret_window, struct cn_error *error) {
    const struct cn_convolution_config *c = cn_convolution_config(layer);
    const int kernel = c->window.size[axis], stride = c->window.strides[axis];
    const long long reach = (long long)(kernel - 1) * c->window.dilation[axis] + 1;
    const long long covered = (long long)(in - 1) * stride + reach;
    long long out = (long long)in * stride;
    if (c->output_padding[axis] >= 0)
        out = covered - (c->window.padding == CN_PADDING_SAME ? reach / 2 * 2 : 0) +
              c->output_padding[axis];
    else if (c->window.padding == CN_PADDING_VALID && reach > stride)
        out += reach - stride;
    if (out < 1 || out > CN_SHAPE_MAX_ELEMENTS)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) would give %lld rows or columns",
                       layer->name, layer->type->class_name, out);
    *ret_window = (struct cn_window){.size = kernel,
                                     .dilation = c->window.dilation[axis],
                                     .stride = stride,
                                     .in = in,
                                     .out = (int)out};
    if (c->window.padding == CN_PADDING_SAME && covered > out)
        ret_window->before = (int)((covered - out) / 2);
    return CN_OK;
}

static enum cn_status transpose_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                        struct cn_shape *ret_image, struct cn_error *error) {
    enum cn_status status =
        cn_layer_image(layer, cn_convolution_config(layer)->axes, ret_image, error);
    const int first = cn_convolution_config(layer)->axes == 1 ? 1 : 0;
    windows[0] = (struct cn_window){1, 1, 1, 1, 1, 0, 0};
    for (int i = first; i < 2 && status == CN_OK; i++)
        status = transpose_axis(layer, i, ret_image->dims[i], &windows[i], error);
    return status;
}

static enum cn_status transpose_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    struct cn_window windows[2];
    struct cn_shape image;
    const enum cn_status status = transpose_windows(layer, windows, &image, error);
    if (status != CN_OK)
        return status;
    const struct cn_shape columns = {
        3, {image.dims[1], config->window.size[0] * config->window.size[1], config->filters, 1, 1}};
    const enum cn_status fits =
        cn_shape_check(&columns, "a row of a transposed convolution", error);
    if (fits != CN_OK)
        return fits;
    layer->output_shape =
        cn_axes_shape(config->axes, windows[0].out, windows[1].out, config->filters);
    cn_convolution_tensors(layer, "kernel", windows, config->filters, image.dims[2],
                           (enum cn_initializer)config->kernel_initializer);
    if (config->use_bias)
        cn_bias_tensor(layer, config->filters, (enum cn_initializer)config->bias_initializer);
    return CN_OK;
}

/* The geometry, computed once per call. */
struct geometry {
    struct cn_window rows, columns;
    size_t in, filters, taps; /* channels in and out; number of positions in the window */
    struct cn_conv2d product; /* for one row of the input with all taps */
};

static struct geometry geometry_of(const struct cn_layer *layer) {
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    struct cn_window windows[2];
    struct cn_shape image;
    struct geometry g;
    (void)transpose_windows(layer, windows, &image, NULL); /* build has checked it */
    g.rows = windows[0];
    g.columns = windows[1];
    g.in = (size_t)image.dims[2];
    g.filters = (size_t)config->filters;
    g.taps = (size_t)g.rows.size * (size_t)g.columns.size;
    g.product = (struct cn_conv2d){.in_height = 1,
                                   .in_width = g.columns.in,
                                   .in_channels = image.dims[2],
                                   .out_height = 1,
                                   .out_width = g.columns.in,
                                   .out_channels = (int)(g.taps * g.filters),
                                   .kernel_height = 1,
                                   .kernel_width = 1,
                                   .row_stride = 1,
                                   .column_stride = 1};
    return g;
}

static unsigned long long transpose_macs(const struct cn_layer *layer) {
    const struct geometry g = geometry_of(layer);
    return (unsigned long long)cn_shape_size(&layer->input_shape) * g.taps * g.filters;
}

/* Packed: the product's kernel [in, taps, filters] | bias [filters]. */
static size_t transpose_packed_size(const struct cn_layer *layer) {
    const struct geometry g = geometry_of(layer);
    return cn_floats_aligned(cn_conv2d_packed_size(&g.product)) + g.filters;
}

static void transpose_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    const struct geometry g = geometry_of(layer);
    const size_t columns = g.taps * g.filters;
    float *bias = packed + cn_floats_aligned(cn_conv2d_packed_size(&g.product));
    cn_conv2d_pack_transposed(packed, parameters, &g.product);
    memset(bias, 0, g.filters * sizeof *bias);
    if (cn_convolution_config(layer)->use_bias)
        memcpy(bias, parameters + columns * g.in, g.filters * sizeof *bias);
}

static size_t transpose_scratch_size(const struct cn_layer *layer) {
    const struct geometry g = geometry_of(layer);
    return (size_t)g.columns.in * g.taps * g.filters;
}

/* Adds the contribution of input row `row`, products[width, taps, filters], to y. */
static void add_row(const struct geometry *g, int row, const float *products, float *y) {
    for (int j = 0; j < g->columns.in; j++)
        for (int u = 0; u < g->rows.size; u++)
            for (int v = 0; v < g->columns.size; v++, products += g->filters) {
                const int down = row * g->rows.stride + u * g->rows.dilation - g->rows.before;
                const int right =
                    j * g->columns.stride + v * g->columns.dilation - g->columns.before;
                if (down < 0 || down >= g->rows.out || right < 0 || right >= g->columns.out)
                    continue;
                float *to =
                    y + ((size_t)down * (size_t)g->columns.out + (size_t)right) * g->filters;
                for (size_t f = 0; f < g->filters; f++)
                    to[f] += products[f];
            }
}

static void transpose_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                            float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *packed = step->packed, *x = inputs[0];
    const struct geometry g = geometry_of(layer);
    const float *zeros = packed + cn_conv2d_kernel_size(&g.product);
    const float *bias = packed + cn_floats_aligned(cn_conv2d_packed_size(&g.product));
    const size_t pixels = (size_t)g.rows.out * (size_t)g.columns.out;
    const size_t row = (size_t)g.columns.in * g.in;
    for (size_t n = 0; n < count; n++) {
        float *image = y + n * pixels * g.filters;
        for (size_t p = 0; p < pixels; p++)
            memcpy(image + p * g.filters, bias, g.filters * sizeof *image);
        for (int i = 0; i < g.rows.in; i++, x += row) {
            cn_kernels()->conv2d(scratch, x, packed, zeros, &g.product, false);
            add_row(&g, i, scratch, image);
        }
    }
    cn_activation_forward(y, count * pixels, g.filters, cn_convolution_config(layer)->activation);
}

/* ---- Training ---- */

static size_t transpose_training_scratch_size(const struct cn_layer *layer) {
    const size_t forward = transpose_scratch_size(layer), out = cn_shape_size(&layer->output_shape);
    return forward > out ? forward : out;
}

/* One pixel of the input: x and dx [in], w and dw [taps, filters, in], dz of the whole image. */
static void transpose_pixel_backward(const struct geometry *g, const float *w, const float *x,
                                     const float *dz, float *dw, float *dx, int row, int column) {
    for (int u = 0; u < g->rows.size; u++)
        for (int v = 0; v < g->columns.size; v++) {
            const int down = row * g->rows.stride + u * g->rows.dilation - g->rows.before;
            const int right =
                column * g->columns.stride + v * g->columns.dilation - g->columns.before;
            if (down < 0 || down >= g->rows.out || right < 0 || right >= g->columns.out)
                continue;
            const float *slope =
                dz + ((size_t)down * (size_t)g->columns.out + (size_t)right) * g->filters;
            const size_t tap = (size_t)u * (size_t)g->columns.size + (size_t)v;
            for (size_t f = 0; f < g->filters; f++) {
                const size_t at = (tap * g->filters + f) * g->in;
                for (size_t c = 0; c < g->in; c++)
                    dw[at + c] += slope[f] * x[c];
                for (size_t c = 0; dx != NULL && c < g->in; c++)
                    dx[c] += slope[f] * w[at + c];
            }
        }
}

static void transpose_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct geometry g = geometry_of(layer);
    const struct cn_affine ends = {.shape = {.out_height = g.rows.out,
                                             .out_width = g.columns.out,
                                             .out_channels = (int)g.filters},
                                   .activation = cn_convolution_config(layer)->activation,
                                   .use_bias = cn_convolution_config(layer)->use_bias};
    const size_t out = cn_shape_size(&layer->output_shape);
    const float *x = pass->x;
    float *dx = pass->dx, *dz = pass->scratch;
    if (dx != NULL)
        memset(dx, 0, pass->count * cn_shape_size(&layer->input_shape) * sizeof *dx);
    for (size_t n = 0; n < pass->count; n++) {
        cn_convolve_activation_gradient(&ends, pass->dy_is_dz, pass->dy + n * out,
                                        pass->y + n * out, dz,
                                        pass->gradients + g.taps * g.filters * g.in);
        for (int i = 0; i < g.rows.in; i++)
            for (int j = 0; j < g.columns.in; j++, x += g.in) {
                transpose_pixel_backward(&g, pass->parameters, x, dz, pass->gradients, dx, i, j);
                dx = dx != NULL ? dx + g.in : NULL;
            }
    }
}

static const struct cn_layer_training transpose_training = {.backward = transpose_backward,
                                                            .packed_size = transpose_packed_size,
                                                            .pack = transpose_pack,
                                                            .scratch_size =
                                                                transpose_training_scratch_size};

static size_t transpose_scratch_of_step(const struct cn_step *step) {
    return transpose_scratch_size(&step->layer);
}

static const struct cn_layer_inference transpose_inference = {.infer = transpose_infer,
                                                              .packed_size = transpose_packed_size,
                                                              .pack = transpose_pack,
                                                              .scratch_size =
                                                                  transpose_scratch_of_step};

#define TRANSPOSE(prefix)                                                                          \
    .onnx = "ConvTranspose", CN_LAYER_KEYS(prefix##_defaults, prefix##_fields),                    \
    .build = transpose_build, .macs = transpose_macs, .activation = cn_convolution_activation,     \
    .training = &transpose_training, .inference = &transpose_inference

const struct cn_layer_type cn_conv2d_transpose_type = {.class_name = "Conv2DTranspose",
                                                       TRANSPOSE(conv2d_transpose)};
const struct cn_layer_type cn_conv1d_transpose_type = {.class_name = "Conv1DTranspose",
                                                       TRANSPOSE(conv1d_transpose)};
