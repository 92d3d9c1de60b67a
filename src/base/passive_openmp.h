/* passive_openmp.h: makes OpenMP's threads sleep between two regions. */
#ifndef CONVNET_BASE_PASSIVE_OPENMP_H
#define CONVNET_BASE_PASSIVE_OPENMP_H

/* Call this first in main, in a program that links passive_openmp.c itself. libgomp's threads spin
 * between two regions unless OMP_WAIT_POLICY says otherwise, and libgomp reads that before main; on
 * shared processors spinning made a training six times slower. A user's OMP_WAIT_POLICY is left
 * unchanged. May start the program anew (it then returns in the new one). */
void cn_openmp_wait_passively(char **argv);

#endif
