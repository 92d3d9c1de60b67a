/* layer_table.c: THE list of layer types, and what is asked of any of them. No state. */
#include <string.h>

#include "layers/layer_type.h"

static const struct cn_layer_type *const layer_table[] = {
    &cn_conv2d_type,
    &cn_conv1d_type,
    &cn_depthwise_conv2d_type,
    &cn_depthwise_conv1d_type,
    &cn_separable_conv2d_type,
    &cn_separable_conv1d_type,
    &cn_conv2d_transpose_type,
    &cn_conv1d_transpose_type,
    &cn_dense_type,
    &cn_max_pooling2d_type,
    &cn_max_pooling1d_type,
    &cn_average_pooling2d_type,
    &cn_average_pooling1d_type,
    &cn_global_max_pooling2d_type,
    &cn_global_max_pooling1d_type,
    &cn_global_average_pooling2d_type,
    &cn_global_average_pooling1d_type,
    &cn_flatten_type,
    &cn_activation_type,
    &cn_batch_normalization_type,
    &cn_dropout_type,
    &cn_add_type,
    &cn_subtract_type,
    &cn_multiply_type,
    &cn_average_type,
    &cn_maximum_type,
    &cn_minimum_type,
    &cn_concatenate_type,
    &cn_binary_type,
    &cn_constant_type,
    &cn_matmul_type,
    &cn_pad_type,
    &cn_reduce_type,
    &cn_resize_type,
    &cn_slice_type,
    &cn_unary_type,
    &cn_where_type,
    &cn_reshape_type,
    &cn_permute_type,
    &cn_repeat_vector_type,
    &cn_zero_padding2d_type,
    &cn_zero_padding1d_type,
    &cn_cropping2d_type,
    &cn_cropping1d_type,
    &cn_up_sampling2d_type,
    &cn_up_sampling1d_type,
    &cn_resizing_type,
    &cn_rescaling_type,
    &cn_normalization_type,
    &cn_layer_normalization_type,
    &cn_group_normalization_type,
    &cn_unit_normalization_type,
    &cn_local_response_normalization_type,
    &cn_prelu_type,
    &cn_spatial_dropout1d_type,
    &cn_spatial_dropout2d_type,
    &cn_gaussian_noise_type,
    &cn_gaussian_dropout_type,
    &cn_alpha_dropout_type,
    &cn_activity_regularization_type,
    &cn_random_flip_type,
    &cn_random_rotation_type,
    &cn_random_zoom_type,
    &cn_random_translation_type,
    &cn_random_contrast_type,
    &cn_random_brightness_type,
};
enum { LAYER_TYPES = sizeof layer_table / sizeof *layer_table };

const char *const cn_padding_names[] = {"valid", "same", NULL};
const char *const cn_initializer_names[] = {"glorot_uniform",
                                            "he_normal",
                                            "zeros",
                                            "ones",
                                            "glorot_normal",
                                            "he_uniform",
                                            "lecun_normal",
                                            "lecun_uniform",
                                            "random_normal",
                                            "random_uniform",
                                            "truncated_normal",
                                            "constant",
                                            "orthogonal",
                                            "identity",
                                            "variance_scaling",
                                            NULL};

const struct cn_layer_type *cn_layer_type_at(size_t index) {
    return index < LAYER_TYPES ? layer_table[index] : NULL;
}

const struct cn_layer_type *cn_layer_type_find(const char *class_name) {
    for (size_t i = 0; i < LAYER_TYPES; i++)
        if (strcmp(layer_table[i]->class_name, class_name) == 0)
            return layer_table[i];
    return NULL;
}

const char *cn_layer_type_name(const struct cn_layer_type *type) {
    return type->class_name;
}

const struct cn_field *cn_layer_type_fields(const struct cn_layer_type *type, size_t *ret_count) {
    *ret_count = type->field_count;
    return type->fields;
}

size_t cn_layer_type_late_fields(const struct cn_layer_type *type) {
    return type->late_fields;
}

void cn_layer_type_defaults(const struct cn_layer_type *type, void *config) {
    memset(config, 0, CN_LAYER_CONFIG);
    if (type->config_size > 0)
        memcpy(config, type->defaults, type->config_size);
}

const char *cn_layer_type_onnx(const struct cn_layer_type *type) {
    return type->onnx != NULL ? type->onnx : "";
}

size_t cn_layer_type_inputs(const struct cn_layer_type *type) {
    return type->max_inputs > 0 ? type->max_inputs : 1;
}

bool cn_layer_type_trains(const struct cn_layer_type *type) {
    return type->training != NULL;
}

bool cn_layer_gives_softmax(const struct cn_layer *layer) {
    struct cn_layer copy = *layer;
    return layer->type->activation != NULL &&
           *layer->type->activation(&copy) == CN_ACTIVATION_SOFTMAX;
}

unsigned long long cn_layer_macs(const struct cn_layer *layer) {
    return layer->type->macs != NULL ? layer->type->macs(layer) : 0;
}

static struct cn_step step_of(const struct cn_layer *layer,
                              const struct cn_layer_inference *inference, const float *packed,
                              struct cn_step_bytes bytes) {
    struct cn_step step = {
        .layer = *layer, .inference = inference, .packed = packed, .bytes = bytes};
    if (inference != NULL && inference->prepare != NULL)
        inference->prepare(&step);
    return step;
}

struct cn_step cn_step_of(const struct cn_layer *layer, const float *packed) {
    return step_of(layer, layer->type->inference, packed, (struct cn_step_bytes){0});
}

struct cn_step cn_step_of_bytes(const struct cn_layer *layer, const float *packed,
                                struct cn_step_bytes bytes) {
    return step_of(layer, layer->type->inference->bytes, packed, bytes);
}

void cn_layer_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_layer_training *training = layer->type->training;
    if (training->forward != NULL) {
        training->forward(layer, pass);
        return;
    }
    const struct cn_step step =
        cn_step_of(layer, training->pack != NULL ? pass->packed : pass->parameters);
    step.inference->infer(&step, pass->xs, pass->count, pass->y, pass->scratch);
}

void cn_layer_pack_unchanged(const struct cn_layer *layer, const float *parameters, float *packed) {
    memcpy(packed, parameters, layer->type->inference->packed_size(layer) * sizeof *packed);
}

bool cn_layer_has_scales(const struct cn_layer *layer) {
    const struct cn_layer_inference *inference = layer->type->inference;
    return layer->tensor_count > 0 && inference != NULL && inference->bytes != NULL &&
           inference->bytes->pack_bytes != NULL;
}

enum cn_status cn_layer_need_rank(const struct cn_layer *layer, int rank, const char *advice,
                                  struct cn_error *error) {
    char text[CN_SHAPE_TEXT];
    if (layer->input_shape.rank == rank)
        return CN_OK;
    return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) takes %s, but its input is %s%s",
                   layer->name, layer->type->class_name,
                   rank == 3 ? "(height, width, channels)" : "(features)",
                   cn_shape_format(&layer->input_shape, text), advice);
}
