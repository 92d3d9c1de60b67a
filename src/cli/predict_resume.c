/* predict_resume.c: the rows that an earlier run of `convnet predict` has left in FILE.part. Their
 * inputs are not scored again, whatever became of the other inputs since.
 *
 * A name is compared as it is written in a row, so that nothing is parsed. Scores nothing. One
 * thread. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/predict_command.h"

/* A row, by its name. Rows are sorted by name, and rows of one name by their place. */
struct done_row {
    const char *text;
    size_t name_length;
    size_t taken; /* of the first row of a name: how many rows of the name have been taken */
};

struct predict_done {
    const struct predict_format *format;
    struct predict_bytes bytes;
    size_t head_length, whole_length; /* of the head, and of all complete lines */
    struct done_row *rows;            /* [count] */
    size_t count, capacity;
    const char **inputs; /* [input_count], the row of each input so far; NULL: a new one */
    size_t input_count, input_capacity;
    size_t taken, failures;
    bool out_of_order; /* the rows have not the order of the inputs */
    bool memory_failed;
    struct cn_text name; /* the last one that was looked up */
};

enum cn_status predict_bytes_map(const char *path, struct predict_bytes *ret_bytes,
                                 struct cn_error *error) {
    struct stat info = {0};
    *ret_bytes = (struct predict_bytes){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return CN_OK;
    bool good = fd >= 0 && fstat(fd, &info) == 0;
    const bool regular = good && S_ISREG(info.st_mode);
    if (regular && info.st_size > 0) {
        char *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        good = bytes != MAP_FAILED;
        if (good)
            *ret_bytes = (struct predict_bytes){bytes, (size_t)info.st_size};
    }
    const int fault = errno;
    if (fd >= 0)
        (void)close(fd);
    return good && regular ? CN_OK
                           : cn_fail_at(error, CN_IO, path, -1, "cannot be read: %s",
                                        good ? "it is not a regular file" : strerror(fault));
}

void predict_bytes_unmap(struct predict_bytes *bytes) {
    if (bytes->bytes != NULL)
        (void)munmap(bytes->bytes, bytes->length);
    *bytes = (struct predict_bytes){0};
}

/* ---- Reading ---- */

/* `list` with room for one element more of `size` bytes; NULL if memory runs out. */
static void *done_grow(void *list, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return list;
    const size_t more = *capacity > 0 ? 2 * *capacity : 256;
    void *longer = reallocarray(list, more, size);
    if (longer != NULL)
        *capacity = more;
    return longer;
}

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length) {
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_rows(const void *a, const void *b) {
    const struct done_row *x = a, *y = b;
    const int order = compare_names(x->text, x->name_length, y->text, y->name_length);
    return order != 0 ? order : (x->text > y->text) - (x->text < y->text);
}

/* Finds the complete lines: the head, then rows. */
static enum cn_status done_index(struct predict_done *done, const char *part, const char *head,
                                 struct cn_error *error) {
    const char *at = done->bytes.bytes, *end = at + done->bytes.length, *next, *name_end;
    const size_t head_length = strlen(head);
    const bool begun = done->bytes.length >= head_length;
    if (memcmp(at, head, begun ? head_length : done->bytes.length) != 0)
        return cn_fail_at(error, CN_INVALID, part, -1,
                          "was begun with another model, --format, --top or --error, or without a "
                          "header; remove the file to start again");
    if (!begun)
        return CN_OK; /* the run ended before it could write more */
    at += head_length;
    done->head_length = head_length;
    for (; at < end && (next = done->format->row_end(at, end)) != NULL; at = next) {
        name_end = done->format->name_end(at, next);
        if (name_end == NULL)
            return cn_fail_at(
                error, CN_INVALID, part, -1,
                "row %zu is not one that this command writes; remove the file to start again",
                done->count + 1);
        struct done_row *rows =
            done_grow(done->rows, done->count, &done->capacity, sizeof *done->rows);
        if (rows == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for %zu rows", done->count + 1);
        done->rows = rows;
        done->rows[done->count++] = (struct done_row){at, (size_t)(name_end - at), 0};
    }
    done->whole_length = (size_t)(at - done->bytes.bytes);
    if (done->count > 0)
        qsort(done->rows, done->count, sizeof *done->rows, compare_rows);
    return CN_OK;
}

enum cn_status predict_done_read(const char *part, const struct predict_format *format,
                                 const char *head, struct predict_done **ret_done,
                                 struct cn_error *error) {
    struct predict_done *done = calloc(1, sizeof *done);
    if (done == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the rows that are there");
    done->format = format;
    enum cn_status status = predict_bytes_map(part, &done->bytes, error);
    if (status == CN_OK && done->bytes.bytes != NULL)
        status = done_index(done, part, head, error);
    if (status == CN_OK && done->whole_length < done->bytes.length &&
        truncate(part, (off_t)done->whole_length) != 0)
        status = cn_fail_at(error, CN_IO, part, -1, "cannot be cut: %s", strerror(errno));
    if (status != CN_OK) {
        predict_done_free(done);
        return status;
    }
    *ret_done = done;
    return CN_OK;
}

void predict_done_free(struct predict_done *done) {
    if (done == NULL)
        return;
    predict_bytes_unmap(&done->bytes);
    free(done->rows);
    free(done->inputs);
    free(done->name.bytes);
    free(done);
}

bool predict_done_begun(const struct predict_done *done) {
    return done->whole_length > 0;
}

size_t predict_done_failures(const struct predict_done *done) {
    return done->failures;
}

/* ---- The inputs ---- */

/* The first row of this name that has not been taken; NULL: none. */
static const struct done_row *done_find(struct predict_done *done, const char *name,
                                        size_t length) {
    size_t low = 0, high = done->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct done_row *row = &done->rows[middle];
        if (compare_names(row->text, row->name_length, name, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == done->count)
        return NULL;
    const size_t found = low + done->rows[low].taken;
    if (found >= done->count ||
        compare_names(done->rows[found].text, done->rows[found].name_length, name, length) != 0)
        return NULL;
    done->rows[low].taken++;
    return &done->rows[found];
}

bool predict_done_take(struct predict_done *done, const char *name) {
    done->name.length = 0;
    done->format->add_name(&done->name, name);
    const char **inputs =
        done_grow(done->inputs, done->input_count, &done->input_capacity, sizeof *done->inputs);
    if (inputs == NULL || done->name.failed) {
        done->memory_failed = true;
        return false;
    }
    done->inputs = inputs;
    const struct done_row *row = done_find(done, done->name.bytes, done->name.length);
    const char *text = row != NULL ? row->text : NULL;
    const char *before = done->input_count > 0 ? inputs[done->input_count - 1] : NULL;
    if (row != NULL && done->input_count > 0 && (before == NULL || before > text))
        done->out_of_order = true;
    inputs[done->input_count++] = text;
    if (row != NULL) {
        const char *end = done->bytes.bytes + done->whole_length;
        done->taken++;
        done->failures +=
            done->format->is_failure(text + row->name_length, done->format->row_end(text, end));
    }
    return row != NULL;
}

/* ---- The order of the inputs ---- */

/* Prints the row at `at` and returns its end. */
static const char *put_row(const struct predict_done *done, const char *at, const char *end) {
    const char *next = at < end ? done->format->row_end(at, end) : NULL;
    if (next == NULL)
        return at;
    (void)fwrite(at, 1, (size_t)(next - at), stdout);
    return next;
}

static void put_in_order(const struct predict_done *done, const struct predict_bytes *part) {
    const char *end = part->bytes + part->length;
    const char *new_row = part->bytes + done->whole_length;
    (void)fwrite(part->bytes, 1, done->head_length, stdout);
    for (size_t i = 0; i < done->input_count; i++)
        if (done->inputs[i] != NULL)
            (void)put_row(done, done->inputs[i], done->bytes.bytes + done->whole_length);
        else
            new_row = put_row(done, new_row, end);
}

enum cn_status predict_done_arrange(const struct predict_done *done, const char *part,
                                    struct cn_error *error) {
    char path[PATH_MAX];
    struct predict_bytes bytes = {0};
    if (done->memory_failed)
        return cn_fail(error, CN_MEMORY, "no memory for the names of the inputs");
    if (!done->out_of_order && done->taken == done->count)
        return CN_OK;
    if (snprintf(path, sizeof path, "%s.new", part) >= (int)sizeof path)
        return cn_fail_at(error, CN_INVALID, part, -1, "the name is too long");
    const enum cn_status status = predict_bytes_map(part, &bytes, error);
    if (status != CN_OK)
        return status;
    if (freopen(path, "w", stdout) == NULL) {
        predict_bytes_unmap(&bytes);
        return cn_fail_at(error, CN_IO, path, -1, "cannot be written: %s", strerror(errno));
    }
    put_in_order(done, &bytes);
    predict_bytes_unmap(&bytes);
    const enum cn_status kept = predict_keep_output(path, part, error);
    if (kept != CN_OK)
        (void)unlink(path);
    return kept;
}
