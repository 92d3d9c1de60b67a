/* clock.c: see clock.h. */
#include <time.h>

#include "base/clock.h"

uint64_t cn_clock_nanoseconds(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
