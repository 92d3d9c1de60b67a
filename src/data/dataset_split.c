/* dataset_split.c: divides a data set into two parts, for training and for validation. The labels
 * and the seed alone determine the parts. Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/dataset_table.h"

enum { STREAM_SPLIT = 7 }; /* key of the random streams, one per class */

const char *const cn_split_names[] = {"train", "test", "validation", NULL};
const char *const cn_split_order_names[] = {"by-class", "tail", NULL};

/* ---- Which samples ---- */

/* One class while its share is worked out. */
struct share {
    size_t samples, taken;
    double remainder;
};

static size_t label_of(const struct cn_dataset *dataset, size_t sample) {
    return dataset->labels != NULL ? dataset->labels[sample] : 0;
}

/* The number of samples per class: its quota rounded down, then one more each for the largest
 * remainders. The last sample of a class is never taken. */
static void divide_shares(struct share *shares, size_t classes, size_t count, size_t target) {
    size_t given = 0;
    for (size_t c = 0; c < classes; c++) {
        const double quota = (double)shares[c].samples * (double)target / (double)count;
        shares[c].taken = (size_t)quota;
        shares[c].remainder = quota - floor(quota);
        given += shares[c].taken;
    }
    while (given < target) {
        size_t best = classes;
        for (size_t c = 0; c < classes; c++)
            if (shares[c].remainder >= 0 && shares[c].taken + 1 < shares[c].samples &&
                (best == classes || shares[c].remainder > shares[best].remainder))
                best = c;
        if (best == classes)
            return;
        shares[best].taken++;
        shares[best].remainder = -1;
        given++;
    }
}

/* Marks `target` samples at most, of each class its share. CN_MEMORY. */
static enum cn_status mark_by_class(const struct cn_dataset *dataset, size_t target, uint64_t seed,
                                    bool *marks, struct cn_error *error) {
    const size_t classes = dataset->labels != NULL ? dataset->class_count : 1;
    struct share *shares = calloc(classes, sizeof *shares);
    uint32_t *members = calloc(dataset->count, sizeof *members);
    enum cn_status status = CN_OK;
    if (shares == NULL || members == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for a split of %zu samples", dataset->count);
        goto out;
    }
    for (size_t i = 0; i < dataset->count; i++)
        shares[label_of(dataset, i)].samples++;
    divide_shares(shares, classes, dataset->count, target);
    /* The samples of each class one after another, in their order. */
    size_t *ends = calloc(classes + 1, sizeof *ends);
    if (ends == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for a split of %zu classes", classes);
        goto out;
    }
    for (size_t c = 0; c + 1 < classes; c++)
        ends[c + 1] = ends[c] + shares[c].samples;
    for (size_t i = 0; i < dataset->count; i++)
        members[ends[label_of(dataset, i)]++] = (uint32_t)i;
    for (size_t c = 0; c < classes; c++) {
        struct cn_random random = cn_random_stream(seed, STREAM_SPLIT, c, 0);
        uint32_t *first = members + (ends[c] - shares[c].samples);
        cn_random_shuffle(&random, first, shares[c].samples);
        for (size_t i = 0; i < shares[c].taken; i++)
            marks[first[i]] = true;
    }
    free(ends);
out:
    free(shares);
    free(members);
    return status;
}

/* ---- The parts ---- */

/* Room for `count` samples like those of `dataset`, with its classes. */
static enum cn_status part_prepare(const struct cn_dataset *dataset, size_t count,
                                   struct cn_dataset *part, struct cn_error *error) {
    part->shape = dataset->shape;
    part->normalization = dataset->normalization;
    part->left_out = dataset->left_out;
    part->storage = dataset->storage;
    enum cn_status status =
        cn_dataset_resize(part, 0, count * cn_shape_size(&dataset->shape), error);
    if (dataset->labels != NULL)
        part->labels = malloc(count * sizeof *part->labels);
    if (dataset->weights != NULL)
        part->weights = malloc(count * sizeof *part->weights);
    if (dataset->names != NULL)
        part->names = calloc(count, sizeof *part->names);
    if (dataset->class_count > 0)
        part->class_names = calloc(dataset->class_count, sizeof *part->class_names);
    bool good = (dataset->labels == NULL || part->labels != NULL) &&
                (dataset->weights == NULL || part->weights != NULL) &&
                (dataset->names == NULL || part->names != NULL) &&
                (dataset->class_count == 0 || part->class_names != NULL);
    for (size_t i = 0; good && i < dataset->class_count; i++) {
        part->class_names[i] = strdup(dataset->class_names[i]);
        good = part->class_names[i] != NULL;
        part->class_count += good;
    }
    if (status == CN_OK && !good)
        status = cn_fail(error, CN_MEMORY, "no memory for a copy of %zu samples", count);
    return status;
}

/* A copy of the samples whose mark is `mark`, `count` of them. */
static enum cn_status copy_marked(const struct cn_dataset *dataset, const bool *marks, bool mark,
                                  size_t count, struct cn_dataset **ret_part,
                                  struct cn_error *error) {
    const size_t size = cn_shape_size(&dataset->shape);
    struct cn_dataset *part = calloc(1, sizeof *part);
    enum cn_status status = part != NULL ? part_prepare(dataset, count, part, error)
                                         : cn_fail(error, CN_MEMORY, "no memory for a dataset");
    for (size_t i = 0; status == CN_OK && i < dataset->count; i++) {
        if (marks[i] != mark)
            continue;
        memcpy(part->images + part->count * size, dataset->images + i * size, size);
        if (part->labels != NULL)
            part->labels[part->count] = dataset->labels[i];
        if (part->weights != NULL)
            part->weights[part->count] = dataset->weights[i];
        if (part->names != NULL && (part->names[part->count] = strdup(dataset->names[i])) == NULL)
            status = cn_fail(error, CN_MEMORY, "no memory for a copy of %zu samples", count);
        part->count++;
    }
    if (status != CN_OK) {
        cn_dataset_free(part);
        return status;
    }
    cn_dataset_write_checksum(part);
    *ret_part = part;
    return CN_OK;
}

enum cn_status cn_dataset_split(const struct cn_dataset *dataset, double fraction,
                                enum cn_split_order order, uint64_t seed,
                                struct cn_dataset **ret_first, struct cn_dataset **ret_last,
                                struct cn_error *error) {
    if (!(fraction > 0.0 && fraction < 1.0))
        return cn_fail(error, CN_INVALID, "the split fraction %g is not between 0 and 1", fraction);
    const size_t kept = (size_t)floor((double)dataset->count * (1.0 - fraction));
    bool *marks = calloc(dataset->count + 1, sizeof *marks);
    struct cn_dataset *first = NULL, *last = NULL;
    enum cn_status status = CN_OK;
    size_t taken = 0;
    if (marks == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a split of %zu samples", dataset->count);
    if (order == CN_SPLIT_TAIL)
        memset(marks + kept, true, dataset->count - kept);
    else
        status = mark_by_class(dataset, dataset->count - kept, seed, marks, error);
    for (size_t i = 0; i < dataset->count; i++)
        taken += marks[i];
    if (status == CN_OK && (taken == 0 || taken == dataset->count))
        status =
            cn_fail(error, CN_INVALID, "the split fraction %g of %zu samples leaves one part empty",
                    fraction, dataset->count);
    if (status == CN_OK)
        status = copy_marked(dataset, marks, false, dataset->count - taken, &first, error);
    if (status == CN_OK)
        status = copy_marked(dataset, marks, true, taken, &last, error);
    free(marks);
    if (status != CN_OK) {
        cn_dataset_free(first);
        cn_dataset_free(last);
        return status;
    }
    *ret_first = first;
    *ret_last = last;
    return CN_OK;
}
