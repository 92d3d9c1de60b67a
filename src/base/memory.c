/* memory.c: see memory.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

float *cn_floats_allocate(size_t count) {
    if (count > (SIZE_MAX - 64) / sizeof(float))
        return NULL;
    const size_t size = count > 0 ? (count * sizeof(float) + 63) & ~(size_t)63 : 64;
    float *floats = aligned_alloc(64, size);
    if (floats != NULL)
        memset(floats, 0, size);
    return floats;
}
