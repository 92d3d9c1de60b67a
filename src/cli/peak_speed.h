/* peak_speed.h: measures one core's peaks, of float arithmetic and of reading. */
#ifndef CONVNET_CLI_PEAK_SPEED_H
#define CONVNET_CLI_PEAK_SPEED_H

#include <stddef.h>

/* Returns 1e9 float operations per second of the calling core in a loop of independent vector
 * multiply-adds (two operations per lane) with the kernels' instruction set: the best of many short
 * runs, which take `seconds` in all. */
double peak_gflops(double seconds);

/* Returns 1e9 bytes per second at which the calling core reads a block of `bytes` that it has read
 * before, from whichever cache or memory holds it: the best of many runs, `seconds` in all. 0
 * if memory runs out. */
double peak_gigabytes(size_t bytes, double seconds);

#endif
