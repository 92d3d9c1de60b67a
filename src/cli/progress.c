/* progress.c: a line on stderr that is redrawn: bar, speed, remaining time.
 *
 * It knows no command. Called from a command's one thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/progress.h"

enum { BAR = 30, LEAST_BAR = 5, LINE = 512 };
static const uint64_t redraw_nanoseconds = 100 * CN_MILLISECOND;

struct progress progress_create(bool quiet) {
    return (struct progress){
        .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1, .begun = cn_clock_nanoseconds()};
}

void progress_begin(struct progress *progress) {
    progress->begun = cn_clock_nanoseconds();
    progress->drawn = 0;
}

/* Columns of the terminal less one, since a full line might wrap. */
static int terminal_width(void) {
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    int width = 0;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        width = size.ws_col;
    else if (columns != NULL)
        width = atoi(columns);
    return width >= 20 ? width : 80;
}

/* "4ms/step"; 250us, 4ms, 1s. */
static void format_pace(char *text, size_t size, double seconds, const char *unit) {
    if (seconds < 0.001)
        (void)snprintf(text, size, "%.0fus/%s", seconds * 1e6, unit);
    else if (seconds < 1)
        (void)snprintf(text, size, "%.0fms/%s", seconds * 1e3, unit);
    else
        (void)snprintf(text, size, "%.1fs/%s", seconds, unit);
}

/* "7s", "3:20", "1:02:03". */
static void format_time(char *text, size_t size, double seconds) {
    const unsigned long whole = seconds < 1e9 ? (unsigned long)(seconds + 0.5) : 1000000000;
    if (whole < 60)
        (void)snprintf(text, size, "%lus", whole);
    else if (whole < 3600)
        (void)snprintf(text, size, "%lu:%02lu", whole / 60, whole % 60);
    else
        (void)snprintf(text, size, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
}

/* " [===>...]" of the remaining columns, or nothing. */
static void format_bar(char *text, size_t done, size_t total, int columns) {
    const int room = columns - 3, cells = room > BAR ? BAR : room;
    if (total == 0 || cells < LEAST_BAR) {
        text[0] = '\0';
        return;
    }
    const size_t filled = (size_t)((double)cells * (double)done / (double)total);
    text[0] = ' ';
    text[1] = '[';
    memset(text + 2, '.', (size_t)cells);
    memset(text + 2, '=', filled);
    if (filled < (size_t)cells)
        text[2 + filled] = '>';
    (void)strcpy(text + 2 + cells, "]");
}

/* Prints the line that stays. It is never cut: where it is too wide it continues on the next line,
 * after a " - ". */
static void put_last_line(const char *line, int width) {
    fputc('\r', stderr);
    while ((int)strlen(line) > width) {
        int cut = width;
        for (const char *at = strstr(line, " - "); at != NULL && at - line <= width;
             at = strstr(at + 3, " - "))
            cut = (int)(at - line);
        fprintf(stderr, "%.*s\033[K\n", cut, line);
        line += strncmp(line + cut, " - ", 3) == 0 ? cut + 3 : cut;
    }
    fprintf(stderr, "%s\033[K\n", line);
}

static void put_line(const struct progress *progress, uint64_t now, size_t done, size_t before,
                     size_t total, const char *unit, const char *text, bool ended) {
    const double seconds = cn_seconds(now - progress->begun);
    const double each = done > before ? seconds / (double)(done - before) : 0;
    const int width = terminal_width() - 1;
    char head[48], pace[48], left[32], tail[LINE], bar[BAR + 8], line[2 * LINE];
    if (total > 0)
        (void)snprintf(head, sizeof head, "%zu/%zu", done, total);
    else
        (void)snprintf(head, sizeof head, "%zu %ss", done, unit);
    format_pace(pace, sizeof pace, each, unit);
    format_time(left, sizeof left, ended ? seconds : each * (double)(total - done));
    (void)snprintf(tail, sizeof tail, " - %s%s%s%s%s", pace,
                   ended       ? " - "
                   : total > 0 ? " - ETA: "
                               : "",
                   ended || total > 0 ? left : "", text[0] != '\0' ? " - " : "", text);
    format_bar(bar, done, total, width - (int)strlen(head) - (int)strlen(tail));
    (void)snprintf(line, sizeof line, "%s%s%s", head, bar, tail);
    if (ended)
        put_last_line(line, width);
    else
        fprintf(stderr, "\r%.*s\033[K", width, line);
}

bool progress_draw(struct progress *progress, size_t done, size_t before, size_t total,
                   const char *unit, const char *text) {
    const uint64_t now = cn_clock_nanoseconds();
    if (progress->quiet || !progress->terminal || now - progress->drawn < redraw_nanoseconds)
        return false;
    progress->drawn = now;
    put_line(progress, now, done, before, total, unit, text, false);
    return true;
}

void progress_end(struct progress *progress, size_t done, size_t before, size_t total,
                  const char *unit, const char *text) {
    if (!progress->quiet && progress->terminal)
        put_line(progress, cn_clock_nanoseconds(), done, before, total, unit, text, true);
}

void progress_clear(struct progress *progress) {
    if (progress->drawn > 0 && progress->terminal && !progress->quiet) {
        fputs("\r\033[K", stderr);
        progress->drawn = 0;
    }
}

void progress_count_images(void *data, size_t done, size_t total) {
    struct progress *progress = data;
    (void)progress_draw(progress, done, 0, total, "image", "");
}
