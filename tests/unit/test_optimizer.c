/* test_optimizer.c: compares the updates with the formulas of Keras's documentation, in double; the
 * rates of the schedules at their ends and turning points; the rules of the options. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "convnet/trainer.h"

enum { COUNT = 5, STEPS = 4 };
static const float begin[COUNT] = {1, -2, 0.5f, 0, 3};
static const uint8_t decay[COUNT] = {1, 1, 0, 0, 1};

static float gradient_at(int step, int i) {
    return 0.3f * (float)(i - 2) + 0.1f * (float)step * (float)(i % 2);
}

/* Parameter i after STEPS updates, computed with the formulas. */
static double expected(const struct cn_training_options *o, double rate, int i) {
    double p = (double)begin[i], v = 0, m = 0, s = 0;
    for (int t = 1; t <= STEPS; t++) {
        const double g = (double)gradient_at(t, i);
        if (decay[i])
            p -= p * (double)o->weight_decay * rate;
        if (o->optimizer == CN_OPTIMIZER_SGD) {
            v = (double)o->momentum * v - rate * g;
            p += o->nesterov ? (double)o->momentum * v - rate * g : v;
            continue;
        }
        m = (double)o->beta_1 * m + (1 - (double)o->beta_1) * g;
        s = (double)o->beta_2 * s + (1 - (double)o->beta_2) * g * g;
        p -= rate * sqrt(1 - pow((double)o->beta_2, t)) / (1 - pow((double)o->beta_1, t)) * m /
             (sqrt(s) + (double)o->epsilon);
    }
    return p;
}

static void check(const struct cn_training_options *options) {
    float parameters[COUNT], state[2 * COUNT] = {0}, gradients[COUNT];
    memcpy(parameters, begin, sizeof parameters);
    for (int t = 1; t <= STEPS; t++) {
        for (int i = 0; i < COUNT; i++)
            gradients[i] = gradient_at(t, i);
        cn_optimizer_step(options, 0.1f, (uint64_t)t, decay, gradients, state, parameters, COUNT);
    }
    for (int i = 0; i < COUNT; i++)
        cr_assert_float_eq((double)parameters[i], expected(options, 0.1, i), 2e-6,
                           "%s: parameter %d is %g, not %g", cn_optimizer_names[options->optimizer],
                           i, (double)parameters[i], expected(options, 0.1, i));
}

Test(optimizer, updates_follow_the_formulas) {
    struct cn_training_options o = cn_training_options_default();
    check(&o);
    o.momentum = 0.9f;
    check(&o);
    o.nesterov = true;
    check(&o);
    o.optimizer = CN_OPTIMIZER_ADAM;
    check(&o);
    for (o.optimizer = CN_OPTIMIZER_SGD; o.optimizer <= CN_OPTIMIZER_ADAMW; o.optimizer++) {
        o.weight_decay = 0.1f;
        check(&o);
        o.weight_decay = 0;
        check(&o);
    }
}

static float rate_at(enum cn_schedule schedule, uint64_t step, uint64_t total) {
    struct cn_training_options o = cn_training_options_default();
    o.schedule = schedule;
    o.learning_rate = 0.5f;
    return cn_schedule_rate(&o, step, total, 10);
}

Test(optimizer, schedules_begin_turn_and_end_where_they_should) {
    cr_assert_eq(rate_at(CN_SCHEDULE_CONSTANT, 7, 11), 0.5f);
    cr_assert_eq(rate_at(CN_SCHEDULE_COSINE, 0, 101), 0.5f);
    cr_assert_float_eq((double)rate_at(CN_SCHEDULE_COSINE, 50, 101), 0.25, 1e-6);
    cr_assert_float_eq((double)rate_at(CN_SCHEDULE_COSINE, 100, 101), 0, 1e-7);
    cr_assert_float_eq((double)rate_at(CN_SCHEDULE_ONE_CYCLE, 0, 101), 0.02, 1e-7);
    cr_assert_float_eq((double)rate_at(CN_SCHEDULE_ONE_CYCLE, 30, 101), 0.5, 1e-6);
    cr_assert_float_eq((double)rate_at(CN_SCHEDULE_ONE_CYCLE, 100, 101), 5e-5, 1e-8);
    cr_assert_eq(rate_at(CN_SCHEDULE_COSINE, 0, 1), 0.5f, "one step is no division");
}

static void refused(struct cn_training_options options, const char *name) {
    struct cn_error error = {0};
    cr_assert_eq(cn_training_options_check(&options, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, name), "%s", error.text);
}

Test(optimizer, bad_options_are_named) {
    struct cn_training_options o = cn_training_options_default();
    cr_assert_eq(cn_training_options_check(&o, NULL), CN_OK);
    o.epochs = 0;
    refused(o, "epochs is 0");
    o = cn_training_options_default();
    o.learning_rate = NAN;
    refused(o, "learning-rate");
    o = cn_training_options_default();
    o.label_smoothing = 1;
    refused(o, "label-smoothing");
    o = cn_training_options_default();
    o.augmentation.strength[CN_AUGMENT_ROTATION] = -1;
    refused(o, "rotation");
}
