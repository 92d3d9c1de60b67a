/* time.h: monotonic time in nanoseconds, and waiting until such a time. */
#ifndef CONVNET_BASE_TIME_H
#define CONVNET_BASE_TIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CN_MILLISECOND UINT64_C(1000000) /* in nanoseconds */
#define CN_SECOND      UINT64_C(1000000000)

/* The time of CLOCK_MONOTONIC in nanoseconds. */
uint64_t cn_clock_nanoseconds(void);

/* The processor time of the calling thread in nanoseconds. */
uint64_t cn_clock_thread_nanoseconds(void);

static inline double cn_seconds(uint64_t nanoseconds) {
    return (double)nanoseconds * 1e-9;
}

/* Seconds since `begun`, a time by cn_clock_nanoseconds. */
static inline double cn_seconds_since(uint64_t begun) {
    return cn_seconds(cn_clock_nanoseconds() - begun);
}

/* Converts `seconds`, which must not be negative, to nanoseconds. */
static inline uint64_t cn_nanoseconds(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

static inline struct timespec cn_timespec(uint64_t nanoseconds) {
    return (struct timespec){.tv_sec = (time_t)(nanoseconds / CN_SECOND),
                             .tv_nsec = (long)(nanoseconds % CN_SECOND)};
}

/* Initialises a condition variable that uses CLOCK_MONOTONIC. */
void cn_condition_init(pthread_cond_t *condition);

/* Waits until `condition` is signaled or cn_clock_nanoseconds() reaches `until`; UINT64_MAX:
 * without limit. False after the time is over. */
bool cn_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until);

#endif
