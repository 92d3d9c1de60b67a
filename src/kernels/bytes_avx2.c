/* bytes_avx2.c: the kernels of bytes for AVX2: see vector_bytes.inc. */
#define LANES        8
#define TILE_PIXELS  4
#define TILE_VECTORS 2
#define KERNELS      cn_bytes_avx2
#define KERNELS_NAME "avx2"
#include "kernels/vector_bytes.inc"
