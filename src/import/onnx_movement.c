/* onnx_movement.c: ONNX's operators that move, cut, join, pad, resize or reduce. Changes that the
 * layout can express need no layer. Used by one thread. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "import/onnx_private.h"

static json_t *json_ints(int count, const int *values) {
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(values[i]));
    return list;
}

/* The position of `axis` in `axes`; -1: it is not there. */
static int axis_place(int count, const int *axes, int axis) {
    for (int i = 0; i < count; i++)
        if (axes[i] == axis)
            return i;
    return -1;
}

/* Sets output i to the first input's dims, with `dim` for `axis`. */
static void result_resized(struct onnx_import *import, size_t i, const struct onnx_value *x,
                           int axis, int64_t dim, int axis_count, const int *axes, int layer) {
    struct onnx_value *y = onnx_output(import, i);
    int64_t dims[ONNX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    if (axis >= 0)
        dims[axis] = dim;
    if (y != NULL)
        onnx_result(y, x->type, x->rank, dims, axis_count, axes, layer);
}

bool onnx_lower_identity(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0), *mask = onnx_output(import, 1);
    if (x == NULL || y == NULL)
        return false;
    if (mask != NULL && (mask->uses > 0 || mask->is_output))
        return onnx_refuse(import, "its output '%s', the mask, is not supported", mask->name);
    const struct onnx_value *training = onnx_input(import, 2); /* Dropout's training_mode */
    if (training != NULL && (training->state != ONNX_CONSTANT || training->tensor->count != 1 ||
                             onnx_number(training->tensor, 0) != 0))
        return onnx_refuse(import, "its training_mode is not supported");
    onnx_result_like(y, x->type, x, x->layer);
    onnx_note(import, "%s '%s': dropped", import->node->type, import->node->label);
    return true;
}

bool onnx_lower_reshape(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    const char *type = import->node->type;
    int rank = 2;
    int64_t dims[ONNX_RANK];
    if (x == NULL || y == NULL)
        return false;
    const bool fits =
        strcmp(type, "Reshape") == 0   ? onnx_reshape_dims(import, x->rank, x->dims, &rank, dims)
        : strcmp(type, "Flatten") == 0 ? onnx_flatten_dims(import, x->rank, x->dims, dims)
        : strcmp(type, "Squeeze") == 0 ? onnx_squeeze_dims(import, x->rank, x->dims, &rank, dims)
                                       : onnx_unsqueeze_dims(import, x->rank, x->dims, &rank, dims);
    return fits && onnx_view_reshape(import, y, x, rank, dims);
}

bool onnx_lower_transpose(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int order[ONNX_RANK];
    return x != NULL && y != NULL && onnx_transpose_order(import, x->rank, order) &&
           onnx_view_transpose(import, y, x, order);
}

/* Makes Reshape, Permute, Reshape. */
static bool blocks_move(struct onnx_import *import, const int64_t split[6], const int order[6],
                        const int64_t joined[4]) {
    struct onnx_value *y = onnx_output(import, 0), pieces = {0}, moved = {0};
    const struct onnx_value *x = onnx_input(import, 0);
    return y != NULL && onnx_view_reshape(import, &pieces, x, 6, split) &&
           onnx_view_transpose(import, &moved, &pieces, order) &&
           onnx_view_reshape(import, y, &moved, 4, joined);
}

bool onnx_lower_depth_to_space(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const int64_t b = onnx_int(import->node, "blocksize", 0);
    const char *mode = onnx_string(import, import->node, "mode", "DCR");
    if (x == NULL)
        return false;
    if (x->rank != 4 || b < 1 || b > 1024 || x->dims[1] % (b * b) != 0)
        return onnx_refuse(import, "its blocksize %lld does not fit its input", (long long)b);
    const int64_t n = x->dims[0], c = x->dims[1] / (b * b), h = x->dims[2], w = x->dims[3];
    const int64_t depth_first[6] = {n, b, b, c, h, w}, column_first[6] = {n, c, b, b, h, w};
    const int depth_order[6] = {0, 3, 4, 1, 5, 2}, column_order[6] = {0, 1, 4, 2, 5, 3};
    const int64_t joined[4] = {n, c, h * b, w * b};
    return strcmp(mode, "CRD") == 0 ? blocks_move(import, column_first, column_order, joined)
                                    : blocks_move(import, depth_first, depth_order, joined);
}

bool onnx_lower_space_to_depth(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const int64_t b = onnx_int(import->node, "blocksize", 0);
    if (x == NULL)
        return false;
    if (x->rank != 4 || b < 1 || b > 1024 || x->dims[2] % b != 0 || x->dims[3] % b != 0)
        return onnx_refuse(import, "its blocksize %lld does not fit its input", (long long)b);
    const int64_t n = x->dims[0], c = x->dims[1], h = x->dims[2] / b, w = x->dims[3] / b;
    const int64_t split[6] = {n, c, h, b, w, b}, joined[4] = {n, b * b * c, h, w};
    const int order[6] = {0, 3, 5, 1, 2, 4};
    return blocks_move(import, split, order, joined);
}

/* ---- Joining and cutting ---- */

bool onnx_lower_concat(struct onnx_import *import) {
    struct onnx_value *y = onnx_output(import, 0);
    const struct onnx_value *first = NULL;
    const size_t count = import->node->input_count;
    int axis, axes[ONNX_RANK], layers[ONNX_OPERANDS], used = 0, dims[ONNX_RANK];
    int64_t sum = 0;
    if (count < 1 || count > ONNX_OPERANDS || y == NULL)
        return onnx_refuse(import, "it has %zu inputs; from 1 to %d are supported", count,
                           ONNX_OPERANDS);
    for (size_t i = 0; i < count; i++) {
        const struct onnx_value *x = onnx_input(import, i);
        if (x == NULL)
            return onnx_refuse(import, "its input %zu is missing", i);
        if (first == NULL && x->state == ONNX_DYNAMIC)
            first = x;
    }
    if (first == NULL)
        return onnx_refuse(
            import, "all its inputs are constant, and it cannot be computed during the import");
    if (!onnx_axis(import, onnx_int(import->node, "axis", 1), first->rank, &axis))
        return false;
    const struct onnx_value model = *first;
    unsigned keep = 1U << axis;
    const int n = onnx_axes_of(&model, keep, -1, axes);
    for (size_t i = 0; i < count; i++) {
        const struct onnx_value *x = onnx_input(import, i);
        bool alike = x->rank == model.rank;
        for (int a = 0; alike && a < x->rank; a++)
            alike = a == axis || x->dims[a] == model.dims[a];
        if (!alike)
            return onnx_refuse(import, "its input '%s' does not fit the others", x->name);
        if (x->dims[axis] == 0)
            continue;
        sum += x->dims[axis];
        if (x->state == ONNX_CONSTANT) {
            if (x->tensor->floats == NULL && x->tensor->integers == NULL)
                return onnx_refuse(import, "its input '%s' has no numbers", x->name);
            int order[ONNX_RANK], rest = 0, own[ONNX_RANK];
            for (int a = 0; a < x->rank; a++)
                if (axis_place(n, axes, a) < 0)
                    order[rest++] = a;
            for (int k = 0; k < n; k++) {
                order[rest + k] = axes[k];
                own[k] = (int)x->dims[axes[k]];
            }
            const struct onnx_tensor *turned = onnx_tensor_transpose(import, x->tensor, order);
            if (turned == NULL)
                return false;
            float *numbers = onnx_allocate(import, turned->count, sizeof *numbers);
            for (size_t k = 0; numbers != NULL && k < turned->count; k++)
                numbers[k] = (float)onnx_number(turned, k);
            layers[used] = numbers != NULL ? onnx_layer_constant(import, n, own, numbers) : -1;
        } else if (!onnx_arrange(import, x, n, axes, &layers[used])) {
            return false;
        }
        if (layers[used++] < 0)
            return false;
    }
    for (int k = 0; k < n; k++)
        dims[k] = (int)(axes[k] == axis ? sum : model.dims[axes[k]]);
    const int layer = used == 1
                          ? layers[0]
                          : onnx_layer(import, "Concatenate",
                                       json_pack("{s:i}", "axis", axis_place(n, axes, axis) + 1),
                                       used, layers, n, dims);
    if (layer < 0)
        return false;
    int64_t source[ONNX_RANK];
    memcpy(source, model.dims, sizeof source);
    source[axis] = sum;
    onnx_result(y, model.type, model.rank, source, n, axes, layer);
    return true;
}

/* Makes a Slice layer of `from`, whose axes are `axes`: starts, steps and dims are per axis of the
 * source. */
static int slice_layer(struct onnx_import *import, int from, int n, const int *axes,
                       const int64_t *starts, const int64_t *steps, const int64_t *dims) {
    int begin[ONNX_RANK], size[ONNX_RANK], strides[ONNX_RANK];
    bool whole = true;
    for (int k = 0; k < n; k++) {
        begin[k] = (int)starts[axes[k]];
        size[k] = (int)dims[axes[k]];
        strides[k] = (int)steps[axes[k]];
        whole &= size[k] == import->layers[from].dims[k] && strides[k] == 1;
    }
    if (whole)
        return from;
    return onnx_layer(import, "Slice",
                      json_pack("{s:o, s:o, s:o}", "begin", json_ints(n, begin), "size",
                                json_ints(n, size), "strides", json_ints(n, strides)),
                      1, &from, n, size);
}

bool onnx_lower_slice(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    int64_t starts[ONNX_RANK], steps[ONNX_RANK], dims[ONNX_RANK];
    int axes[ONNX_RANK], layer;
    if (x == NULL || y == NULL || !onnx_slice_ranges(import, x->rank, x->dims, starts, steps, dims))
        return false;
    for (int i = 0; i < x->rank; i++)
        if (dims[i] == 0)
            return onnx_refuse(import, "its output has length 0 along axis %d", i);
    const int n = onnx_axes_of(x, 0, -1, axes);
    if (!onnx_arrange(import, x, n, axes, &layer) ||
        (n > 0 && (layer = slice_layer(import, layer, n, axes, starts, steps, dims)) < 0))
        return false;
    onnx_result(y, x->type, x->rank, dims, n, axes, layer);
    return true;
}

bool onnx_lower_split(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const int64_t *sizes;
    int axis, axes[ONNX_RANK], layer;
    int64_t starts[ONNX_RANK] = {0}, steps[ONNX_RANK], dims[ONNX_RANK];
    if (x == NULL || !onnx_split_sizes(import, x->rank, x->dims, &axis, &sizes))
        return false;
    const int n = onnx_axes_of(x, 1U << axis, -1, axes);
    if (!onnx_arrange(import, x, n, axes, &layer))
        return false;
    for (int i = 0; i < ONNX_RANK; i++)
        steps[i] = 1;
    for (size_t i = 0; i < import->node->output_count; i++) {
        memcpy(dims, x->dims, sizeof dims);
        dims[axis] = sizes[i];
        if (onnx_output(import, i) == NULL || sizes[i] == 0) {
            if (onnx_output(import, i) != NULL && onnx_output(import, i)->uses > 0)
                return onnx_refuse(import, "its output %zu is empty", i);
            continue;
        }
        const int part = slice_layer(import, layer, n, axes, starts, steps, dims);
        if (part < 0)
            return false;
        result_resized(import, i, x, axis, sizes[i], n, axes, part);
        starts[axis] += sizes[i];
    }
    return true;
}

bool onnx_lower_gather(struct onnx_import *import) {
    enum { MOST_PIECES = 1024 };
    const struct onnx_value *x = onnx_dynamic(import, 0);
    const struct onnx_tensor *indices = x != NULL ? onnx_constant(import, 1, "indices") : NULL;
    struct onnx_value *y = onnx_output(import, 0);
    int axis, axes[ONNX_RANK], layer, pieces[MOST_PIECES], count = 0;
    if (indices == NULL || y == NULL ||
        !onnx_axis(import, onnx_int(import->node, "axis", 0), x->rank, &axis))
        return false;
    if (indices->integers == NULL || indices->count < 1 || x->rank - 1 + indices->rank > ONNX_RANK)
        return onnx_refuse(import, "its indices are not usable");
    const int64_t length = x->dims[axis];
    const int n = onnx_axes_of(x, 1U << axis, -1, axes);
    const int place = axis_place(n, axes, axis);
    if (!onnx_arrange(import, x, n, axes, &layer))
        return false;
    /* Runs of consecutive indices become slices. */
    int64_t starts[ONNX_RANK] = {0}, steps[ONNX_RANK], dims[ONNX_RANK];
    for (int i = 0; i < ONNX_RANK; i++)
        steps[i] = 1;
    for (size_t i = 0; i < indices->count;) {
        const int64_t at = indices->integers[i] + (indices->integers[i] < 0 ? length : 0);
        size_t run = 1;
        while (i + run < indices->count &&
               indices->integers[i + run] == indices->integers[i] + (int64_t)run)
            run++;
        if (at < 0 || at + (int64_t)run > length)
            return onnx_refuse(import, "its index %lld is not one of %lld",
                               (long long)indices->integers[i], (long long)length);
        if (count == MOST_PIECES)
            return onnx_refuse(import, "its indices are in more than %d pieces", MOST_PIECES);
        memcpy(dims, x->dims, sizeof dims);
        dims[axis] = (int64_t)run;
        starts[axis] = at;
        pieces[count] = slice_layer(import, layer, n, axes, starts, steps, dims);
        if (pieces[count++] < 0)
            return false;
        i += run;
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = (int64_t)indices->count;
    if (count > 1) {
        int whole[ONNX_RANK];
        for (int k = 0; k < n; k++)
            whole[k] = (int)dims[axes[k]];
        layer = onnx_layer(import, "Concatenate", json_pack("{s:i}", "axis", place + 1), count,
                           pieces, n, whole);
    } else {
        layer = pieces[0];
    }
    if (layer < 0)
        return false;
    struct onnx_value gathered = {.name = y->name};
    onnx_result(&gathered, x->type, x->rank, dims, n, axes, layer);
    /* The axis is replaced by the indices' own shape. */
    int rank = 0;
    int64_t shape[ONNX_RANK];
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            shape[rank++] = dims[i];
            continue;
        }
        for (int k = 0; k < indices->rank; k++)
            shape[rank++] = indices->dims[k];
    }
    return onnx_view_reshape(import, y, &gathered, rank, shape);
}

bool onnx_lower_expand(struct onnx_import *import) {
    struct onnx_value *x = onnx_dynamic(import, 0), *y = onnx_output(import, 0);
    const int64_t *shape;
    size_t count;
    int rank, layers[2];
    int64_t dims[ONNX_RANK];
    struct onnx_operands operands;
    if (x == NULL || y == NULL || !onnx_integers_of(import, 1, "shape", &shape, &count))
        return false;
    if (shape == NULL || count > ONNX_RANK)
        return onnx_refuse(import, "its shape is not usable");
    if (!onnx_broadcast(import, x->rank, x->dims, (int)count, shape, &rank, dims))
        return false;
    if (count > 0 && import->batch > 1 && dims[0] == import->batch)
        dims[0] = 1;
    struct onnx_tensor *ones = onnx_tensor_make(import, ONNX_FLOAT, rank, dims);
    if (ones == NULL)
        return false;
    for (size_t i = 0; i < ones->count; i++)
        onnx_floats(ones)[i] = 1;
    struct onnx_value one = {.name = "ones"};
    onnx_set_constant(&one, ones);
    struct onnx_value *values[2] = {x, &one};
    if (!onnx_operands_align(import, 2, values, &operands))
        return false;
    layers[0] = operands.of[0].layer;
    if (!operands.of[0].whole) {
        layers[1] =
            onnx_layer_constant(import, operands.rank, operands.dims, operands.of[1].numbers);
        layers[0] = onnx_layer(import, "Binary", json_pack("{s:s}", "function", "multiply"), 2,
                               layers, operands.rank, operands.dims);
    }
    if (layers[0] < 0)
        return false;
    onnx_result_like(y, x->type, &operands.result, layers[0]);
    return true;
}

bool onnx_lower_tile(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    const struct onnx_tensor *repeats = x != NULL ? onnx_constant(import, 1, "repeats") : NULL;
    int axes[ONNX_RANK], layer;
    unsigned keep = 0;
    if (repeats == NULL || y == NULL)
        return false;
    if (repeats->integers == NULL || repeats->count != (size_t)x->rank)
        return onnx_refuse(import, "its repeats do not fit its input");
    int64_t dims[ONNX_RANK];
    for (int i = 0; i < x->rank; i++) {
        if (repeats->integers[i] < 1 || repeats->integers[i] > ONNX_OPERANDS)
            return onnx_refuse(import, "it repeats %lld times; from 1 to %d are supported",
                               (long long)repeats->integers[i], ONNX_OPERANDS);
        dims[i] = x->dims[i] * repeats->integers[i];
        keep |= repeats->integers[i] > 1 ? 1U << i : 0;
    }
    const int n = onnx_axes_of(x, keep, -1, axes);
    if (!onnx_arrange(import, x, n, axes, &layer))
        return false;
    for (int k = 0; k < n && layer >= 0; k++) {
        int copies[ONNX_OPERANDS], now[ONNX_ENGINE_RANK];
        const int count = (int)repeats->integers[axes[k]];
        if (count == 1)
            continue;
        memcpy(now, import->layers[layer].dims, sizeof now);
        now[k] *= count;
        for (int i = 0; i < count; i++)
            copies[i] = layer;
        layer = onnx_layer(import, "Concatenate", json_pack("{s:i}", "axis", k + 1), count, copies,
                           n, now);
    }
    if (layer < 0)
        return false;
    onnx_result(y, x->type, x->rank, dims, n, axes, layer);
    return true;
}

/* ---- Padding ---- */

/* What a Pad node adds before and after each axis; below 0 it cuts. */
struct padding {
    int64_t before[ONNX_RANK], after[ONNX_RANK];
    const char *mode;
    double value;
};

static bool padding_read(struct onnx_import *import, int rank, struct padding *ret_padding) {
    struct padding padding = {.mode = onnx_string(import, import->node, "mode", "constant"),
                              .value = (double)onnx_float(import->node, "value", 0)};
    const int64_t *pads, *listed;
    size_t count, listed_count = 0;
    if (!onnx_integers_of(import, 1, "pads", &pads, &count) ||
        !onnx_integers_of(import, 3, "axes", &listed, &listed_count))
        return false;
    if (onnx_input(import, 2) != NULL) {
        const struct onnx_tensor *constant = onnx_constant(import, 2, "value");
        if (constant == NULL)
            return false;
        padding.value = constant->count > 0 ? onnx_number(constant, 0) : 0;
    }
    padding.value = fmin(fmax(padding.value, (double)-FLT_MAX), (double)FLT_MAX);
    const size_t padded = listed != NULL ? listed_count : (size_t)rank;
    if (pads == NULL || count != 2 * padded)
        return onnx_refuse(import, "its pads are %zu numbers for %zu axes", count, padded);
    for (size_t i = 0; i < padded; i++) {
        int axis = (int)i;
        if (listed != NULL && !onnx_axis(import, listed[i], rank, &axis))
            return false;
        padding.before[axis] = pads[i];
        padding.after[axis] = pads[padded + i];
    }
    if (strcmp(padding.mode, "constant") != 0 && strcmp(padding.mode, "reflect") != 0 &&
        strcmp(padding.mode, "edge") != 0)
        return onnx_refuse(import, "its mode '%s' is not supported", padding.mode);
    *ret_padding = padding;
    return true;
}

/* Adds the layer that pads `layer`; first and last: the padding of its n axes, whole: its shape. */
static int padding_layer(struct onnx_import *import, const struct padding *padding, int layer,
                         int n, const int *first, const int *last, const int *whole) {
    bool any = false;
    for (int k = 0; k < n; k++)
        any |= first[k] + last[k] > 0;
    if (!any)
        return layer;
    if (n == 3 && first[2] + last[2] == 0 && padding->value == 0 &&
        strcmp(padding->mode, "constant") == 0)
        return onnx_layer(
            import, "ZeroPadding2D",
            json_pack("{s:[[i,i],[i,i]]}", "padding", first[0], last[0], first[1], last[1]), 1,
            &layer, n, whole);
    return onnx_layer(import, "Pad",
                      json_pack("{s:o, s:o, s:s, s:f}", "before", json_ints(n, first), "after",
                                json_ints(n, last), "mode", padding->mode, "value", padding->value),
                      1, &layer, n, whole);
}

bool onnx_lower_pad(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    struct padding padding;
    int64_t *const before = padding.before, *const after = padding.after, dims[ONNX_RANK];
    unsigned keep = 0;
    if (x == NULL || y == NULL || !padding_read(import, x->rank, &padding))
        return false;
    /* Negative padding is a Slice before the rest. */
    int64_t starts[ONNX_RANK], steps[ONNX_RANK], kept[ONNX_RANK];
    for (int i = 0; i < x->rank; i++) {
        if (before[i] < -(1 << 24) || before[i] > 1 << 24 || after[i] < -(1 << 24) ||
            after[i] > 1 << 24)
            return onnx_refuse(import, "it pads axis %d by %lld and %lld; up to %d are supported",
                               i, (long long)before[i], (long long)after[i], 1 << 24);
        starts[i] = before[i] < 0 ? -before[i] : 0;
        steps[i] = 1;
        kept[i] = x->dims[i] - starts[i] + (after[i] < 0 ? after[i] : 0);
        before[i] = before[i] < 0 ? 0 : before[i];
        after[i] = after[i] < 0 ? 0 : after[i];
        dims[i] = kept[i] + before[i] + after[i];
        if (kept[i] < 1 ||
            (strcmp(padding.mode, "reflect") == 0 && (before[i] >= kept[i] || after[i] >= kept[i])))
            return onnx_refuse(
                import,
                "it pads an axis of length %lld by %lld and %lld, which mode '%s' does not allow",
                (long long)kept[i], (long long)before[i], (long long)after[i], padding.mode);
        keep |= dims[i] != 1 ? 1U << i : 0;
    }
    int axes[ONNX_RANK], layer, first[ONNX_RANK], last[ONNX_RANK], whole[ONNX_RANK];
    const int n = onnx_axes_of(x, keep, -1, axes);
    if (!onnx_arrange(import, x, n, axes, &layer) ||
        (n > 0 && (layer = slice_layer(import, layer, n, axes, starts, steps, kept)) < 0))
        return false;
    for (int k = 0; k < n; k++) {
        first[k] = (int)before[axes[k]];
        last[k] = (int)after[axes[k]];
        whole[k] = (int)dims[axes[k]];
    }
    layer = padding_layer(import, &padding, layer, n, first, last, whole);
    if (layer < 0)
        return false;
    onnx_result(y, x->type, x->rank, dims, n, axes, layer);
    return true;
}

/* ---- Reducing ---- */

/* The network's name of the node's function. */
static const char *reduce_function(const struct onnx_import *import) {
    static const char *const functions[][2] = {
        {"ReduceMean", "mean"},      {"ReduceSum", "sum"},
        {"ReduceMax", "max"},        {"ReduceMin", "min"},
        {"ReduceProd", "product"},   {"ReduceL1", "l1"},
        {"ReduceL2", "l2"},          {"ReduceSumSquare", "sum_square"},
        {"ReduceLogSum", "log_sum"}, {"ReduceLogSumExp", "log_sum_exp"},
        {"ArgMax", "argmax"},        {"ArgMin", "argmin"},
    };
    const char *type = import->node->type;
    if (onnx_int(import->node, "select_last_index", 0) != 0 && strncmp(type, "Arg", 3) == 0)
        return strcmp(type, "ArgMax") == 0 ? "argmax_last" : "argmin_last";
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i][0], type) == 0)
            return functions[i][1];
    return NULL;
}

static bool is_reduced(unsigned reduced, int axis) {
    return (reduced >> axis & 1) != 0;
}

/* Chooses an order `axes` of the axes of x in which the reduced ones follow each other, and
 * dims[3]: the sizes before them, of them and behind them. Returns the number of axes. */
static int reduce_order(const struct onnx_value *x, unsigned reduced, int axes[static ONNX_RANK],
                        int dims[static 3]) {
    int order[ONNX_RANK], count = 0, begin = 0;
    const int n = onnx_axes_of(x, 0, -1, order);
    int end = n;
    bool together = true;
    while (begin < n && !is_reduced(reduced, order[begin]))
        begin++;
    while (end > begin && !is_reduced(reduced, order[end - 1]))
        end--;
    for (int i = begin; i < end; i++)
        together &= is_reduced(reduced, order[i]);
    if (together) { /* the usual case, which needs no Permute */
        for (int i = 0; i < n; i++)
            axes[i] = order[i];
    } else { /* the axes that stay come first, in their order */
        for (int i = 0; i < n; i++)
            if (!is_reduced(reduced, order[i]))
                axes[count++] = order[i];
        begin = count;
        end = n;
        for (int i = 0; i < n; i++)
            if (is_reduced(reduced, order[i]))
                axes[count++] = order[i];
    }
    dims[0] = dims[1] = dims[2] = 1;
    for (int i = 0; i < n; i++)
        dims[i < begin ? 0 : i < end ? 1 : 2] *= (int)x->dims[axes[i]];
    return n;
}

/* Describes the value of `layer`, whose n axes had the order `axes` before the reduction, as the
 * node's output. */
static bool reduce_result(struct onnx_import *import, const struct onnx_value *x, unsigned reduced,
                          int n, const int *axes, int layer) {
    struct onnx_value *y = onnx_output(import, 0);
    const bool index = strncmp(import->node->type, "Arg", 3) == 0;
    const bool keep = onnx_int(import->node, "keepdims", 1) != 0;
    int left[ONNX_RANK], out[ONNX_RANK], count = 0, rank = 0;
    int64_t kept[ONNX_RANK], gone[ONNX_RANK];
    for (int i = 0; i < n; i++)
        if (!is_reduced(reduced, axes[i])) {
            left[count] = axes[i];
            out[count++] = (int)x->dims[axes[i]];
        }
    if (count == 0)
        out[0] = 1;
    layer = onnx_layer_reshape(import, layer, count > 0 ? count : 1, out);
    if (layer < 0)
        return false;
    for (int i = 0; i < x->rank; i++) {
        kept[i] = is_reduced(reduced, i) ? 1 : x->dims[i];
        if (!is_reduced(reduced, i))
            gone[rank++] = x->dims[i];
    }
    struct onnx_value whole = {.name = y->name};
    onnx_result(&whole, index ? ONNX_INT64 : x->type, x->rank, kept, count, left, layer);
    return onnx_view_reshape(import, y, &whole, keep ? x->rank : rank, keep ? kept : gone);
}

bool onnx_lower_reduce(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    unsigned reduced;
    int axes[ONNX_RANK], dims[3], axis, layer;
    if (x == NULL || onnx_output(import, 0) == NULL)
        return false;
    if (strncmp(import->node->type, "Arg", 3) == 0) {
        if (!onnx_axis(import, onnx_int(import->node, "axis", 0), x->rank, &axis))
            return false;
        reduced = 1U << axis;
    } else if (!onnx_reduce_axes(import, x->rank, &reduced)) {
        return false;
    }
    const int n = reduce_order(x, reduced, axes, dims);
    if (!onnx_arrange(import, x, n, axes, &layer) ||
        (layer = onnx_layer_reshape(import, layer, 3, dims)) < 0)
        return false;
    layer = onnx_layer(import, "Reduce",
                       json_pack("{s:s, s:i}", "function", reduce_function(import), "axis", 2), 1,
                       &layer, 2, (const int[]){dims[0], dims[2]});
    return layer >= 0 && reduce_result(import, x, reduced, n, axes, layer);
}

/* ---- Resizing ---- */

/* Reads sizes and scales of each axis, from attributes and inputs of all opsets. */
static bool resize_sizes(struct onnx_import *import, const struct onnx_value *x, int64_t *dims,
                         double *scales) {
    const bool upsample = strcmp(import->node->type, "Upsample") == 0;
    const size_t scale_input = upsample || import->opset < 11 ? 1 : 2;
    const struct onnx_tensor *given = NULL;
    const float *factors = NULL;
    size_t count = 0;
    const Onnx__AttributeProto *attribute = onnx_attribute(import->node, "scales");
    if (attribute != NULL) {
        factors = attribute->floats;
        count = attribute->n_floats;
    } else if (onnx_input(import, scale_input) != NULL) {
        given = onnx_constant(import, scale_input, "scales");
        if (given == NULL)
            return false;
        factors = given->floats;
        count = given->count;
    }
    const int64_t *sizes = NULL, *listed;
    size_t size_count = 0, listed_count;
    listed = onnx_ints(import->node, "axes", &listed_count);
    if (!upsample && onnx_input(import, 3) != NULL && import->opset >= 11 &&
        !onnx_integers_of(import, 3, "sizes", &sizes, &size_count))
        return false;
    const size_t axes = listed != NULL ? listed_count : (size_t)x->rank;
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i];
        scales[i] = 1;
    }
    if ((sizes != NULL && size_count != axes) ||
        (sizes == NULL && (factors == NULL || count != axes)))
        return onnx_refuse(import, "its sizes or scales are not one per axis");
    const char *policy = onnx_string(import, import->node, "keep_aspect_ratio_policy", "stretch");
    if (strcmp(policy, "stretch") != 0)
        return onnx_refuse(import, "its keep_aspect_ratio_policy '%s' is not supported", policy);
    for (size_t i = 0; i < axes; i++) {
        int axis = (int)i;
        if (listed != NULL && !onnx_axis(import, listed[i], x->rank, &axis))
            return false;
        if (sizes != NULL) {
            if (i == 0 && axis == 0 && import->batch > 1 && sizes[i] == import->batch)
                continue;
            dims[axis] = sizes[i];
            scales[axis] = (double)sizes[i] / (double)x->dims[axis];
        } else {
            scales[axis] = (double)factors[i];
            const double size = floor((double)x->dims[axis] * scales[axis]);
            dims[axis] = size >= 0 && size < 1 << 24 ? (int64_t)size : -1;
        }
        if (dims[axis] < 1 || dims[axis] > 1 << 24)
            return onnx_refuse(import,
                               "its output has an axis of length %lld; from 1 to %d are supported",
                               (long long)dims[axis], 1 << 24);
    }
    return true;
}

bool onnx_lower_resize(struct onnx_import *import) {
    const struct onnx_value *x = onnx_dynamic(import, 0);
    struct onnx_value *y = onnx_output(import, 0);
    const bool old = strcmp(import->node->type, "Upsample") == 0 || import->opset < 11;
    const char *mode = onnx_string(import, import->node, "mode", "nearest");
    const char *coordinates = onnx_string(import, import->node, "coordinate_transformation_mode",
                                          old ? "asymmetric" : "half_pixel");
    const char *nearest =
        onnx_string(import, import->node, "nearest_mode", old ? "floor" : "round_prefer_floor");
    int64_t dims[ONNX_RANK];
    double scales[ONNX_RANK];
    int axes[ONNX_RANK], layer;
    unsigned keep = 0;
    if (x == NULL || y == NULL || !resize_sizes(import, x, dims, scales))
        return false;
    if (strcmp(mode, "bilinear") == 0)
        mode = "linear";
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const ways[] = {"half_pixel",           "asymmetric",
                                       "align_corners",        "pytorch_half_pixel",
                                       "half_pixel_symmetric", "tf_half_pixel_for_nn"};
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil"};
    bool known = false, way = false, rounding = false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        known |= strcmp(modes[i], mode) == 0;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        way |= strcmp(ways[i], coordinates) == 0;
    for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++)
        rounding |= strcmp(roundings[i], nearest) == 0;
    if (!known || !way || !rounding)
        return onnx_refuse(import,
                           "mode '%s' with coordinate_transformation_mode '%s' and nearest_mode "
                           "'%s' is not supported",
                           mode, coordinates, nearest);
    if (onnx_int(import->node, "antialias", 0) != 0)
        return onnx_refuse(import, "its antialias is not supported");
    for (int i = 0; i < x->rank; i++)
        keep |= dims[i] != x->dims[i] ? 1U << i : 0;
    const int n = onnx_axes_of(x, keep, -1, axes);
    if (!onnx_arrange(import, x, n, axes, &layer))
        return false;
    /* One layer per axis, since all modes are separable. */
    for (int k = 0; k < n && layer >= 0; k++) {
        const int axis = axes[k];
        if (dims[axis] == x->dims[axis] && scales[axis] == 1)
            continue;
        int now[ONNX_ENGINE_RANK];
        memcpy(now, import->layers[layer].dims, sizeof now);
        now[k] = (int)dims[axis];
        layer = onnx_layer(
            import, "Resize",
            json_pack("{s:i, s:i, s:f, s:s, s:s, s:s, s:f, s:b}", "axis", k + 1, "size", now[k],
                      "scale", scales[axis], "interpolation", mode, "coordinates", coordinates,
                      "rounding", nearest, "cubic_coefficient",
                      (double)onnx_float(import->node, "cubic_coeff_a", -0.75F), "exclude_outside",
                      onnx_int(import->node, "exclude_outside", 0) != 0),
            1, &layer, n, now);
    }
    if (layer < 0)
        return false;
    onnx_result(y, x->type, x->rank, dims, n, axes, layer);
    return true;
}
