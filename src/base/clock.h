/* clock.h: monotonic time. */
#ifndef CONVNET_BASE_CLOCK_H
#define CONVNET_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t cn_clock_nanoseconds(void);

#endif
