/* architecture_keras_1.c: rewrites layers of Keras 1 that differ from Keras 2's in more than words:
 * a Merge whose mode says what it computes, a padding whose four sides are in one list, and a
 * transposed convolution whose output's size is given. Words are renamed in architecture_keras.c.
 * No state. */
#include <string.h>

#include "model/architecture.h"

/* The class of a Merge by its mode. A Merge of another mode, such as "cos" or a function of its
 * own, stays a Merge, which is refused. */
static const char *merge_class(json_t *config) {
    static const struct {
        const char *mode, *class_name;
    } modes[] = {{"sum", "Add"},
                 {"mul", "Multiply"},
                 {"ave", "Average"},
                 {"max", "Maximum"},
                 {"concat", "Concatenate"}};
    static const char *const keys[] = {"mode",         "mode_type",   "concat_axis",
                                       "dot_axes",     "output_mask", "output_mask_type",
                                       "output_shape", "arguments",   "output_shape_type"};
    const char *mode = json_string_value(json_object_get(config, "mode"));
    for (size_t i = 0; mode != NULL && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(modes[i].mode, mode) != 0)
            continue;
        json_t *axis = json_object_get(config, "concat_axis");
        if (axis != NULL && strcmp(mode, "concat") == 0)
            (void)json_object_set(config, "axis", axis);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            (void)json_object_del(config, keys[k]);
        return modes[i].class_name;
    }
    return "Merge";
}

/* [top, bottom, left, right], also by name, becomes [[top, bottom], [left, right]]. */
static void padding_rewrite(json_t *config) {
    static const char *const names[4] = {"top_pad", "bottom_pad", "left_pad", "right_pad"};
    json_t *padding = json_object_get(config, "padding"), *sides[4];
    if (!json_is_object(padding) && json_array_size(padding) != 4)
        return;
    json_t *none = json_integer(0);
    for (size_t i = 0; i < 4; i++) {
        sides[i] = json_is_object(padding) ? json_object_get(padding, names[i])
                                           : json_array_get(padding, i);
        sides[i] = sides[i] != NULL ? sides[i] : none;
    }
    (void)json_object_set_new(config, "padding",
                              json_pack("[[O,O],[O,O]]", sides[0], sides[1], sides[2], sides[3]));
    json_decref(none);
}

/* output_shape, with the batch and the channels, becomes output_size, which cn_keras_fit_layer
 * compares with the input's. */
static void output_shape_rewrite(json_t *config) {
    const json_t *shape = json_object_get(config, "output_shape");
    if (json_array_size(shape) != 4)
        return;
    const char *order = json_string_value(json_object_get(config, "dim_ordering"));
    const size_t rows = order != NULL && strcmp(order, "th") == 0 ? 2 : 1;
    (void)json_object_set_new(
        config, "output_size",
        json_pack("[O,O]", json_array_get(shape, rows), json_array_get(shape, rows + 1)));
    (void)json_object_del(config, "output_shape");
}

const char *cn_keras_1_class(const char *class_name, json_t *config) {
    if (strcmp(class_name, "Merge") == 0)
        return merge_class(config);
    if (strcmp(class_name, "ZeroPadding2D") == 0)
        padding_rewrite(config);
    if (strcmp(class_name, "Deconvolution2D") == 0)
        output_shape_rewrite(config);
    return class_name;
}
