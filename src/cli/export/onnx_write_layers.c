/* onnx_write_layers.c: THE list of layers that can be written as ONNX. The files onnx_write_*.c
 * write their nodes. No state. */
#include <string.h>

#include "cli/export/onnx_write.h"

static enum cn_status same_numbers(struct onnx_graph *g, struct onnx_name value,
                                   struct onnx_name *ret) {
    *ret = cn_shape_equal(&g->layer->input_shape, &g->layer->output_shape)
               ? value
               : graph_put_shape(g, value, &g->layer->output_shape);
    return CN_OK;
}

static enum cn_status activation(struct onnx_graph *g, struct onnx_name value,
                                 struct onnx_name *ret) {
    *ret = graph_put_activation(g, value);
    return CN_OK;
}

/* One row per type of the layer table; other types are refused by name. */
static const struct {
    const char *class_name;
    onnx_writer *write;
} writers[] = {
    {"Conv2D", export_convolution},
    {"Conv1D", export_convolution},
    {"DepthwiseConv2D", export_convolution},
    {"DepthwiseConv1D", export_convolution},
    {"SeparableConv2D", export_convolution},
    {"SeparableConv1D", export_convolution},
    {"Conv2DTranspose", export_transposed},
    {"Conv1DTranspose", export_transposed},
    {"MaxPooling2D", export_pooling},
    {"MaxPooling1D", export_pooling},
    {"AveragePooling2D", export_pooling},
    {"AveragePooling1D", export_pooling},
    {"GlobalMaxPooling2D", export_global_pooling},
    {"GlobalMaxPooling1D", export_global_pooling},
    {"GlobalAveragePooling2D", export_global_pooling},
    {"GlobalAveragePooling1D", export_global_pooling},
    {"UpSampling2D", export_resampling},
    {"UpSampling1D", export_resampling},
    {"Resizing", export_resampling},
    {"Resize", export_resize},
    {"Dense", export_dense},
    {"BatchNormalization", export_per_channel},
    {"Normalization", export_per_channel},
    {"LayerNormalization", export_layer_normalization},
    {"GroupNormalization", export_group_normalization},
    {"UnitNormalization", export_unit_normalization},
    {"LocalResponseNormalization", export_response_normalization},
    {"Rescaling", export_rescaling},
    {"PReLU", export_prelu},
    {"Constant", export_constant},
    {"Activation", activation},
    {"Unary", export_unary},
    {"Binary", export_binary},
    {"Where", export_where},
    {"MatMul", export_matmul},
    {"Reduce", export_reduction},
    {"Add", export_add},
    {"Subtract", export_subtract},
    {"Multiply", export_multiply},
    {"Average", export_average},
    {"Maximum", export_maximum},
    {"Minimum", export_minimum},
    {"Concatenate", export_concatenation},
    {"Flatten", same_numbers},
    {"Reshape", same_numbers},
    {"Dropout", same_numbers},
    {"SpatialDropout1D", same_numbers},
    {"SpatialDropout2D", same_numbers},
    {"GaussianNoise", same_numbers},
    {"GaussianDropout", same_numbers},
    {"AlphaDropout", same_numbers},
    {"ActivityRegularization", same_numbers},
    {"RandomFlip", same_numbers},
    {"RandomRotation", same_numbers},
    {"RandomZoom", same_numbers},
    {"RandomTranslation", same_numbers},
    {"RandomContrast", same_numbers},
    {"RandomBrightness", same_numbers},
    {"Permute", export_permutation},
    {"RepeatVector", export_repeat},
    {"ZeroPadding2D", export_borders},
    {"ZeroPadding1D", export_borders},
    {"Cropping2D", export_borders},
    {"Cropping1D", export_borders},
    {"Pad", export_padding},
    {"Slice", export_slice},
};

static onnx_writer *writer_of(const char *class_name) {
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++)
        if (strcmp(writers[i].class_name, class_name) == 0)
            return writers[i].write;
    return NULL;
}

bool cli_export_onnx_has(const struct cn_layer_type *type) {
    return writer_of(cn_layer_type_name(type)) != NULL;
}

enum cn_status export_layer(struct onnx_graph *g, size_t l) {
    g->layer = &g->network->layers[l];
    onnx_writer *write = writer_of(cn_layer_type_name(g->layer->type));
    const struct onnx_name value =
        g->layer->input_count > 0 ? g->values[g->layer->inputs[0].value] : graph_named("");
    return write != NULL ? write(g, value, &g->values[g->network->input_count + l])
                         : graph_refuse(g, "has no operator that is written");
}
