/* test_trace.c: the outputs of all layers: the last is the plan's answer, and each is that of its
 * layer. */
#include "convnet/trace.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/networks.h"

static const char *const STACKS[] = {
    "Conv2D filters=5 kernel_size=3 padding=same;BatchNormalization;Activation activation=relu;"
    "MaxPooling2D pool_size=2;Dropout rate=0.5;Conv2D filters=7 kernel_size=2 activation=relu;"
    "AveragePooling2D pool_size=2;Flatten;Dropout rate=0.2;Dense units=9 activation=relu;"
    "BatchNormalization;Dense units=4 activation=softmax",
    ("Conv2D filters=3 kernel_size=3;GlobalAveragePooling2D;Dense units=4;"
     "Activation activation=softmax"),
    "Flatten;Dropout rate=0.1;Dense units=4 activation=softmax",
};

static struct cn_trace *trace_of(const struct cn_network *network, size_t layer) {
    struct cn_trace *trace = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_trace_create(network, layer, 1 << 20, &trace, &error), CN_OK, "%s", error.text);
    return trace;
}

/* The last output of the trace is the answer of the plan. Frees the network. */
static void compare_with_plan(struct cn_network *network, uint64_t seed) {
    float *image = test_floats(cn_shape_size(&network->input_shape), 0, 1, seed);
    float *answer = test_outputs(network, image, 1);
    struct cn_trace *trace = trace_of(network, CN_TRACE_ALL);
    cn_trace_run(trace, image);
    const float *last = cn_trace_output(trace, network->layer_count - 1);
    for (size_t i = 0; i < cn_shape_size(&network->output_shape); i++)
        cr_assert_float_eq((double)last[i], (double)answer[i], 1e-5, "%zu: %g, %g", i,
                           (double)last[i], (double)answer[i]);
    cn_trace_free(trace);
    free(answer);
    free(image);
    cn_network_free(network);
}

Test(trace, the_last_output_is_the_plan_s_answer) {
    for (size_t s = 0; s < sizeof STACKS / sizeof *STACKS; s++) {
        struct cn_network *network = test_network(cn_shape_image(9, 8, 2), STACKS[s], 3 + s);
        test_set_vectors(network);
        compare_with_plan(network, 11 + s);
    }
}

Test(trace, the_published_networks_agree_with_their_plans) {
    for (int strided = 0; strided < 2; strided++)
        compare_with_plan(test_seed_network(strided == 1, "0.3", 5), 7);
}

Test(trace, the_last_output_has_the_network_s_temperature) {
    for (size_t s = 0; s < 2; s++) {
        struct cn_network *network = test_network(cn_shape_image(9, 8, 2), STACKS[s], 3 + s);
        test_set_vectors(network);
        network->temperature = 2.5f;
        compare_with_plan(network, 11 + s);
    }
}

/* The output of each layer is the answer of a network that ends with it. */
Test(trace, each_output_is_what_the_network_up_to_there_answers) {
    char stack[512], *end = stack;
    (void)snprintf(stack, sizeof stack, "%s", STACKS[0]);
    struct cn_network *network = test_network(cn_shape_image(9, 8, 2), STACKS[0], 3);
    test_set_vectors(network);
    float *image = test_floats(9 * 8 * 2, 0, 1, 11);
    struct cn_trace *trace = trace_of(network, CN_TRACE_ALL);
    cn_trace_run(trace, image);
    for (size_t l = 0; l < network->layer_count; l++) {
        end = strchr(end, ';');
        if (end != NULL)
            *end = '\0';
        struct cn_network *part = test_network(cn_shape_image(9, 8, 2), stack, 3);
        memcpy(part->parameters, network->parameters, part->parameter_count * sizeof(float));
        const size_t size = cn_shape_size(&network->layers[l].output_shape);
        float *expected = test_outputs(part, image, 1);
        for (size_t i = 0; i < size; i++)
            cr_assert_float_eq((double)cn_trace_output(trace, l)[i], (double)expected[i], 1e-5,
                               "layer %zu, value %zu", l, i);
        free(expected);
        cn_network_free(part);
        if (end != NULL)
            *end++ = ';';
    }
    cn_trace_free(trace);
    free(image);
    cn_network_free(network);
}

Test(trace, one_layer_gives_the_same_bits_as_all) {
    struct cn_network *network = test_network(cn_shape_image(9, 8, 2), STACKS[0], 3);
    test_set_vectors(network);
    float *image = test_floats(9 * 8 * 2, 0, 1, 11);
    struct cn_trace *all = trace_of(network, CN_TRACE_ALL);
    cn_trace_run(all, image);
    for (size_t l = 0; l < network->layer_count; l++) {
        struct cn_trace *one = trace_of(network, l);
        cr_assert_null(cn_trace_output(one, l));
        cn_trace_run(one, image);
        const size_t size = cn_shape_size(&network->layers[l].output_shape);
        cr_assert_eq(memcmp(cn_trace_output(one, l), cn_trace_output(all, l), size * sizeof(float)),
                     0, "layer %zu", l);
        if (l > 0)
            cr_assert_null(cn_trace_output(one, l - 1));
        cr_assert_null(cn_trace_output(one, l + 1));
        cn_trace_free(one);
    }
    cn_trace_free(all);
    free(image);
    cn_network_free(network);
}

Test(trace, skipped_layers_give_their_input) {
    struct cn_network *network = test_network(cn_shape_image(9, 8, 2), STACKS[2], 1);
    float *image = test_floats(9 * 8 * 2, 0, 1, 2);
    struct cn_trace *trace = trace_of(network, CN_TRACE_ALL);
    cn_trace_run(trace, image);
    cr_assert_eq(cn_trace_output(trace, 0), image);
    cr_assert_eq(cn_trace_output(trace, 1), image);
    cr_assert_neq(cn_trace_output(trace, 2), image);
    cn_trace_free(trace);
    free(image);
    cn_network_free(network);
}

Test(trace, refuses_too_many_values_and_unknown_layers) {
    struct cn_network *network = test_network(cn_shape_image(9, 8, 2), STACKS[2], 1);
    struct cn_trace *trace = NULL;
    struct cn_error error = {0}, other = {0};
    const size_t values = 144 + 144 + 4;
    cr_assert_eq(cn_trace_create(network, CN_TRACE_ALL, values - 1, &trace, &error), CN_LIMIT);
    cr_assert_str_eq(error.text, "the outputs to keep have 292 values; the limit is 291");
    cr_assert_eq(cn_trace_create(network, 3, values, &trace, &other), CN_INVALID);
    cr_assert_str_eq(other.text, "there is no layer 3; the network has 3");
    cr_assert_null(trace);
    cr_assert_eq(cn_trace_create(network, CN_TRACE_ALL, values, &trace, NULL), CN_OK);
    cn_trace_free(trace);
    cr_assert_eq(cn_trace_create(network, 2, 4, &trace, NULL), CN_OK);
    cn_trace_free(trace);
    cn_trace_free(NULL);
    cn_network_free(network);
}
