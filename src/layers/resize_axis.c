/* resize_axis.c: Resize, which changes the length of one axis; each number is a weighted sum of at
 * most four. This is ONNX's Resize by nearest, linear and cubic, axis by axis, with the formulas of
 * its specification. (Keras's UpSampling2D has whole factors.) No state. */
#include <math.h>
#include <string.h>

#include "layers/layer_type.h"

enum interpolation { NEAREST, LINEAR, CUBIC };
static const char *const interpolation_names[] = {"nearest", "linear", "cubic", NULL};
enum coordinates {
    HALF_PIXEL,
    ASYMMETRIC,
    ALIGN_CORNERS,
    PYTORCH_HALF_PIXEL,
    SYMMETRIC,
    TF_HALF_PIXEL
};
static const char *const coordinate_names[] = {"half_pixel",
                                               "asymmetric",
                                               "align_corners",
                                               "pytorch_half_pixel",
                                               "half_pixel_symmetric",
                                               "tf_half_pixel_for_nn",
                                               NULL};
enum rounding { PREFER_FLOOR, PREFER_CEIL, ROUND_FLOOR, ROUND_CEIL };
static const char *const rounding_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                             "ceil", NULL};

struct resize_config {
    int axis; /* as in Keras: the batch is 0, -1 the last */
    int size;
    float scale; /* the source's scale, which may differ from size / the input's by rounding; 0:
                    that quotient */
    enum interpolation interpolation;
    enum coordinates coordinates;
    enum rounding rounding; /* for nearest */
    float cubic_coefficient;
    bool exclude_outside; /* for cubic: numbers outside have no weight, instead of the edge's value
                           */
};

static const struct resize_config resize_defaults = {
    1, 1, 0, NEAREST, HALF_PIXEL, PREFER_FLOOR, -0.75F, false};

#define AT(member) offsetof(struct resize_config, member)
static const struct cn_field resize_fields[] = {
    {"axis", CN_FIELD_INT, AT(axis), true, false, -CN_SHAPE_MAX_RANK, CN_SHAPE_MAX_RANK, NULL},
    {"size", CN_FIELD_INT, AT(size), true, false, 1, 1 << 24, NULL},
    {"scale", CN_FIELD_FLOAT, AT(scale), false, false, 0, 1 << 24, NULL},
    {"interpolation", CN_FIELD_ENUM, AT(interpolation), false, false, 0, 0, interpolation_names},
    {"coordinates", CN_FIELD_ENUM, AT(coordinates), false, false, 0, 0, coordinate_names},
    {"rounding", CN_FIELD_ENUM, AT(rounding), false, false, 0, 0, rounding_names},
    {"cubic_coefficient", CN_FIELD_FLOAT, AT(cubic_coefficient), false, false, -10, 10, NULL},
    {"exclude_outside", CN_FIELD_BOOL, AT(exclude_outside), false, false, 0, 0, NULL},
};

static const struct resize_config *resize_of(const struct cn_layer *layer) {
    return (const struct resize_config *)(const void *)layer->config;
}

/* The axis as an index in the shape's dims; -1: invalid. */
static int resize_axis(const struct cn_layer *layer) {
    const int axis = resize_of(layer)->axis, rank = layer->input_shape.rank;
    const int index = axis < 0 ? axis + rank : axis - 1;
    return index >= 0 && index < rank ? index : -1;
}

static enum cn_status resize_build(struct cn_layer *layer, struct cn_error *error) {
    const int axis = resize_axis(layer);
    char text[CN_SHAPE_TEXT];
    if (axis < 0)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (Resize): its input %s has no axis %d",
                       layer->name, cn_shape_format(&layer->input_shape, text),
                       resize_of(layer)->axis);
    layer->output_shape = layer->input_shape;
    layer->output_shape.dims[axis] = resize_of(layer)->size;
    return cn_shape_check(&layer->output_shape, layer->name, error);
}

/* Number i of the output is the sum of weight[k] times number at[k] of the input. */
struct resize_taps {
    int count, at[4];
    float weight[4];
};

/* The position in `in` that corresponds to number i of `out`. */
static float resize_place(const struct resize_config *config, int i, int in, int out) {
    const float scale = config->scale > 0 ? config->scale : (float)out / (float)in;
    const float middle = ((float)i + 0.5F) / scale - 0.5F;
    const float adjustment = (float)out / (scale * (float)in);
    switch (config->coordinates) {
    case ASYMMETRIC:
        return (float)i / scale;
    case ALIGN_CORNERS:
        return out == 1 ? 0 : (float)i * (float)(in - 1) / (scale * (float)in - 1);
    case PYTORCH_HALF_PIXEL:
        return out > 1 ? middle : 0;
    case SYMMETRIC:
        return (float)in / 2 * (1 - adjustment) + middle;
    case TF_HALF_PIXEL:
        return ((float)i + 0.5F) / scale;
    case HALF_PIXEL:
        break;
    }
    return middle;
}

static int resize_clamped(float at, int in) {
    return at <= 0 ? 0 : at >= (float)(in - 1) ? in - 1 : (int)at;
}

static struct resize_taps resize_taps_of(const struct resize_config *config, int i, int in,
                                         int out) {
    const float place = resize_place(config, i, in, out), base = floorf(place), t = place - base;
    const float a = config->cubic_coefficient;
    struct resize_taps taps = {.count = 1, .weight = {1}};
    if (config->interpolation == NEAREST) {
        const float rounded = config->rounding == PREFER_FLOOR  ? ceilf(place - 0.5F)
                              : config->rounding == PREFER_CEIL ? floorf(place + 0.5F)
                              : config->rounding == ROUND_FLOOR ? base
                                                                : ceilf(place);
        taps.at[0] = resize_clamped(rounded, in);
        return taps;
    }
    if (config->interpolation == LINEAR) {
        taps.count = 2;
        taps.at[0] = resize_clamped(base, in);
        taps.at[1] = resize_clamped(base + 1, in);
        taps.weight[0] = 1 - t;
        taps.weight[1] = t;
        return taps;
    }
    taps.count = 4;
    const float s = 1 - t;
    taps.weight[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    taps.weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    taps.weight[2] = ((a + 2) * s - (a + 3)) * s * s + 1;
    taps.weight[3] = ((a * (s + 1) - 5 * a) * (s + 1) + 8 * a) * (s + 1) - 4 * a;
    for (int k = 0; k < 4; k++)
        taps.at[k] = resize_clamped(base + (float)(k - 1), in);
    float sum = 0;
    for (int k = 0; config->exclude_outside && k < 4; k++) {
        const float at = base + (float)(k - 1);
        taps.weight[k] = at < 0 || at > (float)(in - 1) ? 0 : taps.weight[k];
        sum += taps.weight[k];
    }
    for (int k = 0; config->exclude_outside && sum != 0 && k < 4; k++)
        taps.weight[k] /= sum;
    return taps;
}

/* The input as [outer, in, inner], the output as [outer, out, inner]. */
struct resize_view {
    size_t outer, inner;
    int in, out;
};

static struct resize_view resize_view_of(const struct cn_layer *layer, size_t count) {
    const int axis = resize_axis(layer);
    struct resize_view view = {count, 1, layer->input_shape.dims[axis], resize_of(layer)->size};
    for (int i = 0; i < layer->input_shape.rank; i++) {
        view.outer *= i < axis ? (size_t)layer->input_shape.dims[i] : 1;
        view.inner *= i > axis ? (size_t)layer->input_shape.dims[i] : 1;
    }
    return view;
}

static void resize_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                         float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const struct resize_view view = resize_view_of(layer, count);
    for (int i = 0; i < view.out; i++) {
        const struct resize_taps taps = resize_taps_of(resize_of(layer), i, view.in, view.out);
        for (size_t o = 0; o < view.outer; o++) {
            const float *from = x + o * (size_t)view.in * view.inner;
            float *to = y + (o * (size_t)view.out + (size_t)i) * view.inner;
            if (taps.count == 1) {
                memcpy(to, from + (size_t)taps.at[0] * view.inner, view.inner * sizeof *to);
                continue;
            }
            for (size_t c = 0; c < view.inner; c++) {
                float sum = 0;
                for (int k = 0; k < taps.count; k++)
                    sum += taps.weight[k] * from[(size_t)taps.at[k] * view.inner + c];
                to[c] = sum;
            }
        }
    }
}

static void resize_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct resize_view view = resize_view_of(layer, pass->count);
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->dx);
    for (int i = 0; i < view.out; i++) {
        const struct resize_taps taps = resize_taps_of(resize_of(layer), i, view.in, view.out);
        for (size_t o = 0; o < view.outer; o++)
            for (int k = 0; k < taps.count; k++)
                for (size_t c = 0; c < view.inner; c++)
                    pass->dx[(o * (size_t)view.in + (size_t)taps.at[k]) * view.inner + c] +=
                        taps.weight[k] *
                        pass->dy[(o * (size_t)view.out + (size_t)i) * view.inner + c];
    }
}

static const struct cn_layer_training resize_training = {.backward = resize_backward};
static const struct cn_layer_inference resize_inference = {.infer = resize_infer};

const struct cn_layer_type cn_resize_type = {.class_name = "Resize",
                                             .onnx = "Resize Upsample",
                                             CN_LAYER_KEYS(resize_defaults, resize_fields),
                                             .build = resize_build,
                                             .training = &resize_training,
                                             .inference = &resize_inference};
