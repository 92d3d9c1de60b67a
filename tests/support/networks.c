/* networks.c: see networks.h. Configurations are written through the layer types' field tables. */
#include "support/networks.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/names.h"
#include "base/random.h"
#include "convnet/plan.h"

/* "1,2,3" */
static int read_ints(const char *value, int ints[CN_INTS_MAX]) {
    int count = 0;
    for (char *end = NULL; count < CN_INTS_MAX; value = end + 1) {
        ints[count++] = (int)strtof(value, &end);
        if (*end != ',')
            break;
    }
    return count;
}

static void set_field(const struct cn_layer_type *type, unsigned char *config, const char *key,
                      const char *value) {
    size_t count = 0;
    const struct cn_field *fields = cn_layer_type_fields(type, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, key) != 0)
            continue;
        unsigned char *at = config + fields[i].offset;
        struct cn_ints list = {0};
        struct cn_floats floats = {0};
        char *end = NULL;
        list.count = read_ints(value, list.values);
        const int *ints = list.values;
        const int pair[2] = {ints[0], list.count > 1 ? ints[1] : ints[0]}, width[2] = {1, ints[0]};
        const int ends[2] = {pair[0], pair[1]};
        const int sides[4] = {ints[0], list.count > 3 ? ints[1] : ints[0],
                              list.count > 3 ? ints[2] : pair[1],
                              list.count > 3 ? ints[3] : pair[1]};
        const float number = strtof(value, NULL);
        const bool flag = strcmp(value, "true") == 0;
        int word = 0;
        switch (fields[i].kind) {
        case CN_FIELD_INT:
            memcpy(at, ints, sizeof *ints);
            break;
        case CN_FIELD_INT_PAIR:
            memcpy(at, pair, sizeof pair);
            break;
        case CN_FIELD_INT_WIDTH:
            memcpy(at, width, sizeof width);
            break;
        case CN_FIELD_INT_LIST:
            memcpy(at, &list, sizeof list);
            break;
        case CN_FIELD_INT_SIDES:
            memcpy(at, sides, sizeof sides);
            break;
        case CN_FIELD_INT_ENDS:
            memcpy(at + 2 * sizeof(int), ends, sizeof ends);
            break;
        case CN_FIELD_FLOAT_LIST:
            for (int f = 0; f < list.count; f++)
                floats.values[f] = strtof(value, &end), value = end + 1;
            floats.count = list.count;
            memcpy(at, &floats, sizeof floats);
            break;
        case CN_FIELD_FLOAT:
            memcpy(at, &number, sizeof number);
            break;
        case CN_FIELD_BOOL:
            memcpy(at, &flag, sizeof flag);
            break;
        case CN_FIELD_ENUM:
            word = cn_name_index(fields[i].names, value);
            cr_assert_geq(word, 0, "%s=%s", key, value);
            memcpy(at, &word, sizeof word);
            break;
        }
        return;
    }
    cr_assert_fail("%s has no field %s", cn_layer_type_name(type), key);
}

/* The value of the layer or the input of this name. */
static size_t find_value(const struct cn_network *network, const char *name) {
    for (size_t i = 0; i < network->input_count; i++)
        if (strcmp(network->inputs[i].name, name) == 0)
            return i;
    for (size_t l = 0; l < network->layer_count; l++)
        if (strcmp(network->layers[l].name, name) == 0)
            return network->input_count + l;
    cr_assert_fail("nothing is named %s", name);
    return 0;
}

static enum cn_status add_layer(struct cn_network *network, char *words, struct cn_error *error) {
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG];
    char *rest = NULL;
    const char *class_name = strtok_r(words, " ", &rest);
    const struct cn_layer_type *type = cn_layer_type_find(class_name);
    size_t inputs[16] = {network->layer_count > 0 ? network->input_count + network->layer_count - 1
                                                  : 0};
    struct cn_layer_call call = {.type = type, .config = config, .inputs = inputs};
    cr_assert_not_null(type, "%s", class_name);
    cn_layer_type_defaults(type, config);
    for (char *key; (key = strtok_r(NULL, " ", &rest)) != NULL;) {
        char *value = strchr(key, '=');
        if (key[0] == ':') {
            call.name = key + 1;
        } else if (key[0] == '<') {
            inputs[call.input_count++] = find_value(network, key + 1);
        } else if (strcmp(key, "frozen") == 0) {
            call.frozen = true;
        } else {
            cr_assert_not_null(value);
            *value = '\0';
            set_field(type, config, key, value + 1);
        }
    }
    call.input_count += call.input_count == 0;
    return cn_network_add_call(network, &call, NULL, error);
}

static enum cn_status add_layers(struct cn_network *network, const char *layers,
                                 struct cn_error *error) {
    char *text = strdup(layers), *rest = NULL;
    enum cn_status status = CN_OK;
    for (char *layer = strtok_r(text, ";", &rest); layer != NULL && status == CN_OK;
         layer = strtok_r(NULL, ";", &rest))
        status = add_layer(network, layer, error);
    free(text);
    return status;
}

enum cn_status test_network_try(struct cn_shape input, const char *layers,
                                struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = NULL;
    enum cn_status status = cn_network_create(&input, &network, error);
    if (status == CN_OK)
        status = add_layers(network, layers, error);
    if (status == CN_OK)
        status = cn_network_build(network, error);
    if (status == CN_OK)
        *ret_network = network;
    else
        cn_network_free(network);
    return status;
}

struct cn_network *test_graph(const struct cn_shape *inputs, size_t input_count, const char *layers,
                              const char *outputs, uint64_t seed) {
    struct cn_network *network = NULL;
    struct cn_error error = {0};
    char name[32], *text = strdup(outputs), *rest = NULL;
    size_t values[16], count = 0;
    cr_assert_eq(cn_network_create(&inputs[0], &network, &error), CN_OK, "%s", error.text);
    for (size_t i = 1; i < input_count; i++) {
        (void)snprintf(name, sizeof name, "input_%zu", i);
        cr_assert_eq(cn_network_add_input(network, name, &inputs[i], &error), CN_OK);
    }
    cr_assert_eq(add_layers(network, layers, &error), CN_OK, "%s", error.text);
    for (char *output = strtok_r(text, " ", &rest); output != NULL;
         output = strtok_r(NULL, " ", &rest))
        values[count++] = find_value(network, output);
    if (count > 0)
        cr_assert_eq(cn_network_set_outputs(network, count, values, NULL, &error), CN_OK, "%s",
                     error.text);
    cr_assert_eq(cn_network_build(network, &error), CN_OK, "%s", error.text);
    cn_network_initialize(network, seed);
    free(text);
    return network;
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

float *test_outputs(const struct cn_network *network, const float *images, size_t count) {
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    cr_assert_eq(cn_plan_create(network, &plan, NULL), CN_OK);
    cr_assert_eq(cn_workspace_create(plan, &workspace, NULL), CN_OK);
    float *outputs = cn_floats_allocate(count * cn_plan_output_size(plan));
    cn_plan_run(plan, workspace, images, count, outputs);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    return outputs;
}

void test_gradient(struct cn_network *network, const char *what, size_t count, enum cn_loss loss,
                   float smoothing, double step, double tolerance) {
    float *inputs[CN_NETWORK_MAX_PORTS] = {NULL};
    for (size_t i = 0; i < network->input_count; i++)
        inputs[i] =
            test_floats(count * cn_shape_size(&network->inputs[i].shape), -1, 1, 8 + 10 * i);
    uint16_t *labels = test_labels(count, cn_shape_size(&network->output_shape), 9);
    const float *const others[] = {inputs[1]};
    const struct cn_minibatch batch = {count, inputs[0], labels, 5, 3, NULL, others, NULL, false};
    double worst = 1;
    cr_assert_eq(cn_network_check_gradient(network, &batch, loss, smoothing, step, 1, &worst, NULL),
                 CN_OK);
    cr_assert_lt(worst, tolerance, "%s: the gradient is off by %g", what, worst);
    for (size_t i = 0; i < network->input_count; i++)
        free(inputs[i]);
    free(labels);
    cn_network_free(network);
}

void test_set_vectors(struct cn_network *network) {
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        const bool variance = strstr(tensor->name, "variance") != NULL;
        for (size_t i = 0; tensor->rank == 1 && i < tensor->size; i++)
            network->parameters[tensor->offset + i] =
                (variance ? 0.5f : -0.2f) + 0.1f * (float)(i % 7);
    }
}

struct cn_model *test_model(const char *layers) {
    struct cn_model *model = NULL;
    cr_assert_eq(cn_model_create(test_network(cn_shape_image(8, 8, 1), layers, 5), &model, NULL),
                 CN_OK);
    return model;
}
