/* bytes_avx512.c: the kernels of bytes for AVX512 without VNNI: see vector_bytes.inc. */
#define LANES        16
#define TILE_PIXELS  12
#define TILE_VECTORS 2
#define KERNELS      cn_bytes_avx512
#define KERNELS_NAME "avx512"
#include "kernels/vector_bytes.inc"
