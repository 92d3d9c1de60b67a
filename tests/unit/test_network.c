/* test_network.c: names, initial values, copies, losses. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/plan.h"
#include "support/networks.h"

Test(network, default_names_are_keras_s) {
    struct cn_network *network = test_network(cn_shape_image(9, 9, 1),
                                              "Conv2D filters=2 kernel_size=2;BatchNormalization;"
                                              "Conv2D filters=2 kernel_size=2;MaxPooling2D;"
                                              "GlobalAveragePooling2D;Dense units=2",
                                              1);
    const char *names[] = {"conv2d",        "batch_normalization",      "conv2d_1",
                           "max_pooling2d", "global_average_pooling2d", "dense"};
    for (size_t i = 0; i < network->layer_count; i++)
        cr_assert_str_eq(network->layers[i].name, names[i]);
    cr_assert_str_eq(network->tensors[2].name, "batch_normalization/gamma");
    cr_assert_eq(network->parameter_count - cn_network_trainable_count(network), 4);
    cn_network_free(network);
}

Test(network, a_name_twice_or_foreign_bytes_are_refused) {
    struct cn_network *network = NULL;
    const struct cn_shape shape = cn_shape_vector(4);
    unsigned char config[CN_LAYER_CONFIG] = {0};
    const struct cn_layer_type *flatten = cn_layer_type_find("Flatten");
    cr_assert_eq(cn_network_create(&shape, &network, NULL), CN_OK);
    cr_assert_eq(cn_network_add(network, flatten, "a", config, NULL), CN_OK);
    cr_assert_eq(cn_network_add(network, flatten, "a", config, NULL), CN_INVALID);
    cr_assert_eq(cn_network_add(network, flatten, "a/b", config, NULL), CN_INVALID);
    cr_assert_eq(cn_network_add(network, flatten, "", config, NULL), CN_INVALID);
    cr_assert_eq(network->layer_count, 1);
    cn_network_free(network);
}

Test(network, glorot_uniform_fills_its_range) {
    struct cn_network *network = test_network(cn_shape_vector(300), "Dense units=200", 3);
    const double limit = sqrt(6.0 / 500);
    double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < 60000; i++) {
        const double value = (double)network->parameters[i];
        sum += value;
        squares += value * value;
        largest = fmax(largest, fabs(value));
    }
    cr_assert_leq(largest, limit * (1 + 1e-6));
    cr_assert_gt(largest, 0.99 * limit);
    cr_assert_float_eq(sum / 60000, 0, limit * 0.02);
    cr_assert_float_eq(squares / 60000, limit * limit / 3, limit * limit * 0.01);
    for (size_t i = 60000; i < 60200; i++)
        cr_assert_eq(network->parameters[i], 0.0f, "the bias begins at zero");
    cn_network_free(network);
}

Test(network, he_normal_has_its_deviation) {
    struct cn_network *network =
        test_network(cn_shape_vector(300), "Dense units=200 kernel_initializer=he_normal", 3);
    double squares = 0;
    for (size_t i = 0; i < 60000; i++)
        squares += (double)network->parameters[i] * (double)network->parameters[i];
    cr_assert_float_eq(squares / 60000, 2.0 / 300, 0.02 * 2 / 300);
    cn_network_free(network);
}

Test(network, a_seed_gives_the_same_values_and_another_others) {
    struct cn_network *a = test_seed_network(true, "0.3", 5), *copy = NULL;
    struct cn_network *b = test_seed_network(true, "0.3", 5);
    struct cn_network *c = test_seed_network(true, "0.3", 6);
    const size_t size = a->parameter_count * sizeof(float);
    cr_assert_eq(memcmp(a->parameters, b->parameters, size), 0);
    cr_assert_neq(memcmp(a->parameters, c->parameters, size), 0);
    cr_assert_eq(cn_network_copy(a, &copy, NULL), CN_OK);
    cr_assert_eq(memcmp(a->parameters, copy->parameters, size), 0);
    cn_network_free(a);
    cn_network_free(b);
    cn_network_free(c);
    cn_network_free(copy);
}

Test(network, losses_are_keras_s) {
    const float p[4] = {0.1f, 0.2f, 0.7f, 0};
    cr_assert_float_eq(cn_loss_value(CN_LOSS_MEAN_SQUARED_ERROR, p, 4, 2, 0),
                       (0.01 + 0.04 + 0.09) / 4, 1e-7);
    cr_assert_float_eq(cn_loss_value(CN_LOSS_CATEGORICAL_CROSSENTROPY, p, 4, 2, 0), -log(0.7),
                       1e-6);
    cr_assert_float_eq(cn_loss_value(CN_LOSS_CATEGORICAL_CROSSENTROPY, p, 4, 3, 0), -log(1e-7),
                       1e-6, "a zero is clipped");
    cr_assert(isnan(cn_loss_value(CN_LOSS_CATEGORICAL_CROSSENTROPY, (float[]){NAN, 1}, 2, 0, 0)));
}

Test(network, default_threads_are_at_least_one) {
    cr_assert_geq(cn_default_threads(), 1);
}
