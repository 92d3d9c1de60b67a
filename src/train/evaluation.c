/* evaluation.c: computes a network's answers over a dataset. Sums are in the samples' order, so
 * that the result has the same bits for any number of threads. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/activity_penalty.h"
#include "train/trainer_private.h"

/* Converted to floats at a time: so many images, or so many floats if that is fewer. */
enum { CHUNK_IMAGES = 512, CHUNK_FLOATS = 1 << 21, LEAST_IMAGES = 8 };

size_t cn_measure_chunk(size_t input_size) {
    const size_t fit = CHUNK_FLOATS / input_size;
    return fit > CHUNK_IMAGES ? CHUNK_IMAGES : fit < LEAST_IMAGES ? LEAST_IMAGES : fit;
}

struct evaluator {
    struct cn_plan *plan;
    int threads;
    struct cn_workspace **workspaces;
    float *images;
    struct cn_activity_penalty *activity; /* NULL: no activity is regularized */
    double *penalties;                    /* [samples]; NULL with activity */
};

static enum cn_status measure_prepare(struct evaluator *e, const struct cn_network *network,
                                      size_t samples, int threads, struct cn_error *error) {
    enum cn_status status = cn_plan_create(network, &e->plan, error);
    if (status == CN_OK)
        status = cn_activity_penalty_create(network, threads, &e->activity, error);
    if (status != CN_OK)
        return status;
    if (e->activity != NULL && (e->penalties = calloc(samples, sizeof *e->penalties)) == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu penalties", samples);
    e->threads = threads;
    const size_t size = cn_plan_input_size(e->plan);
    e->images = cn_floats_allocate(cn_measure_chunk(size) * size);
    if (e->images == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for an evaluation");
    return cn_workspaces_create(e->plan, threads, &e->workspaces, error);
}

static void measure_finish(struct evaluator *e) {
    cn_workspaces_free(e->workspaces, e->threads);
    free(e->images);
    free(e->penalties);
    cn_activity_penalty_free(e->activity);
    cn_plan_free(e->plan);
}

/* Turns the one probability of a sigmoid, pairs[count] of [2 * count], into those of both classes.
 */
static void make_pairs(float *pairs, size_t count) {
    for (size_t i = count; i-- > 0;) {
        const float second = pairs[i];
        pairs[2 * i + 1] = second;
        pairs[2 * i] = 1 - second;
    }
}

static void score(struct cn_evaluation *evaluation, const struct cn_dataset *dataset,
                  enum cn_loss loss, float label_smoothing) {
    const size_t classes = evaluation->class_count;
    for (size_t i = 0; i < evaluation->samples; i++) {
        const float *p = evaluation->probabilities + i * classes;
        const unsigned label = dataset->labels[i];
        size_t best = 0;
        for (size_t c = 1; c < classes; c++)
            best = p[c] > p[best] ? c : best;
        evaluation->correct += best == label;
        evaluation->confusion[label * classes + best]++;
        evaluation->loss += cn_loss_value(loss, p, classes, label, label_smoothing);
    }
    evaluation->loss /= (double)evaluation->samples;
    evaluation->accuracy = (double)evaluation->correct / (double)evaluation->samples;
}

/* A callback that is told how many images are done; `call` may be NULL. */
struct watcher {
    void (*call)(void *data, size_t done, size_t total);
    void *data;
};

static size_t part_begin(size_t samples, const struct cn_ranks *ranks, int rank) {
    return ranks != NULL ? samples * (size_t)rank / (size_t)ranks->count : rank > 0 ? samples : 0;
}

/* Gives every rank what all ranks have of rows of `row` bytes, one per sample. */
static void gather_rows(const struct cn_ranks *ranks, size_t samples, size_t row, void *rows) {
    size_t bounds[CN_RANKS_MAX + 1];
    if (ranks == NULL)
        return;
    for (int r = 0; r <= ranks->count; r++)
        bounds[r] = part_begin(samples, ranks, r) * row;
    cn_ranks_gather(ranks, rows, bounds);
}

static enum cn_status measure(const struct cn_network *network, const struct cn_dataset *dataset,
                              enum cn_loss loss, float label_smoothing, int threads,
                              const struct cn_ranks *ranks, const struct watcher *watcher,
                              struct cn_evaluation *ret_evaluation, struct cn_error *error) {
    struct evaluator e = {0};
    struct cn_evaluation evaluation = {.samples = dataset->count,
                                       .class_count = cn_shape_size(&network->output_shape)};
    const bool pairs = cn_network_output_kind(network, 0) == CN_OUTPUT_SIGMOID;
    if (pairs)
        evaluation.class_count = 2;
    const size_t classes = evaluation.class_count;
    char expected[CN_SHAPE_TEXT], got[CN_SHAPE_TEXT];
    enum cn_status status = CN_OK;
    if (!cn_shape_equal(&network->input_shape, &dataset->shape))
        return cn_fail(error, CN_INVALID, "the images are %s; the network takes %s",
                       cn_shape_format(&dataset->shape, got),
                       cn_shape_format(&network->input_shape, expected));
    if (dataset->class_count > classes || dataset->count == 0)
        return cn_fail(error, CN_INVALID,
                       "the data have %zu samples of %zu classes; the network has %zu outputs",
                       dataset->count, dataset->class_count, classes);
    evaluation.confusion = calloc(classes * classes, sizeof *evaluation.confusion);
    evaluation.probabilities = cn_floats_allocate(dataset->count * classes);
    if (evaluation.confusion == NULL || evaluation.probabilities == NULL)
        status =
            cn_fail(error, CN_MEMORY, "no memory for the answers of %zu samples", dataset->count);
    if (status == CN_OK)
        status = measure_prepare(&e, network, dataset->count, threads > 0 ? threads : 1, error);
    const int rank = ranks != NULL ? ranks->rank : 0;
    const size_t end = part_begin(dataset->count, ranks, rank + 1);
    const size_t size = cn_shape_size(&dataset->shape), chunk = cn_measure_chunk(size);
    for (size_t i = part_begin(dataset->count, ranks, rank); i < end && status == CN_OK;
         i += chunk) {
        const size_t left = end - i;
        const size_t count = left < chunk ? left : chunk;
        cn_image_from_bytes(dataset->images + i * size, count * size, e.images);
        cn_preprocessing_normalize(&dataset->normalization, &dataset->shape, count, e.images);
        cn_plan_run_parallel(e.plan, e.workspaces, e.threads, e.images, count,
                             evaluation.probabilities + i * classes);
        if (e.activity != NULL)
            cn_activity_penalty_measure(e.activity, e.images, count, e.penalties + i);
        if (pairs)
            make_pairs(evaluation.probabilities + i * classes, count);
        if (watcher->call != NULL)
            watcher->call(watcher->data, i + count, dataset->count);
    }
    if (status == CN_OK && e.activity != NULL) {
        gather_rows(ranks, dataset->count, sizeof *e.penalties, e.penalties);
        for (size_t i = 0; i < dataset->count; i++)
            evaluation.activity_penalty += e.penalties[i] / (double)dataset->count;
    }
    measure_finish(&e);
    if (status != CN_OK) {
        cn_evaluation_clear(&evaluation);
        return status;
    }
    gather_rows(ranks, dataset->count, classes * sizeof *evaluation.probabilities,
                evaluation.probabilities);
    score(&evaluation, dataset, loss, label_smoothing);
    *ret_evaluation = evaluation;
    return CN_OK;
}

enum cn_status cn_evaluate_watched(const struct cn_network *network,
                                   const struct cn_dataset *dataset, enum cn_loss loss, int threads,
                                   void (*on_images)(void *data, size_t done, size_t total),
                                   void *data, struct cn_evaluation *ret_evaluation,
                                   struct cn_error *error) {
    const struct watcher watcher = {on_images, data};
    return measure(network, dataset, loss, 0, threads, NULL, &watcher, ret_evaluation, error);
}

enum cn_status cn_evaluate_shared(const struct cn_network *network,
                                  const struct cn_dataset *dataset, enum cn_loss loss,
                                  float label_smoothing, int threads, const struct cn_ranks *ranks,
                                  struct cn_evaluation *ret_evaluation, struct cn_error *error) {
    const struct watcher nobody = {NULL, NULL};
    return measure(network, dataset, loss, label_smoothing, threads, ranks, &nobody, ret_evaluation,
                   error);
}

enum cn_status cn_evaluate(const struct cn_network *network, const struct cn_dataset *dataset,
                           enum cn_loss loss, int threads, struct cn_evaluation *ret_evaluation,
                           struct cn_error *error) {
    return cn_evaluate_watched(network, dataset, loss, threads, NULL, NULL, ret_evaluation, error);
}

void cn_evaluation_clear(struct cn_evaluation *evaluation) {
    free(evaluation->confusion);
    free(evaluation->probabilities);
    *evaluation = (struct cn_evaluation){0};
}
