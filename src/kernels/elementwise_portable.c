/* elementwise_portable.c: the elementwise kernels for any processor: see vector_elementwise.inc. */
#define LANES               4
#define TILE_PIXELS         6
#define TILE_VECTORS        2
#define KERNELS_ELEMENTWISE cn_elementwise_portable
#include "kernels/vector_elementwise.inc"
