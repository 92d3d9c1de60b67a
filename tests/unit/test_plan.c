/* test_plan.c: inference: batches and threads do not change a bit, and folding changes no answer.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "support/networks.h"

static float *run(const struct cn_plan *plan, const float *images, size_t count, int threads) {
    struct cn_workspace *workspaces[4] = {0};
    const size_t size = count * cn_plan_output_size(plan);
    float *outputs = cn_floats_allocate(size + 1);
    outputs[size] = 42;
    for (int i = 0; i < threads; i++)
        cr_assert_eq(cn_workspace_create(plan, &workspaces[i], NULL), CN_OK);
    cn_plan_run_parallel(plan, workspaces, threads, images, count, outputs);
    cr_assert_eq(outputs[size], 42.0f, "%d threads wrote past the outputs", threads);
    for (int i = 0; i < threads; i++)
        cn_workspace_free(workspaces[i]);
    return outputs;
}

Test(plan, an_image_s_bits_depend_on_neither_batch_nor_threads) {
    for (int strided = 0; strided < 2; strided++) {
        struct cn_network *network = test_seed_network(strided == 1, "0.3", 1);
        struct cn_plan *plan = NULL;
        const size_t count = 37;
        float *images = test_floats(count * 784, 0, 1, 2);
        cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
        float *together = run(plan, images, count, 1);
        for (int threads = 2; threads <= 3; threads++) {
            float *got = run(plan, images, count, threads);
            cr_assert_eq(memcmp(together, got, count * 10 * sizeof *got), 0);
            free(got);
        }
        for (size_t i = 0; i < count; i++) {
            float *alone = run(plan, images + i * 784, 1, 1);
            double sum = 0;
            cr_assert_eq(memcmp(together + i * 10, alone, 10 * sizeof *alone), 0);
            for (int k = 0; k < 10; k++)
                sum += (double)alone[k];
            cr_assert_float_eq(sum, 1, 1e-6);
            free(alone);
        }
        free(images);
        free(together);
        cn_plan_free(plan);
        cn_network_free(network);
    }
}

/* The steps that Winograd's algorithm computes. */
static size_t count_winograd(const struct cn_plan *plan) {
    struct cn_plan_step step;
    size_t count = 0;
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++)
        count += strstr(step.kernel, "Winograd") != NULL;
    return count;
}

/* With fewer images than threads a team shares each image by rows or by output channels, and no bit
 * changes. */
Test(plan, a_team_gives_one_image_the_same_bits) {
    static const struct {
        int height, width, channels;
        size_t winograd;
        const char *layers;
    } cases[] = {
        {33, 31, 3, 1,
         "Conv2D filters=40 kernel_size=3 padding=same activation=relu; "
         "Conv2D filters=64 kernel_size=3 padding=same activation=tanh strides=2; "
         "Conv2D filters=96 kernel_size=1 activation=relu; "
         "Conv2D filters=64 kernel_size=3; MaxPooling2D; "
         "AveragePooling2D pool_size=3 strides=2 padding=same; Conv2D filters=7 kernel_size=2; "
         "Flatten; Dense units=70; Dense units=10 activation=softmax"},
        {7, 7, 192, 0,
         "Conv2D filters=600 kernel_size=1 activation=relu; Conv2D filters=130 kernel_size=1; "
         "GlobalAveragePooling2D; Dense units=530 activation=tanh; Dense units=100 "
         "activation=softmax"},
        {1, 512, 8, 0,
         "Conv2D filters=64 kernel_size=1,5 padding=same activation=relu; Conv2D filters=72 "
         "kernel_size=1,5 strides=2 padding=same activation=sigmoid; Conv2D filters=100 "
         "kernel_size=1,3; GlobalAveragePooling2D; Dense units=10"},
        {14, 13, 64, 2,
         "Conv2D filters=112 kernel_size=3 padding=same activation=relu; Conv2D filters=128 "
         "kernel_size=3 padding=same activation=tanh; MaxPooling2D; Flatten; Dense units=9"},
        {14, 13, 64, 1,
         "Conv2D filters=128 kernel_size=3 padding=same; MaxPooling2D; Activation activation=tanh"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct cn_shape input =
            cn_shape_image(cases[i].height, cases[i].width, cases[i].channels);
        struct cn_network *network = test_network(input, cases[i].layers, 4);
        struct cn_plan *plan = NULL;
        float *images = test_floats(3 * cn_shape_size(&input), 0, 1, 2);
        cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
        cr_assert_eq(count_winograd(plan), cases[i].winograd);
        float *expected = run(plan, images, 3, 1);
        for (int threads = 2; threads <= 4; threads++)
            for (size_t count = 1; count <= 3; count++) {
                float *got = run(plan, images, count, threads);
                cr_assert_eq(memcmp(got, expected, count * cn_plan_output_size(plan) * sizeof *got),
                             0, "%zu: %zu by %d", i, count, threads);
                free(got);
            }
        free(expected);
        free(images);
        cn_plan_free(plan);
        cn_network_free(network);
    }
}

Test(plan, folded_normalization_gives_the_definition_s_answer) {
    const struct cn_shape shape = cn_shape_image(6, 6, 2);
    struct cn_network *folded =
        test_network(shape,
                     "Conv2D filters=5 kernel_size=3 padding=same;BatchNormalization;Activation "
                     "activation=relu;Flatten;Dense units=3",
                     4);
    struct cn_network *plain =
        test_network(shape, "Conv2D filters=5 kernel_size=3 padding=same;Flatten", 4);
    test_set_vectors(folded);
    memcpy(plain->parameters, folded->parameters, plain->parameter_count * sizeof(float));
    float *x = test_floats(72, -1, 1, 5), *y = test_outputs(folded, x, 1),
          *z = test_outputs(plain, x, 1);
    const float *p = folded->parameters + plain->parameter_count; /* gamma, beta, mean, variance */
    const float *dense = p + 20, *bias = dense + 180 * 3;
    for (int o = 0; o < 3; o++) {
        double sum = (double)bias[o];
        for (int i = 0; i < 180; i++) {
            const int c = i % 5;
            const double normal =
                ((double)z[i] - (double)p[10 + c]) / sqrt((double)p[15 + c] + 1e-3) * (double)p[c] +
                (double)p[5 + c];
            sum += fmax(normal, 0) * (double)dense[i * 3 + o];
        }
        cr_assert_float_eq((double)y[o], sum, 1e-4);
    }
    free(x);
    free(y);
    free(z);
    cn_network_free(folded);
    cn_network_free(plain);
}

Test(plan, normalization_after_an_activation_stands_alone) {
    const struct cn_shape shape = cn_shape_vector(4);
    struct cn_network *network =
        test_network(shape, "Dense units=3 activation=relu;BatchNormalization", 4);
    test_set_vectors(network);
    float *x = test_floats(4, -1, 1, 5), *y = test_outputs(network, x, 1);
    const float *w = network->parameters, *p = w + 15;
    for (int o = 0; o < 3; o++) {
        double sum = (double)w[12 + o];
        for (int i = 0; i < 4; i++)
            sum += (double)x[i] * (double)w[i * 3 + o];
        sum = (fmax(sum, 0) - (double)p[6 + o]) / sqrt((double)p[9 + o] + 1e-3) * (double)p[o] +
              (double)p[3 + o];
        cr_assert_float_eq((double)y[o], sum, 1e-5);
    }
    free(x);
    free(y);
    cn_network_free(network);
}

/* The same layers, each with a plan of its own, so that nothing is fused. */
static void check_fusion(struct cn_shape input, const char *first, const char *second) {
    char both[512];
    (void)snprintf(both, sizeof both, "%s;%s", first, second);
    struct cn_network *whole = test_network(input, both, 3);
    test_set_vectors(whole);
    struct cn_network *head = test_network(input, first, 3);
    const struct cn_layer *last = &head->layers[head->layer_count - 1];
    struct cn_network *tail = test_network(last->output_shape, second, 3);
    for (size_t i = 0; i < head->parameter_count; i++)
        head->parameters[i] = whole->parameters[i];
    for (size_t i = 0; i < tail->parameter_count; i++)
        tail->parameters[i] = whole->parameters[head->parameter_count + i];
    float *x = test_floats(cn_shape_size(&input), -1, 1, 5);
    float *y = test_outputs(whole, x, 1), *between = test_outputs(head, x, 1),
          *z = test_outputs(tail, between, 1);
    const size_t size = cn_shape_size(&tail->layers[tail->layer_count - 1].output_shape);
    for (size_t i = 0; i < size; i++)
        cr_assert_float_eq((double)y[i], (double)z[i], 1e-5, "%s: output %zu is %g, not %g", both,
                           i, (double)y[i], (double)z[i]);
    free(x);
    free(y);
    free(between);
    free(z);
    cn_network_free(whole);
    cn_network_free(head);
    cn_network_free(tail);
}

Test(plan, a_fused_layer_gives_what_it_gives_alone) {
    static const char *const convolutions[] = {
        "Conv2D filters=5 kernel_size=3", "Conv2D filters=33 kernel_size=2 activation=relu",
        "Conv2D filters=8 kernel_size=3 padding=same activation=tanh",
        "Conv2D filters=17 kernel_size=3 strides=2 padding=same"};
    static const char *const followers[] = {
        "MaxPooling2D",
        "MaxPooling2D padding=same",
        "MaxPooling2D pool_size=3 strides=2",
        "MaxPooling2D;Activation activation=tanh",
        "MaxPooling2D;Activation activation=relu",
        "MaxPooling2D;BatchNormalization;Activation activation=relu",
        "BatchNormalization;Activation activation=relu;MaxPooling2D;MaxPooling2D padding=same",
        "Flatten;Activation activation=softmax",
        "Flatten;BatchNormalization",
        "Unary function=clip alpha=0 beta=0.25",
        "BatchNormalization;Unary function=clip alpha=0 beta=0.25;MaxPooling2D",
        "Unary function=clip alpha=-0.1 beta=0.25",
        "AveragePooling2D;GlobalAveragePooling2D"};
    for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++)
        for (size_t k = 0; k < sizeof followers / sizeof *followers; k++)
            for (int size = 11; size < 15; size++)
                check_fusion(cn_shape_image(size, size + 1, 2), convolutions[i], followers[k]);
}

static size_t count_steps(struct cn_shape input, const char *layers) {
    struct cn_network *network = test_network(input, layers, 1);
    struct cn_plan *plan = NULL;
    struct cn_plan_step step;
    size_t count = 0;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    while (cn_plan_step_at(plan, count, &step))
        count++;
    cn_plan_free(plan);
    cn_network_free(network);
    return count;
}

/* Zero padding before a convolution becomes the convolution's own border. */
Test(plan, a_border_before_a_convolution_gives_what_it_gives_alone) {
    static const char *const borders[] = {"ZeroPadding2D", "ZeroPadding2D padding=0,3,2,1"};
    static const char *const convolutions[] = {
        "Conv2D filters=5 kernel_size=3 strides=2 activation=relu",
        "Conv2D filters=20 kernel_size=3 padding=same; MaxPooling2D",
        "Conv2D filters=6 kernel_size=1;Unary function=clip alpha=0 beta=0.2",
        "DepthwiseConv2D kernel_size=3 strides=2;BatchNormalization;Activation activation=relu"};
    for (size_t i = 0; i < sizeof borders / sizeof *borders; i++)
        for (size_t k = 0; k < sizeof convolutions / sizeof *convolutions; k++)
            for (int size = 5; size < 9; size++) {
                char both[256];
                (void)snprintf(both, sizeof both, "%s;%s", borders[i], convolutions[k]);
                check_fusion(cn_shape_image(size, size + 2, 3), borders[i], convolutions[k]);
                cr_assert_eq(count_steps(cn_shape_image(size, size + 2, 3), both), 1, "%s", both);
            }
    check_fusion(cn_shape_image(1, 9, 2), "Reshape target_shape=9,2;ZeroPadding1D padding=2,1",
                 "Conv1D filters=4 kernel_size=3");
    /* A picture that another layer also reads is not changed. */
    cr_assert_eq(count_steps(cn_shape_image(6, 6, 3), "ZeroPadding2D;Dropout;Conv2D filters=2 "
                                                      "kernel_size=3;ZeroPadding2D"),
                 2);
}

/* The outputs of the layers, each with a plan of its own. */
static float *run_one_by_one(const struct cn_network *whole, char *layers, const float *images,
                             size_t count) {
    float *x = cn_floats_allocate(count * cn_shape_size(&whole->layers[0].input_shape));
    memcpy(x, images, count * cn_shape_size(&whole->layers[0].input_shape) * sizeof *x);
    char *rest = layers, *layer;
    for (size_t l = 0; (layer = strsep(&rest, ";")) != NULL; l++) {
        struct cn_network *one = test_network(whole->layers[l].input_shape, layer, 3);
        memcpy(one->parameters, whole->parameters + whole->layers[l].parameter_offset,
               one->parameter_count * sizeof(float));
        float *y = test_outputs(one, x, count);
        cn_network_free(one);
        free(x);
        x = y;
    }
    return x;
}

static unsigned long long macs_of(const struct cn_plan *plan) {
    struct cn_plan_step step;
    unsigned long long macs = 0;
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++)
        macs += step.macs;
    return macs;
}

static void count_first_step(void *context, size_t step) {
    *(size_t *)context += step == 0;
}

/* How often the first step runs for one image. */
static size_t runs_of_first_step(const struct cn_plan *plan, const float *image) {
    size_t runs = 0;
    struct cn_workspace *workspace = NULL;
    float *outputs = cn_floats_allocate(cn_plan_output_size(plan));
    cr_assert_eq(cn_workspace_create(plan, &workspace, NULL), CN_OK);
    cn_plan_run_observed(plan, workspace, image, 1, outputs, count_first_step, &runs);
    cn_workspace_free(workspace);
    free(outputs);
    return runs;
}

/* Layers whose values between them are large are computed by bands of rows: with the bits that each
 * layer gives alone, for any team. */
Test(plan, layers_in_bands_give_what_they_give_alone) {
    static const struct {
        int height, width, channels;
        const char *layers;
    } cases[] = {
        {113, 123, 3,
         "Conv2D filters=32 kernel_size=1 activation=relu;DepthwiseConv2D kernel_size=3 "
         "padding=same activation=tanh;Conv2D filters=7 kernel_size=1"},
        {75, 70, 2,
         "Conv2D filters=36 kernel_size=3 padding=same activation=relu;DepthwiseConv2D "
         "kernel_size=5 strides=2 padding=same;Conv2D filters=50 kernel_size=1;DepthwiseConv2D "
         "kernel_size=3;Conv2D filters=5 kernel_size=3"},
        {195, 130, 1,
         "Conv2D filters=24 kernel_size=4 padding=same;MaxPooling2D pool_size=3 strides=2 "
         "padding=same"},
        {199, 132, 16,
         "Conv2D filters=24 kernel_size=1;AveragePooling2D pool_size=2 strides=3;Conv2D filters=9 "
         "kernel_size=3 strides=3 padding=same"},
        {91, 93, 4,
         "Conv2D filters=24 kernel_size=3 groups=2;Conv2D filters=12 kernel_size=3 "
         "dilation_rate=4 padding=same;MaxPooling2D pool_size=5 strides=1 padding=same"},
        {360, 20, 3,
         "Conv2D filters=40 kernel_size=1;DepthwiseConv2D kernel_size=9,3 padding=same;Conv2D "
         "filters=3 kernel_size=2 strides=5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct cn_shape input =
            cn_shape_image(cases[i].height, cases[i].width, cases[i].channels);
        struct cn_network *network = test_network(input, cases[i].layers, 3);
        char layers[512];
        struct cn_plan *plan = NULL;
        (void)snprintf(layers, sizeof layers, "%s", cases[i].layers);
        float *images = test_floats(2 * cn_shape_size(&input), -1, 1, 5);
        float *expected = run_one_by_one(network, layers, images, 2);
        cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
        cr_assert_gt(runs_of_first_step(plan, images), 1, "%zu: not in bands", i);
        cr_assert_geq(macs_of(plan), 1ULL << 23, "%zu: too little work for a team", i);
        for (int threads = 1; threads <= 4; threads++) {
            float *got = run(plan, images, 2, threads);
            cr_assert_eq(memcmp(got, expected, 2 * cn_plan_output_size(plan) * sizeof *got), 0,
                         "%zu by %d", i, threads);
            free(got);
        }
        free(images);
        free(expected);
        cn_plan_free(plan);
        cn_network_free(network);
    }
}

/* Rows of zeros around a picture count for no buffer, however many they are. */
Test(plan, bands_have_room_for_rows_of_the_picture_only) {
    struct cn_network *network =
        test_network(cn_shape_image(1 << 18, 128, 1),
                     "Conv2D filters=1 kernel_size=1; Conv2D filters=16 kernel_size=1 "
                     "strides=4096,1; Conv2D filters=2 kernel_size=255,1 dilation_rate=4096,1 "
                     "padding=same",
                     1);
    struct cn_plan *plan = NULL;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    cr_assert_lt(cn_plan_workspace_bytes(plan), (size_t)10 << 30); /* its copy with the zeros */
    cn_plan_free(plan);
    cn_network_free(network);
}

static void count_runs(void *context, size_t step) {
    ((size_t *)context)[step]++;
}

/* Where values are small and weights large, several images pass together, after each has passed
 * alone through the layers before; no bit changes. */
Test(plan, images_that_meet_late_have_the_bits_of_one) {
    static const char *const layers[] = {
        "Conv2D filters=28 kernel_size=3 padding=same activation=relu; MaxPooling2D pool_size=4; "
        "Conv2D filters=80 kernel_size=3; BatchNormalization; Flatten; Dense units=150 "
        "activation=relu; Dense units=10 activation=softmax",
        "DepthwiseConv2D kernel_size=3; Conv2D filters=30 kernel_size=1; Conv2D filters=8 "
        "kernel_size=3 strides=5; Activation activation=tanh; Flatten; Dense units=900; Activation "
        "activation=softmax",
    };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct cn_shape input = cn_shape_image(38, 41, 3);
        const size_t count = 33, size = cn_shape_size(&input);
        struct cn_network *network = test_network(input, layers[i], 3);
        struct cn_plan *plan = NULL;
        struct cn_workspace *workspace = NULL;
        size_t runs[16] = {0}, steps = count_steps(input, layers[i]);
        float *images = test_floats(count * size, -1, 1, 5);
        cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
        cr_assert_eq(cn_workspace_create(plan, &workspace, NULL), CN_OK);
        const size_t out = cn_plan_output_size(plan);
        float *together = cn_floats_allocate(count * out);
        cn_plan_run_observed(plan, workspace, images, count, together, count_runs, runs);
        cr_assert_geq(runs[0], count);
        cr_assert_lt(runs[steps - 1], count / 2, "%zu runs of the last step", runs[steps - 1]);
        for (int threads = 1; threads <= 4; threads++) {
            float *got = run(plan, images, count, threads);
            cr_assert_eq(memcmp(got, together, count * out * sizeof *got), 0, "%d", threads);
            free(got);
            got = run(plan, images, 3, threads);
            cr_assert_eq(memcmp(got, together, 3 * out * sizeof *got), 0, "3 by %d", threads);
            free(got);
        }
        for (size_t k = 0; k < count; k++) {
            float *alone = run(plan, images + k * size, 1, 1);
            cr_assert_eq(memcmp(alone, together + k * out, out * sizeof *alone), 0, "%zu", k);
            free(alone);
        }
        free(images);
        free(together);
        cn_workspace_free(workspace);
        cn_plan_free(plan);
        cn_network_free(network);
    }
}

Test(plan, flatten_and_dropout_alone_change_nothing) {
    struct cn_network *network =
        test_network(cn_shape_image(2, 2, 1), "Flatten;Dropout rate=0.5", 1);
    const float x[4] = {1, 2, 3, 4};
    float *y = test_outputs(network, x, 1);
    cr_assert_eq(memcmp(x, y, sizeof x), 0);
    free(y);
    cn_network_free(network);
}

/* The memory for the values of a chain: at most the two largest ones that exist at the same time, a
 * tenth more, and the copy for the border of a convolution. */
Test(plan, a_chain_s_workspace_is_near_its_two_largest_values) {
    struct cn_network *network = test_network(
        cn_shape_image(96, 96, 3),
        "Conv2D filters=32 kernel_size=3 padding=same activation=relu; Conv2D filters=24 "
        "kernel_size=3 strides=2 padding=same; Conv2D filters=64 kernel_size=3 padding=same; "
        "AveragePooling2D; Conv2D filters=128 kernel_size=1; GlobalAveragePooling2D; Dense "
        "units=10",
        1);
    struct cn_plan *plan = NULL;
    struct cn_plan_step step;
    size_t largest = 0, before = 0, border = 256 << 10;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    for (size_t s = 0; cn_plan_step_at(plan, s, &step); s++) {
        if (before + step.activation_bytes > largest)
            largest = before + step.activation_bytes;
        before = step.activation_bytes;
    }
    cr_assert_leq(cn_plan_workspace_bytes(plan), largest + largest / 10 + border);
    cn_plan_free(plan);
    cn_network_free(network);
}
