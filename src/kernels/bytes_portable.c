/* bytes_portable.c: the kernels of bytes for any processor: see vector_bytes.inc. */
#define LANES        4
#define TILE_PIXELS  4
#define TILE_VECTORS 2
#define KERNELS      cn_bytes_portable
#define KERNELS_NAME "portable"
#include "kernels/vector_bytes.inc"
