/* network.c: building a stack of layers over one parameter block. No state but the caller's. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "convnet/network.h"
#include "layers/layer_type.h"

enum cn_status cn_network_create(const struct cn_shape *input_shape,
                                 struct cn_network **ret_network, struct cn_error *error) {
    const enum cn_status status = cn_shape_check(input_shape, "the network's input", error);
    if (status != CN_OK)
        return status;
    struct cn_network *network = calloc(1, sizeof *network);
    if (network == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate a network");
    (void)snprintf(network->name, sizeof network->name, "sequential");
    network->input_shape = network->output_shape = *input_shape;
    network->temperature = 1;
    *ret_network = network;
    return CN_OK;
}

/* Keras's own: "MaxPooling2D" is "max_pooling2d", the second one "max_pooling2d_1". */
static void default_name(const struct cn_network *network, const struct cn_layer_type *type,
                         char name[static CN_LAYER_NAME]) {
    char snake[CN_LAYER_NAME - 24];
    size_t used = 0, same = 0;
    const char *class_name = cn_layer_type_name(type);
    for (size_t i = 0; class_name[i] != '\0' && used + 2 < sizeof snake; i++) {
        const bool upper = isupper((unsigned char)class_name[i]) != 0;
        const bool after_lower = i > 0 && islower((unsigned char)class_name[i - 1]) != 0;
        if (upper && after_lower)
            snake[used++] = '_';
        snake[used++] = (char)tolower((unsigned char)class_name[i]);
    }
    snake[used] = '\0';
    for (size_t i = 0; i < network->layer_count; i++)
        same += network->layers[i].type == type;
    if (same == 0)
        (void)snprintf(name, CN_LAYER_NAME, "%s", snake);
    else
        (void)snprintf(name, CN_LAYER_NAME, "%s_%zu", snake, same);
}

static enum cn_status check_name(const struct cn_network *network, const char *name,
                                 struct cn_error *error) {
    const size_t length = strlen(name);
    if (length == 0 || length >= CN_LAYER_NAME)
        return cn_fail(error, CN_INVALID, "a layer's name has %zu bytes; it must have 1 to %d",
                       length, CN_LAYER_NAME - 1);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_.-", name[i]) == NULL)
            return cn_fail(
                error, CN_INVALID,
                "the layer name of %zu bytes has byte 0x%02x; letters, digits, _ . and - "
                "are allowed",
                length, (unsigned)(unsigned char)name[i]);
    for (size_t i = 0; i < network->layer_count; i++)
        if (strcmp(network->layers[i].name, name) == 0)
            return cn_fail(error, CN_INVALID, "two layers are named \"%s\"", name);
    return CN_OK;
}

/* Floats of one tensor, or 0 if it is over the limit. */
static size_t tensor_size(const struct cn_tensor_spec *spec) {
    size_t size = 1;
    for (int i = 0; i < spec->rank; i++) {
        size *= (size_t)spec->dims[i];
        if (size > CN_NETWORK_MAX_PARAMETERS)
            return 0;
    }
    return size;
}

static enum cn_status add_tensors(struct cn_network *network, struct cn_layer *layer,
                                  struct cn_error *error) {
    layer->parameter_offset = network->parameter_count;
    for (size_t i = 0; i < layer->tensor_count; i++) {
        const struct cn_tensor_spec *spec = &layer->tensors[i];
        const size_t size = tensor_size(spec);
        if (size == 0 || network->parameter_count + size > CN_NETWORK_MAX_PARAMETERS)
            return cn_fail(error, CN_LIMIT,
                           "layer \"%s\" (%s) takes the network over %d parameters", layer->name,
                           layer->type->class_name, CN_NETWORK_MAX_PARAMETERS);
        struct cn_tensor *tensor = &network->tensors[network->tensor_count++];
        *tensor = (struct cn_tensor){.rank = spec->rank,
                                     .offset = network->parameter_count,
                                     .size = size,
                                     .trainable = spec->trainable};
        (void)snprintf(tensor->name, sizeof tensor->name, "%s/%s", layer->name, spec->name);
        memcpy(tensor->dims, spec->dims, sizeof tensor->dims);
        network->parameter_count += size;
    }
    layer->parameter_count = network->parameter_count - layer->parameter_offset;
    return CN_OK;
}

/* Room for one layer more, and for the most tensors that it can bring. */
static enum cn_status grow(struct cn_network *network, struct cn_error *error) {
    struct cn_layer *layers = realloc(network->layers, (network->layer_count + 1) * sizeof *layers);
    if (layers != NULL)
        network->layers = layers;
    struct cn_tensor *tensors =
        realloc(network->tensors, (network->tensor_count + CN_LAYER_MAX_TENSORS) * sizeof *tensors);
    if (tensors != NULL)
        network->tensors = tensors;
    if (layers == NULL || tensors == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate a layer");
    return CN_OK;
}

enum cn_status cn_network_add(struct cn_network *network, const struct cn_layer_type *type,
                              const char *name, const void *config, struct cn_error *error) {
    struct cn_layer layer = {.type = type, .input_shape = network->output_shape};
    char given[CN_LAYER_NAME + 32];
    if (network->parameters != NULL)
        return cn_fail(error, CN_INVALID, "the network is built; no layer can be added");
    if (network->layer_count >= CN_NETWORK_MAX_LAYERS)
        return cn_fail(error, CN_LIMIT, "the network has over %d layers", CN_NETWORK_MAX_LAYERS);
    if (name == NULL)
        default_name(network, type, layer.name);
    enum cn_status status = check_name(network, name != NULL ? name : layer.name, error);
    if (status != CN_OK)
        return status;
    if (name != NULL)
        (void)snprintf(layer.name, sizeof layer.name, "%s", name);
    memcpy(layer.config, config, type->config_size);
    status = type->build(&layer, error);
    if (status != CN_OK)
        return status;
    (void)snprintf(given, sizeof given, "the output of layer \"%s\"", layer.name);
    status = cn_shape_check(&layer.output_shape, given, error);
    if (status == CN_OK)
        status = grow(network, error);
    const size_t tensors = network->tensor_count, parameters = network->parameter_count;
    if (status == CN_OK)
        status = add_tensors(network, &layer, error);
    if (status != CN_OK) {
        network->tensor_count = tensors;
        network->parameter_count = parameters;
        return status;
    }
    network->layers[network->layer_count++] = layer;
    network->output_shape = layer.output_shape;
    return CN_OK;
}

enum cn_status cn_network_build(struct cn_network *network, struct cn_error *error) {
    if (network->layer_count == 0)
        return cn_fail(error, CN_INVALID, "the network has no layers");
    if (network->parameters != NULL)
        return CN_OK;
    network->parameters = cn_floats_allocate(network->parameter_count);
    if (network->parameters == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %zu parameters",
                       network->parameter_count);
    return CN_OK;
}

/* Keras's: glorot_uniform (Glorot and Bengio 2010) in +-sqrt(6 / (fan_in + fan_out)); he_normal (He
 * et al. 2015), a normal cut at two deviations whose standard deviation is sqrt(2 / fan_in). */
static void initialize(float *values, size_t size, const struct cn_tensor_spec *spec,
                       struct cn_random *random) {
    const float limit = (float)sqrt(6.0 / (spec->fan_in + spec->fan_out));
    /* A normal cut at +-2 has this deviation; dividing by it restores the one that was asked for.
     */
    const float deviation = (float)(sqrt(2.0 / spec->fan_in) / 0.87962566103423978);
    for (size_t i = 0; i < size; i++) {
        float normal = 0;
        switch (spec->initializer) {
        case CN_INITIALIZER_GLOROT_UNIFORM:
            values[i] = cn_random_uniform(random, -limit, limit);
            break;
        case CN_INITIALIZER_HE_NORMAL:
            do
                normal = cn_random_normal(random);
            while (fabsf(normal) > 2);
            values[i] = normal * deviation;
            break;
        case CN_INITIALIZER_ZEROS:
            values[i] = 0;
            break;
        case CN_INITIALIZER_ONES:
            values[i] = 1;
            break;
        }
    }
}

void cn_network_initialize(struct cn_network *network, uint64_t seed) {
    size_t index = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t t = 0; t < network->layers[l].tensor_count; t++, index++) {
            const struct cn_tensor *tensor = &network->tensors[index];
            struct cn_random random = cn_random_stream(seed, 0x696e6974u, index, 0);
            initialize(network->parameters + tensor->offset, tensor->size,
                       &network->layers[l].tensors[t], &random);
        }
}

enum cn_status cn_network_copy(const struct cn_network *network, struct cn_network **ret_copy,
                               struct cn_error *error) {
    struct cn_network *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate a network");
    *copy = *network;
    copy->layers = malloc((network->layer_count + 1) * sizeof *copy->layers);
    copy->tensors = malloc((network->tensor_count + 1) * sizeof *copy->tensors);
    copy->parameters =
        network->parameters != NULL ? cn_floats_allocate(network->parameter_count) : NULL;
    if (copy->layers == NULL || copy->tensors == NULL ||
        (network->parameters != NULL && copy->parameters == NULL)) {
        cn_network_free(copy);
        return cn_fail(error, CN_MEMORY, "cannot allocate a copy of the network");
    }
    if (network->layer_count > 0)
        memcpy(copy->layers, network->layers, network->layer_count * sizeof *copy->layers);
    if (network->tensor_count > 0)
        memcpy(copy->tensors, network->tensors, network->tensor_count * sizeof *copy->tensors);
    if (network->parameters != NULL)
        memcpy(copy->parameters, network->parameters,
               network->parameter_count * sizeof *copy->parameters);
    *ret_copy = copy;
    return CN_OK;
}

void cn_network_free(struct cn_network *network) {
    if (network == NULL)
        return;
    free(network->layers);
    free(network->tensors);
    free(network->parameters);
    free(network);
}

size_t cn_network_trainable_count(const struct cn_network *network) {
    size_t count = 0;
    for (size_t i = 0; i < network->tensor_count; i++)
        count += network->tensors[i].trainable ? network->tensors[i].size : 0;
    return count;
}
