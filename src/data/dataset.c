/* dataset.c: choosing the format, and what all datasets share: checksum, preparing, appending,
 * freeing. Knows no file format; those are the rows of dataset_table.c. Thread-safe.
 */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "data/dataset_table.h"
#include "data/idx.h"

void cn_dataset_write_checksum(struct cn_dataset *dataset) {
    const struct cn_file_part parts[] = {
        {dataset->images, dataset->count * cn_shape_size(&dataset->shape)},
        {dataset->labels, dataset->labels == NULL ? 0 : dataset->count * sizeof *dataset->labels},
        {dataset->weights,
         dataset->weights == NULL ? 0 : dataset->count * sizeof *dataset->weights},
    };
    cn_sha256(parts, sizeof parts / sizeof *parts, dataset->sha256);
}

static enum cn_status find_format(const struct cn_dataset_request *request,
                                  const struct cn_dataset_format **ret_format,
                                  struct cn_error *error) {
    size_t count = 0;
    const struct cn_dataset_format *formats = cn_dataset_formats(&count);
    for (size_t i = 0; i < count; i++) {
        if (formats[i].recognize(request)) {
            *ret_format = &formats[i];
            return CN_OK;
        }
    }
    DIR *folder = opendir(request->path);
    if (folder == NULL && errno == ENOTDIR)
        return cn_fail_at(error, CN_IO, request->path, -1,
                          "is a file; data are a folder, a .csv (or .csv.gz) or a .npz");
    if (folder == NULL)
        return cn_fail_at(error, CN_IO, request->path, -1, "cannot open the folder: %s",
                          strerror(errno));
    (void)closedir(folder);
    char list[CN_ERROR_TEXT] = "";
    for (size_t i = 0; i < count; i++) {
        const size_t used = strlen(list);
        (void)snprintf(list + used, sizeof list - used, "%s%s",
                       i == 0           ? ""
                       : i + 1 == count ? ", or "
                                        : ", ",
                       formats[i].what);
    }
    return cn_fail_at(error, CN_INVALID, request->path, -1,
                      "holds no known data set, which would be %s", list);
}

enum cn_status cn_dataset_number_classes(struct cn_dataset *dataset, struct cn_error *error) {
    size_t count = 2;
    for (size_t i = 0; i < dataset->count; i++)
        count = dataset->labels[i] + (size_t)1 > count ? dataset->labels[i] + (size_t)1 : count;
    return cn_dataset_name_classes(dataset, count, error);
}

enum cn_status cn_dataset_name_classes(struct cn_dataset *dataset, size_t count,
                                       struct cn_error *error) {
    dataset->class_names = calloc(count, sizeof *dataset->class_names);
    if (dataset->class_names == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu class names", count);
    dataset->class_count = count;
    for (size_t i = 0; i < count; i++)
        if (asprintf(&dataset->class_names[i], "%zu", i) < 0) {
            dataset->class_names[i] = NULL;
            return cn_fail(error, CN_MEMORY, "no memory for %zu class names", count);
        }
    return CN_OK;
}

enum cn_status cn_dataset_grow(struct cn_dataset *dataset, size_t *capacity,
                               struct cn_error *error) {
    if (dataset->count < *capacity)
        return CN_OK;
    const size_t more = *capacity == 0 ? 256 : *capacity * 2, size = cn_shape_size(&dataset->shape);
    const enum cn_status status =
        cn_dataset_resize(dataset, dataset->count * size, more * size, error);
    if (status != CN_OK)
        return status;
    uint16_t *labels = reallocarray(dataset->labels, more, sizeof *labels);
    if (labels != NULL)
        dataset->labels = labels;
    float *weights = dataset->weights;
    if (weights != NULL && (weights = reallocarray(weights, more, sizeof *weights)) != NULL)
        dataset->weights = weights;
    if (labels == NULL || (dataset->weights != NULL && weights == NULL))
        return cn_fail(error, CN_MEMORY, "no memory for %zu pictures", more);
    *capacity = more;
    return CN_OK;
}

enum cn_status cn_dataset_weigh(struct cn_dataset *dataset, struct cn_error *error) {
    if (dataset->weights != NULL)
        return CN_OK;
    dataset->weights = calloc(dataset->count + 1, sizeof *dataset->weights);
    if (dataset->weights == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu weights", dataset->count);
    for (size_t i = 0; i < dataset->count; i++)
        dataset->weights[i] = 1;
    return CN_OK;
}

bool cn_dataset_parse_weight(const char *text, float *ret_weight) {
    char *end;
    const double weight = strtod(text, &end);
    if (end == text || *end != '\0' || !(weight >= 0 && weight <= 1e6))
        return false;
    *ret_weight = (float)weight;
    return true;
}

bool cn_dataset_has_split(const char *path, enum cn_split split) {
    const struct cn_dataset_request request = {path, split, NULL, NULL};
    const struct cn_dataset_format *format = NULL;
    return find_format(&request, &format, NULL) == CN_OK && format->has_split(&request);
}

enum cn_status cn_dataset_read(const char *path, enum cn_split split, const struct cn_shape *shape,
                               const struct cn_preprocessing *preprocessing,
                               struct cn_dataset **ret_dataset, struct cn_error *error) {
    return cn_dataset_read_to(path, split, shape, preprocessing, NULL, ret_dataset, error);
}

enum cn_status cn_dataset_read_to(const char *path, enum cn_split split,
                                  const struct cn_shape *shape,
                                  const struct cn_preprocessing *preprocessing,
                                  const struct cn_dataset_storage *storage,
                                  struct cn_dataset **ret_dataset, struct cn_error *error) {
    const struct cn_dataset_request request = {path, split, shape, preprocessing};
    const struct cn_dataset_format *format = NULL;
    enum cn_status status = find_format(&request, &format, error);
    if (status != CN_OK)
        return status;
    struct cn_dataset *dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a dataset");
    if (storage != NULL)
        dataset->storage = *storage;
    status = format->read(&request, dataset, error);
    if (status == CN_OK && shape != NULL && !cn_shape_equal(&dataset->shape, shape))
        status = cn_dataset_prepare(dataset, preprocessing, shape, error);
    if (status != CN_OK) {
        cn_dataset_free(dataset);
        return status;
    }
    if (preprocessing != NULL)
        dataset->normalization = *preprocessing;
    cn_dataset_write_checksum(dataset);
    *ret_dataset = dataset;
    return CN_OK;
}

enum cn_status cn_dataset_read_images(const char *path, struct cn_dataset **ret_dataset,
                                      struct cn_error *error) {
    struct cn_idx idx = {0};
    enum cn_status status = cn_idx_read(path, 3, NULL, &idx, error);
    if (status != CN_OK)
        return status;
    struct cn_dataset *dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for a dataset");
        goto out;
    }
    dataset->shape = cn_shape_image(idx.sizes[1], idx.sizes[2], 1);
    dataset->count = (size_t)idx.sizes[0];
    dataset->images = idx.elements;
    idx.elements = NULL;
    status = cn_shape_check(&dataset->shape, "the IDX image", error);
    if (status != CN_OK)
        goto out;
    cn_dataset_write_checksum(dataset);
    *ret_dataset = dataset;
    dataset = NULL;
out:
    cn_dataset_free(dataset);
    cn_idx_clear(&idx);
    return status;
}

enum cn_status cn_dataset_prepare(struct cn_dataset *dataset,
                                  const struct cn_preprocessing *preprocessing,
                                  const struct cn_shape *shape, struct cn_error *error) {
    struct cn_preprocessing as_ink = cn_preprocessing_without_normalization(preprocessing);
    const size_t from = cn_shape_size(&dataset->shape), to = cn_shape_size(shape);
    enum cn_status status = CN_OK;
    if (dataset->shape.dims[2] != 1 || shape->rank != 3 || shape->dims[2] != 1)
        return cn_fail(
            error, CN_UNSUPPORTED,
            "the pictures have %dx%d pixels and %d channel%s; an architecture that takes "
            "those is needed, since only grey pictures are fitted to another size",
            dataset->shape.dims[1], dataset->shape.dims[0], dataset->shape.dims[2],
            dataset->shape.dims[2] == 1 ? "" : "s");
    struct cn_dataset prepared = {.storage = dataset->storage};
    float *image = malloc(to * sizeof *image);
    if (image == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for an image");
    else
        status = cn_dataset_resize(&prepared, 0, dataset->count * to, error);
    as_ink.invert = false;
    for (size_t i = 0; status == CN_OK && i < dataset->count; i++) {
        const struct cn_picture picture = {.width = dataset->shape.dims[1],
                                           .height = dataset->shape.dims[0],
                                           .channels = 1,
                                           .data = dataset->images + i * from};
        struct cn_error reason = {0};
        status = cn_preprocess(&as_ink, &picture, shape, image, NULL, &reason);
        if (status == CN_UNUSABLE) {
            memset(prepared.images + i * to, 0, to);
            status = CN_OK;
        } else if (status == CN_OK) {
            for (size_t k = 0; k < to; k++)
                prepared.images[i * to + k] = (uint8_t)lrintf(image[k] * 255.0F);
        } else {
            status = cn_fail(error, status, "image %zu: %s", i, reason.text);
        }
    }
    free(image);
    if (status != CN_OK) {
        cn_dataset_free_images(&prepared);
        return status;
    }
    cn_dataset_free_images(dataset);
    dataset->images = prepared.images;
    dataset->mapped = prepared.mapped;
    dataset->file = prepared.file;
    dataset->shape = *shape;
    cn_dataset_write_checksum(dataset);
    return CN_OK;
}

static enum cn_status check_same_classes(const struct cn_dataset *dataset,
                                         const struct cn_dataset *more, struct cn_error *error) {
    if (dataset->class_count != more->class_count)
        return cn_fail(error, CN_INVALID,
                       "the images to be added have %zu classes; the others have %zu",
                       more->class_count, dataset->class_count);
    for (size_t i = 0; i < dataset->class_count; i++)
        if (strcmp(dataset->class_names[i], more->class_names[i]) != 0)
            return cn_fail(error, CN_INVALID,
                           "class %zu of the images to be added is \"%s\", and of the others "
                           "\"%s\"; they must be the same",
                           i, more->class_names[i], dataset->class_names[i]);
    return CN_OK;
}

/* Puts labels, weights and names behind the others, and the images into their room. */
static enum cn_status append_samples(struct cn_dataset *dataset, const struct cn_dataset *more,
                                     size_t count, struct cn_error *error) {
    const size_t size = cn_shape_size(&dataset->shape), before = dataset->count;
    uint16_t *labels = reallocarray(dataset->labels, count, sizeof *labels);
    if (labels != NULL)
        dataset->labels = labels;
    float *weights = NULL;
    if (dataset->weights != NULL || more->weights != NULL) {
        if (cn_dataset_weigh(dataset, error) != CN_OK ||
            (weights = reallocarray(dataset->weights, count, sizeof *weights)) == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for %zu weights", count);
        dataset->weights = weights;
    }
    if (labels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu labels", count);
    for (size_t i = 0; weights != NULL && i < more->count; i++)
        weights[before + i] = more->weights != NULL ? more->weights[i] : 1;
    for (size_t i = 0; dataset->names != NULL && i < before; i++)
        free(dataset->names[i]); /* names of training pictures are not needed */
    free(dataset->names);
    dataset->names = NULL;
    memcpy(dataset->images + before * size, more->images, more->count * size);
    memcpy(labels + before, more->labels, more->count * sizeof *labels);
    dataset->count = count;
    cn_dataset_write_checksum(dataset);
    return CN_OK;
}

enum cn_status cn_dataset_append(struct cn_dataset *dataset, const struct cn_dataset *more,
                                 struct cn_error *error) {
    const size_t size = cn_shape_size(&dataset->shape), count = dataset->count + more->count;
    if (!cn_shape_equal(&dataset->shape, &more->shape)) {
        char got[CN_SHAPE_TEXT], expected[CN_SHAPE_TEXT];
        return cn_fail(error, CN_INVALID, "the images to be added are %s; the others are %s",
                       cn_shape_format(&more->shape, got),
                       cn_shape_format(&dataset->shape, expected));
    }
    enum cn_status status = check_same_classes(dataset, more, error);
    if (status == CN_OK)
        status = cn_dataset_resize(dataset, dataset->count * size, count * size, error);
    return status == CN_OK ? append_samples(dataset, more, count, error) : status;
}

void cn_dataset_free(struct cn_dataset *dataset) {
    if (dataset == NULL)
        return;
    for (size_t i = 0; dataset->class_names != NULL && i < dataset->class_count; i++)
        free(dataset->class_names[i]);
    for (size_t i = 0; dataset->names != NULL && i < dataset->count; i++)
        free(dataset->names[i]);
    free(dataset->class_names);
    cn_dataset_free_images(dataset);
    free(dataset->labels);
    free(dataset->weights);
    free(dataset->names);
    free(dataset);
}
