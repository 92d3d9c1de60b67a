/* matmul.c: MatMul, the product of two computed matrices, [..., rows, inner] and [..., inner,
 * columns]; leading axes of length 1 are broadcast. Keras has no such layer. No state. */
#include <string.h>

#include "layers/layer_type.h"
#include "layers/strided_walk.h"

static enum cn_status matmul_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_shape *a = &layer->inputs[0].shape, *b = &layer->inputs[1].shape;
    const int rank = a->rank;
    char first[CN_SHAPE_TEXT], second[CN_SHAPE_TEXT];
    struct cn_shape left = *a, right = *b;
    bool fits = rank >= 2 && b->rank == rank && a->dims[rank - 1] == b->dims[rank - 2];
    if (fits) {
        left.dims[rank - 1] = right.dims[rank - 1];
        right.dims[rank - 2] = left.dims[rank - 2];
        fits = cn_walk_broadcast(&left, &right, &layer->output_shape);
    }
    if (!fits)
        return cn_fail(
            error, CN_INVALID,
            "layer \"%s\" (MatMul): its inputs are %s and %s; the first's columns must be "
            "the second's rows",
            layer->name, cn_shape_format(a, first), cn_shape_format(b, second));
    return cn_shape_check(&layer->output_shape, layer->name, error);
}

static unsigned long long matmul_macs(const struct cn_layer *layer) {
    const struct cn_shape *a = &layer->inputs[0].shape;
    return (unsigned long long)cn_shape_size(&layer->output_shape) *
           (unsigned long long)a->dims[a->rank - 1];
}

/* y[rows, columns] = a[rows, inner] b[inner, columns] */
static void matrix_multiply(const float *a, const float *b, float *y, size_t rows, size_t inner,
                            size_t columns) {
    memset(y, 0, rows * columns * sizeof *y);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < inner; k++) {
            const float factor = a[r * inner + k];
            for (size_t c = 0; c < columns; c++)
                y[r * columns + c] += factor * b[k * columns + c];
        }
}

/* Walks over the leading axes: at[0] and at[1] are the offsets of the matrices. */
static struct cn_walk matmul_walk(const struct cn_layer *layer) {
    const int rank = layer->output_shape.rank;
    struct cn_shape lead = layer->output_shape;
    lead.rank = rank - 1;
    lead.dims[rank - 2] = 1; /* one row per matrix */
    struct cn_walk walk = cn_walk_over(&lead);
    for (int i = 0; i < 2; i++) {
        ptrdiff_t strides[CN_SHAPE_MAX_RANK];
        const struct cn_shape *shape = &layer->inputs[i].shape;
        cn_walk_strides(shape, strides);
        for (int k = 0; k + 2 < rank; k++)
            strides[k] = shape->dims[k] == 1 ? 0 : strides[k];
        cn_walk_follow(&walk, strides, 0);
    }
    return walk;
}

static void matmul_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                         float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    (void)scratch;
    const struct cn_shape *a = &layer->inputs[0].shape;
    const int rank = layer->output_shape.rank;
    const size_t rows = (size_t)layer->output_shape.dims[rank - 2];
    const size_t columns = (size_t)layer->output_shape.dims[rank - 1];
    const size_t inner = (size_t)a->dims[rank - 1], out = cn_shape_size(&layer->output_shape);
    for (size_t s = 0; s < count; s++) {
        const float *left = inputs[0] + s * cn_shape_size(a);
        const float *right = inputs[1] + s * cn_shape_size(&layer->inputs[1].shape);
        struct cn_walk walk = matmul_walk(layer);
        do
            matrix_multiply(left + walk.at[0], right + walk.at[1],
                            y + s * out + walk.row * rows * columns, rows, inner, columns);
        while (cn_walk_next(&walk));
    }
}

static void matmul_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const int rank = layer->output_shape.rank;
    const size_t rows = (size_t)layer->output_shape.dims[rank - 2];
    const size_t columns = (size_t)layer->output_shape.dims[rank - 1];
    const size_t inner = (size_t)layer->inputs[0].shape.dims[rank - 1];
    const size_t out = cn_shape_size(&layer->output_shape);
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        sizes[i] = cn_shape_size(&layer->inputs[i].shape);
        if (pass->dxs[i] != NULL)
            memset(pass->dxs[i], 0, pass->count * sizes[i] * sizeof *pass->dxs[i]);
    }
    for (size_t s = 0; s < pass->count; s++) {
        struct cn_walk walk = matmul_walk(layer);
        do {
            const size_t left = s * sizes[0] + (size_t)walk.at[0];
            const size_t right = s * sizes[1] + (size_t)walk.at[1];
            const float *dy = pass->dy + s * out + walk.row * rows * columns;
            for (size_t r = 0; r < rows; r++)
                for (size_t k = 0; k < inner; k++)
                    for (size_t c = 0; c < columns; c++) {
                        if (pass->dxs[0] != NULL)
                            pass->dxs[0][left + r * inner + k] +=
                                dy[r * columns + c] * pass->xs[1][right + k * columns + c];
                        if (pass->dxs[1] != NULL)
                            pass->dxs[1][right + k * columns + c] +=
                                dy[r * columns + c] * pass->xs[0][left + r * inner + k];
                    }
        } while (cn_walk_next(&walk));
    }
}

static const struct cn_layer_training matmul_training = {.backward = matmul_backward};
static const struct cn_layer_inference matmul_inference = {.infer = matmul_infer};

const struct cn_layer_type cn_matmul_type = {.class_name = "MatMul",
                                             .onnx = "MatMul Gemm",
                                             .min_inputs = 2,
                                             .max_inputs = 2,
                                             .build = matmul_build,
                                             .macs = matmul_macs,
                                             .training = &matmul_training,
                                             .inference = &matmul_inference};
