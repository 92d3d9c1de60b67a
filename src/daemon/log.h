/* log.h: the daemon's log on standard error, one line per event. */
#ifndef CONVNET_DAEMON_LOG_H
#define CONVNET_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
extern const char *const log_level_names[]; /* "error", "warning", "info", "debug", NULL */

enum log_format { LOG_FORMAT_LOGFMT = 0, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
extern const char *const log_format_names[]; /* "logfmt", "json", "text", NULL */

/* A named value of an event. */
struct log_field {
    const char *name;
    const char *text; /* NULL: the value is `number`; may contain a client's bytes */
    double number;
};

/* Events less urgent than `level` are dropped. The default is info. Call both before threads start.
 */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* Counts dropped lines in `statistics` from now on; NULL: nowhere. Thread-safe. */
struct statistics;
void log_set_statistics(struct statistics *statistics);

/* Writes one line, with a client's bytes escaped. Of similar warnings, which clients can provoke,
 * five per ten seconds are written; the next one after that says how many were not. Thread-safe. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, but similar lines of any level are limited: for messages that may concern each of many
 * files. */
void log_write_each(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Logs a failure as an error: what failed, in which file and where, and why. */
void log_failure(const char *what, const struct cn_error *error);

/* Like log_write, with fields for programs to read. Never limited. */
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

/* Escapes quotes, backslashes and all bytes other than printable ASCII, for the inside of a quoted
 * logfmt value; cuts the text if it is too long. */
void log_escape(const char *text, char *to, unsigned long size);

/* ---- Similar lines ---- */

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
