/* flatten.c: Keras's Flatten: the same floats as a vector; and the training part of every layer
 * that only changes its input's shape. No state. */
#include <string.h>

#include "layers/layer_type.h"

static enum cn_status flatten_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = cn_shape_vector((int)cn_shape_size(&layer->input_shape));
    return CN_OK;
}

static void view_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    memcpy(pass->y, pass->x, pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->y);
}

static void view_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        memcpy(pass->dx, pass->dy,
               pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->dx);
}

const struct cn_layer_training cn_view_training = {.forward = view_forward,
                                                   .backward = view_backward};

const struct cn_layer_type cn_flatten_type = {.class_name = "Flatten",
                                              .onnx = "Flatten",
                                              .build = flatten_build,
                                              .training = &cn_view_training};
