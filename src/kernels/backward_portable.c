/* backward_portable.c: the backward kernels for any processor: see vector_backward.inc. */
#define LANES            4
#define TILE_PIXELS      6
#define TILE_VECTORS     2
#define KERNELS_BACKWARD cn_backward_portable
#include "kernels/vector_backward.inc"
