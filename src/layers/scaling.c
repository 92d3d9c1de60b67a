/* scaling.c: Keras's Rescaling and Normalization, which scale and shift their input, and PReLU (He
 * et al. 2015), whose slope below zero is learnt. No state. */
#include <math.h>
#include <string.h>

#include "layers/layer_type.h"

/* ---- Rescaling and Normalization: y = x * scale + shift, of each channel ---- */

struct rescaling_config {
    struct cn_floats scale, offset; /* one number, or one per channel */
};

static const struct rescaling_config rescaling_defaults = {{1, {1}}, {1, {0}}};
static const struct cn_field rescaling_fields[] = {
    {"scale", CN_FIELD_FLOAT_LIST, offsetof(struct rescaling_config, scale), true, false, -1e30,
     1e30, NULL},
    {"offset", CN_FIELD_FLOAT_LIST, offsetof(struct rescaling_config, offset), false, false, -1e30,
     1e30, NULL},
};

struct standardization_config {
    bool invert;
};

static const struct standardization_config standardization_defaults = {false};
static const struct cn_field standardization_fields[] = {
    {"invert", CN_FIELD_BOOL, offsetof(struct standardization_config, invert), false, false, 0, 0,
     NULL},
};

static size_t channels_of(const struct cn_layer *layer) {
    return (size_t)cn_shape_channels(&layer->input_shape);
}

static enum cn_status rescaling_build(struct cn_layer *layer, struct cn_error *error) {
    const struct rescaling_config *config =
        (const struct rescaling_config *)(const void *)layer->config;
    const int channels = (int)channels_of(layer);
    layer->output_shape = layer->input_shape;
    if ((config->scale.count != 1 && config->scale.count != channels) ||
        (config->offset.count != 1 && config->offset.count != channels))
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s) has %d scales and %d offsets for %d channels",
                       layer->name, layer->type->class_name, config->scale.count,
                       config->offset.count, channels);
    return CN_OK;
}

static enum cn_status standardization_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_tensor_spec spec = {.rank = 1,
                                        .dims = {(int)channels_of(layer)},
                                        .trainable = false,
                                        .fan_in = 1,
                                        .fan_out = 1};
    (void)error;
    layer->output_shape = layer->input_shape;
    layer->tensor_count = 2;
    layer->tensors[0] = layer->tensors[1] = spec;
    layer->tensors[0].name = "mean";
    layer->tensors[0].initializer = CN_INITIALIZER_ZEROS;
    layer->tensors[1].name = "variance";
    layer->tensors[1].initializer = CN_INITIALIZER_ONES;
    return CN_OK;
}

static bool rescaling_scale_shift(const struct cn_layer *layer, const float *parameters,
                                  float *scale, float *shift) {
    const struct rescaling_config *config =
        (const struct rescaling_config *)(const void *)layer->config;
    (void)parameters;
    for (size_t c = 0; c < channels_of(layer); c++) {
        scale[c] = config->scale.values[config->scale.count > 1 ? c : 0];
        shift[c] = config->offset.values[config->offset.count > 1 ? c : 0];
    }
    return true;
}

static bool standardization_scale_shift(const struct cn_layer *layer, const float *parameters,
                                        float *scale, float *shift) {
    const struct standardization_config *config =
        (const struct standardization_config *)(const void *)layer->config;
    const size_t channels = channels_of(layer);
    for (size_t c = 0; c < channels; c++) {
        const double deviation = fmax(sqrt(fmax((double)parameters[channels + c], 0)), 1e-7);
        const double mean = (double)parameters[c];
        scale[c] = (float)(config->invert ? deviation : 1 / deviation);
        shift[c] = (float)(config->invert ? mean : -mean / deviation);
    }
    return true;
}

/* Packed: scale | shift. */
static size_t scaling_packed_size(const struct cn_layer *layer) {
    return 2 * channels_of(layer);
}

static void scaling_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    (void)layer->type->inference->scale_shift(layer, parameters, packed,
                                              packed + channels_of(layer));
}

static void scaling_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                          float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    const float *packed = step->packed;
    (void)scratch;
    const size_t channels = channels_of(layer);
    const size_t rows = count * cn_shape_size(&layer->input_shape) / channels;
    for (size_t r = 0; r < rows; r++, x += channels, y += channels)
        for (size_t c = 0; c < channels; c++)
            y[c] = x[c] * packed[c] + packed[channels + c];
}

static void scaling_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t channels = channels_of(layer);
    const size_t size = pass->count * cn_shape_size(&layer->input_shape);
    for (size_t k = 0; pass->dx != NULL && k < size; k++)
        pass->dx[k] = pass->dy[k] * pass->packed[k % channels];
}

static const struct cn_layer_training scaling_training = {
    .backward = scaling_backward, .packed_size = scaling_packed_size, .pack = scaling_pack};
static const struct cn_layer_inference rescaling_inference = {.infer = scaling_infer,
                                                              .packed_size = scaling_packed_size,
                                                              .pack = scaling_pack,
                                                              .in_place = true,
                                                              .scale_shift = rescaling_scale_shift};
static const struct cn_layer_inference standardization_inference = {
    .infer = scaling_infer,
    .packed_size = scaling_packed_size,
    .pack = scaling_pack,
    .in_place = true,
    .scale_shift = standardization_scale_shift};

const struct cn_layer_type cn_rescaling_type = {.class_name = "Rescaling",
                                                .onnx = "Mul Add Sub Div",
                                                CN_LAYER_KEYS(rescaling_defaults, rescaling_fields),
                                                .build = rescaling_build,
                                                .training = &scaling_training,
                                                .inference = &rescaling_inference};
const struct cn_layer_type cn_normalization_type = {
    .class_name = "Normalization",
    CN_LAYER_KEYS(standardization_defaults, standardization_fields),
    .build = standardization_build,
    .training = &scaling_training,
    .inference = &standardization_inference};

/* ---- PReLU ---- */

struct prelu_config {
    struct cn_ints shared_axes; /* counted from 1: axes that share one slope */
};

static const struct prelu_config prelu_defaults = {{0, {0}}};
static const struct cn_field prelu_fields[] = {
    {"shared_axes", CN_FIELD_INT_LIST, offsetof(struct prelu_config, shared_axes), false, true, 1,
     CN_SHAPE_MAX_RANK, NULL},
};

/* The shape of the slopes: the input's, with 1 for the shared axes. */
static struct cn_shape slopes_shape(const struct cn_layer *layer) {
    const struct cn_ints *shared =
        &((const struct prelu_config *)(const void *)layer->config)->shared_axes;
    struct cn_shape shape = layer->input_shape;
    for (int i = 0; i < shared->count; i++)
        if (shared->values[i] <= shape.rank)
            shape.dims[shared->values[i] - 1] = 1;
    return shape;
}

static enum cn_status prelu_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_shape slopes = slopes_shape(layer);
    (void)error;
    layer->output_shape = layer->input_shape;
    layer->tensor_count = 1;
    layer->tensors[0] = (struct cn_tensor_spec){.name = "alpha",
                                                .rank = slopes.rank,
                                                .trainable = true,
                                                .initializer = CN_INITIALIZER_ZEROS,
                                                .fan_in = 1,
                                                .fan_out = 1};
    memcpy(layer->tensors[0].dims, slopes.dims, sizeof slopes.dims);
    return CN_OK;
}

/* The index of the slope for element k of a sample. */
static size_t slope_at(const struct cn_shape *in, const struct cn_shape *slopes, size_t k) {
    size_t at = 0, stride = 1;
    for (int i = in->rank - 1; i >= 0; i--) {
        at += k % (size_t)in->dims[i] % (size_t)slopes->dims[i] * stride;
        stride *= (size_t)slopes->dims[i];
        k /= (size_t)in->dims[i];
    }
    return at;
}

static void prelu_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                        float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    const float *alpha = step->packed;
    (void)scratch;
    const struct cn_shape slopes = slopes_shape(layer);
    const size_t size = cn_shape_size(&layer->input_shape), channels = channels_of(layer);
    for (size_t k = 0; k < size; k += channels) {
        const size_t first = slope_at(&layer->input_shape, &slopes, k);
        const size_t by = cn_shape_channels(&slopes) > 1 ? 1 : 0;
        for (size_t n = 0; n < count; n++)
            for (size_t c = 0; c < channels; c++) {
                const float v = x[n * size + k + c];
                y[n * size + k + c] = v > 0 ? v : alpha[first + c * by] * v;
            }
    }
}

static size_t prelu_packed_size(const struct cn_layer *layer) {
    const struct cn_shape slopes = slopes_shape(layer);
    return cn_shape_size(&slopes);
}

static void prelu_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_shape slopes = slopes_shape(layer);
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t k = 0; k < size; k++) {
        const size_t at = slope_at(&layer->input_shape, &slopes, k);
        for (size_t i = k; i < pass->count * size; i += size) {
            const float x = pass->x[i], dy = pass->dy[i];
            pass->gradients[at] += x > 0 ? 0 : dy * x;
            if (pass->dx != NULL)
                pass->dx[i] = x > 0 ? dy : dy * pass->parameters[at];
        }
    }
}

static const struct cn_layer_training prelu_training = {.backward = prelu_backward};
static const struct cn_layer_inference prelu_inference = {.infer = prelu_infer,
                                                          .packed_size = prelu_packed_size,
                                                          .pack = cn_layer_pack_unchanged,
                                                          .in_place = true};

const struct cn_layer_type cn_prelu_type = {.class_name = "PReLU",
                                            .onnx = "PRelu",
                                            CN_LAYER_KEYS(prelu_defaults, prelu_fields),
                                            .build = prelu_build,
                                            .training = &prelu_training,
                                            .inference = &prelu_inference};
