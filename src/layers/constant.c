/* constant.c: Constant, a layer whose output is its weight `value`, for imported graphs that
 * compute with constants. Keras has no such layer. No state. */
#include <string.h>

#include "layers/layer_type.h"

struct constant_config {
    struct cn_ints shape;
};

static const struct constant_config constant_defaults = {{1, {1}}};

static const struct cn_field constant_fields[] = {
    {"shape", CN_FIELD_INT_LIST, offsetof(struct constant_config, shape), true, false, 1,
     CN_SHAPE_MAX_ELEMENTS, NULL},
};

static enum cn_status constant_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_ints *ints =
        &((const struct constant_config *)(const void *)layer->config)->shape;
    struct cn_shape shape = {.rank = ints->count};
    struct cn_tensor_spec *value = &layer->tensors[0];
    for (int i = 0; i < CN_SHAPE_MAX_RANK; i++)
        shape.dims[i] = i < ints->count ? ints->values[i] : 1;
    const enum cn_status status = cn_shape_check(&shape, layer->name, error);
    if (status != CN_OK)
        return status;
    layer->output_shape = shape;
    layer->tensor_count = 1;
    *value = (struct cn_tensor_spec){.name = "value",
                                     .rank = 1, /* a model file's tensors have at most 4 */
                                     .dims = {(int)cn_shape_size(&shape)},
                                     .trainable = true,
                                     .initializer = CN_INITIALIZER_ZEROS};
    return CN_OK;
}

static void constant_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                           float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *value = step->packed;
    (void)inputs;
    (void)scratch;
    const size_t size = cn_shape_size(&layer->output_shape);
    for (size_t i = 0; i < count; i++)
        memcpy(y + i * size, value, size * sizeof *y);
}

static void constant_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->output_shape);
    if (pass->dx != NULL)
        memset(pass->dx, 0, pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->dx);
    for (size_t i = 0; i < pass->count; i++)
        for (size_t k = 0; k < size; k++)
            pass->gradients[k] += pass->dy[i * size + k];
}

static size_t constant_packed_size(const struct cn_layer *layer) {
    return cn_shape_size(&layer->output_shape);
}

static const struct cn_layer_training constant_training = {.backward = constant_backward};
static const struct cn_layer_inference constant_inference = {
    .infer = constant_infer, .packed_size = constant_packed_size, .pack = cn_layer_pack_unchanged};

const struct cn_layer_type cn_constant_type = {.class_name = "Constant",
                                               .onnx = "Constant",
                                               CN_LAYER_KEYS(constant_defaults, constant_fields),
                                               .build = constant_build,
                                               .training = &constant_training,
                                               .inference = &constant_inference};
