/* dataset_png_folder.c: a folder with one subfolder of pictures per class, in a `train` and a
 * `test` folder or on its own. Pictures go through cn_preprocess, the path that served pictures
 * take. Hidden files are skipped; order is sorted, so that the result depends on the content alone.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/picture_list.h"

enum { PATH_SIZE = 4096, MAX_CLASSES = 65535, MAX_DEPTH = 16 };

/* Sorted names of a folder, or NULL entries and count 0. */
struct listing {
    struct dirent **entries;
    int count;
};

static bool join(char path[static PATH_SIZE], const char *folder, const char *name) {
    const int length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && length < PATH_SIZE;
}

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int skip_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.' && strcmp(entry->d_name, "__MACOSX") != 0;
}

static bool all_digits(const char *text) {
    return text[strspn(text, "0123456789")] == '\0' && text[0] != '\0';
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* By value: leading zeros, then length, then digits; equal values by name. */
static int compare_numbers(const void *a, const void *b) {
    const char *left = (*(const struct dirent *const *)a)->d_name;
    const char *right = (*(const struct dirent *const *)b)->d_name;
    const char *left_digits = left + strspn(left, "0"), *right_digits = right + strspn(right, "0");
    const size_t left_length = strlen(left_digits), right_length = strlen(right_digits);
    if (left_length != right_length)
        return left_length < right_length ? -1 : 1;
    const int order = strcmp(left_digits, right_digits);
    return order != 0 ? order : strcmp(left, right);
}

static void clear_listing(struct listing *listing) {
    for (int i = 0; i < listing->count; i++)
        free(listing->entries[i]);
    free(listing->entries);
    *listing = (struct listing){0};
}

static enum cn_status list_folder(const char *folder, struct listing *ret_listing,
                                  struct cn_error *error) {
    struct listing listing = {0};
    listing.count = scandir(folder, &listing.entries, skip_hidden, compare_names);
    if (listing.count < 0)
        return cn_fail_at(error, CN_IO, folder, -1, "cannot read the folder: %s", strerror(errno));
    *ret_listing = listing;
    return CN_OK;
}

/* Keeps the subfolders: each is a class. */
static enum cn_status list_classes(const char *folder, struct listing *ret_listing,
                                   struct cn_error *error) {
    char path[PATH_SIZE];
    struct listing listing = {0};
    bool numbers = true;
    int kept = 0;
    const enum cn_status status = list_folder(folder, &listing, error);
    if (status != CN_OK)
        return status;
    for (int i = 0; i < listing.count; i++) {
        struct dirent *entry = listing.entries[i];
        if (join(path, folder, entry->d_name) && is_folder(path)) {
            numbers = numbers && all_digits(entry->d_name);
            listing.entries[kept++] = entry;
        } else {
            free(entry);
        }
    }
    listing.count = kept;
    if (numbers && kept > 1)
        qsort(listing.entries, (size_t)kept, sizeof(struct dirent *), compare_numbers);
    *ret_listing = listing;
    return CN_OK;
}

/* The names that a split's folder may have. */
static const char *const split_folders[][4] = {
    [CN_SPLIT_TRAIN] = {"train", "training"},
    [CN_SPLIT_TEST] = {"test", "testing"},
    [CN_SPLIT_VALIDATION] = {"val", "validation", "valid"},
};

/* Finds a subfolder called `name`, in whatever case; of several the first by name. */
static bool find_subfolder(const char *path, const char *name, char root[static PATH_SIZE]) {
    struct listing listing = {0};
    bool found = join(root, path, name) && is_folder(root);
    if (found || list_folder(path, &listing, NULL) != CN_OK)
        return found;
    for (int i = 0; i < listing.count && !found; i++)
        found = strcasecmp(listing.entries[i]->d_name, name) == 0 &&
                join(root, path, listing.entries[i]->d_name) && is_folder(root);
    clear_listing(&listing);
    return found;
}

/* Writes the path of the split's folder; false if there is none (the first name stays). */
static bool find_split(const char *path, enum cn_split split, char root[static PATH_SIZE]) {
    for (const char *const *name = split_folders[split]; *name != NULL; name++)
        if (find_subfolder(path, *name, root))
            return true;
    (void)join(root, path, split_folders[split][0]);
    return false;
}

/* A folder called "val" alone may be a class; beside a training or test folder it is not. */
static bool has_splits(const char *path) {
    char root[PATH_SIZE];
    return find_split(path, CN_SPLIT_TRAIN, root) || find_split(path, CN_SPLIT_TEST, root);
}

bool cn_dataset_png_folder_has_split(const struct cn_dataset_request *request) {
    char root[PATH_SIZE];
    return has_splits(request->path) && find_split(request->path, request->split, root);
}

/* The folder of the classes. */
static bool find_root(const struct cn_dataset_request *request, char root[static PATH_SIZE]) {
    if (has_splits(request->path)) {
        (void)find_split(request->path, request->split, root);
        return root[0] != '\0';
    }
    return snprintf(root, PATH_SIZE, "%s", request->path) < PATH_SIZE;
}

bool cn_dataset_png_folder_recognize(const struct cn_dataset_request *request) {
    char root[PATH_SIZE];
    struct listing classes = {0};
    if (!find_root(request, root))
        return false;
    /* A missing half of a train/test pair is this format's error to report. */
    if (strcmp(root, request->path) != 0 && !is_folder(root))
        return true;
    if (list_classes(root, &classes, NULL) != CN_OK)
        return false;
    const bool recognized = classes.count > 0;
    clear_listing(&classes);
    return recognized;
}

static bool is_linked(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
}

/* The pictures in a folder and in those below it; folders that are links are not followed. */
static enum cn_status add_folder(struct cn_picture_list *list, const char *folder, uint16_t label,
                                 int depth, size_t *left_out, struct cn_error *error) {
    struct listing files = {0};
    char *path = malloc(PATH_SIZE);
    enum cn_status status = path != NULL ? list_folder(folder, &files, error)
                                         : cn_fail(error, CN_MEMORY, "no memory for a path");
    for (int i = 0; status == CN_OK && i < files.count; i++) {
        if (!join(path, folder, files.entries[i]->d_name))
            status = cn_fail_at(error, CN_LIMIT, folder, -1, "holds a path longer than %d bytes",
                                PATH_SIZE - 1);
        else if (!is_folder(path))
            status = cn_picture_list_add(list, path, label, 1, cn_picture_is_named(path), error);
        else if (depth == MAX_DEPTH)
            status = cn_fail_at(error, CN_LIMIT, path, -1, "lies over %d folders deep", MAX_DEPTH);
        else if (is_linked(path))
            (*left_out)++;
        else
            status = add_folder(list, path, label, depth + 1, left_out, error);
    }
    clear_listing(&files);
    free(path);
    return status;
}

static enum cn_status fail_empty_class(const char *folder, struct cn_error *error) {
    return cn_fail_at(error, CN_INVALID, folder, -1,
                      "is a class without pictures: add some, or remove the folder");
}

static enum cn_status add_classes(struct cn_picture_list *list, const char *root,
                                  const struct listing *classes, struct cn_dataset *dataset,
                                  struct cn_error *error) {
    char path[PATH_SIZE];
    enum cn_status status = CN_OK;
    if (classes->count == 1)
        return cn_fail_at(error, CN_INVALID, root, -1,
                          "has one subfolder, %.80s; each is a class, and a training needs 2 to "
                          "%d: are the data in %.80s/%.80s?",
                          classes->entries[0]->d_name, MAX_CLASSES, root,
                          classes->entries[0]->d_name);
    if (classes->count < 2 || classes->count > MAX_CLASSES)
        return cn_fail_at(error, CN_INVALID, root, -1,
                          "has %d subfolders; each is a class, and a training needs 2 to %d",
                          classes->count, MAX_CLASSES);
    dataset->class_names = calloc((size_t)classes->count, sizeof *dataset->class_names);
    if (dataset->class_names == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %d class names", classes->count);
    dataset->class_count = (size_t)classes->count;
    for (size_t i = 0; status == CN_OK && i < dataset->class_count; i++) {
        const char *name = classes->entries[i]->d_name;
        dataset->class_names[i] = strdup(name);
        if (dataset->class_names[i] == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for the class name %s", name);
        if (!join(path, root, name))
            return cn_fail_at(error, CN_LIMIT, root, -1, "holds a path longer than %d bytes",
                              PATH_SIZE - 1);
        const size_t before = list->count;
        status = add_folder(list, path, (uint16_t)i, 1, &dataset->left_out, error);
        if (status == CN_OK && list->count == before)
            status = fail_empty_class(path, error);
    }
    return status;
}

/* Each class must have given a picture, not only files that were left out. */
static enum cn_status check_classes(const struct cn_dataset *dataset, const char *root,
                                    struct cn_error *error) {
    size_t *samples = calloc(dataset->class_count, sizeof *samples), empty = 0;
    if (samples == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu classes", dataset->class_count);
    for (size_t i = 0; i < dataset->count; i++)
        samples[dataset->labels[i]]++;
    while (empty < dataset->class_count && samples[empty] > 0)
        empty++;
    free(samples);
    char path[PATH_SIZE];
    return empty == dataset->class_count
               ? CN_OK
               : fail_empty_class(join(path, root, dataset->class_names[empty]) ? path : root,
                                  error);
}

enum cn_status cn_dataset_png_folder_read(const struct cn_dataset_request *request,
                                          struct cn_dataset *dataset, struct cn_error *error) {
    struct cn_picture_list list = {0};
    struct listing classes = {0};
    char root[PATH_SIZE];
    if (request->shape == NULL)
        return cn_fail_at(error, CN_INVALID, request->path, -1,
                          "is a folder of pictures, which needs the network's input shape");
    if (!find_root(request, root))
        return cn_fail_at(error, CN_LIMIT, request->path, -1, "the path is longer than %d bytes",
                          PATH_SIZE - 1);
    enum cn_status status = cn_shape_check(request->shape, "the input shape", error);
    if (status == CN_OK)
        status = list_classes(root, &classes, error);
    if (status == CN_OK) {
        dataset->whole = !has_splits(request->path);
        status = add_classes(&list, root, &classes, dataset, error);
    }
    if (status == CN_OK)
        status = cn_picture_list_read(&list, request, root, dataset, error);
    if (status == CN_OK)
        status = check_classes(dataset, root, error);
    cn_picture_list_clear(&list);
    clear_listing(&classes);
    return status;
}
