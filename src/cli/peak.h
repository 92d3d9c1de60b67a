/* peak.h: one core's measured peak of float arithmetic. */
#ifndef CONVNET_CLI_PEAK_H
#define CONVNET_CLI_PEAK_H

/* Thousand million float operations per second of the calling core in a loop of independent vector
 * multiply-adds (two operations a lane) with the instruction set that the kernels use; the best of
 * many short runs, `seconds` in all. */
double peak_gflops(double seconds);

#endif
