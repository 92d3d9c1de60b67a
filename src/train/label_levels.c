/* label_levels.c: the thresholds of sets of labels, from a calibration's answers. How they are used
 * is src/model/label_set.c. Serial. */
#include <math.h>
#include <stdlib.h>

#include "convnet/trainer.h"

/* errors: the levels. doubted: the share of the calibration's pictures that get two labels at
 * least, so that pictures unlike them do, too. risk: the probability that the promise of a level is
 * broken. */
static const double errors[CN_ERROR_LEVELS] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2};
static const double doubted = 0.02, risk = 0.05;

/* One picture of the calibration. */
struct trial {
    float first, second, right; /* probabilities: the largest two, and the right label's */
};

static int by_first(const void *a, const void *b) {
    const struct trial *one = a, *other = b;
    return (one->first > other->first) - (one->first < other->first);
}

static int by_value(const void *a, const void *b) {
    const float one = *(const float *)a, other = *(const float *)b;
    return (one > other) - (one < other);
}

static struct trial trial_of(const float *p, size_t count, size_t label) {
    struct trial trial = {-INFINITY, -INFINITY, p[label]};
    for (size_t i = 0; i < count; i++) {
        if (p[i] > trial.first) {
            trial.second = trial.first;
            trial.first = p[i];
        } else {
            trial.second = fmaxf(trial.second, p[i]);
        }
    }
    return trial;
}

/* The most misses among `count` pictures of which one with a true error of `error` or more shows so
 * few with a probability of `risk` at most; -1: not even none. The binomial distribution's tail. */
static long most_misses(size_t count, double error) {
    const double n = (double)count;
    double term = n * log1p(-error), below = exp(term); /* the logarithm of P(misses = k) */
    long misses = -1;
    for (size_t k = 0; below <= risk && k < count; k++) {
        misses = (long)k;
        term += log((n - (double)k) / ((double)k + 1)) + log(error) - log1p(-error);
        below += exp(term);
    }
    return misses;
}

/* The thresholds of one level: half of its misses are pictures that are rejected, and what is left
 * decides which labels join the first. trials: by rising `first`; values: [count], scratch. */
static struct cn_error_level level_of(const struct trial *trials, size_t count, double error,
                                      size_t misses, float doubt, float *values) {
    const size_t rejected = misses / 2;
    struct cn_error_level level = {.error = error,
                                   .reject = rejected > 0 ? trials[rejected].first : 0};
    size_t open = 0, missed = 0;
    for (size_t i = 0; i < count; i++) {
        const struct trial *t = &trials[i];
        const bool is_rejected = t->first < level.reject;
        missed += is_rejected;
        if (!is_rejected && t->right < (t->first < doubt ? t->second : t->first))
            values[open++] = t->right;
    }
    qsort(values, open, sizeof *values, by_value);
    /* The lowest ones are the misses that are left; every other right label is accepted. */
    const size_t left = misses > missed ? misses - missed : 0;
    level.label = left < open ? values[left] : 1;
    return level;
}

static size_t count_undecided(const struct trial *trials, size_t count,
                              const struct cn_error_level *level, float doubt) {
    size_t undecided = 0;
    for (size_t i = 0; i < count; i++)
        undecided += trials[i].first < level->reject || trials[i].first < doubt ||
                     trials[i].second >= level->label;
    return undecided;
}

enum cn_status cn_calibrate_sets(struct cn_model *model, const struct cn_evaluation *evaluation,
                                 const uint16_t *labels, struct cn_error *error) {
    const size_t count = evaluation->samples;
    struct trial *trials = malloc((count + 1) * sizeof *trials);
    float *values = malloc((count + 1) * sizeof *values);
    struct cn_error_levels levels = {.samples = count};
    size_t fewest = SIZE_MAX;
    enum cn_status status = CN_OK;
    if (trials == NULL || values == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu answers", count);
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        trials[i] = trial_of(evaluation->probabilities + i * evaluation->class_count,
                             evaluation->class_count, labels[i]);
    qsort(trials, count, sizeof *trials, by_first);
    const long doubts = most_misses(count, doubted);
    levels.doubt = doubts > 0 ? trials[doubts].first : 0;
    for (size_t i = 0; i < CN_ERROR_LEVELS; i++) {
        const long misses = most_misses(count, errors[i]);
        if (misses < 0)
            continue;
        const struct cn_error_level level =
            level_of(trials, count, errors[i], (size_t)misses, levels.doubt, values);
        const size_t undecided = count_undecided(trials, count, &level, levels.doubt);
        if (undecided <= fewest) {
            levels.levels[levels.count++] = level;
            fewest = undecided;
        }
    }
    model->error_levels = levels;
out:
    free(trials);
    free(values);
    return status;
}
