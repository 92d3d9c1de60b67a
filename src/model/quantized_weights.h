/* quantized_weights.h: inside the model folder: the kernels of bytes and the ranges of a quantized
 * network, as a model file has them. */
#ifndef CONVNET_MODEL_QUANTIZED_WEIGHTS_H
#define CONVNET_MODEL_QUANTIZED_WEIGHTS_H

#include "convnet/network.h"
#include "model/safetensors.h"

#define CN_MODEL_QUANTIZATION "quantization" /* key of the metadata */
#define CN_MODEL_SCALE        "_scale"       /* after a kernel's name: the tensor of its scales */

/* ---- Writing ---- */

/* The ranges as JSON; malloc'd, NULL if memory runs out. */
char *cn_quantized_format_ranges(const struct cn_network *network);

/* The number of kernels that are bytes; *ret_bytes: the bytes of all of them. */
size_t cn_quantized_kernels(const struct cn_network *network, size_t *ret_bytes);

/* Makes `kernel`, the tensor of layer `layer`'s kernel, one of bytes, which are written to `bytes`,
 * and `scale` the tensor of its scales, borrowed from the network. */
void cn_quantized_describe(const struct cn_network *network, size_t layer, int8_t *bytes,
                           struct cn_safetensor *kernel, struct cn_safetensor *scale);

/* ---- Reading ---- */

/* Gives the built network the quantization that the file has, if it has one: ranges, and the
 * kernels of bytes, whose shapes have been checked. CN_MALFORMED. */
enum cn_status cn_quantized_read(const struct cn_safetensors *file, struct cn_network *network,
                                 struct cn_error *error);

#endif
