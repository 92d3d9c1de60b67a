/* error.c: records a failure in struct cn_error; all code of the library reports failures through
 * it. It formats text and never logs. Thread-safe: no state. */
#include <stdarg.h>
#include <stdio.h>

#include "convnet/status.h"

/* Messages quote foreign text and are shown on terminals. So control characters, including
 * Latin-1's in UTF-8, become spaces and question marks. */
static void make_plain(char *text) {
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)text[0], next = (unsigned char)text[1];
        if (byte == '\n' || byte == '\t')
            *text = ' ';
        else if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next < 0xa0))
            *text = '?';
        if (byte == 0xc2 && *text == '?')
            *++text = '?';
    }
}

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
    make_plain(error->source);
    make_plain(error->text);
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
