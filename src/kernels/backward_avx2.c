/* backward_avx2.c: the backward kernels for AVX2 and FMA: see vector_backward.inc. */
#define LANES            8
#define TILE_PIXELS      6
#define TILE_VECTORS     2
#define KERNELS_BACKWARD cn_backward_avx2
#include "kernels/vector_backward.inc"
