/* network.c: building a graph of layers over one parameter block. No state but the caller's. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/network.h"
#include "layers/layer_type.h"

static const char default_input_name[] = "input";

/* The name of an input or output reaches replies and pages. */
static enum cn_status check_port_name(const struct cn_port *ports, size_t count, const char *name,
                                      struct cn_error *error) {
    const size_t length = strlen(name);
    bool plain = length > 0 && length < CN_PORT_NAME;
    for (size_t i = 0; i < length && plain; i++)
        plain = (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    if (!plain)
        return cn_fail(error, CN_INVALID,
                       "an input's or output's name has %zu bytes; it must have 1 to %d, and no "
                       "control character",
                       length, CN_PORT_NAME - 1);
    for (size_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0)
            return cn_fail(error, CN_INVALID, "two inputs or two outputs are named \"%s\"", name);
    return CN_OK;
}

enum cn_status cn_network_create(const struct cn_shape *input_shape,
                                 struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = calloc(1, sizeof *network);
    if (network == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a network");
    (void)snprintf(network->name, sizeof network->name, "sequential");
    network->temperature = 1;
    const enum cn_status status =
        cn_network_add_input(network, default_input_name, input_shape, error);
    if (status != CN_OK) {
        cn_network_free(network);
        return status;
    }
    *ret_network = network;
    return CN_OK;
}

enum cn_status cn_network_add_input(struct cn_network *network, const char *name,
                                    const struct cn_shape *shape, struct cn_error *error) {
    if (network->layer_count > 0)
        return cn_fail(error, CN_INVALID, "an input comes before the first layer");
    if (network->input_count >= CN_NETWORK_MAX_PORTS)
        return cn_fail(error, CN_LIMIT, "the network has over %d inputs", CN_NETWORK_MAX_PORTS);
    enum cn_status status = cn_shape_check(shape, "the network's input", error);
    if (status == CN_OK)
        status = check_port_name(network->inputs, network->input_count, name, error);
    if (status != CN_OK)
        return status;
    struct cn_port *inputs = realloc(network->inputs, (network->input_count + 1) * sizeof *inputs);
    if (inputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for an input");
    network->inputs = inputs;
    inputs[network->input_count] = (struct cn_port){.shape = *shape, .value = network->input_count};
    (void)snprintf(inputs[network->input_count].name, CN_PORT_NAME, "%s", name);
    if (network->input_count++ == 0)
        network->input_shape = network->output_shape = *shape;
    return CN_OK;
}

enum cn_status cn_network_name_input(struct cn_network *network, size_t input, const char *name,
                                     struct cn_error *error) {
    if (strcmp(network->inputs[input].name, name) == 0)
        return CN_OK;
    const enum cn_status status =
        check_port_name(network->inputs, network->input_count, name, error);
    if (status == CN_OK)
        (void)snprintf(network->inputs[input].name, CN_PORT_NAME, "%s", name);
    return status;
}

const struct cn_shape *cn_network_value_shape(const struct cn_network *network, size_t value) {
    return value < network->input_count
               ? &network->inputs[value].shape
               : &network->layers[value - network->input_count].output_shape;
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
static enum cn_status array_grow(struct cn_network *network, struct cn_error *error) {
    struct cn_layer *layers = realloc(network->layers, (network->layer_count + 1) * sizeof *layers);
    if (layers != NULL)
        network->layers = layers;
    struct cn_tensor *tensors =
        realloc(network->tensors, (network->tensor_count + CN_LAYER_MAX_TENSORS) * sizeof *tensors);
    if (tensors != NULL)
        network->tensors = tensors;
    if (layers == NULL || tensors == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a layer");
    return CN_OK;
}

/* Gives the new layer its inputs' values and shapes; they are the network's once it is added. */
static enum cn_status connect(const struct cn_network *network, const struct cn_layer_call *call,
                              struct cn_layer *layer, struct cn_error *error) {
    const size_t values = network->input_count + network->layer_count;
    const struct cn_layer_type *type = layer->type;
    const size_t least = type->max_inputs == 0 ? 1 : type->min_inputs;
    const size_t most = type->max_inputs == 0 ? 1 : type->max_inputs;
    if (call->input_count < least || call->input_count > most)
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s) reads %zu inputs; it takes from %zu to %zu", layer->name,
                       type->class_name, call->input_count, least, most);
    layer->inputs = calloc(call->input_count + 1, sizeof *layer->inputs);
    if (layer->inputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a layer");
    layer->input_count = call->input_count;
    for (size_t i = 0; i < call->input_count; i++) {
        if (call->inputs[i] >= values)
            return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) reads value %zu of %zu",
                           layer->name, type->class_name, call->inputs[i], values);
        layer->inputs[i].value = call->inputs[i];
        layer->inputs[i].shape = *cn_network_value_shape(network, call->inputs[i]);
    }
    layer->input_shape = call->input_count > 0 ? layer->inputs[0].shape : cn_shape_vector(1);
    return CN_OK;
}

/* The same weights as the layer that it shares them with, which must ask for the same ones. */
static enum cn_status share(const struct cn_network *network, struct cn_layer *layer,
                            struct cn_error *error) {
    const struct cn_layer *first = &network->layers[layer->shares - 1];
    bool alike = first->tensor_count == layer->tensor_count;
    for (size_t i = 0; i < layer->tensor_count && alike; i++)
        alike = first->tensors[i].rank == layer->tensors[i].rank &&
                memcmp(first->tensors[i].dims, layer->tensors[i].dims,
                       sizeof layer->tensors[i].dims) == 0;
    if (!alike)
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s) is used a second time on another shape, which needs "
                       "other weights",
                       first->name, first->type->class_name);
    layer->parameter_offset = first->parameter_offset;
    layer->tensor_count = 0;
    return CN_OK;
}

/* Everything about the new layer but its place in the network. */
static enum cn_status prepare_layer(struct cn_network *network, const struct cn_layer_call *call,
                                    struct cn_layer *layer, struct cn_error *error) {
    char given[CN_LAYER_NAME + 32];
    if (call->name == NULL)
        default_name(network, layer->type, layer->name);
    enum cn_status status =
        check_name(network, call->name != NULL ? call->name : layer->name, error);
    if (status != CN_OK)
        return status;
    if (call->name != NULL)
        (void)snprintf(layer->name, sizeof layer->name, "%s", call->name);
    status = connect(network, call, layer, error);
    if (status == CN_OK)
        status = layer->type->build(layer, error);
    if (status != CN_OK)
        return status;
    (void)snprintf(given, sizeof given, "the output of layer \"%s\"", layer->name);
    status = cn_shape_check(&layer->output_shape, given, error);
    for (size_t i = 0; i < layer->tensor_count; i++) {
        layer->tensors[i].trainable = layer->tensors[i].trainable && !layer->frozen;
        layer->tensors[i].own_initializer = layer->tensors[i].initializer;
    }
    if (status == CN_OK)
        status = array_grow(network, error);
    return status;
}

enum cn_status cn_network_add_call(struct cn_network *network, const struct cn_layer_call *call,
                                   size_t *ret_value, struct cn_error *error) {
    struct cn_layer layer = {.type = call->type, .shares = call->shares, .frozen = call->frozen};
    if (network->parameters != NULL)
        return cn_fail(error, CN_INVALID, "the network is built; no layer can be added");
    if (network->layer_count >= CN_NETWORK_MAX_LAYERS)
        return cn_fail(error, CN_LIMIT, "the network has over %d layers", CN_NETWORK_MAX_LAYERS);
    if (call->shares > network->layer_count)
        return cn_fail(error, CN_INVALID, "layer %zu, whose weights are to be shared, is not there",
                       call->shares - 1);
    if (call->shares > 0) {
        const struct cn_layer *first = &network->layers[call->shares - 1];
        layer.type = first->type;
        layer.frozen = first->frozen;
        memcpy(layer.config, first->config, sizeof layer.config);
    } else if (call->config != NULL)
        memcpy(layer.config, call->config, layer.type->config_size);
    else
        cn_layer_type_defaults(layer.type, layer.config);
    const size_t tensors = network->tensor_count, parameters = network->parameter_count;
    enum cn_status status = prepare_layer(network, call, &layer, error);
    if (status == CN_OK)
        status =
            call->shares > 0 ? share(network, &layer, error) : add_tensors(network, &layer, error);
    if (status != CN_OK) {
        network->tensor_count = tensors;
        network->parameter_count = parameters;
        free(layer.inputs);
        return status;
    }
    const size_t value = network->input_count + network->layer_count;
    network->layers[network->layer_count++] = layer;
    if (network->output_count == 0)
        network->output_shape = layer.output_shape;
    if (ret_value != NULL)
        *ret_value = value;
    return CN_OK;
}

enum cn_status cn_network_add(struct cn_network *network, const struct cn_layer_type *type,
                              const char *name, const void *config, struct cn_error *error) {
    const size_t last =
        network->layer_count > 0 ? network->input_count + network->layer_count - 1 : 0;
    const struct cn_layer_call call = {
        .type = type, .name = name, .config = config, .input_count = 1, .inputs = &last};
    return cn_network_add_call(network, &call, NULL, error);
}

enum cn_status cn_network_set_outputs(struct cn_network *network, size_t count,
                                      const size_t *values, const char *const *names,
                                      struct cn_error *error) {
    if (count < 1 || count > CN_NETWORK_MAX_PORTS)
        return cn_fail(error, CN_LIMIT, "the network has %zu outputs; it must have from 1 to %d",
                       count, CN_NETWORK_MAX_PORTS);
    struct cn_port *outputs = calloc(count, sizeof *outputs);
    enum cn_status status =
        outputs != NULL ? CN_OK : cn_fail(error, CN_MEMORY, "no memory for %zu outputs", count);
    for (size_t i = 0; i < count && status == CN_OK; i++) {
        const size_t v = values[i];
        if (v >= network->input_count + network->layer_count) {
            status = cn_fail(error, CN_INVALID, "output %zu is value %zu of %zu", i, v,
                             network->input_count + network->layer_count);
            break;
        }
        const char *name = names != NULL ? names[i]
                           : v < network->input_count
                               ? network->inputs[v].name
                               : network->layers[v - network->input_count].name;
        size_t same = 0; /* a layer's name for two outputs */
        for (size_t k = 0; names == NULL && k < i; k++)
            same += outputs[k].value == v;
        outputs[i] = (struct cn_port){.shape = *cn_network_value_shape(network, v), .value = v};
        status = check_port_name(outputs, same > 0 ? 0 : i, name, error);
        if (same > 0)
            (void)snprintf(outputs[i].name, CN_PORT_NAME, "%.*s.%zu", CN_PORT_NAME - 24, name,
                           same);
        else
            (void)snprintf(outputs[i].name, CN_PORT_NAME, "%s", name);
    }
    if (status != CN_OK) {
        free(outputs);
        return status;
    }
    free(network->outputs);
    network->outputs = outputs;
    network->output_count = count;
    network->output_shape = outputs[0].shape;
    return CN_OK;
}

bool cn_network_is_chain(const struct cn_network *network) {
    if (network->input_count != 1 || network->output_count > 1)
        return false;
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].input_count != 1 || network->layers[l].inputs[0].value != l ||
            network->layers[l].shares > 0)
            return false;
    return network->output_count == 0 || network->outputs[0].value == network->layer_count;
}

enum cn_status cn_network_build(struct cn_network *network, struct cn_error *error) {
    if (network->layer_count == 0)
        return cn_fail(error, CN_INVALID, "the network has no layers");
    if (network->parameters != NULL)
        return CN_OK;
    const size_t last = network->input_count + network->layer_count - 1;
    if (network->output_count == 0) {
        const enum cn_status status = cn_network_set_outputs(network, 1, &last, NULL, error);
        if (status != CN_OK)
            return status;
    }
    network->parameters = cn_floats_allocate(network->parameter_count);
    if (network->parameters == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu parameters", network->parameter_count);
    return CN_OK;
}

/* A copy of `size` bytes at `from`; room for one byte if `size` is 0. */
static void *duplicate(const void *from, size_t size) {
    void *copy = malloc(size > 0 ? size : 1);
    if (copy != NULL && size > 0)
        memcpy(copy, from, size);
    return copy;
}

enum cn_status cn_network_copy(const struct cn_network *network, struct cn_network **ret_copy,
                               struct cn_error *error) {
    struct cn_network *copy = calloc(1, sizeof *copy);
    bool whole = copy != NULL;
    if (copy == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a network");
    *copy = *network;
    copy->quantization = NULL;
    copy->inputs = duplicate(network->inputs, network->input_count * sizeof *copy->inputs);
    copy->outputs = duplicate(network->outputs, network->output_count * sizeof *copy->outputs);
    copy->layers = duplicate(network->layers, network->layer_count * sizeof *copy->layers);
    copy->tensors = duplicate(network->tensors, network->tensor_count * sizeof *copy->tensors);
    copy->parameters =
        network->parameters != NULL ? cn_floats_allocate(network->parameter_count) : NULL;
    whole = copy->inputs != NULL && copy->outputs != NULL && copy->tensors != NULL &&
            copy->layers != NULL && (network->parameters == NULL || copy->parameters != NULL);
    for (size_t l = 0; copy->layers != NULL && l < copy->layer_count; l++) {
        struct cn_layer *layer = &copy->layers[l];
        layer->inputs = duplicate(layer->inputs, layer->input_count * sizeof *layer->inputs);
        whole = whole && layer->inputs != NULL;
    }
    if (!whole) {
        cn_network_free(copy);
        return cn_fail(error, CN_MEMORY, "no memory for a copy of the network");
    }
    if (network->parameters != NULL)
        memcpy(copy->parameters, network->parameters,
               network->parameter_count * sizeof *copy->parameters);
    const enum cn_status status = cn_quantization_copy(network, copy, error);
    if (status != CN_OK) {
        cn_network_free(copy);
        return status;
    }
    *ret_copy = copy;
    return CN_OK;
}

void cn_network_free(struct cn_network *network) {
    if (network == NULL)
        return;
    for (size_t l = 0; network->layers != NULL && l < network->layer_count; l++)
        free(network->layers[l].inputs);
    cn_quantization_remove(network);
    free(network->inputs);
    free(network->outputs);
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

/* ---- Kind of output ---- */

const char *const cn_output_kind_names[] = {"softmax", "sigmoid", "sigmoids", "logits",
                                            "number",  "map",     NULL};

/* The layer whose numbers the value shows, behind those that inference skips; NULL: an input. */
static const struct cn_layer *source_of(const struct cn_network *network, size_t value) {
    while (value >= network->input_count) {
        const struct cn_layer *layer = &network->layers[value - network->input_count];
        if (layer->type->inference != NULL || layer->input_count == 0)
            return layer;
        value = layer->inputs[0].value;
    }
    return NULL;
}

enum cn_output_kind cn_network_output_kind(const struct cn_network *network, size_t output) {
    const struct cn_shape *shape = &network->output_shape;
    size_t value = network->input_count + network->layer_count - 1;
    if (network->output_count > 0) {
        shape = &network->outputs[output].shape;
        value = network->outputs[output].value;
    }
    const struct cn_layer *layer = source_of(network, value);
    const size_t size = cn_shape_size(shape);
    enum cn_activation activation = CN_ACTIVATION_LINEAR;
    if (layer != NULL && layer->type->activation != NULL) {
        struct cn_layer copy = *layer;
        activation = *layer->type->activation(&copy);
    }
    if ((size_t)cn_shape_channels(shape) != size)
        return CN_OUTPUT_MAP;
    if (activation == CN_ACTIVATION_SOFTMAX && size > 1 &&
        (size_t)cn_shape_channels(&layer->output_shape) == size)
        return CN_OUTPUT_SOFTMAX;
    if (activation == CN_ACTIVATION_SIGMOID)
        return size > 1 ? CN_OUTPUT_SIGMOIDS : CN_OUTPUT_SIGMOID;
    return size > 1 ? CN_OUTPUT_LOGITS : CN_OUTPUT_NUMBER;
}
