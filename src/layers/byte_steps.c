/* byte_steps.c: what a plan puts between floats and bytes: Quantize and Dequantize, steps that no
 * network has as layers. No state. */
#include "kernels/bytes.h"
#include "layers/layer_type.h"

static void quantize_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                           float *y, float *scratch) {
    (void)scratch;
    cn_bytes_kernels()->quantize((uint8_t *)y, inputs[0],
                                 count * cn_shape_size(&step->layer.output_shape), step->bytes.out);
}

static void dequantize_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                             float *y, float *scratch) {
    (void)scratch;
    cn_bytes_kernels()->dequantize(y, (const uint8_t *)inputs[0],
                                   count * cn_shape_size(&step->layer.output_shape),
                                   step->bytes.in[0]);
}

static const struct cn_layer_inference quantize_bytes = {.infer = quantize_infer};
static const struct cn_layer_inference dequantize_bytes = {.infer = dequantize_infer};
static const struct cn_layer_inference quantize_inference = {.bytes = &quantize_bytes};
static const struct cn_layer_inference dequantize_inference = {.bytes = &dequantize_bytes};

const struct cn_layer_type cn_quantize_type = {.class_name = "Quantize",
                                               .inference = &quantize_inference};
const struct cn_layer_type cn_dequantize_type = {.class_name = "Dequantize",
                                                 .inference = &dequantize_inference};
