/* dataset_numpy.c: NumPy's arrays of pictures and labels: Keras's mnist.npz (x_train, y_train,
 * ...), MedMNIST's (train_images, train_labels, ...), and folders with such .npy files. A third
 * array may hold the samples' weights. Bytes get room as the data set has it: in memory, or in a
 * file beyond its storage's limit. Thread-safe.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/dataset_table.h"
#include "data/npy.h"

enum { PATH_SIZE = 4096, MAX_LABEL = 65534 };
static const size_t size_limit = (size_t)1 << 40;

/* The names of a split's arrays. The last rows are data without splits. */
struct names {
    const char *images, *labels;
    int split; /* -1: any */
    const char *weights;
};

static const struct names names[] = {
    {"x_train", "y_train", CN_SPLIT_TRAIN, "w_train"},
    {"x_test", "y_test", CN_SPLIT_TEST, "w_test"},
    {"x_val", "y_val", CN_SPLIT_VALIDATION, "w_val"},
    {"X_train", "y_train", CN_SPLIT_TRAIN, "w_train"},
    {"X_test", "y_test", CN_SPLIT_TEST, "w_test"},
    {"train_images", "train_labels", CN_SPLIT_TRAIN, "train_weights"},
    {"test_images", "test_labels", CN_SPLIT_TEST, "test_weights"},
    {"val_images", "val_labels", CN_SPLIT_VALIDATION, "val_weights"},
    {"x_valid", "y_valid", CN_SPLIT_VALIDATION, "w_valid"},
    {"train_x", "train_y", CN_SPLIT_TRAIN, "train_w"},
    {"test_x", "test_y", CN_SPLIT_TEST, "test_w"},
    {"images", "labels", -1, "weights"},
    {"image", "label", -1, "weight"},
    {"x", "y", -1, "sample_weight"},
    {"X", "y", -1, "sample_weight"},
    {"data", "labels", -1, "weights"},
    {"arr_0", "arr_1", -1, "arr_2"},
};
enum { NAMES = sizeof names / sizeof *names };

enum { HEAD = 1200 }; /* bytes: more than the longest head of an array */

/* An open file. It is read and not mapped: a mapping of a file that another program shortens would
 * end the process. */
struct array_file {
    int descriptor;
    size_t length;
};

static enum cn_status file_open(const char *path, struct array_file *ret_file,
                                struct cn_error *error) {
    struct stat info;
    /* O_NONBLOCK: a FIFO must not hang the open; regular files ignore it. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open the file: %s", strerror(errno));
    if (fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0 ||
        (uint64_t)info.st_size > (uint64_t)size_limit) {
        (void)close(descriptor);
        return cn_fail_at(error, CN_INVALID, path, -1, "is not a file of 1 to %zu bytes",
                          size_limit);
    }
    *ret_file = (struct array_file){descriptor, (size_t)info.st_size};
    return CN_OK;
}

static enum cn_status file_read(const struct array_file *file, const char *path, size_t from,
                                size_t length, unsigned char *to, struct cn_error *error) {
    for (size_t done = 0; done < length;) {
        const ssize_t got = pread(file->descriptor, to + done, length - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cn_fail_at(error, CN_IO, path, -1, "cannot read: %s", strerror(errno));
        if (got == 0)
            return cn_fail_at(error, CN_IO, path, -1,
                              "ends after %zu of its %zu bytes: another program has shortened it; "
                              "try again once it is complete",
                              from + done, file->length);
        done += (size_t)got;
    }
    return CN_OK;
}

/* The origin of the arrays. */
struct place {
    const char *path;
    struct cn_dataset archive; /* its images are the bytes of the .npz */
    size_t length;             /* of the archive; 0: `path` is a folder of .npy files */
};

/* An array and the room for its bytes, as the data set has it. */
struct held_array {
    struct cn_npy array;
    struct cn_dataset room; /* its images are the bytes */
    bool found;
};

static bool is_npz(const char *path) {
    struct stat info;
    const size_t length = strlen(path);
    return length > 4 && strcasecmp(path + length - 4, ".npz") == 0 && stat(path, &info) == 0 &&
           S_ISREG(info.st_mode);
}

static bool has_array_file(const char *folder, const char *name) {
    char path[PATH_SIZE];
    return snprintf(path, PATH_SIZE, "%s/%s.npy", folder, name) < PATH_SIZE &&
           access(path, F_OK) == 0;
}

bool cn_dataset_numpy_recognize(const struct cn_dataset_request *request) {
    bool found = is_npz(request->path);
    for (size_t i = 0; !found && i < NAMES; i++)
        found = has_array_file(request->path, names[i].images) &&
                has_array_file(request->path, names[i].labels);
    return found;
}

/* Opens `path`: an archive is read as a whole. place_close frees what there is, also after a
 * failure. */
static enum cn_status place_open(const char *path, const struct cn_dataset_storage *storage,
                                 struct place *place, struct cn_error *error) {
    struct array_file file;
    *place = (struct place){.path = path, .archive.storage = *storage};
    if (!is_npz(path))
        return CN_OK;
    enum cn_status status = file_open(path, &file, error);
    if (status != CN_OK)
        return status;
    status = cn_dataset_resize(&place->archive, 0, file.length, error);
    if (status == CN_OK)
        status = file_read(&file, path, 0, file.length, place->archive.images, error);
    place->length = file.length;
    (void)close(file.descriptor);
    return status;
}

static void place_close(struct place *place) {
    cn_dataset_free_images(&place->archive);
}

/* Finds an array in the archive and unpacks it. */
static enum cn_status member_take(const struct place *place, const char *member, const char *source,
                                  struct held_array *held, struct cn_error *error) {
    struct cn_archive_member found;
    enum cn_status status = cn_npz_find(place->archive.images, place->length, member, source,
                                        &held->found, &found, error);
    if (status != CN_OK || !held->found)
        return status;
    status = cn_dataset_resize(&held->room, 0, found.size, error);
    if (status == CN_OK)
        status = cn_npz_unpack(&found, source, held->room.images, error);
    return status == CN_OK
               ? cn_npy_parse(held->room.images, found.size, source, &held->array, error)
               : status;
}

/* Reads a .npy file: its head, then its numbers to where they stay. */
static enum cn_status file_take(const char *source, struct held_array *held,
                                struct cn_error *error) {
    unsigned char head[HEAD] = {0};
    struct array_file file;
    enum cn_status status = file_open(source, &file, error);
    if (status != CN_OK)
        return status;
    status = file_read(&file, source, 0, file.length < HEAD ? file.length : HEAD, head, error);
    if (status == CN_OK) /* which reads no number */
        status = cn_npy_parse(head, file.length, source, &held->array, error);
    if (status == CN_OK) {
        const size_t begin = (size_t)(held->array.data - head), length = file.length - begin;
        status = cn_dataset_resize(&held->room, 0, length, error);
        if (status == CN_OK)
            status = file_read(&file, source, begin, length, held->room.images, error);
        held->array.data = held->room.images;
    }
    (void)close(file.descriptor);
    return status;
}

/* Reads an array, if it is there. `held` is zeroed but for the room's storage; its room is freed by
 * the caller, also after a failure. */
static enum cn_status read_array(const struct place *place, const char *name,
                                 struct held_array *held, struct cn_error *error) {
    char member[64], source[PATH_SIZE];
    (void)snprintf(member, sizeof member, "%s.npy", name);
    (void)snprintf(source, sizeof source, "%.4000s/%s", place->path, member);
    if (place->length > 0)
        return member_take(place, member, source, held, error);
    held->found = has_array_file(place->path, name);
    return held->found ? file_take(source, held, error) : CN_OK;
}

/* ---- Pictures and labels from numbers ---- */

/* [n, h, w] or [n, h, w, 1 or 3]; or flat rows of the network's size. */
static enum cn_status find_shape(const struct cn_dataset_request *request,
                                 const struct cn_npy *array, struct cn_shape *ret_shape,
                                 struct cn_error *error) {
    const size_t *dims = array->dims;
    for (int i = 1; i < array->rank; i++)
        if (dims[i] == 0 || dims[i] > 1 << 16)
            return cn_fail_at(error, CN_INVALID, request->path, -1,
                              "has pictures with a side of %zu; sides are from 1 to 65536",
                              dims[i]);
    if (array->rank == 3 || array->rank == 4)
        *ret_shape =
            cn_shape_image((int)dims[1], (int)dims[2], array->rank == 4 ? (int)dims[3] : 1);
    else if (array->rank == 2 && request->shape != NULL && request->shape->rank == 3 &&
             cn_shape_size(request->shape) == dims[1])
        *ret_shape = *request->shape;
    else
        return cn_fail_at(error, CN_INVALID, request->path, -1,
                          "has pictures of rank %d; they must be [n, height, width] or [n, height, "
                          "width, channels]",
                          array->rank);
    const bool fits = request->shape != NULL && cn_shape_equal(ret_shape, request->shape);
    if (!fits && array->rank == 4 && dims[3] > 4 && (dims[1] == 1 || dims[1] == 3))
        return cn_fail_at(error, CN_UNSUPPORTED, request->path, -1,
                          "has pictures [%zu, %zu, %zu], with the channels first; save "
                          "x.transpose(0, 2, 3, 1)",
                          dims[1], dims[2], dims[3]);
    return cn_shape_check(ret_shape, "the picture", error);
}

/* The numbers are the samples: the data set takes over their room. */
static void take_bytes(struct held_array *images, struct cn_dataset *dataset) {
    struct cn_dataset *room = &images->room;
    memmove(room->images, images->array.data, images->array.count);
    dataset->images = room->images;
    dataset->mapped = room->mapped;
    dataset->file = room->file;
    *room = (struct cn_dataset){0};
}

/* Whole numbers up to 255, or floats from 0 to 1. */
static enum cn_status take_images(const struct cn_dataset_request *request,
                                  struct held_array *images, struct cn_dataset *dataset,
                                  struct cn_error *error) {
    const struct cn_npy *array = &images->array;
    double largest = 0;
    dataset->count = array->rank > 0 ? array->dims[0] : 0;
    if (dataset->count == 0 || dataset->count > UINT32_MAX)
        return cn_fail_at(error, CN_INVALID, request->path, -1,
                          "has %zu pictures; 1 to 4294967295 are possible", dataset->count);
    enum cn_status status = find_shape(request, array, &dataset->shape, error);
    if (status != CN_OK)
        return status;
    if (array->kind == 'u' && array->item == 1) {
        take_bytes(images, dataset);
        return CN_OK;
    }
    status = cn_dataset_resize(dataset, 0, array->count, error);
    if (status != CN_OK)
        return status;
    for (size_t i = 0; i < array->count; i++)
        largest = fmax(largest, cn_npy_value(array, i));
    const double scale = array->kind == 'f' && largest <= 1 ? 255 : 1;
    for (size_t i = 0; i < array->count; i++) {
        const double value = cn_npy_value(array, i) * scale;
        if (!(value >= 0 && value <= 255))
            return cn_fail_at(error, CN_INVALID, request->path, -1,
                              "has the sample %g; samples are from 0 to 255, or from 0 to 1",
                              value / scale);
        dataset->images[i] = (uint8_t)lrint(value);
    }
    return CN_OK;
}

/* [n], [n, 1], or [n, classes] with one 1 in each row. */
static enum cn_status take_labels(const struct cn_dataset_request *request,
                                  const struct cn_npy *array, struct cn_dataset *dataset,
                                  struct cn_error *error) {
    const size_t n = dataset->count, columns = array->rank == 2 ? array->dims[1] : 1;
    if (array->rank < 1 || array->rank > 2 || array->dims[0] != n || columns == 0 ||
        columns > MAX_LABEL)
        return cn_fail_at(error, CN_INVALID, request->path, -1,
                          "has %zu pictures, but labels of rank %d and %zu rows", n, array->rank,
                          array->rank > 0 ? array->dims[0] : 0);
    dataset->labels = malloc(n * sizeof *dataset->labels);
    if (dataset->labels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu labels", n);
    for (size_t i = 0; i < n; i++) {
        double label = cn_npy_value(array, i * columns);
        if (columns > 1) {
            double sum = 0;
            label = -1;
            for (size_t c = 0; c < columns; c++) {
                const double value = cn_npy_value(array, i * columns + c);
                sum += fabs(value);
                label = value == 1 ? (double)c : label;
            }
            label = sum == 1 ? label : -1;
        }
        if (!(label >= 0 && label <= MAX_LABEL) || label != floor(label))
            return cn_fail_at(error, CN_INVALID, request->path, -1,
                              "picture %zu has no whole label from 0 to %d", i, MAX_LABEL);
        dataset->labels[i] = (uint16_t)label;
    }
    return CN_OK;
}

/* [n] or [n, 1]. */
static enum cn_status take_weights(const struct cn_dataset_request *request,
                                   const struct cn_npy *array, struct cn_dataset *dataset,
                                   struct cn_error *error) {
    if (array->rank < 1 || array->count != dataset->count)
        return cn_fail_at(error, CN_INVALID, request->path, -1, "has %zu pictures, but %zu weights",
                          dataset->count, array->count);
    const enum cn_status status = cn_dataset_weigh(dataset, error);
    for (size_t i = 0; status == CN_OK && i < dataset->count; i++) {
        const double weight = cn_npy_value(array, i);
        if (!(weight >= 0 && weight <= 1e6))
            return cn_fail_at(error, CN_INVALID, request->path, -1,
                              "picture %zu has the weight %g; weights are from 0 to 1e6", i,
                              weight);
        dataset->weights[i] = (float)weight;
    }
    return status;
}

/* ---- The data set ---- */

/* Reads the pair that `row` names, if both are there; the place is closed then. */
static enum cn_status read_pair(const struct cn_dataset_request *request, struct place *place,
                                const struct names *row, struct cn_dataset *dataset,
                                bool *ret_found, struct cn_error *error) {
    struct held_array images = {.room.storage = dataset->storage}, labels = images,
                      weights = images;
    enum cn_status status = read_array(place, row->images, &images, error);
    if (status == CN_OK && images.found)
        status = read_array(place, row->labels, &labels, error);
    *ret_found = images.found && labels.found;
    if (status == CN_OK && *ret_found)
        status = read_array(place, row->weights, &weights, error);
    if (status == CN_OK && *ret_found) {
        place_close(place);
        dataset->whole = row->split < 0;
        status = take_images(request, &images, dataset, error);
        if (status == CN_OK)
            status = take_labels(request, &labels.array, dataset, error);
        if (status == CN_OK && weights.found)
            status = take_weights(request, &weights.array, dataset, error);
    }
    cn_dataset_free_images(&images.room);
    cn_dataset_free_images(&labels.room);
    cn_dataset_free_images(&weights.room);
    return status;
}

/* True if the archive's directory has `name`. It lies at the end, so that large archives need not
 * be read for it; a member whose own bytes look like an entry would deceive it. */
static bool directory_has(const unsigned char *tail, size_t length, const char *name) {
    enum { ENTRY = 46 };
    const size_t size = strlen(name);
    for (size_t at = 0; at + ENTRY + size <= length; at++)
        if (memcmp(tail + at, "PK\1\2", 4) == 0 && tail[at + 28] == size && tail[at + 29] == 0 &&
            strncasecmp((const char *)tail + at + ENTRY, name, size) == 0)
            return true;
    return false;
}

/* Reads the end of the archive; NULL without one. Caller frees. */
static unsigned char *read_tail(const char *path, size_t *ret_length) {
    enum { TAIL = 1 << 17 };
    struct array_file file;
    if (file_open(path, &file, NULL) != CN_OK)
        return NULL;
    *ret_length = file.length < TAIL ? file.length : TAIL;
    unsigned char *tail = malloc(*ret_length);
    if (tail != NULL &&
        file_read(&file, path, file.length - *ret_length, *ret_length, tail, NULL) != CN_OK) {
        free(tail);
        tail = NULL;
    }
    (void)close(file.descriptor);
    return tail;
}

bool cn_dataset_numpy_has_split(const struct cn_dataset_request *request) {
    const bool archive = is_npz(request->path);
    size_t length = 0;
    unsigned char *tail = archive ? read_tail(request->path, &length) : NULL;
    bool found = false;
    for (size_t i = 0; i < NAMES && !found; i++) {
        char name[64];
        if (names[i].split != (int)request->split)
            continue;
        (void)snprintf(name, sizeof name, "%s.npy", names[i].labels);
        found = archive ? tail != NULL && directory_has(tail, length, name)
                        : has_array_file(request->path, names[i].labels);
    }
    free(tail);
    return found;
}

static enum cn_status fail_missing(const struct cn_dataset_request *request,
                                   struct cn_error *error) {
    const bool short_name = request->split == CN_SPLIT_VALIDATION;
    const char *name = short_name ? "val" : cn_split_names[request->split];
    return cn_fail_at(
        error, CN_IO, request->path, -1,
        "has no pictures and labels for the split %s: no arrays are called x_%s and y_%s",
        cn_split_names[request->split], name, name);
}

enum cn_status cn_dataset_numpy_read(const struct cn_dataset_request *request,
                                     struct cn_dataset *dataset, struct cn_error *error) {
    struct place place;
    bool found = false;
    enum cn_status status = place_open(request->path, &dataset->storage, &place, error);
    for (size_t i = 0; status == CN_OK && !found && i < NAMES; i++)
        if (names[i].split < 0 || names[i].split == (int)request->split)
            status = read_pair(request, &place, &names[i], dataset, &found, error);
    place_close(&place);
    if (status == CN_OK && !found)
        status = fail_missing(request, error);
    return status == CN_OK ? cn_dataset_number_classes(dataset, error) : status;
}
