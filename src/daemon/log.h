/* log.h: the daemon's log: one logfmt line an event, on standard error. */
#ifndef CONVNET_DAEMON_LOG_H
#define CONVNET_DAEMON_LOG_H

#include "convnet/status.h"

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
extern const char *const log_level_names[]; /* "error", "warning", "info", "debug", NULL */

/* Events less urgent than `level` are dropped; info at the beginning. Call it before threads. */
void log_set_level(enum log_level level);

/* Writes one line. Foreign bytes in the text are escaped. Thread-safe. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a failure as an error: what failed, where in which file, why. */
void log_failure(const char *what, const struct cn_error *error);

/* The inside of a quoted logfmt value: escapes quotes, backslashes and all bytes but printable
 * ASCII; cut if too long. */
void log_escape(const char *text, char *to, unsigned long size);

#endif
