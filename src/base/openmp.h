/* openmp.h: OpenMP's functions, or substitutes for one thread in a build without OpenMP; and how
 * its threads wait. */
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

/* Call this first in main, in a program that links openmp.c itself. libgomp's threads spin
 * between two regions unless OMP_WAIT_POLICY says otherwise, and libgomp reads that before main; on
 * shared processors spinning made a training six times slower. A user's OMP_WAIT_POLICY is left
 * unchanged. May start the program anew (it then returns in the new one). */
void cn_openmp_wait_passively(char **argv);

#endif
