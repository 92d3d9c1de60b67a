/* log_repeats.c: see log_repeats.h. It has no clock and writes nothing; the caller holds the lock.
 */
#include "daemon/log_repeats.h"

#include <stddef.h>
#include <string.h>

#include "base/time.h"

static const uint64_t window = 10 * CN_SECOND; /* in nanoseconds */

static size_t kind_of(const char *text) {
    uint32_t hash = 2166136261u;
    for (; *text != '\0' && strchr("0123456789'\"", *text) == NULL; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash % LOG_REPEATS_KINDS;
}

bool log_repeats_allow(struct log_repeats *repeats, const char *text, uint64_t now,
                       unsigned *ret_left_out) {
    const size_t kind = kind_of(text);
    if (repeats->kinds[kind].begun == 0 || now - repeats->kinds[kind].begun > window) {
        repeats->kinds[kind].begun = now;
        repeats->kinds[kind].lines = 0;
    }
    const bool good = repeats->kinds[kind].lines < LOG_REPEATS_AT_ONCE;
    *ret_left_out = good ? repeats->kinds[kind].left_out : 0;
    repeats->kinds[kind].left_out = good ? 0 : repeats->kinds[kind].left_out + 1;
    repeats->kinds[kind].lines++;
    return good;
}
