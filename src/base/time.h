/* time.h: monotonic time in nanoseconds, and waiting by it. */
#ifndef CONVNET_BASE_TIME_H
#define CONVNET_BASE_TIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CN_MILLISECOND UINT64_C(1000000) /* in nanoseconds */
#define CN_SECOND      UINT64_C(1000000000)

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t cn_clock_nanoseconds(void);

/* Nanoseconds of processor time that the calling thread has used. */
uint64_t cn_clock_thread_nanoseconds(void);

static inline double cn_seconds(uint64_t nanoseconds) {
    return (double)nanoseconds * 1e-9;
}

/* Seconds of CLOCK_MONOTONIC since `begun`, which cn_clock_nanoseconds gave. */
static inline double cn_seconds_since(uint64_t begun) {
    return cn_seconds(cn_clock_nanoseconds() - begun);
}

/* `seconds`, which are not negative, in nanoseconds. */
static inline uint64_t cn_nanoseconds(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

static inline struct timespec cn_timespec(uint64_t nanoseconds) {
    return (struct timespec){.tv_sec = (time_t)(nanoseconds / CN_SECOND),
                             .tv_nsec = (long)(nanoseconds % CN_SECOND)};
}

/* A condition variable whose waits are measured by CLOCK_MONOTONIC. */
void cn_condition_init(pthread_cond_t *condition);

/* Waits until `condition` is signaled or cn_clock_nanoseconds() is `until`; UINT64_MAX: for ever.
 * False when the time is over. */
bool cn_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until);

#endif
