/* csv_file.c: lines and fields of a CSV file. Memory grows with the longest line that the file
 * really holds. Knows no columns. Thread-safe. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv_file.h"

enum { FIRST_LINE = 1 << 14, MAX_LINE = 1 << 24 };

enum cn_status cn_csv_open(const char *path, struct cn_csv *ret_csv, struct cn_error *error) {
    struct cn_csv csv = {.path = path, .file = gzopen(path, "rb")};
    if (csv.file == NULL)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open the file: %s", strerror(errno));
    (void)gzbuffer(csv.file, 1U << 17);
    *ret_csv = csv;
    return CN_OK;
}

void cn_csv_close(struct cn_csv *csv) {
    if (csv->file != NULL)
        (void)gzclose(csv->file);
    free(csv->line);
    *csv = (struct cn_csv){0};
}

static enum cn_status grow_line(struct cn_csv *csv, struct cn_error *error) {
    if (csv->size >= MAX_LINE)
        return cn_fail_at(error, CN_LIMIT, csv->path, -1, "line %zu is over %d bytes",
                          csv->number + 1, MAX_LINE);
    const size_t size = csv->size == 0 ? FIRST_LINE : csv->size * 2;
    char *line = realloc(csv->line, size);
    if (line == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a line of %zu bytes", size);
    csv->line = line;
    csv->size = size;
    return CN_OK;
}

static enum cn_status check_file(const struct cn_csv *csv, struct cn_error *error) {
    int code = Z_OK;
    const char *reason = gzerror(csv->file, &code);
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
        return CN_OK;
    return cn_fail_at(error, code == Z_ERRNO ? CN_IO : CN_MALFORMED, csv->path, -1,
                      "cannot be read: %s", code == Z_ERRNO ? strerror(errno) : reason);
}

enum cn_status cn_csv_next(struct cn_csv *csv, bool *ret_more, struct cn_error *error) {
    size_t used = 0;
    enum cn_status status = CN_OK;
    *ret_more = false;
    do {
        if (csv->size - used < 2)
            status = grow_line(csv, error);
        if (status != CN_OK)
            return status;
        if (gzgets(csv->file, csv->line + used, (int)(csv->size - used)) == NULL)
            break;
        used += strlen(csv->line + used);
    } while (used == 0 || csv->line[used - 1] != '\n');
    status = check_file(csv, error);
    if (status != CN_OK || used == 0)
        return status;
    while (used > 0 && (csv->line[used - 1] == '\n' || csv->line[used - 1] == '\r'))
        csv->line[--used] = '\0';
    if (csv->number++ == 0) {
        if (strncmp(csv->line, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
            memmove(csv->line, csv->line + 3, strlen(csv->line + 3) + 1);
        if (memchr(csv->line, '\xff', 2) != NULL && memchr(csv->line, '\xfe', 2) != NULL)
            return cn_fail_at(error, CN_UNSUPPORTED, csv->path, -1,
                              "is UTF-16; save it as UTF-8 (\"CSV UTF-8\" in spreadsheets)");
        csv->separator = csv->line[strcspn(csv->line, ",;\t")];
    }
    *ret_more = true;
    return CN_OK;
}

/* Takes the quotes off the field at `from`; returns what is behind it. */
static char *unquote(char *from) {
    char *to = from;
    const char *at = from + 1;
    while (*at != '\0' && (at[0] != '"' || at[1] == '"')) {
        at += at[0] == '"';
        *to++ = *at++;
    }
    char *behind = (char *)at + (*at == '"');
    *to = '\0';
    return behind;
}

char *cn_csv_field(const struct cn_csv *csv, char **rest) {
    char *field = *rest;
    if (field == NULL)
        return NULL;
    field += strspn(field, " ");
    char *end = field;
    if (*field == '"') {
        end = unquote(field);
        end += strspn(end, " ");
        *rest = *end != '\0' && *end == csv->separator ? end + 1 : NULL;
        return field;
    }
    while (*end != '\0' && *end != csv->separator)
        end++;
    *rest = *end != '\0' ? end + 1 : NULL;
    while (end > field && end[-1] == ' ')
        end--;
    *end = '\0';
    return field;
}

bool cn_csv_same_name(const char *a, const char *b) {
    static const char ignored[] = " _-";
    for (;;) {
        a += strspn(a, ignored);
        b += strspn(b, ignored);
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
}
