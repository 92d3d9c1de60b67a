/* onnx_quantization.c: ONNX's QuantizeLinear and DequantizeLinear of computed values, in floats:
 * the layers round and clip as they do, so that a quantized model gives its own numbers.
 * (onnx_fold.c has those of constants.) Used by one thread. */
#include <string.h>

#include "import/onnx_private.h"

/* Scales and zero points: one of each, or one per element of an axis. */
struct quantization {
    size_t count;
    int axis; /* if there are several */
    const float *scales;
    float *zeros; /* [count] */
    int type;     /* of the integers */
};

static bool quantization_read(struct onnx_import *import, const struct onnx_value *x, int type,
                              struct quantization *ret) {
    const struct onnx_tensor *scale = onnx_constant(import, 1, "scale");
    const struct onnx_tensor *zero =
        onnx_input(import, 2) != NULL ? onnx_constant(import, 2, "zero point") : NULL;
    if (scale == NULL || (zero == NULL && onnx_input(import, 2) != NULL))
        return false;
    *ret = (struct quantization){.count = scale->count, .scales = scale->floats, .type = type};
    if (onnx_int(import->node, "block_size", 0) != 0)
        return onnx_refuse(import, "its block_size is not supported");
    if (scale->floats == NULL || scale->count < 1 || (zero != NULL && zero->count != scale->count))
        return onnx_refuse(import, "its zero points do not fit its scales");
    if (scale->count > 1 &&
        !onnx_axis(import, onnx_int(import->node, "axis", 1), x->rank, &ret->axis))
        return false;
    if (scale->count > 1 && (size_t)x->dims[ret->axis] != scale->count)
        return onnx_refuse(import, "its scales do not fit its axis");
    ret->zeros = onnx_allocate(import, scale->count, sizeof *ret->zeros);
    if (ret->zeros == NULL)
        return false;
    for (size_t i = 0; zero != NULL && i < zero->count; i++)
        ret->zeros[i] = (float)onnx_number(zero, i);
    if (zero != NULL)
        ret->type = zero->type;
    return true;
}

/* Adds scale * x + shift, with one of each or with one per element of the innermost axis. */
static int scaled_layer(struct onnx_import *import, int layer, size_t count, const float *scale,
                        const float *shift) {
    return count > 1
               ? onnx_layer_affine(import, layer, scale, shift)
               : onnx_layer_unary(import, layer, "affine", (double)scale[0], (double)shift[0]);
}

/* Arranges x for its quantization, with several scales so that their axis is innermost. */
static bool values_arrange(struct onnx_import *import, const struct onnx_value *x,
                           const struct quantization *q, int axes[ONNX_RANK], int *ret_count,
                           int *ret_layer) {
    *ret_layer = x->layer;
    if (q->count == 1)
        return true;
    *ret_count = onnx_axes_of(x, 0, q->axis, axes);
    return onnx_arrange(import, x, *ret_count, axes, ret_layer);
}

static bool values_give(struct onnx_import *import, const struct onnx_value *x,
                        const struct quantization *q, int type, int count, const int *axes,
                        int layer) {
    struct onnx_value *y = onnx_output(import, 0);
    if (layer < 0)
        return false;
    if (y != NULL && q->count == 1)
        onnx_result_like(y, type, x, layer);
    else if (y != NULL)
        onnx_result(y, type, x->rank, x->dims, count, axes, layer);
    return true;
}

bool onnx_integer_range(int type, double *ret_least, double *ret_most) {
    static const struct {
        int type;
        double least, most;
    } ranges[] = {{ONNX_UINT8, 0, 255},
                  {ONNX_INT8, -128, 127},
                  {ONNX_UINT16, 0, 65535},
                  {ONNX_INT16, -32768, 32767}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (ranges[i].type == type) {
            *ret_least = ranges[i].least;
            *ret_most = ranges[i].most;
            return true;
        }
    return false;
}

/* clip(round(x / scale) + zero) */
bool onnx_lower_quantize(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const int given = (int)onnx_int(import->node, "output_dtype", 0);
    int axes[ONNX_RANK], count = 0, layer;
    struct quantization q;
    double least, most;
    if (x == NULL || !quantization_read(import, x, given != 0 ? given : ONNX_UINT8, &q))
        return false;
    if (!onnx_integer_range(q.type, &least, &most))
        return onnx_refuse(import, "quantization to %s is not supported", onnx_type_name(q.type));
    float *factors = onnx_allocate(import, 2 * q.count, sizeof *factors);
    if (factors == NULL || !values_arrange(import, x, &q, axes, &count, &layer))
        return false;
    float *ones = factors + q.count;
    bool shifted = false;
    for (size_t i = 0; i < q.count; i++) {
        if (!(q.scales[i] > 0))
            return onnx_refuse(import, "its scale %g is not above 0", (double)q.scales[i]);
        factors[i] = 1 / q.scales[i];
        ones[i] = 1;
        shifted |= q.zeros[i] != 0;
    }
    float *none = onnx_allocate(import, q.count, sizeof *none);
    layer = none != NULL ? scaled_layer(import, layer, q.count, factors, none) : -1;
    layer = layer >= 0 ? onnx_layer_unary(import, layer, "round", 0, 0) : -1;
    if (layer >= 0 && shifted)
        layer = scaled_layer(import, layer, q.count, ones, q.zeros);
    layer = layer >= 0 ? onnx_layer_unary(import, layer, "clip", least, most) : -1;
    return values_give(import, x, &q, q.type, count, axes, layer);
}

/* (x - zero) * scale */
bool onnx_lower_dequantize(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    int axes[ONNX_RANK], count = 0, layer;
    struct quantization q;
    if (x == NULL || !quantization_read(import, x, x->type, &q))
        return false;
    float *shifts = onnx_allocate(import, q.count, sizeof *shifts);
    if (shifts == NULL || !values_arrange(import, x, &q, axes, &count, &layer))
        return false;
    for (size_t i = 0; i < q.count; i++)
        shifts[i] = -q.zeros[i] * q.scales[i];
    return values_give(import, x, &q, ONNX_FLOAT, count, axes,
                       scaled_layer(import, layer, q.count, q.scales, shifts));
}
