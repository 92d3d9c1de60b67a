/* kernels.c: chooses the kernels' instruction set, once, from the processor. Thread-safe: two
 * threads that choose at the same time choose the same. */
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__)
static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static bool has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

static bool has_portable(void) {
    return true;
}

/* THE list, best first. */
static const struct {
    const struct cn_kernels *kernels;
    bool (*runs_here)(void);
} tables[] = {
#if defined(__x86_64__)
    {&cn_kernels_avx512, has_avx512},
    {&cn_kernels_avx2, has_avx2},
#endif
    {&cn_kernels_portable, has_portable},
};
enum { TABLES = sizeof tables / sizeof *tables };

const struct cn_kernels *cn_kernels_at(size_t index) {
    for (size_t i = 0; i < TABLES; i++)
        if (tables[i].runs_here() && index-- == 0)
            return tables[i].kernels;
    return NULL;
}

static const struct cn_kernels *choose(void) {
    const char *requested = getenv("CONVNET_ISA");
    for (size_t i = 0; requested != NULL && i < TABLES; i++)
        if (strcmp(requested, tables[i].kernels->name) == 0 && tables[i].runs_here())
            return tables[i].kernels;
    return cn_kernels_at(0);
}

const struct cn_kernels *cn_kernels(void) {
    static const struct cn_kernels *chosen;
    const struct cn_kernels *kernels = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (kernels == NULL) {
        kernels = choose();
        __atomic_store_n(&chosen, kernels, __ATOMIC_RELEASE);
    }
    return kernels;
}
