/* kernels.h: the vectorised arithmetic, one table an instruction set.
 *
 * All bodies are compiled from vector_kernels.inc and vector_backward.inc, once per instruction
 * set. Rows of packed arrays are padded to a multiple of CN_LANES floats, the padding zero, so that
 * no kernel has a tail.
 */
#ifndef CONVNET_KERNELS_KERNELS_H
#define CONVNET_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/conv2d.h"

enum { CN_LANES = 16 }; /* floats of the widest vector: what packed rows are padded to */

/* `n` rounded up to a multiple of CN_LANES. */
static inline int cn_padded(int n) {
    return (n + CN_LANES - 1) & ~(CN_LANES - 1);
}

struct cn_kernels {
    const char *name;

    /* y[out_height, out_width, out_channels] = x * w + b, then max(0, .) if relu.
     * x: [in_height, in_width, in_channels]
     * w: [kernel_height, kernel_width, in_channels, padded(out_channels)]
     * b: [padded(out_channels)] */
    void (*conv2d)(float *y, const float *x, const float *w, const float *b,
                   const struct cn_conv2d *shape, bool relu);

    const struct cn_backward_kernels *backward; /* backward.h */
};

/* The table chosen at first use; constant afterwards. */
const struct cn_kernels *cn_kernels(void);

/* The tables this build holds and this processor can run, for tests: NULL past the end. */
const struct cn_kernels *cn_kernels_at(size_t index);

extern const struct cn_kernels cn_kernels_portable, cn_kernels_avx2, cn_kernels_avx512;

#endif
