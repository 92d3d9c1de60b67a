/* architecture_layer.c: reads one layer's Keras JSON as type and configuration.
 *
 * It uses the layer table only: a layer's keys are its type's fields. A key that may change the
 * meaning and is not known is refused by name, never skipped. No state. */
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "model/architecture.h"

bool cn_keras_name_byte(char byte) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    return byte != '\0' && strchr(allowed, byte) != NULL;
}

bool cn_keras_is_name(const char *name) {
    const size_t length = name != NULL ? strlen(name) : 0;
    for (size_t i = 0; i < length; i++)
        if (!cn_keras_name_byte(name[i]))
            return false;
    return length > 0 && length < CN_LAYER_NAME;
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

/* Reads a field's value into the place that its kind needs. A failure may leave a part of it. */
typedef enum cn_status field_reader(const struct cn_keras_layer *entry,
                                    const struct cn_field *field, const json_t *value, void *ret);

static enum cn_status read_int(const struct cn_keras_layer *entry, const struct cn_field *field,
                               const json_t *value, void *ret_int) {
    char shown[CN_JSON_TEXT];
    const double number = json_number_value(value);
    const bool whole = json_is_integer(value) || (entry->lenient && json_is_real(value) &&
                                                  number == floor(number)); /* 64.0 */
    if (!whole || number < field->minimum || number > field->maximum || number < INT_MIN ||
        number > INT_MAX)
        return cn_fail(entry->error, CN_INVALID,
                       "%s: %s is %s; it must be an integer from %.10g to %.10g", entry->label,
                       field->name, cn_json_show(value, shown), field->minimum, field->maximum);
    *(int *)ret_int = (int)number;
    return CN_OK;
}

/* Reads `count` elements of a list into an array, or one value for all of them. */
static enum cn_status read_elements(const struct cn_keras_layer *entry,
                                    const struct cn_field *field, const json_t *value,
                                    field_reader *read, int count, void *ret, size_t size) {
    enum cn_status status = CN_OK;
    for (int i = 0; i < count && status == CN_OK; i++)
        status = read(entry, field, json_is_array(value) ? json_array_get(value, (size_t)i) : value,
                      (char *)ret + (size_t)i * size);
    return status;
}

static enum cn_status read_pair(const struct cn_keras_layer *entry, const struct cn_field *field,
                                const json_t *value, void *ret_pair) {
    char shown[CN_JSON_TEXT];
    if (json_is_array(value) && json_array_size(value) != 2)
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must be one integer or two",
                       entry->label, field->name, cn_json_show(value, shown));
    return read_elements(entry, field, value, read_int, 2, ret_pair, sizeof(int));
}

/* Reads one number, or a list of one, for the axis of a one-dimensional layer. */
static enum cn_status read_width(const struct cn_keras_layer *entry, const struct cn_field *field,
                                 const json_t *value, void *ret_pair) {
    int *pair = ret_pair;
    const json_t *element = json_array_size(value) == 1 ? json_array_get(value, 0) : value;
    pair[0] = 1;
    return read_int(entry, field, element, &pair[1]);
}

static enum cn_status read_ints(const struct cn_keras_layer *entry, const struct cn_field *field,
                                const json_t *value, void *ret_list) {
    char shown[CN_JSON_TEXT];
    struct cn_ints *list = ret_list;
    if (json_array_size(value) > CN_INTS_MAX)
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must have at most %d numbers",
                       entry->label, field->name, cn_json_show(value, shown), CN_INTS_MAX);
    *list = (struct cn_ints){.count = json_is_array(value) ? (int)json_array_size(value) : 1};
    return read_elements(entry, field, value, read_int, list->count, list->values, sizeof(int));
}

/* Reads the last two of four numbers: two, or one for both. */
static enum cn_status read_ends(const struct cn_keras_layer *entry, const struct cn_field *field,
                                const json_t *value, void *ret_sides) {
    return read_pair(entry, field, value, (int *)ret_sides + 2);
}

/* Reads [[top, bottom], [left, right]], [rows, columns], or one number for all. */
static enum cn_status read_sides(const struct cn_keras_layer *entry, const struct cn_field *field,
                                 const json_t *value, void *ret_sides) {
    char shown[CN_JSON_TEXT];
    if (json_is_array(value) && json_array_size(value) != 2)
        return cn_fail(entry->error, CN_INVALID,
                       "%s: %s is %s; it must be one integer, two, or two pairs", entry->label,
                       field->name, cn_json_show(value, shown));
    return read_elements(entry, field, value, read_pair, 2, ret_sides, 2 * sizeof(int));
}

static enum cn_status read_float(const struct cn_keras_layer *entry, const struct cn_field *field,
                                 const json_t *value, void *ret_float) {
    char shown[CN_JSON_TEXT];
    const double number = json_number_value(value);
    if (!json_is_number(value) || number < field->minimum || number > field->maximum)
        return cn_fail(entry->error, CN_INVALID,
                       "%s: %s is %s; it must be a number from %.10g to %.10g", entry->label,
                       field->name, cn_json_show(value, shown), field->minimum, field->maximum);
    *(float *)ret_float = (float)number;
    return CN_OK;
}

static enum cn_status read_floats(const struct cn_keras_layer *entry, const struct cn_field *field,
                                  const json_t *value, void *ret_list) {
    char shown[CN_JSON_TEXT];
    struct cn_floats *list = ret_list;
    const size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count < 1 || count > CN_FLOATS_MAX)
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must have from 1 to %d numbers",
                       entry->label, field->name, cn_json_show(value, shown), CN_FLOATS_MAX);
    *list = (struct cn_floats){.count = (int)count};
    return read_elements(entry, field, value, read_float, list->count, list->values, sizeof(float));
}

static enum cn_status read_enum(const struct cn_keras_layer *entry, const struct cn_field *field,
                                const json_t *value, void *ret_index) {
    char word[CN_JSON_TEXT], shown[CN_JSON_TEXT], names[160];
    if (!cn_keras_word(value, word))
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must be one of %s", entry->label,
                       field->name, cn_json_show(value, shown),
                       cn_name_list(field->names, names, sizeof names));
    const int index = cn_name_index(field->names, word);
    if (index < 0 && entry->lenient && cn_keras_trains_only(field->name))
        return CN_OK;
    if (index < 0)
        return cn_fail(entry->error, CN_UNSUPPORTED, "%s: %s is %s; supported are %s", entry->label,
                       field->name, cn_json_show(value, shown),
                       cn_name_list(field->names, names, sizeof names));
    *(int *)ret_index = index;
    return CN_OK;
}

static enum cn_status read_bool(const struct cn_keras_layer *entry, const struct cn_field *field,
                                const json_t *value, void *ret_bool) {
    char shown[CN_JSON_TEXT];
    const double number = json_number_value(value);
    if (entry->lenient && json_is_number(value) && (number == 0 || number == 1)) {
        *(bool *)ret_bool = number == 1; /* Python treats them alike */
        return CN_OK;
    }
    if (!json_is_boolean(value))
        return cn_fail(entry->error, CN_INVALID, "%s: %s is %s; it must be true or false",
                       entry->label, field->name, cn_json_show(value, shown));
    *(bool *)ret_bool = json_is_true(value);
    return CN_OK;
}

static field_reader *const readers[] = {
    [CN_FIELD_INT] = read_int,         [CN_FIELD_INT_PAIR] = read_pair,
    [CN_FIELD_INT_WIDTH] = read_width, [CN_FIELD_INT_LIST] = read_ints,
    [CN_FIELD_INT_SIDES] = read_sides, [CN_FIELD_INT_ENDS] = read_ends,
    [CN_FIELD_FLOAT] = read_float,     [CN_FIELD_FLOAT_LIST] = read_floats,
    [CN_FIELD_BOOL] = read_bool,       [CN_FIELD_ENUM] = read_enum,
};

static enum cn_status read_field(const struct cn_keras_layer *entry, const struct cn_field *field,
                                 unsigned char *config) {
    const json_t *value = json_object_get(entry->config, field->name);
    void *place = config + field->offset;
    /* Keras writes null for settings that were not given, such as no activation. */
    if (value == NULL || (json_is_null(value) && !field->required &&
                          (field->nullable || field->kind == CN_FIELD_ENUM))) {
        if (!field->required)
            return CN_OK;
        return cn_fail(entry->error, CN_INVALID, "%s has no %s, which a %s needs", entry->label,
                       field->name, entry->class_name);
    }
    return readers[field->kind](entry, field, value, place);
}

/* A rule in words: the JSON list "[1, [1, 1]]" becomes "1 or [1, 1]", other text stays. */
static void rule_show(const char *rule, char text[static CN_JSON_TEXT]) {
    json_t *list = json_loads(rule, 0, NULL), *element;
    size_t i, used = 0;
    (void)snprintf(text, CN_JSON_TEXT, "%s", rule);
    json_array_foreach(list, i, element) {
        char shown[CN_JSON_TEXT];
        (void)cn_json_show(element, shown);
        const int length =
            snprintf(text + used, CN_JSON_TEXT - used, "%s%s", i > 0 ? " or " : "", shown);
        used += length > 0 && (size_t)length < CN_JSON_TEXT - used ? (size_t)length : 0;
    }
    json_decref(list);
}

/* Refuses a key that is neither a field nor known to be harmless with its value. */
static enum cn_status check_key(const struct cn_keras_layer *entry, const struct cn_field *fields,
                                size_t count, int rank, const char *key, const json_t *value) {
    char name[CN_JSON_TEXT], shown[CN_JSON_TEXT];
    const char *rule;
    bool known = false;
    for (size_t i = 0; i < count && !known; i++)
        known = strcmp(fields[i].name, key) == 0;
    if (known || cn_keras_is_rule(key) || cn_keras_ignorable(key, value, rank, &rule) ||
        (entry->lenient && cn_keras_trains_only(key)))
        return CN_OK;
    (void)cn_text_show(key, name);
    (void)cn_json_show(value, shown);
    if (rule != NULL) {
        char words[CN_JSON_TEXT];
        rule_show(rule, words);
        return cn_fail(entry->error, CN_UNSUPPORTED, "%s: %s is %s; it must be %s", entry->label,
                       name, shown, words);
    }
    return cn_fail(entry->error, CN_UNSUPPORTED,
                   "%s: %s is %s; a %s with this key is not supported", entry->label, name, shown,
                   entry->class_name);
}

enum cn_status cn_keras_check_keys(const struct cn_keras_layer *entry,
                                   const struct cn_field *fields, size_t count, int rank) {
    const char *key;
    json_t *value;
    enum cn_status status = CN_OK;
    json_object_foreach(entry->config, key, value) {
        if (status == CN_OK)
            status = check_key(entry, fields, count, rank, key, value);
    }
    return status;
}

const struct cn_layer_type *cn_keras_layer_type(struct cn_keras_layer *entry) {
    entry->class_name = cn_keras_class(entry->class_name, entry->config);
    const struct cn_layer_type *type = cn_layer_type_find(entry->class_name);
    cn_keras_rename_keys(entry->config, type);
    return type;
}

bool cn_keras_is_known(const char *class_name, const json_t *config, const json_t *module) {
    bool known = false, alone = false;
    if (cn_keras_is_operation(class_name, config, module, &known))
        return known;
    json_t *copy = json_copy((json_t *)(uintptr_t)config);
    known = cn_keras_trains_only_class(class_name, config) ||
            (cn_keras_take_function(class_name, copy, &alone).function != NULL && alone) ||
            cn_layer_type_find(cn_keras_class(class_name, copy)) != NULL;
    json_decref(copy);
    return known;
}

enum cn_status cn_keras_refuse_class(const struct cn_keras_layer *entry) {
    char shown[CN_JSON_TEXT], types[200];
    return cn_fail(entry->error, CN_UNSUPPORTED, "%s is a %s; supported are %s", entry->label,
                   cn_text_show(entry->class_name, shown), list_types(types, sizeof types));
}

enum cn_status cn_keras_layer_read(struct cn_keras_layer *entry, int rank,
                                   const struct cn_layer_type **ret_type,
                                   unsigned char config[static CN_LAYER_CONFIG]) {
    size_t field_count = 0;
    const struct cn_layer_type *type = cn_keras_layer_type(entry);
    if (entry->name != NULL && !entry->lenient && !cn_keras_is_name(entry->name))
        return cn_fail(entry->error, CN_INVALID,
                       "%s: a name must be 1 to %d letters, digits or _.-", entry->label,
                       CN_LAYER_NAME - 1);
    if (type == NULL)
        return cn_keras_refuse_class(entry);
    const struct cn_field *fields = cn_layer_type_fields(type, &field_count);
    cn_layer_type_defaults(type, config);
    enum cn_status status = cn_keras_check_keys(entry, fields, field_count, rank);
    for (size_t i = 0; i < field_count && status == CN_OK; i++)
        status = read_field(entry, &fields[i], config);
    *ret_type = type;
    return status;
}

enum cn_status cn_keras_layer_open(json_t *object, size_t index, bool lenient,
                                   struct cn_keras_layer *entry, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    *entry = (struct cn_keras_layer){.lenient = lenient, .error = error};
    (void)snprintf(entry->label, sizeof entry->label, "layer %zu", index + 1);
    entry->class_name = json_string_value(json_object_get(object, "class_name"));
    entry->config = json_object_get(object, "config");
    if (entry->class_name == NULL ||
        (!json_is_object(entry->config) && !json_is_array(entry->config)))
        return cn_fail(error, CN_MALFORMED,
                       "%s is %s; it must be an object with a class_name and a config",
                       entry->label, cn_json_show(object, shown));
    if (lenient)
        cn_keras_unwrap_values(entry->config);
    const json_t *name = json_object_get(object, "name");
    if (!json_is_string(name))
        name = json_object_get(entry->config, "name");
    if (name != NULL && !json_is_null(name) && !json_is_string(name))
        return cn_fail(error, CN_MALFORMED, "%s: name is %s; it must be a string", entry->label,
                       cn_json_show(name, shown));
    entry->name = json_string_value(name);
    if (entry->name != NULL)
        (void)snprintf(entry->label, sizeof entry->label, "layer \"%s\"",
                       cn_text_show(entry->name, shown));
    return CN_OK;
}

/* The settings of a layer that has been opened. A key that no layer of ours has may belong to what
 * cn_keras_fit_layer rewrites, and an axis is right or wrong by the input's rank: they count as
 * faults only when the network is assembled. */
static void list_settings(struct cn_keras_layer *entry, json_t *faults) {
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG] = {0};
    size_t field_count = 0;
    bool alone = false;
    const char *key, *rule;
    json_t *value, *format = json_object_get(entry->config, "data_format");
    if (json_is_string(format) && strcmp(json_string_value(format), "channels_first") == 0)
        (void)json_object_set_new(entry->config, "data_format", json_string("channels_last"));
    (void)cn_keras_take_function(entry->class_name, entry->config, &alone);
    const struct cn_layer_type *type = cn_keras_layer_type(entry);
    if (type == NULL)
        return;
    const struct cn_field *fields = cn_layer_type_fields(type, &field_count);
    cn_layer_type_defaults(type, config);
    for (size_t i = 0; i < field_count; i++)
        if (json_object_get(entry->config, fields[i].name) != NULL &&
            read_field(entry, &fields[i], config) != CN_OK)
            (void)json_array_append_new(faults, json_string(entry->error->text));
    json_object_foreach(entry->config, key, value) {
        if (strcmp(key, "axis") != 0 && !cn_keras_ignorable(key, value, 0, &rule) && rule != NULL &&
            check_key(entry, fields, field_count, 0, key, value) != CN_OK)
            (void)json_array_append_new(faults, json_string(entry->error->text));
    }
}

void cn_keras_list_faults(const json_t *object, size_t index, json_t *faults) {
    struct cn_error error = {0};
    struct cn_keras_layer entry;
    bool known = false;
    json_t *copy = json_deep_copy(object);
    if (cn_keras_layer_open(copy, index, true, &entry, &error) == CN_OK &&
        json_is_object(entry.config) &&
        !cn_keras_trains_only_class(entry.class_name, entry.config) &&
        !cn_keras_is_operation(entry.class_name, entry.config, json_object_get(copy, "module"),
                               &known))
        list_settings(&entry, faults);
    json_decref(copy);
}
