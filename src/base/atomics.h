/* atomics.h: THE atomics of the program: C11's, and what is done with them in several places. */
#ifndef CONVNET_BASE_ATOMICS_H
#define CONVNET_BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A number that many threads add to: no order with other memory, but never torn. */
static inline void cn_count_add(uint64_t *count, uint64_t amount) {
    __atomic_fetch_add(count, amount, __ATOMIC_RELAXED);
}

static inline uint64_t cn_count_load(const uint64_t *count) {
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static inline void cn_count_store(uint64_t *count, uint64_t value) {
    __atomic_store_n(count, value, __ATOMIC_RELAXED);
}

/* The owners of an object. */
static inline void cn_reference_take(atomic_uint *references) {
    atomic_fetch_add_explicit(references, 1, memory_order_relaxed);
}

/* True: that was the last owner, who frees the object. */
static inline bool cn_reference_give(atomic_uint *references) {
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

#endif
