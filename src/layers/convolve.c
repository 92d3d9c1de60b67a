/* convolve.c: see convolve.h. No state. */
#include "layers/convolve.h"

#include <string.h>

#include "kernels/activate.h"

_Static_assert(sizeof(struct cn_convolution_config) <= CN_LAYER_CONFIG, "configuration too large");

const struct cn_convolution_config *cn_convolution_config(const struct cn_layer *layer) {
    return (const struct cn_convolution_config *)(const void *)layer->config;
}

enum cn_activation *cn_convolution_activation(struct cn_layer *layer) {
    return &((struct cn_convolution_config *)(void *)layer->config)->activation;
}

enum cn_status cn_convolution_windows(const struct cn_layer *layer, struct cn_window windows[2],
                                      struct cn_shape *ret_image, struct cn_error *error) {
    const struct cn_convolution_config *config = cn_convolution_config(layer);
    return cn_windows_build(layer, config->axes, &config->window, windows, ret_image, error);
}

struct cn_affine cn_convolution_affine(const struct cn_window windows[2], int in_channels,
                                       int out_channels, int groups, enum cn_activation activation,
                                       bool use_bias) {
    const struct cn_window rows = windows[0], columns = windows[1];
    return (struct cn_affine){.shape = {.in_height = rows.in + rows.before + rows.after,
                                        .in_width = columns.in + columns.before + columns.after,
                                        .in_channels = in_channels,
                                        .out_height = rows.out,
                                        .out_width = columns.out,
                                        .out_channels = out_channels,
                                        .kernel_height = rows.size,
                                        .kernel_width = columns.size,
                                        .row_stride = rows.stride,
                                        .column_stride = columns.stride,
                                        .row_dilation = rows.dilation,
                                        .column_dilation = columns.dilation,
                                        .groups = groups},
                              .pad_top = rows.before,
                              .pad_left = columns.before,
                              .height = rows.in,
                              .width = columns.in,
                              .activation = activation,
                              .use_bias = use_bias};
}

void cn_convolution_tensors(struct cn_layer *layer, const char *name,
                            const struct cn_window windows[2], int in, int out,
                            enum cn_initializer initializer) {
    const bool image = layer->output_shape.rank == 3;
    const double window = (double)windows[0].size * windows[1].size;
    struct cn_tensor_spec *tensor = &layer->tensors[layer->tensor_count++];
    *tensor = (struct cn_tensor_spec){.name = name,
                                      .rank = image ? 4 : 3,
                                      .dims = {windows[0].size, windows[1].size, in, out},
                                      .trainable = true,
                                      .initializer = initializer,
                                      .fan_in = window * in,
                                      .fan_out = window * out};
    if (!image) {
        memmove(tensor->dims, tensor->dims + 1, 3 * sizeof *tensor->dims);
        tensor->dims[3] = 0;
    }
}

void cn_bias_tensor(struct cn_layer *layer, int channels, enum cn_initializer initializer) {
    layer->tensors[layer->tensor_count++] = (struct cn_tensor_spec){.name = "bias",
                                                                    .rank = 1,
                                                                    .dims = {channels},
                                                                    .trainable = true,
                                                                    .initializer = initializer,
                                                                    .fan_in = channels,
                                                                    .fan_out = channels};
}

static size_t group_count(const struct cn_affine *a) {
    return a->shape.groups > 1 ? (size_t)a->shape.groups : 1;
}

size_t cn_convolve_kernel_size(const struct cn_affine *a) {
    return (size_t)a->shape.kernel_height * (size_t)a->shape.kernel_width *
           ((size_t)a->shape.in_channels / group_count(a)) * (size_t)a->shape.out_channels;
}

void cn_convolve_activation_gradient(const struct cn_affine *a, bool dy_is_dz, const float *dy,
                                     const float *y, float *dz, float *db) {
    const size_t pixels = (size_t)a->shape.out_height * (size_t)a->shape.out_width;
    const size_t channels = (size_t)a->shape.out_channels;
    cn_activation_backward(dz, channels, dy, y, pixels, channels,
                           dy_is_dz ? CN_ACTIVATION_LINEAR : a->activation);
    for (size_t p = 0; a->use_bias && p < pixels; p++)
        for (size_t c = 0; c < channels; c++)
            db[c] += dz[p * channels + c];
}

/* One tap at one pixel: w and dw [in / groups, out], x and dx [in], dz [out]. */
static void tap_backward(const struct cn_affine *a, const float *w, const float *x, const float *dz,
                         float *dw, float *dx) {
    const size_t groups = group_count(a), in = (size_t)a->shape.in_channels / groups;
    const size_t all = (size_t)a->shape.out_channels, out = all / groups;
    if (in == 1 && out == 1) { /* depthwise: one row */
        for (size_t c = 0; c < groups; c++)
            dw[c] += x[c] * dz[c];
        for (size_t c = 0; dx != NULL && c < groups; c++)
            dx[c] += w[c] * dz[c];
        return;
    }
    for (size_t g = 0; g < groups; g++)
        for (size_t c = 0; c < in; c++) {
            const size_t at = c * all + g * out;
            const float *slope = dz + g * out, value = x[g * in + c];
            float sum = 0;
            for (size_t o = 0; o < out; o++)
                dw[at + o] += value * slope[o];
            for (size_t o = 0; dx != NULL && o < out; o++)
                sum += w[at + o] * slope[o];
            if (dx != NULL)
                dx[g * in + c] += sum;
        }
}

/* Processes the taps of one output pixel, whose window begins at a row and a column of the input.
 */
static void pixel_backward(const struct cn_affine *a, const float *w, const float *x,
                           const float *dz, float *dw, float *dx, int top, int left) {
    const struct cn_conv2d *s = &a->shape;
    const size_t channels = (size_t)s->in_channels;
    const size_t tap = channels / group_count(a) * (size_t)s->out_channels;
    const int down = s->row_dilation > 1 ? s->row_dilation : 1;
    const int right = s->column_dilation > 1 ? s->column_dilation : 1;
    for (int i = 0; i < s->kernel_height; i++)
        for (int j = 0; j < s->kernel_width; j++, w += tap, dw += tap) {
            const int row = top + i * down, column = left + j * right;
            if (row < 0 || row >= a->height || column < 0 || column >= a->width)
                continue;
            const size_t at = ((size_t)row * (size_t)a->width + (size_t)column) * channels;
            tap_backward(a, w, x + at, dz, dw, dx != NULL ? dx + at : NULL);
        }
}

void cn_convolve_backward(const struct cn_affine *a, const float *w, const float *x,
                          const float *dz, float *dw, float *dx) {
    const struct cn_conv2d *s = &a->shape;
    if (dx != NULL)
        memset(dx, 0, (size_t)a->height * (size_t)a->width * (size_t)s->in_channels * sizeof *dx);
    for (int i = 0; i < s->out_height; i++)
        for (int j = 0; j < s->out_width; j++, dz += s->out_channels)
            pixel_backward(a, w, x, dz, dw, dx, i * s->row_stride - a->pad_top,
                           j * s->column_stride - a->pad_left);
}
