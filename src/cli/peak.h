/* peak.h: measures one core's peak of float arithmetic. */
#ifndef CONVNET_CLI_PEAK_H
#define CONVNET_CLI_PEAK_H

/* Returns 1e9 float operations per second of the calling core in a loop of independent vector
 * multiply-adds (two operations per lane) with the kernels' instruction set: the best of many short
 * runs, which take `seconds` in all. */
double peak_gflops(double seconds);

#endif
