/* kernels.c: chooses the instruction set of the kernels, once, by the processor. Thread-safe: two
 * threads that choose at the same time make the same choice. */
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomics.h"

bool cn_has_instructions(const char *set) {
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq");
    if (strcmp(set, "vnni") == 0)
        return avx512 && __builtin_cpu_supports("avx512vnni");
    if (strcmp(set, "avx512") == 0)
        return avx512;
    if (strcmp(set, "avx2") == 0)
        return avx2;
#endif
    return strcmp(set, "portable") == 0;
}

/* THE list of tables, best first. */
static const struct cn_kernels *const tables[] = {
#if defined(__x86_64__)
    &cn_kernels_avx512,
    &cn_kernels_avx2,
#endif
    &cn_kernels_portable,
};
enum { TABLES = sizeof tables / sizeof *tables };

const struct cn_kernels *cn_kernels_at(size_t index) {
    for (size_t i = 0; i < TABLES; i++)
        if (cn_has_instructions(tables[i]->name) && index-- == 0)
            return tables[i];
    return NULL;
}

static const struct cn_kernels *choose(void) {
    const char *requested = getenv("CONVNET_ISA");
    for (size_t i = 0; requested != NULL && i < TABLES; i++)
        if (strcmp(requested, tables[i]->name) == 0 && cn_has_instructions(requested))
            return tables[i];
    return cn_kernels_at(0);
}

const struct cn_kernels *cn_kernels(void) {
    static _Atomic(const struct cn_kernels *) chosen;
    const struct cn_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    if (kernels == NULL) {
        kernels = choose();
        atomic_store_explicit(&chosen, kernels, memory_order_release);
    }
    return kernels;
}
