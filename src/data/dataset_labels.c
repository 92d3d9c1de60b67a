/* dataset_labels.c: pictures with one list of labels beside them: labels.csv in their folder, or in
 * the folders train, test and val, or train.csv, test.csv and val.csv of file names as Kaggle has
 * them. One row per picture: its file (the ending may be missing), its class, and perhaps its
 * weight and its split. Thread-safe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/csv_file.h"
#include "data/picture_list.h"

enum { PATH_SIZE = 4096, MAX_CLASSES = 65535 };

/* ---- Which list ---- */

/* The names that a split may have: of a folder, of a list, and in a column. */
static const char *const split_names[][4] = {
    [CN_SPLIT_TRAIN] = {"train", "training"},
    [CN_SPLIT_TEST] = {"test", "testing"},
    [CN_SPLIT_VALIDATION] = {"val", "validation", "valid"},
};
enum { SPLITS = sizeof split_names / sizeof *split_names };

/* The place of a list, and the columns of its head; a missing column is SIZE_MAX. */
struct labels {
    char path[PATH_SIZE], folder[PATH_SIZE]; /* the list; what its names are within */
    char split_folder[PATH_SIZE];            /* where else they may be; "": nowhere */
    bool whole;                              /* one list for all splits, and no column that parts */
    bool headless;
    size_t file, label, weight, split;
};

static bool is_one_of(const char *text, const char *const *names) {
    for (; *names != NULL; names++)
        if (cn_csv_same_name(text, *names))
            return true;
    return false;
}

static bool is_file(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static bool join(char path[static PATH_SIZE], const char *folder, const char *name,
                 const char *ending) {
    const bool absolute = name[0] == '/';
    return snprintf(path, PATH_SIZE, "%s%s%s%s", absolute ? "" : folder, absolute ? "" : "/", name,
                    ending) < PATH_SIZE;
}

/* Finds the file of the picture that a row names; false if there is none. */
static bool find_picture(const struct labels *labels, const char *name,
                         char path[static PATH_SIZE]) {
    static const char *const endings[] = {"",     ".png",  ".jpg", ".jpeg", ".webp", ".gif", ".bmp",
                                          ".tif", ".tiff", ".ppm", ".pgm",  ".JPG",  ".PNG", NULL};
    const char *const folders[] = {labels->folder, labels->split_folder};
    static const char *const below[] = {"", "images/", "imgs/", "pictures/"};
    char slashed[PATH_SIZE];
    for (size_t i = 0; i < 2; i++)
        for (size_t b = 0; folders[i][0] != '\0' && b < sizeof below / sizeof *below; b++) {
            if (snprintf(slashed, PATH_SIZE, "%s%s", name[0] == '/' ? "" : below[b], name) >=
                PATH_SIZE)
                return false;
            for (const char *const *ending = endings; *ending != NULL; ending++)
                if (join(path, folders[i], slashed, *ending) && is_file(path))
                    return true;
        }
    return false;
}

/* The same for a name that may have Windows' backslashes. */
static bool find_named(const struct labels *labels, const char *name, char path[static PATH_SIZE]) {
    char slashed[PATH_SIZE];
    if (find_picture(labels, name, path))
        return true;
    if (strchr(name, '\\') == NULL || snprintf(slashed, PATH_SIZE, "%s", name) >= PATH_SIZE)
        return false;
    for (char *at = slashed; (at = strchr(at, '\\')) != NULL;)
        *at = '/';
    return find_picture(labels, slashed, path);
}

/* True if the next line begins with a picture: the one before it is a heading, in whatever
 * language. */
static bool names_picture(struct cn_csv *csv, const struct labels *labels,
                          char picture[static PATH_SIZE]) {
    bool more = false;
    if (cn_csv_next(csv, &more, NULL) != CN_OK || !more)
        return false;
    char *rest = csv->line;
    const char *field = cn_csv_field(csv, &rest);
    return field != NULL && field[0] != '\0' && find_named(labels, field, picture);
}

/* Reads the columns of the first line. False: it is not the heading of such a list. */
static bool read_head(struct cn_csv *csv, struct labels *labels) {
    static const char *const files[] = {"file",     "filename", "file_name",  "path",
                                        "filepath", "image",    "img",        "image_id",
                                        "id",       "name",     "image_name", NULL};
    static const char *const classes[] = {"label", "labels", "class", "category", "target", NULL};
    static const char *const weights[] = {"weight", "sample_weight", NULL};
    static const char *const splits[] = {"split", "set", "subset", NULL};
    bool more = false;
    char first[PATH_SIZE] = "", picture[PATH_SIZE];
    labels->file = labels->label = labels->weight = labels->split = SIZE_MAX;
    labels->headless = false;
    if (cn_csv_next(csv, &more, NULL) != CN_OK || !more)
        return false;
    char *copy = strdup(csv->line), *rest = copy;
    size_t column = 0;
    for (char *field; copy != NULL && (field = cn_csv_field(csv, &rest)) != NULL; column++) {
        if (column == 0)
            (void)snprintf(first, sizeof first, "%s", field);
        size_t *which = is_one_of(field, files)     ? &labels->file
                        : is_one_of(field, classes) ? &labels->label
                        : is_one_of(field, weights) ? &labels->weight
                        : is_one_of(field, splits)  ? &labels->split
                                                    : NULL;
        if (which != NULL && *which == SIZE_MAX)
            *which = column;
    }
    free(copy);
    if (labels->file != SIZE_MAX && labels->label != SIZE_MAX)
        return true;
    if (column < 2)
        return false;
    labels->headless = first[0] != '\0' && find_named(labels, first, picture);
    if (!labels->headless && !names_picture(csv, labels, picture))
        return false;
    if (labels->headless)
        labels->label = labels->weight = labels->split = SIZE_MAX;
    labels->file = 0; /* file, class; a class that the heading names is in its own column */
    if (labels->label == SIZE_MAX || labels->label == labels->file)
        labels->label = 1;
    return true;
}

/* True if there is such a list at `path`; fills in the columns. */
static bool try_list(struct labels *labels) {
    struct cn_csv csv = {0};
    if (!is_file(labels->path) || cn_csv_open(labels->path, &csv, NULL) != CN_OK)
        return false;
    const bool good = read_head(&csv, labels);
    cn_csv_close(&csv);
    labels->whole = labels->whole && labels->split == SIZE_MAX;
    return good;
}

/* DIR/labels.csv, DIR/labels.csv.gz or DIR/labels.tsv. */
static bool try_beside(struct labels *labels, const char *folder) {
    static const char *const endings[] = {".csv", ".csv.gz", ".tsv"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        (void)snprintf(labels->folder, PATH_SIZE, "%s", folder);
        labels->split_folder[0] = '\0';
        if (join(labels->path, folder, "labels", endings[i]) && try_list(labels))
            return true;
    }
    return false;
}

static bool find_labels(const struct cn_dataset_request *request, struct labels *labels) {
    char folder[PATH_SIZE];
    *labels = (struct labels){.whole = true};
    if (try_beside(labels, request->path))
        return true;
    labels->whole = false;
    for (const char *const *name = split_names[request->split]; *name != NULL; name++) {
        if (join(folder, request->path, *name, "") && try_beside(labels, folder))
            return true;
        if (snprintf(labels->folder, PATH_SIZE, "%s", request->path) < PATH_SIZE &&
            join(labels->split_folder, request->path, *name, "") &&
            join(labels->path, request->path, *name, ".csv") && try_list(labels))
            return true;
    }
    return false;
}

bool cn_dataset_labels_recognize(const struct cn_dataset_request *request) {
    struct labels labels;
    struct cn_dataset_request other = *request;
    for (int split = 0; split < SPLITS; split++) {
        other.split = (enum cn_split)split;
        if (find_labels(&other, &labels))
            return true;
    }
    return false;
}

/* ---- Rows ---- */

struct label_row {
    char *file, *label; /* borrowed from the line */
    float weight;
    bool selected; /* it belongs to the split that is read */
};

static enum cn_status read_row(struct cn_csv *csv, const struct labels *labels, enum cn_split split,
                               struct label_row *row, struct cn_error *error) {
    char *rest = csv->line;
    *row = (struct label_row){.weight = 1, .selected = true};
    size_t column = 0;
    for (char *field; (field = cn_csv_field(csv, &rest)) != NULL; column++) {
        if (column == labels->file)
            row->file = field;
        else if (column == labels->label)
            row->label = field;
        else if (column == labels->split)
            row->selected = is_one_of(field, split_names[split]);
        else if (column == labels->weight && !cn_dataset_parse_weight(field, &row->weight))
            return cn_fail_at(error, CN_MALFORMED, csv->path, -1,
                              "line %zu: '%.20s' is not a weight from 0 to 1e6", csv->number,
                              field);
    }
    if (row->file == NULL || row->file[0] == '\0' || row->label == NULL || row->label[0] == '\0')
        return cn_fail_at(error, CN_MALFORMED, csv->path, -1,
                          "line %zu lacks the picture's name or its class", csv->number);
    return CN_OK;
}

/* Calls `take` for each row behind the head. */
static enum cn_status each_row(const struct labels *labels, enum cn_split split,
                               enum cn_status (*take)(void *data, const struct cn_csv *csv,
                                                      const struct label_row *row,
                                                      struct cn_error *error),
                               void *data, struct cn_error *error) {
    struct cn_csv csv = {0};
    struct label_row row;
    bool more = true, first = true;
    enum cn_status status = cn_csv_open(labels->path, &csv, error);
    while (status == CN_OK) {
        status = cn_csv_next(&csv, &more, error);
        if (status != CN_OK || !more)
            break;
        const bool head = first && !labels->headless;
        first = false;
        if (head || csv.line[0] == '\0')
            continue;
        status = read_row(&csv, labels, split, &row, error);
        if (status == CN_OK)
            status = take(data, &csv, &row, error);
    }
    cn_csv_close(&csv);
    return status;
}

/* ---- Classes: all that the list names, whatever the split, in order ---- */

struct class_list {
    char **names;
    size_t count, capacity;
    bool numbers;
};

static int compare_classes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By value, for names of digits alone. */
static int compare_numbers(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    const unsigned long long left = strtoull(x, NULL, 10), right = strtoull(y, NULL, 10);
    return left != right ? (left < right ? -1 : 1) : strcmp(x, y);
}

/* The index of the name in a sorted list, or the index where it belongs. */
static size_t find_place(const struct class_list *classes, const char *name, bool *ret_found) {
    size_t low = 0, high = classes->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(classes->names[middle], name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    *ret_found = false;
    return low;
}

static enum cn_status take_class(void *data, const struct cn_csv *csv, const struct label_row *row,
                                 struct cn_error *error) {
    struct class_list *classes = data;
    bool found;
    const size_t place = find_place(classes, row->label, &found);
    if (found)
        return CN_OK;
    if (classes->count == MAX_CLASSES)
        return cn_fail_at(error, CN_LIMIT, csv->path, -1, "names over %d classes", MAX_CLASSES);
    if (classes->count == classes->capacity) {
        const size_t capacity = classes->capacity == 0 ? 64 : classes->capacity * 2;
        char **names = reallocarray(classes->names, capacity, sizeof *names);
        if (names == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for %zu class names", capacity);
        classes->names = names;
        classes->capacity = capacity;
    }
    char *name = strdup(row->label);
    if (name == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a class name");
    memmove(classes->names + place + 1, classes->names + place,
            (classes->count - place) * sizeof *classes->names);
    classes->names[place] = name;
    classes->count++;
    classes->numbers =
        classes->numbers && strlen(name) < 18 && name[strspn(name, "0123456789")] == '\0';
    return CN_OK;
}

/* ---- Pictures ---- */

struct picture_rows {
    const struct labels *labels;
    const struct class_list *classes; /* sorted by name */
    uint16_t *places;                 /* [classes->count], each one's class */
    struct cn_picture_list *list;
};

static enum cn_status take_picture(void *data, const struct cn_csv *csv,
                                   const struct label_row *row, struct cn_error *error) {
    struct picture_rows *rows = data;
    char path[PATH_SIZE];
    bool found;
    if (!row->selected)
        return CN_OK;
    if (!find_named(rows->labels, row->file, path))
        return cn_fail_at(error, CN_IO, csv->path, -1,
                          "line %zu names the picture '%.200s', which is not there", csv->number,
                          row->file);
    const size_t place = find_place(rows->classes, row->label, &found);
    return cn_picture_list_add(rows->list, path, rows->places[place], row->weight, true, error);
}

/* The classes in their order, numbers by value; places[i]: where the i-th name went. */
static enum cn_status order_classes(const struct class_list *classes, struct cn_dataset *dataset,
                                    uint16_t **ret_places, struct cn_error *error) {
    char **names = calloc(classes->count + 1, sizeof *names);
    uint16_t *places = calloc(classes->count + 1, sizeof *places);
    if (names == NULL || places == NULL) {
        free(names);
        free(places);
        return cn_fail(error, CN_MEMORY, "no memory for %zu classes", classes->count);
    }
    if (classes->count > 0)
        memcpy(names, classes->names, classes->count * sizeof *names);
    qsort(names, classes->count, sizeof *names,
          classes->numbers ? compare_numbers : compare_classes);
    for (size_t i = 0; i < classes->count; i++) {
        bool found;
        places[find_place(classes, names[i], &found)] = (uint16_t)i;
    }
    dataset->class_names = names;
    dataset->class_count = classes->count;
    *ret_places = places;
    return CN_OK;
}

enum cn_status cn_dataset_labels_read(const struct cn_dataset_request *request,
                                      struct cn_dataset *dataset, struct cn_error *error) {
    struct class_list classes = {.numbers = true};
    struct cn_picture_list list = {0};
    struct labels *labels = malloc(sizeof *labels);
    struct picture_rows rows = {.labels = labels, .classes = &classes, .list = &list};
    enum cn_status status = CN_OK;
    if (labels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a list of labels");
    if (request->shape == NULL)
        status = cn_fail_at(error, CN_INVALID, request->path, -1,
                            "is a folder of pictures, which needs the network's input shape");
    else if (!find_labels(request, labels))
        status = cn_fail_at(error, CN_IO, request->path, -1,
                            "has no labels for the split %s: labels.csv, %s/labels.csv or %s.csv",
                            cn_split_names[request->split], cn_split_names[request->split],
                            cn_split_names[request->split]);
    if (status == CN_OK)
        status = each_row(labels, request->split, take_class, &classes, error);
    if (status == CN_OK && classes.count < 2)
        status = cn_fail_at(error, CN_INVALID, labels->path, -1,
                            "names %zu classes; 2 are the least", classes.count);
    if (status == CN_OK)
        status = order_classes(&classes, dataset, &rows.places, error);
    if (status == CN_OK)
        status = each_row(labels, request->split, take_picture, &rows, error);
    if (status == CN_OK && list.count == 0)
        status = cn_fail_at(error, CN_INVALID, labels->path, -1, "names no picture of the split %s",
                            cn_split_names[request->split]);
    dataset->whole = labels->whole;
    if (status == CN_OK)
        status = cn_picture_list_read(&list, request, labels->folder, dataset, error);
    for (size_t i = 0; dataset->class_names == NULL && i < classes.count; i++)
        free(classes.names[i]);
    free(classes.names);
    cn_picture_list_clear(&list);
    free(rows.places);
    free(labels);
    return status;
}

static enum cn_status note_picture(void *data, const struct cn_csv *csv,
                                   const struct label_row *row, struct cn_error *error) {
    (void)csv;
    (void)error;
    *(bool *)data = *(bool *)data || row->selected;
    return CN_OK;
}

bool cn_dataset_labels_has_split(const struct cn_dataset_request *request) {
    struct labels labels;
    bool found = false;
    if (!find_labels(request, &labels) || labels.whole)
        return false;
    (void)each_row(&labels, request->split, note_picture, &found, NULL);
    return found;
}
