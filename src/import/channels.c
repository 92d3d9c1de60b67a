/* channels.c: Keras models of channels_first, told as channels_last: shapes, axes, data_format.
 *
 * Convolution kernels of Keras lie the same way in both. What Flatten makes of a picture differs,
 * and is turned with the weights. No state.
 */
#include <string.h>

#include "import/assemble.h"

static bool is_first(const json_t *config) {
    const char *format = json_string_value(json_object_get(config, "data_format"));
    const char *order = json_string_value(json_object_get(config, "dim_ordering"));
    return (format != NULL && strcmp(format, "channels_first") == 0) ||
           (order != NULL && strcmp(order, "th") == 0);
}

static json_t *layers_of(json_t *config) {
    json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    return json_is_array(layers) ? layers : NULL;
}

static const char *class_of(const json_t *layer) {
    const char *name = json_string_value(json_object_get(layer, "class_name"));
    return name != NULL ? name : "";
}

/* Does any layer but Flatten say so? */
static bool has_first(json_t *config, int depth) {
    json_t *layers = layers_of(config), *layer;
    size_t i;
    json_array_foreach(layers, i, layer) {
        json_t *inner = json_object_get(layer, "config");
        if ((strcmp(class_of(layer), "Flatten") != 0 && is_first(inner)) ||
            (depth < IMPORT_MAX_DEPTH && has_first(inner, depth + 1)))
            return true;
    }
    return false;
}

/* [batch,] channels, rows, columns becomes [batch,] rows, columns, channels. */
static void reorder_shape(json_t *config, const char *key, size_t skip) {
    json_t *shape = json_object_get(config, key);
    if (json_array_size(shape) < skip + 2)
        return;
    json_t *channels = json_incref(json_array_get(shape, skip));
    (void)json_array_remove(shape, skip);
    (void)json_array_append_new(shape, channels);
}

/* Axis 1 is the channels; 2 and 3 move one to the front. */
static void reorder_axis(json_t *config) {
    json_t *axis = json_object_get(config, "axis");
    if (json_is_array(axis))
        axis = json_array_get(axis, 0);
    const json_int_t value = json_integer_value(axis);
    if (json_is_integer(axis))
        (void)json_object_set_new(config, "axis",
                                  json_integer(value == 1 || value == -3 ? -1
                                               : value > 1               ? value - 1
                                               : value == -1             ? -2
                                                                         : value));
}

static void reorder_layer(json_t *layer, json_t *obstacles, bool *rows) {
    json_t *config = json_object_get(layer, "config");
    const char *class_name = class_of(layer);
    const char *name = json_string_value(json_object_get(config, "name"));
    reorder_shape(config, "batch_input_shape", 1);
    reorder_shape(config, "batch_shape", 1);
    reorder_shape(config, "input_shape", 0);
    reorder_shape(config, "shape", 0);
    if (strcmp(class_name, "Flatten") == 0 && !is_first(config))
        *rows = true;
    if (strcmp(class_name, "Reshape") == 0 || strcmp(class_name, "Permute") == 0)
        import_note(obstacles, "layer \"%s\" is a %s in a channels_first model", name, class_name);
    reorder_axis(config);
    (void)json_object_del(config, "dim_ordering");
    if (json_object_get(config, "data_format") != NULL)
        (void)json_object_set_new(config, "data_format", json_string("channels_last"));
}

static void reorder_model(json_t *config, json_t *obstacles, bool *rows, int depth) {
    json_t *layers = layers_of(config), *layer;
    size_t i;
    reorder_shape(config, "build_input_shape", 1);
    json_array_foreach(layers, i, layer) {
        json_t *inner = json_object_get(layer, "config");
        if (layers_of(inner) != NULL && depth < IMPORT_MAX_DEPTH)
            reorder_model(inner, obstacles, rows, depth + 1);
        else if (json_is_object(inner))
            reorder_layer(layer, obstacles, rows);
    }
}

bool import_turn_channels(json_t *architecture, json_t *obstacles, bool *ret_rows) {
    json_t *config = json_object_get(architecture, "config");
    if (!has_first(config, 0))
        return false;
    reorder_model(config, obstacles, ret_rows, 0);
    return true;
}
