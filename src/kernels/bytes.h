/* bytes.h: the arithmetic of quantized networks: values of 8 bits without sign, weights of 7 bits
 * and a sign, sums of 32 bits. One table per instruction set, which all give the same bits: the
 * sums are integers, and each rounding is one multiplication and one conversion as IEEE 754 has
 * them.
 *
 * A byte q stands for scale * (q - zero). Kernels may read up to CN_BYTES_SLACK bytes past the end
 * of what they are given and never use them; the caller's arrays have that room.
 */
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
    /* Products of one sum, at most: with its bias it fits in 32 bits. */
    CN_BYTES_DEPTH = 1 << 16
};

/* How a sum times its channel's scale is stored: clipped to `least` and `most`; then as a float, or
 * rounded to even, with `zero` added, as a byte. */
struct cn_requantize {
    float least, most;
    int zero;
    bool floats;
};

/* One that stores bytes of `out`, or floats where out.scale is 0; `relu`: nothing below zero. */
struct cn_requantize cn_requantize_to(struct cn_byte_range out, bool relu);

struct cn_bytes_kernels {
    const char *name;

    /* y[out_height, out_width, out_channels], bytes or floats, = finish(x * w + b).
     * x: [in_height, in_width, in_channels], its border being the bytes of zero.
     * packed: what cn_bytes_pack makes. */
    void (*conv2d)(void *y, const uint8_t *x, const float *packed, const struct cn_conv2d *shape,
                   const struct cn_requantize *finish);

    /* The largest of each 2 x 2 outputs of conv2d: y[height, width, out_channels]; see
     * cn_kernels.conv2d_max_pooled. */
    void (*conv2d_max_pooled)(void *y, const uint8_t *x, const float *packed,
                              const struct cn_conv2d *shape, const struct cn_requantize *finish,
                              int height, int width);

    /* y[count] = a + b, each of its own range. */
    void (*add)(uint8_t *y, const uint8_t *a, const uint8_t *b, size_t count,
                const struct cn_byte_range ranges[2], struct cn_byte_range out);

    /* y[out_height, out_width, channels] from x[in_height, in_width, channels]; the maxima are of
     * one range with their input. */
    void (*max_pooling)(uint8_t *y, const uint8_t *x, const struct cn_pooling *shape);
    void (*average_pooling)(uint8_t *y, const uint8_t *x, const struct cn_pooling *shape,
                            struct cn_byte_range in, struct cn_byte_range out);

    /* Converts floats to bytes and back; NaN becomes the least byte. */
    void (*quantize)(uint8_t *y, const float *x, size_t count, struct cn_byte_range out);
    void (*dequantize)(float *y, const uint8_t *x, size_t count, struct cn_byte_range in);
};

/* The table chosen at first use, of the instruction set of cn_kernels(); AVX-512's has two, with
 * and without the VNNI instructions. */
const struct cn_bytes_kernels *cn_bytes_kernels(void);

/* The tables this build holds and this processor can run, best first, for tests: NULL past the end.
 */
const struct cn_bytes_kernels *cn_bytes_kernels_at(size_t index);

/* ---- Weights ---- */

/* Floats of room for the packed weights, their sums' beginnings and scales. */
size_t cn_bytes_packed_size(const struct cn_conv2d *shape);

/* What a kernel [kernel_height, kernel_width, in_channels / groups, out_channels] of floats, which
 * are whole multiples of scales[out_channels], becomes between inputs of `in` and outputs of `out`,
 * floats where out.scale is 0. bias [out_channels], or NULL for zeros. */
void cn_bytes_pack(float *packed, const float *kernel, const float *bias, const float *scales,
                   const struct cn_conv2d *shape, struct cn_byte_range in,
                   struct cn_byte_range out);

/* Multiplies the outputs of channel c, which are floats, by factors[c]. */
void cn_bytes_scale(float *packed, const struct cn_conv2d *shape, const float *factors);

/* Where the packed weights of a convolution of bytes lie, for packing and kernels: panels of
 * CN_LANES output channels as kernels.h has them, but of words of four inputs' weights (of one
 * input's, depthwise); then the sums' beginnings, whole numbers; then their scales. */
struct cn_bytes_layout {
    size_t groups, out, padded; /* output channels of a group, and room for them */
    size_t run, runs;           /* inputs side by side, and how often in a window */
    size_t words;               /* that hold a run */
    size_t bias;                /* words before the beginnings */
    size_t scales;              /* words from the beginnings to the scales */
};

struct cn_bytes_layout cn_bytes_layout_of(const struct cn_conv2d *shape);

extern const struct cn_bytes_kernels cn_bytes_portable, cn_bytes_avx2, cn_bytes_avx512,
    cn_bytes_vnni;

#endif
