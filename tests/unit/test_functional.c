/* test_functional.c: Keras's Functional models as JSON: the spellings of Keras 2 and 3, models in
 * models, shared layers, what is refused; and what we write is read back the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "model/architecture.h"
#include "support/networks.h"

static struct cn_network *assemble(const char *json, const struct cn_architecture_options *options,
                                   char ***ret_paths) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(
        cn_architecture_assemble(json, strlen(json), "test", options, &network, ret_paths, &error),
        CN_OK, "%s: %s", error.text, json);
    cr_assert_eq(cn_network_build(network, NULL), CN_OK);
    return network;
}

static void expect_same(const struct cn_network *a, const struct cn_network *b) {
    cr_assert_eq(a->layer_count, b->layer_count);
    cr_assert_eq(a->input_count, b->input_count);
    cr_assert_eq(a->output_count, b->output_count);
    cr_assert_eq(a->tensor_count, b->tensor_count);
    cr_assert_eq(a->parameter_count, b->parameter_count);
    for (size_t i = 0; i < a->input_count; i++) {
        cr_assert_str_eq(a->inputs[i].name, b->inputs[i].name);
        cr_assert(cn_shape_equal(&a->inputs[i].shape, &b->inputs[i].shape));
    }
    for (size_t k = 0; k < a->output_count; k++) {
        cr_assert_str_eq(a->outputs[k].name, b->outputs[k].name);
        cr_assert_eq(a->outputs[k].value, b->outputs[k].value);
    }
    for (size_t l = 0; l < a->layer_count; l++) {
        const struct cn_layer *x = &a->layers[l], *y = &b->layers[l];
        cr_assert_str_eq(x->name, y->name);
        cr_assert_eq(x->type, y->type);
        cr_assert_eq(x->frozen, y->frozen);
        cr_assert_eq(x->shares, y->shares);
        cr_assert_eq(x->input_count, y->input_count);
        cr_assert_eq(x->parameter_offset, y->parameter_offset);
        cr_assert_eq(memcmp(x->config, y->config, sizeof x->config), 0, "%s", x->name);
        for (size_t i = 0; i < x->input_count; i++)
            cr_assert_eq(x->inputs[i].value, y->inputs[i].value, "%s", x->name);
    }
}

static void expect_round_trip(struct cn_network *network) {
    char *json = NULL;
    cr_assert_eq(cn_architecture_format(network, &json, NULL), CN_OK);
    struct cn_network *copy = assemble(json, NULL, NULL);
    expect_same(network, copy);
    free(json);
    cn_network_free(copy);
}

#define FUNCTIONAL(class, layers, inputs, outputs)                                                 \
    "{\"class_name\":\"" class "\",\"config\":{\"name\":\"m\",\"layers\":[" layers                 \
                               "],\"input_layers\":" inputs ",\"output_layers\":" outputs "}}"
#define INPUT2(name, shape)                                                                        \
    "{\"class_name\":\"InputLayer\",\"name\":\"" name "\",\"config\":{\"batch_input_shape\":"      \
    "[null," shape "],\"name\":\"" name "\"},\"inbound_nodes\":[]}"
#define NODE(class, name, config, inbound)                                                         \
    "{\"class_name\":\"" class "\",\"name\":\"" name "\",\"config\":{\"name\":\"" name "\"" config \
                               "},\"inbound_nodes\":" inbound "}"
#define TENSOR(name)                                                                               \
    "{\"class_name\":\"__keras_tensor__\",\"config\":{\"shape\":[null,4],\"dtype\":\"float32\","   \
    "\"keras_history\":[\"" name "\",0,0]}}"

static const char keras2[] = FUNCTIONAL(
    "Model",
    INPUT2("x", "4") "," NODE("Dense", "a", ",\"units\":3", "[[[\"x\",0,0,{}]]]") "," NODE(
        "Dense", "b", ",\"units\":3", "[[[\"x\",0,0]]]") ","
    /* a merge before what it reads, and a node that is one tensor without a list around it */
    NODE("Add", "c", "", "[[[\"a\",0,0,{}],[\"b\",0,0,{}]]]") "," NODE(
        "Activation", "d", ",\"activation\":\"softmax\"", "[[\"c\",0,0,{}]]"),
    "[[\"x\",0,0]]", "[[\"d\",0,0]]");

static const char keras3[] = FUNCTIONAL(
    "Functional",
    "{\"module\":\"keras.layers\",\"class_name\":\"InputLayer\",\"config\":{\"batch_shape\":[null,"
    "4],"
    "\"dtype\":\"float32\",\"sparse\":false,\"ragged\":false,\"name\":\"x\"},\"registered_name\":"
    "null,"
    "\"name\":\"x\",\"inbound_nodes\":[]}," NODE(
        "Dense", "a",
        ",\"trainable\":true,\"dtype\":{\"module\":\"keras\",\"class_name\":\"DTypePolicy\","
        "\"config\":"
        "{\"name\":\"mixed_float16\"},\"registered_name\":null},\"units\":3",
        "[{\"args\":[" TENSOR(
            "x") "],\"kwargs\":{}}]") "," NODE("Dense", "b", ",\"units\":3",
                                               "[{\"args\":[" TENSOR(
                                                   "x") "],\"kwargs\":{}}]") "," NODE("Add", "c",
                                                                                      "",
                                                                                      "[{\"args\":["
                                                                                      "[" TENSOR("a") "," TENSOR(
                                                                                          "b") "]],"
                                                                                               "\"k"
                                                                                               "war"
                                                                                               "gs"
                                                                                               "\":"
                                                                                               "{}}"
                                                                                               "]") "," NODE("Activation",
                                                                                                             "d",
                                                                                                             ",\"activation\":\"softmax\"",
                                                                                                             "[{\"args\":[" TENSOR(
                                                                                                                 "c") "],\"kwargs\":{\"training\":false,\"mask\":null}}]"),
    "[\"x\",0,0]", "[\"d\",0,0]");

Test(functional, keras_2_and_3_are_one_network) {
    struct cn_network *two = assemble(keras2, NULL, NULL), *three = assemble(keras3, NULL, NULL);
    cr_assert_eq(two->layer_count, 4u);
    cr_assert_eq(two->parameter_count, 2u * (4 * 3 + 3));
    cr_assert_str_eq(two->inputs[0].name, "x");
    expect_same(two, three);
    expect_round_trip(two);
    cn_network_free(two);
    cn_network_free(three);
}

Test(functional, order_of_the_file_does_not_matter) {
    struct cn_network *network = assemble(
        FUNCTIONAL("Functional",
                   NODE("Dense", "b", ",\"units\":2", "[[[\"a\",0,0,{}]]]") "," NODE(
                       "Dense", "a", ",\"units\":3", "[[[\"x\",0,0,{}]]]") "," INPUT2("x", "4"),
                   "[[\"x\",0,0]]", "[[\"b\",0,0]]"),
        NULL, NULL);
    cr_assert_str_eq(network->layers[0].name, "a");
    cr_assert(cn_network_is_chain(network));
    expect_round_trip(network); /* its input has a name, so it stays Functional */
    cn_network_free(network);
}

Test(functional, several_inputs_and_outputs) {
    struct cn_network *network = assemble(
        FUNCTIONAL("Functional",
                   INPUT2("picture", "4") "," INPUT2("age", "4") "," NODE(
                       "Concatenate", "c", ",\"axis\":1",
                       "[[[\"age\",0,0,{}],[\"picture\",0,0,{}]]]") "," NODE("Dense", "d",
                                                                             ",\"units\":3",
                                                                             "[[[\"c\",0,0,{}]]]"),
                   "[[\"picture\",0,0],[\"age\",0,0]]", "[[\"d\",0,0],[\"c\",0,0],[\"age\",0,0]]"),
        NULL, NULL);
    cr_assert_str_eq(network->inputs[1].name, "age");
    cr_assert_eq(network->layers[0].inputs[0].value, 1u);
    cr_assert_eq(network->output_count, 3u);
    cr_assert_str_eq(network->outputs[2].name, "age");
    cr_assert_eq(network->output_shape.dims[0], 3);
    expect_round_trip(network);
    cn_network_free(network);
}

Test(functional, shared_layers) {
    struct cn_network *network =
        assemble(FUNCTIONAL("Functional",
                            INPUT2("x", "4") "," NODE(
                                "Dense", "a", ",\"units\":4",
                                "[[[\"x\",0,0,{}]],[[\"a\",0,0,{}]]]") "," NODE("Add", "b", "",
                                                                                "[[[\"a\",0,0,{}],["
                                                                                "\"a\",1,0,{}]]]"),
                            "[[\"x\",0,0]]", "[[\"b\",0,0]]"),
                 NULL, NULL);
    cr_assert_eq(network->layer_count, 3u);
    cr_assert_eq(network->parameter_count, 20u);
    cr_assert_eq(network->layers[1].shares, 1u);
    cr_assert_str_eq(network->layers[1].name, "a.2");
    expect_round_trip(network);
    cn_network_free(network);
}

/* As Teachable Machine writes models: a Sequential of Sequentials, one of which contains a
 * Functional. Keras 2 counts the calls of an inner model from 1. */
static const char nested[] =
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"outer\",\"layers\":["
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"first\",\"layers\":["
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"body\",\"trainable\":false,\"layers\":"
    "[" INPUT2("x", "6,6,3") "," NODE(
        "Conv2D", "conv", ",\"filters\":2,\"kernel_size\":3",
        "[[[\"x\",0,0,{}]]]") "," NODE("GlobalAveragePooling2D", "pool", "",
                                       "[[[\"conv\",0,0,{}]]]") "],\"input_layers\":[[\"x\",0,0]],"
                                                                "\"output_layers\":[[\"pool\",0,0]]"
                                                                "}}]}},"
                                                                "{\"class_name\":\"Sequential\","
                                                                "\"config\":{\"name\":\"second\","
                                                                "\"layers\":["
                                                                "{\"class_name\":\"Dense\","
                                                                "\"config\":{\"name\":\"conv\","
                                                                "\"units\":5,\"batch_input_shape\":"
                                                                "[null,2]}},"
                                                                "{\"class_name\":\"Dense\","
                                                                "\"config\":{\"name\":\"dense\","
                                                                "\"units\":2,\"activation\":"
                                                                "\"softmax\"}}"
                                                                "]}}]}}";

Test(functional, models_in_models_are_flattened) {
    static const struct cn_architecture_options options = {.lenient = true, .paths = true};
    char **paths = NULL;
    struct cn_network *network = assemble(nested, &options, &paths);
    cr_assert_eq(network->layer_count, 4u);
    cr_assert(cn_network_is_chain(network));
    cr_assert_str_eq(network->layers[0].name, "conv");
    cr_assert_str_eq(network->layers[2].name, "second.conv");
    cr_assert_str_eq(paths[0], "first/body/conv");
    cr_assert_str_eq(paths[2], "second/conv");
    cr_assert_null(paths[4]);
    cr_assert(network->layers[0].frozen);
    cr_assert_not(network->layers[2].frozen);
    cr_assert_eq(network->input_shape.dims[2], 3);
    expect_round_trip(network);
    cn_architecture_free_paths(paths);
    cn_network_free(network);
}

/* An inner model that is used twice, with calls counted from 1. */
static const char siamese[] = FUNCTIONAL(
    "Functional",
    INPUT2("p", "4") "," INPUT2(
        "q",
        "4") ",{\"class_name\":\"Functional\",\"name\":\"body\",\"config\":"
             "{\"name\":\"body\",\"layers\":[" INPUT2("x", "4") "," NODE(
                 "Dense", "a", ",\"units\":3",
                 "[[[\"x\",0,0,{}]]]") "," NODE("Dense", "b", ",\"units\":2",
                                                "[[[\"a\",0,0,{}]]]") "],\"input_layers\":[[\"x\","
                                                                      "0,0]],\"output_layers\":[["
                                                                      "\"b\",0,0],[\"a\",0,0]]},"
                                                                      "\"inbound_nodes\":[[[\"p\","
                                                                      "0,0,{}]],[[\"q\",0,0,{}]]]}"
                                                                      "," NODE(
                                                                          "Add", "sum", "",
                                                                          "[[[\"body\",1,0,{}],["
                                                                          "\"body\",2,0,{}]]]"),
    "[[\"p\",0,0],[\"q\",0,0]]", "[[\"sum\",0,0],[\"body\",2,1]]");

Test(functional, an_inner_model_twice_shares_its_weights) {
    struct cn_network *network = assemble(siamese, NULL, NULL);
    cr_assert_eq(network->layer_count, 5u);
    cr_assert_eq(network->parameter_count, 4u * 3 + 3 + 3 * 2 + 2);
    cr_assert_eq(network->layers[2].shares, 1u);
    cr_assert_eq(network->outputs[1].value, 2u + 2);
    cn_network_free(network);
}

Test(functional, names_of_others_are_made_ours) {
    static const struct cn_architecture_options options = {.lenient = true};
    struct cn_network *network = assemble(
        FUNCTIONAL(
            "Functional",
            INPUT2("x:0", "4") "," NODE(
                "Dense", "a/b c", ",\"units\":3",
                "[[[\"x:0\",0,0,{}]]]") "," NODE("Dense", "a/b:c",
                                                 ",\"units\":3,\"kernel_initializer\":{\"class_"
                                                 "name\":"
                                                 "\"Mine\",\"config\":{}},\"kernel_regularizer\":{"
                                                 "\"class_name\":\"L3\"},"
                                                 "\"bias_constraint\":{\"class_name\":\"X\"}",
                                                 "[[[\"a/b c\",0,0,{}]]]"),
            "[[\"x:0\",0,0]]", "[[\"a/b:c\",0,0]]"),
        &options, NULL);
    cr_assert_str_eq(network->inputs[0].name, "x:0");
    cr_assert_str_eq(network->layers[0].name, "a_b_c");
    cr_assert_str_eq(network->layers[1].name, "a_b_c.2");
    cn_network_free(network);
}

#define ONE(class, config)                                                                         \
    "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"InputLayer\",\"config\":{"       \
    "\"batch_input_shape\":[null,3]}},{\"class_name\":\"" class "\",\"config\":{\"name\":"         \
                                                                "\"a\"" config "}}]}"

/* A model of three numbers gives these outputs for -2, 0.5 and 8, also after it was written and
 * read back. */
static void expect_outputs(const char *json, const float outputs[3]) {
    static const struct cn_architecture_options lenient = {.lenient = true};
    static const float x[] = {-2, 0.5f, 8};
    struct cn_network *network = assemble(json, &lenient, NULL);
    float *y = test_outputs(network, x, 1);
    for (size_t k = 0; k < 3; k++)
        cr_expect_float_eq((double)y[k], (double)outputs[k], 2e-6, "%s: %zu is %.7g", json, k,
                           (double)y[k]);
    expect_round_trip(network);
    free(y);
    cn_network_free(network);
}

/* The same model with more keys for the model and its input, and with a given name for the key of
 * the shape. */
#define HARD(keys, input, shape, dtype)                                                            \
    "{" keys "\"class_name\":\"Sequential\",\"config\":{\"layers\":[{" input "\"class_name\":"     \
    "\"InputLayer\",\"config\":{\"" shape "\":[null,3]}},{\"class_name\":\"Activation\","          \
    "\"config\":{\"name\":\"a\",\"dtype\":" dtype ",\"activation\":\"hard_sigmoid\"}}]}}"

/* hard_sigmoid is 0.2 x + 0.5 in Keras 2 and x / 6 + 0.5 in Keras 3. The version, the dtype
 * policies or the input tell which one wrote a file. */
Test(functional, hard_sigmoid_of_keras_2_and_3) {
    static const float keras_2[] = {0.1f, 0.6f, 1}, keras_3[] = {0.1666667f, 0.5833333f, 1};
    const struct {
        const char *json;
        const float *outputs;
    } cases[] = {
        {HARD("", "", "batch_shape", "\"float32\""), keras_2},
        {HARD("", "\"module\":\"keras.layers\",", "batch_input_shape", "\"float32\""), keras_2},
        {HARD("", "\"module\":\"keras.layers\",", "batch_shape", "\"float32\""), keras_3},
        {HARD("\"keras_version\":\"3.0.5\",", "", "batch_input_shape", "\"float32\""), keras_3},
        {HARD("\"keras_version\":\"2.15.0\",", "\"module\":\"keras.layers\",", "batch_shape",
              "\"float32\""),
         keras_2},
        {HARD("\"keras_version\":\"tfjs-layers 4.22.0\",", "", "batch_input_shape", "\"float32\""),
         keras_2},
        {HARD("", "", "batch_input_shape",
              "{\"class_name\":\"DTypePolicy\",\"config\":{\"name\":\"float32\"}}"),
         keras_3},
        {HARD("", "", "batch_input_shape",
              "{\"class_name\":\"Policy\",\"config\":{\"name\":\"mixed_float16\"}}"),
         keras_2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_outputs(cases[i].json, cases[i].outputs);
}

/* An activation that our layers do not have as a key becomes a layer of its own. */
Test(functional, activations_of_keras) {
    static const struct cn_architecture_options lenient = {.lenient = true};
    static const struct {
        const char *json;
        float outputs[3]; /* for -2, 0.5 and 8 */
    } cases[] = {
        {ONE("LeakyReLU", ""), {-0.6f, 0.5f, 8}},
        {ONE("LeakyReLU", ",\"negative_slope\":0.1"), {-0.2f, 0.5f, 8}},
        {ONE("ReLU", ",\"max_value\":6.0,\"negative_slope\":0.0,\"threshold\":0.0"), {0, 0.5f, 6}},
        {ONE("ReLU", ",\"max_value\":null,\"negative_slope\":0.0,\"threshold\":0.0"), {0, 0.5f, 8}},
        {ONE("ReLU", ",\"max_value\":6.0,\"negative_slope\":0.5,\"threshold\":1.0"),
         {-1.5f, -0.25f, 6}},
        {ONE("ReLU", ",\"max_value\":6.0,\"threshold\":1.0"), {0, 0, 6}},
        {ONE("Activation", ",\"activation\":{\"class_name\":\"LeakyReLU\",\"config\":{\"alpha\":"
                           "0.25}}"),
         {-0.5f, 0.5f, 8}},
        {ONE("ELU", ",\"alpha\":1.0"), {-0.8646647f, 0.5f, 8}},
        {ONE("Activation", ",\"activation\":\"selu\""), {-1.5201665f, 0.5253505f, 8.4056078f}},
        {ONE("Activation", ",\"activation\":\"swish\""), {-0.2384058f, 0.3112297f, 7.9973173f}},
        {ONE("Swish", ""), {-0.2384058f, 0.3112297f, 7.9973173f}},
        {ONE("Activation", ",\"activation\":\"Custom>swish\""),
         {-0.2384058f, 0.3112297f, 7.9973173f}},
        {ONE("Activation", ",\"activation\":\"gelu\""), {-0.0455003f, 0.3457312f, 8}},
        {ONE("Activation", ",\"activation\":\"hard_sigmoid\""), {0.1f, 0.6f, 1}},
        {ONE("Activation", ",\"activation\":\"relu6\""), {0, 0.5f, 6}},
        {ONE("Activation", ",\"activation\":\"softplus\""), {0.1269280f, 0.9740770f, 8.0003354f}},
        {ONE("Activation", ",\"activation\":\"log_softmax\""),
         {-10.000598f, -7.500598f, -0.000598f}},
        {ONE("Activation", ",\"activation\":\"log_sigmoid\""),
         {-2.1269280f, -0.4740770f, -0.0003354f}},
        {ONE("Activation", ",\"activation\":\"tanh_shrink\""),
         {-1.0359724f, 0.0378828f, 7.0000002f}},
        {ONE("Activation", ",\"activation\":\"squareplus\""), {0.4142136f, 1.2807764f, 8.1231056f}},
        {ONE("Activation", ",\"activation\":\"sparse_plus\""), {0, 0.5625f, 8}},
        {FUNCTIONAL("Functional",
                    INPUT2("x", "3") "," NODE(
                        "Rescaling", "r", ",\"scale\":2.0",
                        "[[[\"x\",0,0,{}]]]") "," NODE("Concatenate", "c", "",
                                                       "[[[\"x\",0,0,{}],[\"r\",0,0,{}]]"
                                                       "]") "," NODE("Activation", "g",
                                                                     ",\"activation\":"
                                                                     "\"glu\"",
                                                                     "[[[\"c\",0,0,{}]]"
                                                                     "]"),
                    "[[\"x\",0,0]]", "[[\"g\",0,0]]"),
         {-0.0359724f, 0.3655293f, 7.9999991f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_outputs(cases[i].json, cases[i].outputs);
    struct cn_network *network = assemble(
        "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"InputLayer\",\"config\":{"
        "\"batch_input_shape\":[null,3]}},{\"class_name\":\"GaussianNoise\",\"config\":{\"stddev\":"
        "0.1}},{\"class_name\":\"Dense\",\"config\":{\"units\":2,\"activation\":\"elu\"}}]}",
        &lenient, NULL);
    cr_expect_eq(network->layer_count, 3u); /* the noise, Dense and its activation */
    cn_network_free(network);
}

/* The scale takes the numbers beyond -1 and 1, where sparse_plus has its other pieces. */
Test(functional, gradients_of_activations_of_several_layers) {
    static const struct cn_architecture_options lenient = {.lenient = true};
    static const char *const words[] = {"log_sigmoid", "tanh_shrink", "squareplus",
                                        "sparse_plus", "glu",         "log_softmax"};
    char json[1024];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        (void)snprintf(json, sizeof json,
                       "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"InputLayer\","
                       "\"config\":{\"batch_input_shape\":[null,3]}},{\"class_name\":\"Dense\","
                       "\"config\":{\"units\":4}},{\"class_name\":\"Rescaling\",\"config\":{"
                       "\"scale\":3.0}},{\"class_name\":\"Activation\",\"config\":{"
                       "\"activation\":\"%s\"}},{\"class_name\":\"Dense\",\"config\":{\"units\":3,"
                       "\"activation\":\"softmax\"}}]}",
                       words[i]);
        struct cn_network *network = assemble(json, &lenient, NULL);
        cn_network_initialize(network, 7);
        test_gradient(network, words[i], 5, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0, 2e-3, 3e-2);
    }
}

Test(functional, open_shapes_are_given) {
    static const struct cn_shape given = {3, {6, 6, 3, 1, 1}};
    const struct cn_architecture_options options = {.input_shape = &given};
    static const char json[] =
        FUNCTIONAL("Functional",
                   INPUT2("x", "null,null,3") "," NODE("GlobalAveragePooling2D", "g", "",
                                                       "[[[\"x\",0,0,{}]]]"),
                   "[[\"x\",0,0]]", "[[\"g\",0,0]]");
    struct cn_network *network = assemble(json, &options, NULL);
    cr_assert(cn_shape_equal(&network->input_shape, &given));
    cn_network_free(network);
    cr_assert_eq(cn_architecture_parse(json, strlen(json), "t", &network, NULL), CN_INVALID);
}

static void refuse(const char *json, enum cn_status status, const char *words) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    const enum cn_status got = cn_architecture_parse(json, strlen(json), "t", &network, &error);
    cr_expect_eq(got, status, "%s: %s", json, error.text);
    cr_expect_not_null(strstr(error.text, words), "\"%s\" lacks \"%s\"", error.text, words);
    if (got == CN_OK)
        cn_network_free(network);
}

#define DENSES(a, b)                                                                               \
    INPUT2("x", "4")                                                                               \
    "," NODE("Dense", "a", ",\"units\":4", a) "," NODE("Dense", "b", ",\"units\":4", b)
#define IN  "[[\"x\",0,0]]"
#define OUT "[[\"b\",0,0]]"

Test(functional, refuses_what_makes_no_sense) {
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"b\",0,0,{}]]]", "[[[\"a\",0,0,{}]]]"), IN, OUT),
           CN_MALFORMED, "cycle");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"a\",0,0,{}]]]", "[[[\"x\",0,0,{}]]]"), IN, OUT),
           CN_MALFORMED, "cycle");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"y\",0,0,{}]]]", "[[[\"a\",0,0,{}]]]"), IN, OUT),
           CN_MALFORMED, "layer \"a\" reads \"y\", which is not there");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"x\",0,1,{}]]]", "[[[\"a\",0,0,{}]]]"), IN, OUT),
           CN_MALFORMED, "never made");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"x\",-1,0,{}]]]", "[[[\"a\",0,0,{}]]]"), IN, OUT),
           CN_MALFORMED, "a layer's name and two numbers");
    refuse(FUNCTIONAL("Functional", DENSES("7", "[[[\"a\",0,0,{}]]]"), IN, OUT), CN_MALFORMED,
           "inbound_nodes is 7");
    refuse(FUNCTIONAL("Functional", DENSES("[[]]", "[[[\"a\",0,0,{}]]]"), IN, OUT), CN_MALFORMED,
           "layer \"a\" reads nothing");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"x\",0,0,{}]]]", "[]"), IN, OUT), CN_MALFORMED,
           "output of model \"\" is never made");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"x\",0,0,{}]]]", "[[[\"a\",0,0,{}]]]"), "[]", OUT),
           CN_MALFORMED, "no input_layers");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"x\",0,0,{}]]]", "[[[\"a\",0,0,{}]]]"),
                      "[[\"a\",0,0]]", OUT),
           CN_MALFORMED, "no InputLayer");
    refuse(FUNCTIONAL("Functional", DENSES("[[[\"x\",0,0,{}],[\"x\",0,0,{}]]]", "[]"), IN,
                      "[[\"a\",0,0]]"),
           CN_INVALID, "\"a\" (Dense) reads 2 inputs");
    refuse(FUNCTIONAL("Functional", INPUT2("x", "4") "," INPUT2("x", "4"), IN, "[[\"x\",0,0]]"),
           CN_INVALID, "no layer but its input");
}

Test(functional, deep_nesting_is_refused) {
    char *json = malloc(1 << 16), *at = json;
    for (int i = 0; i < 40; i++)
        at += sprintf(at, "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[");
    at += sprintf(at, "{\"class_name\":\"Dense\",\"config\":{\"units\":2,\"input_shape\":[4]}}");
    for (int i = 0; i < 40; i++)
        at += sprintf(at, "]}}");
    refuse(json, CN_LIMIT, "nested over 16 deep");
    free(json);
}

/* Each model is its input, and calls the one within it ten times: 10 to the 12th calls. */
Test(functional, models_that_multiply_are_refused) {
    char *json = malloc(1 << 16), *at = json;
    enum { DEEP = 12 };
    for (int i = 0; i < DEEP; i++)
        at += sprintf(at,
                      "{\"class_name\":\"Functional\",\"name\":\"m\",\"config\":{\"layers\":["
                      "{\"class_name\":\"InputLayer\",\"name\":\"x\",\"config\":{\"name\":\"x\","
                      "\"batch_input_shape\":[null,4]},\"inbound_nodes\":[]}%s",
                      i + 1 < DEEP ? "," : "");
    for (int i = DEEP; i-- > 0;) {
        at += sprintf(at, "],\"input_layers\":[[\"x\",0,0]],\"output_layers\":[[\"%s\",0,0]]}",
                      i + 1 < DEEP ? "m" : "x");
        for (int call = 0; i > 0 && call < 10; call++)
            at += sprintf(at, "%s[[\"%s\",%d,0,{}]]", call > 0 ? "," : ",\"inbound_nodes\":[",
                          call > 0 ? "m" : "x", call > 0 ? call - 1 : 0);
        at += sprintf(at, "%s}", i > 0 ? "]" : "");
    }
    refuse(json, CN_LIMIT, "call each other so often");
    free(json);
}

#define MERGE(mode)                                                                                \
    ",\"mode\":\"" mode "\",\"mode_type\":\"raw\",\"concat_axis\":1,\"dot_axes\":-1,"              \
    "\"output_shape\":null,\"output_shape_type\":\"raw\",\"output_mask\":null,"                    \
    "\"output_mask_type\":\"raw\",\"arguments\":{}"
#define OF_BOTH "[[[\"a\",0,0],[\"b\",0,0]]]"
#define OF_A    "[[[\"a\",0,0]]]"
#define ROWS    NODE("Reshape", "r", ",\"target_shape\":[18,4]", OF_A) ","
#define OF_ROWS "[[[\"r\",0,0]]]"
#define OLD_DECONVOLUTION                                                                          \
    ",\"nb_filter\":3,\"nb_row\":3,\"nb_col\":3,\"subsample\":[2,2],\"border_mode\":\"same\","     \
    "\"dim_ordering\":\"tf\""
#define DECONVOLUTION ",\"filters\":3,\"kernel_size\":[3,3],\"strides\":[2,2],\"padding\":\"same\""

static const char before[] =
    "{\"class_name\":\"Model\",\"config\":{\"name\":\"m\",\"layers\":[" INPUT2(
        "x", "6,6,2") "," NODE("Dropout", "a", ",\"rate\":0.1",
                               "[[[\"x\",0,0]]]") "," NODE("Dropout", "b", ",\"rate\":0.2",
                                                           "[[[\"x\",0,0]]]") ",";
static const char after[] = "],\"input_layers\":[[\"x\",0,0]],\"output_layers\":[[\"c\",0,0]]}}";

/* Expects the same network of two spellings of a layer. */
static void expect_same_graph(const char *one, const char *other,
                              const struct cn_architecture_options *options) {
    struct cn_network *networks[2];
    for (int k = 0; k < 2; k++) {
        char json[2048];
        snprintf(json, sizeof json, "%s%s%s", before, k == 0 ? one : other, after);
        networks[k] = assemble(json, options, NULL);
    }
    expect_same(networks[0], networks[1]);
    cn_network_free(networks[0]);
    cn_network_free(networks[1]);
}

/* The same graph as Keras 1 and Keras 2 write it. */
Test(functional, layers_that_keras_1_wrote_otherwise) {
    static const struct {
        const char *old, *now;
    } pairs[] = {
        {NODE("Merge", "c", MERGE("sum"), OF_BOTH), NODE("Add", "c", "", OF_BOTH)},
        {NODE("Merge", "c", MERGE("mul"), OF_BOTH), NODE("Multiply", "c", "", OF_BOTH)},
        {NODE("Merge", "c", MERGE("ave"), OF_BOTH), NODE("Average", "c", "", OF_BOTH)},
        {NODE("Merge", "c", MERGE("max"), OF_BOTH), NODE("Maximum", "c", "", OF_BOTH)},
        {NODE("Merge", "c", MERGE("concat"), OF_BOTH),
         NODE("Concatenate", "c", ",\"axis\":1", OF_BOTH)},
        {NODE("AtrousConvolution2D", "c",
              ",\"nb_filter\":3,\"nb_row\":3,\"nb_col\":2,\"atrous_rate\":[2,1]", OF_A),
         NODE("Conv2D", "c", ",\"filters\":3,\"kernel_size\":[3,2],\"dilation_rate\":[2,1]", OF_A)},
        {ROWS NODE("AtrousConvolution1D", "c",
                   ",\"nb_filter\":3,\"filter_length\":2,\"atrous_rate\":4", OF_ROWS),
         ROWS NODE("Conv1D", "c", ",\"filters\":3,\"kernel_size\":2,\"dilation_rate\":4", OF_ROWS)},
        {ROWS NODE("UpSampling1D", "c", ",\"length\":3", OF_ROWS),
         ROWS NODE("UpSampling1D", "c", ",\"size\":3", OF_ROWS)},
        {NODE("ZeroPadding2D", "c", ",\"padding\":[1,2,0,3]", OF_A),
         NODE("ZeroPadding2D", "c", ",\"padding\":[[1,2],[0,3]]", OF_A)},
        {NODE("ZeroPadding2D", "c", ",\"padding\":{\"top_pad\":1,\"right_pad\":2}", OF_A),
         NODE("ZeroPadding2D", "c", ",\"padding\":[[1,0],[0,2]]", OF_A)},
        {NODE("Deconvolution2D", "c", OLD_DECONVOLUTION ",\"output_shape\":[null,11,12,3]", OF_A),
         NODE("Conv2DTranspose", "c", DECONVOLUTION ",\"output_padding\":[0,1]", OF_A)},
        {NODE("Deconvolution2D", "c", OLD_DECONVOLUTION ",\"output_shape\":[null,12,12,3]", OF_A),
         NODE("Conv2DTranspose", "c", DECONVOLUTION, OF_A)},
        {NODE("Deconvolution2D", "c",
              ",\"nb_filter\":3,\"nb_row\":3,\"nb_col\":2,\"output_shape\":[null,8,7,3]", OF_A),
         NODE("Conv2DTranspose", "c", ",\"filters\":3,\"kernel_size\":[3,2]", OF_A)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        expect_same_graph(pairs[i].old, pairs[i].now, NULL);
}

/* Habits that change nothing in use: of TensorFlow 1.14, of Keras 2's and 3's serialization, and
 * of what only matters to training. */
Test(functional, habits_of_files) {
    static const struct cn_architecture_options lenient = {.lenient = true};
    static const struct {
        const char *habit, *plain;
    } pairs[] = {
        {NODE("BatchNormalizationV1", "c", "", OF_A), NODE("BatchNormalization", "c", "", OF_A)},
        {NODE("SyncBatchNormalization", "c", ",\"synchronized\":true", OF_A),
         NODE("BatchNormalization", "c", "", OF_A)},
        {NODE("Conv2D", "c",
              ",\"filters\":3.0,\"kernel_size\":{\"class_name\":\"__tuple__\",\"items\":[3,2]}",
              OF_A),
         NODE("Conv2D", "c", ",\"filters\":3,\"kernel_size\":[3,2]", OF_A)},
        {NODE("Conv2D", "c",
              ",\"filters\":3,\"kernel_size\":2,\"activation\":{\"class_name\":\"Activation\","
              "\"config\":{\"activation\":\"relu\"}}",
              OF_A),
         NODE("Conv2D", "c", ",\"filters\":3,\"kernel_size\":2,\"activation\":\"relu\"", OF_A)},
        {NODE("Rescaling", "c",
              ",\"scale\":{\"class_name\":\"__numpy__\",\"config\":{\"value\":[0.5,2],\"dtype\":"
              "\"float32\"}},\"offset\":{\"type\":\"ndarray\",\"value\":[1,2]}",
              OF_A),
         NODE("Rescaling", "c", ",\"scale\":[0.5,2],\"offset\":[1,2]", OF_A)},
        {NODE("Dropout", "d", ",\"rate\":0.5,\"noise_shape\":[null,1,1,1]",
              OF_A) "," NODE("Flatten", "c", "", "[[[\"d\",0,0]]]"),
         NODE("Flatten", "c", "", OF_A)},
        {NODE("Flatten", "c", ",\"activity_regularizer\":{\"class_name\":\"Mine\"}", OF_A),
         NODE("Flatten", "c", "", OF_A)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        expect_same_graph(pairs[i].habit, pairs[i].plain, &lenient);
}

/* The regularizer of an output is imported, for those who train on. */
Test(functional, an_activity_regularizer_is_imported) {
    static const struct cn_architecture_options lenient = {.lenient = true};
    char json[2048];
    snprintf(json, sizeof json, "%s%s%s", before,
             NODE("Flatten", "c",
                  ",\"activity_regularizer\":{\"class_name\":\"L2\",\"config\":{\"l2\":0.5}}",
                  OF_A),
             after);
    struct cn_network *network = assemble(json, &lenient, NULL);
    cr_assert_eq(network->layer_count, 4u);
    cr_expect_str_eq(cn_layer_type_name(network->layers[3].type), "ActivityRegularization");
    cn_network_free(network);
}

Test(functional, layers_of_keras_1_without_meaning_here_are_refused) {
    static const char *const layers[] = {
        NODE("Merge", "c", MERGE("cos"), OF_BOTH),
        NODE("Deconvolution2D", "c", OLD_DECONVOLUTION ",\"output_shape\":[null,13,12,3]", OF_A),
        NODE("Deconvolution2D", "c", OLD_DECONVOLUTION ",\"output_shape\":[null,10,12,3]", OF_A)};
    static const char *const words[] = {"layer \"c\" is a Merge", "makes 13 of 6", "makes 10 of 6"};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        struct cn_network *network = NULL;
        struct cn_error error = {0};
        char json[2048];
        snprintf(json, sizeof json, "%s%s%s", before, layers[i], after);
        cr_expect_eq(
            cn_architecture_assemble(json, strlen(json), "test", NULL, &network, NULL, &error),
            CN_UNSUPPORTED);
        cr_expect(strstr(error.text, words[i]) != NULL, "%s", error.text);
    }
}
