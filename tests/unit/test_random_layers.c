/* test_random_layers.c: layers that change their input at random in training: their gradients, the
 * results of parameters that leave nothing random, and that they do nothing in inference. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "layers/layer_type.h"
#include "support/networks.h"

static const struct cn_shape picture = {3, {6, 5, 2, 1, 1}};

static void check_gradient(const char *layers) {
    test_gradient(test_network(picture, layers, 7), layers, 7, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0,
                  4e-3, 2e-2);
}

#define HEAD "Conv2D filters=3 kernel_size=3 padding=same activation=tanh;"
#define TAIL ";Flatten;Dense units=3 activation=softmax"

Test(random_layers, gradients) {
    static const char *const layers[] = {"SpatialDropout2D rate=0.4",
                                         "GaussianNoise stddev=0.3",
                                         "GaussianDropout rate=0.3",
                                         "AlphaDropout rate=0.3",
                                         "ActivityRegularization l2=0.02",
                                         "RandomFlip",
                                         "RandomFlip mode=vertical",
                                         "RandomRotation factor=0.2",
                                         "RandomRotation factor=0.2 fill_mode=constant",
                                         "RandomRotation factor=0.1 interpolation=nearest",
                                         "RandomZoom height_factor=0.3",
                                         "RandomZoom height_factor=0.3 width_factor=0.2 "
                                         "fill_mode=wrap",
                                         "RandomTranslation height_factor=0.3 width_factor=0.4",
                                         "RandomTranslation height_factor=0.3 width_factor=0.4 "
                                         "fill_mode=nearest",
                                         "RandomContrast factor=0.4 value_range=-9,9",
                                         "RandomBrightness factor=0.1 value_range=-9,9"};
    char text[256];
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        snprintf(text, sizeof text, HEAD "%s" TAIL, layers[i]);
        check_gradient(text);
    }
    /* |x| has a corner at 0, and a sigmoid is never 0. */
    check_gradient("Conv2D filters=3 kernel_size=3 activation=sigmoid;ActivityRegularization "
                   "l1=0.03 l2=0.02" TAIL);
    check_gradient("Reshape target_shape=6,10;Conv1D filters=3 kernel_size=2 activation=tanh;"
                   "SpatialDropout1D rate=0.4" TAIL);
}

/* Computes one sample with a network of one layer, in training. */
static void train_forward(const char *layers, const struct cn_shape *shape, const float *x,
                          float *y) {
    struct cn_network *network = test_network(*shape, layers, 7);
    const struct cn_layer *layer = &network->layers[0];
    double penalty = 0;
    const struct cn_pass pass = {
        .count = 1, .x = x, .xs = &x, .y = y, .seed = 1, .scale = 1, .penalty = &penalty};
    layer->type->training->forward(layer, &pass);
    /* In inference the output is the input. */
    float *same = test_outputs(network, x, 1);
    cr_assert_eq(memcmp(same, x, cn_shape_size(shape) * sizeof *x), 0, "%s", layers);
    free(same);
    cn_network_free(network);
}

Test(random_layers, numbers_that_leave_no_choice) {
    static const struct cn_shape square = {3, {3, 3, 1, 1, 1}};
    static const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const struct {
        const char *layers;
        float y[9];
    } cases[] = {
        {"RandomRotation factor=0.25,0.25", {3, 6, 9, 2, 5, 8, 1, 4, 7}},
        {"RandomRotation factor=0.5,0.5", {9, 8, 7, 6, 5, 4, 3, 2, 1}},
        {"RandomTranslation height_factor=0.33333334,0.33333334 width_factor=0,0 "
         "fill_mode=constant fill_value=-1",
         {-1, -1, -1, 1, 2, 3, 4, 5, 6}},
        {"RandomTranslation height_factor=0,0 width_factor=-0.33333334,-0.33333334 "
         "fill_mode=nearest",
         {2, 3, 3, 5, 6, 6, 8, 9, 9}},
        {"RandomTranslation height_factor=0,0 width_factor=0.66666667,0.66666667 "
         "fill_mode=reflect",
         {2, 1, 1, 5, 4, 4, 8, 7, 7}},
        {"RandomTranslation height_factor=0,0 width_factor=0.66666667,0.66666667 fill_mode=wrap",
         {2, 3, 1, 5, 6, 4, 8, 9, 7}},
        {"RandomZoom height_factor=-0.5,-0.5", {3, 3.5f, 4, 4.5f, 5, 5.5f, 6, 6.5f, 7}},
        {"RandomContrast factor=-1,1", {-3, -1, 1, 3, 5, 7, 9, 11, 13}},
        {"RandomBrightness factor=0.1,0.1",
         {26.5f, 27.5f, 28.5f, 29.5f, 30.5f, 31.5f, 32.5f, 33.5f, 34.5f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float y[9];
        char layers[160];
        const bool contrast = strstr(cases[i].layers, "Contrast") != NULL;
        snprintf(layers, sizeof layers, "%s%s", cases[i].layers,
                 contrast ? " value_range=-100,100" : "");
        train_forward(layers, &square, x, y);
        for (size_t k = 0; k < 9; k++)
            cr_expect_float_eq((double)y[k], (double)cases[i].y[k], 1e-4, "%s: %zu is %g", layers,
                               k, (double)y[k]);
    }
}

Test(random_layers, spatial_dropout_takes_whole_channels) {
    static const struct cn_shape shape = {3, {3, 3, 7, 1, 1}};
    float *x = test_floats(63, 1, 2, 3), y[63];
    size_t dropped = 0;
    train_forward("SpatialDropout2D rate=0.5", &shape, x, y);
    for (size_t c = 0; c < 7; c++) {
        const float factor = y[c] == 0 ? 0 : 2;
        dropped += y[c] == 0;
        for (size_t p = 0; p < 9; p++)
            cr_assert_float_eq((double)y[p * 7 + c], (double)(factor * x[p * 7 + c]), 1e-6);
    }
    cr_assert(dropped > 0 && dropped < 7);
    free(x);
}

/* Mean 0 and variance 1 are preserved. */
Test(random_layers, noise_has_its_moments) {
    static const struct cn_shape shape = {1, {20000, 1, 1, 1, 1}};
    static const char *const layers[] = {"AlphaDropout rate=0.3", "GaussianDropout rate=0.3",
                                         "GaussianNoise stddev=0.5"};
    static const double variances[] = {1, 1 + 0.3 / 0.7, 1.25};
    float *x = test_floats(20000, -1.7320508f, 1.7320508f, 3), *y = malloc(20000 * sizeof *y);
    for (size_t i = 0; i < 3; i++) {
        struct cn_network *network = test_network(shape, layers[i], 7);
        const float *const from = x;
        const struct cn_pass pass = {.count = 1, .x = from, .xs = &from, .y = y, .seed = 1};
        double mean = 0, squares = 0;
        network->layers[0].type->training->forward(&network->layers[0], &pass);
        for (size_t k = 0; k < 20000; k++) {
            mean += (double)y[k] / 20000;
            squares += (double)y[k] * (double)y[k] / 20000;
        }
        cr_expect_float_eq(mean, 0, 0.03, "%s: mean %g", layers[i], mean);
        cr_expect_float_eq(squares, variances[i], 0.05, "%s: variance %g", layers[i], squares);
        cn_network_free(network);
    }
    free(x);
    free(y);
}
