/* test_axes.c: layers over other axes than the last, and channels_first: each architecture gives
 * the same numbers as an equivalent one with Permute and Reshape layers. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "model/architecture.h"
#include "support/networks.h"

static struct cn_network *read_network(const char *layers, const char *shape) {
    char json[4096];
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    snprintf(json, sizeof json,
             "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"InputLayer\",\"config\":"
             "{\"batch_input_shape\":[null,%s]}},%s]}",
             shape, layers);
    cr_assert_eq(cn_architecture_parse(json, strlen(json), "test", &network, &error), CN_OK,
                 "%s: %s", error.text, json);
    return network;
}

#define L(class, config) "{\"class_name\":\"" class "\",\"config\":{" config "}}"
#define PERMUTE(dims)    L("Permute", "\"dims\":" dims)
#define RESHAPE(shape)   L("Reshape", "\"target_shape\":" shape)
#define CONV             "\"filters\":3,\"kernel_size\":2,\"activation\":\"relu\""
#define FIRST            ",\"data_format\":\"channels_first\""
#define DENSE            L("Dense", "\"units\":2")

/* Both networks get the same parameters and the same input. */
static void expect_same(const char *layers, const char *shape, const char *explicit_layers,
                        const char *explicit_shape) {
    struct cn_network *a = read_network(layers, shape),
                      *b = read_network(explicit_layers, explicit_shape);
    cr_assert_eq(a->parameter_count, b->parameter_count, "%s", layers);
    float *parameters = test_floats(a->parameter_count, 0.2f, 1, 3);
    float *input = test_floats(cn_shape_size(&a->input_shape), -1, 1, 4);
    memcpy(a->parameters, parameters, a->parameter_count * sizeof *parameters);
    memcpy(b->parameters, parameters, a->parameter_count * sizeof *parameters);
    float *ys = test_outputs(a, input, 1), *expected = test_outputs(b, input, 1);
    const size_t size = cn_shape_size(&a->output_shape);
    cr_assert_eq(size, cn_shape_size(&b->output_shape));
    for (size_t i = 0; i < size; i++)
        cr_assert_float_eq((double)ys[i], (double)expected[i], 1e-5, "%s: %zu", layers, i);
    free(ys);
    free(expected);
    free(parameters);
    free(input);
    cn_network_free(a);
    cn_network_free(b);
}

Test(axes, normalisations_over_other_axes) {
    static const char *const shape = "4,5,3";
    expect_same(L("BatchNormalization", "\"axis\":1"), shape,
                PERMUTE("[2,3,1]") "," L("BatchNormalization", "") "," PERMUTE("[3,1,2]"), shape);
    expect_same(L("BatchNormalization", "\"axis\":[-2]"), shape,
                PERMUTE("[1,3,2]") "," L("BatchNormalization", "") "," PERMUTE("[1,3,2]"), shape);
    expect_same(L("Softmax", "\"axis\":1"), shape,
                PERMUTE("[2,3,1]") "," L("Softmax", "") "," PERMUTE("[3,1,2]"), shape);
    expect_same(
        L("LayerNormalization", "\"axis\":[1,2]"), shape,
        PERMUTE("[3,1,2]") "," L("LayerNormalization", "\"axis\":[-2,-1]") "," PERMUTE("[2,3,1]"),
        shape);
    expect_same(L("UnitNormalization", "\"axis\":[1,2]"), shape,
                PERMUTE("[3,1,2]") "," RESHAPE("[3,20]") "," L("UnitNormalization", "") "," RESHAPE(
                    "[3,4,5]") "," PERMUTE("[2,3,1]"),
                shape);
    expect_same(L("Normalization", "\"axis\":[1,2,3]"), shape,
                RESHAPE("[60]") "," L("Normalization", "") "," RESHAPE("[4,5,3]"), shape);
    expect_same(
        L("GroupNormalization", "\"groups\":2,\"axis\":1"), shape,
        PERMUTE("[2,3,1]") "," L("GroupNormalization", "\"groups\":2") "," PERMUTE("[3,1,2]"),
        shape);
}

Test(axes, dense_layers_over_the_last_of_several_axes) {
    expect_same(DENSE, "4,5,3", L("Conv2D", "\"filters\":2,\"kernel_size\":1"), "4,5,3");
    expect_same(DENSE, "6,3", L("Conv1D", "\"filters\":2,\"kernel_size\":1"), "6,3");
}

Test(axes, crops_of_the_middle_and_given_statistics) {
    expect_same(L("CenterCrop", "\"height\":3,\"width\":2"), "6,5,2",
                L("Cropping2D", "\"cropping\":[[1,2],[1,2]]"), "6,5,2");
    expect_same(L("Normalization", "\"mean\":[1.0,2.0],\"variance\":[4.0,0.25]"), "5,2",
                L("Rescaling", "\"scale\":[0.5,2.0],\"offset\":[-0.5,-4.0]"), "5,2");
}

/* Keras 3 writes the parameters of padding even if the layer does not pad. */
Test(axes, resizing_as_keras_3_writes_it) {
    expect_same(L("Resizing", "\"height\":3,\"width\":4,\"crop_to_aspect_ratio\":false,"
                              "\"pad_to_aspect_ratio\":false,\"fill_mode\":\"constant\","
                              "\"fill_value\":0.0,\"antialias\":false"),
                "6,5,2", L("Resizing", "\"height\":3,\"width\":4"), "6,5,2");
}

/* The network has its channels last, whatever the file says, so its input is the same picture. */
Test(axes, channels_first) {
    expect_same(
        L("Conv2D", CONV FIRST) "," L("BatchNormalization", "\"axis\":1") "," L(
            "MaxPooling2D", "\"pool_size\":2" FIRST) "," L("GlobalAveragePooling2D",
                                                           "\"data_format\":\"channels_"
                                                           "first\"") "," DENSE,
        "2,7,6",
        L("Conv2D", CONV) "," L("BatchNormalization", "") "," L(
            "MaxPooling2D", "\"pool_size\":2") "," L("GlobalAveragePooling2D", "") "," DENSE,
        "7,6,2");
    /* Flatten keeps the order of the file, unless the layer itself says channels_first. */
    expect_same(L("Conv2D", CONV FIRST) "," L("Flatten", "") "," DENSE, "2,5,6",
                L("Conv2D", CONV) "," PERMUTE("[3,1,2]") "," L("Flatten", "") "," DENSE, "5,6,2");
    expect_same(
        L("Conv2D", CONV FIRST) "," L("Flatten", "\"data_format\":\"channels_first\"") "," DENSE,
        "2,5,6", L("Conv2D", CONV) "," L("Flatten", "") "," DENSE, "5,6,2");
    expect_same(
        L("Conv2D", CONV FIRST) "," RESHAPE("[3,-1]") "," L("Conv1D", CONV), "2,5,6",
        L("Conv2D", CONV) "," PERMUTE("[3,1,2]") "," RESHAPE("[3,-1]") "," L("Conv1D", CONV),
        "5,6,2");
    expect_same(L("Conv2D", CONV FIRST) "," L("Softmax", "\"axis\":1"), "2,5,6",
                L("Conv2D", CONV) "," L("Softmax", ""), "5,6,2");
    expect_same(L("Conv2D", CONV FIRST) "," L("LayerNormalization", ""), "2,5,6",
                L("Conv2D", CONV) "," PERMUTE("[1,3,2]") "," L("LayerNormalization",
                                                               "") "," PERMUTE("[1,3,2]"),
                "5,6,2");
    expect_same(RESHAPE("[2,5,6]") "," L("Conv2D", CONV FIRST) "," L("PReLU", ""), "60",
                RESHAPE("[2,5,6]") "," PERMUTE("[2,3,1]") "," L("Conv2D", CONV) "," PERMUTE(
                    "[3,1,2]") "," L("PReLU", ""),
                "60");
    expect_same(L("Conv1D", CONV FIRST), "3,8", L("Conv1D", CONV), "8,3");
}

/* A merge reads all its inputs in the same order. */
Test(axes, channels_first_merges) {
    static const char json[] =
        "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\",\"layers\":["
        "{\"class_name\":\"InputLayer\",\"name\":\"x\",\"config\":{\"batch_input_shape\":[null,2,4,"
        "5],\"name\":\"x\"},\"inbound_nodes\":[]},"
        "{\"class_name\":\"Conv2D\",\"name\":\"c\",\"config\":{\"name\":\"c\",\"filters\":2,"
        "\"kernel_size\":1,\"data_format\":\"channels_first\"},\"inbound_nodes\":[[[\"x\",0,0,{}]]]"
        "},"
        "{\"class_name\":\"Concatenate\",\"name\":\"k\",\"config\":{\"name\":\"k\",\"axis\":1},"
        "\"inbound_nodes\":[[[\"c\",0,0,{}],[\"x\",0,0,{}]]]},"
        "{\"class_name\":\"GlobalAveragePooling2D\",\"name\":\"g\",\"config\":{\"name\":\"g\","
        "\"data_format\":\"channels_first\"},\"inbound_nodes\":[[[\"k\",0,0,{}]]]},"
        "{\"class_name\":\"Reshape\",\"name\":\"r\",\"config\":{\"name\":\"r\",\"target_shape\":[4,"
        "1,1]},\"inbound_nodes\":[[[\"g\",0,0,{}]]]},"
        "{\"class_name\":\"Multiply\",\"name\":\"m\",\"config\":{\"name\":\"m\"},\"inbound_nodes\":"
        "[[[\"k\",0,0,{}],[\"r\",0,0,{}]]]}],"
        "\"input_layers\":[[\"x\",0,0]],\"output_layers\":[[\"m\",0,0]]}}";
    bool moved[CN_NETWORK_MAX_PORTS + CN_NETWORK_MAX_LAYERS];
    const struct cn_architecture_options options = {.moved = moved};
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(
        cn_architecture_assemble(json, strlen(json), "test", &options, &network, NULL, &error),
        CN_OK, "%s", error.text);
    cr_assert(moved[0]);
    cr_assert(moved[network->outputs[0].value]);
    cr_assert_eq(network->input_shape.dims[2], 2);
    cr_assert_eq(network->output_shape.dims[0], 4);
    cr_assert_eq(network->output_shape.dims[2], 4);
    cn_network_free(network);
}
