/* test_foreign_layers.c: the layers of other programs' graphs that Keras does not have: their
 * gradients, some values, and what they refuse. ONNX's own cases test them as well. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/networks.h"

static const struct cn_shape picture = {3, {6, 5, 2, 1, 1}};

static void check_gradient(const char *layers) {
    struct cn_network *network = test_graph(&picture, 1, layers, "", 7);
    for (size_t t = 0; t < network->tensor_count; t++)
        if (strstr(network->tensors[t].name, "/value") != NULL) {
            float *values = test_floats(network->tensors[t].size, 0.5f, 1.5f, 3);
            memcpy(network->parameters + network->tensors[t].offset, values,
                   network->tensors[t].size * sizeof *values);
            free(values);
        }
    test_gradient(network, layers, 5, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, 2e-3, 3e-2);
}

#define HEAD "Conv2D :a filters=3 kernel_size=3;"
#define TAIL ";Flatten :z;Dense :y units=3 activation=softmax"

Test(foreign_layers, gradients_of_functions_of_one_number) {
    static const char *const anywhere[] = {"celu alpha=0.7",
                                           "cos",
                                           "elu alpha=0.9",
                                           "erf",
                                           "exp",
                                           "gelu",
                                           "gelu_tanh",
                                           "mish",
                                           "negative",
                                           "selu alpha=1.7 beta=1.1",
                                           "sin",
                                           "softplus",
                                           "softsign",
                                           "hard_sigmoid alpha=0.2 beta=0.5",
                                           "square"};
    static const char *const positive[] = {"log",
                                           "sqrt",
                                           "reciprocal",
                                           "power alpha=1.7",
                                           "abs",
                                           "leaky_relu alpha=0.2",
                                           "hard_swish",

                                           "clip alpha=-9 beta=90",
                                           "thresholded_relu alpha=-1",
                                           "shrink alpha=0.001 beta=0.5"};
    char layers[512];
    for (size_t i = 0; i < sizeof anywhere / sizeof *anywhere; i++) {
        snprintf(layers, sizeof layers, HEAD "Unary :u function=%s" TAIL, anywhere[i]);
        check_gradient(layers);
    }
    for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
        snprintf(layers, sizeof layers, HEAD "Unary :p function=exp;Unary :u function=%s" TAIL,
                 positive[i]);
        check_gradient(layers);
    }
}

Test(foreign_layers, gradients_of_functions_of_two_numbers) {
    static const char *const functions[] = {"add",   "subtract", "multiply", "divide",
                                            "power", "maximum",  "minimum",  "prelu"};
    char layers[512];
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        /* Both of the same shape; one repeated along axes; both repeated. */
        snprintf(layers, sizeof layers,
                 HEAD "Unary :p function=exp;Conv2D :b filters=3 kernel_size=3 <input;"
                      "Unary :q function=softplus;Binary :u function=%s <p <q" TAIL,
                 functions[i]);
        check_gradient(layers);
        snprintf(layers, sizeof layers,
                 HEAD "Unary :p function=exp;Constant :c shape=1,3,1 <input;"
                      "Binary :u function=%s <p <c" TAIL,
                 functions[i]);
        check_gradient(layers);
        snprintf(layers, sizeof layers,
                 HEAD "Unary :p function=exp;Slice :s begin=0,0,0 size=1,3,3 strides=1,1,1;"
                      "Constant :c shape=4,1,3 <input;Binary :u function=%s <s <c" TAIL,
                 functions[i]);
        check_gradient(layers);
    }
    check_gradient(HEAD "Constant :c shape=4,1,3 <input;Unary :n function=sin <a;"
                        "Binary :g function=greater <a <n;Where :w <g <a <c" TAIL);
}

Test(foreign_layers, gradients_of_what_moves_numbers) {
    check_gradient(HEAD "Slice :s begin=3,0,1 size=2,3,2 strides=-2,1,1" TAIL);
    check_gradient(HEAD "Pad :p before=1,0,0 after=0,2,1 mode=constant value=0.5" TAIL);
    check_gradient(HEAD "Pad :p before=1,2,0 after=0,2,1 mode=reflect" TAIL);
    check_gradient(HEAD "Pad :p before=1,0,2 after=3,2,1 mode=edge" TAIL);
    check_gradient(HEAD "Resize :r axis=1 size=7 interpolation=linear" TAIL);
    check_gradient(HEAD "Resize :r axis=2 size=2 interpolation=nearest coordinates=asymmetric "
                        "rounding=floor" TAIL);
    check_gradient(HEAD "Resize :r axis=-1 size=5 interpolation=cubic exclude_outside=true" TAIL);
    check_gradient(HEAD "Constant :c shape=1,3,2 <input;MatMul :m <a <c" TAIL);
    check_gradient(HEAD "Conv2D :b filters=2 kernel_size=2,3 <input;"
                        "Slice :s begin=0,0,0 size=4,3,2 strides=1,1,1 <b;"
                        "MatMul :m <a <s" TAIL);
}

Test(foreign_layers, gradients_of_reductions) {
    static const char *const functions[] = {"sum", "mean",       "max",         "min", "product",
                                            "l2",  "sum_square", "log_sum_exp", "l1",  "log_sum"};
    char layers[512];
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        for (int axis = functions[i][0] == 'm' && functions[i][2] != 'a' ? 3 : 1; axis <= 3;
             axis++) {
            snprintf(layers, sizeof layers,
                     HEAD "Unary :p function=exp;Reduce :r function=%s axis=%d" TAIL, functions[i],
                     axis);
            check_gradient(layers);
        }
}

/* The one output of a network for one input. */
static void run(const char *layers, struct cn_shape shape, const float *x, float *y) {
    struct cn_network *network = test_graph(&shape, 1, layers, "", 1);
    float *outputs = test_outputs(network, x, 1);
    memcpy(y, outputs, cn_shape_size(&network->output_shape) * sizeof *y);
    free(outputs);
    cn_network_free(network);
}

Test(foreign_layers, values) {
    const struct cn_shape four = {1, {4, 1, 1, 1, 1}};
    const float x[4] = {-2, -0.5f, 0.5f, 7};
    float y[16];
    run("Unary function=clip alpha=-1 beta=6", four, x, y);
    cr_assert(y[0] == -1 && y[1] == -0.5f && y[2] == 0.5f && y[3] == 6);
    run("Unary function=round", four, x, y); /* rounds halves to even */
    cr_assert(y[1] == 0 && y[2] == 0 && y[3] == 7);
    run("Reduce function=argmax", four, x, y);
    cr_assert_eq(y[0], 3);
    run("Slice begin=3 size=2 strides=-3", four, x, y);
    cr_assert(y[0] == 7 && y[1] == -2);
    run("Pad before=2 after=1 mode=reflect", four, x, y);
    cr_assert(y[0] == 0.5f && y[1] == -0.5f && y[2] == -2 && y[6] == 0.5f);
    run("Resize axis=1 size=8 interpolation=linear coordinates=asymmetric", four, x, y);
    cr_assert(y[0] == -2 && y[1] == -1.25f && y[6] == 7 && y[7] == 7);
}

Test(foreign_layers, what_does_not_fit_is_refused) {
    static const char *const layers[] = {"Slice begin=0,0,0 size=7,5,2 strides=1,1,1",
                                         "Slice begin=0,0 size=1,1 strides=1,1",
                                         "Slice begin=5,0,0 size=7,5,2 strides=-1,1,1",
                                         "Pad before=6,0,0 after=0,0,0 mode=reflect",
                                         "Pad before=1 after=1",
                                         "Reduce function=sum axis=4",
                                         "Resize axis=0 size=3",
                                         "Constant shape=1,2,3,4,5,6"};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        struct cn_network *network = NULL;
        struct cn_error error = {0};
        cr_assert_neq(test_network_try(picture, layers[i], &network, &error), CN_OK, "%s",
                      layers[i]);
        cr_assert_neq(error.text[0], '\0');
    }
}
