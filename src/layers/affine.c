/* affine.c: packing and inference of a convolution with bias and activation; training is
 * affine_training.c's. No state. */
#include <string.h>

#include "base/memory.h"
#include "kernels/activate.h"
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
    return needs_padding(a) ? cn_floats_aligned(padded_input_size(&a->shape)) : 0;
}

const float *cn_affine_pad(const struct cn_affine *a, const float *x, float *scratch) {
    if (!needs_padding(a))
        return x;
    const size_t channels = (size_t)a->shape.in_channels;
    const size_t from = (size_t)a->width * channels, to = (size_t)a->shape.in_width * channels;
    const size_t before = (size_t)a->pad_left * channels, after = to - from - before;
    const int below = a->shape.in_height - a->height - a->pad_top;
    float *row = scratch;
    memset(row, 0, (size_t)a->pad_top * to * sizeof *row);
    row += (size_t)a->pad_top * to;
    for (int i = 0; i < a->height; i++, row += to, x += from) {
        memset(row, 0, before * sizeof *row);
        memcpy(row + before, x, from * sizeof *row);
        memset(row + before + from, 0, after * sizeof *row);
    }
    memset(row, 0, (size_t)below * to * sizeof *row);
    return scratch;
}

/* The window is the whole input: an image is one pixel of a convolution over the batch. */
static bool sees_everything(const struct cn_affine *a) {
    const struct cn_conv2d *s = &a->shape;
    return s->kernel_height == s->in_height && s->kernel_width == s->in_width && !needs_padding(a);
}

static void convolve_batch(const struct cn_affine *a, const float *packed, const float *x,
                           size_t count, float *y, bool relu) {
    const struct cn_conv2d *s = &a->shape;
    const struct cn_conv2d pixels = {.in_height = 1,
                                     .in_width = (int)count,
                                     .in_channels = (int)input_size(a),
                                     .out_height = 1,
                                     .out_width = (int)count,
                                     .out_channels = s->out_channels,
                                     .kernel_height = 1,
                                     .kernel_width = 1,
                                     .row_stride = 1,
                                     .column_stride = 1};
    cn_kernels()->conv2d(y, x, packed, packed + packed_kernel_size(s), &pixels, relu);
}

/* The convolution, and what its kernel does on the way: ReLU, and maxima if `pooling` is there. */
static void convolve(const struct cn_affine *a, const float *packed,
                     const struct cn_pooling *pooling, const float *x, float *y, float *scratch,
                     bool relu) {
    const float *bias = packed + packed_kernel_size(&a->shape);
    x = cn_affine_pad(a, x, scratch);
    if (pooling != NULL)
        cn_kernels()->conv2d_max_pooled(y, x, packed, bias, &a->shape, relu, pooling->out_height,
                                        pooling->out_width);
    else
        cn_kernels()->conv2d(y, x, packed, bias, &a->shape, relu);
}

static void run(const struct cn_affine *a, const float *packed, const struct cn_pooling *pooling,
                const float *x, size_t count, float *y, float *scratch) {
    const bool relu = a->activation == CN_ACTIVATION_RELU;
    const size_t channels = (size_t)a->shape.out_channels;
    const size_t pixels = pooling != NULL ? (size_t)pooling->out_height * (size_t)pooling->out_width
                                          : output_pixels(&a->shape);
    if (sees_everything(a) && pooling == NULL && count > 0)
        convolve_batch(a, packed, x, count, y, relu);
    else
        for (size_t i = 0; i < count; i++)
            convolve(a, packed, pooling, x + i * input_size(a), y + i * pixels * channels, scratch,
                     relu);
    if (!relu)
        cn_activation_forward(y, count * pixels, channels, a->activation);
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

void cn_affine_prepare(struct cn_step *step) {
    step->affine = step->layer.type->affine(&step->layer);
}

void cn_affine_infer(const struct cn_step *step, const float *const *inputs, size_t count, float *y,
                     float *scratch) {
    run(&step->affine, step->packed, step->pooled ? &step->pooling : NULL, inputs[0], count, y,
        scratch);
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
