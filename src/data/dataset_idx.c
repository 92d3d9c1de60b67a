/* dataset_idx.c: reads a folder with an IDX pair of images and labels under MNIST's or EMNIST's
 * names. EMNIST's images are transposed, and are put upright; its mapping file gives the classes.
 * Without one they are "0" to the largest training label, so that both splits agree. Thread-safe.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/dataset_table.h"
#include "data/idx.h"

enum { PATH_SIZE = 4096, PREFIX_SIZE = 256, MAX_SETS = 16, MAX_MAPPING = 1 << 16 };

static const char image_ending[] = "images-idx3-ubyte";
static const char label_ending[] = "labels-idx1-ubyte";

/* Writes the path of the plain or the .gz file; false if neither exists (the plain name stays). */
static bool find_ending(const char *folder, const char *prefix, const char *ending,
                        char path[static PATH_SIZE]) {
    int length = snprintf(path, PATH_SIZE, "%s/%s%s.gz", folder, prefix, ending);
    if (length < 0 || length >= PATH_SIZE)
        return false;
    const bool zipped = access(path, F_OK) == 0;
    path[length - 3] = '\0';
    if (access(path, F_OK) == 0)
        return true;
    if (zipped)
        path[length - 3] = '.';
    return zipped;
}

/* The same; the name images.idx3-ubyte, which some copies of MNIST have, is accepted, too. */
static bool find_file(const char *folder, const char *prefix, const char *ending,
                      char path[static PATH_SIZE]) {
    char dotted[PREFIX_SIZE];
    (void)snprintf(dotted, sizeof dotted, "%s", ending);
    dotted[strcspn(dotted, "-")] = '.';
    return find_ending(folder, prefix, dotted, path) || find_ending(folder, prefix, ending, path);
}

/* The sets of EMNIST in a folder: "emnist-<set>-" each, sorted, each once. */
struct sets {
    int count;
    char names[MAX_SETS][PREFIX_SIZE];
};

static int compare_sets(const void *a, const void *b) {
    return strcmp(a, b);
}

static void add_set(struct sets *sets, const char *name, size_t length) {
    for (int i = 0; i < sets->count; i++)
        if (strlen(sets->names[i]) == length && strncmp(sets->names[i], name, length) == 0)
            return;
    if (sets->count == MAX_SETS || length >= PREFIX_SIZE)
        return;
    memcpy(sets->names[sets->count], name, length);
    sets->names[sets->count++][length] = '\0';
}

static void find_sets(const char *folder, struct sets *sets) {
    static const char head[] = "emnist-";
    static const char *const tails[] = {"-train-images-idx3-ubyte", "-test-images-idx3-ubyte"};
    DIR *directory = opendir(folder);
    sets->count = 0;
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        for (size_t i = 0; i < 2; i++) {
            const char *tail = strstr(entry->d_name, tails[i]);
            if (tail != NULL && strncmp(entry->d_name, head, sizeof head - 1) == 0)
                add_set(sets, entry->d_name, (size_t)(tail - entry->d_name) + 1);
        }
    }
    (void)closedir(directory);
    qsort(sets->names, (size_t)sets->count, sizeof sets->names[0], compare_sets);
}

/* The folder of a data set's files, and the beginning of their names. */
struct naming {
    char folder[PATH_SIZE];
    char set[PREFIX_SIZE]; /* "emnist-letters-", "" for MNIST's names */
    char train[PREFIX_SIZE + 8], test[PREFIX_SIZE + 8];
    struct sets sets; /* more than one: the path names none of them */
};

static bool take_set(struct naming *naming, const char *set) {
    (void)snprintf(naming->set, sizeof naming->set, "%s", set);
    (void)snprintf(naming->train, sizeof naming->train, "%strain-", set);
    (void)snprintf(naming->test, sizeof naming->test, "%stest-", set);
    return true;
}

/* DIR/emnist-letters and DIR/letters name one set of DIR. */
static bool find_named_set(const char *path, struct naming *naming) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    char expected[PREFIX_SIZE];
    const int length = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
    if (snprintf(expected, sizeof expected, "%s%s-",
                 strncmp(name, "emnist-", 7) == 0 ? "" : "emnist-", name) >= (int)sizeof expected ||
        snprintf(naming->folder, PATH_SIZE, "%.*s", length, slash == NULL ? "." : path) >=
            PATH_SIZE)
        return false;
    find_sets(naming->folder, &naming->sets);
    for (int i = 0; i < naming->sets.count; i++)
        if (strcmp(naming->sets.names[i], expected) == 0) {
            naming->sets.count = 1;
            return take_set(naming, expected);
        }
    return false;
}

static bool find_naming(const char *path, struct naming *naming) {
    char file[PATH_SIZE];
    if (snprintf(naming->folder, PATH_SIZE, "%s", path) >= PATH_SIZE)
        return false;
    naming->sets.count = 0;
    if (find_file(path, "train-", image_ending, file) ||
        find_file(path, "t10k-", image_ending, file)) {
        naming->set[0] = '\0';
        (void)strcpy(naming->train, "train-");
        (void)strcpy(naming->test, "t10k-");
        return true;
    }
    find_sets(path, &naming->sets);
    if (naming->sets.count > 0)
        return take_set(naming, naming->sets.names[0]);
    return access(path, F_OK) != 0 && find_named_set(path, naming);
}

static const char *prefix_of(const struct naming *naming, enum cn_split split) {
    return split == CN_SPLIT_TRAIN ? naming->train : naming->test;
}

bool cn_dataset_idx_has_split(const struct cn_dataset_request *request) {
    struct naming naming;
    char path[PATH_SIZE];
    return request->split != CN_SPLIT_VALIDATION && find_naming(request->path, &naming) &&
           find_file(naming.folder, prefix_of(&naming, request->split), image_ending, path);
}

bool cn_dataset_idx_recognize(const struct cn_dataset_request *request) {
    struct naming naming;
    return find_naming(request->path, &naming);
}

static enum cn_status read_part(const char *folder, const char *prefix, const char *ending,
                                int rank, const struct cn_idx_room *room, struct cn_idx *ret_idx,
                                struct cn_error *error) {
    char path[PATH_SIZE];
    if (!find_file(folder, prefix, ending, path))
        return cn_fail_at(error, CN_IO, folder, -1, "has no file %s%s, plain or with .gz", prefix,
                          ending);
    return cn_idx_read(path, rank, room, ret_idx, error);
}

static int largest(const struct cn_idx *labels) {
    int label = 0;
    for (size_t i = 0; i < (size_t)labels->sizes[0]; i++)
        label = labels->elements[i] > label ? labels->elements[i] : label;
    return label;
}

/* The number of classes: the training labels say, whatever split is read. */
static enum cn_status count_classes(const char *folder, const struct naming *naming,
                                    const struct cn_idx *labels, size_t *ret_count,
                                    struct cn_error *error) {
    char path[PATH_SIZE];
    struct cn_idx training = {0};
    int label = largest(labels);
    if (find_file(folder, naming->train, label_ending, path)) {
        const enum cn_status status = cn_idx_read(path, 1, NULL, &training, error);
        if (status != CN_OK)
            return status;
        const int known = largest(&training);
        cn_idx_clear(&training);
        if (label > known)
            return cn_fail_at(error, CN_INVALID, folder, -1,
                              "has the label %d, but the training labels end at %d", label, known);
        label = known;
    }
    *ret_count = (size_t)label + 1 < 2 ? 2 : (size_t)label + 1;
    return CN_OK;
}

/* The class of each label: the number of its line in the mapping, or -1 for no class. */
struct mapping {
    int classes[256];
};

/* Reads one line, "1 65 97": label 1 is the character 65, an A (and its small form). */
static enum cn_status add_mapping(const char *line, const char *path, struct mapping *mapping,
                                  struct cn_dataset *dataset, struct cn_error *error) {
    int label = -1, character = 0;
    if (sscanf(line, "%d %d", &label, &character) != 2 || label < 0 || label > 255 ||
        character <= 32 || character > 126 || mapping->classes[label] >= 0)
        return cn_fail_at(error, CN_MALFORMED, path, -1,
                          "has the line '%.40s'; it must be a label from 0 to 255, once, and the "
                          "code of its character",
                          line);
    const char name[2] = {(char)character, '\0'};
    dataset->class_names[dataset->class_count] = strdup(name);
    if (dataset->class_names[dataset->class_count] == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a class name");
    mapping->classes[label] = (int)dataset->class_count++;
    return CN_OK;
}

/* Reads emnist-<set>-mapping.txt into class names; *ret_found false where there is none. */
static enum cn_status read_mapping(const struct naming *naming, struct mapping *mapping,
                                   struct cn_dataset *dataset, bool *ret_found,
                                   struct cn_error *error) {
    char path[PATH_SIZE];
    unsigned char *text = NULL;
    size_t length = 0;
    enum cn_status status = CN_OK;
    *ret_found = false;
    if (snprintf(path, PATH_SIZE, "%s/%smapping.txt", naming->folder, naming->set) >= PATH_SIZE ||
        naming->set[0] == '\0' || access(path, F_OK) != 0)
        return CN_OK;
    status = cn_file_read(path, MAX_MAPPING, &text, &length, error);
    dataset->class_names = calloc(256, sizeof *dataset->class_names);
    if (status == CN_OK && dataset->class_names == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for class names");
    memset(mapping->classes, -1, sizeof mapping->classes);
    char *rest = NULL;
    for (char *line = status == CN_OK ? strtok_r((char *)text, "\r\n", &rest) : NULL;
         status == CN_OK && line != NULL; line = strtok_r(NULL, "\r\n", &rest))
        status = add_mapping(line, path, mapping, dataset, error);
    if (status == CN_OK && dataset->class_count < 2)
        status = cn_fail_at(error, CN_MALFORMED, path, -1, "names %zu classes; 2 are the least",
                            dataset->class_count);
    free(text);
    *ret_found = true;
    return status;
}

/* Makes room for a file's images behind those of the data set. */
static uint8_t *images_resize(void *data, size_t size, struct cn_error *error) {
    struct cn_dataset *dataset = data;
    struct cn_error reason = {0};
    const size_t used = dataset->count; /* bytes so far, until there are samples to count */
    if (cn_dataset_resize(dataset, used, size, &reason) != CN_OK) {
        (void)cn_fail(error, reason.status, "%s", reason.text);
        return NULL;
    }
    dataset->count = size;
    return dataset->images;
}

/* Swaps rows and columns of each image. */
static enum cn_status transpose_images(struct cn_idx *images, struct cn_error *error) {
    const size_t rows = (size_t)images->sizes[1], columns = (size_t)images->sizes[2];
    uint8_t *image = malloc(rows * columns);
    if (image == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu bytes", rows * columns);
    for (size_t i = 0; i < (size_t)images->sizes[0]; i++) {
        uint8_t *stored = images->elements + i * rows * columns;
        memcpy(image, stored, rows * columns);
        for (size_t y = 0; y < rows; y++)
            for (size_t x = 0; x < columns; x++)
                stored[x * rows + y] = image[y * columns + x];
    }
    free(image);
    images->sizes[1] = (int)columns;
    images->sizes[2] = (int)rows;
    return CN_OK;
}

static enum cn_status check_pair(const struct cn_dataset_request *request,
                                 const struct cn_idx *images, const struct cn_idx *labels,
                                 struct cn_error *error) {
    const struct cn_shape shape = cn_shape_image(images->sizes[1], images->sizes[2], 1);
    char found[CN_SHAPE_TEXT], expected[CN_SHAPE_TEXT];
    if (images->sizes[0] != labels->sizes[0])
        return cn_fail_at(error, CN_INVALID, request->path, -1, "has %d images but %d labels",
                          images->sizes[0], labels->sizes[0]);
    const bool prepared = request->preprocessing != NULL && request->shape != NULL &&
                          request->shape->rank == 3 && request->shape->dims[2] == 1;
    if (request->shape != NULL && !prepared && !cn_shape_equal(&shape, request->shape))
        return cn_fail_at(error, CN_INVALID, request->path, -1,
                          "has images of shape %s, but the network takes %s",
                          cn_shape_format(&shape, found),
                          cn_shape_format(request->shape, expected));
    return cn_shape_check(&shape, "the IDX image", error);
}

static enum cn_status check_naming(const struct cn_dataset_request *request, struct naming *naming,
                                   struct cn_error *error) {
    char list[512] = "";
    if (!find_naming(request->path, naming))
        return cn_fail_at(error, CN_IO, request->path, -1, "has no IDX files");
    if (request->split == CN_SPLIT_VALIDATION)
        return cn_fail_at(
            error, CN_IO, request->path, -1,
            "has no validation data, only the splits train and test, as all IDX files");
    for (int i = 0; naming->sets.count > 1 && i < naming->sets.count; i++) {
        const size_t used = strlen(list);
        const char *set = naming->sets.names[i];
        (void)snprintf(list + used, sizeof list - used, "%s%.*s", i > 0 ? ", " : "",
                       (int)strlen(set) - 1, set);
    }
    return naming->sets.count < 2
               ? CN_OK
               : cn_fail_at(error, CN_INVALID, request->path, -1,
                            "holds several sets: %s; name one, as in %s/%.*s", list, request->path,
                            (int)strlen(naming->set) - 1, naming->set);
}

/* Fills labels and class names. */
static enum cn_status take_labels(const struct naming *naming, const struct cn_idx *labels,
                                  struct cn_dataset *dataset, struct cn_error *error) {
    struct mapping mapping;
    bool mapped = false;
    size_t class_count = 0;
    enum cn_status status = read_mapping(naming, &mapping, dataset, &mapped, error);
    if (status == CN_OK && !mapped) {
        status = count_classes(naming->folder, naming, labels, &class_count, error);
        if (status == CN_OK)
            status = cn_dataset_name_classes(dataset, class_count, error);
    }
    if (status != CN_OK)
        return status;
    dataset->count = (size_t)labels->sizes[0];
    dataset->labels = malloc(dataset->count * sizeof *dataset->labels);
    if (dataset->labels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu labels", dataset->count);
    for (size_t i = 0; i < dataset->count; i++) {
        const int label = labels->elements[i];
        if (mapped && mapping.classes[label] < 0)
            return cn_fail_at(error, CN_INVALID, naming->folder, -1,
                              "has the label %d, which %smapping.txt lacks", label, naming->set);
        dataset->labels[i] = (uint16_t)(mapped ? mapping.classes[label] : label);
    }
    return CN_OK;
}

enum cn_status cn_dataset_idx_read(const struct cn_dataset_request *request,
                                   struct cn_dataset *dataset, struct cn_error *error) {
    struct cn_idx images = {0}, labels = {0};
    struct naming naming;
    enum cn_status status = check_naming(request, &naming, error);
    if (status != CN_OK)
        return status;
    const char *prefix = prefix_of(&naming, request->split);
    const struct cn_idx_room room = {dataset, images_resize};
    status = read_part(naming.folder, prefix, image_ending, 3, &room, &images, error);
    dataset->count = 0;
    if (status == CN_OK)
        status = read_part(naming.folder, prefix, label_ending, 1, NULL, &labels, error);
    if (status == CN_OK && naming.set[0] != '\0')
        status = transpose_images(&images, error);
    if (status == CN_OK)
        status = check_pair(request, &images, &labels, error);
    if (status == CN_OK)
        status = take_labels(&naming, &labels, dataset, error);
    if (status == CN_OK)
        dataset->shape = cn_shape_image(images.sizes[1], images.sizes[2], 1);
    cn_idx_clear(&labels);
    return status;
}
