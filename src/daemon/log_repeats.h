/* log_repeats.h: which of the log lines that are alike are written. */
#ifndef CONVNET_DAEMON_LOG_REPEATS_H
#define CONVNET_DAEMON_LOG_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_REPEATS_KINDS = 32, LOG_REPEATS_AT_ONCE = 5 };

/* All zero at the beginning. */
struct log_repeats {
    struct {
        uint64_t begun;
        unsigned lines, left_out;
    } kinds[LOG_REPEATS_KINDS];
};

/* True if this line is to be written at `now` (nanoseconds): five alike are within ten seconds.
 * Lines are alike when they are the same up to the first digit or quote. *ret_left_out: how many
 * like it were not written before it. */
bool log_repeats_allow(struct log_repeats *repeats, const char *text, uint64_t now,
                       unsigned *ret_left_out);

#endif
