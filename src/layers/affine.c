/* affine.c: packing and inference of a convolution with bias and activation; training is
 * affine_training.c's. No state. */
#include <string.h>

#include "kernels/activation.h"
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

const float *cn_affine_pad(const struct cn_affine *a, const float *x, float *scratch) {
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
    cn_kernels()->conv2d(y, cn_affine_pad(a, x, scratch), packed,
                         packed + packed_kernel_size(&a->shape), &a->shape, relu);
    if (!relu)
        cn_activation_forward(y, output_pixels(&a->shape), (size_t)a->shape.out_channels,
                              a->activation);
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
