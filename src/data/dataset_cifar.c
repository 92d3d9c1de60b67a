/* dataset_cifar.c: the binary files of CIFAR-10 (data_batch_1.bin to _5, test_batch.bin) and
 * CIFAR-100 (train.bin, test.bin): per picture one or two bytes of labels, then 32 x 32 samples of
 * red, of green and of blue. CIFAR-100 is read with its 100 fine labels. Thread-safe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/dataset_table.h"

enum { PATH_SIZE = 4096, SIDE = 32, PLANE = SIDE * SIDE, MAX_FILE = 1 << 29, MAX_NAMES = 1 << 16 };

/* One of the two sets. */
struct cifar {
    const char *train[5], *test; /* file names */
    const char *names;           /* one class per line */
    size_t classes, label_bytes; /* the last of the label bytes is the label */
};

static const struct cifar sets[] = {
    {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
      "data_batch_5.bin"},
     "test_batch.bin",
     "batches.meta.txt",
     10,
     1},
    {{"train.bin"}, "test.bin", "fine_label_names.txt", 100, 2},
};

static bool find_file(const char *folder, const char *name, char path[static PATH_SIZE]) {
    return name != NULL && snprintf(path, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE &&
           access(path, F_OK) == 0;
}

static const struct cifar *find_set(const char *folder) {
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (find_file(folder, sets[i].names, path) &&
            (find_file(folder, sets[i].train[0], path) || find_file(folder, sets[i].test, path)))
            return &sets[i];
    return NULL;
}

bool cn_dataset_cifar_recognize(const struct cn_dataset_request *request) {
    return find_set(request->path) != NULL;
}

bool cn_dataset_cifar_has_split(const struct cn_dataset_request *request) {
    const struct cifar *set = find_set(request->path);
    char path[PATH_SIZE];
    return set != NULL && request->split != CN_SPLIT_VALIDATION &&
           find_file(request->path, request->split == CN_SPLIT_TRAIN ? set->train[0] : set->test,
                     path);
}

/* Adds one file's pictures. */
static enum cn_status add_file(const struct cifar *set, const char *path,
                               struct cn_dataset *dataset, struct cn_error *error) {
    const size_t record = set->label_bytes + 3 * PLANE, size = 3 * PLANE;
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, MAX_FILE, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    const size_t more = length / record, count = dataset->count + more;
    uint16_t *labels = NULL;
    if (more == 0 || length % record != 0) {
        status = cn_fail_at(error, CN_MALFORMED, path, -1,
                            "has %zu bytes, which is not a number of pictures of %zu bytes", length,
                            record);
        goto out;
    }
    status = cn_dataset_resize(dataset, dataset->count * size, count * size, error);
    if (status != CN_OK)
        goto out;
    uint8_t *images = dataset->images;
    labels = reallocarray(dataset->labels, count, sizeof *labels);
    if (labels != NULL)
        dataset->labels = labels;
    if (labels == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu pictures", count);
        goto out;
    }
    for (size_t i = 0; i < more; i++) {
        const unsigned char *from = bytes + i * record + set->label_bytes;
        uint8_t *to = images + (dataset->count + i) * size;
        if (from[-1] >= set->classes) {
            status = cn_fail_at(error, CN_MALFORMED, path, (long long)(i * record),
                                "picture %zu has the label %d of %zu classes", i, from[-1],
                                set->classes);
            goto out;
        }
        labels[dataset->count + i] = from[-1];
        for (size_t p = 0; p < PLANE; p++)
            for (size_t c = 0; c < 3; c++)
                to[3 * p + c] = from[c * PLANE + p];
    }
    dataset->count = count;
out:
    free(bytes);
    return status;
}

static enum cn_status read_names(const struct cifar *set, const char *folder,
                                 struct cn_dataset *dataset, struct cn_error *error) {
    char path[PATH_SIZE], *rest = NULL;
    unsigned char *text = NULL;
    size_t length = 0;
    (void)find_file(folder, set->names, path);
    enum cn_status status = cn_file_read(path, MAX_NAMES, &text, &length, error);
    if (status != CN_OK)
        return status;
    dataset->class_names = calloc(set->classes, sizeof *dataset->class_names);
    for (char *name = strtok_r((char *)text, "\r\n", &rest);
         dataset->class_names != NULL && name != NULL && dataset->class_count < set->classes;
         name = strtok_r(NULL, "\r\n", &rest)) {
        if ((dataset->class_names[dataset->class_count] = strdup(name)) == NULL)
            break;
        dataset->class_count++;
    }
    free(text);
    if (dataset->class_count != set->classes)
        return cn_fail_at(error, CN_MALFORMED, path, -1, "names %zu classes; the pictures have %zu",
                          dataset->class_count, set->classes);
    return CN_OK;
}

enum cn_status cn_dataset_cifar_read(const struct cn_dataset_request *request,
                                     struct cn_dataset *dataset, struct cn_error *error) {
    const struct cifar *set = find_set(request->path);
    char path[PATH_SIZE];
    enum cn_status status = read_names(set, request->path, dataset, error);
    dataset->shape = cn_shape_image(SIDE, SIDE, 3);
    if (status == CN_OK && request->split == CN_SPLIT_VALIDATION)
        return cn_fail_at(
            error, CN_IO, request->path, -1,
            "has no validation data, only the splits train and test, as all of CIFAR's");
    const char *const *names = request->split == CN_SPLIT_TRAIN ? set->train : &set->test;
    const size_t files = request->split == CN_SPLIT_TRAIN ? 5 : 1;
    for (size_t i = 0; status == CN_OK && i < files && names[i] != NULL; i++) {
        (void)snprintf(path, PATH_SIZE, "%s/%s", request->path, names[i]);
        status = add_file(set, path, dataset, error);
    }
    return status;
}
