/* backward_avx512.c: the backward kernels for AVX512: see vector_backward.inc. */
#define LANES            16
#define TILE_PIXELS      12
#define TILE_VECTORS     2
#define KERNELS_BACKWARD cn_backward_avx512
#include "kernels/vector_backward.inc"
