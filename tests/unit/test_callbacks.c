/* test_callbacks.c: early stopping, the plateau and the best epoch with hand-made histories;
 * clipping, warm-up and the decaying schedules, compared with numbers computed by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "support/networks.h"
#include "train/trainer_private.h"

static struct cn_epoch_record record_of(int epoch, double loss) {
    return (struct cn_epoch_record){.epoch = epoch,
                                    .loss = 9,
                                    .validation_loss = loss,
                                    .validation_accuracy = 1 - loss,
                                    .learning_rate = 0.1};
}

Test(callbacks, stops_after_patience_and_knows_the_best) {
    static const double losses[] = {5, 3, 4, 2.95, 3.5, 3.4};
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    o.early_stopping = 2;
    o.min_delta = 0.1f; /* 2.95 is not better than 3 by the minimum */
    for (int i = 0; i < 4; i++) {
        const struct cn_epoch_record record = record_of(i + 1, losses[i]);
        cr_assert(!watch.stopped);
        cr_assert_eq(cn_callbacks_epoch(&watch, &o, &record), i < 2);
    }
    cr_assert(watch.stopped);
    cr_assert_eq(watch.best_epoch, 2);
    o.min_delta = 0;
    watch = (struct cn_callback_state){.plateau_scale = 1};
    for (int i = 0; i < 6; i++) {
        const struct cn_epoch_record record = record_of(i + 1, losses[i]);
        (void)cn_callbacks_epoch(&watch, &o, &record);
    }
    cr_assert(watch.stopped && watch.best_epoch == 4);
}

Test(callbacks, accuracy_is_better_when_it_is_more) {
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    struct cn_epoch_record record = record_of(1, 0.5);
    o.monitor = CN_MONITOR_VALIDATION_ACCURACY;
    cr_assert(cn_callbacks_epoch(&watch, &o, &record));
    record = record_of(2, 0.6);
    cr_assert(!cn_callbacks_epoch(&watch, &o, &record));
    record = record_of(3, 0.4);
    cr_assert(cn_callbacks_epoch(&watch, &o, &record));
    record = record_of(4, (double)NAN); /* without validation the training loss is compared */
    record.loss = 0.1;
    o.monitor = CN_MONITOR_AUTO;
    watch.best = 0.2;
    cr_assert(cn_callbacks_epoch(&watch, &o, &record));
}

/* A number that cannot be measured, such as the AUC of one class, is no best one. */
Test(callbacks, any_number_is_better_than_none) {
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    o.early_stopping = o.plateau_patience = 2;
    o.monitor = CN_MONITOR_VALIDATION_LOSS;
    static const double losses[] = {NAN, NAN, 5, 4, NAN, 4.5};
    static const bool better[] = {true, false, true, true, false, false};
    for (int i = 0; i < 6; i++) {
        const struct cn_epoch_record record = record_of(i + 1, losses[i]);
        cr_assert(!watch.stopped, "epoch %d", i + 1);
        cr_assert_eq(cn_callbacks_epoch(&watch, &o, &record), better[i], "epoch %d", i + 1);
        cr_assert_eq(watch.plateau_scale < 1, i == 5, "epoch %d", i + 1);
    }
    cr_assert(watch.stopped && watch.best_epoch == 4);
}

Test(callbacks, a_plateau_lowers_the_rate_to_its_least) {
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    o.plateau_patience = 2;
    o.plateau_factor = 0.5f;
    o.plateau_min_rate = 0.03f;
    static const double scales[] = {1, 1, 0.5, 0.5, 0.3, 0.3, 0.3};
    for (int i = 0; i < 7; i++) {
        struct cn_epoch_record record = record_of(i + 1, 1);
        record.learning_rate = 0.1 * watch.plateau_scale;
        (void)cn_callbacks_epoch(&watch, &o, &record);
        cr_assert_float_eq(watch.plateau_scale, scales[i], 1e-6, "after epoch %d: %g", i + 1,
                           watch.plateau_scale);
    }
}

/* Keras's EarlyStopping(patience=2, baseline=3): better epochs that are not better than the
 * baseline do not restart the count, but they do not end the training either. */
Test(callbacks, a_baseline_must_be_beaten) {
    static const double losses[] = {5, 4.5, 4, 4.2};
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    o.early_stopping = 2;
    o.has_baseline = true;
    o.baseline = 3;
    for (int i = 0; i < 4; i++) {
        const struct cn_epoch_record record = record_of(i + 1, losses[i]);
        cr_assert(!watch.stopped, "epoch %d", i + 1);
        cr_assert_eq(cn_callbacks_epoch(&watch, &o, &record), i < 3);
    }
    cr_assert(watch.stopped && watch.best_epoch == 3);
    watch = (struct cn_callback_state){.plateau_scale = 1};
    o.monitor = CN_MONITOR_VALIDATION_ACCURACY;
    o.baseline = 0.5f;
    static const double errors[] = {0.4, 0.45, 0.47}; /* an accuracy of 0.6 is better at once */
    for (int i = 0; i < 3; i++) {
        const struct cn_epoch_record record = record_of(i + 1, errors[i]);
        cr_assert(!watch.stopped);
        (void)cn_callbacks_epoch(&watch, &o, &record);
    }
    cr_assert(watch.stopped && watch.best_epoch == 1);
}

Test(callbacks, the_first_epochs_may_not_count) {
    static const double losses[] = {1, 2, 5, 6, 7};
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    o.early_stopping = 2;
    o.start_from_epoch = 2;
    for (int i = 0; i < 5; i++) {
        const struct cn_epoch_record record = record_of(i + 1, losses[i]);
        cr_assert(!watch.stopped);
        cr_assert_eq(cn_callbacks_epoch(&watch, &o, &record), i == 2);
    }
    cr_assert(watch.stopped && watch.best_epoch == 3);
}

/* Keras's ReduceLROnPlateau(patience=1, cooldown=2): the two epochs after a lowered rate are not
 * counted. */
Test(callbacks, a_plateau_cools_down) {
    static const double scales[] = {1, 0.5, 0.5, 0.25, 0.25, 0.125};
    struct cn_training_options o = cn_training_options_default();
    struct cn_callback_state watch = {.plateau_scale = 1};
    o.plateau_patience = 1;
    o.plateau_factor = 0.5f;
    o.plateau_cooldown = 2;
    for (int i = 0; i < 6; i++) {
        struct cn_epoch_record record = record_of(i + 1, 1 - 1e-5 * i); /* less than 1e-4 */
        record.learning_rate = 0.1 * watch.plateau_scale;
        (void)cn_callbacks_epoch(&watch, &o, &record);
        cr_assert_float_eq(watch.plateau_scale, scales[i], 1e-6, "after epoch %d: %g", i + 1,
                           watch.plateau_scale);
    }
}

/* ---- Clipping ---- */

static double norm_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sqrt(sum);
}

Test(callbacks, gradients_are_clipped_as_asked) {
    struct cn_network *network = test_network(cn_shape_vector(4), "Dense units=3;Dense units=2", 1);
    const size_t count = network->parameter_count;
    float *whole = test_floats(count, -2, 2, 1), *gradients = test_floats(count, -2, 2, 1);
    struct cn_training_options o = cn_training_options_default();
    cn_clip_gradients(&o, network, gradients);
    cr_assert_eq(memcmp(gradients, whole, count * sizeof *whole), 0, "not at all by default");
    o.clip_value = 0.5f;
    cn_clip_gradients(&o, network, gradients);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(gradients[i], whole[i] > 0.5f ? 0.5f : whole[i] < -0.5f ? -0.5f : whole[i]);
    memcpy(gradients, whole, count * sizeof *whole);
    o.clip_value = 0;
    o.global_clip_norm = 1.5f;
    cn_clip_gradients(&o, network, gradients);
    cr_assert_float_eq(norm_of(gradients, count), 1.5, 1e-5);
    cr_assert_float_eq((double)(gradients[3] / gradients[7]), (double)(whole[3] / whole[7]), 1e-5);
    memcpy(gradients, whole, count * sizeof *whole);
    o.global_clip_norm = 0;
    o.clip_norm = 1;
    cn_clip_gradients(&o, network, gradients);
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const double before = norm_of(whole + tensor->offset, tensor->size);
        cr_assert_float_eq(norm_of(gradients + tensor->offset, tensor->size), fmin(before, 1), 1e-5,
                           "%s", tensor->name);
    }
    free(whole);
    free(gradients);
    cn_network_free(network);
}

/* ---- Schedules: 10 steps per epoch, 100 in all ---- */

static double rate_at(const struct cn_training_options *o, uint64_t step) {
    return (double)cn_schedule_rate(o, step, 100, 10);
}

Test(callbacks, schedules_that_decay) {
    struct cn_training_options o = cn_training_options_default();
    o.learning_rate = 1;
    o.decay_rate = 0.5f;
    o.decay_epochs = 2;
    o.schedule = CN_SCHEDULE_STEP;
    cr_assert_float_eq(rate_at(&o, 19), 1, 1e-6);
    cr_assert_float_eq(rate_at(&o, 20), 0.5, 1e-6);
    cr_assert_float_eq(rate_at(&o, 60), 0.125, 1e-6);
    o.schedule = CN_SCHEDULE_EXPONENTIAL;
    cr_assert_float_eq(rate_at(&o, 10), sqrt(0.5), 1e-6);
    cr_assert_float_eq(rate_at(&o, 40), 0.25, 1e-6);
    o.schedule = CN_SCHEDULE_POLYNOMIAL;
    o.end_rate = 0.1f;
    o.power = 2;
    cr_assert_float_eq(rate_at(&o, 0), 1, 1e-6);
    cr_assert_float_eq(rate_at(&o, 99), 0.1, 1e-6);
    cr_assert_float_eq(rate_at(&o, 33), 0.1 + 0.9 * 4 / 9, 1e-6);
    o.schedule = CN_SCHEDULE_CONSTANT;
    o.warmup_epochs = 1;
    cr_assert_float_eq(rate_at(&o, 0), 1.0 / 11, 1e-6);
    cr_assert_float_eq(rate_at(&o, 9), 10.0 / 11, 1e-6);
    cr_assert_float_eq(rate_at(&o, 10), 1, 1e-6);
    o.schedule = CN_SCHEDULE_COSINE;
    cr_assert_float_eq(rate_at(&o, 10), 1, 1e-6, "the schedule begins where the climb ends");
    cr_assert_float_eq(rate_at(&o, 99), 0, 1e-6);
}
