/* quantization.h: a network whose values and weights are integers of 8 bits where that pays.
 *
 * A quantized network is a network of floats, whose kernels are whole multiples of a scale per
 * output channel, and which says of each value whether it is rounded to a byte, and how. It is used
 * like any other network; a plan runs it on bytes. docs/model-format.md says what is in a file,
 * docs/performance.md how it is computed and what it costs in accuracy.
 */
#ifndef CONVNET_QUANTIZATION_H
#define CONVNET_QUANTIZATION_H

#include <stddef.h>

#include "convnet/declare.h"
#include "convnet/status.h"

CN_DECLARATIONS_BEGIN

struct cn_network;

/* The meaning of a byte q: scale * (q - zero). */
struct cn_byte_range {
    float scale; /* above 0; 0: the value is a float */
    int zero;    /* 0 to 255 */
};

/* The largest weight over its scale, either sign: two products with a byte fit in 16 bits, where
 * AVX2 adds them. */
enum { CN_QUANTIZED_WEIGHT = 64 };

struct cn_quantization {
    struct cn_byte_range *ranges; /* of each value: the inputs, then the layers' outputs */
    size_t *first;                /* [layer_count + 1]: where a layer's scales begin */
    float *scales;                /* per output channel of the layers with kernels; 0: floats */
};

/* Gives `network` a quantization in which nothing is quantized yet. */
enum cn_status cn_quantization_create(struct cn_network *network, struct cn_error *error);

/* Removes the quantization; the weights do not change. Does nothing if there is none. */
void cn_quantization_remove(struct cn_network *network);

/* Gives `to`, a network of the same layers, the quantization of `from`, if it has one. */
enum cn_status cn_quantization_copy(const struct cn_network *from, struct cn_network *to,
                                    struct cn_error *error);

/* The scales of layer `layer`'s kernel, one per output channel; NULL: its weights are floats. */
const float *cn_quantization_scales(const struct cn_network *network, size_t layer);

/* A copy of `network` with BatchNormalization folded into the layers before it, its kernels
 * rounded, and its values' ranges measured on `count` images [count, input size]. `clip` is the
 * share of the largest and the smallest numbers of a value that may be cut off. One input only.
 * Caller frees with cn_network_free. CN_UNSUPPORTED if no layer can be quantized. */
enum cn_status cn_quantize(const struct cn_network *network, const float *images, size_t count,
                           double clip, struct cn_network **ret_network, struct cn_error *error);

CN_DECLARATIONS_END

#endif
