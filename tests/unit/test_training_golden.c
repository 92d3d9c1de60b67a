/* test_training_golden.c: compares every loss with its derivative and every optimizer with an
 * independent implementation, tests/golden/make-training.py. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "convnet/trainer.h"
#include "network/loss.h"
#include "support/networks.h"

enum { COUNT = 5, STEPS = 12, CLASSES = 3, SAMPLES = 3 };

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

Test(training_golden, every_optimizer_is_pytorchs) {
    json_t *optimizers = golden("optimizers"), *path;
    const char *name;
    size_t compared = 0;
    json_object_foreach(optimizers, name, path) {
        struct cn_training_options o = cn_training_options_default();
        struct cn_error error = {0};
        float parameters[COUNT] = {1, -2, 0.5f, 0.25f, 3}, state[2 * COUNT] = {0}, gradients[COUNT];
        const uint8_t decay[COUNT] = {1, 1, 1, 1, 1};
        const int index = cn_name_index(cn_optimizer_names, name);
        cr_assert_geq(index, 0, "%s", name);
        o.optimizer = (enum cn_optimizer)index;
        o.learning_rate = 0.05f;
        o.momentum = o.beta_1 = o.beta_2 = o.rho = o.epsilon = o.weight_decay = NAN;
        cr_assert_eq(cn_training_options_complete(&o, &error), CN_OK, "%s", error.text);
        for (int step = 1; step <= STEPS; step++) {
            for (int i = 0; i < COUNT; i++)
                gradients[i] = gradient_at(step, i);
            cn_optimizer_step(&o, o.learning_rate, (uint64_t)step, decay, gradients, state,
                              parameters, COUNT);
            for (size_t i = 0; i < COUNT; i++) {
                const double want =
                    json_number_value(json_array_get(json_array_get(path, (size_t)step - 1), i));
                cr_expect_float_eq((double)parameters[i], want, 1e-5,
                                   "%s: parameter %zu after step %d is %.9g, not %.9g", name, i,
                                   step, (double)parameters[i], want);
            }
        }
        compared++;
    }
    for (size_t i = 0; i < compared; i++)
        cr_assert_not_null(cn_optimizer_names[i]);
    cr_assert_null(cn_optimizer_names[compared], "%s is compared with nothing",
                   cn_optimizer_names[compared]);
    json_decref(optimizers);
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
