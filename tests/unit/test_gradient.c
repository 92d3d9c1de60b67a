/* test_gradient.c: the number of threads does not change the bits of a training; dropout drops the
 * share of its rate; moving statistics change. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/networks.h"

static const char *const normalized =
    "Conv2D filters=8 kernel_size=3 padding=same use_bias=false;BatchNormalization;"
    "Activation activation=relu;AveragePooling2D;Dropout rate=0.5;Conv2D filters=5 kernel_size=2;"
    "BatchNormalization;GlobalAveragePooling2D;Dense units=4 activation=softmax";

/* Computes gradient and parameters after one pass with `threads`. */
static float *pass(int threads, size_t count, float **ret_parameters) {
    struct cn_network *network = test_network(cn_shape_image(8, 8, 2), normalized, 3);
    float *images = test_floats(count * 128, 0, 1, 1);
    uint16_t *labels = test_labels(count, 4, 2);
    const struct cn_minibatch batch = {count, images, labels, 11, 12, NULL, NULL, NULL, false};
    struct cn_gradient_workspace *workspace = NULL;
    struct cn_minibatch_result result;
    float *gradients = cn_floats_allocate(network->parameter_count);
    cr_assert_eq(cn_gradient_workspace_create(network, 40, threads, &workspace, NULL), CN_OK);
    cn_network_gradient(network, workspace, &batch, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, gradients,
                        &result);
    *ret_parameters = network->parameters;
    network->parameters = NULL;
    free(images);
    free(labels);
    cn_gradient_workspace_free(workspace);
    cn_network_free(network);
    return gradients;
}

Test(gradient, the_same_bits_for_any_number_of_threads) {
    const size_t counts[] = {1, 7, 8, 40};
    for (size_t c = 0; c < 4; c++) {
        float *parameters = NULL, *expected = pass(1, counts[c], &parameters);
        for (int threads = 2; threads <= 3; threads++) {
            float *others = NULL, *got = pass(threads, counts[c], &others);
            const size_t size = 8 * 3 * 3 * 2 * sizeof(float) + 8 * sizeof(float);
            cr_assert_eq(memcmp(expected, got, size), 0);
            cr_assert_eq(memcmp(parameters, others, size), 0);
            free(got);
            free(others);
        }
        free(expected);
        free(parameters);
    }
}

Test(gradient, moving_statistics_move_and_have_no_gradient) {
    float *parameters = NULL, *gradients = pass(1, 16, &parameters);
    const size_t mean = 8 * 9 * 2 / 1 + 16; /* kernel 3*3*2*8, gamma 8, beta 8 */
    bool moved = false;
    for (size_t c = 0; c < 8; c++) {
        cr_assert_eq(gradients[mean + c], 0.0f);
        moved |= parameters[mean + c] != 0;
    }
    cr_assert(moved);
    free(gradients);
    free(parameters);
}

Test(gradient, a_step_down_the_gradient_lowers_the_loss) {
    struct cn_network *network = test_seed_network(false, "0", 3);
    float *images = test_floats(32 * 784, 0, 1, 1);
    uint16_t *labels = test_labels(32, 10, 2);
    const struct cn_minibatch batch = {32, images, labels, 1, 1, NULL, NULL, NULL, false};
    struct cn_gradient_workspace *workspace = NULL;
    struct cn_minibatch_result before, after;
    float *gradients = cn_floats_allocate(network->parameter_count);
    cr_assert_eq(cn_gradient_workspace_create(network, 32, 2, &workspace, NULL), CN_OK);
    cn_network_gradient(network, workspace, &batch, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, gradients,
                        &before);
    for (size_t i = 0; i < network->parameter_count; i++)
        network->parameters[i] -= 0.01f * gradients[i];
    cn_network_gradient(network, workspace, &batch, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, gradients,
                        &after);
    cr_assert_lt(after.loss_sum, before.loss_sum);
    free(images);
    free(labels);
    free(gradients);
    cn_gradient_workspace_free(workspace);
    cn_network_free(network);
}

Test(gradient, dropout_drops_its_share_and_keeps_the_mean) {
    struct cn_network *network =
        test_network(cn_shape_vector(2000), "Dropout rate=0.3;Dense units=2 use_bias=false", 3);
    float *images = test_floats(8 * 2000, 1, 1, 1);
    uint16_t labels[8] = {0};
    const struct cn_minibatch batch = {8, images, labels, 1, 1, NULL, NULL, NULL, false};
    struct cn_gradient_workspace *workspace = NULL;
    struct cn_minibatch_result result;
    float *gradients = cn_floats_allocate(network->parameter_count);
    size_t zeros = 0;
    for (size_t i = 0; i < 4000; i++)
        network->parameters[i] =
            0; /* all outputs are 0: dz is the same for all, and dw follows the mask */
    cr_assert_eq(cn_gradient_workspace_create(network, 8, 1, &workspace, NULL), CN_OK);
    cn_network_gradient(network, workspace, &batch, CN_LOSS_MEAN_SQUARED_ERROR, 0, gradients,
                        &result);
    double sum = 0;
    for (size_t i = 0; i < 2000; i++) {
        sum += (double)gradients[2 * i];
        zeros += gradients[2 * i] == 0;
    }
    cr_assert_float_eq(sum / 2000, -1, 0.02, "the mean is kept: %g", sum / 2000);
    cr_assert_lt(zeros, 10, "masks differ between samples");
    free(images);
    free(gradients);
    cn_gradient_workspace_free(workspace);
    cn_network_free(network);
}
