/* dataset_csv.c: pictures as rows of numbers, as Kaggle has them: "label,pixel0,pixel1,...", plain
 * or gzipped, with or without a head. One file is one piece; a folder has train.csv and test.csv. A
 * column called weight is the samples' weights. A row is read at a time, so that memory grows with
 * what the file really holds. Thread-safe.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/csv_file.h"
#include "data/dataset_table.h"

enum { PATH_SIZE = 4096, MAX_LABEL = 65534 };

/* ---- Rows ---- */

struct rows {
    struct cn_csv csv;
    size_t label_column, weight_column, columns; /* a column that is not there: SIZE_MAX */
    size_t id_column;                            /* numbers the rows */
    size_t capacity;                             /* samples that the dataset has room for */
    double largest;                              /* pixel so far */
    double scale; /* 255: there are fractions, and no pixel is above 1; 1: as they are */
};

static bool parse_field(const char *field, double maximum, double *ret_value) {
    char *end;
    errno = 0;
    const double value = strtod(field, &end);
    if (end == field || *end != '\0' || !(value >= 0 && value <= maximum))
        return false;
    *ret_value = value;
    return true;
}

/* Multiplies the `count` pixels so far. */
static void rescale(uint8_t *pixels, size_t count, double factor) {
    for (size_t i = 0; i < count; i++)
        pixels[i] = (uint8_t)lrint(pixels[i] * factor);
}

/* Stores a pixel behind the `count` others: a fraction among pixels up to 1 shows that 1 is white,
 * until a pixel above 1 shows that it is not. */
static void put_pixel(struct rows *rows, double value, uint8_t *pixels, size_t count) {
    rows->largest = fmax(rows->largest, value);
    if (rows->scale > 1 && value > 1) {
        rescale(pixels, count, 1 / rows->scale);
        rows->scale = 1;
    } else if (rows->scale == 1 && rows->largest <= 1 && value != floor(value)) {
        rows->scale = 255;
        rescale(pixels, count, rows->scale);
    }
    pixels[count] = (uint8_t)lrint(value * rows->scale);
}

static bool is_named(const char *field, const char *const *names) {
    for (; *names != NULL; names++)
        if (cn_csv_same_name(field, *names))
            return true;
    return false;
}

/* Counts the columns of the first line, and finds the label's and the weight's if it is a head. */
static void read_head(struct rows *rows, bool *ret_head) {
    static const char *const labels[] = {"label",    "labels", "class", "target",
                                         "category", "digit",  "y",     NULL};
    static const char *const ids[] = {"", "id", "index", "image_id", "Unnamed: 0", NULL};
    char *copy = strdup(rows->csv.line), *rest = copy;
    double value;
    *ret_head = false;
    rows->columns = 0;
    rows->label_column = rows->weight_column = rows->id_column = SIZE_MAX;
    for (char *field; copy != NULL && (field = cn_csv_field(&rows->csv, &rest)) != NULL;
         rows->columns++) {
        *ret_head = *ret_head || !parse_field(field, 1L << 30, &value);
        if (rows->label_column == SIZE_MAX && is_named(field, labels))
            rows->label_column = rows->columns;
        else if (rows->columns == 0 && is_named(field, ids))
            rows->id_column = 0;
        else if (cn_csv_same_name(field, "weight"))
            rows->weight_column = rows->columns;
    }
    free(copy);
    if (!*ret_head)
        rows->label_column = 0;
}

/* Pictures are the network's shape if that has as many samples, else square and grey. */
static enum cn_status find_shape(const struct rows *rows, const struct cn_dataset_request *request,
                                 struct cn_shape *ret_shape, struct cn_error *error) {
    const size_t pixels =
        rows->columns - 1 - (rows->weight_column != SIZE_MAX) - (rows->id_column != SIZE_MAX);
    const int side = (int)lround(sqrt((double)pixels));
    if (request->shape != NULL && request->shape->rank == 3 &&
        cn_shape_size(request->shape) == pixels)
        *ret_shape = *request->shape;
    else if (side > 0 && (size_t)side * (size_t)side == pixels)
        *ret_shape = cn_shape_image(side, side, 1);
    else
        return cn_fail_at(error, CN_INVALID, rows->csv.path, -1,
                          "has %zu columns beside the label, which is not a square picture",
                          pixels);
    return cn_shape_check(ret_shape, "a row's picture", error);
}

static enum cn_status fail_field(const struct rows *rows, size_t column, const char *field,
                                 const char *rule, struct cn_error *error) {
    return cn_fail_at(error, CN_MALFORMED, rows->csv.path, -1,
                      "line %zu, column %zu: '%.20s' is no %s", rows->csv.number, column + 1, field,
                      rule);
}

static enum cn_status add_row(struct rows *rows, struct cn_dataset *dataset,
                              struct cn_error *error) {
    enum cn_status status = cn_dataset_grow(dataset, &rows->capacity, error);
    if (status != CN_OK)
        return status;
    size_t pixel = dataset->count * cn_shape_size(&dataset->shape);
    char *rest = rows->csv.line;
    size_t column = 0;
    for (char *field; (field = cn_csv_field(&rows->csv, &rest)) != NULL; column++) {
        const bool label = column == rows->label_column;
        double value;
        if (column >= rows->columns) {
            column++;
            break;
        }
        if (column == rows->id_column)
            continue;
        if (column == rows->weight_column) {
            if (!cn_dataset_parse_weight(field, &dataset->weights[dataset->count]))
                return fail_field(rows, column, field, "weight from 0 to 1e6", error);
            continue;
        }
        if (!parse_field(field, label ? MAX_LABEL : 255, &value) ||
            (label && value != floor(value)))
            return fail_field(rows, column, field,
                              label ? "whole number from 0 to 65534" : "number from 0 to 255",
                              error);
        if (label)
            dataset->labels[dataset->count] = (uint16_t)value;
        else
            put_pixel(rows, value, dataset->images, pixel++);
    }
    if (column != rows->columns)
        return cn_fail_at(error, CN_MALFORMED, rows->csv.path, -1,
                          "line %zu has %s columns than the %zu of the first", rows->csv.number,
                          column < rows->columns ? "fewer" : "more", rows->columns);
    dataset->count++;
    return CN_OK;
}

static enum cn_status read_rows(struct rows *rows, const struct cn_dataset_request *request,
                                struct cn_dataset *dataset, struct cn_error *error) {
    struct cn_csv *csv = &rows->csv;
    bool more = false, head = false;
    enum cn_status status = cn_csv_next(csv, &more, error);
    if (status != CN_OK)
        return status;
    if (!more)
        return cn_fail_at(error, CN_INVALID, csv->path, -1, "is empty");
    read_head(rows, &head);
    if (rows->label_column == SIZE_MAX || rows->columns < 2)
        return cn_fail_at(error, CN_INVALID, csv->path, -1,
                          "has no column called label (or class, target, y), which training "
                          "needs");
    status = find_shape(rows, request, &dataset->shape, error);
    if (status == CN_OK && rows->weight_column != SIZE_MAX)
        status = cn_dataset_weigh(dataset, error);
    if (status == CN_OK && !head)
        status = add_row(rows, dataset, error);
    while (status == CN_OK) {
        status = cn_csv_next(csv, &more, error);
        if (status != CN_OK || !more)
            break;
        if (csv->line[0] != '\0')
            status = add_row(rows, dataset, error);
    }
    return status;
}

/* ---- Which file ---- */

static bool is_csv_file(const char *path) {
    struct stat info;
    const size_t length = strlen(path);
    static const char *const endings[] = {".csv", ".tsv", ".csv.gz", ".tsv.gz"};
    bool named = false;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        named = named || (length > strlen(endings[i]) &&
                          strcasecmp(path + length - strlen(endings[i]), endings[i]) == 0);
    return named && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* True if the file's columns are a label and the pixels of a picture: many folders of other data
 * have some CSV file. */
static bool has_pictures(const struct cn_dataset_request *request, const char *path) {
    enum { LEAST_PIXELS = 16 };
    struct rows rows = {.label_column = SIZE_MAX};
    struct cn_shape shape;
    bool more = false, head;
    if (cn_csv_open(path, &rows.csv, NULL) != CN_OK)
        return false;
    if (cn_csv_next(&rows.csv, &more, NULL) == CN_OK && more)
        read_head(&rows, &head);
    const bool good = rows.label_column != SIZE_MAX && rows.columns > LEAST_PIXELS &&
                      find_shape(&rows, request, &shape, NULL) == CN_OK;
    cn_csv_close(&rows.csv);
    return good;
}

/* The one file of a folder whose name ends like mnist_train.csv. False: none, or several. */
static bool find_only(const struct cn_dataset_request *request, const char *split,
                      char path[static PATH_SIZE]) {
    const char *folder = request->path;
    size_t found = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        const size_t length = strcspn(entry->d_name, "."), size = strlen(split);
        const size_t at = length > size ? length - size : 0; /* 0: there is nothing before it */
        const char *name = entry->d_name;
        char candidate[PATH_SIZE];
        if (at > 0 && strncasecmp(name + at, split, size) == 0 &&
            (name[at - 1] == '_' || name[at - 1] == '-') &&
            snprintf(candidate, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE &&
            is_csv_file(candidate) && found++ == 0)
            memcpy(path, candidate, sizeof candidate);
    }
    if (directory != NULL)
        (void)closedir(directory);
    return found == 1 && has_pictures(request, path);
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
    return find_only(request, names[request->split], path);
}

bool cn_dataset_csv_recognize(const struct cn_dataset_request *request) {
    struct cn_dataset_request training = *request;
    char path[PATH_SIZE];
    bool whole;
    training.split = CN_SPLIT_TRAIN;
    return find_csv(request, path, &whole) || find_csv(&training, path, &whole);
}

bool cn_dataset_csv_has_split(const struct cn_dataset_request *request) {
    struct rows rows = {.label_column = SIZE_MAX};
    char path[PATH_SIZE];
    bool whole, more = false, head;
    if (!find_csv(request, path, &whole) || whole || cn_csv_open(path, &rows.csv, NULL) != CN_OK)
        return false;
    if (cn_csv_next(&rows.csv, &more, NULL) == CN_OK && more)
        read_head(&rows, &head);
    cn_csv_close(&rows.csv);
    return rows.label_column != SIZE_MAX; /* Kaggle's test.csv has no labels */
}

enum cn_status cn_dataset_csv_read(const struct cn_dataset_request *request,
                                   struct cn_dataset *dataset, struct cn_error *error) {
    struct rows rows = {.scale = 1};
    char path[PATH_SIZE];
    if (!find_csv(request, path, &dataset->whole))
        return cn_fail_at(error, CN_IO, request->path, -1,
                          "has no data for the split %s: %s.csv or %s.csv.gz",
                          cn_split_names[request->split], cn_split_names[request->split],
                          cn_split_names[request->split]);
    enum cn_status status = cn_csv_open(path, &rows.csv, error);
    if (status == CN_OK)
        status = read_rows(&rows, request, dataset, error);
    cn_csv_close(&rows.csv);
    if (status == CN_OK && dataset->count == 0)
        status = cn_fail_at(error, CN_INVALID, path, -1, "has a head but no row");
    return status == CN_OK ? cn_dataset_number_classes(dataset, error) : status;
}
