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

static enum cn_activation *activation_of(struct cn_layer *layer) {
    return &((struct activation_config *)(void *)layer->config)->activation;
}

static enum cn_activation kind_of(const struct cn_layer *layer) {
    return ((const struct activation_config *)(const void *)layer->config)->activation;
}

static enum cn_status build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

/* Floats of the innermost axis, which softmax runs over. */
static size_t width_of(const struct cn_layer *layer) {
    return (size_t)layer->input_shape.dims[layer->input_shape.rank - 1];
}

static void apply(const struct cn_layer *layer, const float *x, float *y, size_t count) {
    const size_t size = count * cn_shape_size(&layer->input_shape);
    if (kind_of(layer) == CN_ACTIVATION_RELU) {
        cn_kernels()->elementwise->relu(y, x, size);
        return;
    }
    memcpy(y, x, size * sizeof *y);
    cn_activation_forward(y, size / width_of(layer), width_of(layer), kind_of(layer));
}

static void forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    apply(layer, pass->x, pass->y, pass->count);
}

static void backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t width = width_of(layer);
    if (pass->dx == NULL)
        return;
    if (kind_of(layer) == CN_ACTIVATION_RELU && !pass->dy_is_dz)
        cn_kernels()->elementwise->relu_gradient(pass->dx, pass->dy, pass->y,
                                                 pass->count * cn_shape_size(&layer->input_shape));
    else
        cn_activation_backward(pass->dx, width, pass->dy, pass->y,
                               pass->count * cn_shape_size(&layer->input_shape) / width, width,
                               pass->dy_is_dz ? CN_ACTIVATION_LINEAR : kind_of(layer));
}

static void infer(const struct cn_step *step, const float *x, size_t count, float *y,
                  float *scratch) {
    (void)scratch;
    apply(&step->layer, x, y, count);
}

const struct cn_layer_type cn_activation_type = {.class_name = "Activation",
                                                 .config_size = sizeof defaults,
                                                 .defaults = &defaults,
                                                 .fields = fields,
                                                 .field_count = sizeof fields / sizeof *fields,
                                                 .build = build,
                                                 .forward = forward,
                                                 .backward = backward,
                                                 .infer = infer,
                                                 .activation = activation_of,
                                                 .activation_only = true};
