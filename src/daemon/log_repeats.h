/* log_repeats.h: limits the number of similar log lines. */
#ifndef CONVNET_DAEMON_LOG_REPEATS_H
#define CONVNET_DAEMON_LOG_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_REPEATS_KINDS = 32, LOG_REPEATS_AT_ONCE = 5 };

/* Zero-initialised. */
struct log_repeats {
    struct {
        uint64_t begun;
        unsigned lines, left_out;
    } kinds[LOG_REPEATS_KINDS];
};

/* True if this line should be written at `now` (nanoseconds): five similar lines are per ten
 * seconds. Lines are similar when they are equal up to the first digit or quote. *ret_left_out: how
 * many similar lines were not written before it. */
bool log_repeats_allow(struct log_repeats *repeats, const char *text, uint64_t now,
                       unsigned *ret_left_out);

#endif
