/* kernels.h: the vectorised arithmetic, one table per instruction set.
 *
 * All bodies are compiled from vector_kernels.c, once per instruction set. Rows of packed arrays
 * are padded with zeros to a multiple of CN_LANES floats, so that no kernel needs a remainder loop.
 */
#ifndef CONVNET_KERNELS_KERNELS_H
#define CONVNET_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/conv2d.h"
#include "kernels/pooling.h"

enum { CN_LANES = 16 }; /* floats of the widest vector; rows are padded to multiples of it */

/* `n` rounded up to a multiple of CN_LANES. */
static inline int cn_padded(int n) {
    return (n + CN_LANES - 1) & ~(CN_LANES - 1);
}

struct cn_dense {
    int in, out;
};

/* The activation functions over arrays: y[count] = f(x[count]); y may be x. NaN stays NaN. The
 * bounds of the error hold for every float and instruction set, in units in the last place of the
 * result if that is a normal number. */
struct cn_function_kernels {
    void (*exponential)(float *y, const float *x, size_t count); /* 2 */
    void (*sigmoid)(float *y, const float *x, size_t count);     /* 3 */
    void (*tanh)(float *y, const float *x, size_t count);        /* 3 */
    void (*erf)(float *y, const float *x, size_t count);         /* 3 */
    void (*softplus)(float *y, const float *x, size_t count);    /* 4; log(1 + exp(x)) */
    void (*swish)(float *y, const float *x, size_t count); /* 4; x sigmoid(x), also subnormal */
    void (*gelu)(float *y, const float *x, size_t count);  /* x/2 (1 + erf(x / sqrt 2)): 2e-7 |x| */
    void (*elu)(float *y, const float *x, size_t count);   /* 4; x, or exp(x) - 1 if x <= 0 */
};

/* Functions of a few instructions. y may be x. */
struct cn_unary_kernels {
    /* NaN becomes `least`; if `most` is below `least`, the result is `most`. */
    void (*clip)(float *y, const float *x, size_t count, float least, float most);
    void (*line)(float *y, const float *x, size_t count, float slope, float shift);
    void (*leaky_relu)(float *y, const float *x, size_t count, float slope);
    /* slope * x + shift, from 0 to 1. */
    void (*hard_sigmoid)(float *y, const float *x, size_t count, float slope, float shift);
    void (*hard_swish)(float *y, const float *x, size_t count); /* x hard_sigmoid(x; 1/6, 1/2) */
    void (*square_root)(float *y, const float *x, size_t count);
    void (*product)(float *y, const float *x, const float *factor, size_t count);
};

struct cn_kernels {
    const char *name;

    /* y[out_height, out_width, out_channels] = x * w + b, then max(0, .) if relu.
     * x: [in_height, in_width, in_channels]
     * w: [padded(out_channels) / CN_LANES, kernel_height, kernel_width, in_channels, CN_LANES]
     * b: [padded(out_channels)]; packing.h makes both. With several groups their arrays follow one
     * another, each with in_channels / groups and out_channels / groups. */
    void (*conv2d)(float *y, const float *x, const float *w, const float *b,
                   const struct cn_conv2d *shape, bool relu);

    /* The maximum of each 2 x 2 outputs of conv2d: y[height, width, out_channels]. A window that
     * reaches past the last row or column covers the outputs that exist; rows and columns that no
     * window covers are not computed. */
    void (*conv2d_max_pooled)(float *y, const float *x, const float *w, const float *b,
                              const struct cn_conv2d *shape, bool relu, int height, int width);

    /* The same as conv2d, or as conv2d_max_pooled if `pooled`, for shapes that cn_winograd_pays
     * takes, or a band of rows of one, whose first row is a multiple of CN_WINOGRAD_OUT. An input
     * that is infinite or NaN can make other outputs of its tiles NaN, too, but changes no bit of
     * other tiles. scratch: [cn_winograd_scratch_size]. */
    void (*winograd)(float *y, const float *x, const float *w, const float *b,
                     const struct cn_conv2d *shape, bool relu, bool pooled, int height, int width,
                     float *scratch);

    /* y[count, out] = x[count, in] * w + b, then max(0, .) if relu.
     * w: [padded(in) / CN_LANES, out, CN_LANES], the last axis over neighbouring inputs
     * b: [out] */
    void (*dense)(float *y, const float *x, const float *w, const float *b,
                  const struct cn_dense *shape, size_t count, bool relu);

    /* y[out_height, out_width, channels] from x[in_height, in_width, channels]. */
    void (*max_pooling)(float *y, const float *x, const struct cn_pooling *shape);
    void (*average_pooling)(float *y, const float *x, const struct cn_pooling *shape);

    /* y[rows, channels] = x[rows, channels] * scale[channels] + shift[channels]. */
    void (*scale_shift)(float *y, const float *x, const float *scale, const float *shift,
                        size_t rows, int channels);

    /* y[rows, width] = exp(y - maximum of the row) / their sum, so that no finite input overflows
     * and a row sums to 1 within 1e-6. */
    void (*softmax)(float *y, size_t rows, int width);

    const struct cn_function_kernels *functions;
    const struct cn_unary_kernels *unary;
    const struct cn_backward_kernels *backward;       /* backward.h */
    const struct cn_elementwise_kernels *elementwise; /* elementwise.h */
};

/* The table, chosen at the first use and constant afterwards. */
const struct cn_kernels *cn_kernels(void);

/* The tables of this build that this processor can run, for tests; NULL past the end. */
const struct cn_kernels *cn_kernels_at(size_t index);

/* True if this processor has the instruction set of the table with this name, of kernels.h or
 * bytes.h. */
bool cn_has_instructions(const char *set);

extern const struct cn_kernels cn_kernels_portable, cn_kernels_avx2, cn_kernels_avx512;

#endif
