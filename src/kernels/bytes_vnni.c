/* bytes_vnni.c: the kernels of bytes for AVX512 with VNNI: see vector_bytes.inc. */
#define LANES        16
#define TILE_PIXELS  12
#define TILE_VECTORS 2
#define KERNELS      cn_bytes_vnni
#define KERNELS_NAME "vnni"
#include "kernels/vector_bytes.inc"
