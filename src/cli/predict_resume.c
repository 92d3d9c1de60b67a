/* predict_resume.c: reads what an earlier run of `convnet predict` has written to FILE.part: the
 * inputs of its complete rows need not be scored again. An incomplete row is removed. Scores
 * nothing. One thread. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/predict_command.h"

enum { RESUME_LIMIT = 1 << 30 };

static bool add_name(struct predict_done *done, const char *name, size_t length) {
    if (done->count == done->capacity) {
        const size_t capacity = done->capacity > 0 ? 2 * done->capacity : 256;
        char **names = realloc(done->names, capacity * sizeof *names);
        if (names == NULL) {
            return false;
        }
        done->names = names;
        done->capacity = capacity;
    }
    char *copy = strndup(name, length);
    if (copy == NULL) {
        return false;
    }
    done->names[done->count++] = copy;
    return true;
}

/* The end of the CSV row that begins at `text`, after its line break; NULL if it is incomplete.
 * Line breaks within quotes are part of a field. */
static const char *csv_row_end(const char *text, const char *end) {
    bool quoted = false;
    for (; text < end; text++) {
        if (*text == '"') {
            quoted = !quoted;
        } else if (*text == '\n' && !quoted) {
            return text + 1;
        }
    }
    return NULL;
}

const char *predict_row_end(const char *text, const char *end, bool ndjson) {
    if (!ndjson) {
        return csv_row_end(text, end);
    }
    const char *line_end = memchr(text, '\n', (size_t)(end - text));
    return line_end != NULL ? line_end + 1 : NULL;
}

static bool add_csv_name(struct predict_done *done, const char *row, const char *end) {
    if (*row != '"') {
        return add_name(done, row, strcspn(row, ",\n"));
    }
    char *name = malloc((size_t)(end - row)), *to = name;
    for (row++; name != NULL && row < end && (row[0] != '"' || row[1] == '"'); row++) {
        row += row[0] == '"';
        *to++ = *row;
    }
    const bool good = name != NULL && add_name(done, name, (size_t)(to - name));
    free(name);
    return good;
}

static bool add_json_name(struct predict_done *done, const char *row, const char *end) {
    json_t *object = json_loadb(row, (size_t)(end - row), 0, NULL);
    const char *name = json_string_value(json_object_get(object, "file"));
    const bool good = name != NULL && add_name(done, name, strlen(name));
    json_decref(object);
    return good;
}

enum cn_status predict_done_read(const char *path, bool ndjson, bool header,
                                 struct predict_done *ret_done, struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    *ret_done = (struct predict_done){0};
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        return CN_OK;
    }
    enum cn_status status = cn_file_read(path, RESUME_LIMIT, &bytes, &length, error);
    if (status != CN_OK) {
        return status;
    }
    const char *at = (const char *)bytes, *end = at + length, *next;
    bool good = true, heading = header && !ndjson;
    for (; good && at < end; at = next) {
        next = predict_row_end(at, end, ndjson);
        if (next == NULL) {
            break;
        }
        if (heading) {
            good = strncmp(at, "file,", 5) == 0;
        } else {
            good = ndjson ? add_json_name(ret_done, at, next) : add_csv_name(ret_done, at, next);
        }
        heading = false;
    }
    const off_t whole = at - (const char *)bytes;
    ret_done->begun = whole > 0;
    free(bytes);
    if (!good) {
        return cn_fail_at(
            error, CN_INVALID, path, -1,
            "row %zu is none that this command writes; remove the file to start again",
            ret_done->count + 1);
    }
    return truncate(path, whole) == 0
               ? CN_OK
               : cn_fail_at(error, CN_IO, path, -1, "cannot be cut: %s", strerror(errno));
}

void predict_done_clear(struct predict_done *done) {
    for (size_t i = 0; i < done->count; i++) {
        free(done->names[i]);
    }
    free(done->names);
    *done = (struct predict_done){0};
}
