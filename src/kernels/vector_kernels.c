/* vector_kernels.c: the one source of all vector kernels of floats. local.mk compiles it once per
 * instruction set, with the set's name in INSTRUCTIONS and what vector.inc asks for. No state. */
#include <float.h>
#include <math.h>

/* Any processor's: what a compiler is told no set for. */
#ifndef INSTRUCTIONS
#define INSTRUCTIONS portable
#define LANES        4
#define TILE_PIXELS  6
#endif

#include "kernels/pooling.h"
#include "kernels/vector.inc"
#include "kernels/winograd.h"

#include "kernels/vector_functions.inc"

#include "kernels/vector_dense.inc"
#include "kernels/vector_floats.inc"
#include "kernels/vector_pooling.inc"
#include "kernels/vector_softmax.inc"

#include "kernels/vector_backward.inc"
#include "kernels/vector_elementwise.inc"
#include "kernels/vector_unary.inc"

const struct cn_kernels TABLE_OF(cn_kernels_,
                                 INSTRUCTIONS) = {.name = NAME_OF(INSTRUCTIONS),
                                                  .conv2d = conv2d,
                                                  .conv2d_max_pooled = conv2d_max_pooled,
                                                  .winograd = winograd,
                                                  .dense = dense,
                                                  .max_pooling = max_pooling,
                                                  .average_pooling = average_pooling,
                                                  .scale_shift = scale_shift,
                                                  .softmax = softmax,
                                                  .functions = &function_kernels,
                                                  .unary = &unary_kernels,
                                                  .backward = &backward_kernels,
                                                  .elementwise = &elementwise_kernels};
