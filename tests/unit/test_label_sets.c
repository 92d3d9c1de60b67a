/* test_label_sets.c: sets of labels keep the promised error, are empty for pictures of no class,
 * have several labels for doubtful pictures, and are stored in the model file. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "convnet/trainer.h"
#include "support/networks.h"

enum { SAMPLES = 6000, CLASSES = 4 };

static struct cn_model *create_model(void) {
    struct cn_model *model = NULL;
    cr_assert_eq(cn_model_create(test_network(cn_shape_image(1, 4, 1),
                                              "Flatten;Dense units=4 activation=softmax", 1),
                                 &model, NULL),
                 CN_OK);
    return model;
}

/* Answers like a network's: mostly confident and right, some uncertain, some wrong. */
static void draw(struct cn_evaluation *e, uint16_t *labels, uint64_t seed) {
    struct cn_random random = cn_random_stream(seed, 0, 0, 0);
    *e = (struct cn_evaluation){.samples = SAMPLES,
                                .class_count = CLASSES,
                                .probabilities = malloc(SAMPLES * CLASSES * sizeof(float))};
    for (size_t i = 0; i < SAMPLES; i++) {
        float *p = e->probabilities + i * CLASSES, total = 0;
        const float sharpness = 14 * cn_random_float(&random);
        for (size_t c = 0; c < CLASSES; c++)
            total += p[c] = expf(sharpness * cn_random_float(&random));
        for (size_t c = 0; c < CLASSES; c++)
            p[c] /= total;
        float at = cn_random_float(&random);
        labels[i] = 0;
        while (labels[i] < CLASSES - 1 && at >= p[labels[i]])
            at -= p[labels[i]++];
    }
}

struct counts {
    size_t missed, rejected, single;
};

static struct counts count_sets(const struct cn_model *model, const struct cn_error_level *level,
                                const struct cn_evaluation *e, const uint16_t *labels) {
    struct counts counts = {0};
    for (size_t i = 0; i < e->samples; i++) {
        const float *p = e->probabilities + i * CLASSES;
        const struct cn_label_set set = cn_model_label_set(model, level, p);
        counts.missed += !(p[labels[i]] >= set.least);
        counts.rejected += set.count == 0;
        counts.single += set.count == 1;
    }
    return counts;
}

Test(label_sets, miss_no_more_than_they_promise) {
    struct cn_model *model = create_model();
    struct cn_evaluation seen, fresh;
    uint16_t *labels = malloc(SAMPLES * sizeof *labels);
    draw(&seen, labels, 1);
    cr_assert_eq(cn_calibrate_sets(model, &seen, labels, NULL), CN_OK);
    cr_assert_geq(model->error_levels.count, 2);
    cr_assert_float_eq(model->error_levels.levels[0].error, 0.001, 1e-12);
    /* The promise fails with a probability of 5 %: of twenty draws hardly ever four. */
    for (size_t i = 0; i < model->error_levels.count; i++) {
        const struct cn_error_level *level = &model->error_levels.levels[i];
        size_t broken = 0;
        for (uint64_t seed = 2; seed < 22; seed++) {
            draw(&fresh, labels, seed);
            broken += (double)count_sets(model, level, &fresh, labels).missed >
                      level->error * SAMPLES + 3 * sqrt(level->error * SAMPLES);
            cn_evaluation_clear(&fresh);
        }
        cr_expect_leq(broken, 3, "error %g is broken %zu times of 20", level->error, broken);
    }
    cn_evaluation_clear(&seen);
    free(labels);
    cn_model_free(model);
}

Test(label_sets, a_larger_error_never_leaves_fewer_single_labels) {
    struct cn_model *model = create_model();
    struct cn_evaluation seen;
    uint16_t *labels = malloc(SAMPLES * sizeof *labels);
    draw(&seen, labels, 7);
    cr_assert_eq(cn_calibrate_sets(model, &seen, labels, NULL), CN_OK);
    size_t before = 0;
    for (size_t i = 0; i < model->error_levels.count; i++) {
        const struct counts counts =
            count_sets(model, &model->error_levels.levels[i], &seen, labels);
        cr_expect_geq(counts.single, before);
        before = counts.single;
    }
    cn_evaluation_clear(&seen);
    free(labels);
    cn_model_free(model);
}

Test(label_sets, few_samples_promise_little) {
    struct cn_model *model = create_model();
    struct cn_evaluation seen;
    struct cn_error error = {0};
    const struct cn_error_level *level = NULL;
    uint16_t *labels = malloc(SAMPLES * sizeof *labels);
    draw(&seen, labels, 1);
    seen.samples = 2994; /* 0.999 to the power of 2994 is just above 0.05 */
    cr_assert_eq(cn_calibrate_sets(model, &seen, labels, NULL), CN_OK);
    cr_expect_float_eq(model->error_levels.levels[0].error, 0.002, 1e-12);
    cr_expect_eq(cn_model_error_level(model, 0.001, &level, &error), CN_INVALID);
    cr_expect_eq(cn_model_error_level(model, 0.002, &level, &error), CN_OK);
    seen.samples = 2995;
    cr_assert_eq(cn_calibrate_sets(model, &seen, labels, NULL), CN_OK);
    cr_expect_float_eq(model->error_levels.levels[0].error, 0.001, 1e-12);
    seen.samples = 13;
    cr_assert_eq(cn_calibrate_sets(model, &seen, labels, NULL), CN_OK);
    cr_expect_eq(cn_model_error_level(model, 0.5, &level, &error), CN_INVALID);
    cn_evaluation_clear(&seen);
    free(labels);
    cn_model_free(model);
}

Test(label_sets, none_one_and_several) {
    struct cn_model *model = create_model();
    const struct cn_error_level *level = NULL;
    model->error_levels = (struct cn_error_levels){
        .samples = 3000, .doubt = 0.8f, .count = 1, .levels = {{0.01, 0.4f, 0.3f}}};
    cr_assert_eq(cn_model_error_level(model, 0.5, &level, NULL), CN_OK);
    const struct {
        float outputs[CLASSES];
        size_t count;
    } cases[] = {
        {{0.9f, 0.05f, 0.03f, 0.02f}, 1}, {{0.7f, 0.05f, 0.23f, 0.02f}, 2},
        {{0.35f, 0.3f, 0.3f, 0.05f}, 0},  {{0.4f, 0.3f, 0.3f, 0}, 3},
        {{0.6f, 0.2f, 0.2f, 0}, 3}, /* two labels with equal probabilities are both in the set */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(cn_model_label_set(model, level, cases[i].outputs).count, cases[i].count,
                     "case %zu", i);
    cr_expect_eq(cn_model_error_level(model, 0, &level, NULL), CN_INVALID);
    cr_expect_eq(cn_model_error_level(model, 1, &level, NULL), CN_INVALID);
    cr_expect_eq(cn_model_error_level(model, (double)NAN, &level, NULL), CN_INVALID);
    model->error_levels.count = 0;
    cr_expect_eq(cn_model_error_level(model, 0.01, &level, NULL), CN_INVALID);
    cn_model_free(model);
}

Test(label_sets, the_model_file_keeps_them) {
    char path[] = "/tmp/convnet-sets-XXXXXX";
    struct cn_model *model = create_model(), *read = NULL;
    struct cn_error error = {0};
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    model->error_levels = (struct cn_error_levels){
        .samples = 3000, .doubt = 0.8f, .count = 2, .levels = {{0.001, 0, 1e-6f}, {0.01, 0.4f, 1}}};
    cr_assert_eq(cn_model_write(model, path, &error), CN_OK, "%s", error.text);
    cr_assert_eq(cn_model_read(path, &read, &error), CN_OK, "%s", error.text);
    cr_expect_eq(read->error_levels.samples, 3000);
    cr_expect_eq(read->error_levels.count, 2);
    cr_expect_eq(read->error_levels.doubt, 0.8f);
    cr_expect_arr_eq(read->error_levels.levels, model->error_levels.levels,
                     2 * sizeof(struct cn_error_level));
    cr_expect_eq(read->network->temperature, 1.0f);
    (void)unlink(path);
    cn_model_free(read);
    cn_model_free(model);
}
