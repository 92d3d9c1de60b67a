/* dataset_idx.c: a folder with an IDX pair of images and labels under MNIST's or EMNIST's names.
 * EMNIST stores its images transposed; they are put upright. Classes are "0" to the largest label
 * of the training labels, so that both splits agree. Thread-safe.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/dataset_table.h"
#include "data/idx.h"

enum { PATH_SIZE = 4096, PREFIX_SIZE = 256 };

static const char image_ending[] = "images-idx3-ubyte";
static const char label_ending[] = "labels-idx1-ubyte";

/* Writes the path of the plain or the .gz file; false if neither exists (the plain name stays). */
static bool find_file(const char *folder, const char *prefix, const char *ending,
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

/* Finds "emnist-<set>-" in the folder: the first in alphabetical order. */
static bool find_emnist(const char *folder, char set[static PREFIX_SIZE]) {
    static const char head[] = "emnist-";
    static const char *const tails[] = {"-train-images-idx3-ubyte", "-test-images-idx3-ubyte"};
    bool found = false;
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        for (size_t i = 0; i < 2; i++) {
            const char *tail = strstr(entry->d_name, tails[i]);
            if (tail == NULL || strncmp(entry->d_name, head, sizeof head - 1) != 0)
                continue;
            const size_t length = (size_t)(tail - entry->d_name) + 1;
            if (length >= PREFIX_SIZE)
                continue;
            if (found && strncmp(entry->d_name, set, length) >= 0)
                continue;
            memcpy(set, entry->d_name, length);
            set[length] = '\0';
            found = true;
        }
    }
    (void)closedir(directory);
    return found;
}

/* The prefixes of a folder's training and test files. */
struct naming {
    char train[PREFIX_SIZE + 8], test[PREFIX_SIZE + 8];
    bool transposed;
};

static bool find_naming(const char *folder, struct naming *ret_naming) {
    char path[PATH_SIZE], set[PREFIX_SIZE];
    if (find_file(folder, "train-", image_ending, path) ||
        find_file(folder, "t10k-", image_ending, path)) {
        *ret_naming = (struct naming){"train-", "t10k-", false};
        return true;
    }
    if (!find_emnist(folder, set))
        return false;
    ret_naming->transposed = true;
    (void)snprintf(ret_naming->train, sizeof ret_naming->train, "%strain-", set);
    (void)snprintf(ret_naming->test, sizeof ret_naming->test, "%stest-", set);
    return true;
}

bool cn_dataset_idx_recognize(const struct cn_dataset_request *request) {
    struct naming naming;
    return find_naming(request->path, &naming);
}

static enum cn_status read_part(const char *folder, const char *prefix, const char *ending,
                                int rank, struct cn_idx *ret_idx, struct cn_error *error) {
    char path[PATH_SIZE];
    if (!find_file(folder, prefix, ending, path))
        return cn_fail_at(error, CN_IO, folder, -1, "has no file %s%s, plain or with .gz", prefix,
                          ending);
    return cn_idx_read(path, rank, ret_idx, error);
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
        const enum cn_status status = cn_idx_read(path, 1, &training, error);
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

static enum cn_status name_classes(struct cn_dataset *dataset, size_t count,
                                   struct cn_error *error) {
    dataset->class_names = calloc(count, sizeof *dataset->class_names);
    if (dataset->class_names == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %zu class names", count);
    dataset->class_count = count;
    for (size_t i = 0; i < count; i++)
        if (asprintf(&dataset->class_names[i], "%zu", i) < 0) {
            dataset->class_names[i] = NULL;
            return cn_fail(error, CN_MEMORY, "cannot allocate %zu class names", count);
        }
    return CN_OK;
}

/* Swaps rows and columns of each image. */
static enum cn_status put_upright(struct cn_idx *images, struct cn_error *error) {
    const size_t rows = (size_t)images->sizes[1], columns = (size_t)images->sizes[2];
    uint8_t *image = malloc(rows * columns);
    if (image == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %zu bytes", rows * columns);
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
    char found[CN_SHAPE_TEXT], wanted[CN_SHAPE_TEXT];
    if (images->sizes[0] != labels->sizes[0])
        return cn_fail_at(error, CN_INVALID, request->path, -1, "has %d images but %d labels",
                          images->sizes[0], labels->sizes[0]);
    const bool prepared = request->preprocessing != NULL && request->shape != NULL &&
                          request->shape->rank == 3 && request->shape->dims[2] == 1;
    if (request->shape != NULL && !prepared && !cn_shape_equal(&shape, request->shape))
        return cn_fail_at(error, CN_INVALID, request->path, -1,
                          "has images of shape %s, but the network takes %s",
                          cn_shape_format(&shape, found), cn_shape_format(request->shape, wanted));
    return cn_shape_check(&shape, "the IDX image", error);
}

enum cn_status cn_dataset_idx_read(const struct cn_dataset_request *request,
                                   struct cn_dataset *dataset, struct cn_error *error) {
    struct cn_idx images = {0}, labels = {0};
    struct naming naming;
    size_t class_count = 0;
    if (!find_naming(request->path, &naming))
        return cn_fail_at(error, CN_IO, request->path, -1, "has no IDX files");
    const char *prefix = request->split == CN_SPLIT_TRAIN ? naming.train : naming.test;
    enum cn_status status = read_part(request->path, prefix, image_ending, 3, &images, error);
    if (status == CN_OK)
        status = read_part(request->path, prefix, label_ending, 1, &labels, error);
    if (status == CN_OK && naming.transposed)
        status = put_upright(&images, error);
    if (status == CN_OK)
        status = check_pair(request, &images, &labels, error);
    if (status == CN_OK)
        status = count_classes(request->path, &naming, &labels, &class_count, error);
    if (status == CN_OK)
        status = name_classes(dataset, class_count, error);
    if (status != CN_OK)
        goto out;
    dataset->count = (size_t)images.sizes[0];
    dataset->shape = cn_shape_image(images.sizes[1], images.sizes[2], 1);
    dataset->labels = malloc(dataset->count * sizeof *dataset->labels);
    if (dataset->labels == NULL) {
        status = cn_fail(error, CN_MEMORY, "cannot allocate %zu labels", dataset->count);
        goto out;
    }
    for (size_t i = 0; i < dataset->count; i++)
        dataset->labels[i] = labels.elements[i];
    dataset->images = images.elements;
    images.elements = NULL;
out:
    cn_idx_clear(&images);
    cn_idx_clear(&labels);
    return status;
}
