/* test_trainer.c: training gives the same bits for any threads and after interruptions, learns, and
 * refuses data and options that do not fit. The tests generate the data. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "convnet/trainer.h"
#include "data/dataset_table.h"
#include "model/safetensors.h"
#include "support/networks.h"

/* Three classes of 8x8 pictures: the class is the position of a bright row, with noise. */
static struct cn_dataset *stripes(size_t count, uint64_t seed) {
    struct cn_dataset *data = calloc(1, sizeof *data);
    struct cn_random random = cn_random_stream(seed, 0, 0, 0);
    data->shape = cn_shape_image(8, 8, 1);
    data->count = count;
    data->class_count = 3;
    data->images = malloc(count * 64);
    data->labels = malloc(count * sizeof *data->labels);
    data->class_names = calloc(3, sizeof(char *));
    for (size_t i = 0; i < 3; i++)
        data->class_names[i] = calloc(2, 1);
    for (size_t i = 0; i < count; i++) {
        data->labels[i] = (uint16_t)cn_random_below(&random, 3);
        for (size_t p = 0; p < 64; p++)
            data->images[i * 64 + p] = (uint8_t)(cn_random_below(&random, 120) +
                                                 (p / 8 == 1 + 2u * data->labels[i] ? 130 : 0));
    }
    (void)snprintf(data->sha256, sizeof data->sha256, "%064llx", (unsigned long long)seed);
    return data;
}

static const char *const layers =
    "Conv2D filters=6 kernel_size=3;BatchNormalization;Activation activation=relu;MaxPooling2D;"
    "Dropout rate=0.2;Flatten;Dense units=3 activation=softmax";

static struct cn_training_options options_of(int threads) {
    struct cn_training_options o = cn_training_options_default();
    o.epochs = 3;
    o.batch_size = 16;
    o.optimizer = CN_OPTIMIZER_ADAM;
    o.learning_rate = 0.01f;
    o.loss = CN_LOSS_CATEGORICAL_CROSSENTROPY;
    o.schedule = CN_SCHEDULE_COSINE;
    o.seed = 3;
    o.threads = threads;
    o.ema = 0.95f;
    cr_assert_eq(
        cn_augmentation_parse("handwriting,occlusion=3@0.5,rerender=2@0.5", &o.augmentation, NULL),
        CN_OK);
    return o;
}

/* Stops after this number of steps. */
static bool count_down(void *data, int epoch, size_t step, size_t steps, double loss,
                       double accuracy) {
    int *left = data;
    (void)epoch;
    (void)steps;
    cr_assert_geq(step, 1);
    cr_assert(isfinite(loss) && accuracy >= 0 && accuracy <= 1);
    return --*left > 0;
}

/* Trains; with stop > 0 interrupts after this number of steps, saves, and continues in another
 * trainer. */
static struct cn_model *train(int threads, int stop, struct cn_epoch_record *ret_last) {
    struct cn_dataset *data = stripes(100, 1), *validation = stripes(40, 2);
    struct cn_training_options options = options_of(threads);
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trainer_create(model, data, validation, &options, &trainer, &error), CN_OK);
    if (stop > 0) {
        char path[] = "/tmp/convnet-checkpoint-XXXXXX";
        const struct cn_training_callbacks callbacks = {&stop, count_down, NULL};
        cr_assert_eq(cn_trainer_run(trainer, &callbacks, NULL), CN_CANCELED);
        const int fd = mkstemp(path);
        cr_assert_geq(fd, 0);
        (void)close(fd);
        cr_assert_eq(cn_trainer_write_checkpoint(trainer, path, &error), CN_OK, "%s", error.text);
        cn_trainer_free(trainer);
        cn_model_free(model);
        model = test_model(layers);
        cr_assert_eq(cn_trainer_create(model, data, validation, &options, &trainer, NULL), CN_OK);
        cr_assert_eq(cn_trainer_read_checkpoint(trainer, path, &error), CN_OK, "%s", error.text);
        (void)unlink(path);
    }
    cr_assert_eq(cn_trainer_run(trainer, NULL, &error), CN_OK, "%s", error.text);
    size_t count = 0;
    const struct cn_epoch_record *history = cn_trainer_history(trainer, &count);
    cr_assert_eq(count, 3);
    *ret_last = history[2];
    cn_trainer_finish(trainer);
    cn_trainer_free(trainer);
    cn_dataset_free(data);
    cn_dataset_free(validation);
    return model;
}

static void same_training(struct cn_model *a, const struct cn_epoch_record *x, struct cn_model *b,
                          const struct cn_epoch_record *y) {
    cr_assert_eq(memcmp(a->network->parameters, b->network->parameters,
                        a->network->parameter_count * sizeof(float)),
                 0);
    cr_assert_eq(x->loss, y->loss);
    cr_assert_eq(x->validation_loss, y->validation_loss);
    cr_assert_eq(x->accuracy, y->accuracy);
    cn_model_free(b);
}

Test(trainer, the_same_bits_for_threads_and_interruptions) {
    struct cn_epoch_record expected, got;
    struct cn_model *model = train(1, 0, &expected);
    for (int threads = 2; threads <= 3; threads++) {
        struct cn_model *other = train(threads, 0, &got);
        same_training(model, &expected, other, &got);
    }
    for (int stop = 1; stop <= 15; stop += 2) { /* 7 steps per epoch: in the middle of an epoch,
                                                 * and at the end of one */
        struct cn_model *other = train(1 + stop % 2, stop, &got);
        same_training(model, &expected, other, &got);
    }
    cn_model_free(model);
}

/* ---- Callbacks give the same result after an interruption ---- */

/* Trains with a learning rate that gets worse, and with all callbacks; if `stop` is not 0, stops
 * and resumes after `stop` steps. */
static struct cn_model *watched(int stop, int threads, struct cn_epoch_record *ret_epochs,
                                size_t *ret_count, int *ret_best) {
    static const float weights[] = {1, 2, 0.5f};
    struct cn_dataset *data = stripes(100, 1), *validation = stripes(40, 2);
    struct cn_training_options o = options_of(threads);
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    size_t count = 0;
    o.epochs = 12;
    o.schedule = CN_SCHEDULE_CONSTANT;
    o.learning_rate = 0.1f;
    o.early_stopping = 3;
    o.plateau_patience = 1;
    o.keep_best = true;
    o.global_clip_norm = 1;
    o.class_weights = weights;
    cr_assert_eq(cn_trainer_create(model, data, validation, &o, &trainer, &error), CN_OK);
    if (stop > 0) {
        char path[] = "/tmp/convnet-checkpoint-XXXXXX";
        const struct cn_training_callbacks callbacks = {&stop, count_down, NULL};
        cr_assert_eq(cn_trainer_run(trainer, &callbacks, NULL), CN_CANCELED);
        (void)close(mkstemp(path));
        cr_assert_eq(cn_trainer_write_checkpoint(trainer, path, &error), CN_OK, "%s", error.text);
        cn_trainer_free(trainer);
        cn_model_free(model);
        model = test_model(layers);
        cr_assert_eq(cn_trainer_create(model, data, validation, &o, &trainer, NULL), CN_OK);
        cr_assert_eq(cn_trainer_read_checkpoint(trainer, path, &error), CN_OK, "%s", error.text);
        (void)unlink(path);
    }
    cr_assert_eq(cn_trainer_run(trainer, NULL, &error), CN_OK, "%s", error.text);
    cr_assert(cn_trainer_done(trainer));
    const struct cn_epoch_record *history = cn_trainer_history(trainer, &count);
    memcpy(ret_epochs, history, count * sizeof *history);
    *ret_count = count;
    *ret_best = cn_trainer_best_epoch(trainer);
    cn_trainer_finish(trainer);
    /* The written weights are those that the best epoch was validated with. */
    struct cn_evaluation evaluation;
    cr_assert_eq(cn_evaluate(model->network, validation, o.loss, 1, &evaluation, NULL), CN_OK);
    cr_assert_eq(evaluation.loss, history[*ret_best - 1].validation_loss);
    cn_evaluation_clear(&evaluation);
    cn_trainer_free(trainer);
    cn_dataset_free(data);
    cn_dataset_free(validation);
    return model;
}

Test(trainer, the_best_epoch_is_kept_and_a_plateau_ends_it) {
    struct cn_epoch_record expected[12], got[12];
    size_t count = 0, other_count = 0;
    int best = 0, other_best = 0;
    struct cn_model *model = watched(0, 1, expected, &count, &best);
    cr_assert(best >= 1 && (size_t)best <= count);
    cr_assert(count == 12 || count == (size_t)best + 3, "%zu epochs, best %d", count, best);
    for (size_t i = 0; i < count; i++)
        cr_assert(expected[i].validation_loss >= expected[best - 1].validation_loss);
    cr_assert_lt(expected[count - 1].learning_rate, 0.09, "the plateau lowers the rate");
    for (int stop = 9; stop <= 24; stop += 7) {
        struct cn_model *other = watched(stop, 2, got, &other_count, &other_best);
        cr_assert_eq(other_count, count);
        cr_assert_eq(other_best, best);
        same_training(model, &expected[count - 1], other, &got[count - 1]);
    }
    cn_model_free(model);
}

/* ---- Weights of classes and of samples ---- */

/* Trains a softmax of the pixels by plain gradient descent. */
static struct cn_model *weighted(const struct cn_dataset *data, const float *class_weights,
                                 int batch_size, int epochs, double *ret_loss) {
    struct cn_training_options o = cn_training_options_default();
    struct cn_model *model = test_model("Flatten;Dense units=3 activation=softmax");
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    size_t count = 0;
    o.epochs = epochs;
    o.batch_size = batch_size;
    o.learning_rate = 0.5f;
    o.loss = CN_LOSS_CATEGORICAL_CROSSENTROPY;
    o.class_weights = class_weights;
    cr_assert_eq(cn_trainer_create(model, data, NULL, &o, &trainer, &error), CN_OK, "%s",
                 error.text);
    cr_assert_eq(cn_trainer_run(trainer, NULL, &error), CN_OK, "%s", error.text);
    *ret_loss = cn_trainer_history(trainer, &count)[epochs - 1].loss;
    cn_trainer_free(trainer);
    return model;
}

/* One step on all samples, by Keras's formula: the loss is the mean over the samples of the
 * sample's weight times its class's weight times its cross-entropy. */
static void check_weighted_step(const struct cn_dataset *data, const float *class_weights) {
    enum { PIXELS = 64, CLASSES = 3 };
    struct cn_model *model = test_model("Flatten;Dense units=3 activation=softmax");
    const float *kernel = model->network->parameters, *bias = kernel + PIXELS * CLASSES;
    double loss = 0, got = 0, slopes[PIXELS + 1][CLASSES] = {{0}};
    for (size_t i = 0; i < data->count; i++) {
        const uint8_t *pixels = data->images + i * PIXELS;
        const double weight = (data->weights != NULL ? (double)data->weights[i] : 1) *
                              (class_weights != NULL ? (double)class_weights[data->labels[i]] : 1) /
                              (double)data->count;
        double shares[CLASSES], sum = 0;
        for (size_t c = 0; c < CLASSES; c++) {
            double logit = (double)bias[c];
            for (size_t p = 0; p < PIXELS; p++)
                logit += pixels[p] / 255.0 * (double)kernel[p * CLASSES + c];
            sum += shares[c] = exp(logit);
        }
        loss -= weight * log(shares[data->labels[i]] / sum);
        for (size_t c = 0; c < CLASSES; c++) {
            const double slope = weight * (shares[c] / sum - (c == data->labels[i]));
            for (size_t p = 0; p < PIXELS; p++)
                slopes[p][c] += slope * pixels[p] / 255.0;
            slopes[PIXELS][c] += slope;
        }
    }
    struct cn_model *trained = weighted(data, class_weights, (int)data->count, 1, &got);
    cr_assert_float_eq(got, loss, 1e-5, "a loss of %g, not %g", got, loss);
    cr_assert_eq(model->network->parameter_count, (size_t)(PIXELS + 1) * CLASSES);
    for (size_t i = 0; i < model->network->parameter_count; i++) {
        const double want = (double)kernel[i] - 0.5 * slopes[i / CLASSES][i % CLASSES];
        cr_assert_float_eq((double)trained->network->parameters[i], want, 1e-5,
                           "parameter %zu is %g, not %g", i,
                           (double)trained->network->parameters[i], want);
    }
    cn_model_free(trained);
    cn_model_free(model);
}

Test(trainer, weights_multiply_the_losses_of_classes_and_samples) {
    static const float class_weights[] = {2, 0.25f, 7};
    struct cn_dataset *data = stripes(50, 1);
    check_weighted_step(data, NULL);
    check_weighted_step(data, class_weights);
    cr_assert_eq(cn_dataset_weigh(data, NULL), CN_OK);
    for (size_t i = 0; i < data->count; i++)
        data->weights[i] = (float)(i % 4) / 2;
    check_weighted_step(data, NULL);
    check_weighted_step(data, class_weights);
    cn_dataset_free(data);
}

Test(trainer, a_sample_of_weight_0_teaches_nothing) {
    struct cn_dataset *data = stripes(50, 1);
    double loss = 0, other_loss = 0;
    cr_assert_eq(cn_dataset_weigh(data, NULL), CN_OK);
    for (size_t i = 0; i < data->count; i++)
        data->weights[i] = i % 3 == 0 ? 0 : 1;
    struct cn_model *model = weighted(data, NULL, 16, 4, &loss);
    for (size_t i = 0; i < data->count; i += 3) { /* another picture, another class */
        data->labels[i] = (uint16_t)((data->labels[i] + 1) % 3);
        memset(data->images + i * 64, (int)(i * 5), 64);
    }
    struct cn_model *other = weighted(data, NULL, 16, 4, &other_loss);
    cr_assert_eq(loss, other_loss);
    cr_assert_eq(memcmp(model->network->parameters, other->network->parameters,
                        model->network->parameter_count * sizeof(float)),
                 0);
    cn_model_free(model);
    cn_model_free(other);
    cn_dataset_free(data);
}

static void refused_training(const char *network, struct cn_training_options options,
                             const char *word) {
    struct cn_dataset *data = stripes(50, 1);
    struct cn_model *model = test_model(network);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, word), "%s", error.text);
    cn_model_free(model);
    cn_dataset_free(data);
}

Test(trainer, what_cannot_be_learned_is_refused_before_the_first_step) {
    struct cn_training_options o = options_of(1);
    refused_training("Flatten;Dense units=3 activation=sigmoid", o, "binary_crossentropy");
    refused_training("Flatten;Dense units=3", o, "logits");
    o.monitor = CN_MONITOR_VALIDATION_LOSS;
    refused_training(layers, o, "no validation data");
    o = options_of(1);
    o.clip_norm = o.clip_value = 1;
    refused_training(layers, o, "exclude each other");
}

/* The expected average, computed separately. */
struct follower {
    const struct cn_network *network;
    size_t updates;
    double average[1024];
};

static bool follow(void *data, int epoch, size_t step, size_t steps, double loss, double accuracy) {
    struct follower *f = data;
    const double t = (double)f->updates++, decay = fmin((double)0.95f, (1 + t) / (10 + t));
    (void)epoch;
    (void)step;
    (void)steps;
    (void)loss;
    (void)accuracy;
    for (size_t i = 0; i < f->network->parameter_count; i++)
        f->average[i] = decay * f->average[i] + (1 - decay) * (double)f->network->parameters[i];
    return true;
}

Test(trainer, the_average_of_the_weights_is_validated_and_kept) {
    struct cn_dataset *data = stripes(100, 1), *validation = stripes(40, 2);
    const struct cn_training_options options = options_of(2);
    struct cn_model *model = test_model(layers);
    struct follower follower = {.network = model->network};
    const struct cn_training_callbacks callbacks = {&follower, follow, NULL};
    struct cn_trainer *trainer = NULL;
    struct cn_evaluation evaluation;
    size_t count = 0, moved = 0;
    cr_assert_leq(model->network->parameter_count, 1024);
    model->network->layers[0].tensors[0].rule.l2 = 0.1f;
    for (size_t i = 0; i < model->network->parameter_count; i++)
        follower.average[i] = (double)model->network->parameters[i];
    cr_assert_eq(cn_trainer_create(model, data, validation, &options, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_run(trainer, &callbacks, NULL), CN_OK);
    for (size_t i = 0; i < model->network->parameter_count; i++)
        moved += fabs((double)model->network->parameters[i] - follower.average[i]) > 1e-3;
    cr_assert_gt(moved, 10, "until the end the model has the weights themselves");
    cn_trainer_finish(trainer);
    for (size_t i = 0; i < model->network->parameter_count; i++)
        cr_assert_float_eq((double)model->network->parameters[i], follower.average[i], 1e-5);
    cr_assert_eq(cn_evaluate(model->network, validation, options.loss, 1, &evaluation, NULL),
                 CN_OK);
    cr_assert_eq(evaluation.loss + cn_network_penalty(model->network),
                 cn_trainer_history(trainer, &count)[2].validation_loss);
    cn_evaluation_clear(&evaluation);
    cn_trainer_free(trainer);
    cn_model_free(model);
    cn_dataset_free(data);
    cn_dataset_free(validation);
}

Test(trainer, it_learns) {
    struct cn_dataset *data = stripes(300, 1), *test = stripes(200, 9);
    struct cn_training_options options = options_of(1);
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    struct cn_evaluation evaluation;
    options.epochs = 12;
    options.augmentation = (struct cn_augmentation){0};
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_run(trainer, NULL, NULL), CN_OK);
    cr_assert_eq(cn_evaluate(model->network, test, options.loss, 2, &evaluation, NULL), CN_OK);
    cr_assert_gt(evaluation.accuracy, 0.95, "%g", evaluation.accuracy);
    size_t sum = 0, diagonal = 0;
    for (size_t i = 0; i < 9; i++) {
        sum += evaluation.confusion[i];
        diagonal += i % 4 == 0 ? evaluation.confusion[i] : 0;
    }
    cr_assert_eq(sum, 200);
    cr_assert_eq(diagonal, evaluation.correct);
    cn_evaluation_clear(&evaluation);
    cn_trainer_free(trainer);
    cn_model_free(model);
    cn_dataset_free(data);
    cn_dataset_free(test);
}

/* ---- A teacher ---- */

/* A student whose data have only wrong labels. */
static struct cn_model *taught(const struct cn_model *teacher, float share, int threads) {
    struct cn_dataset *data = stripes(300, 1);
    struct cn_training_options options = options_of(threads);
    struct cn_model *pupil = test_model(layers);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    options.epochs = 12;
    options.augmentation = (struct cn_augmentation){0};
    for (size_t i = 0; i < data->count; i++)
        data->labels[i] = (uint16_t)((data->labels[i] + 1) % 3);
    cr_assert_eq(cn_trainer_create(pupil, data, NULL, &options, &trainer, NULL), CN_OK);
    if (teacher != NULL)
        cr_assert_eq(cn_trainer_set_teacher(trainer, teacher, share, &error), CN_OK, "%s",
                     error.text);
    cr_assert_eq(cn_trainer_run(trainer, NULL, NULL), CN_OK);
    cn_trainer_finish(trainer);
    cn_trainer_free(trainer);
    cn_dataset_free(data);
    return pupil;
}

static double accuracy_of(const struct cn_model *model) {
    struct cn_dataset *test = stripes(200, 9);
    struct cn_evaluation evaluation;
    cr_assert_eq(
        cn_evaluate(model->network, test, CN_LOSS_CATEGORICAL_CROSSENTROPY, 1, &evaluation, NULL),
        CN_OK);
    const double accuracy = evaluation.accuracy;
    cn_evaluation_clear(&evaluation);
    cn_dataset_free(test);
    return accuracy;
}

Test(trainer, a_teacher_s_answers_are_targets) {
    struct cn_dataset *data = stripes(300, 1);
    struct cn_training_options options = options_of(1);
    struct cn_model *teacher = test_model("Flatten;Dense units=3 activation=softmax");
    struct cn_trainer *trainer = NULL;
    options.epochs = 12;
    options.augmentation = (struct cn_augmentation){0};
    cr_assert_eq(cn_trainer_create(teacher, data, NULL, &options, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_run(trainer, NULL, NULL), CN_OK);
    cn_trainer_free(trainer);
    cn_dataset_free(data);
    cr_assert_gt(accuracy_of(teacher), 0.9);

    struct cn_model *alone = taught(NULL, 0, 1), *whole = taught(teacher, 1, 1);
    struct cn_model *most = taught(teacher, 0.8f, 1), *threaded = taught(teacher, 0.8f, 3);
    struct cn_model *little = taught(teacher, 0.2f, 1);
    cr_assert_lt(accuracy_of(alone), 0.1, "the labels are all wrong");
    cr_assert_gt(accuracy_of(whole), 0.9, "the labels say nothing then");
    cr_assert_gt(accuracy_of(most), 0.9, "%g", accuracy_of(most));
    cr_assert_lt(accuracy_of(little), 0.1, "the labels have the most to say");
    cr_assert_eq(memcmp(most->network->parameters, threaded->network->parameters,
                        most->network->parameter_count * sizeof(float)),
                 0);
    cn_model_free(alone);
    cn_model_free(whole);
    cn_model_free(most);
    cn_model_free(threaded);
    cn_model_free(little);
    cn_model_free(teacher);
}

static void refused_teacher(struct cn_model *teacher, float share, const char *word) {
    struct cn_dataset *data = stripes(50, 1);
    const struct cn_training_options options = options_of(1);
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_set_teacher(trainer, teacher, share, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, word), "%s", error.text);
    cn_trainer_free(trainer);
    cn_dataset_free(data);
    cn_model_free(model);
    cn_model_free(teacher);
}

Test(trainer, a_teacher_of_other_things_is_refused) {
    struct cn_model *other = NULL;
    const char *names[] = {"0", "1", "x"};
    refused_teacher(test_model(layers), 0, "share is 0");
    refused_teacher(test_model(layers), 1.5f, "share is 1.5");
    refused_teacher(test_model("Flatten;Dense units=4 activation=softmax"), 0.5f, "has 4 classes");
    refused_teacher(test_model("Flatten;Dense units=3 activation=sigmoid"), 0.5f,
                    "is a Dense; a teacher must end with a softmax");
    other = test_model(layers);
    cr_assert_eq(cn_model_set_labels(other, names, 3, NULL), CN_OK);
    refused_teacher(other, 0.5f, "class 2 of the teacher is \"x\"");
    struct cn_network *network = test_network(cn_shape_vector(7), "Dense units=3", 1);
    cr_assert_eq(cn_model_create(network, &other, NULL), CN_OK);
    refused_teacher(other, 0.5f, "takes (7)");
}

static void refused_checkpoint(struct cn_training_options changed, struct cn_dataset *data,
                               const char *path, const char *word) {
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trainer_create(model, data, NULL, &changed, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_read_checkpoint(trainer, path, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, word), "%s", error.text);
    cn_trainer_free(trainer);
    cn_model_free(model);
}

Test(trainer, another_training_s_checkpoint_is_refused) {
    char path[] = "/tmp/convnet-checkpoint-XXXXXX";
    struct cn_dataset *data = stripes(50, 1), *other = stripes(50, 2);
    struct cn_training_options options = options_of(1), changed = options;
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    (void)close(mkstemp(path));
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_write_checkpoint(trainer, path, NULL), CN_OK);
    changed.learning_rate = 0.02f;
    refused_checkpoint(changed, data, path, "learning_rate");
    changed = options;
    changed.seed = 4;
    refused_checkpoint(changed, data, path, "seed");
    changed = options;
    changed.ema = 0;
    refused_checkpoint(changed, data, path, "ema");
    changed = options;
    changed.epochs = 5;
    refused_checkpoint(changed, data, path, "epochs");
    refused_checkpoint(options, other, path, "data");
    cr_assert_eq(cn_trainer_set_teacher(trainer, model, 0.5f, NULL), CN_OK);
    cr_assert_eq(cn_trainer_write_checkpoint(trainer, path, NULL), CN_OK);
    refused_checkpoint(options, data, path, "teacher");
    (void)unlink(path);
    cn_trainer_free(trainer);
    cn_model_free(model);
    cn_dataset_free(data);
    cn_dataset_free(other);
}

/* More regularizers than a network may have outputs, whatever the threads. */
Test(trainer, every_activity_is_penalized) {
    enum { LAYERS = 70 };
    char text[4096] = "Flatten;";
    struct cn_dataset *data = stripes(30, 1);
    double sum = 0, first = 0;
    for (size_t i = 0; i < LAYERS; i++)
        (void)strcat(text, "ActivityRegularization l1=0.01;");
    (void)strcat(text, "Dense units=3 activation=softmax");
    for (size_t i = 0; i < data->count * 64; i++)
        sum += data->images[i] / 255.0;
    struct cn_model *model = test_model(text);
    for (int threads = 1; threads <= 3; threads++) {
        struct cn_evaluation evaluation = {0};
        struct cn_error error = {0};
        cr_assert_eq(cn_evaluate(model->network, data, CN_LOSS_CATEGORICAL_CROSSENTROPY, threads,
                                 &evaluation, &error),
                     CN_OK, "%s", error.text);
        cr_assert_float_eq(evaluation.activity_penalty, LAYERS * 0.01 * sum / (double)data->count,
                           1e-4, "%.9g", evaluation.activity_penalty);
        first = threads == 1 ? evaluation.activity_penalty : first;
        cr_assert_eq(evaluation.activity_penalty, first);
        cn_evaluation_clear(&evaluation);
    }
    cn_model_free(model);
    cn_dataset_free(data);
}

static size_t validation_memory(const char *text) {
    const struct cn_training_options options = options_of(2);
    struct cn_model *model = test_model(text);
    struct cn_training_memory memory;
    cr_assert_eq(cn_training_memory(model->network, 0, 1000, &options, &memory, NULL), CN_OK);
    cn_model_free(model);
    return memory.validation;
}

Test(trainer, memory_counts_what_validation_needs) {
    const char *const plain = "Flatten;Dense units=300 activation=softmax";
    const char *const penalized =
        "Flatten;ActivityRegularization l1=0.01;Dense units=300 activation=softmax";
    const size_t answers = 1000 * 300 * sizeof(float), confusion = 300 * 300 * sizeof(size_t);
    const size_t penalties = 1000 * sizeof(double), weights = 65 * 300 * sizeof(float);
    cr_assert_geq(validation_memory(plain), answers + confusion + weights);
    cr_assert_geq(validation_memory(penalized), validation_memory(plain) + penalties + weights);
}

/* An attacker who changes a checkpoint can also make its checksum right again. */
Test(trainer, a_forged_checkpoint_is_refused) {
    static const struct {
        const char *key, *value, *said;
    } cases[] = {
        {"format", "convnet-checkpoint/2",
         "made when gradients were summed in 8 parts; now they are in 32"},
        {"format", "convnet-checkpoint/1", "is not a checkpoint"},
        {"watch", "0x1p+0 1 0 0x0p+0 0 0x1p+0 0 0", "its best epoch is 1, and 0 are finished"},
        {"watch", "0x1p+0 0 0 0x0p+0 0 0x1p+0 1 0", "its best epoch is 0, and 0 are finished"},
        {"conditions",
         "augmentation=a123456789b123456789c123456789d123456789 "
         "e123456789f123456789g123456789h123456789i123456789j123456789k123456789l123456789m12345678"
         "9 n",
         "made with augmentation a123456789b123456789c123456789d123456789 "
         "e123456789f123456789g123456789h123456789i; this training has shards 32: give"},
        {"conditions", "seed=", "made with seed; this training has"},
        {"conditions", "", "its conditions end too early"},
    };
    char path[] = "/tmp/convnet-checkpoint-XXXXXX";
    struct cn_dataset *data = stripes(50, 1);
    struct cn_training_options options = options_of(1);
    struct cn_model *model = test_model(layers);
    struct cn_trainer *trainer = NULL;
    (void)close(mkstemp(path));
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, NULL), CN_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_safetensors *file = NULL;
        struct cn_error error = {0};
        cr_assert_eq(cn_trainer_write_checkpoint(trainer, path, NULL), CN_OK);
        cr_assert_eq(cn_safetensors_read(path, &file, NULL, NULL), CN_OK);
        for (size_t m = 0; m < file->metadata_count; m++)
            if (strcmp(file->metadata[m].key, cases[i].key) == 0) {
                free(file->metadata[m].value);
                file->metadata[m].value = strdup(cases[i].value);
            }
        cr_assert_eq(cn_safetensors_write(path, file->tensors, file->tensor_count, file->metadata,
                                          file->metadata_count, NULL),
                     CN_OK);
        cn_safetensors_free(file);
        cr_expect_neq(cn_trainer_read_checkpoint(trainer, path, &error), CN_OK);
        cr_expect_not_null(strstr(error.text, cases[i].said), "%s", error.text);
    }
    (void)unlink(path);
    cn_trainer_free(trainer);
    cn_model_free(model);
    cn_dataset_free(data);
}

Test(trainer, data_that_do_not_fit_are_refused) {
    struct cn_dataset *data = stripes(50, 1);
    struct cn_training_options options = options_of(1);
    struct cn_model *model = test_model("Flatten;Dense units=2 activation=softmax");
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "3 classes"), "%s", error.text);
    cn_model_free(model);
    cn_dataset_free(data);
}

/* A learning rate that makes the weights infinite after some steps. */
static struct cn_training_options runaway_options(void) {
    struct cn_training_options o = options_of(1);
    o.optimizer = CN_OPTIMIZER_SGD;
    o.schedule = CN_SCHEDULE_CONSTANT;
    o.loss = CN_LOSS_MEAN_SQUARED_ERROR;
    o.learning_rate = 1e5f;
    o.ema = 0;
    return o;
}

Test(trainer, a_loss_that_runs_away_is_an_error) {
    struct cn_dataset *data = stripes(50, 1);
    const struct cn_training_options options = runaway_options();
    struct cn_model *model = test_model("Flatten;Dense units=40 activation=relu;Dense units=3");
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, NULL), CN_OK);
    cr_assert_eq(cn_trainer_run(trainer, NULL, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "the loss is no longer finite"), "%s", error.text);
    cn_trainer_free(trainer);
    cn_model_free(model);
    cn_dataset_free(data);
}

/* The last step of all may be the one that makes the weights infinite. */
Test(trainer, weights_that_are_not_finite_are_never_a_result) {
    struct cn_dataset *data = stripes(16, 1);
    int refused = 0;
    for (int epochs = 1; epochs <= 9; epochs++) { /* each has one step */
        struct cn_training_options options = runaway_options();
        struct cn_model *model = test_model("Flatten;Dense units=3");
        struct cn_trainer *trainer = NULL;
        struct cn_error error = {0};
        options.epochs = epochs;
        cr_assert_eq(cn_trainer_create(model, data, NULL, &options, &trainer, NULL), CN_OK);
        const enum cn_status status = cn_trainer_run(trainer, NULL, &error);
        for (size_t i = 0; status == CN_OK && i < model->network->parameter_count; i++)
            cr_assert(isfinite(model->network->parameters[i]), "after epoch %d", epochs);
        if (status != CN_OK && refused++ == 0)
            cr_assert_not_null(strstr(error.text, "the weights are no longer finite"), "%s",
                               error.text);
        cn_trainer_free(trainer);
        cn_model_free(model);
    }
    cr_assert_gt(refused, 0);
    cn_dataset_free(data);
}

/* ---- One sigmoid for two classes; mixed images ---- */

static struct cn_model *trained(const char *network_layers, size_t classes, const char *augment,
                                enum cn_loss loss, int threads, double *ret_accuracy) {
    struct cn_dataset *data = stripes(120, 1);
    struct cn_training_options o = cn_training_options_default();
    struct cn_model *model = test_model(network_layers);
    struct cn_trainer *trainer = NULL;
    struct cn_error error = {0};
    struct cn_evaluation evaluation;
    for (size_t i = 0; i < data->count; i++)
        data->labels[i] = (uint16_t)(data->labels[i] % classes);
    data->class_count = classes;
    o.epochs = 15;
    o.batch_size = 16;
    o.optimizer = CN_OPTIMIZER_ADAM;
    o.learning_rate = 0.01f;
    o.loss = loss;
    o.threads = threads;
    cr_assert_eq(cn_augmentation_parse(augment, &o.augmentation, NULL), CN_OK);
    cr_assert_eq(cn_trainer_create(model, data, NULL, &o, &trainer, &error), CN_OK, "%s",
                 error.text);
    cr_assert_eq(cn_trainer_run(trainer, NULL, &error), CN_OK, "%s", error.text);
    cn_trainer_finish(trainer);
    cn_trainer_free(trainer);
    cr_assert_eq(cn_evaluate(model->network, data, loss, 1, &evaluation, &error), CN_OK, "%s",
                 error.text);
    for (size_t i = 0; classes == 2 && i < evaluation.samples; i++)
        cr_assert_float_eq(
            (double)(evaluation.probabilities[2 * i] + evaluation.probabilities[2 * i + 1]), 1,
            1e-6);
    cr_assert_eq(evaluation.class_count, classes);
    *ret_accuracy = evaluation.accuracy;
    cn_evaluation_clear(&evaluation);
    data->class_count = 3; /* as many names as must be freed */
    cn_dataset_free(data);
    return model;
}

Test(trainer, one_sigmoid_learns_two_classes) {
    double accuracy = 0;
    cn_model_free(trained("Flatten;Dense units=8 activation=relu;Dense units=1 activation=sigmoid",
                          2, "none", CN_LOSS_BINARY_CROSSENTROPY, 1, &accuracy));
    cr_assert_gt(accuracy, 0.95, "accuracy %g", accuracy);
}

Test(trainer, mixtures_teach_and_have_the_same_bits_for_any_threads) {
    double accuracy = 0;
    const char *mixed = "mixup=0.3@0.5,cutmix=1@0.5";
    struct cn_model *one =
        trained(layers, 3, mixed, CN_LOSS_CATEGORICAL_CROSSENTROPY, 1, &accuracy);
    cr_assert_gt(accuracy, 0.8, "accuracy %g", accuracy);
    struct cn_model *three =
        trained(layers, 3, mixed, CN_LOSS_CATEGORICAL_CROSSENTROPY, 3, &accuracy);
    cr_assert_eq(memcmp(one->network->parameters, three->network->parameters,
                        one->network->parameter_count * sizeof(float)),
                 0);
    cn_model_free(one);
    cn_model_free(three);
}
