/* test_temperature.c: calibration finds the temperature that made the data, the model file keeps
 * it, and the calibration error follows its formula. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "convnet/trainer.h"
#include "support/networks.h"

enum { SAMPLES = 4000, CLASSES = 3 };

/* A network of one dense layer whose softmax gives the exact probability of each class. */
static struct cn_network *create_network(void) {
    struct cn_network *network =
        test_network(cn_shape_image(1, 4, 1), "Flatten;Dense units=3 activation=softmax", 1);
    for (size_t i = 0; i < network->parameter_count; i++)
        network->parameters[i] = 4 * (float)((i * 7 + 3) % 5) / 5 - 1.5f;
    return network;
}

/* Random inputs, with labels drawn from the network's own probabilities at `temperature`. */
static struct cn_dataset *sample(struct cn_network *network, float temperature) {
    struct cn_dataset *data = calloc(1, sizeof *data);
    struct cn_random random = cn_random_stream(3, 0, 0, 0);
    struct cn_evaluation evaluation;
    data->shape = cn_shape_image(1, 4, 1);
    data->count = SAMPLES;
    data->class_count = CLASSES;
    data->images = malloc(SAMPLES * 4);
    data->labels = calloc(SAMPLES, sizeof *data->labels);
    data->class_names = calloc(CLASSES, sizeof(char *));
    for (size_t i = 0; i < SAMPLES * 4; i++)
        data->images[i] = (uint8_t)cn_random_below(&random, 256);
    network->temperature = temperature;
    cr_assert_eq(cn_evaluate(network, data, CN_LOSS_CATEGORICAL_CROSSENTROPY, 1, &evaluation, NULL),
                 CN_OK);
    network->temperature = 1;
    for (size_t i = 0; i < SAMPLES; i++) {
        const float *p = evaluation.probabilities + i * CLASSES;
        const float at = cn_random_float(&random);
        data->labels[i] = at < p[0] ? 0 : at < p[0] + p[1] ? 1 : 2;
    }
    cn_evaluation_clear(&evaluation);
    return data;
}

/* A temperature changes no class, except if two classes differ only by rounding. */
static void expect_same_answers(const struct cn_evaluation *a, const struct cn_evaluation *b) {
    float confidence;
    for (size_t i = 0; i < a->samples; i++) {
        const float *p = a->probabilities + i * CLASSES, *q = b->probabilities + i * CLASSES;
        const size_t first = cn_plan_answer(p, CLASSES, &confidence);
        const size_t second = cn_plan_answer(q, CLASSES, &confidence);
        cr_assert_float_eq((double)p[first], (double)p[second], 1e-5, "answer %zu changes", i);
    }
}

Test(calibrate, the_temperature_is_found) {
    const float temperatures[] = {0.6f, 1, 2.5f};
    for (size_t i = 0; i < 3; i++) {
        struct cn_network *network = create_network();
        struct cn_dataset *data = sample(network, temperatures[i]);
        struct cn_reliability_bin bins[CN_RELIABILITY_BINS];
        struct cn_evaluation before, after;
        cr_assert_eq(cn_evaluate(network, data, 1, 1, &before, NULL), CN_OK);
        cr_assert_eq(cn_calibrate(network, data, 1, NULL), CN_OK);
        cr_assert_float_eq((double)network->temperature, (double)temperatures[i],
                           0.1 * (double)temperatures[i]);
        cr_assert_eq(cn_evaluate(network, data, 1, 1, &after, NULL), CN_OK);
        cr_assert_leq(after.loss, before.loss);
        expect_same_answers(&before, &after);
        cr_assert_lt(cn_calibration_error(&after, data->labels, bins), 0.025);
        if (i != 1)
            cr_assert_gt(cn_calibration_error(&before, data->labels, bins), 0.05);
        cn_evaluation_clear(&before);
        cn_evaluation_clear(&after);
        cn_dataset_free(data);
        cn_network_free(network);
    }
}

Test(calibrate, a_plan_divides_the_logits) {
    struct cn_network *network = create_network();
    struct cn_dataset *data = sample(network, 1);
    struct cn_evaluation one, two;
    cr_assert_eq(cn_evaluate(network, data, 1, 1, &one, NULL), CN_OK);
    network->temperature = 2;
    cr_assert_eq(cn_evaluate(network, data, 1, 1, &two, NULL), CN_OK);
    for (size_t i = 0; i < 100; i++) {
        const float *p = one.probabilities + i * CLASSES, *q = two.probabilities + i * CLASSES;
        double total = 0;
        for (size_t c = 0; c < CLASSES; c++)
            total += sqrt((double)p[c]);
        for (size_t c = 0; c < CLASSES; c++)
            cr_assert_float_eq((double)q[c], sqrt((double)p[c]) / total, 1e-5);
    }
    cn_evaluation_clear(&one);
    cn_evaluation_clear(&two);
    cn_dataset_free(data);
    cn_network_free(network);
}

Test(calibrate, without_weights_before_the_softmax_it_is_refused) {
    struct cn_network *network =
        test_network(cn_shape_image(1, 4, 1), "Flatten;Activation activation=softmax", 1);
    struct cn_plan *plan = NULL;
    struct cn_error error = {0};
    network->temperature = 2;
    cr_assert_eq(cn_plan_create(network, &plan, &error), CN_UNSUPPORTED);
    cr_assert_not_null(strstr(error.text, "temperature of 2"), "%s", error.text);
    cn_network_free(network);
}

Test(calibrate, the_model_file_keeps_it) {
    char path[] = "/tmp/convnet-calibrate-XXXXXX";
    struct cn_model *model = NULL, *again = NULL;
    struct cn_error error = {0};
    const int file = mkstemp(path);
    cr_assert_geq(file, 0);
    (void)close(file);
    cr_assert_eq(cn_model_create(create_network(), &model, NULL), CN_OK);
    cr_assert_eq(cn_model_write(model, path, NULL), CN_OK);
    cr_assert_eq(cn_model_read(path, &again, &error), CN_OK, "%s", error.text);
    cr_assert_eq(again->network->temperature, 1);
    cn_model_free(again);
    model->network->temperature = 1.75f;
    cr_assert_eq(cn_model_write(model, path, NULL), CN_OK);
    cr_assert_eq(cn_model_read(path, &again, &error), CN_OK, "%s", error.text);
    cr_assert_eq(again->network->temperature, 1.75f);
    cn_model_free(again);
    model->network->temperature = 0;
    cr_assert_eq(cn_model_write(model, path, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "temperature is 0"), "%s", error.text);
    cn_model_free(model);
    (void)unlink(path);
}

Test(calibrate, the_error_is_the_mean_gap_of_the_bins) {
    float probabilities[] = {0.9f, 0.1f, 0.9f, 0.1f, 0.4f, 0.6f, 1, 0};
    const uint16_t labels[] = {0, 1, 1, 1};
    const struct cn_evaluation e = {.samples = 4, .class_count = 2, .probabilities = probabilities};
    struct cn_reliability_bin bins[CN_RELIABILITY_BINS];
    /* Bins: two answers with 0.9, one of them right; one with 0.6, right; one with 1, wrong. */
    const double expected = (fabs(1 - 1.8) + fabs(1 - 0.6) + fabs(0 - 1.0)) / 4;
    cr_assert_float_eq(cn_calibration_error(&e, labels, bins), expected, 1e-6);
    cr_assert_eq(bins[13].samples, 2);
    cr_assert_eq(bins[14].samples, 1);
    cr_assert_eq(bins[9].samples, 1);
}
