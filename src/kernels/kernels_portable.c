/* kernels_portable.c: the kernels for any processor: see vector_kernels.inc. */
#define LANES        4
#define TILE_PIXELS  6
#define TILE_VECTORS 2
#define KERNELS      cn_kernels_portable
#define KERNELS_NAME "portable"
#include "kernels/vector_kernels.inc"
