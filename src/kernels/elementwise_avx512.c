/* elementwise_avx512.c: the elementwise kernels for AVX512: see vector_elementwise.inc. */
#define LANES               16
#define TILE_PIXELS         12
#define TILE_VECTORS        2
#define KERNELS_ELEMENTWISE cn_elementwise_avx512
#include "kernels/vector_elementwise.inc"
