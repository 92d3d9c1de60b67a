/* architecture_fit.c: Keras layers whose meaning depends on the shape that they read, as layers of
 * ours. No state. */
#include <math.h>
#include <string.h>

#include "model/architecture.h"

/* A Dense over the last axis of several is a convolution with a kernel of 1. */
static enum cn_status dense_fit(struct cn_keras_layer *entry, const struct cn_shape *input) {
    json_t *units = json_object_get(entry->config, "units");
    if (input->rank < 2 || input->rank > 3)
        return CN_OK;
    entry->class_name = input->rank == 3 ? "Conv2D" : "Conv1D";
    if (units != NULL)
        (void)json_object_set(entry->config, "filters", units);
    (void)json_object_del(entry->config, "units");
    (void)json_object_set_new(entry->config, "kernel_size", json_integer(1));
    return CN_OK;
}

/* The window in the middle; the side before it is the smaller one. */
static enum cn_status center_fit(struct cn_keras_layer *entry, const struct cn_shape *input) {
    const json_t *height = json_object_get(entry->config, "height"),
                 *width = json_object_get(entry->config, "width");
    if (height == NULL || width == NULL || input->rank != 3)
        return CN_OK;
    const json_int_t rows = json_integer_value(height), columns = json_integer_value(width);
    if (rows < 1 || columns < 1 || rows > input->dims[0] || columns > input->dims[1])
        return cn_fail(entry->error, CN_UNSUPPORTED,
                       "%s crops %lld x %lld from %d x %d; a CenterCrop that enlarges is not "
                       "supported",
                       entry->label, (long long)rows, (long long)columns, input->dims[0],
                       input->dims[1]);
    const int more_rows = input->dims[0] - (int)rows, more_columns = input->dims[1] - (int)columns;
    (void)json_object_del(entry->config, "height");
    (void)json_object_del(entry->config, "width");
    (void)json_object_set_new(entry->config, "cropping",
                              json_pack("[[i,i],[i,i]]", more_rows / 2, more_rows - more_rows / 2,
                                        more_columns / 2, more_columns - more_columns / 2));
    return CN_OK;
}

/* The numbers in a value, lists in lists included; false: it holds something else, or too many. */
static bool numbers_read(const json_t *value, double numbers[CN_FLOATS_MAX], size_t *count) {
    size_t i;
    const json_t *element;
    if (json_is_number(value)) {
        if (*count == CN_FLOATS_MAX)
            return false;
        numbers[(*count)++] = json_number_value(value);
        return true;
    }
    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, element) {
        if (!numbers_read(element, numbers, count))
            return false;
    }
    return true;
}

/* A Normalization whose mean and variance are in the file. */
static enum cn_status normalization_fit(struct cn_keras_layer *entry) {
    const json_t *mean = json_object_get(entry->config, "mean"),
                 *variance = json_object_get(entry->config, "variance");
    double means[CN_FLOATS_MAX], variances[CN_FLOATS_MAX];
    size_t count = 0, variance_count = 0;
    if (mean == NULL || json_is_null(mean) || variance == NULL || json_is_null(variance))
        return CN_OK;
    if (!numbers_read(mean, means, &count) || !numbers_read(variance, variances, &variance_count) ||
        count != variance_count || count == 0)
        return cn_fail(entry->error, CN_UNSUPPORTED,
                       "%s: mean and variance must be as many numbers, from 1 to %d", entry->label,
                       CN_FLOATS_MAX);
    json_t *scales = json_array(), *offsets = json_array();
    const bool invert = json_is_true(json_object_get(entry->config, "invert"));
    for (size_t i = 0; i < count; i++) {
        const double deviation = fmax(sqrt(fmax(variances[i], 0)), 1e-7);
        (void)json_array_append_new(scales, json_real(invert ? deviation : 1 / deviation));
        (void)json_array_append_new(offsets, json_real(invert ? means[i] : -means[i] / deviation));
    }
    entry->class_name = "Rescaling";
    (void)json_object_del(entry->config, "mean");
    (void)json_object_del(entry->config, "variance");
    (void)json_object_del(entry->config, "invert");
    (void)json_object_del(entry->config, "axis");
    (void)json_object_set_new(entry->config, "scale", scales);
    (void)json_object_set_new(entry->config, "offset", offsets);
    return CN_OK;
}

/* A setting of an axis: one number, or a list of two; 0: neither; `otherwise`: not given. */
static json_int_t setting_of(const json_t *config, const char *key, size_t axis,
                             json_int_t otherwise) {
    const json_t *value = json_object_get(config, key);
    if (value == NULL || json_is_null(value))
        return otherwise;
    return json_integer_value(json_is_array(value) ? json_array_get(value, axis) : value);
}

/* Replaces the size that a transposed convolution's output must have by the output_padding that
 * leads to it, unless the layer has that size without one. */
static enum cn_status output_size_fit(struct cn_keras_layer *entry, const struct cn_shape *input) {
    const json_t *sizes = json_object_get(entry->config, "output_size");
    json_int_t extra[2] = {0, 0};
    bool usual = true;
    if (sizes == NULL || input->rank != 3)
        return CN_OK;
    const char *padding = json_string_value(json_object_get(entry->config, "padding"));
    const bool same = padding != NULL && strcmp(padding, "same") == 0;
    for (size_t i = 0; i < 2; i++) {
        const json_int_t kernel = setting_of(entry->config, "kernel_size", i, 0);
        const json_int_t step = setting_of(entry->config, "strides", i, 1);
        const json_int_t size = json_integer_value(json_array_get(sizes, i));
        if (kernel < 1 || step < 1 || kernel > 1 << 12 || step > 1 << 12)
            return CN_OK; /* the layer itself says what is wrong */
        const json_int_t least = (input->dims[i] - 1) * step + kernel - (same ? kernel / 2 * 2 : 0);
        const json_int_t own = input->dims[i] * step + (!same && kernel > step ? kernel - step : 0);
        extra[i] = size - least;
        usual = usual && size == own;
        if (size != own && (extra[i] < 0 || extra[i] >= step))
            return cn_fail(entry->error, CN_UNSUPPORTED,
                           "%s makes %lld of %d numbers along an axis, which its kernel and its "
                           "strides do not",
                           entry->label, (long long)size, input->dims[i]);
    }
    (void)json_object_del(entry->config, "output_size");
    if (!usual)
        (void)json_object_set_new(entry->config, "output_padding",
                                  json_pack("[I,I]", extra[0], extra[1]));
    return CN_OK;
}

enum cn_status cn_keras_fit_layer(struct cn_keras_layer *entry, const struct cn_shape *input) {
    if (strcmp(entry->class_name, "Dense") == 0)
        return dense_fit(entry, input);
    if (strcmp(entry->class_name, "Cropping2D") == 0)
        return center_fit(entry, input);
    if (strcmp(entry->class_name, "Normalization") == 0)
        return normalization_fit(entry);
    if (strcmp(entry->class_name, "Conv2DTranspose") == 0)
        return output_size_fit(entry, input);
    return CN_OK;
}
