/* bytes.h: the arithmetic of quantized networks: values are unsigned 8-bit integers, weights signed
 * 8-bit integers, and sums 32-bit integers. There is one table per instruction set, and all give
 * the same bits: the sums are integers, and each rounding is one multiplication and one conversion
 * as IEEE 754 defines them.
 *
 * A byte q stands for scale * (q - zero). Kernels may read up to CN_BYTES_SLACK bytes past the end
 * of their inputs without using them; the caller's arrays must have these bytes. */
#ifndef CONVNET_KERNELS_BYTES_H
#define CONVNET_KERNELS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/quantization.h"
#include "kernels/conv2d.h"
#include "kernels/pooling.h"

enum {
    CN_BYTES_SLACK = 64,
    /* The largest number of products in one sum, which then fits in 32 bits with its bias. */
    CN_BYTES_DEPTH = 1 << 16
};

/* How a sum times its channel's scale is stored: clipped to `least` and `most`; then as a float, or
 * rounded to even, with `zero` added, as a byte. */
struct cn_requantize {
    float least, most;
    int zero;
    bool floats;
};

/* Stores bytes of the range `out`, or floats if out.scale is 0; with `relu` nothing is below zero.
 */
struct cn_requantize cn_requantize_to(struct cn_byte_range out, bool relu);

struct cn_bytes_kernels {
    const char *name;

    /* y[out_height, out_width, out_channels], bytes or floats, = finish(x * w + b).
     * x: [in_height, in_width, in_channels], whose border has the byte of zero.
     * packed: from cn_bytes_pack. */
    void (*conv2d)(void *y, const uint8_t *x, const float *packed, const struct cn_conv2d *shape,
                   const struct cn_requantize *finish);

    /* The maximum of each 2 x 2 outputs of conv2d: y[height, width, out_channels]; see
     * cn_kernels.conv2d_max_pooled. */
    void (*conv2d_max_pooled)(void *y, const uint8_t *x, const float *packed,
                              const struct cn_conv2d *shape, const struct cn_requantize *finish,
                              int height, int width);

    /* y[count] = a + b; each of the three has its own range. */
    void (*add)(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t count,
                const struct cn_byte_range ranges[2], struct cn_byte_range out);

    /* y[out_height, out_width, channels] from x[in_height, in_width, channels]; a maximum has the
     * range of its input. */
    void (*max_pooling)(uint8_t *y, const uint8_t *x, const struct cn_pooling *shape);
    void (*average_pooling)(uint8_t *y, const uint8_t *x, const struct cn_pooling *shape,
                            struct cn_byte_range in, struct cn_byte_range out);

    /* Convert floats to bytes and back; NaN becomes the least byte. */
    void (*quantize)(uint8_t *y, const float *x, size_t count, struct cn_byte_range out);
    void (*dequantize)(float *y, const uint8_t *x, size_t count, struct cn_byte_range in);
};

/* The table for the instruction set of cn_kernels(), chosen at the first use; AVX-512 has two
 * tables, with and without the VNNI instructions. */
const struct cn_bytes_kernels *cn_bytes_kernels(void);

/* The tables of this build that this processor can run, best first, for tests; NULL past the end.
 */
const struct cn_bytes_kernels *cn_bytes_kernels_at(size_t index);

/* ---- Weights ---- */

/* The number of floats for the packed weights, the first values of their sums, and their scales. */
size_t cn_bytes_packed_size(const struct cn_conv2d *shape);

/* Packs a kernel [kernel_height, kernel_width, in_channels / groups, out_channels] of floats, which
 * are integers times scales[out_channels], for inputs of range `in` and outputs of range `out`
 * (floats if out.scale is 0). bias [out_channels], or NULL for zeros. */
void cn_bytes_pack(float *packed, const float *kernel, const float *bias, const float *scales,
                   const struct cn_conv2d *shape, struct cn_byte_range in,
                   struct cn_byte_range out);

/* Multiplies the outputs of channel c, which are floats, by factors[c]. */
void cn_bytes_scale(float *packed, const struct cn_conv2d *shape, const float *factors);

/* The layout of the packed weights of a convolution of bytes, for packing and for the kernels:
 * panels of CN_LANES output channels as in kernels.h, but with words of four inputs' weights (of
 * one input's if depthwise); then the first value of each sum, an integer; then the scales. */
struct cn_bytes_layout {
    size_t groups, out, padded; /* output channels of a group, without and with padding */
    size_t run, runs;           /* inputs per run, and runs per window */
    size_t words;               /* words per run */
    size_t bias;                /* words before the first values of the sums */
    size_t scales;              /* words from the first values to the scales */
};

struct cn_bytes_layout cn_bytes_layout_of(const struct cn_conv2d *shape);

extern const struct cn_bytes_kernels cn_bytes_portable, cn_bytes_avx2, cn_bytes_avx512,
    cn_bytes_vnni;

#endif
