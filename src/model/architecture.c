/* architecture.c: Keras Sequential JSON to a network.
 *
 * Generic over the layer table: a layer's keys are its type's fields. What could change the meaning
 * and is not understood is refused by name, never skipped. Does not compute. No state.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/names.h"
#include "convnet/model.h"
#include "model/architecture.h"

/* One layer while it is read. */
struct entry {
    char label[CN_JSON_TEXT + 16]; /* for messages: layer "conv2d", or layer 3 */
    const char *name;              /* NULL if it has none */
    const char *class_name;
    json_t *config;
    struct cn_error *error;
};

/* The shape that the next layer sees. */
static struct cn_shape current_shape(const struct cn_network *network) {
    return network->layer_count > 0 ? network->layers[network->layer_count - 1].output_shape
                                    : network->input_shape;
}

/* Names reach tensors' names, messages and pages. */
static bool is_name(const char *name) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    return name != NULL && name[0] != '\0' && strlen(name) < CN_LAYER_NAME &&
           name[strspn(name, allowed)] == '\0';
}

static const char *list_types(char *text, size_t size) {
    const struct cn_layer_type *type;
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; (type = cn_layer_type_at(i)) != NULL && used < size; i++) {
        const int wrote =
            snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", cn_layer_type_name(type));
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return text;
}

static enum cn_status read_int(const struct entry *entry, const struct cn_field *field,
                               const json_t *value, int *ret_int) {
    char shown[CN_JSON_TEXT];
    const double number = (double)json_integer_value(value);
    if (!json_is_integer(value) || number < field->minimum || number > field->maximum ||
        number < INT_MIN || number > INT_MAX)
        return cn_fail(entry->error, CN_INVALID,
                       "%s: %s is %s; it must be an integer from %.10g to %.10g", entry->label,
                       field->name, cn_json_show(value, shown), field->minimum, field->maximum);
    *ret_int = (int)json_integer_value(value);
    return CN_OK;
}

static enum cn_status read_pair(const struct entry *entry, const struct cn_field *field,
                                const json_t *value, int ret_pair[2]) {
    char shown[CN_JSON_TEXT];
    int pair[2] = {0, 0};
    if (json_is_array(value) && json_array_size(value) != 2)
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must be one integer or two",
                       entry->label, field->name, cn_json_show(value, shown));
    for (size_t i = 0; i < 2; i++) {
        const json_t *element = json_is_array(value) ? json_array_get(value, i) : value;
        const enum cn_status status = read_int(entry, field, element, &pair[i]);
        if (status != CN_OK)
            return status;
    }
    memcpy(ret_pair, pair, sizeof pair);
    return CN_OK;
}

/* One number, or a list of one, for the axis of a layer that has no other. */
static enum cn_status read_width(const struct entry *entry, const struct cn_field *field,
                                 const json_t *value, int ret_pair[2]) {
    int width = 0;
    const json_t *element = json_array_size(value) == 1 ? json_array_get(value, 0) : value;
    const enum cn_status status = read_int(entry, field, element, &width);
    if (status == CN_OK) {
        ret_pair[0] = 1;
        ret_pair[1] = width;
    }
    return status;
}

static enum cn_status read_list(const struct entry *entry, const struct cn_field *field,
                                const json_t *value, struct cn_ints *ret_list) {
    char shown[CN_JSON_TEXT];
    struct cn_ints list = {.count = json_is_array(value) ? (int)json_array_size(value) : 1};
    if (json_array_size(value) > CN_INTS_MAX)
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must have at most %d numbers",
                       entry->label, field->name, cn_json_show(value, shown), CN_INTS_MAX);
    for (int i = 0; i < list.count; i++) {
        const json_t *element = json_is_array(value) ? json_array_get(value, (size_t)i) : value;
        const enum cn_status status = read_int(entry, field, element, &list.values[i]);
        if (status != CN_OK)
            return status;
    }
    *ret_list = list;
    return CN_OK;
}

/* Two numbers, or one for both. */
static enum cn_status read_ends(const struct entry *entry, const struct cn_field *field,
                                const json_t *value, int ret_ends[2]) {
    return read_pair(entry, field, value, ret_ends);
}

/* [[top, bottom], [left, right]], [rows, columns], or one number for all. */
static enum cn_status read_sides(const struct entry *entry, const struct cn_field *field,
                                 const json_t *value, int ret_sides[4]) {
    char shown[CN_JSON_TEXT];
    int sides[4] = {0};
    if (json_is_array(value) && json_array_size(value) != 2)
        return cn_fail(entry->error, CN_INVALID,
                       "%s: %s is %s; it must be one integer, two, or two pairs", entry->label,
                       field->name, cn_json_show(value, shown));
    for (size_t i = 0; i < 2; i++) {
        const json_t *element = json_is_array(value) ? json_array_get(value, i) : value;
        const enum cn_status status = read_ends(entry, field, element, sides + 2 * i);
        if (status != CN_OK)
            return status;
    }
    memcpy(ret_sides, sides, sizeof sides);
    return CN_OK;
}

static enum cn_status read_float(const struct entry *entry, const struct cn_field *field,
                                 const json_t *value, float *ret_float) {
    char shown[CN_JSON_TEXT];
    const double number = json_number_value(value);
    if (!json_is_number(value) || number < field->minimum || number > field->maximum)
        return cn_fail(entry->error, CN_INVALID,
                       "%s: %s is %s; it must be a number from %.10g to %.10g", entry->label,
                       field->name, cn_json_show(value, shown), field->minimum, field->maximum);
    *ret_float = (float)number;
    return CN_OK;
}

static enum cn_status read_enum(const struct entry *entry, const struct cn_field *field,
                                const json_t *value, int *ret_index) {
    char word[CN_JSON_TEXT], shown[CN_JSON_TEXT], names[160];
    if (!cn_keras_word(value, word))
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must be one of %s", entry->label,
                       field->name, cn_json_show(value, shown),
                       cn_name_list(field->names, names, sizeof names));
    const int index = cn_name_index(field->names, word);
    if (index < 0)
        return cn_fail(entry->error, CN_UNSUPPORTED, "%s: %s is %s; supported are %s", entry->label,
                       field->name, cn_json_show(value, shown),
                       cn_name_list(field->names, names, sizeof names));
    *ret_index = index;
    return CN_OK;
}

static enum cn_status read_bool(const struct entry *entry, const struct cn_field *field,
                                const json_t *value, bool *ret_bool) {
    char shown[CN_JSON_TEXT];
    if (!json_is_boolean(value))
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must be true or false",
                       entry->label, field->name, cn_json_show(value, shown));
    *ret_bool = json_is_true(value);
    return CN_OK;
}

static enum cn_status read_field(const struct entry *entry, const struct cn_field *field,
                                 unsigned char *config) {
    const json_t *value = json_object_get(entry->config, field->name);
    void *place = config + field->offset;
    /* Keras writes null where nothing was given, as for no activation. */
    if (value == NULL || (json_is_null(value) && !field->required &&
                          (field->nullable || field->kind == CN_FIELD_ENUM))) {
        if (!field->required)
            return CN_OK;
        return cn_fail(entry->error, CN_INVALID, "%s has no %s, which a %s needs", entry->label,
                       field->name, entry->class_name);
    }
    switch (field->kind) {
    case CN_FIELD_INT:
        return read_int(entry, field, value, place);
    case CN_FIELD_INT_PAIR:
        return read_pair(entry, field, value, place);
    case CN_FIELD_INT_WIDTH:
        return read_width(entry, field, value, place);
    case CN_FIELD_INT_LIST:
        return read_list(entry, field, value, place);
    case CN_FIELD_INT_SIDES:
        return read_sides(entry, field, value, place);
    case CN_FIELD_INT_ENDS:
        return read_ends(entry, field, value, (int *)place + 2);
    case CN_FIELD_FLOAT:
        return read_float(entry, field, value, place);
    case CN_FIELD_BOOL:
        return read_bool(entry, field, value, place);
    case CN_FIELD_ENUM:
        return read_enum(entry, field, value, place);
    }
    return cn_fail(entry->error, CN_UNSUPPORTED, "%s: %s is of an unknown kind", entry->label,
                   field->name);
}

/* Refuses every key that is neither a field nor known to be harmless with its value. */
static enum cn_status check_keys(const struct entry *entry, const struct cn_field *fields,
                                 size_t count, int rank) {
    char name[CN_JSON_TEXT], shown[CN_JSON_TEXT];
    const char *key, *rule;
    json_t *value;
    json_object_foreach(entry->config, key, value) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++)
            known = strcmp(fields[i].name, key) == 0;
        if (known || cn_keras_ignorable(key, value, rank, &rule))
            continue;
        (void)cn_text_show(key, name);
        (void)cn_json_show(value, shown);
        if (rule != NULL)
            return cn_fail(entry->error, CN_UNSUPPORTED, "%s: %s is %s; supported: %s",
                           entry->label, name, shown, rule);
        return cn_fail(entry->error, CN_UNSUPPORTED,
                       "%s: %s is %s; a %s with this key is not supported", entry->label, name,
                       shown, entry->class_name);
    }
    return CN_OK;
}

/* An input shape that a layer declares makes the network, or must be what the network has there. */
static enum cn_status apply_input_shape(const struct entry *entry, const json_t *config,
                                        struct cn_network **network) {
    char declared[CN_SHAPE_TEXT], actual[CN_SHAPE_TEXT];
    struct cn_shape shape;
    bool found = false;
    const enum cn_status status = cn_keras_input_shape(config, &found, &shape, entry->error);
    if (status != CN_OK || !found)
        return status;
    if (*network == NULL)
        return cn_network_create(&shape, network, entry->error);
    const struct cn_shape current = current_shape(*network);
    if (!cn_shape_equal(&shape, &current))
        return cn_fail(entry->error, CN_INVALID, "%s declares the input shape %s, but gets %s",
                       entry->label, cn_shape_format(&shape, declared),
                       cn_shape_format(&current, actual));
    return CN_OK;
}

static enum cn_status add_layer(const struct entry *entry, struct cn_network *network) {
    char shown[CN_JSON_TEXT], types[200];
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG] = {0};
    size_t field_count = 0;
    cn_keras_rename_keys(entry->config);
    const char *class_name = cn_keras_class(entry->class_name, entry->config);
    const struct cn_layer_type *type = cn_layer_type_find(class_name);
    if (entry->name != NULL && !is_name(entry->name))
        return cn_fail(entry->error, CN_INVALID,
                       "%s: a name must be 1 to %d letters, digits or _.-", entry->label,
                       CN_LAYER_NAME - 1);
    if (type == NULL)
        return cn_fail(entry->error, CN_UNSUPPORTED, "%s is a %s; supported are %s", entry->label,
                       cn_text_show(class_name, shown), list_types(types, sizeof types));
    const struct cn_field *fields = cn_layer_type_fields(type, &field_count);
    cn_layer_type_defaults(type, config);
    enum cn_status status = check_keys(entry, fields, field_count, current_shape(network).rank);
    for (size_t i = 0; i < field_count && status == CN_OK; i++)
        status = read_field(entry, &fields[i], config);
    if (status != CN_OK)
        return status;
    return cn_network_add(network, type, entry->name, config, entry->error);
}

/* The name, class and configuration of layer `index`, whatever they are worth. */
static enum cn_status open_entry(json_t *object, size_t index, struct entry *entry) {
    char shown[CN_JSON_TEXT];
    (void)snprintf(entry->label, sizeof entry->label, "layer %zu", index + 1);
    entry->class_name = json_string_value(json_object_get(object, "class_name"));
    entry->config = json_object_get(object, "config");
    if (entry->class_name == NULL || !json_is_object(entry->config))
        return cn_fail(entry->error, CN_MALFORMED,
                       "%s is %s; it must be an object with a class_name and a config",
                       entry->label, cn_json_show(object, shown));
    const json_t *name = json_object_get(entry->config, "name");
    if (name != NULL && !json_is_null(name) && !json_is_string(name))
        return cn_fail(entry->error, CN_MALFORMED, "%s: name is %s; it must be a string",
                       entry->label, cn_json_show(name, shown));
    entry->name = json_string_value(name);
    if (entry->name != NULL)
        (void)snprintf(entry->label, sizeof entry->label, "layer \"%s\"",
                       cn_text_show(entry->name, shown));
    return CN_OK;
}

static enum cn_status read_layer(json_t *object, size_t index, const json_t *model,
                                 struct cn_network **network, struct cn_error *error) {
    struct entry entry = {.error = error};
    enum cn_status status = open_entry(object, index, &entry);
    if (status == CN_OK)
        status = apply_input_shape(&entry, entry.config, network);
    if (status == CN_OK && *network == NULL) /* Keras 2 puts what build() got beside the list */
        status = apply_input_shape(&entry, model, network);
    if (status != CN_OK)
        return status;
    if (*network == NULL)
        return cn_fail(error, CN_INVALID,
                       "%s has no input shape before it: begin with an InputLayer with a "
                       "batch_shape, or give the first layer a batch_input_shape",
                       entry.label);
    if (strcmp(entry.class_name, "InputLayer") != 0)
        return add_layer(&entry, *network);
    if (index > 0)
        return cn_fail(error, CN_UNSUPPORTED, "%s is an InputLayer; it may only be the first",
                       entry.label);
    return check_keys(&entry, NULL, 0, (*network)->input_shape.rank);
}

/* Finds the list of layers and the network's name in the JSON text's root. */
static enum cn_status open_sequential(json_t *root, json_t **ret_config, json_t **ret_layers,
                                      struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const json_t *class_name = json_object_get(root, "class_name");
    json_t *config = json_object_get(root, "config");
    if (!json_is_string(class_name))
        return cn_fail(error, CN_MALFORMED,
                       "the architecture has no class_name; it must be a Keras Sequential model");
    if (strcmp(json_string_value(class_name), "Sequential") != 0)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the architecture is a %s model; only Sequential is supported",
                       cn_json_show(class_name, shown));
    json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    if (!json_is_array(layers) || json_array_size(layers) == 0)
        return cn_fail(error, CN_MALFORMED, "the Sequential model has no list of layers");
    if (json_array_size(layers) > CN_NETWORK_MAX_LAYERS + 1) /* with the InputLayer */
        return cn_fail(error, CN_LIMIT, "the Sequential model has %zu layers; the limit is %d",
                       json_array_size(layers), CN_NETWORK_MAX_LAYERS);
    *ret_config = config;
    *ret_layers = layers;
    return CN_OK;
}

static enum cn_status set_name(struct cn_network *network, const json_t *name,
                               struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    if (name == NULL || json_is_null(name))
        return CN_OK;
    if (!is_name(json_string_value(name)))
        return cn_fail(error, CN_INVALID,
                       "the model's name is %s; it must be 1 to %d letters, digits or _.-",
                       cn_json_show(name, shown), CN_LAYER_NAME - 1);
    (void)snprintf(network->name, sizeof network->name, "%s", json_string_value(name));
    return CN_OK;
}

static enum cn_status assemble(json_t *root, struct cn_network **network, struct cn_error *error) {
    json_t *config = NULL, *layers = NULL;
    enum cn_status status = open_sequential(root, &config, &layers, error);
    for (size_t i = 0; status == CN_OK && i < json_array_size(layers); i++)
        status = read_layer(json_array_get(layers, i), i, config, network, error);
    if (status == CN_OK && (*network)->layer_count == 0)
        status = cn_fail(error, CN_INVALID, "the Sequential model has no layer but its input");
    if (status == CN_OK)
        status = set_name(*network, json_object_get(config, "name"), error);
    return status;
}

enum cn_status cn_architecture_assemble(const char *json, size_t length, const char *source,
                                        struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = NULL;
    json_t *root = NULL;
    enum cn_status status = cn_json_parse(json, length, "architecture", source, -1, &root, error);
    if (status != CN_OK)
        return status;
    status = assemble(root, &network, error);
    json_decref(root);
    if (status != CN_OK) {
        cn_error_set_source(error, source);
        cn_network_free(network);
        return status;
    }
    *ret_network = network;
    return CN_OK;
}

enum cn_status cn_architecture_parse(const char *json, size_t length, const char *source,
                                     struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = NULL;
    enum cn_status status = cn_architecture_assemble(json, length, source, &network, error);
    if (status != CN_OK)
        return status;
    status = cn_network_build(network, error);
    if (status != CN_OK) {
        cn_error_set_source(error, source);
        cn_network_free(network);
        return status;
    }
    *ret_network = network;
    return CN_OK;
}

enum cn_status cn_architecture_read(const char *path, struct cn_network **ret_network,
                                    struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, CN_JSON_MAX_LENGTH, &bytes, &length, error);
    if (status == CN_OK)
        status = cn_architecture_parse((const char *)bytes, length, path, ret_network, error);
    free(bytes);
    return status;
}
