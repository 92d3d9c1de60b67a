/* kernels_avx512.c: the kernels for AVX512: see vector_kernels.inc. */
#define LANES        16
#define TILE_PIXELS  12
#define TILE_VECTORS 2
#define KERNELS      cn_kernels_avx512
#define KERNELS_NAME "avx512"
#include "kernels/vector_kernels.inc"
