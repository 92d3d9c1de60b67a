/* networks.c: see networks.h. Configurations are written through the layer types' field tables. */
#include "support/networks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/names.h"
#include "base/random.h"

static void set_field(const struct cn_layer_type *type, unsigned char *config, const char *key,
                      const char *value) {
    size_t count = 0;
    const struct cn_field *fields = cn_layer_type_fields(type, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, key) != 0)
            continue;
        unsigned char *at = config + fields[i].offset;
        int pair[2] = {atoi(value), atoi(value)};
        const float number = strtof(value, NULL);
        const bool flag = strcmp(value, "true") == 0;
        if (fields[i].kind == CN_FIELD_ENUM)
            pair[0] = cn_name_index(fields[i].names, value);
        cr_assert_geq(pair[0], 0, "%s=%s", key, value);
        if (fields[i].kind == CN_FIELD_INT_PAIR)
            memcpy(at, pair, sizeof pair);
        else if (fields[i].kind == CN_FIELD_FLOAT)
            memcpy(at, &number, sizeof number);
        else if (fields[i].kind == CN_FIELD_BOOL)
            memcpy(at, &flag, sizeof flag);
        else
            memcpy(at, pair, sizeof pair[0]);
        return;
    }
    cr_assert_fail("%s has no field %s", cn_layer_type_name(type), key);
}

static enum cn_status add_layer(struct cn_network *network, char *words, struct cn_error *error) {
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG];
    char *rest = NULL;
    const char *class_name = strtok_r(words, " ", &rest);
    const struct cn_layer_type *type = cn_layer_type_find(class_name);
    cr_assert_not_null(type, "%s", class_name);
    cn_layer_type_defaults(type, config);
    for (char *key; (key = strtok_r(NULL, " ", &rest)) != NULL;) {
        char *value = strchr(key, '=');
        cr_assert_not_null(value);
        *value = '\0';
        set_field(type, config, key, value + 1);
    }
    return cn_network_add(network, type, NULL, config, error);
}

enum cn_status test_network_try(struct cn_shape input, const char *layers,
                                struct cn_network **ret_network, struct cn_error *error) {
    char text[512], *rest = NULL;
    struct cn_network *network = NULL;
    enum cn_status status = cn_network_create(&input, &network, error);
    (void)snprintf(text, sizeof text, "%s", layers);
    char *layer = strtok_r(text, ";", &rest);
    for (; layer != NULL && status == CN_OK; layer = strtok_r(NULL, ";", &rest))
        status = add_layer(network, layer, error);
    if (status == CN_OK)
        status = cn_network_build(network, error);
    if (status == CN_OK)
        *ret_network = network;
    else
        cn_network_free(network);
    return status;
}

struct cn_network *test_network(struct cn_shape input, const char *layers, uint64_t seed) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    cr_assert_eq(test_network_try(input, layers, &network, &error), CN_OK, "%s", error.text);
    cn_network_initialize(network, seed);
    return network;
}

float *test_floats(size_t count, float low, float high, uint64_t seed) {
    struct cn_random random = cn_random_stream(seed, 1, 2, 3);
    float *floats = cn_floats_allocate(count);
    cr_assert_not_null(floats);
    for (size_t i = 0; i < count; i++)
        floats[i] = cn_random_uniform(&random, low, high);
    return floats;
}

uint16_t *test_labels(size_t count, size_t class_count, uint64_t seed) {
    struct cn_random random = cn_random_stream(seed, 4, 5, 6);
    uint16_t *labels = calloc(count, sizeof *labels);
    cr_assert_not_null(labels);
    for (size_t i = 0; i < count; i++)
        labels[i] = (uint16_t)cn_random_below(&random, (uint32_t)class_count);
    return labels;
}

struct cn_network *test_seed_network(bool strided, const char *dropout_rate, uint64_t seed) {
    char layers[512];
    (void)snprintf(layers, sizeof layers,
                   "Conv2D filters=32 kernel_size=4 strides=%d activation=relu;"
                   "MaxPooling2D pool_size=2;"
                   "Conv2D filters=32 kernel_size=3 strides=%d activation=relu;"
                   "MaxPooling2D pool_size=2 strides=2 padding=same;"
                   "Dropout rate=%s;Flatten;Dense units=10 activation=softmax",
                   strided ? 4 : 1, strided ? 3 : 1, dropout_rate);
    return test_network(cn_shape_image(28, 28, 1), layers, seed);
}
