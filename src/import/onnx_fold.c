/* onnx_fold.c: computes nodes whose inputs are all constant during the import: shape arithmetic,
 * weights that nodes make, dequantized weights. Plain loops in double precision; results are
 * rounded to the type. It makes no layer. Used by one thread. */
#include <math.h>
#include <string.h>

#include "import/onnx_private.h"

/* The present node with its inputs, which are all constant. */
struct folding {
    struct onnx_import *import;
    const struct onnx_node *node;
    size_t count;
    const struct onnx_tensor *inputs[16]; /* NULL: omitted */
};

struct fold_operator {
    const char *name;
    size_t least; /* number of required inputs */
    bool (*fold)(const struct folding *folding);
};

static bool fold_give(const struct folding *folding, size_t i, const struct onnx_tensor *tensor) {
    struct onnx_value *output = onnx_output(folding->import, i);
    if (tensor == NULL)
        return false;
    if (output != NULL)
        onnx_set_constant(output, tensor);
    return true;
}

/* ---- Elementwise ---- */

static double unary_value(const char *type, double x) {
    switch (type[0]) {
    case 'A':
        return fabs(x);
    case 'C':
        return strcmp(type, "Ceil") == 0 ? ceil(x) : cos(x);
    case 'E':
        return strcmp(type, "Erf") == 0 ? erf(x) : exp(x);
    case 'F':
        return floor(x);
    case 'L':
        return log(x);
    case 'N':
        return strcmp(type, "Not") == 0 ? x == 0 : -x;
    case 'R':
        return strcmp(type, "Relu") == 0    ? fmax(x, 0)
               : strcmp(type, "Round") == 0 ? rint(x)
                                            : 1 / x;
    case 'T':
        return tanh(x);
    default:
        if (strcmp(type, "Sigmoid") == 0)
            return 1 / (1 + exp(-x));
        if (strcmp(type, "Sign") == 0)
            return x > 0 ? 1 : x < 0 ? -1 : 0;
        return strcmp(type, "Sin") == 0 ? sin(x) : sqrt(x);
    }
}

static bool fold_unary(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    struct onnx_tensor *y = onnx_tensor_make(folding->import, x->type, x->rank, x->dims);
    for (size_t i = 0; y != NULL && i < y->count; i++)
        onnx_set_number(y, i, unary_value(folding->node->type, onnx_number(x, i)));
    return fold_give(folding, 0, y);
}

static double binary_value(const char *type, bool whole, double x, double y) {
    switch (type[0]) {
    case 'A':
        return strcmp(type, "And") == 0 ? x != 0 && y != 0 : x + y;
    case 'D':
        return whole ? (y == 0 ? 0 : trunc(x / y)) : x / y;
    case 'E':
        return x == y;
    case 'G':
        return strcmp(type, "Greater") == 0 ? x > y : x >= y;
    case 'L':
        return strcmp(type, "Less") == 0 ? x < y : x <= y;
    case 'M':
        if (strcmp(type, "Mul") == 0)
            return x * y;
        if (strcmp(type, "Mod") == 0)
            return y == 0 ? 0 : x - y * floor(x / y);
        return strcmp(type, "Max") == 0 ? fmax(x, y) : fmin(x, y);
    case 'O':
        return x != 0 || y != 0;
    case 'P':
        return pow(x, y);
    case 'X':
        return (x != 0) != (y != 0);
    default:
        return strcmp(type, "Sum") == 0 ? x + y : x - y;
    }
}

/* Index into a tensor of `dims` for element i of the broadcast shape. */
static size_t broadcast_index(int rank, const int64_t *dims, int out_rank, const int64_t *out,
                              size_t i) {
    size_t index = 0, stride = 1;
    for (int k = 1; k <= out_rank; k++) {
        const size_t digit = i % (size_t)out[out_rank - k];
        i /= (size_t)out[out_rank - k];
        if (k <= rank && dims[rank - k] != 1)
            index += digit * stride;
        if (k <= rank)
            stride *= (size_t)dims[rank - k];
    }
    return index;
}

static bool type_compares(const char *type) {
    return type[0] == 'E' || type[0] == 'G' || type[0] == 'L' || type[0] == 'O' || type[0] == 'X' ||
           strcmp(type, "And") == 0;
}

static bool fold_binary(const struct folding *folding) {
    const char *type = folding->node->type;
    const struct onnx_tensor *a = folding->inputs[0];
    for (size_t k = 1; k < folding->count; k++) {
        const struct onnx_tensor *b = folding->inputs[k];
        int rank;
        int64_t dims[ONNX_RANK];
        if (b == NULL ||
            !onnx_broadcast(folding->import, a->rank, a->dims, b->rank, b->dims, &rank, dims))
            return false;
        struct onnx_tensor *y = onnx_tensor_make(
            folding->import, type_compares(type) ? ONNX_BOOL : a->type, rank, dims);
        if (y == NULL)
            return false;
        for (size_t i = 0; i < y->count; i++) {
            const size_t at_a = broadcast_index(a->rank, a->dims, rank, dims, i);
            const size_t at_b = broadcast_index(b->rank, b->dims, rank, dims, i);
            if (a->integers != NULL && b->integers != NULL && y->integers != NULL &&
                (strcmp(type, "Add") == 0 || strcmp(type, "Sub") == 0)) {
                const int64_t right =
                    type[0] == 'A' ? b->integers[at_b] : (int64_t)(0 - (uint64_t)b->integers[at_b]);
                onnx_integers(y)[i] = (int64_t)((uint64_t)a->integers[at_a] + (uint64_t)right);
            } else {
                onnx_set_number(y, i,
                                binary_value(type, a->integers != NULL, onnx_number(a, at_a),
                                             onnx_number(b, at_b)));
            }
        }
        a = y;
    }
    return fold_give(folding, 0, a);
}

static bool fold_where(const struct folding *folding) {
    const struct onnx_tensor *c = folding->inputs[0], *x = folding->inputs[1];
    const struct onnx_tensor *y = folding->inputs[2];
    int rank;
    int64_t dims[ONNX_RANK];
    if (!onnx_broadcast(folding->import, x->rank, x->dims, y->rank, y->dims, &rank, dims) ||
        !onnx_broadcast(folding->import, rank, dims, c->rank, c->dims, &rank, dims))
        return false;
    struct onnx_tensor *out = onnx_tensor_make(folding->import, x->type, rank, dims);
    for (size_t i = 0; out != NULL && i < out->count; i++) {
        const bool first = onnx_number(c, broadcast_index(c->rank, c->dims, rank, dims, i)) != 0;
        const struct onnx_tensor *from = first ? x : y;
        onnx_set_number(out, i,
                        onnx_number(from, broadcast_index(from->rank, from->dims, rank, dims, i)));
    }
    return fold_give(folding, 0, out);
}

static bool fold_clip(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    double low = (double)onnx_float(folding->node, "min", -INFINITY);
    double high = (double)onnx_float(folding->node, "max", INFINITY);
    if (folding->count > 1 && folding->inputs[1] != NULL && folding->inputs[1]->count == 1)
        low = onnx_number(folding->inputs[1], 0);
    if (folding->count > 2 && folding->inputs[2] != NULL && folding->inputs[2]->count == 1)
        high = onnx_number(folding->inputs[2], 0);
    struct onnx_tensor *y = onnx_tensor_make(folding->import, x->type, x->rank, x->dims);
    for (size_t i = 0; y != NULL && i < y->count; i++)
        onnx_set_number(y, i, fmin(fmax(onnx_number(x, i), low), high));
    return fold_give(folding, 0, y);
}

static bool fold_cast(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    const int type = (int)onnx_int(folding->node, "to", ONNX_FLOAT);
    if (type < 1 || type > ONNX_BFLOAT16 || type == ONNX_STRING)
        return onnx_refuse(folding->import, "a cast to %s is not supported", onnx_type_name(type));
    struct onnx_tensor *y = onnx_tensor_make(folding->import, type, x->rank, x->dims);
    for (size_t i = 0; y != NULL && i < y->count; i++)
        onnx_set_number(y, i, onnx_number(x, i));
    return fold_give(folding, 0, y);
}

/* Scales and zero points of a constant, one of each or along an axis. False after onnx_refuse. */
struct scales {
    const struct onnx_tensor *scale, *zero; /* zero: NULL if omitted */
    size_t inner;                           /* elements that share one */
};

static bool scales_read(const struct folding *folding, struct scales *ret) {
    const struct onnx_tensor *x = folding->inputs[0], *scale = folding->inputs[1];
    const struct onnx_tensor *zero = folding->count > 2 ? folding->inputs[2] : NULL;
    int axis = 0;
    *ret = (struct scales){scale, zero, 1};
    if (onnx_int(folding->node, "block_size", 0) != 0)
        return onnx_refuse(folding->import, "its block_size is not supported");
    if (scale->count != 1) {
        if (!onnx_axis(folding->import, onnx_int(folding->node, "axis", 1), x->rank, &axis))
            return false;
        if (scale->count != (size_t)x->dims[axis] || (zero != NULL && zero->count != scale->count))
            return onnx_refuse(folding->import, "its scales do not fit its axis");
    } else if (zero != NULL && zero->count != 1) {
        return onnx_refuse(folding->import, "its zero points do not fit its scales");
    }
    for (int i = axis + 1; i < x->rank; i++)
        ret->inner *= (size_t)x->dims[i];
    return true;
}

static double scale_at(const struct scales *scales, size_t i, double *ret_zero) {
    const size_t channel = scales->scale->count != 1 ? i / scales->inner % scales->scale->count : 0;
    *ret_zero = scales->zero != NULL ? onnx_number(scales->zero, channel) : 0;
    return onnx_number(scales->scale, channel);
}

/* (x - zero_point) * scale */
static bool fold_dequantize(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    struct scales scales;
    double zero;
    if (!scales_read(folding, &scales))
        return false;
    struct onnx_tensor *y = onnx_tensor_make(folding->import, ONNX_FLOAT, x->rank, x->dims);
    for (size_t i = 0; y != NULL && i < y->count; i++) {
        const double scale = scale_at(&scales, i, &zero);
        onnx_set_number(y, i, (onnx_number(x, i) - zero) * scale);
    }
    return fold_give(folding, 0, y);
}

/* Quantizes weights that were trained for it: clip(round(x / scale) + zero_point). */
static bool fold_quantize(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    struct scales scales;
    double zero, least, most;
    if (!scales_read(folding, &scales))
        return false;
    const int given = (int)onnx_int(folding->node, "output_dtype", 0);
    const int type = scales.zero != NULL ? scales.zero->type : given != 0 ? given : ONNX_UINT8;
    if (!onnx_integer_range(type, &least, &most))
        return onnx_refuse(folding->import, "quantization to %s is not supported",
                           onnx_type_name(type));
    struct onnx_tensor *y = onnx_tensor_make(folding->import, type, x->rank, x->dims);
    for (size_t i = 0; y != NULL && i < y->count; i++) {
        const double scale = scale_at(&scales, i, &zero);
        const float ratio = (float)onnx_number(x, i) / (float)scale; /* as runtimes divide */
        onnx_set_number(y, i, fmin(fmax(rint((double)ratio) + zero, least), most));
    }
    return fold_give(folding, 0, y);
}

/* ---- Shapes ---- */

/* A tensor of another shape with the same numbers. */
static const struct onnx_tensor *tensor_reshaped(struct onnx_import *import,
                                                 const struct onnx_tensor *tensor, int rank,
                                                 const int64_t *dims) {
    struct onnx_tensor *copy = onnx_allocate(import, 1, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *tensor;
    copy->rank = rank;
    memset(copy->dims, 0, sizeof copy->dims);
    if (rank > 0)
        memcpy(copy->dims, dims, (size_t)rank * sizeof *dims);
    return copy;
}

static bool fold_identity(const struct folding *folding) {
    if (!fold_give(folding, 0, folding->inputs[0]))
        return false;
    struct onnx_value *mask = onnx_output(folding->import, 1);
    if (mask != NULL) /* Dropout's */
        return onnx_refuse(folding->import, "its output 1, the mask, is not supported");
    return true;
}

static bool fold_constant(const struct folding *folding) {
    struct onnx_import *import = folding->import;
    const struct onnx_node *node = folding->node;
    const Onnx__AttributeProto *attribute;
    struct onnx_tensor *tensor = NULL;
    if ((attribute = onnx_attribute(node, "value")) != NULL && attribute->t != NULL)
        return fold_give(folding, 0, onnx_tensor_read(import, attribute->t));
    if ((attribute = onnx_attribute(node, "value_float")) != NULL) {
        tensor = onnx_tensor_make(import, ONNX_FLOAT, 0, NULL);
        if (tensor != NULL)
            onnx_floats(tensor)[0] = attribute->f;
    } else if ((attribute = onnx_attribute(node, "value_int")) != NULL) {
        tensor = onnx_tensor_make(import, ONNX_INT64, 0, NULL);
        if (tensor != NULL)
            onnx_integers(tensor)[0] = attribute->i;
    } else if ((attribute = onnx_attribute(node, "value_floats")) != NULL) {
        const int64_t dims[1] = {(int64_t)attribute->n_floats};
        tensor = onnx_tensor_make(import, ONNX_FLOAT, 1, dims);
        if (tensor != NULL && attribute->n_floats > 0)
            if (attribute->n_floats > 0)
                memcpy(onnx_floats(tensor), attribute->floats, attribute->n_floats * sizeof(float));
    } else if ((attribute = onnx_attribute(node, "value_ints")) != NULL) {
        const int64_t dims[1] = {(int64_t)attribute->n_ints};
        tensor = onnx_tensor_make(import, ONNX_INT64, 1, dims);
        if (tensor != NULL && attribute->n_ints > 0)
            if (attribute->n_ints > 0)
                memcpy(onnx_integers(tensor), attribute->ints, attribute->n_ints * sizeof(int64_t));
    } else {
        return onnx_refuse(import, "its value is neither numbers nor a tensor");
    }
    return fold_give(folding, 0, tensor);
}

static bool fold_constant_of_shape(const struct folding *folding) {
    const struct onnx_tensor *shape = folding->inputs[0], *value = NULL;
    const Onnx__AttributeProto *attribute = onnx_attribute(folding->node, "value");
    if (shape->integers == NULL || shape->rank > 1 || shape->count > ONNX_RANK)
        return onnx_refuse(folding->import, "its shape is not a list of at most %d integers",
                           ONNX_RANK);
    if (attribute != NULL && attribute->t != NULL &&
        (value = onnx_tensor_read(folding->import, attribute->t)) == NULL)
        return false;
    if (value != NULL && value->count != 1)
        return onnx_refuse(folding->import, "its value is not one number");
    struct onnx_tensor *y =
        onnx_tensor_make(folding->import, value != NULL ? value->type : ONNX_FLOAT,
                         (int)shape->count, shape->integers);
    for (size_t i = 0; y != NULL && value != NULL && i < y->count; i++)
        onnx_set_number(y, i, onnx_number(value, 0));
    return fold_give(folding, 0, y);
}

static bool fold_range(const struct folding *folding) {
    const struct onnx_tensor *start = folding->inputs[0];
    for (size_t i = 0; i < 3; i++)
        if (folding->inputs[i]->count != 1)
            return onnx_refuse(folding->import, "its inputs are not single numbers");
    const double from = onnx_number(start, 0), to = onnx_number(folding->inputs[1], 0);
    const double by = onnx_number(folding->inputs[2], 0);
    const double steps = ceil((to - from) / by);
    if (by == 0 || !(steps < ONNX_MAX_FOLDED))
        return onnx_refuse(folding->import,
                           "its range must have a step other than 0 and at most %d numbers",
                           ONNX_MAX_FOLDED - 1);
    const int64_t dims[1] = {steps > 0 ? (int64_t)steps : 0};
    struct onnx_tensor *y = onnx_tensor_make(folding->import, start->type, 1, dims);
    for (size_t i = 0; y != NULL && i < y->count; i++)
        onnx_set_number(y, i, from + (double)i * by);
    return fold_give(folding, 0, y);
}

static bool fold_reshape(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    int rank;
    int64_t dims[ONNX_RANK];
    return onnx_reshape_dims(folding->import, x->rank, x->dims, &rank, dims) &&
           fold_give(folding, 0, tensor_reshaped(folding->import, x, rank, dims));
}

/* out[i] = x[source of i], where the source is base + sum of digit * stride. */
static const struct onnx_tensor *tensor_strided(struct onnx_import *import,
                                                const struct onnx_tensor *x, int rank,
                                                const int64_t *dims, int64_t base,
                                                const int64_t *strides) {
    int64_t digits[ONNX_RANK] = {0}, at = base;
    struct onnx_tensor *y = onnx_tensor_make(import, x->type, rank, dims);
    for (size_t i = 0; y != NULL && i < y->count; i++) {
        if (y->floats != NULL)
            onnx_floats(y)[i] = x->floats[at];
        else
            onnx_integers(y)[i] = x->integers[at];
        for (int k = rank - 1; k >= 0; k--) {
            at += strides[k];
            if (++digits[k] < dims[k])
                break;
            at -= digits[k] * strides[k];
            digits[k] = 0;
        }
    }
    return y;
}

static void strides_of(int rank, const int64_t *dims, int64_t *strides) {
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

const struct onnx_tensor *onnx_tensor_transpose(struct onnx_import *import,
                                                const struct onnx_tensor *x, const int *order) {
    int64_t strides[ONNX_RANK], moved[ONNX_RANK], dims[ONNX_RANK];
    strides_of(x->rank, x->dims, strides);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[order[i]];
        moved[i] = strides[order[i]];
    }
    return tensor_strided(import, x, x->rank, dims, 0, moved);
}

static bool fold_transpose(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    int order[ONNX_RANK];
    return onnx_transpose_order(folding->import, x->rank, order) &&
           fold_give(folding, 0, onnx_tensor_transpose(folding->import, x, order));
}

static bool fold_slice(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    int64_t starts[ONNX_RANK], steps[ONNX_RANK], dims[ONNX_RANK], strides[ONNX_RANK], base = 0;
    if (!onnx_slice_ranges(folding->import, x->rank, x->dims, starts, steps, dims))
        return false;
    strides_of(x->rank, x->dims, strides);
    for (int i = 0; i < x->rank; i++) {
        base += starts[i] * strides[i];
        strides[i] *= steps[i];
    }
    return fold_give(folding, 0, tensor_strided(folding->import, x, x->rank, dims, base, strides));
}

static bool fold_gather(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0], *indices = folding->inputs[1];
    int axis, rank = 0;
    size_t outer = 1, inner = 1;
    int64_t dims[ONNX_RANK];
    if (!onnx_axis(folding->import, onnx_int(folding->node, "axis", 0), x->rank, &axis))
        return false;
    if (indices->integers == NULL || x->rank - 1 + indices->rank > ONNX_RANK)
        return onnx_refuse(folding->import, "its indices are not usable");
    for (int i = 0; i < axis; i++)
        outer *= (size_t)(dims[rank++] = x->dims[i]);
    for (int i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        inner *= (size_t)(dims[rank++] = x->dims[i]);
    const int64_t length = x->dims[axis];
    for (size_t i = 0; i < indices->count; i++)
        if (indices->integers[i] < -length || indices->integers[i] >= length)
            return onnx_refuse(folding->import, "its index %lld is not one of %lld",
                               (long long)indices->integers[i], (long long)length);
    struct onnx_tensor *y = onnx_tensor_make(folding->import, x->type, rank, dims);
    if (y == NULL)
        return false;
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < indices->count; i++) {
            const int64_t index = indices->integers[i];
            const size_t from = (o * (size_t)length + (size_t)(index < 0 ? index + length : index));
            for (size_t k = 0; k < inner; k++)
                if (y->floats != NULL)
                    onnx_floats(y)[(o * indices->count + i) * inner + k] =
                        x->floats[from * inner + k];
                else
                    onnx_integers(y)[(o * indices->count + i) * inner + k] =
                        x->integers[from * inner + k];
        }
    return fold_give(folding, 0, y);
}

static bool fold_concat(const struct folding *folding) {
    const struct onnx_tensor *first = folding->inputs[0];
    int axis;
    size_t outer = 1, inner = 1, at = 0;
    if (!onnx_axis(folding->import, onnx_int(folding->node, "axis", 0), first->rank, &axis))
        return false;
    int64_t dims[ONNX_RANK];
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    for (size_t k = 0; k < folding->count; k++) {
        const struct onnx_tensor *part = folding->inputs[k];
        bool alike = part != NULL && part->rank == first->rank &&
                     (part->floats != NULL) == (first->floats != NULL);
        for (int i = 0; alike && i < first->rank; i++)
            alike = i == axis || part->dims[i] == first->dims[i];
        if (!alike || part->dims[axis] > ONNX_MAX_FOLDED)
            return onnx_refuse(folding->import, "its input %zu does not fit the first", k);
        dims[axis] += part->dims[axis];
    }
    struct onnx_tensor *y = onnx_tensor_make(folding->import, first->type, first->rank, dims);
    if (y == NULL)
        return false;
    for (int i = 0; i < axis; i++)
        outer *= (size_t)dims[i];
    for (int i = axis + 1; i < first->rank; i++)
        inner *= (size_t)dims[i];
    for (size_t k = 0; k < folding->count; k++) {
        const struct onnx_tensor *part = folding->inputs[k];
        const size_t run = (size_t)part->dims[axis] * inner;
        for (size_t o = 0; o < outer && run > 0; o++)
            if (y->floats != NULL)
                memcpy(onnx_floats(y) + o * (size_t)dims[axis] * inner + at, part->floats + o * run,
                       run * sizeof(float));
            else
                memcpy(onnx_integers(y) + o * (size_t)dims[axis] * inner + at,
                       part->integers + o * run, run * sizeof(int64_t));
        at += run;
    }
    return fold_give(folding, 0, y);
}

static bool fold_squeeze(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    int rank;
    int64_t dims[ONNX_RANK];
    const bool fits = strcmp(folding->node->type, "Squeeze") == 0
                          ? onnx_squeeze_dims(folding->import, x->rank, x->dims, &rank, dims)
                          : onnx_unsqueeze_dims(folding->import, x->rank, x->dims, &rank, dims);
    return fits && fold_give(folding, 0, tensor_reshaped(folding->import, x, rank, dims));
}

static bool fold_flatten(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    int64_t dims[2];
    return onnx_flatten_dims(folding->import, x->rank, x->dims, dims) &&
           fold_give(folding, 0, tensor_reshaped(folding->import, x, 2, dims));
}

static bool fold_expand(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0], *shape = folding->inputs[1];
    int rank;
    int64_t dims[ONNX_RANK];
    if (shape->integers == NULL || shape->count > ONNX_RANK)
        return onnx_refuse(folding->import, "its shape is not usable");
    if (!onnx_broadcast(folding->import, x->rank, x->dims, (int)shape->count, shape->integers,
                        &rank, dims))
        return false;
    struct onnx_tensor *y = onnx_tensor_make(folding->import, x->type, rank, dims);
    for (size_t i = 0; y != NULL && i < y->count; i++)
        onnx_set_number(y, i, onnx_number(x, broadcast_index(x->rank, x->dims, rank, dims, i)));
    return fold_give(folding, 0, y);
}

static bool fold_tile(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0], *repeats = folding->inputs[1];
    int64_t dims[ONNX_RANK], strides[ONNX_RANK];
    if (repeats->integers == NULL || repeats->count != (size_t)x->rank)
        return onnx_refuse(folding->import, "its repeats do not fit its input");
    for (int i = 0; i < x->rank; i++)
        if (repeats->integers[i] < 0 || repeats->integers[i] > ONNX_MAX_FOLDED ||
            __builtin_mul_overflow(x->dims[i], repeats->integers[i], &dims[i]))
            return onnx_refuse(folding->import, "its repeats must be from 0 to %d",
                               ONNX_MAX_FOLDED);
    strides_of(x->rank, x->dims, strides);
    struct onnx_tensor *y = onnx_tensor_make(folding->import, x->type, x->rank, dims);
    for (size_t i = 0; y != NULL && i < y->count; i++) {
        size_t rest = i, at = 0;
        for (int k = x->rank - 1; k >= 0; k--) {
            at += rest % (size_t)dims[k] % (size_t)x->dims[k] * (size_t)strides[k];
            rest /= (size_t)dims[k];
        }
        onnx_set_number(y, i, onnx_number(x, at));
    }
    return fold_give(folding, 0, y);
}

static double reduce_add(const char *type, double sum, double x) {
    if (strcmp(type, "ReduceMax") == 0)
        return fmax(sum, x);
    if (strcmp(type, "ReduceMin") == 0)
        return fmin(sum, x);
    if (strcmp(type, "ReduceProd") == 0)
        return sum * x;
    if (strcmp(type, "ReduceL2") == 0)
        return sum + x * x;
    return sum + (strcmp(type, "ReduceL1") == 0 ? fabs(x) : x);
}

static double reduce_finish(const char *type, double sum, size_t reduced) {
    if (strcmp(type, "ReduceMean") == 0)
        return sum / (double)reduced;
    return strcmp(type, "ReduceL2") == 0 ? sqrt(sum) : sum;
}

static bool fold_reduce(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    const char *type = folding->node->type;
    unsigned axes;
    int rank = 0;
    int64_t dims[ONNX_RANK], kept[ONNX_RANK];
    if (!onnx_reduce_axes(folding->import, x->rank, &axes))
        return false;
    const bool keep = onnx_int(folding->node, "keepdims", 1) != 0;
    size_t reduced = 1;
    for (int i = 0; i < x->rank; i++) {
        const bool gone = (axes >> i & 1) != 0;
        kept[i] = gone ? 1 : x->dims[i];
        reduced *= gone ? (size_t)x->dims[i] : 1;
        if (!gone || keep)
            dims[rank++] = kept[i];
    }
    struct onnx_tensor *y = onnx_tensor_make(folding->import, x->type, rank, dims);
    double *sums = y != NULL ? onnx_allocate(folding->import, y->count + 1, sizeof *sums) : NULL;
    if (sums == NULL)
        return false;
    for (size_t i = 0; i < y->count; i++)
        sums[i] = strcmp(type, "ReduceMax") == 0    ? -INFINITY
                  : strcmp(type, "ReduceMin") == 0  ? INFINITY
                  : strcmp(type, "ReduceProd") == 0 ? 1
                                                    : 0;
    for (size_t i = 0; i < x->count; i++) {
        double *sum = &sums[broadcast_index(x->rank, kept, x->rank, x->dims, i)];
        *sum = reduce_add(type, *sum, onnx_number(x, i));
    }
    for (size_t i = 0; i < y->count; i++)
        onnx_set_number(y, i, reduce_finish(type, sums[i], reduced));
    return fold_give(folding, 0, y);
}

static bool fold_split(const struct folding *folding) {
    const struct onnx_tensor *x = folding->inputs[0];
    int axis;
    int64_t strides[ONNX_RANK], start = 0;
    const int64_t *sizes;
    if (!onnx_split_sizes(folding->import, x->rank, x->dims, &axis, &sizes))
        return false;
    strides_of(x->rank, x->dims, strides);
    for (size_t i = 0; i < folding->node->output_count; i++) {
        int64_t dims[ONNX_RANK];
        memcpy(dims, x->dims, sizeof dims);
        dims[axis] = sizes[i];
        if (!fold_give(
                folding, i,
                tensor_strided(folding->import, x, x->rank, dims, start * strides[axis], strides)))
            return false;
        start += sizes[i];
    }
    return true;
}

static const struct fold_operator operators[] = {
    {"Constant", 0, fold_constant},
    {"ConstantOfShape", 1, fold_constant_of_shape},
    {"Identity", 1, fold_identity},
    {"Dropout", 1, fold_identity},
    {"Cast", 1, fold_cast},
    {"Clip", 1, fold_clip},
    {"DequantizeLinear", 2, fold_dequantize},
    {"QuantizeLinear", 2, fold_quantize},
    {"Range", 3, fold_range},
    {"Reshape", 1, fold_reshape},
    {"Flatten", 1, fold_flatten},
    {"Transpose", 1, fold_transpose},
    {"Slice", 1, fold_slice},
    {"Gather", 2, fold_gather},
    {"Concat", 1, fold_concat},
    {"Split", 1, fold_split},
    {"Squeeze", 1, fold_squeeze},
    {"Unsqueeze", 1, fold_squeeze},
    {"Expand", 2, fold_expand},
    {"Tile", 2, fold_tile},
    {"Where", 3, fold_where},
    {"ReduceSum", 1, fold_reduce},
    {"ReduceMean", 1, fold_reduce},
    {"ReduceMax", 1, fold_reduce},
    {"ReduceMin", 1, fold_reduce},
    {"ReduceProd", 1, fold_reduce},
    {"ReduceL1", 1, fold_reduce},
    {"ReduceL2", 1, fold_reduce},
    {"Abs", 1, fold_unary},
    {"Ceil", 1, fold_unary},
    {"Cos", 1, fold_unary},
    {"Erf", 1, fold_unary},
    {"Exp", 1, fold_unary},
    {"Floor", 1, fold_unary},
    {"Log", 1, fold_unary},
    {"Neg", 1, fold_unary},
    {"Not", 1, fold_unary},
    {"Reciprocal", 1, fold_unary},
    {"Relu", 1, fold_unary},
    {"Round", 1, fold_unary},
    {"Sigmoid", 1, fold_unary},
    {"Sign", 1, fold_unary},
    {"Sin", 1, fold_unary},
    {"Sqrt", 1, fold_unary},
    {"Tanh", 1, fold_unary},
    {"Add", 2, fold_binary},
    {"Sub", 2, fold_binary},
    {"Mul", 2, fold_binary},
    {"Div", 2, fold_binary},
    {"Mod", 2, fold_binary},
    {"Pow", 2, fold_binary},
    {"Max", 1, fold_binary},
    {"Min", 1, fold_binary},
    {"Sum", 1, fold_binary},
    {"Equal", 2, fold_binary},
    {"Greater", 2, fold_binary},
    {"GreaterOrEqual", 2, fold_binary},
    {"Less", 2, fold_binary},
    {"LessOrEqual", 2, fold_binary},
    {"And", 2, fold_binary},
    {"Or", 2, fold_binary},
    {"Xor", 2, fold_binary},
};

bool onnx_fold_knows(const char *type) {
    bool known = strcmp(type, "Shape") == 0 || strcmp(type, "Size") == 0;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        known |= strcmp(operators[i].name, type) == 0;
    return known;
}

/* Shape and Size have a constant result for dynamic values, too. */
static bool fold_shape(struct onnx_import *import, bool *ret_folded) {
    const struct onnx_value *value = onnx_input(import, 0);
    struct onnx_value *output = onnx_output(import, 0);
    if (value == NULL || output == NULL)
        return onnx_refuse(import, "it has no input or no output");
    const bool size = strcmp(import->node->type, "Size") == 0;
    int64_t start = onnx_int(import->node, "start", 0),
            end = onnx_int(import->node, "end", INT64_MAX);
    start = start < 0 ? start + value->rank : start;
    end = end < 0 ? end + value->rank : end;
    start = start < 0 ? 0 : start > value->rank ? value->rank : start;
    end = end > value->rank ? value->rank : end < start ? start : end;
    const int64_t dims[1] = {end - start};
    struct onnx_tensor *tensor = onnx_tensor_make(import, ONNX_INT64, size ? 0 : 1, dims);
    if (tensor == NULL)
        return false;
    if (size)
        onnx_integers(tensor)[0] = 1;
    for (int i = 0; size && i < value->rank; i++)
        onnx_integers(tensor)[0] *= value->dims[i];
    for (int64_t i = start; !size && i < end; i++)
        onnx_integers(tensor)[i - start] = value->dims[i];
    onnx_set_constant(output, tensor);
    *ret_folded = true;
    return true;
}

bool onnx_fold(struct onnx_import *import, bool *ret_folded) {
    const struct onnx_node *node = import->node;
    struct folding folding = {import, node, node->input_count, {NULL}};
    *ret_folded = false;
    if (strcmp(node->type, "Shape") == 0 || strcmp(node->type, "Size") == 0)
        return fold_shape(import, ret_folded);
    const size_t most = sizeof folding.inputs / sizeof *folding.inputs;
    if (node->input_count > most)
        return true;
    const struct fold_operator *one = NULL;
    for (size_t i = 0; i < sizeof operators / sizeof *operators && one == NULL; i++)
        if (strcmp(operators[i].name, node->type) == 0)
            one = &operators[i];
    if (one == NULL)
        return true;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct onnx_value *value = onnx_input(import, i);
        if (value != NULL && value->state != ONNX_CONSTANT)
            return true; /* the operator makes a layer */
        folding.inputs[i] = value != NULL ? value->tensor : NULL;
    }
    for (size_t i = 0; i < one->least; i++)
        if (i >= node->input_count || folding.inputs[i] == NULL)
            return onnx_refuse(import, "its input %zu is missing", i);
    *ret_folded = true;
    return one->fold(&folding);
}
