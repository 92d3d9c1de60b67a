/* affine.c: packing, forward and backward of a convolution with bias and activation. The gradient
 * by the input is itself a convolution: the output's gradient, spread by the strides and padded,
 * with the kernel turned round and its channels exchanged (Dumoulin and Visin 2016, section 4). */
#include <string.h>

#include "kernels/activation.h"
#include "kernels/backward.h"
#include "kernels/kernels.h"
#include "layers/affine.h"

static size_t window_size(const struct cn_conv2d *s) {
    return (size_t)s->kernel_height * (size_t)s->kernel_width;
}

/* Floats of the packed kernel; the bias follows it. */
static size_t packed_kernel_size(const struct cn_conv2d *s) {
    return window_size(s) * (size_t)s->in_channels * (size_t)cn_padded(s->out_channels);
}

static size_t padded_input_size(const struct cn_conv2d *s) {
    return (size_t)s->in_height * (size_t)s->in_width * (size_t)s->in_channels;
}

static size_t output_pixels(const struct cn_conv2d *s) {
    return (size_t)s->out_height * (size_t)s->out_width;
}

static bool needs_padding(const struct cn_affine *a) {
    return a->shape.in_height != a->height || a->shape.in_width != a->width;
}

static size_t input_size(const struct cn_affine *a) {
    return (size_t)a->height * (size_t)a->width * (size_t)a->shape.in_channels;
}

/* Rounded so that what follows in the same block stays aligned. */
static size_t aligned(size_t count) {
    return (count + CN_LANES - 1) & ~(size_t)(CN_LANES - 1);
}

static size_t affine_packed_size(const struct cn_affine *a) {
    return packed_kernel_size(&a->shape) + (size_t)cn_padded(a->shape.out_channels);
}

static void affine_pack(const struct cn_affine *a, const float *parameters, float *packed) {
    const size_t rows = window_size(&a->shape) * (size_t)a->shape.in_channels;
    const size_t columns = (size_t)a->shape.out_channels;
    const size_t stride = (size_t)cn_padded(a->shape.out_channels);
    memset(packed, 0, affine_packed_size(a) * sizeof *packed);
    for (size_t i = 0; i < rows; i++)
        memcpy(packed + i * stride, parameters + i * columns, columns * sizeof *packed);
    if (a->use_bias)
        memcpy(packed + rows * stride, parameters + rows * columns, columns * sizeof *packed);
}

static void affine_fold(const struct cn_affine *a, float *packed, const float *scale,
                        const float *shift) {
    const size_t rows = window_size(&a->shape) * (size_t)a->shape.in_channels;
    const size_t stride = (size_t)cn_padded(a->shape.out_channels);
    for (size_t i = 0; i <= rows; i++) /* the bias is the last row */
        for (size_t c = 0; c < (size_t)a->shape.out_channels; c++)
            packed[i * stride + c] *= scale[c];
    for (size_t c = 0; c < (size_t)a->shape.out_channels; c++)
        packed[rows * stride + c] += shift[c];
}

static size_t affine_scratch_size(const struct cn_affine *a) {
    return needs_padding(a) ? aligned(padded_input_size(&a->shape)) : 0;
}

/* x with its zero border, in `scratch`; x itself if it has none. */
static const float *pad(const struct cn_affine *a, const float *x, float *scratch) {
    if (!needs_padding(a))
        return x;
    const size_t channels = (size_t)a->shape.in_channels;
    const size_t from = (size_t)a->width * channels, to = (size_t)a->shape.in_width * channels;
    memset(scratch, 0, padded_input_size(&a->shape) * sizeof *scratch);
    for (int i = 0; i < a->height; i++)
        memcpy(scratch + (size_t)(i + a->pad_top) * to + (size_t)a->pad_left * channels,
               x + (size_t)i * from, from * sizeof *scratch);
    return scratch;
}

static void affine_infer(const struct cn_affine *a, const float *packed, const float *x, float *y,
                         float *scratch) {
    const bool relu = a->activation == CN_ACTIVATION_RELU;
    cn_kernels()->conv2d(y, pad(a, x, scratch), packed, packed + packed_kernel_size(&a->shape),
                         &a->shape, relu);
    if (!relu)
        cn_activation_forward(y, output_pixels(&a->shape), (size_t)a->shape.out_channels,
                              a->activation);
}

/* The convolution that takes dz to dx: dz spread by the strides, with a border of kernel - 1. */
static struct cn_conv2d transposed(const struct cn_conv2d *s) {
    return (struct cn_conv2d){.in_height = s->in_height + s->kernel_height - 1,
                              .in_width = s->in_width + s->kernel_width - 1,
                              .in_channels = s->out_channels,
                              .out_height = s->in_height,
                              .out_width = s->in_width,
                              .out_channels = s->in_channels,
                              .kernel_height = s->kernel_height,
                              .kernel_width = s->kernel_width,
                              .row_stride = 1,
                              .column_stride = 1};
}

static size_t affine_training_packed_size(const struct cn_affine *a) {
    const struct cn_conv2d back = transposed(&a->shape);
    return affine_packed_size(a) + packed_kernel_size(&back) + (size_t)cn_padded(back.out_channels);
}

static void affine_training_pack(const struct cn_affine *a, const float *parameters,
                                 float *packed) {
    const struct cn_conv2d *s = &a->shape;
    const size_t window = window_size(s);
    const size_t in = (size_t)s->in_channels, out = (size_t)s->out_channels;
    const size_t stride = (size_t)cn_padded(s->in_channels);
    affine_pack(a, parameters, packed);
    float *turned = packed + affine_packed_size(a);
    memset(turned, 0, (window * out + 1) * stride * sizeof *turned);
    for (size_t k = 0; k < window; k++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                turned[((window - 1 - k) * out + o) * stride + i] =
                    parameters[(k * in + i) * out + o];
}

/* Scratch of the backward pass: padded x | dz | dw | spread dz | padded dx. */
struct parts {
    size_t dz, dw, spread, dx, end;
};

static struct parts parts_of(const struct cn_affine *a) {
    const struct cn_conv2d *s = &a->shape;
    const struct cn_conv2d back = transposed(s);
    struct parts parts = {.dz = affine_scratch_size(a)};
    parts.dw = parts.dz + output_pixels(s) * (size_t)cn_padded(s->out_channels);
    parts.spread = parts.dw + packed_kernel_size(s) + (size_t)cn_padded(s->out_channels);
    parts.dx = parts.spread + aligned(padded_input_size(&back));
    parts.end = parts.dx + (needs_padding(a) ? aligned(padded_input_size(s)) : 0);
    return parts;
}

static size_t affine_training_scratch_size(const struct cn_affine *a) {
    return parts_of(a).end;
}

static void affine_forward(const struct cn_affine *a, const struct cn_pass *pass) {
    const size_t out = output_pixels(&a->shape) * (size_t)a->shape.out_channels;
    for (size_t i = 0; i < pass->count; i++)
        affine_infer(a, pass->packed, pass->x + i * input_size(a), pass->y + i * out,
                     pass->scratch);
}

/* dx of one sample from dz [out pixels, padded(out_channels)]. */
static void input_gradient(const struct cn_affine *a, const float *packed, const float *dz,
                           float *spread, float *padded, float *dx) {
    const struct cn_conv2d *s = &a->shape;
    const struct cn_conv2d back = transposed(s);
    const size_t channels = (size_t)s->out_channels;
    const float *turned = packed + affine_packed_size(a);
    memset(spread, 0, padded_input_size(&back) * sizeof *spread);
    for (int i = 0; i < s->out_height; i++)
        for (int j = 0; j < s->out_width; j++) {
            const int row = i * s->row_stride + s->kernel_height - 1;
            const int column = j * s->column_stride + s->kernel_width - 1;
            memcpy(spread + ((size_t)row * (size_t)back.in_width + (size_t)column) * channels, dz,
                   channels * sizeof *dz);
            dz += cn_padded(s->out_channels);
        }
    cn_kernels()->conv2d(needs_padding(a) ? padded : dx, spread, turned,
                         turned + packed_kernel_size(&back), &back, false);
    if (!needs_padding(a))
        return;
    const size_t row = (size_t)a->width * (size_t)s->in_channels;
    for (int i = 0; i < a->height; i++)
        memcpy(dx + (size_t)i * row,
               padded + ((size_t)(i + a->pad_top) * (size_t)s->in_width + (size_t)a->pad_left) *
                            (size_t)s->in_channels,
               row * sizeof *dx);
}

static void affine_backward(const struct cn_affine *a, const struct cn_pass *pass) {
    const struct cn_conv2d *s = &a->shape;
    const struct parts parts = parts_of(a);
    const size_t pixels = output_pixels(s), channels = (size_t)s->out_channels;
    const size_t stride = (size_t)cn_padded(s->out_channels);
    const size_t rows = window_size(s) * (size_t)s->in_channels;
    float *dz = pass->scratch + parts.dz, *dw = pass->scratch + parts.dw;
    float *db = dw + packed_kernel_size(s);
    memset(dw, 0, (parts.spread - parts.dw) * sizeof *dw);
    for (size_t n = 0; n < pass->count; n++) {
        const size_t at = n * pixels * channels;
        cn_activation_backward(dz, stride, pass->dy + at, pass->y + at, pixels, channels,
                               pass->dy_is_dz ? CN_ACTIVATION_LINEAR : a->activation);
        cn_kernels()->backward->conv2d_kernel_gradient(
            dw, pad(a, pass->x + n * input_size(a), pass->scratch), dz, s);
        for (size_t p = 0; p < pixels; p++)
            for (size_t c = 0; c < channels; c++)
                db[c] += dz[p * stride + c];
        if (pass->dx != NULL)
            input_gradient(a, pass->packed, dz, pass->scratch + parts.spread,
                           pass->scratch + parts.dx, pass->dx + n * input_size(a));
    }
    for (size_t i = 0; i < rows + (a->use_bias ? 1 : 0); i++)
        for (size_t c = 0; c < channels; c++)
            pass->gradients[i * channels + c] += dw[i * stride + c];
}

static unsigned long long affine_macs(const struct cn_affine *a) {
    return (unsigned long long)output_pixels(&a->shape) * window_size(&a->shape) *
           (unsigned long long)a->shape.in_channels * (unsigned long long)a->shape.out_channels;
}

/* ---- The functions of the types whose `affine` is given ---- */

unsigned long long cn_affine_macs(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return affine_macs(&affine);
}

void cn_affine_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_affine affine = layer->type->affine(layer);
    affine_forward(&affine, pass);
}

void cn_affine_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_affine affine = layer->type->affine(layer);
    affine_backward(&affine, pass);
}

size_t cn_affine_training_packed_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return affine_training_packed_size(&affine);
}

void cn_affine_training_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    const struct cn_affine affine = layer->type->affine(layer);
    affine_training_pack(&affine, parameters, packed);
}

size_t cn_affine_training_scratch_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return affine_training_scratch_size(&affine);
}

void cn_affine_infer(const struct cn_layer *layer, const float *packed, const float *x, float *y,
                     float *scratch) {
    const struct cn_affine affine = layer->type->affine(layer);
    affine_infer(&affine, packed, x, y, scratch);
}

size_t cn_affine_packed_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return affine_packed_size(&affine);
}

void cn_affine_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    const struct cn_affine affine = layer->type->affine(layer);
    affine_pack(&affine, parameters, packed);
}

size_t cn_affine_scratch_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return affine_scratch_size(&affine);
}

void cn_affine_fold(const struct cn_layer *layer, float *packed, const float *scale,
                    const float *shift) {
    const struct cn_affine affine = layer->type->affine(layer);
    affine_fold(&affine, packed, scale, shift);
}
