/* test_memory.c: arrays of floats: alignment, zeroes, and impossible sizes. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

Test(memory, arrays_are_aligned_zeroed_and_whole_cache_lines) {
    static const size_t counts[] = {0, 1, 15, 16, 17, 1000, 10122};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        float *floats = cn_floats_allocate(counts[i]);
        cr_assert_not_null(floats, "count %zu", counts[i]);
        cr_assert_eq((uintptr_t)floats % 64, 0u, "count %zu", counts[i]);
        /* The array has floats up to the next multiple of 16, which may be written; sanitizers
         * check this. */
        const size_t padded = (counts[i] + 15) / 16 * 16;
        for (size_t k = 0; k < padded; k++)
            cr_assert_eq(floats[k], 0.0f, "count %zu, float %zu", counts[i], k);
        free(floats);
    }
}

Test(memory, sizes_that_overflow_are_refused) {
    static const size_t counts[] = {SIZE_MAX, SIZE_MAX / 4, SIZE_MAX / 4 + 1, SIZE_MAX / 4 - 15};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        cr_assert_null(cn_floats_allocate(counts[i]), "count %zu", counts[i]);
}
