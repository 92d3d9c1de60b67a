/* test_operations.c: calls of functions in Keras models, as Keras 2 and Keras 3 write them,
 * compared with numbers computed by hand. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convnet/model.h"
#include "support/networks.h"

enum { ROWS = 2, COLUMNS = 3, CHANNELS = 2, SIZE = ROWS * COLUMNS * CHANNELS };

/* A model of one node that reads x [2, 3, 2]. */
static enum cn_status parse(const char *node, struct cn_network **ret_network,
                            struct cn_error *error) {
    char json[4096];
    (void)snprintf(
        json, sizeof json,
        "{\"class_name\": \"Functional\", \"config\": {\"name\": \"m\", \"layers\": ["
        "{\"class_name\": \"InputLayer\", \"name\": \"x\", \"config\": {\"name\": \"x\", "
        "\"batch_input_shape\": [null, 2, 3, 2]}, \"inbound_nodes\": []}, %s], "
        "\"input_layers\": [[\"x\", 0, 0]], \"output_layers\": [[\"f\", 0, 0]]}}",
        node);
    return cn_architecture_parse(json, strlen(json), "test", ret_network, error);
}

/* The element of x at row, column, channel; below and above 0. */
static float x_at(int i) {
    return (float)(i - 5);
}

static void check(const char *node, const float *expected, size_t count) {
    struct cn_error error = {0};
    struct cn_network *network = NULL;
    float x[SIZE];
    cr_assert_eq(parse(node, &network, &error), CN_OK, "%s: %s", node, error.text);
    cr_assert_eq(cn_shape_size(&network->output_shape), count, "%s", node);
    for (int i = 0; i < SIZE; i++)
        x[i] = x_at(i);
    float *y = test_outputs(network, x, 1);
    for (size_t i = 0; i < count; i++)
        cr_assert_float_eq(y[i], expected[i], 1e-5, "%s: element %zu is %g, not %g", node, i,
                           (double)y[i], (double)expected[i]);
    free(y);
    cn_network_free(network);
}

#define KERAS_2(function, call)                                                                    \
    "{\"class_name\": \"TFOpLambda\", \"name\": \"f\", \"config\": {\"name\": \"f\", "             \
    "\"function\": \"" function "\"}, \"inbound_nodes\": [" call "]}"
#define SLICING(call)                                                                              \
    "{\"class_name\": \"SlicingOpLambda\", \"name\": \"f\", \"config\": {\"name\": \"f\", "        \
    "\"function\": \"__operators__.getitem\"}, \"inbound_nodes\": [" call "]}"
#define TENSOR                                                                                     \
    "{\"class_name\": \"__keras_tensor__\", \"config\": {\"keras_history\": [\"x\", 0, 0]}}"
#define KERAS_3(class_name, config, call)                                                          \
    "{\"module\": \"keras.src.ops.numpy\", \"class_name\": \"" class_name                          \
    "\", \"name\": \"f\", \"config\": {" config "\"name\": \"f\"}, \"inbound_nodes\": [" call "]}"

Test(operations, with_a_number) {
    static const struct {
        const char *node;
        float by, add;
    } cases[] = {
        {KERAS_2("math.truediv", "[\"x\", 0, 0, {\"y\": 4.0, \"name\": null}]"), 0.25f, 0},
        {KERAS_2("__operators__.add", "[[\"x\", 0, 0, {\"y\": 3, \"name\": null}]]"), 1, 3},
        {KERAS_2("math.subtract", "[\"x\", 0, 0, {\"y\": 1.5}]"), 1, -1.5f},
        {KERAS_2("math.subtract", "[\"_CONSTANT_VALUE\", -1, 1, {\"y\": [\"x\", 0, 0]}]"), -1, 1},
        {KERAS_2("math.multiply", "[\"_CONSTANT_VALUE\", -1, 2.0, {\"y\": [\"x\", 0, 0]}]"), 2, 0},
        {KERAS_2("math.multiply", "[\"x\", 0, 0, {\"y\": [\"x\", 0, 0]}]"), NAN, 0},
        {KERAS_3("Add", "", "{\"args\": [" TENSOR ", 3.0], \"kwargs\": {}}"), 1, 3},
        {KERAS_3("Subtract", "", "{\"args\": [3.0, " TENSOR "], \"kwargs\": {}}"), -1, 3},
        {KERAS_3("TrueDivide", "", "{\"args\": [" TENSOR ", 4], \"kwargs\": {}}"), 0.25f, 0},
        {KERAS_3("Multiply", "", "{\"args\": [" TENSOR ", " TENSOR "], \"kwargs\": {}}"), NAN, 0},
        {"{\"class_name\": \"TensorFlowOpLayer\", \"name\": \"f\", \"config\": {\"name\": \"f\", "
         "\"node_def\": {\"op\": \"Sub\"}, \"constants\": {\"1\": 2.0}}, "
         "\"inbound_nodes\": [[[\"x\", 0, 0, {}]]]}",
         1, -2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float expected[SIZE];
        for (int k = 0; k < SIZE; k++)
            expected[k] =
                isnan(cases[i].by) ? x_at(k) * x_at(k) : x_at(k) * cases[i].by + cases[i].add;
        check(cases[i].node, expected, SIZE);
    }
}

Test(operations, of_channels) {
    float expected[SIZE];
    for (int k = 0; k < SIZE; k++)
        expected[k] = x_at(k) + (k % 2 == 0 ? -1.5f : 2);
    check(KERAS_2("nn.bias_add", "[\"x\", 0, 0, {\"bias\": [-1.5, 2], \"data_format\": "
                                 "\"channels_last\"}]"),
          expected, SIZE);
    /* RGB to BGR, as in Keras's preprocess_input. */
    for (int k = 0; k < SIZE; k++)
        expected[k] = x_at(k ^ 1);
    check(SLICING("[\"x\", 0, 0, {\"slice_spec\": [{\"class_name\": \"__ellipsis__\"}, "
                  "{\"start\": null, \"stop\": null, \"step\": -1}]}]"),
          expected, SIZE);
    check(
        KERAS_3("GetItem", "",
                "{\"args\": [" TENSOR ", {\"class_name\": \"__tuple__\", \"config\": {\"value\": "
                "[{\"class_name\": \"__ellipsis__\", \"config\": {}}, {\"class_name\": "
                "\"__slice__\", \"config\": {\"start\": null, \"stop\": null, \"step\": -1}}]}}], "
                "\"kwargs\": {}}"),
        expected, SIZE);
}

Test(operations, shapes) {
    float expected[SIZE];
    /* The last two pixels of the second row, first channel. */
    expected[0] = x_at(8), expected[1] = x_at(10);
    check(SLICING("[\"x\", 0, 0, {\"slice_spec\": [{\"start\": null, \"stop\": null, \"step\": "
                  "null}, 1, {\"start\": -2, \"stop\": null, \"step\": null}, 0]}]"),
          expected, 2);
    for (int c = 0; c < CHANNELS; c++) {
        expected[c] = 0;
        for (int p = 0; p < ROWS * COLUMNS; p++)
            expected[c] += x_at(p * CHANNELS + c) / (ROWS * COLUMNS);
    }
    check(KERAS_2("math.reduce_mean", "[\"x\", 0, 0, {\"axis\": [1, 2], \"keepdims\": true}]"),
          expected, CHANNELS);
    check(KERAS_3("Mean", "\"axis\": [1, 2], \"keepdims\": false, ",
                  "{\"args\": [" TENSOR "], \"kwargs\": {}}"),
          expected, CHANNELS);
    for (int k = 0; k < SIZE; k++)
        expected[k] = x_at(k % 2 * 6 + k / 4 * 2 + k / 2 % 2); /* columns, channels, rows */
    check(KERAS_2("transpose", "[\"x\", 0, 0, {\"perm\": [0, 2, 3, 1]}]"), expected, SIZE);
    for (int k = 0; k < SIZE; k++)
        expected[k] = x_at(k);
    check(KERAS_2("reshape", "[\"x\", 0, 0, {\"shape\": [-1, 12]}]"), expected, SIZE);
}

Test(operations, functions) {
    float expected[SIZE];
    for (int k = 0; k < SIZE; k++)
        expected[k] = fminf(fmaxf(x_at(k), 0), 6);
    check(KERAS_2("nn.relu6", "[\"x\", 0, 0, {\"name\": null}]"), expected, SIZE);
    for (int k = 0; k < SIZE; k++)
        expected[k] = fmaxf(x_at(k), 0);
    check(KERAS_2("nn.relu", "[\"x\", 0, 0, {}]"), expected, SIZE);
    for (int k = 0; k < SIZE; k++)
        expected[k] = x_at(k) / (1 + expf(-x_at(k)));
    check(KERAS_3("Silu", "", "{\"args\": [" TENSOR "], \"kwargs\": {}}"), expected, SIZE);
    for (int k = 0; k < SIZE; k++)
        expected[k] = fminf(fmaxf(x_at(k), -2), 3);
    check(
        KERAS_2("clip_by_value", "[\"x\", 0, 0, {\"clip_value_min\": -2, \"clip_value_max\": 3}]"),
        expected, SIZE);
}

Test(operations, refused) {
    static const char *const nodes[] = {
        KERAS_2("linalg.svd", "[\"x\", 0, 0, {}]"),
        KERAS_2("math.reduce_mean", "[\"x\", 0, 0, {\"axis\": 0}]"),
        KERAS_2("math.truediv", "[\"x\", 0, 0, {\"y\": 0}]"),
        KERAS_2("reshape", "[\"x\", 0, 0, {\"shape\": [4, 3]}]"),
        KERAS_2("transpose", "[\"x\", 0, 0, {\"perm\": [1, 0, 2, 3]}]"),
        SLICING("[\"x\", 0, 0, {\"slice_spec\": [0]}]"),
        SLICING("[\"x\", 0, 0, {\"slice_spec\": [{}, 9]}]"),
        SLICING("[\"x\", 0, 0, {\"slice_spec\": [{}, {\"step\": -9223372036854775808}]}]"),
        KERAS_2("compat.v1.pad", "[\"x\", 0, 0, {\"paddings\": [[0, 0], [1, 1], [1, 1], [0, 0]], "
                                 "\"mode\": \"SYMMETRIC\"}]"),
        KERAS_2("compat.v1.pad", "[\"x\", 0, 0, {\"paddings\": [[1, 0], [1, 1], [1, 1], [0, 0]]}]"),
        KERAS_2("image.resize", "[\"x\", 0, 0, {\"size\": [4, 4], \"antialias\": true}]"),
        KERAS_3("Einsum", "", "{\"args\": [" TENSOR "], \"kwargs\": {}}"),
    };
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        struct cn_error error = {0};
        struct cn_network *network = NULL;
        cr_assert_eq(parse(nodes[i], &network, &error), CN_UNSUPPORTED, "%s", nodes[i]);
        cr_assert_not_null(strstr(error.text, "\"f\""), "%s", error.text);
    }
}

#define NAMED(name, class, config)                                                                 \
    "{\"class_name\": \"" class "\", \"name\": \"" name "\", \"config\": {\"name\": \"" name       \
                                "\"" config "}, \"inbound_nodes\": [[[\"x\", 0, 0, {}]]]}"
#define FLAT(class, config) NAMED("a", class, config)
#define DOT_OF(second, axes, normalize)                                                            \
    "{\"class_name\": \"Dot\", \"name\": \"f\", \"config\": {\"name\": \"f\", \"axes\": " axes     \
    ", \"normalize\": " normalize "}, \"inbound_nodes\": [[[\"a\", 0, 0, {}], [\"" second          \
    "\", 0, 0, {}]]]}"
#define DOT(axes, normalize) DOT_OF("a", axes, normalize)
#define THREE_BY_FOUR        FLAT("Reshape", ", \"target_shape\": [3, 4]") ", "
#define FOUR_BY_THREE        NAMED("b", "Reshape", ", \"target_shape\": [4, 3]") ", "

Test(operations, dot) {
    static const float squares = 146, one = 1;
    check(FLAT("Flatten", "") ", " DOT("1", "false"), &squares, 1);
    check(FLAT("Flatten", "") ", " DOT("[-1, -1]", "true"), &one, 1);
    /* a is x as 3 x 4, b is x as 4 x 3: a a^T, a^T a, a b and (b a)^T */
    float rows[9] = {0}, columns[16] = {0}, product[9] = {0}, turned[16] = {0};
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < 4; k++)
            rows[i] += x_at(i / 3 * 4 + k) * x_at(i % 3 * 4 + k);
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 3; k++)
            columns[i] += x_at(k * 4 + i / 4) * x_at(k * 4 + i % 4);
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < 4; k++)
            product[i] += x_at(i / 3 * 4 + k) * x_at(k * 3 + i % 3);
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 3; k++)
            turned[i] += x_at(k * 4 + i / 4) * x_at(i % 4 * 3 + k);
    check(THREE_BY_FOUR DOT("2", "false"), rows, 9);
    check(THREE_BY_FOUR DOT("[1, 1]", "false"), columns, 16);
    check(THREE_BY_FOUR FOUR_BY_THREE DOT_OF("b", "[2, 1]", "false"), product, 9);
    check(THREE_BY_FOUR FOUR_BY_THREE DOT_OF("b", "[1, -1]", "false"), turned, 16);
}

Test(operations, dots_that_are_refused) {
    static const char *const nodes[] = {
        THREE_BY_FOUR DOT("1", "true"),
        THREE_BY_FOUR DOT("0", "false"),
        FLAT("Dropout", ", \"rate\": 0.5") ", " DOT("1", "false"),
        KERAS_2("math.l2_normalize", "[\"x\", 0, 0, {\"axis\": 1}]"),
        KERAS_2("math.l2_normalize", "[\"x\", 0, 0, {\"axis\": null}]"),
        KERAS_3("Normalize", "\"axis\": -1, \"order\": 1, ", "{\"args\": [" TENSOR "]}")};
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        struct cn_network *network = NULL;
        struct cn_error error = {0};
        cr_expect_eq(parse(nodes[i], &network, &error), CN_UNSUPPORTED, "%s", nodes[i]);
    }
}

Test(operations, lengths_of_1) {
    float expected[SIZE];
    for (int i = 0; i < SIZE; i++)
        expected[i] = x_at(i) / hypotf(x_at(i & ~1), x_at(i | 1));
    check(KERAS_2("math.l2_normalize", "[\"x\", 0, 0, {\"axis\": -1}]"), expected, SIZE);
    check(KERAS_2("math.l2_normalize", "[\"x\", 0, 0, {\"axis\": [3], \"epsilon\": 1e-10}]"),
          expected, SIZE);
    check(KERAS_3("Normalize", "\"axis\": -1, \"order\": 2, ", "{\"args\": [" TENSOR "]}"),
          expected, SIZE);
}
