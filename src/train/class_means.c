/* class_means.c: precision, recall, F1, AUC and top 5 over all classes of an evaluation. Pure. */
#include <math.h>
#include <stdlib.h>

#include "convnet/trainer.h"

enum { TOP = 5, AUC_CLASSES = 200 }; /* each class of the AUC sorts all samples */

struct cn_class_means cn_class_means_none(void) {
    const double none = (double)NAN;
    return (struct cn_class_means){none, none, none, none, none, none};
}

static int compare_floats(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

double cn_auroc(float *inside, size_t count, float *outside, size_t outside_count) {
    double wins = 0;
    size_t below = 0, not_above = 0; /* of those outside: below the number, and those plus ties */
    qsort(inside, count, sizeof *inside, compare_floats);
    qsort(outside, outside_count, sizeof *outside, compare_floats);
    for (size_t i = 0; i < count; i++) {
        while (below < outside_count && outside[below] < inside[i])
            below++;
        while (not_above < outside_count && outside[not_above] <= inside[i])
            not_above++;
        wins += 0.5 * (double)(below + not_above);
    }
    return wins / ((double)count * (double)outside_count);
}

struct cn_class_result cn_class_result(const struct cn_evaluation *e, size_t class_index) {
    struct cn_class_result result = {.correct =
                                         e->confusion[class_index * e->class_count + class_index]};
    for (size_t c = 0; c < e->class_count; c++) {
        result.samples += e->confusion[class_index * e->class_count + c];
        result.predicted += e->confusion[c * e->class_count + class_index];
    }
    return result;
}

double cn_class_f1(const struct cn_class_result *result) {
    const size_t both = result->samples + result->predicted;
    return both == 0 ? 0 : 2 * (double)result->correct / (double)both;
}

/* Among the five largest: fewer than five are larger. */
static double share_of_top(const struct cn_evaluation *e, const uint16_t *labels) {
    size_t within = 0;
    for (size_t i = 0; i < e->samples; i++) {
        const float *p = e->probabilities + i * e->class_count;
        size_t larger = 0;
        for (size_t c = 0; c < e->class_count; c++)
            larger += p[c] > p[labels[i]];
        within += larger < TOP;
    }
    return (double)within / (double)e->samples;
}

/* The mean over the classes of how well a class's output tells its samples from the rest. */
static enum cn_status mean_auc(const struct cn_evaluation *e, const uint16_t *labels,
                               double *ret_auc, struct cn_error *error) {
    float *scores = malloc((e->samples + 1) * sizeof *scores);
    double sum = 0;
    size_t measured = 0;
    if (scores == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu outputs", e->samples);
    for (size_t c = 0; c < e->class_count; c++) {
        size_t own = 0, rest = e->samples; /* the class's own first, the others from the end */
        for (size_t i = 0; i < e->samples; i++)
            scores[labels[i] == c ? own++ : --rest] = e->probabilities[i * e->class_count + c];
        if (own == 0 || own == e->samples)
            continue;
        sum += cn_auroc(scores, own, scores + own, e->samples - own);
        measured++;
    }
    free(scores);
    *ret_auc = measured > 0 ? sum / (double)measured : (double)NAN;
    return CN_OK;
}

enum cn_status cn_class_means(const struct cn_evaluation *e, const uint16_t *labels,
                              struct cn_class_means *ret_means, struct cn_error *error) {
    struct cn_class_means means = {.auc = (double)NAN, .top_5 = (double)NAN};
    size_t classes = 0;
    for (size_t c = 0; c < e->class_count; c++) {
        const struct cn_class_result result = cn_class_result(e, c);
        if (result.samples == 0)
            continue;
        classes++;
        means.precision +=
            result.predicted > 0 ? (double)result.correct / (double)result.predicted : 0;
        means.recall += (double)result.correct / (double)result.samples;
        means.f1 += cn_class_f1(&result);
        means.weighted_f1 += cn_class_f1(&result) * (double)result.samples / (double)e->samples;
    }
    means.precision /= (double)classes;
    means.recall /= (double)classes;
    means.f1 /= (double)classes;
    if (e->class_count > TOP)
        means.top_5 = share_of_top(e, labels);
    *ret_means = means;
    return e->class_count <= AUC_CLASSES ? mean_auc(e, labels, &ret_means->auc, error) : CN_OK;
}
