/* onnx_normalization.c: ONNX's normalisations as Keras's layers, channels last. Used by one thread.
 */
#include <math.h>
#include <string.h>

#include "import/onnx_private.h"

/* Reads the constant input i as `count` floats; NULL after onnx_refuse. */
static const float *parameter_read(struct onnx_import *import, size_t i, const char *what,
                                   size_t count) {
    const struct onnx_tensor *tensor = onnx_constant(import, i, what);
    if (tensor == NULL)
        return NULL;
    if (tensor->floats == NULL || tensor->count != count) {
        onnx_refuse(import, "its %s has %zu numbers of %s; %zu are required", what, tensor->count,
                    onnx_type_name(tensor->type), count);
        return NULL;
    }
    return tensor->floats;
}

/* Limited to the layers' range. */
static double epsilon_read(struct onnx_import *import) {
    return fmin(fmax((double)onnx_float(import->node, "epsilon", 1e-5F), 1e-10), 1);
}

/* Arranges x with axis 1 innermost and the others in their order. */
static bool channels_last(struct onnx_import *import, const struct onnx_value *x,
                          int axes[ONNX_RANK], int *ret_count, int *ret_layer) {
    if (x->rank < 2)
        return onnx_refuse(import, "its input has %d dimensions; 2 and more are supported",
                           x->rank);
    *ret_count = onnx_axes_of(x, 0, 1, axes);
    return onnx_arrange(import, x, *ret_count, axes, ret_layer);
}

bool onnx_lower_batch_normalization(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int axes[ONNX_RANK], count, layer;
    if (x == NULL || y == NULL || !channels_last(import, x, axes, &count, &layer))
        return false;
    if (onnx_int(import->node, "training_mode", 0) != 0)
        return onnx_refuse(import, "its training_mode is not supported");
    if (onnx_int(import->node, "spatial", 1) == 0)
        return onnx_refuse(import, "its spatial=0 (statistics per position) is not supported");
    const int channels = (int)x->dims[1];
    const size_t n = (size_t)channels;
    const float *gamma = parameter_read(import, 1, "scale", n);
    const float *beta = gamma != NULL ? parameter_read(import, 2, "shift", n) : NULL;
    const float *mean = beta != NULL ? parameter_read(import, 3, "mean", n) : NULL;
    const float *variance = mean != NULL ? parameter_read(import, 4, "variance", n) : NULL;
    if (variance == NULL)
        return false;
    const struct onnx_layer from = import->layers[layer];
    layer = onnx_layer(import, "BatchNormalization",
                       json_pack("{s:f}", "epsilon", epsilon_read(import)), 1, &layer, from.rank,
                       from.dims);
    if (layer < 0 || !onnx_layer_weight(import, layer, "gamma", 1, &channels, gamma) ||
        !onnx_layer_weight(import, layer, "beta", 1, &channels, beta) ||
        !onnx_layer_weight(import, layer, "moving_mean", 1, &channels, mean) ||
        !onnx_layer_weight(import, layer, "moving_variance", 1, &channels, variance))
        return false;
    onnx_result(y, ONNX_FLOAT, x->rank, x->dims, count, axes, layer);
    return true;
}

/* Also lowers InstanceNormalization, whose groups are single channels. */
bool onnx_lower_group_normalization(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int axes[ONNX_RANK], count, layer;
    if (x == NULL || y == NULL || !channels_last(import, x, axes, &count, &layer))
        return false;
    const bool instance = strcmp(import->node->type, "InstanceNormalization") == 0;
    const int channels = (int)x->dims[1];
    const int64_t groups = instance ? channels : onnx_int(import->node, "num_groups", 0);
    if (groups < 1 || channels % groups != 0)
        return onnx_refuse(import, "its num_groups of %lld does not divide its %d channels",
                           (long long)groups, channels);
    const bool per_group = !instance && import->opset < 21; /* its parameters are one per group */
    const size_t n = per_group ? (size_t)groups : (size_t)channels;
    const float *parameters[2] = {parameter_read(import, 1, "scale", n), NULL};
    if (parameters[0] == NULL || (parameters[1] = parameter_read(import, 2, "bias", n)) == NULL)
        return false;
    for (int i = 0; i < 2 && per_group; i++) {
        float *each = onnx_allocate(import, (size_t)channels, sizeof *each);
        if (each == NULL)
            return false;
        for (int c = 0; c < channels; c++)
            each[c] = parameters[i][c / (channels / (int)groups)];
        parameters[i] = each;
    }
    const struct onnx_layer from = import->layers[layer];
    layer =
        onnx_layer(import, "GroupNormalization",
                   json_pack("{s:i, s:f}", "groups", (int)groups, "epsilon", epsilon_read(import)),
                   1, &layer, from.rank, from.dims);
    if (layer < 0 || !onnx_layer_weight(import, layer, "gamma", 1, &channels, parameters[0]) ||
        !onnx_layer_weight(import, layer, "beta", 1, &channels, parameters[1]))
        return false;
    onnx_result(y, ONNX_FLOAT, x->rank, x->dims, count, axes, layer);
    return true;
}

bool onnx_lower_layer_normalization(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int axis, layer, axes[ONNX_RANK], count = 0, dims[2] = {1, 1};
    if (x == NULL || y == NULL ||
        !onnx_axis(import, onnx_int(import->node, "axis", -1), x->rank, &axis))
        return false;
    for (size_t i = 1; i < import->node->output_count; i++)
        if (onnx_output(import, i) != NULL && onnx_output(import, i)->uses > 0)
            return onnx_refuse(import, "its output %zu is used; only the first is supported", i);
    for (int i = 0; i < x->rank; i++)
        dims[i >= axis] *= (int)x->dims[i];
    /* The normalised axes must be adjacent and in the source's order; they become one axis. */
    int order[ONNX_RANK];
    const int all = onnx_axes_of(x, 0, -1, order);
    for (int i = 0; i < all; i++)
        if (order[i] < axis)
            axes[count++] = order[i];
    for (int i = axis; i < x->rank; i++)
        if (x->dims[i] != 1)
            axes[count++] = i;
    const float *gamma = parameter_read(import, 1, "scale", (size_t)dims[1]), *beta = NULL;
    if (gamma == NULL || (onnx_input(import, 2) != NULL &&
                          (beta = parameter_read(import, 2, "bias", (size_t)dims[1])) == NULL))
        return false;
    if (!onnx_arrange(import, x, count, axes, &layer) ||
        (layer = onnx_layer_reshape(import, layer, 2, dims)) < 0)
        return false;
    layer =
        onnx_layer(import, "LayerNormalization",
                   json_pack("{s:f, s:b}", "epsilon", epsilon_read(import), "center", beta != NULL),
                   1, &layer, 2, dims);
    if (layer < 0 || !onnx_layer_weight(import, layer, "gamma", 1, &dims[1], gamma) ||
        (beta != NULL && !onnx_layer_weight(import, layer, "beta", 1, &dims[1], beta)))
        return false;
    onnx_result(y, ONNX_FLOAT, x->rank, x->dims, count, axes, layer);
    return true;
}

bool onnx_lower_lrn(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int axes[ONNX_RANK], count, layer;
    if (x == NULL || y == NULL || !channels_last(import, x, axes, &count, &layer))
        return false;
    const int64_t size = onnx_int(import->node, "size", 0);
    if (size < 1 || size > 1 << 16)
        return onnx_refuse(import, "its size is %lld; from 1 to %d are supported", (long long)size,
                           1 << 16);
    const struct onnx_layer from = import->layers[layer];
    layer = onnx_layer(import, "LocalResponseNormalization",
                       json_pack("{s:i, s:f, s:f, s:f}", "size", (int)size, "alpha",
                                 (double)onnx_float(import->node, "alpha", 1e-4F), "beta",
                                 (double)onnx_float(import->node, "beta", 0.75F), "bias",
                                 (double)onnx_float(import->node, "bias", 1)),
                       1, &layer, from.rank, from.dims);
    if (layer < 0)
        return false;
    onnx_result(y, ONNX_FLOAT, x->rank, x->dims, count, axes, layer);
    return true;
}

/* Divides each vector along the axis by its length. */
bool onnx_lower_lp_normalization(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int axis, layer, axes[ONNX_RANK];
    if (x == NULL || y == NULL ||
        !onnx_axis(import, onnx_int(import->node, "axis", -1), x->rank, &axis))
        return false;
    if (onnx_int(import->node, "p", 2) != 2)
        return onnx_refuse(import, "its p is %lld; 2 is supported",
                           (long long)onnx_int(import->node, "p", 2));
    const int count = onnx_axes_of(x, 0, axis, axes);
    if (!onnx_arrange(import, x, count, axes, &layer))
        return false;
    const struct onnx_layer from = import->layers[layer];
    layer = onnx_layer(import, "UnitNormalization", NULL, 1, &layer, from.rank, from.dims);
    if (layer < 0)
        return false;
    onnx_result(y, ONNX_FLOAT, x->rank, x->dims, count, axes, layer);
    return true;
}
