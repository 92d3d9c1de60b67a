/* dataset_csv.c: pictures as rows of numbers, as Kaggle has them: "label,pixel0,pixel1,...", plain
 * or gzipped, with or without a head. One file is one piece; a folder has train.csv and test.csv. A
 * row is read at a time, so that memory grows with what the file really holds. Thread-safe.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <zlib.h>

#include "data/dataset_table.h"

enum { PATH_SIZE = 4096, FIRST_LINE = 1 << 14, MAX_LINE = 1 << 24, MAX_LABEL = 65534 };

/* ---- Which file ---- */

static bool is_csv_file(const char *path) {
    struct stat info;
    const size_t length = strlen(path);
    const bool named = (length > 4 && strcasecmp(path + length - 4, ".csv") == 0) ||
                       (length > 7 && strcasecmp(path + length - 7, ".csv.gz") == 0);
    return named && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* The split's file in a folder, or the file that the request names. */
static bool find_csv(const struct cn_dataset_request *request, char path[static PATH_SIZE],
                     bool *ret_whole) {
    static const char *const names[] = {"train", "test", "validation"};
    static const char *const endings[] = {".csv", ".csv.gz"};
    *ret_whole = is_csv_file(request->path);
    if (*ret_whole)
        return snprintf(path, PATH_SIZE, "%s", request->path) < PATH_SIZE;
    for (size_t i = 0; i < 2; i++)
        if (snprintf(path, PATH_SIZE, "%s/%s%s", request->path, names[request->split], endings[i]) <
                PATH_SIZE &&
            is_csv_file(path))
            return true;
    return false;
}

bool cn_dataset_csv_recognize(const struct cn_dataset_request *request) {
    struct cn_dataset_request training = *request;
    char path[PATH_SIZE];
    bool whole;
    training.split = CN_SPLIT_TRAIN;
    return find_csv(request, path, &whole) || find_csv(&training, path, &whole);
}

/* ---- Rows ---- */

struct csv {
    const char *path;
    gzFile file;
    char *line;
    size_t size;   /* bytes at `line` */
    size_t number; /* of the line, from 1 */
    size_t label_column, columns;
    size_t capacity; /* samples that the dataset has room for */
};

/* Reads one line without its end; *ret_more false at the file's end. */
static enum cn_status read_line(struct csv *csv, bool *ret_more, struct cn_error *error) {
    size_t used = 0;
    *ret_more = true;
    for (;;) {
        if (csv->size - used < 2) {
            if (csv->size >= MAX_LINE)
                return cn_fail_at(error, CN_LIMIT, csv->path, -1, "line %zu is over %d bytes",
                                  csv->number + 1, MAX_LINE);
            const size_t size = csv->size == 0 ? FIRST_LINE : csv->size * 2;
            char *line = realloc(csv->line, size);
            if (line == NULL)
                return cn_fail(error, CN_MEMORY, "no memory for a line of %zu bytes", size);
            csv->line = line;
            csv->size = size;
        }
        if (gzgets(csv->file, csv->line + used, (int)(csv->size - used)) == NULL)
            break;
        used += strlen(csv->line + used);
        if (used > 0 && csv->line[used - 1] == '\n')
            break;
    }
    int code = Z_OK;
    const char *reason = gzerror(csv->file, &code);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return cn_fail_at(error, code == Z_ERRNO ? CN_IO : CN_MALFORMED, csv->path, -1,
                          "cannot be read: %s", code == Z_ERRNO ? strerror(errno) : reason);
    if (used == 0) {
        *ret_more = false;
        return CN_OK;
    }
    while (used > 0 && (csv->line[used - 1] == '\n' || csv->line[used - 1] == '\r'))
        csv->line[--used] = '\0';
    csv->number++;
    return CN_OK;
}

/* The next field of a line, NULL at its end; quotes around it go. */
static char *next_field(char **rest) {
    char *field = *rest;
    if (field == NULL)
        return NULL;
    char *comma = strpbrk(field, ",;");
    *rest = comma != NULL ? comma + 1 : NULL;
    if (comma != NULL)
        *comma = '\0';
    const size_t length = strlen(field);
    if (length >= 2 && field[0] == '"' && field[length - 1] == '"') {
        field[length - 1] = '\0';
        field++;
    }
    return field;
}

static bool parse_field(const char *field, long maximum, long *ret_value) {
    char *end;
    errno = 0;
    const double value = strtod(field, &end);
    if (end == field || *end != '\0' || !(value >= 0 && value <= (double)maximum) ||
        value != floor(value))
        return false;
    *ret_value = (long)value;
    return true;
}

/* Counts the columns of the first line, and finds the label's if it is a head. */
static void read_head(struct csv *csv, bool *ret_head) {
    char *copy = strdup(csv->line), *rest = copy;
    long value;
    bool found = false;
    *ret_head = false;
    csv->columns = 0;
    csv->label_column = 0;
    for (char *field; copy != NULL && (field = next_field(&rest)) != NULL; csv->columns++) {
        *ret_head = *ret_head || !parse_field(field, 1L << 30, &value);
        if (!found && (strcasecmp(field, "label") == 0 || strcasecmp(field, "class") == 0)) {
            csv->label_column = csv->columns;
            found = true;
        }
    }
    free(copy);
    if (*ret_head && !found)
        csv->label_column = csv->columns; /* none */
}

/* Pictures are the network's shape if that has as many samples, else square and grey. */
static enum cn_status find_shape(const struct csv *csv, const struct cn_dataset_request *request,
                                 struct cn_shape *ret_shape, struct cn_error *error) {
    const size_t pixels = csv->columns - 1;
    const int side = (int)lround(sqrt((double)pixels));
    if (request->shape != NULL && request->shape->rank == 3 &&
        cn_shape_size(request->shape) == pixels)
        *ret_shape = *request->shape;
    else if (side > 0 && (size_t)side * (size_t)side == pixels)
        *ret_shape = cn_shape_image(side, side, 1);
    else
        return cn_fail_at(error, CN_INVALID, csv->path, -1,
                          "has %zu columns beside the label, which is no square picture", pixels);
    return cn_shape_check(ret_shape, "a row's picture", error);
}

static enum cn_status add_row(struct csv *csv, struct cn_dataset *dataset, struct cn_error *error) {
    enum cn_status status = cn_dataset_grow(dataset, &csv->capacity, error);
    if (status != CN_OK)
        return status;
    uint8_t *pixel = dataset->images + dataset->count * cn_shape_size(&dataset->shape);
    char *rest = csv->line;
    size_t column = 0;
    for (char *field; (field = next_field(&rest)) != NULL; column++) {
        const bool label = column == csv->label_column;
        long value;
        if (column >= csv->columns) {
            column++;
            break;
        }
        if (!parse_field(field, label ? MAX_LABEL : 255, &value))
            return cn_fail_at(error, CN_MALFORMED, csv->path, -1,
                              "line %zu, column %zu: '%.20s' is no whole number from 0 to %d",
                              csv->number, column + 1, field, label ? MAX_LABEL : 255);
        if (label)
            dataset->labels[dataset->count] = (uint16_t)value;
        else
            *pixel++ = (uint8_t)value;
    }
    if (column != csv->columns)
        return cn_fail_at(error, CN_MALFORMED, csv->path, -1,
                          "line %zu has %s columns than the %zu of the first", csv->number,
                          column < csv->columns ? "fewer" : "more", csv->columns);
    dataset->count++;
    return CN_OK;
}

static enum cn_status read_rows(struct csv *csv, const struct cn_dataset_request *request,
                                struct cn_dataset *dataset, struct cn_error *error) {
    bool more = false, head = false;
    enum cn_status status = read_line(csv, &more, error);
    if (status != CN_OK)
        return status;
    if (!more)
        return cn_fail_at(error, CN_INVALID, csv->path, -1, "is empty");
    read_head(csv, &head);
    if (csv->label_column == csv->columns || csv->columns < 2)
        return cn_fail_at(error, CN_INVALID, csv->path, -1,
                          "has no column called label; pictures without labels teach nothing");
    status = find_shape(csv, request, &dataset->shape, error);
    if (status == CN_OK && !head)
        status = add_row(csv, dataset, error);
    while (status == CN_OK) {
        status = read_line(csv, &more, error);
        if (status != CN_OK || !more)
            break;
        if (csv->line[0] != '\0')
            status = add_row(csv, dataset, error);
    }
    return status;
}

bool cn_dataset_csv_has_split(const struct cn_dataset_request *request) {
    struct csv csv = {0};
    char path[PATH_SIZE];
    bool whole, more = false, head;
    if (!find_csv(request, path, &whole) || whole || (csv.file = gzopen(path, "rb")) == NULL)
        return false;
    csv.path = path;
    if (read_line(&csv, &more, NULL) == CN_OK && more)
        read_head(&csv, &head);
    (void)gzclose(csv.file);
    free(csv.line);
    return csv.label_column < csv.columns; /* Kaggle's test.csv has no labels */
}

enum cn_status cn_dataset_csv_read(const struct cn_dataset_request *request,
                                   struct cn_dataset *dataset, struct cn_error *error) {
    struct csv csv = {0};
    char path[PATH_SIZE];
    if (!find_csv(request, path, &dataset->whole))
        return cn_fail_at(error, CN_IO, request->path, -1, "has no CSV file of this split");
    csv.path = path;
    csv.file = gzopen(path, "rb");
    if (csv.file == NULL)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open the file: %s", strerror(errno));
    (void)gzbuffer(csv.file, 1U << 17);
    enum cn_status status = read_rows(&csv, request, dataset, error);
    (void)gzclose(csv.file);
    free(csv.line);
    if (status == CN_OK && dataset->count == 0)
        status = cn_fail_at(error, CN_INVALID, path, -1, "has a head but no row");
    return status == CN_OK ? cn_dataset_number_classes(dataset, error) : status;
}
