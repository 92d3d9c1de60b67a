/* onnx_shapes.c: the shapes that nodes specify by attribute (older opsets) or by constant input
 * (newer ones), for constants and dynamic values. Used by one thread. */
#include <string.h>

#include "import/onnx_private.h"

static int64_t dims_product(int rank, const int64_t *dims) {
    int64_t product = 1;
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(product, dims[i], &product))
            return -1;
    return product;
}

bool onnx_reshape_dims(struct onnx_import *import, int rank, const int64_t *dims, int *ret_rank,
                       int64_t *ret_dims) {
    const int64_t *shape;
    size_t count;
    int free_axis = -1;
    const int64_t total = dims_product(rank, dims);
    if (!onnx_integers_of(import, 1, "shape", &shape, &count))
        return false;
    if (shape == NULL || count > ONNX_RANK)
        return onnx_refuse(import, "its shape has %zu dimensions; at most %d are supported", count,
                           ONNX_RANK);
    const bool zero_copies = onnx_int(import->node, "allowzero", 0) == 0;
    for (int i = 0; i < (int)count; i++) {
        int64_t dim = shape[i];
        if (dim == 0 && zero_copies && i < rank)
            dim = dims[i];
        if (i == 0 && import->batch > 1 && dim == import->batch && rank > 0 && dims[0] == 1)
            dim = 1;
        if (dim < -1 || (dim == -1 && free_axis >= 0))
            return onnx_refuse(import, "its shape has the dimension %lld", (long long)dim);
        if (dim == -1)
            free_axis = i;
        ret_dims[i] = dim == -1 ? 1 : dim;
    }
    const int64_t known = dims_product((int)count, ret_dims);
    if (free_axis >= 0 && known > 0 && total >= 0)
        ret_dims[free_axis] = total / known;
    if (total < 0 || dims_product((int)count, ret_dims) != total)
        return onnx_refuse(import, "its input of %lld numbers does not fit its shape",
                           (long long)total);
    *ret_rank = (int)count;
    return true;
}

bool onnx_flatten_dims(struct onnx_import *import, int rank, const int64_t *dims,
                       int64_t ret_dims[2]) {
    int64_t axis = onnx_int(import->node, "axis", 1);
    if (axis < -rank || axis > rank)
        return onnx_refuse(import, "its axis %lld is not one of %d dimensions", (long long)axis,
                           rank);
    axis = axis < 0 ? axis + rank : axis;
    ret_dims[0] = dims_product((int)axis, dims);
    ret_dims[1] = dims_product(rank - (int)axis, dims + axis);
    return true;
}

/* Reads a list of axes as bits; *ret_given: there is a list. */
static bool axes_read(struct onnx_import *import, int rank, bool *ret_given, unsigned *ret_axes) {
    const int64_t *axes;
    size_t count;
    if (!onnx_integers_of(import, 1, "axes", &axes, &count))
        return false;
    *ret_axes = 0;
    for (size_t i = 0; axes != NULL && i < count; i++) {
        int axis;
        if (!onnx_axis(import, axes[i], rank, &axis))
            return false;
        *ret_axes |= 1U << axis;
    }
    *ret_given = axes != NULL;
    return true;
}

bool onnx_squeeze_dims(struct onnx_import *import, int rank, const int64_t *dims, int *ret_rank,
                       int64_t *ret_dims) {
    unsigned axes;
    bool given;
    int kept = 0;
    if (!axes_read(import, rank, &given, &axes))
        return false;
    for (int i = 0; i < rank; i++) {
        const bool gone = given ? (axes >> i & 1) != 0 : dims[i] == 1;
        if (gone && dims[i] != 1)
            return onnx_refuse(import, "it squeezes an axis of length %lld; the length must be 1",
                               (long long)dims[i]);
        if (!gone)
            ret_dims[kept++] = dims[i];
    }
    *ret_rank = kept;
    return true;
}

bool onnx_unsqueeze_dims(struct onnx_import *import, int rank, const int64_t *dims, int *ret_rank,
                         int64_t *ret_dims) {
    const int64_t *axes;
    size_t count;
    unsigned added = 0;
    if (!onnx_integers_of(import, 1, "axes", &axes, &count))
        return false;
    if (axes == NULL || count > (size_t)(ONNX_RANK - rank))
        return onnx_refuse(import, "its output has more than %d dimensions", ONNX_RANK);
    const int result = rank + (int)count;
    for (size_t i = 0; i < count; i++) {
        int axis;
        if (!onnx_axis(import, axes[i], result, &axis))
            return false;
        if ((added >> axis & 1) != 0)
            return onnx_refuse(import, "it adds the axis %d twice", axis);
        added |= 1U << axis;
    }
    for (int i = 0, from = 0; i < result; i++)
        ret_dims[i] = (added >> i & 1) != 0 ? 1 : dims[from++];
    *ret_rank = result;
    return true;
}

bool onnx_transpose_order(struct onnx_import *import, int rank, int *ret_order) {
    size_t count;
    unsigned seen = 0;
    const int64_t *order = onnx_ints(import->node, "perm", &count);
    if (order != NULL && count != (size_t)rank)
        return onnx_refuse(import, "its perm has %zu axes for an input of %d", count, rank);
    for (int i = 0; i < rank; i++) {
        int axis = rank - 1 - i;
        if (order != NULL && !onnx_axis(import, order[i], rank, &axis))
            return false;
        ret_order[i] = axis;
        seen |= 1U << axis;
    }
    return seen == (1U << rank) - 1 || onnx_refuse(import, "its perm names an axis twice");
}

static int64_t clamped(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

bool onnx_slice_ranges(struct onnx_import *import, int rank, const int64_t *dims,
                       int64_t *ret_starts, int64_t *ret_steps, int64_t *ret_dims) {
    const bool inputs = import->opset >= 10;
    const int64_t *starts, *ends, *axes, *steps = NULL;
    size_t count, end_count, axis_count, step_count = 0;
    if (!onnx_integers_of(import, inputs ? 1 : SIZE_MAX, "starts", &starts, &count) ||
        !onnx_integers_of(import, inputs ? 2 : SIZE_MAX, "ends", &ends, &end_count) ||
        !onnx_integers_of(import, inputs ? 3 : SIZE_MAX, "axes", &axes, &axis_count) ||
        (inputs && !onnx_integers_of(import, 4, "steps", &steps, &step_count)))
        return false;
    if (starts == NULL || ends == NULL || end_count != count ||
        (axes != NULL && axis_count != count) || (steps != NULL && step_count != count) ||
        (axes == NULL && count > (size_t)rank))
        return onnx_refuse(import, "its starts, ends, axes and steps are not of one length");
    for (int i = 0; i < rank; i++) {
        ret_starts[i] = 0;
        ret_steps[i] = 1;
        ret_dims[i] = dims[i];
    }
    for (size_t i = 0; i < count; i++) {
        int axis = (int)i;
        if (axes != NULL && !onnx_axis(import, axes[i], rank, &axis))
            return false;
        const int64_t dim = dims[axis], step = steps != NULL ? steps[i] : 1;
        if (step == 0)
            return onnx_refuse(import, "its step is 0");
        const int64_t last = step > 0 ? dim : dim - 1, first = step > 0 ? 0 : -1;
        const int64_t start = clamped(starts[i] < 0 ? starts[i] + dim : starts[i], 0, last);
        const int64_t end =
            clamped(ends[i] < 0 ? clamped(ends[i], -dim - 1, 0) + dim : ends[i], first, dim);
        const int64_t span = step > 0 ? end - start : start - end;
        const int64_t stride = step > 0 ? step : step == INT64_MIN ? INT64_MAX : -step;
        ret_starts[axis] = start;
        ret_dims[axis] = span > 0 ? (span - 1) / stride + 1 : 0;
        ret_steps[axis] = ret_dims[axis] > 1 ? step : 1;
    }
    return true;
}

bool onnx_reduce_axes(struct onnx_import *import, int rank, unsigned *ret_axes) {
    bool given;
    if (!axes_read(import, rank, &given, ret_axes))
        return false;
    if (*ret_axes == 0 && onnx_int(import->node, "noop_with_empty_axes", 0) == 0)
        *ret_axes = (1U << rank) - 1;
    return true;
}

bool onnx_split_sizes(struct onnx_import *import, int rank, const int64_t *dims, int *ret_axis,
                      const int64_t **ret_sizes) {
    const int64_t *given;
    size_t count;
    const size_t parts = import->node->output_count;
    if (!onnx_axis(import, onnx_int(import->node, "axis", 0), rank, ret_axis) ||
        !onnx_integers_of(import, 1, "split", &given, &count))
        return false;
    if (parts == 0 || (given != NULL && count != parts))
        return onnx_refuse(import, "it has %zu sizes for %zu outputs", count, parts);
    const int64_t dim = dims[*ret_axis], each = (dim + (int64_t)parts - 1) / (int64_t)parts;
    int64_t left = dim;
    int64_t *sizes = onnx_allocate(import, parts, sizeof *sizes);
    for (size_t i = 0; sizes != NULL && i < parts; i++) {
        sizes[i] = given != NULL ? given[i] : left < each ? left : each;
        if (sizes[i] < 0 || sizes[i] > left)
            return onnx_refuse(import, "its sizes do not add up to %lld", (long long)dim);
        left -= sizes[i];
    }
    if (sizes != NULL && left != 0)
        return onnx_refuse(import, "its sizes do not add up to %lld", (long long)dim);
    *ret_sizes = sizes;
    return sizes != NULL;
}
