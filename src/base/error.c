/* error.c: the one way a failure is recorded. Formats text, never logs. Thread-safe: no state. */
#include <stdarg.h>
#include <stdio.h>

#include "convnet/status.h"

static enum cn_status record(struct cn_error *error, enum cn_status status, const char *source,
                             long long offset, const char *format, va_list arguments)
    __attribute__((format(printf, 5, 0)));

static enum cn_status record(struct cn_error *error, enum cn_status status, const char *source,
                             long long offset, const char *format, va_list arguments) {
    if (error == NULL || error->status != CN_OK)
        return status;
    error->status = status;
    error->offset = offset;
    (void)snprintf(error->source, sizeof error->source, "%s", source != NULL ? source : "");
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    return status;
}

enum cn_status cn_fail(struct cn_error *error, enum cn_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(error, status, NULL, -1, format, arguments);
    va_end(arguments);
    return status;
}

enum cn_status cn_fail_at(struct cn_error *error, enum cn_status status, const char *source,
                          long long offset, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    record(error, status, source, offset, format, arguments);
    va_end(arguments);
    return status;
}

const char *cn_status_name(enum cn_status status) {
    static const char *const names[] = {
        [CN_OK] = "ok",
        [CN_INVALID] = "invalid",
        [CN_MALFORMED] = "malformed",
        [CN_UNSUPPORTED] = "unsupported",
        [CN_UNUSABLE] = "unusable",
        [CN_LIMIT] = "limit",
        [CN_IO] = "io",
        [CN_MEMORY] = "memory",
        [CN_CANCELED] = "canceled",
    };
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}
