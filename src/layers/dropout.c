/* dropout.c: inverted dropout (Srivastava et al. 2014): in training an element becomes zero with
 * probability `rate`, and is divided by 1 - rate otherwise; inference does nothing. The backward
 * pass draws the mask again from the same key instead of storing it. No state. */
#include <stddef.h>

#include "base/random.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

struct dropout_config {
    float rate;
};

static const struct dropout_config defaults = {0};

static const struct cn_field fields[] = {
    {"rate", CN_FIELD_FLOAT, offsetof(struct dropout_config, rate), true, false, 0, 0.999999, NULL},
};

static enum cn_status dropout_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

static void dropout_mask(const struct cn_layer *layer, const struct cn_pass *pass,
                         const float *from, float *to) {
    const float rate = ((const struct dropout_config *)(const void *)layer->config)->rate;
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t n = 0; n < pass->count; n++, from += size, to += size) {
        struct cn_random random =
            cn_random_stream(pass->seed, pass->step, pass->layer, pass->first + n);
        cn_kernels()->elementwise->dropout(to, from, rate, cn_random_bits(&random), size);
    }
}

static void dropout_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    dropout_mask(layer, pass, pass->x, pass->y);
}

static void dropout_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        dropout_mask(layer, pass, pass->dy, pass->dx);
}

static const struct cn_layer_training dropout_training = {.forward = dropout_forward,
                                                          .backward = dropout_backward};

const struct cn_layer_type cn_dropout_type = {.class_name = "Dropout",
                                              .onnx = "Dropout",
                                              CN_LAYER_KEYS(defaults, fields),
                                              .build = dropout_build,
                                              .training = &dropout_training};
