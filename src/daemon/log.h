/* log.h: the daemon's log: one line an event, on standard error. */
#ifndef CONVNET_DAEMON_LOG_H
#define CONVNET_DAEMON_LOG_H

#include <stddef.h>

#include "convnet/status.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
extern const char *const log_level_names[]; /* "error", "warning", "info", "debug", NULL */

enum log_format { LOG_FORMAT_LOGFMT = 0, LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
extern const char *const log_format_names[]; /* "logfmt", "json", "text", NULL */

/* A named value of an event. */
struct log_field {
    const char *name;
    const char *text; /* NULL: it is `number`; may hold foreign bytes */
    double number;
};

/* Events less urgent than `level` are dropped; info at the beginning. Call both before threads. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* From now on dropped lines are counted there; NULL: nowhere. Thread-safe. */
struct statistics;
void log_set_statistics(struct statistics *statistics);

/* Writes one line. Foreign bytes in the text are escaped. Of warnings that are alike, which clients
 * can provoke, five in ten seconds are written; the next one after that says how many were not.
 * Thread-safe. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, and alike lines are left out at any level: for what may be said of each of many files.
 */
void log_write_each(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes a failure as an error: what failed, where in which file, why. */
void log_failure(const char *what, const struct cn_error *error);

/* The same as log_write with fields, for programs to read. Never left out. */
void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

/* The inside of a quoted logfmt value: escapes quotes, backslashes and all bytes but printable
 * ASCII; cut if too long. */
void log_escape(const char *text, char *to, unsigned long size);

#endif
