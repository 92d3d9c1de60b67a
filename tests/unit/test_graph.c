/* test_graph.c: networks that are not chains: branches, several inputs and outputs, shared and
 * frozen layers; in inference, in training, in a trace and as JSON. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/model.h"
#include "convnet/plan.h"
#include "convnet/trace.h"
#include "convnet/trainer.h"
#include "support/networks.h"

static const struct cn_shape image = {3, {6, 5, 2, 1, 1}}, vector = {1, {4, 1, 1, 1, 1}};

/* Three branches meet, one value has four users, and two BatchNormalizations cannot be folded. */
static const char residual[] =
    "Conv2D :a filters=3 kernel_size=3 padding=same use_bias=false;BatchNormalization :b;"
    "Activation :c activation=tanh;Conv2D :d filters=3 kernel_size=3 padding=same;"
    "BatchNormalization :e;Conv2D :s filters=3 kernel_size=1 <c;Add :f <e <c <s;"
    "Activation :g activation=tanh;Concatenate :h <g <c <g;"
    "GlobalAveragePooling2D;Dense units=3 activation=softmax";

static const struct cn_shape two_inputs[] = {{3, {6, 5, 2, 1, 1}}, {1, {4, 1, 1, 1, 1}}};
static const char two[] =
    "Conv2D :a filters=4 kernel_size=3 activation=tanh <input;GlobalAveragePooling2D :b;"
    "Dense :c units=4 activation=sigmoid <input_1;Add :d <b <c;Concatenate :e <d <input_1;"
    "Dense :f units=3 activation=softmax <e;Dense :g units=2 <d";

static struct cn_network *residual_network(uint64_t seed) {
    return test_graph(&image, 1, residual, "", seed);
}

static void check_gradient_by(struct cn_network *network, const char *what, double step) {
    test_gradient(network, what, 11, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, step, 2e-2);
}

static void check_gradient(struct cn_network *network, const char *what) {
    check_gradient_by(network, what, 8e-3);
}

Test(graph, gradient) {
    check_gradient(residual_network(7), "residual");
    check_gradient(test_graph(two_inputs, 2, two, "f", 7), "two inputs");
    check_gradient(test_graph(two_inputs, 2, two, "f g", 7), "two outputs");
    check_gradient(test_graph(&image, 1,
                              "Flatten :x;Dense :a units=3 activation=tanh;Add :b <a <a;"
                              "Dense :c units=3 <b;Add :d <c <b <a;Activation activation=softmax",
                              "", 7),
                   "one value twice");
    check_gradient(test_graph(&image, 1,
                              "Flatten :x;Dense :a units=3 activation=softmax;"
                              "Dense :b units=2 <a;Dense :c units=2 <b",
                              "a", 7),
                   "layers behind the output");
}

Test(graph, gradient_of_merges) {
    static const char *const merges[] = {"Add", "Subtract", "Multiply", "Average"};
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        char layers[512];
        (void)snprintf(layers, sizeof layers,
                       "Conv2D :a filters=3 kernel_size=2 activation=tanh;"
                       "GlobalAveragePooling2D :b keepdims=true;Dense :c units=3 activation=tanh "
                       "<input_1;%s :d <a <b;%s :e <c <d;%s :f <e <e;Flatten;"
                       "Dense units=2 activation=softmax",
                       merges[i], merges[i], i < 2 ? merges[i] : "Average");
        check_gradient_by(test_graph(two_inputs, 2, layers, "", 11), merges[i],
                          i == 2 ? 1e-2 : 4e-3);
    }
}

/* Few elements, so that no step moves a maximum from one input to another. */
Test(graph, gradient_of_extremes) {
    static const char *const merges[] = {"Maximum", "Minimum"};
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        char layers[512];
        (void)snprintf(layers, sizeof layers,
                       "Dense :a units=2 activation=tanh <input_1;Dense :b units=1 <input_1;"
                       "%s :c <a <b;Dense units=2 activation=softmax",
                       merges[i]);
        check_gradient(test_graph(two_inputs, 2, layers, "", 13), merges[i]);
    }
}

/* Computes the gradient and the new statistics of one batch. */
static float *gradient_of(struct cn_network *network, int threads, size_t count) {
    struct cn_gradient_workspace *workspace = NULL;
    float *images = test_floats(count * cn_shape_size(&network->input_shape), -1, 1, 8);
    uint16_t *labels = test_labels(count, cn_shape_size(&network->output_shape), 9);
    float *gradients = cn_floats_allocate(network->parameter_count);
    struct cn_minibatch_result result;
    const struct cn_minibatch batch = {.count = count, .images = images, .labels = labels};
    cr_assert_eq(cn_gradient_workspace_create(network, count, threads, &workspace, NULL), CN_OK);
    cn_network_gradient(network, workspace, &batch, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, gradients,
                        &result);
    cn_gradient_workspace_free(workspace);
    free(images);
    free(labels);
    return gradients;
}

Test(graph, gradient_has_the_same_bits_for_any_threads) {
    for (size_t count = 1; count <= 67; count += 33) {
        struct cn_network *one = residual_network(3);
        float *expected = gradient_of(one, 1, count);
        for (int threads = 2; threads <= 3; threads++) {
            struct cn_network *more = residual_network(3);
            float *got = gradient_of(more, threads, count);
            cr_assert_eq(memcmp(got, expected, one->parameter_count * sizeof *got), 0);
            cr_assert_eq(
                memcmp(more->parameters, one->parameters, one->parameter_count * sizeof *got), 0);
            free(got);
            cn_network_free(more);
        }
        free(expected);
        cn_network_free(one);
    }
}

/* A U-Net: down, up again, with the earlier values concatenated; its output is a map. */
static const char u_net[] =
    "Conv2D :a filters=4 kernel_size=3 padding=same use_bias=false;BatchNormalization :b;"
    "Activation :c activation=relu;MaxPooling2D :d pool_size=2;"
    "Conv2D :e filters=6 kernel_size=3 padding=same activation=relu;"
    "Conv2DTranspose :f filters=4 kernel_size=2 strides=2;Concatenate :g <f <c;"
    "Conv2D :h filters=4 kernel_size=3 padding=same activation=relu;"
    "Conv2D :i filters=1 kernel_size=1 activation=sigmoid";

/* The loss before and after some updates of a network; its targets are the first channel of the
 * images, or the labels. */
static void train_steps(struct cn_network *network, int threads, double ret_losses[2]) {
    const size_t count = 37, size = cn_shape_size(&network->input_shape);
    const size_t outputs = cn_shape_size(&network->output_shape);
    const bool map = outputs > 10;
    struct cn_training_options options = cn_training_options_default();
    options.optimizer = CN_OPTIMIZER_ADAM;
    struct cn_gradient_workspace *workspace = NULL;
    float *images = test_floats(count * size, 0, 1, 8);
    float *targets = test_floats(count * outputs, 0, 1, 8);
    uint16_t *labels = test_labels(count, map ? 2 : outputs, 9);
    float *gradients = cn_floats_allocate(network->parameter_count);
    float *state = cn_floats_allocate(2 * network->parameter_count);
    uint8_t *decay = calloc(network->parameter_count, 1);
    struct cn_minibatch_result result;
    for (size_t n = 0; map && n < count; n++)
        for (size_t i = 0; i < outputs; i++)
            targets[n * outputs + i] = images[n * size + i * (size / outputs)];
    cr_assert_eq(cn_gradient_workspace_create(network, count, threads, &workspace, NULL), CN_OK);
    for (uint64_t step = 1; step <= 12; step++) {
        const struct cn_minibatch batch = {.count = count,
                                           .images = images,
                                           .labels = labels,
                                           .seed = 5,
                                           .step = step,
                                           .targets = map ? targets : NULL};
        cn_network_gradient(network, workspace, &batch,
                            map ? CN_LOSS_MEAN_SQUARED_ERROR : CN_LOSS_CATEGORICAL_CROSSENTROPY, 0,
                            gradients, &result);
        cn_optimizer_step(&options, 0.02F, step, decay, gradients, state, network->parameters,
                          network->parameter_count);
        ret_losses[step > 1] = result.loss_sum;
    }
    cn_gradient_workspace_free(workspace);
    free(images);
    free(targets);
    free(labels);
    free(gradients);
    free(state);
    free(decay);
}

Test(graph, a_residual_network_and_a_u_net_learn_the_same_bits_for_any_threads) {
    static const struct cn_shape square = {3, {8, 8, 2, 1, 1}};
    static const char *const networks[] = {residual, u_net};
    for (size_t i = 0; i < 2; i++) {
        struct cn_network *one = test_graph(&square, 1, networks[i], "", 3);
        double losses[2], others[2];
        train_steps(one, 1, losses);
        cr_assert_lt(losses[1], losses[0], "network %zu learns nothing: %g, %g", i, losses[0],
                     losses[1]);
        for (int threads = 2; threads <= 3; threads++) {
            struct cn_network *more = test_graph(&square, 1, networks[i], "", 3);
            train_steps(more, threads, others);
            cr_assert_eq(memcmp(more->parameters, one->parameters,
                                one->parameter_count * sizeof *one->parameters),
                         0, "network %zu, %d threads", i, threads);
            cr_assert_eq(memcmp(losses, others, sizeof losses), 0);
            cn_network_free(more);
        }
        cn_network_free(one);
    }
}

Test(graph, frozen_layers_stay) {
    struct cn_network *network =
        test_graph(&image, 1,
                   "Conv2D :a filters=3 kernel_size=3 frozen;BatchNormalization :b frozen;"
                   "Conv2D :c filters=2 kernel_size=2;Flatten;Dense units=3 activation=softmax",
                   "", 3);
    float *before = cn_floats_allocate(network->parameter_count);
    memcpy(before, network->parameters, network->parameter_count * sizeof *before);
    float *gradients = gradient_of(network, 1, 9);
    cr_assert_eq(memcmp(before, network->parameters, network->parameter_count * sizeof *before), 0,
                 "moving statistics of a frozen layer moved");
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        float sum = 0;
        for (size_t i = 0; i < tensor->size; i++)
            sum += fabsf(gradients[tensor->offset + i]);
        cr_assert_eq(sum > 0, tensor->trainable, "%s", tensor->name);
        cr_assert_eq(tensor->trainable, tensor->name[0] != 'a' && tensor->name[0] != 'b', "%s",
                     tensor->name);
    }
    free(before);
    free(gradients);
    check_gradient(network, "frozen");
}

Test(graph, frozen_batch_normalization_lets_the_gradient_through) {
    check_gradient(test_graph(&image, 1,
                              "Conv2D :a filters=3 kernel_size=3;BatchNormalization :b frozen;"
                              "Activation activation=tanh;Flatten;Dense units=3 activation=softmax",
                              "", 3),
                   "frozen BatchNormalization");
}

/* Computes all outputs by a plan and all layers by a trace; both must agree. */
static void compare_plan_and_trace(struct cn_network *network, size_t count) {
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    struct cn_trace *trace = NULL;
    float *arrays[2] = {NULL, NULL}, *outputs[3] = {NULL, NULL, NULL};
    for (size_t t = 0; t < network->tensor_count; t++)
        for (size_t i = 0; network->tensors[t].rank == 1 && i < network->tensors[t].size; i++)
            network->parameters[network->tensors[t].offset + i] += 0.1f * (float)(i + 1);
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    cr_assert_eq(cn_workspace_create(plan, &workspace, NULL), CN_OK);
    cr_assert_eq(cn_trace_create(network, CN_TRACE_ALL, 1 << 20, &trace, NULL), CN_OK);
    for (size_t i = 0; i < network->input_count; i++)
        arrays[i] = test_floats(count * cn_shape_size(&network->inputs[i].shape), -1, 1, 5 + i);
    for (size_t k = 0; k < network->output_count; k++)
        outputs[k] = cn_floats_allocate(count * cn_shape_size(&network->outputs[k].shape));
    const float *const inputs[] = {arrays[0], arrays[1]};
    cn_plan_run_ports(plan, workspace, inputs, count, outputs);
    for (size_t n = 0; n < count; n++) {
        const float *one[2] = {NULL, NULL};
        for (size_t i = 0; i < network->input_count; i++)
            one[i] = arrays[i] + n * cn_shape_size(&network->inputs[i].shape);
        cn_trace_run_inputs(trace, one);
        for (size_t k = 0; k < network->output_count; k++) {
            const size_t size = cn_shape_size(&network->outputs[k].shape);
            const size_t layer = network->outputs[k].value - network->input_count;
            const float *expected = cn_trace_output(trace, layer);
            for (size_t i = 0; i < size; i++)
                cr_assert_float_eq((double)outputs[k][n * size + i], (double)expected[i], 2e-6,
                                   "image %zu, output %zu, element %zu", n, k, i);
        }
    }
    for (size_t k = 0; k < network->output_count; k++)
        free(outputs[k]);
    free(arrays[0]);
    free(arrays[1]);
    cn_trace_free(trace);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    cn_network_free(network);
}

Test(graph, plan_and_trace_agree) {
    compare_plan_and_trace(residual_network(4), 37);
    compare_plan_and_trace(test_graph(two_inputs, 2, two, "f g", 4), 37);
    compare_plan_and_trace(test_graph(two_inputs, 2, two, "g d f", 4), 5);
    compare_plan_and_trace(test_graph(two_inputs, 2, two, "d d b", 4), 5);
    /* nothing may be folded across a value that another layer reads */
    compare_plan_and_trace(
        test_graph(&image, 1,
                   "Conv2D :a filters=3 kernel_size=2;BatchNormalization :b;"
                   "Activation :c activation=relu <a;MaxPooling2D :d <b;MaxPooling2D :e <c;"
                   "Add :f <d <e;Activation activation=relu;Flatten;Dropout rate=0.5",
                   "", 4),
        20);
}

Test(graph, plan_knows_its_memory) {
    struct cn_network *network = residual_network(4);
    struct cn_plan *plan = NULL;
    struct cn_plan_step step;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    size_t weights = 0, steps = 0;
    for (; cn_plan_step_at(plan, steps, &step); steps++)
        weights += step.weight_bytes;
    /* BatchNormalization and the first activation are folded into the convolutions. */
    cr_assert_eq(steps, 8, "%zu steps", steps);
    cr_assert_geq(cn_plan_weight_bytes(plan), weights);
    cr_assert_gt(cn_plan_workspace_bytes(plan), 16 * 6 * 5 * 3 * sizeof(float));
    cr_assert_lt(cn_plan_workspace_bytes(plan), 100000);
    cn_plan_free(plan);
    cn_network_free(network);
}

Test(graph, shared_layers_have_one_set_of_weights) {
    struct cn_network *network = NULL;
    const size_t first_input = 0;
    size_t a = 0, b = 0, sum = 0;
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG];
    const struct cn_layer_type *dense = cn_layer_type_find("Dense");
    cn_layer_type_defaults(dense, config);
    const int units = 4;
    memcpy(config, &units, sizeof units); /* the first field */
    cr_assert_eq(cn_network_create(&vector, &network, NULL), CN_OK);
    struct cn_layer_call call = {
        .type = dense, .config = config, .input_count = 1, .inputs = &first_input};
    cr_assert_eq(cn_network_add_call(network, &call, &a, NULL), CN_OK);
    call = (struct cn_layer_call){.input_count = 1, .inputs = &a, .shares = 1};
    cr_assert_eq(cn_network_add_call(network, &call, &b, NULL), CN_OK);
    const size_t both[] = {a, b};
    call = (struct cn_layer_call){
        .type = cn_layer_type_find("Concatenate"), .input_count = 2, .inputs = both};
    cr_assert_eq(cn_network_add_call(network, &call, &sum, NULL), CN_OK);
    call = (struct cn_layer_call){.input_count = 1, .inputs = &sum, .shares = 1};
    struct cn_error error = {0};
    cr_assert_eq(cn_network_add_call(network, &call, NULL, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "\"dense\""), "%s", error.text);
    const struct cn_layer_type *activation = cn_layer_type_find("Activation");
    const enum cn_activation softmax = CN_ACTIVATION_SOFTMAX;
    cn_layer_type_defaults(activation, config);
    memcpy(config, &softmax, sizeof softmax);
    cr_assert_eq(cn_network_add(network, activation, NULL, config, NULL), CN_OK);
    cr_assert_eq(cn_network_build(network, NULL), CN_OK);
    cn_network_initialize(network, 3);
    cr_assert_eq(network->parameter_count, 4u * 4 + 4);
    cr_assert_eq(network->tensor_count, 2u);
    check_gradient(network, "shared");
}

Test(graph, what_does_not_fit_is_named) {
    static const struct cn_shape other = {3, {6, 4, 2, 1, 1}};
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_network_create(&image, &network, NULL), CN_OK);
    cr_assert_eq(cn_network_add_input(network, "input", &other, &error), CN_INVALID);
    error = (struct cn_error){0};
    cr_assert_eq(cn_network_add_input(network, "second", &other, NULL), CN_OK);
    const size_t inputs[] = {0, 1, 2};
    struct cn_layer_call call = {
        .type = cn_layer_type_find("Add"), .name = "sum", .input_count = 2, .inputs = inputs};
    cr_assert_eq(cn_network_add_call(network, &call, NULL, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "\"sum\" (Add): its inputs are (6, 5, 2) and (6, 4, 2)"),
                       "%s", error.text);
    error = (struct cn_error){0};
    call.input_count = 1;
    cr_assert_eq(cn_network_add_call(network, &call, NULL, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "reads 1 inputs"), "%s", error.text);
    error = (struct cn_error){0};
    call = (struct cn_layer_call){
        .type = cn_layer_type_find("Concatenate"), .input_count = 3, .inputs = inputs};
    cr_assert_eq(cn_network_add_call(network, &call, NULL, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "value 2 of 2"), "%s", error.text);
    cn_network_free(network);
}

static void kind_is(const char *layers, enum cn_output_kind kind) {
    struct cn_network *network = test_network(image, layers, 1);
    cr_assert_eq(cn_network_output_kind(network, 0), kind, "%s is %s", layers,
                 cn_output_kind_names[cn_network_output_kind(network, 0)]);
    cn_network_free(network);
}

Test(graph, kinds_of_output) {
    kind_is("Flatten;Dense units=3 activation=softmax", CN_OUTPUT_SOFTMAX);
    kind_is("Flatten;Dense units=3;Activation activation=softmax;Dropout rate=0.5",
            CN_OUTPUT_SOFTMAX);
    kind_is("Flatten;Dense units=1 activation=sigmoid", CN_OUTPUT_SIGMOID);
    kind_is("Flatten;Dense units=3 activation=sigmoid", CN_OUTPUT_SIGMOIDS);
    kind_is("Flatten;Dense units=3", CN_OUTPUT_LOGITS);
    kind_is("Flatten;Dense units=3 activation=relu", CN_OUTPUT_LOGITS);
    kind_is("Flatten;Dense units=1", CN_OUTPUT_NUMBER);
    kind_is("Flatten;Dense units=1 activation=softmax", CN_OUTPUT_NUMBER);
    kind_is("Conv2D filters=3 kernel_size=1 activation=softmax", CN_OUTPUT_MAP);
    kind_is("Conv2D filters=3 kernel_size=1 activation=softmax;Flatten", CN_OUTPUT_LOGITS);
    kind_is("Conv2D filters=3 kernel_size=6,5 activation=softmax;Flatten", CN_OUTPUT_SOFTMAX);
}

Test(graph, copies_are_whole) {
    struct cn_network *network = test_graph(two_inputs, 2, two, "f g", 4), *copy = NULL;
    cr_assert_eq(cn_network_copy(network, &copy, NULL), CN_OK);
    cn_network_free(network);
    cr_assert_eq(copy->input_count, 2u);
    cr_assert_str_eq(copy->inputs[1].name, "input_1");
    cr_assert_str_eq(copy->outputs[1].name, "g");
    cr_assert_not(cn_network_is_chain(copy));
    compare_plan_and_trace(copy, 5);
}
