/* memory.h: arrays of floats for vector kernels. */
#ifndef CONVNET_BASE_MEMORY_H
#define CONVNET_BASE_MEMORY_H

#include <stddef.h>

/* `count` floats, zeroed, 64-byte aligned, the block a multiple of 64 bytes; NULL without memory or
 * if the size overflows. Caller frees with free(). count 0 gives a valid pointer. */
float *cn_floats_allocate(size_t count);

#endif
