/* rearrange.c: Keras's Reshape, Permute and RepeatVector, which change the order or shape of
 * numbers. No state. */
#include <string.h>

#include "layers/layer_type.h"

/* ---- The same floats in another shape ---- */

static void view_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    memcpy(pass->y, pass->x, pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->y);
}

static void view_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        memcpy(pass->dx, pass->dy,
               pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->dx);
}

static const struct cn_layer_training view_training = {.forward = view_forward,
                                                       .backward = view_backward};

/* ---- Reshape ---- */

struct reshape_config {
    struct cn_ints target_shape; /* one may be -1: computed from the others */
};

static const struct reshape_config reshape_defaults = {{0, {0}}};
static const struct cn_field reshape_fields[] = {
    {"target_shape", CN_FIELD_INT_LIST, offsetof(struct reshape_config, target_shape), true, false,
     -1, CN_SHAPE_MAX_ELEMENTS, NULL},
};

static enum cn_status reshape_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_ints *target =
        &((const struct reshape_config *)(const void *)layer->config)->target_shape;
    char text[CN_SHAPE_TEXT];
    const long long size = (long long)cn_shape_size(&layer->input_shape);
    long long known = 1;
    int open = -1;
    bool fits = target->count >= 1 && target->count <= CN_SHAPE_MAX_RANK;
    struct cn_shape shape = {.rank = target->count, .dims = {1, 1, 1, 1, 1}};
    for (int i = 0; fits && i < target->count; i++) {
        shape.dims[i] = target->values[i];
        if (target->values[i] == -1)
            fits = open < 0, open = i;
        else
            known *= target->values[i];
        fits = fits && target->values[i] != 0 && known <= CN_SHAPE_MAX_ELEMENTS;
    }
    if (fits && open >= 0) {
        fits = size % known == 0;
        shape.dims[open] = (int)(size / known);
        known = size;
    }
    if (!fits || known != size)
        return cn_fail(
            error, CN_INVALID, "layer \"%s\" (%s): its input %s does not make its target shape",
            layer->name, layer->type->class_name, cn_shape_format(&layer->input_shape, text));
    layer->output_shape = shape;
    return CN_OK;
}

const struct cn_layer_type cn_reshape_type = {.class_name = "Reshape",
                                              .onnx = "Reshape Squeeze Unsqueeze",
                                              CN_LAYER_KEYS(reshape_defaults, reshape_fields),
                                              .build = reshape_build,
                                              .training = &view_training};

/* ---- Permute ---- */

struct permute_config {
    struct cn_ints dims; /* axis i of the output is axis dims[i] of the input, counted from 1 */
};

static const struct permute_config permute_defaults = {{0, {0}}};
static const struct cn_field permute_fields[] = {
    {"dims", CN_FIELD_INT_LIST, offsetof(struct permute_config, dims), true, false, 1,
     CN_SHAPE_MAX_RANK, NULL},
};

static const struct cn_ints *permute_dims(const struct cn_layer *layer) {
    return &((const struct permute_config *)(const void *)layer->config)->dims;
}

static enum cn_status permute_build(struct cn_layer *layer, struct cn_error *error) {
    const struct cn_ints *dims = permute_dims(layer);
    char text[CN_SHAPE_TEXT];
    unsigned seen = 0;
    for (int i = 0; i < dims->count; i++)
        seen |= 1u << dims->values[i];
    if (dims->count != layer->input_shape.rank || seen != (2u << dims->count) - 2)
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s): its dims are no order of the axes of its input %s",
                       layer->name, layer->type->class_name,
                       cn_shape_format(&layer->input_shape, text));
    layer->output_shape = layer->input_shape;
    for (int i = 0; i < dims->count; i++)
        layer->output_shape.dims[i] = layer->input_shape.dims[dims->values[i] - 1];
    return CN_OK;
}

/* A permutation that keeps the first axes and rotates the others, as from channels last to channels
 * first: so many matrices [rows, columns] are transposed. */
struct transposition {
    size_t matrices, rows, columns;
};

/* False: it is another permutation. */
static bool transposition_of(const struct cn_layer *layer,
                             struct transposition *ret_transposition) {
    const struct cn_ints *dims = permute_dims(layer);
    const struct cn_shape *in = &layer->input_shape;
    int kept = 0;
    *ret_transposition = (struct transposition){1, 1, 1};
    while (kept < in->rank && dims->values[kept] == kept + 1)
        ret_transposition->matrices *= (size_t)in->dims[kept++];
    const int first = kept < in->rank ? dims->values[kept] - 1 : kept; /* of the columns' axes */
    for (int i = kept; i < in->rank; i++) {
        const int at = first + i - kept < in->rank ? first + i - kept : first + i - in->rank;
        if (dims->values[i] - 1 != at)
            return false;
        *(i < first ? &ret_transposition->rows : &ret_transposition->columns) *=
            (size_t)in->dims[i];
    }
    return true;
}

/* to[columns, rows] from from[rows, columns], by squares that stay in the cache. */
static void transpose_matrix(const float *from, size_t rows, size_t columns, float *to) {
    enum { SIDE = 16 };
    for (size_t first = 0; first < rows; first += SIDE)
        for (size_t c = 0; c < columns; c++)
            for (size_t r = first; r < rows && r < first + SIDE; r++)
                to[c * rows + r] = from[r * columns + c];
}

/* Copies one sample: to[output order] = from[input order], or back. */
static void permute_sample(const struct cn_layer *layer, const float *from, float *to, bool back) {
    const struct cn_shape *in = &layer->input_shape, *out = &layer->output_shape;
    const struct cn_ints *dims = permute_dims(layer);
    struct transposition transposition;
    if (transposition_of(layer, &transposition)) {
        const size_t size = transposition.rows * transposition.columns;
        for (size_t m = 0; m < transposition.matrices; m++)
            transpose_matrix(from + m * size, back ? transposition.columns : transposition.rows,
                             back ? transposition.rows : transposition.columns, to + m * size);
        return;
    }
    size_t strides[CN_SHAPE_MAX_RANK], ordered[CN_SHAPE_MAX_RANK], stride = 1;
    int index[CN_SHAPE_MAX_RANK] = {0};
    for (int i = in->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= (size_t)in->dims[i];
    }
    for (int i = 0; i < out->rank; i++)
        ordered[i] = strides[dims->values[i] - 1];
    const int last = out->rank - 1;
    const size_t width = (size_t)out->dims[last], step = ordered[last];
    for (size_t k = 0, at = 0, size = cn_shape_size(out); k < size; k += width) {
        if (back)
            for (size_t c = 0; c < width; c++)
                to[at + c * step] = from[k + c];
        else
            for (size_t c = 0; c < width; c++)
                to[k + c] = from[at + c * step];
        for (int i = last - 1; i >= 0; i--) {
            at += ordered[i];
            if (++index[i] < out->dims[i])
                break;
            at -= ordered[i] * (size_t)out->dims[i];
            index[i] = 0;
        }
    }
}

static void permute_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                          float *y, float *scratch) {
    const size_t size = cn_shape_size(&step->layer.input_shape);
    (void)scratch;
    for (size_t n = 0; n < count; n++)
        permute_sample(&step->layer, inputs[0] + n * size, y + n * size, false);
}

static void permute_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t n = 0; pass->dx != NULL && n < pass->count; n++)
        permute_sample(layer, pass->dy + n * size, pass->dx + n * size, true);
}

static const struct cn_layer_training permute_training = {.backward = permute_backward};
static const struct cn_layer_inference permute_inference = {.infer = permute_infer};

const struct cn_layer_type cn_permute_type = {.class_name = "Permute",
                                              .onnx = "Transpose",
                                              CN_LAYER_KEYS(permute_defaults, permute_fields),
                                              .build = permute_build,
                                              .training = &permute_training,
                                              .inference = &permute_inference};

/* ---- RepeatVector ---- */

struct repeat_config {
    int n;
};

static const struct repeat_config repeat_defaults = {0};
static const struct cn_field repeat_fields[] = {
    {"n", CN_FIELD_INT, offsetof(struct repeat_config, n), true, false, 1, 1 << 20, NULL},
};

static size_t repeats_of(const struct cn_layer *layer) {
    return (size_t)((const struct repeat_config *)(const void *)layer->config)->n;
}

static enum cn_status repeat_build(struct cn_layer *layer, struct cn_error *error) {
    const enum cn_status status = cn_layer_need_rank(layer, 1, "", error);
    layer->output_shape =
        (struct cn_shape){2, {(int)repeats_of(layer), layer->input_shape.dims[0], 1, 1, 1}};
    return status;
}

static void repeat_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                         float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t n = 0; n < count; n++, x += size)
        for (size_t i = 0; i < repeats_of(layer); i++, y += size)
            memcpy(y, x, size * sizeof *y);
}

static void repeat_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    const float *dy = pass->dy;
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, pass->count * size * sizeof *pass->dx);
    for (size_t n = 0; n < pass->count; n++)
        for (size_t i = 0; i < repeats_of(layer); i++, dy += size)
            for (size_t k = 0; k < size; k++)
                pass->dx[n * size + k] += dy[k];
}

static const struct cn_layer_training repeat_training = {.backward = repeat_backward};
static const struct cn_layer_inference repeat_inference = {.infer = repeat_infer};

const struct cn_layer_type cn_repeat_vector_type = {.class_name = "RepeatVector",
                                                    CN_LAYER_KEYS(repeat_defaults, repeat_fields),
                                                    .build = repeat_build,
                                                    .training = &repeat_training,
                                                    .inference = &repeat_inference};

static enum cn_status flatten_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = cn_shape_vector((int)cn_shape_size(&layer->input_shape));
    return CN_OK;
}

const struct cn_layer_type cn_flatten_type = {
    .class_name = "Flatten", .onnx = "Flatten", .build = flatten_build, .training = &view_training};
