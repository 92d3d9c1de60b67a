/* test_architecture.c: Keras's JSON in its spellings is read into a network and written back; and
 * what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"

static void expect_equal(const struct cn_network *a, const struct cn_network *b) {
    cr_assert_eq(a->layer_count, b->layer_count);
    cr_expect(cn_shape_equal(&a->input_shape, &b->input_shape));
    cr_expect(cn_shape_equal(&a->output_shape, &b->output_shape));
    cr_expect_eq(a->parameter_count, b->parameter_count);
    for (size_t i = 0; i < a->layer_count; i++) {
        const struct cn_layer *x = &a->layers[i], *y = &b->layers[i];
        cr_expect_eq(x->type, y->type);
        cr_expect_str_eq(x->name, y->name);
        cr_expect(cn_shape_equal(&x->output_shape, &y->output_shape));
        cr_expect_arr_eq(x->config, y->config, CN_LAYER_CONFIG, "layer %s", x->name);
    }
}

static struct cn_network *parse(const char *json) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_architecture_parse(json, strlen(json), "t", &network, &error), CN_OK, "%s",
                 error.text);
    cr_assert_not_null(network);
    return network;
}

static void refuse(const char *json, enum cn_status status, const char *words) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_expect_eq(cn_architecture_parse(json, strlen(json), "t", &network, &error), status, "%s: %s",
                 json, error.text);
    cr_expect_null(network);
    cr_expect_str_eq(error.source, "t", "%s", json);
    cr_expect(strstr(error.text, words) != NULL, "\"%s\" lacks \"%s\"", error.text, words);
}

#define SEQUENTIAL(layers)        "{\"class_name\":\"Sequential\",\"config\":{\"layers\":[" layers "]}}"
#define LAYER(class_name, config) "{\"class_name\":\"" class_name "\",\"config\":{" config "}}"
#define INPUT(shape)              LAYER("InputLayer", "\"batch_shape\":[null," shape "]")

/* A network as Keras 3 writes it. */
static const char keras3[] =
    "{\"module\":\"keras\",\"class_name\":\"Sequential\",\"config\":{\"name\":\"net\","
    "\"trainable\":true,\"dtype\":{\"module\":\"keras\",\"class_name\":\"DTypePolicy\",\"config\":"
    "{\"name\":\"float32\"},\"registered_name\":null},\"layers\":["
    "{\"module\":\"keras.layers\",\"class_name\":\"InputLayer\",\"config\":{\"batch_shape\":[null,"
    "28,28,1],\"dtype\":\"float32\",\"sparse\":false,\"ragged\":false,\"name\":\"input_layer\"},"
    "\"registered_name\":null},"
    "{\"module\":\"keras.layers\",\"class_name\":\"Conv2D\",\"config\":{\"name\":\"conv2d\","
    "\"trainable\":true,\"dtype\":{\"module\":\"keras\",\"class_name\":\"DTypePolicy\",\"config\":{"
    "\"name\":\"float32\"},\"registered_name\":null},\"filters\":8,\"kernel_size\":[3,3],"
    "\"strides\":[2,1],\"padding\":\"same\",\"data_format\":\"channels_last\",\"dilation_rate\":[1,"
    "1],\"groups\":1,\"activation\":\"relu\",\"use_bias\":true,\"kernel_initializer\":{\"module\":"
    "\"keras.initializers\",\"class_name\":\"GlorotUniform\",\"config\":{\"seed\":null},"
    "\"registered_name\":null},\"bias_initializer\":{\"module\":\"keras.initializers\","
    "\"class_name\":\"Zeros\",\"config\":{},\"registered_name\":null},\"kernel_regularizer\":null,"
    "\"bias_regularizer\":null,\"activity_regularizer\":null,\"kernel_constraint\":null,"
    "\"bias_constraint\":null},\"registered_name\":null,\"build_config\":{\"input_shape\":[null,28,"
    "28,1]}},"
    "{\"module\":\"keras.layers\",\"class_name\":\"BatchNormalization\",\"config\":{\"name\":"
    "\"bn\",\"axis\":-1,\"momentum\":0.99,\"epsilon\":0.001,\"center\":true,\"scale\":true,"
    "\"beta_initializer\":{\"class_name\":\"Zeros\",\"config\":{}},\"synchronized\":false},"
    "\"registered_name\":null},"
    "{\"module\":\"keras.layers\",\"class_name\":\"MaxPooling2D\",\"config\":{\"name\":\"pool\","
    "\"pool_size\":[2,2],\"padding\":\"valid\",\"strides\":[2,2],\"data_format\":\"channels_last\"}"
    "},"
    "{\"module\":\"keras.layers\",\"class_name\":\"Dropout\",\"config\":{\"name\":\"dropout\","
    "\"rate\":0.3,\"seed\":7,\"noise_shape\":null}},"
    "{\"module\":\"keras.layers\",\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\","
    "\"data_format\":\"channels_last\"}},"
    "{\"module\":\"keras.layers\",\"class_name\":\"Dense\",\"config\":{\"name\":\"dense\","
    "\"units\":10,\"activation\":\"softmax\",\"use_bias\":true,\"quantization_config\":null}}],"
    "\"build_input_shape\":[null,28,28,1]},\"registered_name\":null,\"build_config\":{"
    "\"input_shape\":[null,28,28,1]}}";

/* The same network as Keras 2 writes it. */
static const char keras2[] =
    "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"net\",\"layers\":["
    "{\"class_name\":\"InputLayer\",\"config\":{\"batch_input_shape\":[null,28,28,1],\"dtype\":"
    "\"float32\",\"sparse\":false,\"ragged\":false,\"name\":\"conv2d_input\"}},"
    "{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"conv2d\",\"trainable\":true,"
    "\"batch_input_shape\":[null,28,28,1],\"dtype\":\"float32\",\"filters\":8,\"kernel_size\":[3,3]"
    ",\"strides\":[2,1],\"padding\":\"same\",\"data_format\":\"channels_last\",\"dilation_rate\":[1"
    ",1],\"groups\":1,\"activation\":\"relu\",\"use_bias\":true,\"kernel_initializer\":{"
    "\"class_name\":\"VarianceScaling\",\"config\":{\"scale\":1.0,\"mode\":\"fan_avg\","
    "\"distribution\":\"uniform\",\"seed\":null}},\"bias_initializer\":{\"class_name\":\"Zeros\","
    "\"config\":{}},\"kernel_regularizer\":null}},"
    "{\"class_name\":\"BatchNormalization\",\"config\":{\"name\":\"bn\",\"axis\":[3],\"momentum\":"
    "0.99,\"epsilon\":0.001,\"center\":true,\"scale\":true}},"
    "{\"class_name\":\"MaxPooling2D\",\"config\":{\"name\":\"pool\",\"trainable\":true,"
    "\"pool_size\":[2,2],\"padding\":\"valid\",\"strides\":[2,2],\"data_format\":\"channels_last\"}"
    "},"
    "{\"class_name\":\"Dropout\",\"config\":{\"name\":\"dropout\",\"rate\":0.3,\"noise_shape\":null"
    ",\"seed\":null}},"
    "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\"}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"dense\",\"units\":10,\"activation\":"
    "\"softmax\"}}]},\"keras_version\":\"2.13.1\",\"backend\":\"tensorflow\"}";

/* The same network with the names of Keras 1, with a bare list and the shape in the first layer. */
static const char keras1[] =
    "{\"class_name\":\"Sequential\",\"config\":["
    "{\"class_name\":\"Convolution2D\",\"config\":{\"name\":\"conv2d\",\"batch_input_shape\":[null,"
    "28,28,1],\"input_dtype\":\"float32\",\"nb_filter\":8,\"nb_row\":3,\"nb_col\":3,\"subsample\":["
    "2,1],\"border_mode\":\"same\",\"dim_ordering\":\"tf\",\"activation\":\"relu\",\"bias\":true,"
    "\"init\":\"glorot_uniform\",\"W_regularizer\":null}},"
    "{\"class_name\":\"BatchNormalization\",\"config\":{\"name\":\"bn\",\"axis\":-1,\"mode\":0,"
    "\"momentum\":0.99,\"epsilon\":0.001,\"gamma_init\":\"one\",\"beta_init\":\"zero\"}},"
    "{\"class_name\":\"MaxPooling2D\",\"config\":{\"name\":\"pool\",\"pool_size\":[2,2],\"strides\""
    ":[2,2],\"border_mode\":\"valid\"}},"
    "{\"class_name\":\"Dropout\",\"config\":{\"name\":\"dropout\",\"p\":0.3}},"
    "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"flatten\"}},"
    "{\"class_name\":\"Dense\",\"config\":{\"name\":\"dense\",\"output_dim\":10,\"activation\":"
    "\"softmax\"}}]}";

Test(architecture, keras_1_2_and_3_are_one_network) {
    struct cn_network *one = parse(keras1), *two = parse(keras2), *three = parse(keras3);
    cr_expect_eq(three->layer_count, 6);
    /* 3x3x1x8 + 8, four times 8, (7 * 14 * 8) x 10 + 10 */
    cr_expect_eq(three->parameter_count, 80 + 32 + 7850);
    expect_equal(one, three);
    expect_equal(two, three);
    cr_expect_str_eq(two->name, "net");
    cn_network_free(one);
    cn_network_free(two);
    cn_network_free(three);
}

Test(architecture, formats_what_it_parses) {
    struct cn_network *network = parse(keras3);
    struct cn_error error = {0};
    char *json = NULL, *again = NULL;
    cr_assert_eq(cn_architecture_format(network, &json, &error), CN_OK, "%s", error.text);
    struct cn_network *copy = parse(json);
    expect_equal(network, copy);
    cr_expect_str_eq(copy->name, "net");
    cr_expect_not_null(strstr(json, "\"rate\":0.3,") != NULL ? json : strstr(json, "\"rate\":0.3}"),
                       "%s", json);
    cr_assert_eq(cn_architecture_format(copy, &again, &error), CN_OK);
    cr_expect_str_eq(json, again);
    free(json);
    free(again);
    cn_network_free(network);
    cn_network_free(copy);
}

/* Together they have every layer type, and every key with a value other than its default. */
static const char *const assorted_layers[] = {
    INPUT("20,20,3"),
    LAYER("Conv2D", "\"filters\":4,\"kernel_size\":3,\"use_bias\":false"),
    LAYER("BatchNormalization", "\"epsilon\":1e-5,\"momentum\":0.123456789"),
    LAYER("ReLU", "\"max_value\":null,\"negative_slope\":0.0,\"threshold\":0.0"),
    LAYER("AveragePooling2D", "\"pool_size\":3,\"strides\":null,\"padding\":\"same\""),
    LAYER("MaxPool2D", "\"strides\":1"),
    LAYER("Dropout", "\"rate\":0.1"),
    LAYER("GlobalAveragePooling2D", "\"keepdims\":false"),
    LAYER("Flatten", ""),
    LAYER("Dense", "\"units\":7,\"activation\":null,\"kernel_initializer\":\"he_normal\""),
    LAYER("BatchNormalization", "\"axis\":1"),
    LAYER("Activation", "\"activation\":{\"class_name\":\"function\",\"config\":\"tanh\"}"),
    LAYER("Dense", "\"units\":3"),
    LAYER("Softmax", "\"axis\":-1"),
};

Test(architecture, every_layer_type_round_trips) {
    const size_t count = sizeof assorted_layers / sizeof *assorted_layers;
    char text[4096];
    size_t used =
        (size_t)snprintf(text, sizeof text, "{\"class_name\":\"Sequential\",\"config\":[");
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "",
                                 assorted_layers[i]);
    (void)snprintf(text + used, sizeof text - used, "]}");
    struct cn_network *network = parse(text);
    char *json = NULL;
    cr_assert_eq(network->layer_count, count - 1);
    cr_assert_eq(cn_architecture_format(network, &json, NULL), CN_OK);
    struct cn_network *copy = parse(json);
    expect_equal(network, copy);
    free(json);
    cn_network_free(network);
    cn_network_free(copy);
}

Test(architecture, takes_the_input_shape_wherever_it_stands) {
    static const char *const texts[] = {
        SEQUENTIAL(INPUT("4") "," LAYER("Dense", "\"units\":2")),
        SEQUENTIAL(LAYER("InputLayer", "\"shape\":[4]") "," LAYER("Dense", "\"units\":2")),
        SEQUENTIAL(LAYER("Dense", "\"units\":2,\"input_shape\":[4]")),
        SEQUENTIAL(LAYER("Dense", "\"output_dim\":2,\"input_dim\":4")),
        ("{\"class_name\":\"Sequential\",\"config\":{\"build_input_shape\":[null,4],\"layers\":["
         "{\"class_name\":\"Dense\",\"config\":{\"units\":2}}]}}")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cn_network *network = parse(texts[i]);
        cr_expect_eq(network->input_shape.dims[0], 4);
        cr_expect_eq(network->parameter_count, 10);
        cn_network_free(network);
    }
}

#define CONV(config) SEQUENTIAL(INPUT("8,8,1") "," LAYER("Conv2D", "\"name\":\"c\"," config))
#define CONV3(more)  CONV("\"filters\":2,\"kernel_size\":3," more)

Test(architecture, refuses_what_it_does_not_do) {
    static const struct {
        const char *json, *words;
        enum cn_status status;
    } cases[] = {
        {SEQUENTIAL(INPUT("8,8,1") "," LAYER("LSTM", "\"name\":\"x\"")),
         "layer \"x\" is a LSTM; supported are Conv2D", CN_UNSUPPORTED},
        {"{\"class_name\":\"Functional\",\"config\":{}}", "Functional model has no list of layers",
         CN_MALFORMED},
        {"{\"class_name\":\"Transformer\",\"config\":{}}", "Transformer", CN_UNSUPPORTED},
        {SEQUENTIAL(
             INPUT("8,8,1") "," LAYER("LSTM", "\"name\":\"x\"") "," LAYER("GRU", "\"name\":\"y\"")),
         "2 layers are of types that are not supported: x (LSTM), y (GRU)", CN_UNSUPPORTED},
        {CONV3("\"data_format\":\"channels_middle\""), "data_format is \"channels_middle\"",
         CN_UNSUPPORTED},
        {CONV3("\"dilation_rate\":0"), "dilation_rate is 0", CN_INVALID},
        {CONV3("\"groups\":2"), "1 input channels and 2 filters do not divide into 2 groups",
         CN_INVALID},
        {CONV3("\"kernel_regularizer\":{\"class_name\":\"L3\"}"), "supported are L1, L2, L1L2",
         CN_UNSUPPORTED},
        {CONV3("\"activation\":\"sparsemax\""), "activation is \"sparsemax\"; supported are",
         CN_UNSUPPORTED},
        {CONV3("\"padding\":\"causal\""), "padding is \"causal\"", CN_UNSUPPORTED},
        {CONV3("\"surprise\":1"), "surprise is 1", CN_UNSUPPORTED},
        {CONV3("\"nb_filter\":3"), "nb_filter", CN_UNSUPPORTED},
        {CONV3("\"activation\":3"), "activation is 3", CN_INVALID},
        {CONV3("\"use_bias\":1"), "use_bias is 1; it must be true or false", CN_INVALID},
        {CONV("\"filters\":2"), "layer \"c\" has no kernel_size", CN_INVALID},
        {CONV("\"filters\":0,\"kernel_size\":3"), "layer \"c\": filters is 0", CN_INVALID},
        {CONV("\"filters\":-1,\"kernel_size\":3"), "filters is -1", CN_INVALID},
        {CONV("\"filters\":2.0,\"kernel_size\":3"), "filters is 2.0", CN_INVALID},
        {CONV("\"filters\":4294967297,\"kernel_size\":3"), "filters is 4294967297", CN_INVALID},
        {CONV("\"filters\":\"2\",\"kernel_size\":3"), "filters is \"2\"", CN_INVALID},
        {CONV("\"filters\":null,\"kernel_size\":3"), "filters", CN_INVALID},
        {CONV("\"filters\":2,\"kernel_size\":[3]"), "kernel_size is [3]", CN_INVALID},
        {CONV("\"filters\":2,\"kernel_size\":[3,0]"), "kernel_size is 0", CN_INVALID},
        {CONV3("\"strides\":0"), "strides is 0", CN_INVALID},
        {CONV3("\"batch_input_shape\":[null,9,9,1]"), "(9, 9, 1), but gets (8, 8, 1)", CN_INVALID},
        {SEQUENTIAL(INPUT("8,8,1") "," LAYER("Dropout", "\"rate\":1.5")), "rate is 1.5",
         CN_INVALID},
        {SEQUENTIAL(INPUT("8,8,1") "," LAYER("BatchNormalization", "\"axis\":4")), "axis is 4",
         CN_UNSUPPORTED},
        {SEQUENTIAL(INPUT("8,8,1") "," INPUT("8,8,1")), "may only be the first", CN_UNSUPPORTED},
        {SEQUENTIAL(LAYER("Dense", "\"units\":2")), "no input shape", CN_INVALID},
        {SEQUENTIAL(INPUT("8,8,8,8,8,8")), "input shape is [null,8,8,8,8,8,8]", CN_UNSUPPORTED},
        {SEQUENTIAL(INPUT("0,8,1")), "input shape", CN_INVALID},
        {SEQUENTIAL(INPUT("null,8,1")), "input shape", CN_INVALID},
        {SEQUENTIAL(INPUT("30000,30000,3")), "input shape", CN_LIMIT},
        {SEQUENTIAL(INPUT("8,8,1")), "no layer but its input", CN_INVALID},
        {SEQUENTIAL(""), "no list of layers", CN_MALFORMED},
        {SEQUENTIAL("7"), "layer 1 is 7", CN_MALFORMED},
        {SEQUENTIAL("{\"class_name\":\"Dense\"}"), "config", CN_MALFORMED},
        {SEQUENTIAL(LAYER("Dense", "\"name\":5")), "name is 5", CN_MALFORMED},
        {SEQUENTIAL(INPUT("4") "," LAYER("Dense", "\"units\":2,\"name\":\"a/b\\u001b\"")),
         "\"a/b?\": a name", CN_INVALID},
        {SEQUENTIAL(INPUT("4") "," LAYER("Dense", "\"units\":2,\"name\":\"d\"") "," LAYER(
             "Dense", "\"units\":2,\"name\":\"d\"")),
         "\"d\"", CN_INVALID},
        {"{\"class_name\":\"Sequential\",\"config\":{\"name\":\"a b\",\"layers\":["
         "{\"class_name\":\"Dense\",\"config\":{\"units\":2,\"input_shape\":[4]}}]}}",
         "name is \"a b\"", CN_INVALID},
        {"{}", "class_name", CN_MALFORMED},
        {"[]", "class_name", CN_MALFORMED},
        {"", "JSON", CN_MALFORMED},
        {"{\"class_name\":\"Sequential\",", "JSON", CN_MALFORMED},
        {"{\"class_name\":\"Sequential\",\"class_name\":\"Sequential\"}", "duplicate",
         CN_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].json, cases[i].status, cases[i].words);
}

Test(architecture, names_the_layer_and_both_shapes_that_do_not_fit) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    static const char json[] = SEQUENTIAL(
        INPUT("6,5,1") "," LAYER("Conv2D", "\"name\":\"big\",\"filters\":2,\"kernel_size\":[7,3]"));
    cr_expect_eq(cn_architecture_parse(json, strlen(json), "t", &network, &error), CN_INVALID);
    cr_expect_not_null(strstr(error.text, "big"), "%s", error.text);
    cr_expect_not_null(strstr(error.text, "(6, 5, 1)"), "%s", error.text);
    cr_expect_not_null(strstr(error.text, "(7, 3)"), "%s", error.text);
}

Test(architecture, limits_the_number_of_layers_and_bytes) {
    static const char layer[] = "," LAYER("Dropout", "\"rate\":0.5");
    char *json = malloc(4200 * sizeof layer + 200);
    size_t used = (size_t)sprintf(json, "{\"class_name\":\"Sequential\",\"config\":[" INPUT("4"));
    for (int i = 0; i < 4200; i++)
        used += (size_t)sprintf(json + used, "%s", layer);
    (void)sprintf(json + used, "]}");
    refuse(json, CN_LIMIT, "4201 layers");
    free(json);
    json = malloc(((size_t)1 << 24) + 2);
    memset(json, ' ', ((size_t)1 << 24) + 1);
    json[((size_t)1 << 24) + 1] = '\0';
    refuse(json, CN_LIMIT, "16777217 bytes");
    free(json);
}

Test(architecture, survives_deep_nesting) {
    char *json = malloc(250001);
    memset(json, '[', 250000);
    json[250000] = '\0';
    refuse(json, CN_MALFORMED, "JSON");
    free(json);
}

Test(architecture, shipped_architectures_have_their_parameters) {
    static const struct {
        const char *path;
        size_t parameters, layers;
    } shipped[] = {{TEST_DATA_DIR "/../../models/seed.json", 10122, 7},
                   {TEST_DATA_DIR "/../../models/seed-unstrided.json", 17802, 7},
                   {TEST_DATA_DIR "/../../models/digits-fast.json", 29402, 13}};
    for (size_t i = 0; i < sizeof shipped / sizeof *shipped; i++) {
        struct cn_network *network = NULL;
        struct cn_error error = {0};
        cr_assert_eq(cn_architecture_read(shipped[i].path, &network, &error), CN_OK, "%s",
                     error.text);
        cr_expect_eq(network->parameter_count, shipped[i].parameters);
        cr_expect_eq(network->layer_count, shipped[i].layers);
        cr_expect_eq(network->output_shape.dims[0], 10);
        cn_network_free(network);
    }
}

Test(architecture, names_a_missing_file) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_expect_eq(cn_architecture_read("/nonexistent.json", &network, &error), CN_IO);
    cr_expect_str_eq(error.source, "/nonexistent.json");
}
