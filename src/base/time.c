/* time.c: see time.h. No state; thread-safe. */
#include "base/time.h"

static uint64_t nanoseconds_of(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * CN_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t cn_clock_nanoseconds(void) {
    return nanoseconds_of(CLOCK_MONOTONIC);
}

uint64_t cn_clock_thread_nanoseconds(void) {
    return nanoseconds_of(CLOCK_THREAD_CPUTIME_ID);
}

void cn_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

bool cn_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t until) {
    const struct timespec limit = cn_timespec(until);
    if (until == UINT64_MAX)
        return pthread_cond_wait(condition, mutex) == 0;
    return pthread_cond_timedwait(condition, mutex, &limit) == 0;
}
