/* slice.c: Slice, every stride-th number from `begin` on along each axis, `size` of them. Keras has
 * no such layer. No state. */
#include <string.h>

#include "layers/layer_type.h"
#include "layers/strided_walk.h"

struct slice_config {
    struct cn_ints begin, size, strides;
};

static const struct slice_config slice_defaults = {.begin = {0}};

#define AT(member) offsetof(struct slice_config, member)
static const struct cn_field slice_fields[] = {
    {"begin", CN_FIELD_INT_LIST, AT(begin), true, false, 0, CN_SHAPE_MAX_ELEMENTS, NULL},
    {"size", CN_FIELD_INT_LIST, AT(size), true, false, 1, CN_SHAPE_MAX_ELEMENTS, NULL},
    {"strides", CN_FIELD_INT_LIST, AT(strides), true, false, -CN_SHAPE_MAX_ELEMENTS,
     CN_SHAPE_MAX_ELEMENTS, NULL},
};

static const struct slice_config *slice_of(const struct cn_layer *layer) {
    return (const struct slice_config *)(const void *)layer->config;
}

static enum cn_status slice_build(struct cn_layer *layer, struct cn_error *error) {
    const struct slice_config *config = slice_of(layer);
    const int rank = layer->input_shape.rank;
    char text[CN_SHAPE_TEXT];
    layer->output_shape = layer->input_shape;
    bool fits =
        config->begin.count == rank && config->size.count == rank && config->strides.count == rank;
    for (int i = 0; fits && i < rank; i++) {
        const long long begin = config->begin.values[i], size = config->size.values[i];
        const long long last = begin + (size - 1) * config->strides.values[i];
        fits = begin >= 0 && begin < layer->input_shape.dims[i] && size >= 1 && last >= 0 &&
               last < layer->input_shape.dims[i];
        layer->output_shape.dims[i] = (int)size;
    }
    if (!fits)
        return cn_fail(
            error, CN_INVALID,
            "layer \"%s\" (Slice): begin, size and strides do not lie within its input %s",
            layer->name, cn_shape_format(&layer->input_shape, text));
    return cn_shape_check(&layer->output_shape, layer->name, error);
}

/* Walks over the output and follows the input. */
static struct cn_walk slice_walk(const struct cn_layer *layer) {
    const struct slice_config *config = slice_of(layer);
    ptrdiff_t strides[CN_SHAPE_MAX_RANK], at = 0;
    cn_walk_strides(&layer->input_shape, strides);
    for (int i = 0; i < layer->input_shape.rank; i++) {
        at += strides[i] * config->begin.values[i];
        strides[i] *= config->strides.values[i];
    }
    struct cn_walk walk = cn_walk_over(&layer->output_shape);
    cn_walk_follow(&walk, strides, at);
    return walk;
}

static void slice_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                        float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const size_t in = cn_shape_size(&layer->input_shape), out = cn_shape_size(&layer->output_shape);
    for (size_t s = 0; s < count; s++) {
        struct cn_walk walk = slice_walk(layer);
        do {
            const float *from = x + s * in + walk.at[0];
            float *to = y + s * out + walk.row * (size_t)walk.columns;
            if (walk.step[0] == 1)
                memcpy(to, from, (size_t)walk.columns * sizeof *to);
            else
                for (int i = 0; i < walk.columns; i++)
                    to[i] = from[i * walk.step[0]];
        } while (cn_walk_next(&walk));
    }
}

static void slice_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t in = cn_shape_size(&layer->input_shape), out = cn_shape_size(&layer->output_shape);
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, pass->count * in * sizeof *pass->dx);
    for (size_t s = 0; s < pass->count; s++) {
        struct cn_walk walk = slice_walk(layer);
        do
            for (int i = 0; i < walk.columns; i++)
                pass->dx[s * in + (size_t)(walk.at[0] + i * walk.step[0])] =
                    pass->dy[s * out + walk.row * (size_t)walk.columns + (size_t)i];
        while (cn_walk_next(&walk));
    }
}

static const struct cn_layer_training slice_training = {.backward = slice_backward};
static const struct cn_layer_inference slice_inference = {.infer = slice_infer};

const struct cn_layer_type cn_slice_type = {.class_name = "Slice",
                                            .onnx = "Slice Split Gather MaxPool",
                                            CN_LAYER_KEYS(slice_defaults, slice_fields),
                                            .build = slice_build,
                                            .training = &slice_training,
                                            .inference = &slice_inference};
