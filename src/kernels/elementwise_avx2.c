/* elementwise_avx2.c: the elementwise kernels for AVX2 and FMA: see vector_elementwise.inc. */
#define LANES               8
#define TILE_PIXELS         6
#define TILE_VECTORS        2
#define KERNELS_ELEMENTWISE cn_elementwise_avx2
#include "kernels/vector_elementwise.inc"
