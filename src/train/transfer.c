/* transfer.c: builds the network again, layer by layer, with the changes, and then copies the old
 * weights. Serial. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/transfer.h"
#include "layers/layer_type.h"

enum { MAX_PATTERNS = 1024, NAME_LIST = 400 };

/* The number of outputs in a layer's configuration; NULL: it has none. */
static int *outputs_of(const struct cn_layer_type *type, void *config) {
    size_t count = 0;
    const struct cn_field *fields = cn_layer_type_fields(type, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, "units") == 0 || strcmp(fields[i].name, "filters") == 0)
            return (int *)(void *)((unsigned char *)config + fields[i].offset);
    return NULL;
}

/* Finds the last layer before the first output that has a number of outputs. */
static enum cn_status find_head(const struct cn_network *network, size_t *ret_head,
                                struct cn_error *error) {
    size_t value = network->outputs[0].value;
    while (value >= network->input_count) {
        const struct cn_layer *layer = &network->layers[value - network->input_count];
        struct cn_layer copy = *layer;
        if (outputs_of(layer->type, copy.config) != NULL && layer->shares == 0) {
            *ret_head = value - network->input_count;
            return CN_OK;
        }
        if (layer->input_count != 1 || layer->tensor_count > 0)
            return cn_fail(error, CN_INVALID,
                           "layer \"%s\" stands between the output and the last Dense or Conv2D; "
                           "there is no head to replace",
                           layer->name);
        value = layer->inputs[0].value;
    }
    return cn_fail(error, CN_INVALID, "the network has no Dense or Conv2D to replace");
}

/* ---- Frozen layers ---- */

static bool matches(const char *patterns, const char *name) {
    char list[MAX_PATTERNS], *rest = NULL;
    (void)strncpy(list, patterns, sizeof list - 1);
    list[sizeof list - 1] = '\0';
    for (char *p = strtok_r(list, ",", &rest); p != NULL; p = strtok_r(NULL, ",", &rest))
        if (fnmatch(p, name, 0) == 0)
            return true;
    return false;
}

static enum cn_status check_patterns(const struct cn_network *network, const char *patterns,
                                     struct cn_error *error) {
    char list[MAX_PATTERNS], names[NAME_LIST] = "", *rest = NULL;
    if (strlen(patterns) >= sizeof list)
        return cn_fail(error, CN_LIMIT, "the patterns are longer than %zu bytes", sizeof list - 1);
    for (size_t l = 0; l < network->layer_count; l++) {
        const size_t used = strlen(names);
        if (network->layers[l].tensor_count > 0)
            (void)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "",
                           network->layers[l].name);
    }
    (void)strcpy(list, patterns);
    for (char *p = strtok_r(list, ",", &rest); p != NULL; p = strtok_r(NULL, ",", &rest)) {
        bool found = false;
        for (size_t l = 0; l < network->layer_count && !found; l++)
            found =
                network->layers[l].tensor_count > 0 && fnmatch(p, network->layers[l].name, 0) == 0;
        if (!found)
            return cn_fail(error, CN_INVALID,
                           "no layer with weights is called %s; those with weights are %s", p,
                           names);
    }
    return CN_OK;
}

/* ---- Building ---- */

static enum cn_status add_inputs(const struct cn_network *from, struct cn_network **ret_network,
                                 struct cn_error *error) {
    enum cn_status status = cn_network_create(&from->inputs[0].shape, ret_network, error);
    if (status != CN_OK)
        return status;
    (void)strcpy((*ret_network)->name, from->name);
    (void)strcpy((*ret_network)->inputs[0].name, from->inputs[0].name);
    for (size_t i = 1; status == CN_OK && i < from->input_count; i++)
        status =
            cn_network_add_input(*ret_network, from->inputs[i].name, &from->inputs[i].shape, error);
    return status;
}

static enum cn_status add_layer(const struct cn_network *from, size_t l, size_t head,
                                const struct cn_transfer *transfer, struct cn_network *network,
                                struct cn_error *error) {
    struct cn_layer layer = from->layers[l];
    size_t *inputs = calloc(layer.input_count, sizeof *inputs);
    if (inputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a layer");
    for (size_t i = 0; i < layer.input_count; i++)
        inputs[i] = layer.inputs[i].value;
    if (l == head)
        *outputs_of(layer.type, layer.config) = (int)transfer->classes;
    const struct cn_layer_call call = {
        .type = layer.type,
        .name = layer.name,
        .config = layer.config,
        .input_count = layer.input_count,
        .inputs = inputs,
        .frozen = layer.frozen ||
                  (transfer->freeze != NULL && matches(transfer->freeze, layer.name) && l != head),
        .shares = layer.shares};
    const enum cn_status status = cn_network_add_call(network, &call, NULL, error);
    free(inputs);
    return status;
}

/* Sets the same outputs; the first one is that of the activation. */
static enum cn_status add_outputs(const struct cn_network *from, enum cn_activation activation,
                                  struct cn_network *network, struct cn_error *error) {
    size_t values[CN_NETWORK_MAX_PORTS];
    const char *names[CN_NETWORK_MAX_PORTS];
    for (size_t i = 0; i < from->output_count; i++) {
        values[i] = from->outputs[i].value;
        names[i] = from->outputs[i].name;
    }
    if (activation != CN_ACTIVATION_LINEAR) {
        struct cn_layer layer = {.type = cn_layer_type_find("Activation")};
        cn_layer_type_defaults(layer.type, layer.config);
        *layer.type->activation(&layer) = activation;
        const struct cn_layer_call call = {.type = layer.type,
                                           .config = layer.config,
                                           .input_count = 1,
                                           .inputs = &from->outputs[0].value};
        const enum cn_status status = cn_network_add_call(network, &call, &values[0], error);
        if (status != CN_OK)
            return status;
        names[0] = network->layers[values[0] - network->input_count].name;
    }
    return cn_network_set_outputs(network, from->output_count, values, names, error);
}

/* Tensors keep their order: one layer may have other sizes, and the appended one has none. */
static void copy_weights(const struct cn_network *from, size_t head, struct cn_network *network) {
    for (size_t l = 0; l < from->layer_count; l++)
        if (l != head && from->layers[l].shares == 0)
            memcpy(network->parameters + network->layers[l].parameter_offset,
                   from->parameters + from->layers[l].parameter_offset,
                   from->layers[l].parameter_count * sizeof(float));
}

static enum cn_status rebuild(const struct cn_network *from, const struct cn_transfer *transfer,
                              struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = NULL;
    size_t head = from->layer_count;
    enum cn_status status = CN_OK;
    if (transfer->classes > 0)
        status = find_head(from, &head, error);
    if (status == CN_OK && transfer->freeze != NULL)
        status = check_patterns(from, transfer->freeze, error);
    if (status == CN_OK)
        status = add_inputs(from, &network, error);
    for (size_t l = 0; status == CN_OK && l < from->layer_count; l++)
        status = add_layer(from, l, head, transfer, network, error);
    if (status == CN_OK)
        status = add_outputs(from, transfer->activation, network, error);
    if (status == CN_OK)
        status = cn_network_build(network, error);
    if (status != CN_OK) {
        cn_network_free(network);
        return status;
    }
    cn_network_initialize(network, transfer->seed);
    copy_weights(from, head, network);
    network->temperature = 1; /* the logits are others */
    *ret_network = network;
    return CN_OK;
}

enum cn_status cn_model_transfer(struct cn_model *model, const struct cn_transfer *transfer,
                                 struct cn_error *error) {
    struct cn_network *network = NULL;
    struct cn_model *other = NULL;
    enum cn_status status = rebuild(model->network, transfer, &network, error);
    if (status != CN_OK)
        return status;
    status =
        cn_model_create(network, &other, error); /* to get the right kind of output and labels */
    if (status != CN_OK)
        return status;
    const struct cn_model old = *model;
    model->network = other->network;
    model->kind = other->kind;
    model->output_size = other->output_size;
    other->network = old.network;
    model->inputs = other->inputs;
    model->outputs = other->outputs;
    model->output_forms = other->output_forms;
    model->tensors = other->tensors;
    model->answers = other->answers;
    other->inputs = old.inputs;
    other->outputs = old.outputs;
    other->output_forms = old.output_forms;
    other->tensors = old.tensors;
    if (transfer->classes != 0 || other->label_count != old.label_count) {
        model->labels = other->labels;
        model->label_count = other->label_count;
        other->labels = old.labels;
        other->label_count = old.label_count;
    }
    cn_model_free(other);
    return CN_OK;
}
