/* test_outputs.c: how an answer names each kind of output: only a probability is called one. */
#include "model/outputs.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define DENSE(units, activation)                                                                   \
    "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[{\"class_name\":\"Dense\",\"config\":" \
    "{"                                                                                            \
    "\"units\":" units ",\"activation\":\"" activation "\",\"batch_input_shape\":[null,4]}}]}}"
#define CONV(filters)                                                                              \
    "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[{\"class_name\":\"Conv2D\","           \
    "\"config\":{"                                                                                 \
    "\"filters\":" filters ",\"kernel_size\":1,\"batch_input_shape\":[null,2,3,1]}}]}}"

static struct cn_model *model_of(const char *architecture) {
    struct cn_error error = {0};
    struct cn_network *network = NULL;
    struct cn_model *model = NULL;
    cr_assert_eq(
        cn_architecture_parse(architecture, strlen(architecture), "test", &network, &error), CN_OK,
        "%s", error.text);
    cr_assert_eq(cn_model_create(network, &model, &error), CN_OK, "%s", error.text);
    return model;
}

static void check_json(const char *architecture, const float *outputs, const char *expected) {
    struct cn_model *model = model_of(architecture);
    struct cn_text text = {0};
    cn_outputs_add_json(&text, model, outputs, 0);
    cn_text_add_bytes(&text, "", 1);
    cr_expect_str_eq(text.bytes, expected);
    free(text.bytes);
    cn_model_free(model);
}

static void check_csv(const char *architecture, const float *outputs, const char *expected) {
    struct cn_model *model = model_of(architecture);
    struct cn_text text = {0};
    cn_outputs_add_csv_head(&text, model);
    cn_text_add(&text, "\n");
    cn_outputs_add_csv(&text, model, outputs, 0);
    cn_text_add_bytes(&text, "", 1);
    cr_expect_str_eq(text.bytes, expected);
    free(text.bytes);
    cn_model_free(model);
}

Test(outputs, each_kind_says_what_it_is) {
    const float three[] = {0.25f, 0.5f, 0.125f}, large[] = {-3, 12.5f, 2}, one[] = {0.75f};
    check_json(DENSE("3", "softmax"), three,
               "\"class\":1,\"label\":\"1\",\"confidence\":0.5,\"probabilities\":[0.25,0.5,0.125]");
    check_json(DENSE("3", "sigmoid"), three,
               "\"labels\":[\"1\"],\"probabilities\":[0.25,0.5,0.125]");
    check_json(DENSE("1", "sigmoid"), one,
               "\"class\":1,\"label\":\"1\",\"confidence\":0.75,\"probabilities\":[0.25,0.75]");
    check_json(DENSE("3", "linear"), large, "\"class\":1,\"label\":\"1\",\"values\":[-3,12.5,2]");
    check_json(DENSE("1", "linear"), large, "\"value\":-3");
    check_json(CONV("1"), (const float[]){0, 1, 2, 3, 4, 5},
               "\"shape\":[2,3,1],\"values\":[0,1,2,3,4,5]");
}

Test(outputs, columns_are_named_by_what_they_are) {
    const float three[] = {0.25f, 0.5f, 0.125f}, one[] = {0.75f};
    check_csv(DENSE("3", "softmax"), three,
              "class,label,confidence,p_0,p_1,p_2\n1,1,0.5,0.25,0.5,0.125");
    check_csv(DENSE("3", "sigmoid"), three, "p_0,p_1,p_2\n0.25,0.5,0.125");
    check_csv(DENSE("1", "sigmoid"), one, "class,label,confidence,p_0,p_1\n1,1,0.75,0.25,0.75");
    check_csv(DENSE("3", "linear"), three,
              "class,label,value_0,value_1,value_2\n1,1,0.25,0.5,0.125");
    check_csv(DENSE("1", "linear"), one, "value\n0.75");
}

Test(outputs, a_map_is_a_picture_of_its_largest_channels) {
    struct cn_model *model = model_of(CONV("2")), *classes = model_of(DENSE("3", "softmax"));
    const float values[] = {1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1};
    struct cn_text text = {0};
    struct cn_picture picture = {0};
    struct cn_error error = {0};
    cr_assert(cn_outputs_is_picture(model));
    cr_assert_not(cn_outputs_is_picture(classes));
    cn_outputs_add_png(&text, model, values);
    cr_assert_eq(
        cn_png_decode(text.bytes, text.length, &cn_picture_default_limits, &picture, &error), CN_OK,
        "%s", error.text);
    cr_assert(picture.width == 3 && picture.height == 2 && picture.channels == 1);
    cr_assert_arr_eq(picture.data, ((const uint8_t[]){0, 1, 0, 1, 1, 1}), 6);
    cn_picture_clear(&picture);
    free(text.bytes);
    cn_model_free(model);
    cn_model_free(classes);
}

Test(outputs, labels_are_as_many_as_the_kind_has) {
    static const char *const names[] = {"cat", "dog", "cow"};
    struct cn_error error = {0};
    struct cn_model *pair = model_of(DENSE("1", "sigmoid")),
                    *number = model_of(DENSE("1", "linear"));
    struct cn_model *map = model_of(CONV("2"));
    cr_assert_eq(cn_model_set_labels(pair, names, 2, &error), CN_OK);
    cr_assert_str_eq(cn_model_answer(pair, (const float[]){0.25f}).label, "cat");
    cr_assert_str_eq(cn_model_answer(pair, (const float[]){0.5f}).label, "dog");
    cr_assert_eq(cn_model_set_labels(pair, names, 1, &error), CN_INVALID);
    cr_assert_eq(cn_model_set_labels(number, names, 1, &error), CN_INVALID);
    cr_assert_eq(number->label_count, 0);
    cr_assert_eq(cn_model_set_labels(map, names, 2, &error), CN_OK);
    cr_assert_eq(cn_model_set_labels(map, names, 3, &error), CN_INVALID);
    cn_model_free(pair);
    cn_model_free(number);
    cn_model_free(map);
}
