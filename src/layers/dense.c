/* dense.c: Keras's Dense on a vector. affine.c has training, and inference for many units; few
 * units have a kernel of their own. No state. */
#include <string.h>

#include "kernels/activate.h"
#include "kernels/kernels.h"
#include "layers/affine.h"

struct dense_config {
    int units;
    enum cn_activation activation;
    bool use_bias;
    int kernel_initializer, bias_initializer;
};
_Static_assert(sizeof(struct dense_config) <= CN_LAYER_CONFIG, "configuration too large");

static const struct dense_config defaults = {.use_bias = true,
                                             .bias_initializer = CN_INITIALIZER_ZEROS};

#define AT(member) offsetof(struct dense_config, member)
static const struct cn_field fields[] = {
    {"units", CN_FIELD_INT, AT(units), true, false, 1, 1 << 20, NULL},
    {"activation", CN_FIELD_ENUM, AT(activation), false, true, 0, 0, cn_activation_names},
    {"use_bias", CN_FIELD_BOOL, AT(use_bias), false, false, 0, 0, NULL},
    {"kernel_initializer", CN_FIELD_ENUM, AT(kernel_initializer), false, false, 0, 0,
     cn_initializer_names},
    {"bias_initializer", CN_FIELD_ENUM, AT(bias_initializer), false, false, 0, 0,
     cn_initializer_names},
};

static const struct dense_config *config_of(const struct cn_layer *layer) {
    return (const struct dense_config *)(const void *)layer->config;
}

static struct cn_affine dense_affine(const struct cn_layer *layer) {
    const struct dense_config *config = config_of(layer);
    return (struct cn_affine){.shape = {.in_height = 1,
                                        .in_width = 1,
                                        .in_channels = layer->input_shape.dims[0],
                                        .out_height = 1,
                                        .out_width = 1,
                                        .out_channels = config->units,
                                        .kernel_height = 1,
                                        .kernel_width = 1,
                                        .row_stride = 1,
                                        .column_stride = 1},
                              .height = 1,
                              .width = 1,
                              .activation = config->activation,
                              .use_bias = config->use_bias};
}

static enum cn_status dense_build(struct cn_layer *layer, struct cn_error *error) {
    const struct dense_config *config = config_of(layer);
    const enum cn_status status =
        cn_layer_need_rank(layer, 1, "; put a Flatten layer before it", error);
    if (status != CN_OK)
        return status;
    const int in = layer->input_shape.dims[0];
    layer->output_shape = cn_shape_vector(config->units);
    layer->tensor_count = config->use_bias ? 2 : 1;
    layer->tensors[0] =
        (struct cn_tensor_spec){.name = "kernel",
                                .rank = 2,
                                .dims = {in, config->units},
                                .trainable = true,
                                .initializer = (enum cn_initializer)config->kernel_initializer,
                                .fan_in = in,
                                .fan_out = config->units};
    layer->tensors[1] =
        (struct cn_tensor_spec){.name = "bias",
                                .rank = 1,
                                .dims = {config->units},
                                .trainable = true,
                                .initializer = (enum cn_initializer)config->bias_initializer,
                                .fan_in = config->units,
                                .fan_out = config->units};
    return CN_OK;
}

/* True if there are enough units to keep a core busy with one image. A batch reads the weights of
 * such a layer once; the weights of a smaller layer stay in the cache. */
static bool is_wide(const struct cn_layer *layer) {
    return config_of(layer)->units >= 64;
}

/* Packed unless is_wide: the kernel as the dense kernel needs it | bias. */
static size_t kernel_size(const struct dense_config *config, const struct cn_layer *layer) {
    return (size_t)cn_padded(layer->input_shape.dims[0]) * (size_t)config->units;
}

static size_t dense_packed_size(const struct cn_layer *layer) {
    if (is_wide(layer))
        return cn_affine_packed_size(layer);
    return kernel_size(config_of(layer), layer) + (size_t)config_of(layer)->units;
}

static void dense_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    if (is_wide(layer)) {
        cn_affine_pack(layer, parameters, packed);
        return;
    }
    const size_t in = (size_t)layer->input_shape.dims[0], out = (size_t)config_of(layer)->units;
    float *bias = packed + kernel_size(config_of(layer), layer);
    memset(packed, 0, dense_packed_size(layer) * sizeof *packed);
    for (size_t k = 0; k < in; k++)
        for (size_t o = 0; o < out; o++)
            packed[(k / CN_LANES * out + o) * CN_LANES + k % CN_LANES] = parameters[k * out + o];
    if (config_of(layer)->use_bias)
        memcpy(bias, parameters + in * out, out * sizeof *bias);
}

static void dense_fold(const struct cn_layer *layer, float *packed, const float *scale,
                       const float *shift) {
    if (is_wide(layer)) {
        cn_affine_fold(layer, packed, scale, shift);
        return;
    }
    const size_t out = (size_t)config_of(layer)->units;
    const size_t rows = kernel_size(config_of(layer), layer) / CN_LANES;
    float *bias = packed + rows * CN_LANES;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < CN_LANES; i++)
            packed[row * CN_LANES + i] *= scale[row % out];
    for (size_t o = 0; o < out; o++)
        bias[o] = bias[o] * scale[o] + shift[o];
}

static void dense_infer_part(const struct cn_step *step, const float *const *inputs, size_t count,
                             float *y, float *scratch, size_t part, size_t parts) {
    if (is_wide(&step->layer)) {
        cn_affine_infer_part(step, inputs, count, y, scratch, part, parts);
        return;
    }
    if (part > 0) /* few units are computed by one */
        return;
    const struct dense_config *config = config_of(&step->layer);
    const struct cn_dense shape = {step->layer.input_shape.dims[0], config->units};
    const bool relu = config->activation == CN_ACTIVATION_RELU;
    cn_kernels()->dense(y, inputs[0], step->packed,
                        step->packed + kernel_size(config, &step->layer), &shape, count, relu);
    if (!relu)
        cn_activation_forward(y, count, (size_t)config->units, config->activation);
}

static void dense_infer_end(const struct cn_step *step, size_t count, float *y, size_t parts) {
    if (is_wide(&step->layer))
        cn_affine_infer_end(step, count, y, parts);
}

static void dense_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                        float *y, float *scratch) {
    dense_infer_part(step, inputs, count, y, scratch, 0, 1);
}

static const char *dense_kernel(const struct cn_step *step) {
    return is_wide(&step->layer) ? "product" : "dots";
}

static enum cn_activation *dense_activation(struct cn_layer *layer) {
    return &((struct dense_config *)(void *)layer->config)->activation;
}

static const struct cn_layer_inference dense_inference = {.prepare = cn_affine_prepare,
                                                          .infer = dense_infer,
                                                          .infer_part = dense_infer_part,
                                                          .infer_end = dense_infer_end,
                                                          .kernel = dense_kernel,
                                                          .packed_size = dense_packed_size,
                                                          .pack = dense_pack,
                                                          .fold = dense_fold,
                                                          .bytes = &cn_affine_bytes};

const struct cn_layer_type cn_dense_type = {
    .class_name = "Dense",
    .onnx = "Gemm MatMul",
    CN_LAYER_KEYS(defaults, fields),
    .build = dense_build,
    .macs = cn_affine_macs,
    .affine = dense_affine,
    .activation = dense_activation,
    .training = &cn_affine_training,
    .inference = &dense_inference,
};
