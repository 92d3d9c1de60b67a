/* architecture_axes.c: which axes a Keras layer works over, and in which order it wants them.
 *
 * Our layers have the channels last and normalise over the last axes. For the others architecture.c
 * puts Permute and Reshape layers around; this file says where. No state.
 */
#include <string.h>

#include "base/names.h"
#include "model/architecture.h"

enum cn_keras_order cn_keras_order(const char *class_name, const json_t *config) {
    static const char *const any[] = {"Activation",
                                      "BatchNormalization",
                                      "LayerNormalization",
                                      "GroupNormalization",
                                      "UnitNormalization",
                                      "Normalization",
                                      "Dropout",
                                      "Add",
                                      "Subtract",
                                      "Multiply",
                                      "Average",
                                      "Maximum",
                                      "Minimum",
                                      "Concatenate",
                                      NULL};
    const char *format = json_string_value(json_object_get(config, "data_format"));
    if (format == NULL)
        format = json_string_value(json_object_get(config, "dim_ordering"));
    if (format != NULL && (strcmp(format, "channels_first") == 0 || strcmp(format, "th") == 0))
        return CN_KERAS_CHANNELS_FIRST;
    if (strcmp(class_name, "Rescaling") == 0)
        return json_is_number(json_object_get(config, "scale")) &&
                       !json_is_array(json_object_get(config, "offset"))
                   ? CN_KERAS_ANY_ORDER
                   : CN_KERAS_FILE_ORDER;
    return cn_name_index(any, class_name) >= 0 ? CN_KERAS_ANY_ORDER : CN_KERAS_FILE_ORDER;
}

/* Reads an axis as a number from 1 on; 0: it is no axis of a sample. */
static int axis_read(const json_t *value, int rank) {
    const json_int_t axis = json_integer_value(value);
    if (!json_is_integer(value) || axis < -rank || axis > rank)
        return 0;
    return (int)(axis < 0 ? axis + rank + 1 : axis);
}

bool cn_keras_axes(const char *class_name, const json_t *config, int rank,
                   struct cn_ints *ret_axes) {
    static const char *const classes[] = {"BatchNormalization", "LayerNormalization",
                                          "GroupNormalization", "UnitNormalization",
                                          "Normalization",      NULL};
    const json_t *value = json_object_get(config, "axis");
    struct cn_ints axes = {0, {0}};
    const bool softmax = strcmp(class_name, "Activation") == 0 && value != NULL;
    if ((!softmax && cn_name_index(classes, class_name) < 0) || json_is_null(value))
        return false;
    const size_t count = json_is_array(value) ? json_array_size(value) : 1;
    bool seen[CN_SHAPE_MAX_RANK + 1] = {false};
    for (size_t i = 0; i < count; i++) {
        const int axis =
            value == NULL
                ? rank
                : axis_read(json_is_array(value) ? json_array_get(value, i) : value, rank);
        if (axis == 0) /* the layer itself says what is wrong */
            return false;
        seen[axis] = true;
    }
    for (int axis = 1; axis <= rank; axis++)
        if (seen[axis])
            axes.values[axes.count++] = axis;
    *ret_axes = axes;
    return axes.count > 0;
}

int cn_keras_moved_axis(int axis, int rank) {
    return axis == 1 ? rank : axis - 1;
}

struct cn_ints cn_keras_channels_order(int rank, bool last) {
    struct cn_ints dims = {rank, {0}};
    for (int i = 0; i < rank; i++)
        dims.values[i] = (last ? i + 1 : i + rank - 1) % rank + 1;
    return dims;
}

bool cn_keras_axes_are_last(const struct cn_ints *axes, int rank) {
    return axes->count == 0 || axes->values[0] == rank - axes->count + 1;
}

struct cn_ints cn_keras_axes_last(const struct cn_ints *axes, int rank) {
    struct cn_ints dims = {0, {0}};
    for (int pass = 0; pass < 2; pass++)
        for (int axis = 1; axis <= rank; axis++) {
            bool listed = false;
            for (int i = 0; i < axes->count; i++)
                listed = listed || axes->values[i] == axis;
            if (listed == (pass == 1))
                dims.values[dims.count++] = axis;
        }
    return dims;
}

struct cn_ints cn_keras_inverse(const struct cn_ints *dims) {
    struct cn_ints inverse = {dims->count, {0}};
    for (int i = 0; i < dims->count; i++)
        inverse.values[dims->values[i] - 1] = i + 1;
    return inverse;
}
