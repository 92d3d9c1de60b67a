/* architecture_format.c: a network to Keras 3 Sequential JSON, which architecture.c reads back to
 * the same network. Generic over the layers' field tables. No state.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"

/* 9 digits tell any two floats apart; fewer are written where fewer do, so that 0.3f is 0.3. */
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
        failed |= json_object_set_new(config, fields[i].name,
                                      format_field(&fields[i], layer->config, defaults));
    if (failed) {
        json_decref(config);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o, s:n}", "module", "keras.layers", "class_name",
                     cn_layer_type_name(layer->type), "config", config, "registered_name");
}

static json_t *format_input(const struct cn_shape *shape) {
    json_t *dims = json_pack("[n]");
    for (int i = 0; i < shape->rank; i++)
        if (json_array_append_new(dims, json_integer(shape->dims[i])) != 0) {
            json_decref(dims);
            return NULL;
        }
    return json_pack("{s:s, s:s, s:{s:o, s:s}, s:n}", "module", "keras.layers", "class_name",
                     "InputLayer", "config", "batch_shape", dims, "dtype", "float32",
                     "registered_name");
}

enum cn_status cn_architecture_format(const struct cn_network *network, char **ret_json,
                                      struct cn_error *error) {
    enum cn_status status = CN_OK;
    json_t *root = NULL, *layers = json_array();
    char *text = NULL;
    int failed = json_array_append_new(layers, format_input(&network->input_shape));
    for (size_t i = 0; i < network->layer_count; i++)
        failed |= json_array_append_new(layers, format_layer(&network->layers[i]));
    if (failed == 0)
        root = json_pack("{s:s, s:s, s:{s:s, s:O}, s:n}", "module", "keras", "class_name",
                         "Sequential", "config", "name", network->name, "layers", layers,
                         "registered_name");
    if (root != NULL)
        text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for the architecture of %zu layers",
                         network->layer_count);
    else
        *ret_json = text;
    json_decref(layers);
    json_decref(root);
    return status;
}
