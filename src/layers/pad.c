/* pad.c: Pad, numbers before and after each axis: one value, the edge repeated, or the inside
 * mirrored at the edge. (Keras's ZeroPadding2D pads pictures with zeros.) No state. */
#include <string.h>

#include "layers/layer_type.h"
#include "layers/strided_walk.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE };
static const char *const pad_mode_names[] = {"constant", "reflect", "edge", NULL};

struct pad_config {
    struct cn_ints before, after;
    enum pad_mode mode;
    float value;
};

static const struct pad_config pad_defaults = {.mode = PAD_CONSTANT};

#define AT(member) offsetof(struct pad_config, member)
static const struct cn_field pad_fields[] = {
    {"before", CN_FIELD_INT_LIST, AT(before), true, false, 0, 1 << 24, NULL},
    {"after", CN_FIELD_INT_LIST, AT(after), true, false, 0, 1 << 24, NULL},
    {"mode", CN_FIELD_ENUM, AT(mode), false, false, 0, 0, pad_mode_names},
    {"value", CN_FIELD_FLOAT, AT(value), false, false, -3.5e38, 3.5e38, NULL},
};

static const struct pad_config *pad_of(const struct cn_layer *layer) {
    return (const struct pad_config *)(const void *)layer->config;
}

static enum cn_status pad_build(struct cn_layer *layer, struct cn_error *error) {
    const struct pad_config *config = pad_of(layer);
    const int rank = layer->input_shape.rank;
    char text[CN_SHAPE_TEXT];
    layer->output_shape = layer->input_shape;
    bool fits = config->before.count == rank && config->after.count == rank;
    for (int i = 0; fits && i < rank; i++) {
        const int before = config->before.values[i], after = config->after.values[i];
        const int dim = layer->input_shape.dims[i];
        fits = before >= 0 && after >= 0 &&
               (config->mode != PAD_REFLECT || (before < dim && after < dim)) &&
               (long long)dim + before + after <= CN_SHAPE_MAX_ELEMENTS;
        layer->output_shape.dims[i] = fits ? dim + before + after : dim;
    }
    if (!fits)
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (Pad): before and after do not fit its input %s", layer->name,
                       cn_shape_format(&layer->input_shape, text));
    return cn_shape_check(&layer->output_shape, layer->name, error);
}

/* The input position, along an axis of `dim`, of the number at output position `at` relative to the
 * input's beginning; -1: none. */
static int pad_source(enum pad_mode mode, int at, int dim) {
    if (at >= 0 && at < dim)
        return at;
    if (mode == PAD_CONSTANT)
        return -1;
    if (mode == PAD_EDGE)
        return at < 0 ? 0 : dim - 1;
    return at < 0 ? -at : 2 * (dim - 1) - at;
}

/* The offset of the input's row for the walk's row of the output; -1: none. */
static ptrdiff_t pad_row(const struct cn_layer *layer, const struct cn_walk *walk) {
    const struct pad_config *config = pad_of(layer);
    ptrdiff_t strides[CN_SHAPE_MAX_RANK], at = 0;
    cn_walk_strides(&layer->input_shape, strides);
    for (int i = 0; i + 1 < layer->input_shape.rank; i++) {
        const int source = pad_source(config->mode, walk->digits[i] - config->before.values[i],
                                      layer->input_shape.dims[i]);
        if (source < 0)
            return -1;
        at += source * strides[i];
    }
    return at;
}

static void pad_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                      float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const struct pad_config *config = pad_of(layer);
    const size_t in = cn_shape_size(&layer->input_shape), out = cn_shape_size(&layer->output_shape);
    const int last = layer->input_shape.rank - 1, dim = layer->input_shape.dims[last];
    const int before = config->before.values[last];
    for (size_t s = 0; s < count; s++) {
        struct cn_walk walk = cn_walk_over(&layer->output_shape);
        do {
            const ptrdiff_t row = pad_row(layer, &walk);
            float *to = y + s * out + walk.row * (size_t)walk.columns;
            for (int i = 0; i < walk.columns; i++) {
                const int source = row < 0 ? -1 : pad_source(config->mode, i - before, dim);
                to[i] = source < 0 ? config->value : x[s * in + (size_t)row + (size_t)source];
            }
        } while (cn_walk_next(&walk));
    }
}

static void pad_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct pad_config *config = pad_of(layer);
    const size_t in = cn_shape_size(&layer->input_shape), out = cn_shape_size(&layer->output_shape);
    const int last = layer->input_shape.rank - 1, dim = layer->input_shape.dims[last];
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, pass->count * in * sizeof *pass->dx);
    for (size_t s = 0; s < pass->count; s++) {
        struct cn_walk walk = cn_walk_over(&layer->output_shape);
        do {
            const ptrdiff_t row = pad_row(layer, &walk);
            for (int i = 0; row >= 0 && i < walk.columns; i++) {
                const int source = pad_source(config->mode, i - config->before.values[last], dim);
                if (source >= 0)
                    pass->dx[s * in + (size_t)row + (size_t)source] +=
                        pass->dy[s * out + walk.row * (size_t)walk.columns + (size_t)i];
            }
        } while (cn_walk_next(&walk));
    }
}

static const struct cn_layer_training pad_training = {.backward = pad_backward};
static const struct cn_layer_inference pad_inference = {.infer = pad_infer};

const struct cn_layer_type cn_pad_type = {.class_name = "Pad",
                                          .onnx = "Pad MaxPool",
                                          CN_LAYER_KEYS(pad_defaults, pad_fields),
                                          .build = pad_build,
                                          .training = &pad_training,
                                          .inference = &pad_inference};
