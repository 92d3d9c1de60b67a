/* test_transfer.c: a new head, frozen layers, an activation added after logits: everything else is
 * unchanged. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "convnet/transfer.h"
#include "support/networks.h"

static const char *const layers =
    "Conv2D filters=4 kernel_size=3 activation=relu;BatchNormalization;Flatten;"
    "Dense units=6 activation=relu;Dropout rate=0.5;Dense units=3";

/* The parameters of tensor `name`. */
static const float *tensor_of(const struct cn_network *network, const char *name,
                              const struct cn_tensor **ret_tensor) {
    for (size_t t = 0; t < network->tensor_count; t++)
        if (strcmp(network->tensors[t].name, name) == 0) {
            *ret_tensor = &network->tensors[t];
            return network->parameters + network->tensors[t].offset;
        }
    cr_assert_fail("no tensor %s", name);
    return NULL;
}

static void same_tensor(const struct cn_network *a, const struct cn_network *b, const char *name) {
    const struct cn_tensor *first, *second;
    const float *x = tensor_of(a, name, &first), *y = tensor_of(b, name, &second);
    cr_assert_eq(first->size, second->size);
    cr_assert_eq(memcmp(x, y, first->size * sizeof *x), 0, "%s", name);
}

Test(transfer, a_new_head_has_other_classes_and_weights) {
    struct cn_model *old = test_model(layers), *model = test_model(layers);
    const struct cn_transfer transfer = {.classes = 5, .seed = 9};
    struct cn_error error = {0};
    const struct cn_tensor *tensor;
    cr_assert_eq(cn_model_transfer(model, &transfer, &error), CN_OK, "%s", error.text);
    cr_assert_eq(model->label_count, 5);
    cr_assert_str_eq(model->labels[4], "4");
    cr_assert_eq(model->network->output_shape.dims[0], 5);
    same_tensor(old->network, model->network, "conv2d/kernel");
    same_tensor(old->network, model->network, "batch_normalization/gamma");
    same_tensor(old->network, model->network, "dense/kernel");
    (void)tensor_of(model->network, "dense_1/kernel", &tensor);
    cr_assert_eq(tensor->size, 30);
    cr_assert(tensor->trainable);
    cn_model_free(old);
    cn_model_free(model);
}

Test(transfer, frozen_layers_are_those_that_match) {
    struct cn_model *model = test_model(layers);
    const struct cn_transfer transfer = {.freeze = "conv*,batch_normalization"};
    struct cn_error error = {0}, none = {0};
    cr_assert_eq(cn_model_transfer(model, &transfer, &error), CN_OK, "%s", error.text);
    for (size_t t = 0; t < model->network->tensor_count; t++)
        cr_assert_eq(model->network->tensors[t].trainable,
                     strncmp(model->network->tensors[t].name, "dense", 5) == 0, "%s",
                     model->network->tensors[t].name);
    cr_assert(model->network->layers[1].frozen);
    const struct cn_transfer wrong = {.freeze = "conv2d,block*"};
    cr_assert_eq(cn_model_transfer(model, &wrong, &none), CN_INVALID);
    cr_assert_not_null(strstr(none.text, "called block*"), "%s", none.text);
    cr_assert_not_null(strstr(none.text, "conv2d, batch_normalization, dense, dense_1"), "%s",
                       none.text);
    cn_model_free(model);
}

Test(transfer, logits_get_their_activation) {
    struct cn_model *model = test_model(layers);
    enum cn_activation missing = CN_ACTIVATION_LINEAR;
    struct cn_error error = {0};
    cr_assert_eq(cn_loss_check(CN_LOSS_CATEGORICAL_CROSSENTROPY, model->network, &missing, &error),
                 CN_OK);
    cr_assert_eq(missing, CN_ACTIVATION_SOFTMAX);
    const struct cn_transfer transfer = {.activation = missing};
    cr_assert_eq(cn_model_transfer(model, &transfer, &error), CN_OK, "%s", error.text);
    cr_assert_eq(cn_network_output_kind(model->network, 0), CN_OUTPUT_SOFTMAX);
    cr_assert_eq(cn_loss_check(CN_LOSS_CATEGORICAL_CROSSENTROPY, model->network, &missing, &error),
                 CN_OK);
    cr_assert_eq(missing, CN_ACTIVATION_LINEAR);
    cn_model_free(model);
}

static void check_loss(const char *last, enum cn_loss loss, enum cn_status status,
                       enum cn_activation expected) {
    char text[128];
    enum cn_activation missing = CN_ACTIVATION_LINEAR;
    struct cn_error error = {0};
    (void)snprintf(text, sizeof text, "Flatten;Dense units=3%s", last);
    struct cn_model *model = test_model(text);
    cr_assert_eq(cn_loss_check(loss, model->network, &missing, &error), status, "%s, %s: %s", last,
                 cn_loss_names[loss], error.text);
    cr_assert_eq(missing, expected);
    if (status != CN_OK)
        cr_assert_not_null(strstr(error.text, cn_loss_names[loss]), "%s", error.text);
    cn_model_free(model);
}

Test(transfer, a_loss_needs_its_outputs) {
    const char *const softmax = " activation=softmax", *const sigmoid = " activation=sigmoid";
    check_loss(softmax, CN_LOSS_CATEGORICAL_CROSSENTROPY, CN_OK, CN_ACTIVATION_LINEAR);
    check_loss(sigmoid, CN_LOSS_CATEGORICAL_CROSSENTROPY, CN_INVALID, CN_ACTIVATION_LINEAR);
    check_loss(" activation=relu", CN_LOSS_CATEGORICAL_CROSSENTROPY, CN_INVALID,
               CN_ACTIVATION_LINEAR);
    check_loss(" activation=tanh", CN_LOSS_BINARY_CROSSENTROPY, CN_INVALID, CN_ACTIVATION_LINEAR);
    check_loss(sigmoid, CN_LOSS_BINARY_CROSSENTROPY, CN_OK, CN_ACTIVATION_LINEAR);
    check_loss("", CN_LOSS_BINARY_CROSSENTROPY, CN_OK, CN_ACTIVATION_SIGMOID);
    check_loss("", CN_LOSS_MEAN_SQUARED_ERROR, CN_OK, CN_ACTIVATION_LINEAR);
    check_loss(" activation=tanh", CN_LOSS_HINGE, CN_OK, CN_ACTIVATION_LINEAR);
}
