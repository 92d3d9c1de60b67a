/* test_plan.c: inference: batches and threads do not change a bit; folding changes no answer. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "support/networks.h"

static float *run(const struct cn_plan *plan, const float *images, size_t count, int threads) {
    struct cn_workspace *workspaces[4] = {0};
    float *outputs = cn_floats_allocate(count * cn_plan_output_size(plan));
    for (int i = 0; i < threads; i++)
        cr_assert_eq(cn_workspace_create(plan, &workspaces[i], NULL), CN_OK);
    cn_plan_run_parallel(plan, workspaces, threads, images, count, outputs);
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

/* y of one layer stack on x, computed by its own plan. */
static float *answer(struct cn_network *network, const float *x) {
    struct cn_plan *plan = NULL;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    float *y = run(plan, x, 1, 1);
    cn_plan_free(plan);
    return y;
}

/* Moving statistics as training would leave them. */
static void set_statistics(struct cn_network *network) {
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const bool variance = strstr(tensor->name, "variance") != NULL;
        for (size_t i = 0; tensor->rank == 1 && i < tensor->size; i++)
            network->parameters[tensor->offset + i] =
                (variance ? 0.5f : -0.2f) + 0.1f * (float)(i % 7);
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
    set_statistics(folded);
    memcpy(plain->parameters, folded->parameters, plain->parameter_count * sizeof(float));
    float *x = test_floats(72, -1, 1, 5), *y = answer(folded, x), *z = answer(plain, x);
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
    set_statistics(network);
    float *x = test_floats(4, -1, 1, 5), *y = answer(network, x);
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

Test(plan, flatten_and_dropout_alone_change_nothing) {
    struct cn_network *network =
        test_network(cn_shape_image(2, 2, 1), "Flatten;Dropout rate=0.5", 1);
    const float x[4] = {1, 2, 3, 4};
    float *y = answer(network, x);
    cr_assert_eq(memcmp(x, y, sizeof x), 0);
    free(y);
    cn_network_free(network);
}
