/* passive_openmp.h: OpenMP threads that sleep between two regions; for a program's first line. */
#ifndef CONVNET_BASE_PASSIVE_OPENMP_H
#define CONVNET_BASE_PASSIVE_OPENMP_H

/* To be called first in main, on a program that links passive_openmp.c itself. The threads of
 * libgomp spin between two regions unless OMP_WAIT_POLICY says otherwise, which on shared
 * processors made a training six times slower, and libgomp reads it before main. An OMP_WAIT_POLICY
 * of the user's is left as it is. May start the program anew (it returns then in the new one). */
void cn_openmp_wait_passively(char **argv);

#endif
