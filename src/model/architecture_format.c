/* architecture_format.c: writes a network as Keras 3 JSON, which architecture.c reads back to the
 * same network: a Sequential model for a chain, a Functional one for other graphs. It uses the
 * layers' field tables only. No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "model/architecture.h"

/* 9 digits distinguish any two floats; fewer are written where they suffice, so that 0.3f is 0.3.
 */
static json_t *format_float(float value) {
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if ((float)strtod(text, NULL) == value)
            break;
    }
    return json_real(strtod(text, NULL));
}

static size_t field_size(const struct cn_field *field) {
    switch (field->kind) {
    case CN_FIELD_INT_PAIR:
    case CN_FIELD_INT_WIDTH:
        return 2 * sizeof(int);
    case CN_FIELD_INT_LIST:
        return sizeof(struct cn_ints);
    case CN_FIELD_INT_SIDES:
    case CN_FIELD_INT_ENDS:
        return 4 * sizeof(int);
    case CN_FIELD_BOOL:
        return sizeof(bool);
    case CN_FIELD_FLOAT:
        return sizeof(float);
    case CN_FIELD_FLOAT_LIST:
        return sizeof(struct cn_floats);
    case CN_FIELD_INT:
    case CN_FIELD_ENUM:
        break;
    }
    return sizeof(int);
}

static json_t *format_list(const struct cn_ints *list) {
    json_t *array = json_array();
    for (int i = 0; i < list->count; i++)
        if (json_array_append_new(array, json_integer(list->values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *format_floats(const struct cn_floats *list) {
    json_t *array = list->count == 1 ? NULL : json_array();
    if (list->count == 1)
        return format_float(list->values[0]);
    for (int i = 0; i < list->count; i++)
        if (json_array_append_new(array, format_float(list->values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *format_field(const struct cn_field *field, const unsigned char *config,
                            const unsigned char *defaults) {
    const void *place = config + field->offset;
    const int *ints = place;
    if (field->nullable && memcmp(place, defaults + field->offset, field_size(field)) == 0)
        return json_null();
    switch (field->kind) {
    case CN_FIELD_INT:
        return json_integer(ints[0]);
    case CN_FIELD_INT_PAIR:
        return json_pack("[i, i]", ints[0], ints[1]);
    case CN_FIELD_INT_WIDTH:
        return json_pack("[i]", ints[1]);
    case CN_FIELD_INT_LIST:
        return format_list(place);
    case CN_FIELD_INT_SIDES:
        return json_pack("[[i, i], [i, i]]", ints[0], ints[1], ints[2], ints[3]);
    case CN_FIELD_INT_ENDS:
        return json_pack("[i, i]", ints[2], ints[3]);
    case CN_FIELD_FLOAT:
        return format_float(*(const float *)place);
    case CN_FIELD_FLOAT_LIST:
        return format_floats(place);
    case CN_FIELD_BOOL:
        return json_boolean(*(const bool *)place);
    case CN_FIELD_ENUM:
        return json_string(field->names[ints[0]]);
    }
    return NULL;
}

static json_t *format_layer(const struct cn_layer *layer) {
    _Alignas(8) unsigned char defaults[CN_LAYER_CONFIG] = {0};
    size_t count = 0;
    const struct cn_field *fields = cn_layer_type_fields(layer->type, &count);
    json_t *config = json_pack("{s:s}", "name", layer->name);
    int failed = config == NULL;
    cn_layer_type_defaults(layer->type, defaults);
    for (size_t i = 0; i < count; i++)
        if (i + cn_layer_type_late_fields(layer->type) < count ||
            memcmp(layer->config + fields[i].offset, defaults + fields[i].offset,
                   field_size(&fields[i])) != 0)
            failed |= json_object_set_new(config, fields[i].name,
                                          format_field(&fields[i], layer->config, defaults));
    failed |= cn_keras_format_rules(layer, config);
    if (layer->frozen)
        failed |= json_object_set_new(config, "trainable", json_false());
    if (failed) {
        json_decref(config);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o, s:n}", "module", "keras.layers", "class_name",
                     cn_layer_type_name(layer->type), "config", config, "registered_name");
}

static json_t *format_shape(const struct cn_shape *shape) {
    json_t *dims = json_pack("[n]");
    for (int i = 0; i < shape->rank; i++)
        if (json_array_append_new(dims, json_integer(shape->dims[i])) != 0) {
            json_decref(dims);
            return NULL;
        }
    return dims;
}

static json_t *format_input(const struct cn_shape *shape) {
    return json_pack("{s:s, s:s, s:{s:o, s:s}, s:n}", "module", "keras.layers", "class_name",
                     "InputLayer", "config", "batch_shape", format_shape(shape), "dtype", "float32",
                     "registered_name");
}

/* ---- Chains ---- */

static json_t *format_sequential(const struct cn_network *network) {
    json_t *layers = json_array();
    int failed = json_array_append_new(layers, format_input(&network->input_shape));
    for (size_t i = 0; i < network->layer_count; i++)
        failed |= json_array_append_new(layers, format_layer(&network->layers[i]));
    if (failed == 0)
        return json_pack("{s:s, s:s, s:{s:s, s:o}, s:n}", "module", "keras", "class_name",
                         "Sequential", "config", "name", network->name, "layers", layers,
                         "registered_name");
    json_decref(layers);
    return NULL;
}

/* ---- Other graphs ---- */

/* The name of input i in the JSON, where inputs and layers share one name space. */
static const char *input_name(const struct cn_network *network, size_t i,
                              char name[static CN_PORT_NAME + CN_LAYER_NAME]) {
    size_t length = strlen(network->inputs[i].name);
    bool taken = true;
    memcpy(name, network->inputs[i].name, length + 1);
    while (taken && length + 1 < CN_PORT_NAME + CN_LAYER_NAME) {
        taken = false;
        for (size_t l = 0; l < network->layer_count && !taken; l++)
            taken = strcmp(network->layers[l].name, name) == 0;
        if (taken) {
            name[length++] = '_';
            name[length] = '\0';
        }
    }
    return name;
}

/* The layer that layer l calls, and the number of the call. */
static const struct cn_layer *called(const struct cn_network *network, size_t l, int *ret_call) {
    const size_t first = network->layers[l].shares > 0 ? network->layers[l].shares - 1 : l;
    *ret_call = 0;
    for (size_t i = first; i < l; i++)
        *ret_call += i == first || network->layers[i].shares == first + 1;
    return &network->layers[first];
}

/* ["conv2d", 0, 0] */
static json_t *format_reference(const struct cn_network *network, size_t value) {
    char name[CN_PORT_NAME + CN_LAYER_NAME];
    int call = 0;
    if (value < network->input_count)
        return json_pack("[s, i, i]", input_name(network, value, name), 0, 0);
    const struct cn_layer *layer = called(network, value - network->input_count, &call);
    return json_pack("[s, i, i]", layer->name, call, 0);
}

static json_t *format_tensor(const struct cn_network *network, size_t value) {
    return json_pack("{s:s, s:{s:o, s:s, s:o}}", "class_name", "__keras_tensor__", "config",
                     "shape", format_shape(cn_network_value_shape(network, value)), "dtype",
                     "float32", "keras_history", format_reference(network, value));
}

/* The inputs of one call of a layer: one tensor, or a list for layers that take one. */
static json_t *format_call(const struct cn_network *network, const struct cn_layer *layer) {
    if (cn_layer_type_inputs(layer->type) < 2)
        return json_pack("{s:[o], s:{}}", "args", format_tensor(network, layer->inputs[0].value),
                         "kwargs");
    json_t *list = json_array();
    for (size_t i = 0; i < layer->input_count; i++)
        if (json_array_append_new(list, format_tensor(network, layer->inputs[i].value)) != 0) {
            json_decref(list);
            return NULL;
        }
    return json_pack("{s:[o], s:{}}", "args", list, "kwargs");
}

/* Writes a layer with all its calls. */
static json_t *format_node(const struct cn_network *network, size_t l) {
    json_t *calls = json_array(), *object = format_layer(&network->layers[l]);
    int failed = object == NULL;
    for (size_t i = l; i < network->layer_count; i++)
        if (i == l || network->layers[i].shares == l + 1)
            failed |= json_array_append_new(calls, format_call(network, &network->layers[i]));
    failed |= json_object_set_new(object, "name", json_string(network->layers[l].name));
    failed |= json_object_set_new(object, "inbound_nodes", calls);
    if (failed == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *format_input_node(const struct cn_network *network, size_t i) {
    char name[CN_PORT_NAME + CN_LAYER_NAME];
    json_t *object = format_input(&network->inputs[i].shape);
    json_t *config = json_object_get(object, "config");
    (void)input_name(network, i, name);
    if (json_object_set_new(config, "name", json_string(name)) == 0 &&
        json_object_set_new(object, "name", json_string(name)) == 0 &&
        json_object_set_new(object, "inbound_nodes", json_array()) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *format_ends(const struct cn_network *network, const struct cn_port *ports,
                           size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, format_reference(network, ports[i].value)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *format_functional(const struct cn_network *network) {
    json_t *layers = json_array();
    int failed = 0;
    for (size_t i = 0; i < network->input_count; i++)
        failed |= json_array_append_new(layers, format_input_node(network, i));
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].shares == 0)
            failed |= json_array_append_new(layers, format_node(network, l));
    if (failed == 0)
        return json_pack(
            "{s:s, s:s, s:{s:s, s:o, s:o, s:o}, s:n}", "module", "keras", "class_name",
            "Functional", "config", "name", network->name, "layers", layers, "input_layers",
            format_ends(network, network->inputs, network->input_count), "output_layers",
            format_ends(network, network->outputs, network->output_count), "registered_name");
    json_decref(layers);
    return NULL;
}

enum cn_status cn_architecture_format(const struct cn_network *network, char **ret_json,
                                      struct cn_error *error) {
    /* In a Sequential model the input has no name. */
    const bool chain =
        cn_network_is_chain(network) && strcmp(network->inputs[0].name, "input") == 0;
    json_t *root = chain ? format_sequential(network) : format_functional(network);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the architecture of %zu layers",
                       network->layer_count);
    *ret_json = text;
    return CN_OK;
}
