/* log.c: writes log lines, under systemd with the journal's priority prefix, elsewhere with the
 * time. It keeps and rotates no files, and never waits for a reader. Thread-safe: one write per
 * line, one line at a time. */
#include "daemon/log.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "metrics/statistics.h"

/* ---- Similar lines: the caller holds the lock ---- */

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

/* A line of up to PIPE_BUF bytes is written as a whole or not at all, even if other processes
 * write. */
enum { TEXT = 1600, LINE = 4096 };

const char *const log_level_names[] = {"error", "warning", "info", "debug", NULL};
const char *const log_format_names[] = {"logfmt", "json", "text", NULL};
static const int journal_priorities[] = {3, 4, 6, 7};
static enum log_level threshold = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_LOGFMT;

void log_set_level(enum log_level level) {
    threshold = level;
}

void log_set_format(enum log_format format) {
    line_format = format;
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

/* ---- A line that grows until it is full ---- */

struct line {
    char text[LINE];
    size_t length;
};

static void line_add(struct line *line, const char *text) {
    /* Room is kept for the end of the line. */
    while (*text != '\0' && line->length < LINE - 8)
        line->text[line->length++] = *text++;
}

/* Escapes a byte as \xNN. With `more` the backslash itself is doubled, since JSON has no \x. */
static void text_escape(const char *text, char *to, size_t size, bool more) {
    static const char digits[] = "0123456789abcdef";
    char *end = to + size - 6; /* room for \\xNN and the NUL */
    for (; *text != '\0' && to < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            *to++ = '\\';
            *to++ = (char)c;
        } else if (c >= 0x20 && c < 0x7f) {
            *to++ = (char)c;
        } else {
            if (more)
                *to++ = '\\';
            *to++ = '\\';
            *to++ = 'x';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
}

void log_escape(const char *text, char *to, unsigned long size) {
    text_escape(text, to, size, false);
}

static void add_escaped(struct line *line, const char *text) {
    char escaped[LINE];
    text_escape(text, escaped, sizeof escaped, line_format == LOG_FORMAT_JSON);
    line_add(line, escaped);
}

/* Adds name="text" or name=number, in JSON with a colon. */
static void add_field(struct line *line, const struct log_field *field) {
    const bool json = line_format == LOG_FORMAT_JSON;
    const bool quoted = field->text != NULL &&
                        (json || strpbrk(field->text, " \"=\\") != NULL || field->text[0] == '\0');
    char number[32];
    line_add(line, json ? ",\"" : " ");
    line_add(line, field->name);
    line_add(line, json ? "\":" : "=");
    if (field->text != NULL) {
        line_add(line, quoted ? "\"" : "");
        add_escaped(line, field->text);
        line_add(line, quoted ? "\"" : "");
        return;
    }
    (void)snprintf(number, sizeof number, "%.9g", isfinite(field->number) ? field->number : 0);
    line_add(line, number);
}

static void add_time(struct line *line) {
    struct timespec now;
    struct tm calendar;
    char text[64];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &calendar);
    const size_t used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &calendar);
    (void)snprintf(text + used, sizeof text - used, ".%03ldZ", now.tv_nsec / 1000000);
    line_add(line, text);
}

/* Adds priority or time, level and message in the chosen format. */
static void add_head(struct line *line, enum log_level level, const char *message) {
    const bool journal = to_journal();
    if (journal) {
        char priority[8];
        (void)snprintf(priority, sizeof priority, "<%d>", journal_priorities[level]);
        line_add(line, priority);
    }
    switch (line_format) {
    case LOG_FORMAT_JSON:
        line_add(line, "{\"time\":\"");
        add_time(line);
        line_add(line, "\",\"level\":\"");
        line_add(line, log_level_names[level]);
        line_add(line, "\",\"msg\":\"");
        add_escaped(line, message);
        line_add(line, "\"");
        break;
    case LOG_FORMAT_LOGFMT:
        if (!journal) {
            line_add(line, "time=");
            add_time(line);
            line_add(line, " ");
        }
        line_add(line, "level=");
        line_add(line, log_level_names[level]);
        line_add(line, " msg=\"");
        add_escaped(line, message);
        line_add(line, "\"");
        break;
    case LOG_FORMAT_TEXT:
        if (!journal) {
            add_time(line);
            line_add(line, " ");
        }
        if (level <= LOG_LEVEL_WARNING) {
            line_add(line, log_level_names[level]);
            line_add(line, ": ");
        }
        add_escaped(line, message);
        break;
    }
}

/* Writes a line without waiting for a reader; true if it was written. A pipe that is writable takes
 * PIPE_BUF bytes, and the mutex keeps other threads from writing meanwhile. */
static bool line_try(const char *text, size_t length) {
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    const ssize_t sent = send(STDERR_FILENO, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK)
        return sent == (ssize_t)length;
    return poll(&room, 1, 0) > 0 && (room.revents & POLLOUT) != 0 &&
           write(STDERR_FILENO, text, length) == (ssize_t)length;
}

/* Guards the writing and its counters. */
static pthread_mutex_t line_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct statistics *line_statistics;

/* A reader that has stopped loses lines, but delays no thread. The next line that is written tells
 * how many were lost. */
static void line_write(const struct line *line) {
    static unsigned long dropped;
    char note[160];
    (void)pthread_mutex_lock(&line_mutex);
    if (dropped > 0) {
        const int length = snprintf(note, sizeof note,
                                    line_format == LOG_FORMAT_JSON
                                        ? "{\"level\":\"warning\",\"msg\":\"log lines were "
                                          "dropped\",\"dropped\":%lu}\n"
                                        : "level=warning msg=\"log lines were dropped\" "
                                          "dropped=%lu\n",
                                    dropped);
        if (line_try(note, (size_t)length))
            dropped = 0;
    }
    if (!line_try(line->text, line->length)) {
        dropped++;
        if (line_statistics != NULL)
            statistics_add(line_statistics, STATISTICS_LOG_DROPPED, 1);
    }
    (void)pthread_mutex_unlock(&line_mutex);
}

void log_set_statistics(struct statistics *statistics) {
    (void)pthread_mutex_lock(&line_mutex);
    line_statistics = statistics;
    (void)pthread_mutex_unlock(&line_mutex);
}

void log_event(enum log_level level, const char *message, const struct log_field *fields,
               size_t count) {
    struct line line;
    if (level > threshold)
        return;
    line.length = 0;
    add_head(&line, level, message);
    for (size_t i = 0; i < count; i++)
        add_field(&line, &fields[i]);
    if (line_format == LOG_FORMAT_JSON) /* line_add leaves room for this */
        line.text[line.length++] = '}';
    line.text[line.length++] = '\n';
    line_write(&line);
}

/* ---- Similar warnings ---- */

static bool warning_allowed(const char *text, unsigned *ret_left_out) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct log_repeats repeats;
    (void)pthread_mutex_lock(&mutex);
    const bool good = log_repeats_allow(&repeats, text, cn_clock_nanoseconds(), ret_left_out);
    (void)pthread_mutex_unlock(&mutex);
    return good;
}

/* With `each`, similar lines of any level are limited, not only warnings. */
static void __attribute__((format(printf, 3, 0)))
write_text(enum log_level level, bool each, const char *format, va_list arguments) {
    char text[TEXT];
    unsigned left_out = 0;
    if (level > threshold)
        return;
    (void)vsnprintf(text, sizeof text, format, arguments);
    if ((each || level == LOG_LEVEL_WARNING) && !warning_allowed(each ? format : text, &left_out))
        return;
    const struct log_field field = {"left_out", NULL, left_out};
    log_event(level, text, &field, left_out > 0);
}

void log_write(enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_text(level, false, format, arguments);
    va_end(arguments);
}

void log_write_each(enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    write_text(level, true, format, arguments);
    va_end(arguments);
}

void log_failure(const char *what, const struct cn_error *error) {
    char place[CN_ERROR_SOURCE + 32] = "";
    if (error->source[0] != '\0' && error->offset >= 0)
        (void)snprintf(place, sizeof place, "%s:%lld: ", error->source, error->offset);
    else if (error->source[0] != '\0')
        (void)snprintf(place, sizeof place, "%s: ", error->source);
    log_write(LOG_LEVEL_ERROR, "%s: %s%s", what, place, error->text);
}
