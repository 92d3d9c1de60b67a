/* onnx_write_weighted.c: dense layers and normalisations in ONNX. No state. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/export/onnx_write.h"

/* ---- Dense layers and normalisations ---- */

enum cn_status export_dense(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const int units = g->layer->output_shape.dims[g->layer->output_shape.rank - 1];
    const int inputs = g->layer->input_shape.dims[g->layer->input_shape.rank - 1];
    const int64_t dims[] = {inputs, units};
    value = graph_put_binary(g, "MatMul", value,
                             graph_put_floats(g, 2, dims, graph_weights(g, "kernel")));
    const struct onnx_name bias = graph_bias(g, units);
    if (bias.text[0] != '\0')
        value = graph_put_binary(g, "Add", value, bias);
    *ret = graph_put_activation(g, value);
    return CN_OK;
}

enum cn_status export_per_channel(struct onnx_graph *g, struct onnx_name value,
                                  struct onnx_name *ret) {
    const size_t channels = (size_t)cn_shape_channels(&g->layer->input_shape);
    const bool batch = graph_is(g, "BatchNormalization");
    const float *gamma = graph_weights(g, "gamma"), *beta = graph_weights(g, "beta");
    const float *mean = graph_weights(g, batch ? "moving_mean" : "mean");
    const float *variance = graph_weights(g, batch ? "moving_variance" : "variance");
    float *scale = cn_floats_allocate(2 * channels), *shift = scale + channels;
    if (scale == NULL)
        return cn_fail(g->error, CN_MEMORY, "no memory for %zu channels", channels);
    for (size_t c = 0; c < channels; c++) {
        const double least = batch ? (double)variance[c] + (double)graph_field_float(g, "epsilon")
                                   : fmax((double)variance[c], 1e-14);
        const double by = (gamma != NULL ? (double)gamma[c] : 1) / sqrt(least);
        scale[c] = (float)by;
        shift[c] = (float)((beta != NULL ? (double)beta[c] : 0) - (double)mean[c] * by);
    }
    *ret = graph_put_scale_shift(g, value, scale, channels, shift, channels);
    free(scale);
    return CN_OK;
}

enum cn_status export_rescaling(struct onnx_graph *g, struct onnx_name value,
                                struct onnx_name *ret) {
    const struct cn_floats *scale = cli_export_field(g->layer, "scale");
    const struct cn_floats *offset = cli_export_field(g->layer, "offset");
    *ret = graph_put_scale_shift(g, value, scale->values, (size_t)scale->count, offset->values,
                                 (size_t)offset->count);
    return CN_OK;
}

enum cn_status export_prelu(struct onnx_graph *g, struct onnx_name value, struct onnx_name *ret) {
    const struct cn_layer *owner =
        g->layer->shares > 0 ? &g->network->layers[g->layer->shares - 1] : g->layer;
    const struct cn_tensor_spec *alpha = &owner->tensors[0];
    int64_t dims[CN_TENSOR_MAX_RANK];
    for (int i = 0; i < alpha->rank; i++)
        dims[i] = alpha->dims[i];
    *ret =
        graph_put_binary(g, "PRelu", value,
                         graph_put_floats(g, (size_t)alpha->rank, dims, graph_weights(g, "alpha")));
    return CN_OK;
}

/* The layer's tensor as a constant; if it has none, `otherwise` for each of `count` numbers. */
static struct onnx_name put_weights(struct onnx_graph *g, const char *tensor, size_t rank,
                                    const int64_t *dims, float otherwise) {
    const float *values = graph_weights(g, tensor);
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    float *alike = values == NULL ? cn_floats_allocate(count) : NULL;
    struct onnx_name name = graph_named("");
    for (size_t i = 0; alike != NULL && i < count; i++)
        alike[i] = otherwise;
    if (values != NULL || alike != NULL)
        name = graph_put_floats(g, rank, dims, values != NULL ? values : alike);
    else
        g->nodes.failed = true;
    free(alike);
    return name;
}

enum cn_status export_layer_normalization(struct onnx_graph *g, struct onnx_name value,
                                          struct onnx_name *ret) {
    const struct cn_shape *shape = &g->layer->input_shape;
    const struct cn_ints *axes = cli_export_field(g->layer, "axis");
    int64_t dims[ONNX_RANK];
    for (int i = 0; i < axes->count; i++)
        dims[i] = shape->dims[shape->rank - axes->count + i];
    const struct onnx_name scale = put_weights(g, "gamma", (size_t)axes->count, dims, 1);
    const struct onnx_name shift = put_weights(g, "beta", (size_t)axes->count, dims, 0);
    graph_add_int(&g->attributes, "axis", -axes->count);
    graph_add_float(&g->attributes, "epsilon", graph_field_float(g, "epsilon"));
    *ret = graph_put(g, "LayerNormalization", value, scale, shift);
    return CN_OK;
}

/* Each group is one channel of an InstanceNormalization, since opset 17 has no GroupNormalization.
 */
enum cn_status export_group_normalization(struct onnx_graph *g, struct onnx_name value,
                                          struct onnx_name *ret) {
    static const int64_t swap[] = {0, 2, 1};
    const int channels = cn_shape_channels(&g->layer->input_shape);
    const int pixels = (int)cn_shape_size(&g->layer->input_shape) / channels;
    const int given = graph_field_int(g, "groups", 32), groups = given > 0 ? given : channels;
    const int64_t group_dims[] = {groups}, channel_dims[] = {channels};
    value = graph_put_reshape(g, value, 2, (const int[]){pixels, channels});
    value = graph_put_transpose(g, value, 3, swap);
    value = graph_put_reshape(g, value, 2, (const int[]){groups, channels / groups * pixels});
    const struct onnx_name one = put_weights(g, "", 1, group_dims, 1);
    const struct onnx_name none = put_weights(g, "", 1, group_dims, 0);
    graph_add_float(&g->attributes, "epsilon", graph_field_float(g, "epsilon"));
    value = graph_put(g, "InstanceNormalization", value, one, none);
    value = graph_put_reshape(g, value, 2, (const int[]){channels, pixels});
    value = graph_put_transpose(g, value, 3, swap);
    value = graph_put_shape(g, value, &g->layer->output_shape);
    if (graph_weights(g, "gamma") != NULL)
        value = graph_put_binary(g, "Mul", value, put_weights(g, "gamma", 1, channel_dims, 1));
    if (graph_weights(g, "beta") != NULL)
        value = graph_put_binary(g, "Add", value, put_weights(g, "beta", 1, channel_dims, 0));
    *ret = value;
    return CN_OK;
}

/* x / sqrt(max(sum of squares, 1e-12)) */
enum cn_status export_unit_normalization(struct onnx_graph *g, struct onnx_name value,
                                         struct onnx_name *ret) {
    graph_add_ints(&g->attributes, "axes", 1, (const int64_t[]){-1});
    graph_add_int(&g->attributes, "keepdims", 1);
    struct onnx_name length = graph_put_unary(g, "ReduceSumSquare", value);
    length = graph_put_binary(g, "Max", length, graph_put_number(g, 1e-12F));
    *ret = graph_put_binary(g, "Div", value, graph_put_unary(g, "Sqrt", length));
    return CN_OK;
}

enum cn_status export_response_normalization(struct onnx_graph *g, struct onnx_name value,
                                             struct onnx_name *ret) {
    const int channels = cn_shape_channels(&g->layer->input_shape);
    const int pixels = (int)cn_shape_size(&g->layer->input_shape) / channels;
    value = graph_put_reshape(g, value, 3, (const int[]){pixels, 1, channels});
    value = graph_put_transpose(g, value, 4, graph_channels_first);
    graph_add_int(&g->attributes, "size", graph_field_int(g, "size", 5));
    graph_add_float(&g->attributes, "alpha", graph_field_float(g, "alpha"));
    graph_add_float(&g->attributes, "beta", graph_field_float(g, "beta"));
    graph_add_float(&g->attributes, "bias", graph_field_float(g, "bias"));
    value = graph_put_unary(g, "LRN", value);
    value = graph_put_transpose(g, value, 4, graph_channels_last);
    *ret = graph_put_shape(g, value, &g->layer->output_shape);
    return CN_OK;
}

/* Repeats the weights for each image of the input, since they do not depend on the image. */
enum cn_status export_constant(struct onnx_graph *g, struct onnx_name value,
                               struct onnx_name *ret) {
    const struct cn_shape *shape = &g->layer->output_shape;
    int64_t dims[ONNX_RANK + 1] = {1};
    for (int i = 0; i < shape->rank; i++)
        dims[i + 1] = shape->dims[i];
    const struct onnx_name weights = put_weights(g, "value", (size_t)shape->rank + 1, dims, 0);
    const struct onnx_name first[] = {graph_put_unary(g, "Shape", value),
                                      graph_put_ints(g, 1, (const int64_t[]){0}),
                                      graph_put_ints(g, 1, (const int64_t[]){1})};
    const struct onnx_name parts[] = {graph_put_many(g, "Slice", 3, first),
                                      graph_put_ints(g, (size_t)shape->rank, dims + 1)};
    graph_add_int(&g->attributes, "axis", 0);
    *ret = graph_put_binary(g, "Expand", weights, graph_put_many(g, "Concat", 2, parts));
    return CN_OK;
}
