/* activation.c: Keras's Activation as a layer of its own. No state. */
#include <string.h>

#include "kernels/activate.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

struct activation_config {
    enum cn_activation activation;
};

static const struct activation_config defaults = {CN_ACTIVATION_LINEAR};

static const struct cn_field fields[] = {
    {"activation", CN_FIELD_ENUM, offsetof(struct activation_config, activation), true, false, 0, 0,
     cn_activation_names},
};

static enum cn_activation *activation_member(struct cn_layer *layer) {
    return &((struct activation_config *)(void *)layer->config)->activation;
}

static enum cn_activation activation_kind(const struct cn_layer *layer) {
    return ((const struct activation_config *)(const void *)layer->config)->activation;
}

static enum cn_status activation_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

/* Floats of the innermost axis, which softmax runs over. */
static size_t activation_width(const struct cn_layer *layer) {
    return (size_t)cn_shape_channels(&layer->input_shape);
}

static void activation_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                             float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const size_t size = count * cn_shape_size(&layer->input_shape);
    if (activation_kind(layer) == CN_ACTIVATION_RELU) {
        cn_kernels()->elementwise->relu(y, x, size);
        return;
    }
    if (y != x)
        memcpy(y, x, size * sizeof *y);
    cn_activation_forward(y, size / activation_width(layer), activation_width(layer),
                          activation_kind(layer));
}

static void activation_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t width = activation_width(layer);
    if (pass->dx == NULL)
        return;
    if (activation_kind(layer) == CN_ACTIVATION_RELU && !pass->dy_is_dz)
        cn_kernels()->elementwise->relu_gradient(pass->dx, pass->dy, pass->y,
                                                 pass->count * cn_shape_size(&layer->input_shape));
    else
        cn_activation_backward(pass->dx, width, pass->dy, pass->y,
                               pass->count * cn_shape_size(&layer->input_shape) / width, width,
                               pass->dy_is_dz ? CN_ACTIVATION_LINEAR : activation_kind(layer));
}

/* True for ReLU on bytes that stand for no number below zero. */
static bool activation_passes_bytes(const struct cn_layer *layer, struct cn_byte_range range) {
    const enum cn_activation kind = activation_kind(layer);
    return kind == CN_ACTIVATION_LINEAR || (kind == CN_ACTIVATION_RELU && range.zero == 0);
}

static const struct cn_layer_training activation_training = {.backward = activation_backward};
static const struct cn_layer_inference activation_inference = {
    .infer = activation_infer, .in_place = true, .passes_bytes = activation_passes_bytes};

const struct cn_layer_type cn_activation_type = {.class_name = "Activation",
                                                 .onnx = "Relu Sigmoid Tanh Softmax",
                                                 CN_LAYER_KEYS(defaults, fields),
                                                 .build = activation_build,
                                                 .activation = activation_member,
                                                 .activation_only = true,
                                                 .training = &activation_training,
                                                 .inference = &activation_inference};
