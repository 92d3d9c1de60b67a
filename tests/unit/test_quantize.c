/* test_quantize.c: quantized networks are close to the float network, give the same bits for any
 * batch and threads, and compute with bytes wherever this is claimed. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/network.h"
#include "convnet/plan.h"
#include "support/networks.h"

enum { IMAGES = 24 };

static float *run(const struct cn_network *network, const float *images, size_t count,
                  int threads) {
    struct cn_workspace **workspaces = NULL;
    struct cn_plan *plan = NULL;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    cr_assert_eq(cn_workspaces_create(plan, threads, &workspaces, NULL), CN_OK);
    float *outputs = cn_floats_allocate(count * cn_plan_output_size(plan));
    cn_plan_run_parallel(plan, workspaces, threads, images, count, outputs);
    cn_workspaces_free(workspaces, threads);
    cn_plan_free(plan);
    return outputs;
}

/* Random statistics instead of the ones and zeros of a new network, so that folding changes the
 * weights. */
static void shake(struct cn_network *network) {
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const char *name = strrchr(tensor->name, '/') + 1;
        const bool positive = strcmp(name, "gamma") == 0 || strcmp(name, "moving_variance") == 0;
        if (!positive && strcmp(name, "beta") != 0 && strcmp(name, "bias") != 0 &&
            strcmp(name, "moving_mean") != 0)
            continue;
        float *values =
            test_floats(tensor->size, positive ? 0.5f : -0.3f, positive ? 1.5f : 0.3f, t);
        memcpy(network->parameters + tensor->offset, values, tensor->size * sizeof *values);
        free(values);
    }
}

static size_t steps_on_bytes(const struct cn_network *network) {
    struct cn_plan *plan = NULL;
    struct cn_plan_step step;
    size_t count = 0;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++)
        count += strstr(step.kernel, "bytes") != NULL;
    cn_plan_free(plan);
    return count;
}

/* The quantized copy of `network` differs by at most `tolerance` of the largest output; `bytes`
 * steps of its plan use bytes. */
static void check(struct cn_network *network, double tolerance, size_t bytes) {
    const size_t in = cn_shape_size(&network->input_shape);
    const size_t out = cn_shape_size(&network->output_shape);
    struct cn_network *quantized = NULL;
    struct cn_error error = {0};
    float *images = test_floats(IMAGES * in, -0.2f, 1, 5);
    double largest = 0, worst = 0;
    shake(network);
    cr_assert_eq(cn_quantize(network, images, IMAGES, 0, &quantized, &error), CN_OK, "%s",
                 error.text);
    cr_assert_eq(steps_on_bytes(quantized), bytes, "%zu steps on bytes", steps_on_bytes(quantized));
    float *expected = run(network, images, IMAGES, 1), *got = run(quantized, images, IMAGES, 1);
    for (size_t i = 0; i < IMAGES * out; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        worst = fmax(worst, fabs((double)expected[i] - (double)got[i]));
    }
    cr_assert_leq(worst, tolerance * largest, "off by %g of %g", worst, largest);
    cr_assert_gt(worst, 0, "nothing was rounded");
    for (int threads = 2; threads <= 3; threads++) {
        float *again = run(quantized, images, IMAGES, threads);
        cr_assert_eq(memcmp(got, again, IMAGES * out * sizeof *got), 0, "%d threads", threads);
        free(again);
    }
    for (size_t i = 0; i < IMAGES; i++) {
        float *alone = run(quantized, images + i * in, 1, i % 2 == 0 ? 1 : 3);
        cr_assert_eq(memcmp(got + i * out, alone, out * sizeof *got), 0, "image %zu", i);
        free(alone);
    }
    struct cn_network *copy = NULL;
    cr_assert_eq(cn_network_copy(quantized, &copy, NULL), CN_OK);
    float *same = run(copy, images, IMAGES, 1);
    cr_assert_eq(memcmp(got, same, IMAGES * out * sizeof *got), 0, "a copy answers otherwise");
    free(same);
    cn_network_free(copy);
    free(images);
    free(expected);
    free(got);
    cn_network_free(quantized);
    cn_network_free(network);
}

Test(quantize, chains_of_convolutions_poolings_and_dense_run_on_bytes) {
    check(
        test_network(cn_shape_image(18, 17, 3),
                     "Conv2D filters=13 kernel_size=3 padding=same activation=relu; MaxPooling2D; "
                     "Conv2D filters=20 kernel_size=3; BatchNormalization; "
                     "Activation activation=relu; MaxPooling2D pool_size=3 strides=2; "
                     "Conv2D filters=70 kernel_size=1 activation=relu; Flatten; "
                     "Dense units=80 activation=relu; Dropout rate=0.5; Dense units=10",
                     1),
        0.05, 6);
}

Test(quantize, residuals_and_depthwise_layers_run_on_bytes) {
    const struct cn_shape input = cn_shape_image(17, 16, 4);
    check(test_graph(&input, 1,
                     "Conv2D :a filters=24 kernel_size=3 strides=2 padding=same use_bias=false; "
                     "BatchNormalization; Activation :r activation=relu; "
                     "DepthwiseConv2D kernel_size=3 padding=same; BatchNormalization; "
                     "Activation activation=relu; Conv2D filters=24 kernel_size=1; "
                     "BatchNormalization :b; Add :s <b <r; Activation activation=relu; "
                     "ZeroPadding2D; DepthwiseConv2D kernel_size=3 strides=2 activation=relu; "
                     "GlobalAveragePooling2D; Dense units=7",
                     "", 2),
          0.06, 7);
}

Test(quantize, branches_are_joined_in_one_range) {
    const struct cn_shape input = cn_shape_image(9, 11, 8);
    check(test_graph(&input, 1,
                     "Conv2D :a filters=16 kernel_size=1 activation=relu; "
                     "Conv2D :b filters=24 kernel_size=1 activation=relu; "
                     "Conv2D :c <a filters=8 kernel_size=3 padding=same; "
                     "Concatenate <b <c; Conv2D filters=16 kernel_size=3 groups=2 activation=relu; "
                     "AveragePooling2D pool_size=3 strides=2 padding=same; Flatten; Dense units=5",
                     "", 3),
          0.06, 7);
}

/* A sigmoid between two convolutions, and a product of maps, are computed with floats. */
Test(quantize, what_has_no_form_on_bytes_runs_on_floats) {
    const struct cn_shape input = cn_shape_image(8, 8, 3);
    check(test_graph(&input, 1,
                     "Conv2D :a filters=16 kernel_size=3 padding=same activation=relu; "
                     "Conv2D :g filters=16 kernel_size=1 activation=sigmoid; "
                     "Multiply <a <g; Conv2D filters=8 kernel_size=3; Flatten; Dense units=6",
                     "", 4),
          0.06, 4);
}

static size_t steps_of(const struct cn_network *network, const char *class_name) {
    struct cn_plan *plan = NULL;
    struct cn_plan_step step;
    size_t count = 0;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++)
        count += strcmp(step.class_name, class_name) == 0;
    cn_plan_free(plan);
    return count;
}

/* The output of the first convolution is read as bytes by a convolution and as floats by the
 * product. */
Test(quantize, conversions_are_steps) {
    const struct cn_shape input = cn_shape_image(8, 8, 3);
    struct cn_network *network = test_graph(&input, 1,
                                            "Conv2D :a filters=16 kernel_size=1 activation=relu; "
                                            "Conv2D :g filters=16 kernel_size=1 activation=tanh; "
                                            "Multiply <a <g; Conv2D filters=8 kernel_size=3",
                                            "", 4);
    struct cn_network *quantized = NULL;
    float *images = test_floats(4 * 192, 0, 1, 5);
    cr_assert_eq(cn_quantize(network, images, 4, 0, &quantized, NULL), CN_OK);
    cr_assert_eq(steps_of(quantized, "Quantize"), 2);   /* the image; the product */
    cr_assert_eq(steps_of(quantized, "Dequantize"), 1); /* an input of the product */
    cr_assert_eq(steps_of(network, "Quantize"), 0);
    free(images);
    cn_network_free(quantized);
    cn_network_free(network);
}

Test(quantize, rows_of_numbers_and_one_axis_run_on_bytes) {
    check(test_network(cn_shape_vector(37),
                       "Dense units=130 activation=relu; Dense units=66 activation=relu; "
                       "Dense units=3",
                       5),
          0.05, 3);
    check(test_network((struct cn_shape){.rank = 2, .dims = {50, 6}},
                       "Conv1D filters=17 kernel_size=5 padding=causal activation=relu; "
                       "MaxPooling1D; Conv1D filters=30 kernel_size=3 strides=2 activation=relu; "
                       "GlobalAveragePooling1D; Dense units=4",
                       6),
          0.05, 5);
}

/* Enough work that a team shares each image: by bands of rows, and by lines of a product. */
Test(quantize, a_team_gives_one_image_the_same_bits) {
    check(test_network(cn_shape_image(33, 31, 8),
                       "Conv2D filters=64 kernel_size=3 padding=same activation=relu; "
                       "Conv2D filters=64 kernel_size=3 strides=2 padding=same activation=relu; "
                       "DepthwiseConv2D kernel_size=3 padding=same; "
                       "Conv2D filters=70 kernel_size=1 activation=relu; "
                       "Conv2D filters=16 kernel_size=3 activation=relu; MaxPooling2D; Flatten; "
                       "Dense units=5",
                       7),
          0.06, 6);
}

Test(quantize, what_cannot_be_quantized_is_refused) {
    struct cn_network *network = test_network(cn_shape_image(8, 8, 1), "MaxPooling2D; Flatten", 1);
    struct cn_network *quantized = NULL;
    struct cn_error error = {0};
    float images[64] = {0};
    cr_assert_eq(cn_quantize(network, images, 1, 0, &quantized, &error), CN_UNSUPPORTED);
    cr_assert_not_null(strstr(error.text, "no layer that can be quantized"), "%s", error.text);
    cn_network_free(network);
}

/* With an all-zero kernel and an image of zeros nothing divides by zero. */
Test(quantize, zeros_stay_finite) {
    struct cn_network *network =
        test_network(cn_shape_image(6, 6, 1),
                     "Conv2D filters=4 kernel_size=3 activation=relu; Flatten; "
                     "Dense units=3",
                     1);
    struct cn_network *quantized = NULL;
    float images[72] = {0};
    memset(network->parameters, 0, network->parameter_count * sizeof *network->parameters);
    cr_assert_eq(cn_quantize(network, images, 2, 0.001, &quantized, NULL), CN_OK);
    float *got = run(quantized, images, 2, 1);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(got[i], 0.0f);
    free(got);
    cn_network_free(quantized);
    cn_network_free(network);
}

/* A network that overflows somewhere, or whose input is no number, neither crashes nor gets a
 * range. */
Test(quantize, values_that_are_no_numbers) {
    const struct cn_shape shape = {3, {4, 4, 2}};
    struct cn_network *network =
        test_network(shape, "Conv2D filters=4 kernel_size=3;Flatten;Dense units=3", 3);
    struct cn_network *quantized = NULL;
    struct cn_error error = {0};
    float *images = test_floats(2 * 32, -1, 1, 1);
    images[40] = NAN;
    cr_assert_eq(cn_quantize(network, images, 2, 0.001, &quantized, &error), CN_OK, "%s",
                 error.text);
    cn_network_free(quantized);
    images[40] = INFINITY;
    cr_assert_eq(cn_quantize(network, images, 2, 0, &quantized, &error), CN_INVALID);
    free(images);
    cn_network_free(network);
}
