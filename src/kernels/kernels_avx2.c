/* kernels_avx2.c: the kernels for AVX2 and FMA: see vector_kernels.inc. */
#define LANES        8
#define TILE_PIXELS  6
#define TILE_VECTORS 2
#define KERNELS      cn_kernels_avx2
#define KERNELS_NAME "avx2"
#include "kernels/vector_kernels.inc"
