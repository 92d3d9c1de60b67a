/* openmp.h: OpenMP's functions, or substitutes for one thread in a build without OpenMP. */
#ifndef CONVNET_BASE_OPENMP_H
#define CONVNET_BASE_OPENMP_H

#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_thread_num(void) {
    return 0;
}

static inline int omp_get_num_threads(void) {
    return 1;
}

static inline int omp_get_max_threads(void) {
    return 1;
}
#endif

#endif
