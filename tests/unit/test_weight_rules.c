/* test_weight_rules.c: Keras's initializers, regularizers and constraints as an architecture names
 * them: their effect on weights, and that they are written as they were read. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "layers/layer_type.h"
#include "train/trainer_private.h"

/* Reads a Dense 40 -> 30 with these keys. */
static enum cn_status parse_dense(const char *keys, struct cn_network **ret_network,
                                  struct cn_error *error) {
    char json[1024];
    snprintf(json, sizeof json,
             "{\"class_name\":\"Sequential\",\"config\":[{\"class_name\":\"Dense\",\"config\":{"
             "\"name\":\"d\",\"units\":30,\"batch_input_shape\":[null,40]%s}}]}",
             keys);
    return cn_architecture_parse(json, strlen(json), "test", ret_network, error);
}

static struct cn_network *dense_network(const char *keys) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(parse_dense(keys, &network, &error), CN_OK, "%s: %s", error.text, keys);
    /* The written text gives the same rules again. */
    char *text = NULL, *again = NULL;
    struct cn_network *copy = NULL;
    cr_assert_eq(cn_architecture_format(network, &text, NULL), CN_OK);
    cr_assert_eq(cn_architecture_parse(text, strlen(text), "test", &copy, &error), CN_OK, "%s",
                 error.text);
    cr_assert_eq(cn_architecture_format(copy, &again, NULL), CN_OK);
    cr_assert_str_eq(text, again);
    cr_assert_eq(memcmp(&network->layers[0].tensors[0].rule, &copy->layers[0].tensors[0].rule,
                        sizeof(struct cn_weight_rule)),
                 0, "%s", text);
    cr_assert_eq(network->layers[0].tensors[0].initializer, copy->layers[0].tensors[0].initializer);
    free(text);
    free(again);
    cn_network_free(copy);
    return network;
}

#define INITIALIZER(class, config)                                                                 \
    ",\"kernel_initializer\":{\"class_name\":\"" class "\",\"config\":{" config "}}"

Test(weight_rules, initializers_have_their_moments) {
    static const struct {
        const char *keys;
        double mean, deviation, most;
    } cases[] = {
        {"", 0, 0.169030851, 0.29277},
        {",\"kernel_initializer\":\"he_normal\"", 0, 0.223606798, 0.50842},
        {",\"kernel_initializer\":\"glorot_normal\"", 0, 0.169030851, 0.38433},
        {",\"kernel_initializer\":\"he_uniform\"", 0, 0.223606798, 0.38730},
        {",\"kernel_initializer\":\"lecun_normal\"", 0, 0.158113883, 0.35951},
        {",\"kernel_initializer\":\"lecun_uniform\"", 0, 0.158113883, 0.27387},
        {",\"kernel_initializer\":\"random_normal\"", 0, 0.05, 9},
        {",\"kernel_initializer\":\"random_uniform\"", 0, 0.028867513, 0.05},
        {",\"kernel_initializer\":\"orthogonal\"", 0, 0.158113883, 9},
        {INITIALIZER("RandomNormal", "\"mean\":1.0,\"stddev\":0.2"), 1, 0.2, 9},
        {INITIALIZER("RandomUniform", "\"minval\":0.0,\"maxval\":1.0"), 0.5, 0.288675, 1},
        {INITIALIZER("TruncatedNormal", "\"mean\":0.0,\"stddev\":0.1"), 0, 0.087962566, 0.2},
        {INITIALIZER("Constant", "\"value\":0.25"), 0.25, 0, 0.25},
        {INITIALIZER("VarianceScaling", "\"scale\":3.0,\"mode\":\"fan_out\",\"distribution\":"
                                        "\"uniform\""),
         0, 0.316227766, 0.54773},
        {INITIALIZER("VarianceScaling", "\"scale\":3.0,\"mode\":\"fan_out\",\"distribution\":"
                                        "\"untruncated_normal\""),
         0, 0.316227766, 9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_network *network = dense_network(cases[i].keys);
        double mean = 0, squares = 0, most = 0;
        cn_network_initialize(network, 5);
        for (size_t k = 0; k < 1200; k++) {
            const double w = (double)network->parameters[k];
            mean += w / 1200;
            squares += w * w / 1200;
            most = fmax(most, fabs(w));
        }
        const double deviation = sqrt(fmax(squares - mean * mean, 0));
        cr_expect_lt(fabs(mean - cases[i].mean), 0.1 * cases[i].deviation + 1e-6, "%s: mean %g",
                     cases[i].keys, mean);
        cr_expect_lt(fabs(deviation - cases[i].deviation), 0.06 * cases[i].deviation + 1e-4,
                     "%s: deviation %g", cases[i].keys, deviation);
        cr_expect_leq(most, cases[i].most + 1e-4, "%s: %g", cases[i].keys, most);
        cn_network_free(network);
    }
}

Test(weight_rules, orthogonal_and_identity) {
    struct cn_network *network = dense_network(INITIALIZER("Orthogonal", "\"gain\":2.0"));
    cn_network_initialize(network, 5);
    for (size_t a = 0; a < 30; a++)
        for (size_t b = 0; b <= a; b++) {
            double product = 0;
            for (size_t i = 0; i < 40; i++)
                product += (double)network->parameters[30 * i + a] *
                           (double)network->parameters[30 * i + b];
            cr_assert_float_eq(product, a == b ? 4 : 0, 1e-5, "%zu %zu: %g", a, b, product);
        }
    cn_network_free(network);
    network = dense_network(",\"kernel_initializer\":\"identity\"");
    cn_network_initialize(network, 5);
    for (size_t k = 0; k < 1200; k++)
        cr_assert_eq(network->parameters[k], k / 30 == k % 30 ? 1.0F : 0.0F);
    cn_network_free(network);
}

Test(weight_rules, regularizers) {
    struct cn_network *network = dense_network(
        ",\"kernel_regularizer\":{\"class_name\":\"L1L2\",\"config\":{\"l1\":0.5,\"l2\":0.25}},"
        "\"bias_regularizer\":\"l2\"");
    float *gradients = calloc(network->parameter_count, sizeof *gradients);
    network->parameters[3] = -2;
    network->parameters[1200] = 10;
    gradients[3] = 1;
    const double penalty = cn_regularize(network, gradients);
    cr_assert_eq(cn_network_penalty(network), penalty);
    cr_assert_float_eq(penalty, 0.5 * 2 + 0.25 * 4 + 0.01 * 100, 1e-6);
    cr_assert_float_eq((double)gradients[3], 1 - 0.5 - 1, 1e-6);
    cr_assert_float_eq((double)gradients[1200], 0.2, 1e-6);
    cr_assert_eq(gradients[4], 0.0F);
    free(gradients);
    cn_network_free(network);
}

/* Keras's activity_regularizer is an ActivityRegularization after the layer and its activation. */
Test(weight_rules, outputs_are_regularized) {
    struct cn_network *network = dense_network(
        ",\"activation\":\"relu\",\"activity_regularizer\":{\"class_name\":\"L1\",\"config\":{"
        "\"l1\":0.125}}");
    cr_assert_eq(network->layer_count, 2);
    cr_assert_str_eq(network->layers[1].type->class_name, "ActivityRegularization");
    cr_assert_str_eq(network->layers[1].name, "d.activity");
    char *text = NULL;
    cr_assert_eq(cn_architecture_format(network, &text, NULL), CN_OK);
    cr_assert_not_null(strstr(text, "0.125"), "%s", text);
    free(text);
    cn_network_free(network);
    network = dense_network(",\"activity_regularizer\":null");
    cr_assert_eq(network->layer_count, 1);
    cn_network_free(network);
}

/* The norm of each column (axis 0). */
static double column_norm(const struct cn_network *network, size_t column) {
    double squares = 0;
    for (size_t i = 0; i < 40; i++)
        squares += (double)network->parameters[30 * i + column] *
                   (double)network->parameters[30 * i + column];
    return sqrt(squares);
}

#define CONSTRAINT(class, config)                                                                  \
    ",\"kernel_constraint\":{\"class_name\":\"" class "\",\"config\":{" config "}}"

Test(weight_rules, constraints) {
    static const struct {
        const char *keys;
        double least, most;
    } cases[] = {
        {CONSTRAINT("MaxNorm", "\"max_value\":1.0,\"axis\":0"), 0, 1},
        {CONSTRAINT("UnitNorm", "\"axis\":0"), 1, 1},
        {CONSTRAINT("UnitNorm", "\"axis\":-2"), 1, 1},
        {CONSTRAINT("MinMaxNorm", "\"min_value\":1.25,\"max_value\":1.5,\"rate\":1.0,\"axis\":0"),
         1.25, 1.5},
        {",\"kernel_constraint\":\"unit_norm\"", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_network *network = dense_network(cases[i].keys);
        cn_network_initialize(network, 5);
        cn_constrain(network);
        for (size_t c = 0; c < 30; c++) {
            const double norm = column_norm(network, c);
            cr_assert(norm >= cases[i].least - 1e-5 && norm <= cases[i].most + 1e-5, "%s: %g",
                      cases[i].keys, norm);
        }
        cn_network_free(network);
    }
    struct cn_network *network = dense_network(",\"kernel_constraint\":\"non_neg\"");
    cn_network_initialize(network, 5);
    cn_constrain(network);
    for (size_t k = 0; k < 1200; k++)
        cr_assert_geq(network->parameters[k], 0.0F);
    cn_network_free(network);
    /* Over all axes except the last. */
    network = dense_network(CONSTRAINT("UnitNorm", "\"axis\":[0,1]"));
    cn_network_initialize(network, 5);
    cn_constrain(network);
    double squares = 0;
    for (size_t k = 0; k < 1200; k++)
        squares += (double)network->parameters[k] * (double)network->parameters[k];
    cr_assert_float_eq(squares, 1, 1e-5);
    cn_network_free(network);
}

/* Expects that these keys are refused with the words. */
static void refused(const char *keys, const char *words) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(parse_dense(keys, &network, &error), CN_UNSUPPORTED, "%s", keys);
    cr_assert_not_null(strstr(error.text, words), "%s", error.text);
}

Test(weight_rules, unknown_rules_are_refused) {
    refused(",\"activity_regularizer\":{\"class_name\":\"Mine\",\"config\":{}}", "L1, L2, L1L2");
    refused(",\"kernel_regularizer\":\"mine\"", "kernel_regularizer");
    refused(CONSTRAINT("UnitNorm", "\"axis\":[0,2]"), "supported are axes of the weights");
}
