/* onnx_matmul.c: ONNX's matrix products: Dense for a constant matrix, else MatMul. Used by one
 * thread. */
#include <string.h>

#include "import/onnx_private.h"

/* Makes a Dense layer that sums over axis `axis` of x. kernel: [K, units] in the source's order of
 * that axis; its rows are reordered like x's numbers. The other axes stay, and units come last.
 * ret_axes: the other axes, from outermost to innermost. */
static int dense_over(struct onnx_import *import, const struct onnx_value *x, int axis,
                      const float *kernel, size_t row_stride, size_t column_stride, int units,
                      const float *bias, int ret_axes[ONNX_RANK], int *ret_axis_count) {
    int first[ONNX_RANK + 1], sequence[ONNX_FACTORS], count = 0, layer;
    int dims[ONNX_ENGINE_RANK], rank = 0;
    const int64_t inputs = x->dims[axis];
    onnx_layout_axes(&x->layout, x->rank, x->dims, first);
    int axes[ONNX_RANK];
    const int axis_count = onnx_axes_of(x, 0, axis, axes) - 1; /* the last is `axis` */
    if (axis_count + 1 > ONNX_ENGINE_RANK) {
        onnx_refuse(import, "its input has more than %d dimensions", ONNX_ENGINE_RANK);
        return -1;
    }
    for (int i = 0; i < axis_count; i++) {
        dims[rank++] = (int)x->dims[axes[i]];
        for (int k = first[axes[i]]; k < first[axes[i] + 1]; k++)
            sequence[count++] = k;
    }
    dims[rank++] = (int)inputs;
    /* The factors of the summed axis, in the order of memory. */
    const int begin = count;
    for (int place = 0; place < x->layout.count; place++)
        for (int k = first[axis]; k < first[axis + 1]; k++)
            if (x->layout.place[k] == place)
                sequence[count++] = k;
    if (!onnx_arrange_factors(import, x, &x->layout, sequence, rank, dims, &layer))
        return -1;
    size_t stride_of[ONNX_FACTORS], stride = 1, digits[ONNX_FACTORS] = {0}, row = 0;
    for (int k = first[axis + 1] - 1; k >= first[axis]; k--) {
        stride_of[k] = stride;
        stride *= (size_t)x->layout.size[k];
    }
    float *turned = onnx_allocate(import, (size_t)inputs * (size_t)units, sizeof *turned);
    if (turned == NULL)
        return -1;
    for (int64_t i = 0; i < inputs; i++) {
        for (int u = 0; u < units; u++)
            turned[i * units + u] = kernel[row * row_stride + (size_t)u * column_stride];
        for (int s = count - 1; s >= begin; s--) {
            const int k = sequence[s];
            row += stride_of[k];
            if (++digits[k] < (size_t)x->layout.size[k])
                break;
            row -= digits[k] * stride_of[k];
            digits[k] = 0;
        }
    }
    const int kernel_dims[2] = {(int)inputs, units};
    dims[rank - 1] = units;
    layer = onnx_layer(import, "Dense",
                       json_pack("{s:i, s:b}", "units", units, "use_bias", bias != NULL), 1, &layer,
                       rank, dims);
    if (layer < 0 || !onnx_layer_weight(import, layer, "kernel", 2, kernel_dims, turned) ||
        (bias != NULL && !onnx_layer_weight(import, layer, "bias", 1, &units, bias)))
        return -1;
    if (axis_count > 0)
        memcpy(ret_axes, axes, (size_t)axis_count * sizeof *axes);
    *ret_axis_count = axis_count;
    return layer;
}

/* Reads a constant bias of one number per unit, scaled; false if C is anything else. */
static bool gemm_bias(struct onnx_import *import, const struct onnx_value *c, float beta,
                      int64_t units, const float **ret_bias) {
    if (c->state != ONNX_CONSTANT || c->tensor->floats == NULL)
        return false;
    const struct onnx_tensor *tensor = c->tensor;
    if (tensor->count != 1 &&
        (tensor->count != (size_t)units || tensor->dims[tensor->rank - 1] != units))
        return false;
    float *bias = onnx_allocate(import, (size_t)units, sizeof *bias);
    for (int64_t i = 0; bias != NULL && i < units; i++)
        bias[i] = beta * tensor->floats[tensor->count == 1 ? 0 : i];
    *ret_bias = bias;
    return bias != NULL;
}

static const float *numbers_scaled(struct onnx_import *import, const float *numbers, size_t count,
                                   float factor) {
    if (factor == 1)
        return numbers;
    float *scaled = onnx_allocate(import, count, sizeof *scaled);
    for (size_t i = 0; scaled != NULL && i < count; i++)
        scaled[i] = factor * numbers[i];
    return scaled;
}

/* Makes the product of the operands as [.., M, K] and [.., K, N] layers. */
static bool product_lower(struct onnx_import *import, const struct onnx_value *a,
                          const struct onnx_value *b, struct onnx_value *y) {
    int layers[2], rank, dims[ONNX_ENGINE_RANK];
    int64_t outer[ONNX_RANK], source[ONNX_RANK];
    const struct onnx_value *operands[2] = {a, b};
    if (a->rank < 2 || b->rank < 2)
        return onnx_refuse(import, "a product with a vector that is not constant is not supported");
    if (a->dims[a->rank - 1] != b->dims[b->rank - 2])
        return onnx_refuse(import, "it multiplies %lld columns by %lld rows",
                           (long long)a->dims[a->rank - 1], (long long)b->dims[b->rank - 2]);
    if (!onnx_broadcast(import, a->rank - 2, a->dims, b->rank - 2, b->dims, &rank, outer))
        return false;
    /* Leading axes of length 1 are dropped; the rest must fit the network's rank. */
    int lead = 0;
    while (lead < rank && outer[lead] == 1)
        lead++;
    const int kept = rank - lead;
    if (kept + 2 > ONNX_ENGINE_RANK)
        return onnx_refuse(import, "its inputs have more than %d dimensions", ONNX_ENGINE_RANK);
    for (int i = 0; i < 2; i++) {
        int axes[ONNX_RANK], count = 0, own[ONNX_ENGINE_RANK] = {0};
        const struct onnx_value *x = operands[i];
        for (int k = 0; k < kept + 2; k++) {
            const int axis = x->rank - (kept + 2) + k;
            own[k] = axis >= 0 ? (int)x->dims[axis] : 1;
            if (axis >= 0 && x->dims[axis] != 1)
                axes[count++] = axis;
        }
        if (x->state == ONNX_CONSTANT) {
            layers[i] = x->tensor->floats != NULL
                            ? onnx_layer_constant(import, kept + 2, own, x->tensor->floats)
                            : -1;
        } else if (onnx_arrange(import, x, count, axes, &layers[i])) {
            layers[i] = onnx_layer_reshape(import, layers[i], kept + 2, own);
        } else {
            return false;
        }
        if (layers[i] < 0)
            return onnx_refuse(import, "its input %d is not usable", i);
    }
    for (int i = 0; i < rank; i++)
        source[i] = outer[i];
    source[rank] = a->dims[a->rank - 2];
    source[rank + 1] = b->dims[b->rank - 1];
    for (int i = 0; i < kept + 2; i++)
        dims[i] = (int)source[lead + i];
    const int layer = onnx_layer(import, "MatMul", NULL, 2, layers, kept + 2, dims);
    if (layer < 0)
        return false;
    int axes[ONNX_RANK];
    for (int i = 0; i < rank + 2; i++)
        axes[i] = i;
    onnx_result(y, ONNX_FLOAT, rank + 2, source, rank + 2, axes, layer);
    return true;
}

/* Sets y, whose layer sums over `axis` of x and has the units last. unit_axis: the units' axis in
 * y. */
static bool dense_result(struct onnx_import *import, struct onnx_value *y, int rank,
                         const int64_t *dims, int axis_count, int *axes, int unit_axis, int layer) {
    (void)import;
    if (layer < 0)
        return false;
    axes[axis_count] = unit_axis;
    onnx_result(y, ONNX_FLOAT, rank, dims, axis_count + 1, axes, layer);
    return true;
}

/* Adds beta * C to y. */
static bool gemm_add(struct onnx_import *import, struct onnx_value *y, struct onnx_value *c,
                     float beta) {
    struct onnx_operands operands;
    struct onnx_value *both[2] = {y, c};
    int layers[2];
    if (!onnx_operands_align(import, 2, both, &operands))
        return false;
    for (int i = 0; i < 2; i++)
        layers[i] = operands.of[i].layer >= 0
                        ? operands.of[i].layer
                        : onnx_layer_constant(import, operands.rank, operands.of[i].dims,
                                              operands.of[i].numbers);
    if (beta != 1 && layers[1] >= 0)
        layers[1] = onnx_layer(import, "Rescaling",
                               json_pack("{s:f, s:f}", "scale", (double)beta, "offset", 0.0), 1,
                               &layers[1], operands.rank, operands.of[1].dims);
    const int layer = onnx_layer(import, "Binary", json_pack("{s:s}", "function", "add"), 2, layers,
                                 operands.rank, operands.dims);
    if (layer < 0)
        return false;
    onnx_result_like(y, ONNX_FLOAT, &operands.result, layer);
    return true;
}

bool onnx_lower_gemm(struct onnx_import *import) {
    struct onnx_value *a = onnx_input(import, 0), *b = onnx_input(import, 1);
    struct onnx_value *c = onnx_input(import, 2), *y = onnx_output(import, 0);
    const float alpha = onnx_float(import->node, "alpha", 1);
    const float beta = onnx_float(import->node, "beta", 1);
    const bool transpose_a = onnx_int(import->node, "transA", 0) != 0;
    const bool transpose_b = onnx_int(import->node, "transB", 0) != 0;
    if (a == NULL || b == NULL || y == NULL || a->rank != 2 || b->rank != 2)
        return onnx_refuse(import, "its inputs are not two matrices");
    const int64_t m = a->dims[transpose_a], k = a->dims[!transpose_a], n = b->dims[!transpose_b];
    if (b->dims[transpose_b] != k)
        return onnx_refuse(import, "it multiplies %lld columns by %lld rows", (long long)k,
                           (long long)b->dims[transpose_b]);
    const int64_t dims[2] = {m, n};
    const float *bias = NULL;
    int axes[ONNX_RANK], axis_count, layer;
    if (a->state == ONNX_DYNAMIC && b->state == ONNX_CONSTANT && b->tensor->floats != NULL) {
        const bool folded = c == NULL || gemm_bias(import, c, beta, n, &bias);
        const float *kernel = numbers_scaled(import, b->tensor->floats, b->tensor->count, alpha);
        if (kernel == NULL)
            return false;
        layer = dense_over(import, a, !transpose_a, kernel, transpose_b ? 1 : (size_t)n,
                           transpose_b ? (size_t)k : 1, (int)n, bias, axes, &axis_count);
        if (transpose_a) /* what remains of a is its axis 1, which is y's axis 0 */
            for (int i = 0; i < axis_count; i++)
                axes[i] = 0;
        return dense_result(import, y, 2, dims, axis_count, axes, 1, layer) &&
               (folded || gemm_add(import, y, c, beta));
    }
    struct onnx_value left = *a, right = *b;
    const int order[2] = {1, 0};
    for (int i = 0; i < 2; i++) {
        struct onnx_value *side = i == 0 ? &left : &right;
        if (!(i == 0 ? transpose_a : transpose_b))
            continue;
        if (side->state == ONNX_CONSTANT) {
            const struct onnx_tensor *turned = onnx_tensor_transpose(import, side->tensor, order);
            if (turned == NULL)
                return false;
            onnx_set_constant(side, turned);
        } else if (!onnx_view_transpose(import, side, i == 0 ? a : b, order)) {
            return false;
        }
    }
    if (!product_lower(import, &left, &right, y))
        return false;
    if (alpha != 1) {
        layer = onnx_layer(import, "Rescaling",
                           json_pack("{s:f, s:f}", "scale", (double)alpha, "offset", 0.0), 1,
                           &y->layer, import->layers[y->layer].rank, import->layers[y->layer].dims);
        if (layer < 0)
            return false;
        y->layer = layer;
    }
    return c == NULL || gemm_add(import, y, c, beta);
}

bool onnx_lower_matmul(struct onnx_import *import) {
    struct onnx_value *a = onnx_input(import, 0), *b = onnx_input(import, 1);
    struct onnx_value *y = onnx_output(import, 0);
    if (a == NULL || b == NULL || y == NULL)
        return onnx_refuse(import, "it must have two inputs and an output");
    const bool constant = b->state == ONNX_CONSTANT && b->tensor->floats != NULL;
    if (a->state == ONNX_DYNAMIC && a->rank >= 1 && constant && b->rank >= 1 && b->rank <= 2) {
        const int last = a->rank - 1;
        const int64_t k = b->dims[0], n = b->rank == 2 ? b->dims[1] : 1;
        int axes[ONNX_RANK], axis_count;
        int64_t dims[ONNX_RANK];
        if (a->dims[last] != k)
            return onnx_refuse(import, "it multiplies %lld columns by %lld rows",
                               (long long)a->dims[last], (long long)k);
        if (n < 1 || n > INT32_MAX || k < 1)
            return onnx_refuse(import, "its matrix has a dimension of 0");
        memcpy(dims, a->dims, sizeof dims);
        dims[last] = n;
        const int layer = dense_over(import, a, last, b->tensor->floats, (size_t)n, 1, (int)n, NULL,
                                     axes, &axis_count);
        if (b->rank == 2)
            return dense_result(import, y, a->rank, dims, axis_count, axes, last, layer);
        if (layer < 0)
            return false;
        onnx_result(y, ONNX_FLOAT, last, dims, axis_count, axes, layer);
        return true;
    }
    return product_lower(import, a, b, y);
}
