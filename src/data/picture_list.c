/* picture_list.c: reads a list of picture files into a data set, a block at a time on several
 * threads. The result depends only on the files and their order. OpenMP inside.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/openmp.h"
#include "convnet/plan.h"
#include "data/picture_list.h"

enum { MAX_PICTURE = 64 << 20, BLOCK = 64 };

bool cn_picture_is_named(const char *name) {
    static const char *const endings[] = {".png",  ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif",
                                          ".tiff", ".pnm", ".pgm",  ".ppm", ".pbm",  ".heic"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (length > strlen(endings[i]) &&
            strcasecmp(name + length - strlen(endings[i]), endings[i]) == 0)
            return true;
    return false;
}

enum cn_status cn_picture_list_add(struct cn_picture_list *list, const char *path, uint16_t label,
                                   float weight, bool named, struct cn_error *error) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        struct cn_listed_picture *pictures =
            reallocarray(list->pictures, capacity, sizeof *pictures);
        if (pictures == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for a list of %zu pictures", capacity);
        list->pictures = pictures;
        list->capacity = capacity;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a path");
    list->pictures[list->count++] = (struct cn_listed_picture){copy, label, weight, named};
    return CN_OK;
}

void cn_picture_list_clear(struct cn_picture_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->pictures[i].path);
    free(list->pictures);
    *list = (struct cn_picture_list){0};
}

/* ---- Reading ---- */

/* The state that the threads share. */
struct reader {
    const struct cn_picture_list *list;
    struct cn_preprocessing preprocessing;
    struct cn_shape shape;
    float *images; /* [threads, shape] */
    int threads;
    /* The present block. */
    uint8_t *samples; /* where its first picture goes, each left-out one with a place */
    bool left_out[BLOCK];
    struct cn_error errors[BLOCK];
};

/* Reads picture `i` into place `slot` of the block. */
static void picture_read(struct reader *r, size_t i, size_t slot) {
    const struct cn_listed_picture *picture = &r->list->pictures[i];
    const size_t size = cn_shape_size(&r->shape);
    float *image = r->images + (size_t)omp_get_thread_num() * size;
    struct cn_error reason = {0};
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(picture->path, MAX_PICTURE, &bytes, &length, &reason);
    r->left_out[slot] = !picture->named && (status == CN_OK ? !cn_picture_recognize(bytes, length)
                                                            : status == CN_LIMIT);
    if (status == CN_OK && !r->left_out[slot])
        status = cn_image_decode(CN_PICTURE_AUTO, &r->preprocessing, &cn_picture_default_limits,
                                 bytes, length, &r->shape, image, NULL, &reason);
    free(bytes);
    r->errors[slot].status = CN_OK;
    if (r->left_out[slot])
        return;
    if (status != CN_OK) {
        r->errors[slot] = (struct cn_error){0};
        (void)cn_fail_at(&r->errors[slot], status, picture->path, reason.offset, "%s", reason.text);
        return;
    }
    for (size_t k = 0; k < size; k++)
        r->samples[slot * size + k] = (uint8_t)lrintf(image[k] * 255.0F);
}

/* The name within `root`. */
static const char *short_name(const char *path, const char *root) {
    const size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && path[length] == '/' ? path + length + 1 : path;
}

/* Takes over what the block has, in its order. */
static enum cn_status block_keep(const struct reader *r, size_t first, size_t count,
                                 const char *root, struct cn_dataset *dataset,
                                 struct cn_error *error) {
    const size_t size = cn_shape_size(&r->shape);
    for (size_t slot = 0; slot < count; slot++) {
        const struct cn_listed_picture *picture = &r->list->pictures[first + slot];
        if (r->errors[slot].status != CN_OK) {
            if (error != NULL)
                *error = r->errors[slot];
            return r->errors[slot].status;
        }
        if (r->left_out[slot]) {
            dataset->left_out++;
            continue;
        }
        memmove(dataset->images + dataset->count * size, r->samples + slot * size, size);
        dataset->labels[dataset->count] = picture->label;
        if (dataset->weights != NULL)
            dataset->weights[dataset->count] = picture->weight;
        dataset->names[dataset->count] = strdup(short_name(picture->path, root));
        if (dataset->names[dataset->count] == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for a name");
        dataset->count++;
    }
    return CN_OK;
}

static enum cn_status room_prepare(struct reader *r, struct cn_dataset *dataset,
                                   struct cn_error *error) {
    const size_t count = r->list->count, size = cn_shape_size(&r->shape);
    bool weighted = false;
    for (size_t i = 0; i < count; i++)
        weighted = weighted || r->list->pictures[i].weight != 1;
    r->images = calloc((size_t)r->threads, size * sizeof *r->images);
    dataset->labels = calloc(count + 1, sizeof *dataset->labels);
    dataset->names = calloc(count + 1, sizeof *dataset->names);
    if (weighted)
        dataset->weights = calloc(count + 1, sizeof *dataset->weights);
    if (r->images == NULL || dataset->labels == NULL || dataset->names == NULL ||
        (weighted && dataset->weights == NULL))
        return cn_fail(error, CN_MEMORY, "no memory for %zu pictures", count);
    return cn_dataset_resize(dataset, 0, count * size, error);
}

enum cn_status cn_picture_list_read(const struct cn_picture_list *list,
                                    const struct cn_dataset_request *request, const char *root,
                                    struct cn_dataset *dataset, struct cn_error *error) {
    const struct cn_preprocessing usual = cn_preprocessing_default(request->shape);
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a reader of pictures");
    r->list = list;
    r->shape = dataset->shape = *request->shape;
    r->threads = cn_default_threads();
    r->preprocessing = cn_preprocessing_without_normalization(
        request->preprocessing != NULL ? request->preprocessing : &usual);
    enum cn_status status = room_prepare(r, dataset, error);
    for (size_t first = 0; status == CN_OK && first < list->count; first += BLOCK) {
        const size_t count = list->count - first < BLOCK ? list->count - first : BLOCK;
        r->samples = dataset->images + dataset->count * cn_shape_size(&r->shape);
#pragma omp parallel for schedule(dynamic) num_threads(r->threads) if (count > 1 && r->threads > 1)
        for (size_t slot = 0; slot < count; slot++)
            picture_read(r, first + slot, slot);
        status = block_keep(r, first, count, root, dataset, error);
    }
    free(r->images);
    free(r);
    return status;
}
