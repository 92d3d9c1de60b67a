/* atomics.h: C11's atomics for the whole program, and the operations that several files share. */
#ifndef CONVNET_BASE_ATOMICS_H
#define CONVNET_BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Adds to a counter that many threads share. The addition is never torn, and does not order other
 * memory accesses. */
static inline void cn_count_add(uint64_t *count, uint64_t amount) {
    __atomic_fetch_add(count, amount, __ATOMIC_RELAXED);
}

static inline uint64_t cn_count_load(const uint64_t *count) {
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static inline void cn_count_store(uint64_t *count, uint64_t value) {
    __atomic_store_n(count, value, __ATOMIC_RELAXED);
}

/* Adds an owner of an object. */
static inline void cn_reference_take(atomic_uint *references) {
    atomic_fetch_add_explicit(references, 1, memory_order_relaxed);
}

/* Removes an owner. True if it was the last one: the caller then frees the object. */
static inline bool cn_reference_give(atomic_uint *references) {
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

#endif
