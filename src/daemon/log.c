/* log.c: writes log lines: with the journal's priority prefix under systemd, with the time
 * elsewhere. Keeps no files and rotates nothing. Thread-safe: one write a line. */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1600, LINE = 4096 };

const char *const log_level_names[] = {"error", "warning", "info", "debug", NULL};
static const int journal_priorities[] = {3, 4, 6, 7};
static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level) {
    threshold = level;
}

/* JOURNAL_STREAM is "device:inode" of the stream that systemd gave us; it may have been redirected
 * since. */
static bool to_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    char here[64];
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    (void)snprintf(here, sizeof here, "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    return strcmp(stream, here) == 0;
}

void log_escape(const char *text, char *to, unsigned long size) {
    static const char digits[] = "0123456789abcdef";
    char *end = to + size - 5; /* room for \xNN and the NUL */
    for (; *text != '\0' && to < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c >= 0x20 && c < 0x7f) {
            *to++ = (char)c;
        } else {
            *to++ = '\\';
            *to++ = 'x';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
}

void log_write(enum log_level level, const char *format, ...) {
    char text[TEXT], escaped[LINE - 128], line[LINE], prefix[64];
    va_list arguments;
    if (level > threshold)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_escape(text, escaped, sizeof escaped);
    if (to_journal()) {
        (void)snprintf(prefix, sizeof prefix, "<%d>", journal_priorities[level]);
    } else {
        struct timespec now;
        struct tm calendar;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &calendar);
        size_t used = strftime(prefix, sizeof prefix, "time=%Y-%m-%dT%H:%M:%S", &calendar);
        (void)snprintf(prefix + used, sizeof prefix - used, ".%03ldZ ", now.tv_nsec / 1000000);
    }
    int length = snprintf(line, sizeof line, "%slevel=%s msg=\"%s\"\n", prefix,
                          log_level_names[level], escaped);
    if (length > 0)
        (void)!write(STDERR_FILENO, line, (size_t)length);
}

void log_failure(const char *what, const struct cn_error *error) {
    char place[CN_ERROR_SOURCE + 32] = "";
    if (error->source[0] != '\0' && error->offset >= 0)
        (void)snprintf(place, sizeof place, "%s:%lld: ", error->source, error->offset);
    else if (error->source[0] != '\0')
        (void)snprintf(place, sizeof place, "%s: ", error->source);
    log_write(LOG_LEVEL_ERROR, "%s: %s%s", what, place, error->text);
}
