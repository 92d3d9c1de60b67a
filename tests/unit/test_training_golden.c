/* test_training_golden.c: compares every loss with its derivative, and every optimizer under every
 * schedule, with an independent implementation, tests/golden/make-training.py. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "convnet/trainer.h"
#include "network/loss.h"
#include "support/networks.h"

enum { COUNT = 5, STEPS = 50, EPOCH = 10, SHOWN = 10, CLASSES = 3, SAMPLES = 3 };

static json_t *golden(const char *part) {
    json_t *json = json_load_file(TEST_DATA_DIR "/../golden/golden-training.json", 0, NULL);
    json_t *result = json_incref(json_object_get(json, part));
    cr_assert_not_null(result);
    json_decref(json);
    return result;
}

/* The same multiples of 1/8 as in the script. */
static float gradient_at(int step, int i) {
    return (float)((7 * i + 3 * step) % 11 - 5) / 8;
}

/* The options of an optimizer's name in the file, such as "sgd momentum nesterov". */
static struct cn_training_options options_of(const char *name, const char *schedule,
                                             const json_t *settings) {
    struct cn_training_options o = cn_training_options_default();
    struct cn_error error = {0};
    char first[32];
    (void)sscanf(name, "%31s", first);
    const int index = cn_name_index(cn_optimizer_names, first);
    cr_assert_geq(index, 0, "%s", name);
    o.optimizer = (enum cn_optimizer)index;
    o.momentum = o.beta_1 = o.beta_2 = o.rho = o.epsilon = o.weight_decay = NAN;
    if (strstr(name, " momentum") != NULL)
        o.momentum = 0.9f;
    o.nesterov = strstr(name, " nesterov") != NULL;
    o.learning_rate = 0.05f;
    (void)sscanf(schedule, "%31s", first);
    const int which = cn_name_index(cn_schedule_names, first);
    cr_assert_geq(which, 0, "%s", schedule);
    o.schedule = (enum cn_schedule)which;
    const struct {
        const char *name;
        float *value;
    } fields[] = {{"decay_rate", &o.decay_rate},
                  {"decay_epochs", &o.decay_epochs},
                  {"end_rate", &o.end_rate},
                  {"power", &o.power},
                  {"warmup_epochs", &o.warmup_epochs}};
    size_t known = 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(settings, fields[i].name);
        known += value != NULL;
        if (value != NULL)
            *fields[i].value = (float)json_number_value(value);
    }
    cr_assert_eq(known, json_object_size(settings), "%s: an option is not known", schedule);
    cr_assert_eq(cn_training_options_complete(&o, &error), CN_OK, "%s", error.text);
    cr_assert_eq(cn_training_options_check(&o, &error), CN_OK, "%s", error.text);
    return o;
}

/* Fifty steps of one optimizer; the file has the parameters after every tenth. */
static void follow_path(const struct cn_training_options *o, const char *what, const json_t *path) {
    float parameters[COUNT] = {1, -2, 0.5f, 0.25f, 3}, state[2 * COUNT] = {0}, gradients[COUNT];
    const uint8_t decay[COUNT] = {1, 1, 1, 1, 1};
    cr_assert_eq(json_array_size(path), STEPS / SHOWN, "%s", what);
    for (int step = 1; step <= STEPS; step++) {
        for (int i = 0; i < COUNT; i++)
            gradients[i] = gradient_at(step, i);
        cn_optimizer_step(o, cn_schedule_rate(o, (uint64_t)step - 1, STEPS, EPOCH), (uint64_t)step,
                          decay, gradients, state, parameters, COUNT);
        const json_t *row = json_array_get(path, (size_t)(step / SHOWN) - 1);
        for (size_t i = 0; step % SHOWN == 0 && i < COUNT; i++) {
            const double want = json_number_value(json_array_get(row, i));
            cr_expect_float_eq((double)parameters[i], want, 1e-5,
                               "%s: parameter %zu after step %d is %.9g, not %.9g", what, i, step,
                               (double)parameters[i], want);
        }
    }
}

/* True if a name of the file is about `name`. */
static bool is_compared(json_t *all, const char *name) {
    const char *key;
    json_t *value;
    json_object_foreach(all, key, value) {
        const size_t length = strcspn(key, " ");
        if (length == strlen(name) && strncmp(key, name, length) == 0)
            return true;
    }
    return false;
}

Test(training_golden, every_optimizer_under_every_schedule_is_pytorchs) {
    json_t *schedules = golden("schedules"), *of_schedule, *path;
    const char *schedule, *name;
    for (size_t i = 0; cn_schedule_names[i] != NULL; i++)
        cr_assert(is_compared(schedules, cn_schedule_names[i]), "%s is compared with nothing",
                  cn_schedule_names[i]);
    json_object_foreach(schedules, schedule, of_schedule) {
        json_t *optimizers = json_object_get(of_schedule, "optimizers");
        const json_t *settings = json_object_get(of_schedule, "options");
        const json_t *rates = json_object_get(of_schedule, "rates");
        for (size_t i = 0; cn_optimizer_names[i] != NULL; i++)
            cr_assert(is_compared(optimizers, cn_optimizer_names[i]), "%s is compared with nothing",
                      cn_optimizer_names[i]);
        json_object_foreach(optimizers, name, path) {
            const struct cn_training_options o = options_of(name, schedule, settings);
            char what[96];
            (void)snprintf(what, sizeof what, "%s, %s", name, schedule);
            follow_path(&o, what, path);
            for (size_t step = 0; step < STEPS; step++) {
                const double want = json_number_value(json_array_get(rates, step));
                cr_expect_float_eq((double)cn_schedule_rate(&o, step, STEPS, EPOCH), want, 1e-8,
                                   "%s: step %zu has not the rate %.9g", schedule, step, want);
            }
        }
    }
    json_decref(schedules);
}

Test(training_golden, every_loss_is_pytorchs) {
    static const float outputs[SAMPLES][CLASSES] = {
        {0.7f, 0.2f, 0.1f}, {0.05f, 0.9f, 0.05f}, {0.4f, 0.35f, 0.25f}};
    static const unsigned labels[SAMPLES] = {0, 2, 1};
    json_t *losses = golden("losses");
    for (int loss = 0; cn_loss_names[loss] != NULL; loss++) {
        const json_t *rows = json_object_get(losses, cn_loss_names[loss]);
        cr_assert_not_null(rows, "%s is compared with nothing", cn_loss_names[loss]);
        for (size_t s = 0; s < SAMPLES; s++) {
            const json_t *row = json_array_get(rows, s);
            const double want = json_number_value(json_object_get(row, "value"));
            const double got = cn_loss_value((enum cn_loss)loss, outputs[s], CLASSES, labels[s], 0);
            float dy[CLASSES];
            cr_expect_float_eq(got, want, 1e-6 + 1e-5 * fabs(want), "%s: %.9g, not %.9g",
                               cn_loss_names[loss], got, want);
            cn_loss_target(dy, (enum cn_loss)loss, CLASSES, labels[s], 0);
            cr_expect_eq(cn_loss_against((enum cn_loss)loss, outputs[s], dy, CLASSES), got);
            cn_loss_gradient(dy, (enum cn_loss)loss, outputs[s], CLASSES, 2, false);
            for (size_t c = 0; c < CLASSES; c++) {
                const double slope =
                    json_number_value(json_array_get(json_object_get(row, "slope"), c));
                cr_expect_float_eq((double)dy[c], 2 * slope, 1e-5 + 1e-5 * fabs(slope),
                                   "%s: slope %zu is %.9g, not %.9g", cn_loss_names[loss], c,
                                   (double)dy[c], 2 * slope);
            }
        }
    }
    json_decref(losses);
}

/* ---- Small trainings, with the script's pictures and weights ---- */

static struct cn_dataset *pictures(int first, size_t count, size_t classes) {
    struct cn_dataset *data = calloc(1, sizeof *data);
    data->shape = cn_shape_image(8, 8, 1);
    data->count = count;
    data->class_count = classes;
    data->images = malloc(count * 64);
    data->labels = malloc(count * sizeof *data->labels);
    data->class_names = calloc(classes, sizeof(char *));
    for (size_t c = 0; c < classes; c++)
        data->class_names[c] = calloc(2, 1);
    for (size_t s = 0; s < count; s++) {
        const int sample = first + (int)s;
        data->labels[s] = (uint16_t)((size_t)sample % classes);
        for (int i = 0; i < 64; i++)
            data->images[s * 64 + (size_t)i] =
                (uint8_t)((37 * i + 101 * sample + 5 * (sample * i % 13)) % 256);
    }
    return data;
}

static void set_weights(struct cn_network *network) {
    memset(network->parameters, 0, network->parameter_count * sizeof *network->parameters);
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        for (int i = 0; tensor->rank == 2 && i < tensor->dims[0]; i++)
            for (int j = 0; j < tensor->dims[1]; j++)
                network->parameters[tensor->offset + (size_t)(i * tensor->dims[1] + j)] =
                    (float)((3 * i + 5 * j) % 7 - 3) / 16;
    }
}

Test(training_golden, smoothed_labels_and_activities_train_as_in_pytorch) {
    static const struct {
        const char *name, *layers;
        float smoothing;
        enum cn_loss loss;
        size_t classes;
    } cases[] = {
        {"softmax smoothed",
         "Flatten;Dense units=4 activation=relu;Dense units=3 activation=softmax", 0.1f,
         CN_LOSS_CATEGORICAL_CROSSENTROPY, 3},
        {"sigmoid smoothed",
         "Flatten;Dense units=4 activation=relu;Dense units=1 activation=sigmoid", 0.2f,
         CN_LOSS_BINARY_CROSSENTROPY, 2},
        {"activity",
         "Flatten;Dense units=4 activation=relu;ActivityRegularization l1=0.01 l2=0.02;Dense "
         "units=3 activation=softmax",
         0, CN_LOSS_CATEGORICAL_CROSSENTROPY, 3},
    };
    json_t *trainings = golden("trainings");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const json_t *want = json_object_get(trainings, cases[i].name);
        struct cn_dataset *data = pictures(0, 12, cases[i].classes);
        struct cn_dataset *validation = pictures(12, 8, cases[i].classes);
        struct cn_training_options o = cn_training_options_default();
        struct cn_model *model = test_model(cases[i].layers);
        struct cn_trainer *trainer = NULL;
        struct cn_error error = {0};
        size_t count = 0;
        o.epochs = 5;
        o.batch_size = 12;
        o.learning_rate = 0.5f;
        o.loss = cases[i].loss;
        o.label_smoothing = cases[i].smoothing;
        set_weights(model->network);
        cr_assert_eq(cn_trainer_create(model, data, validation, &o, &trainer, &error), CN_OK, "%s",
                     error.text);
        cr_assert_eq(cn_trainer_run(trainer, NULL, &error), CN_OK, "%s", error.text);
        const struct cn_epoch_record *epochs = cn_trainer_history(trainer, &count);
        cr_assert_eq(count, 5);
        for (size_t e = 0; e < count; e++) {
            const double loss = json_number_value(json_array_get(json_object_get(want, "loss"), e));
            const double validated =
                json_number_value(json_array_get(json_object_get(want, "val_loss"), e));
            cr_expect_float_eq(epochs[e].loss, loss, 1e-5, "%s: loss %zu is %.9g, not %.9g",
                               cases[i].name, e, epochs[e].loss, loss);
            cr_expect_float_eq(epochs[e].validation_loss, validated, 1e-5,
                               "%s: val_loss %zu is %.9g, not %.9g", cases[i].name, e,
                               epochs[e].validation_loss, validated);
        }
        cn_trainer_free(trainer);
        cn_model_free(model);
        cn_dataset_free(data);
        cn_dataset_free(validation);
    }
    json_decref(trainings);
}

/* Central differences with label smoothing and weights, through a softmax or sigmoid. */
Test(training_golden, every_loss_is_derived_through_its_network) {
    float *images = test_floats(6 * 12, -1, 1, 1);
    uint16_t *labels = test_labels(6, 4, 2);
    const float weights[6] = {1, 2, 0.5f, 0, 3, 1};
    for (int loss = 0; cn_loss_names[loss] != NULL; loss++) {
        const bool binary = strstr(cn_loss_names[loss], "binary") != NULL;
        struct cn_network *network =
            test_network(cn_shape_vector(12),
                         binary ? "Dense units=5 activation=tanh;Dense units=4 activation=sigmoid"
                                : "Dense units=5 activation=tanh;Dense units=4 activation=softmax",
                         3);
        const struct cn_minibatch batch = {.count = 6,
                                           .images = images,
                                           .labels = labels,
                                           .seed = 1,
                                           .step = 1,
                                           .weights = weights};
        struct cn_error error = {0};
        double worst = 0;
        cr_assert_eq(cn_network_check_gradient(network, &batch, (enum cn_loss)loss, 0.1f, 1e-2, 1,
                                               &worst, &error),
                     CN_OK, "%s", error.text);
        cr_assert_lt(worst, 0.02, "%s: %g", cn_loss_names[loss], worst);
        cn_network_free(network);
    }
    free(images);
    free(labels);
}
