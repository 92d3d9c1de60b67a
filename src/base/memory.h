/* memory.h: arrays of floats for vector kernels. */
#ifndef CONVNET_BASE_MEMORY_H
#define CONVNET_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Allocates `count` floats, zeroed and 64-byte aligned, in a block of a multiple of 64 bytes; NULL
 * if memory runs out, or if the size overflows. Caller frees with free(). A count of 0 gives a
 * valid pointer. */
float *cn_floats_allocate(size_t count);

/* The number of floats in a cache line of 64 bytes, which is also the widest vector. */
enum { CN_FLOATS_LINE = 16 };

/* The first address of a cache line in `memory`; NULL for NULL. */
static inline float *cn_floats_line(void *memory) {
    const uintptr_t line = CN_FLOATS_LINE * sizeof(float);
    return (float *)(((uintptr_t)memory + line - 1) / line * line);
}

/* `count` rounded up to whole lines, so that what follows in the same block stays aligned. */
static inline size_t cn_floats_aligned(size_t count) {
    return (count + CN_FLOATS_LINE - 1) & ~(size_t)(CN_FLOATS_LINE - 1);
}

#endif
