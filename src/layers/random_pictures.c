/* random_pictures.c: Keras's RandomFlip, RandomRotation, RandomZoom, RandomTranslation,
 * RandomContrast and RandomBrightness. In training each sample is changed by random numbers of its
 * own, which the backward pass draws again; in inference it is passed on. No state. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/random.h"
#include "layers/layer_type.h"

#define PI 3.14159265358979323846

static enum cn_status picture_build(struct cn_layer *layer, struct cn_error *error) {
    layer->output_shape = layer->input_shape;
    return cn_layer_need_rank(layer, 3, "", error);
}

static enum cn_status factor_check(const struct cn_layer *layer, const struct cn_floats *factor,
                                   struct cn_error *error) {
    if (factor->count <= 2)
        return CN_OK;
    return cn_fail(error, CN_INVALID,
                   "layer \"%s\" (%s): a factor has %d numbers; it must be one number or two",
                   layer->name, layer->type->class_name, factor->count);
}

static struct cn_random sample_stream(const struct cn_pass *pass, size_t n) {
    return cn_random_stream(pass->seed, pass->step, pass->layer, pass->first + n);
}

/* Keras's factor: [low, high], or one number for [-f, f]. */
static double factor_draw(struct cn_random *random, const struct cn_floats *factor) {
    const double low = factor->count == 2 ? (double)factor->values[0] : -(double)factor->values[0];
    const double high = (double)factor->values[factor->count == 2];
    return low + (high - low) * (double)cn_random_float(random);
}

/* ---- Flip, rotation, zoom, translation: pixels from elsewhere ---- */

enum geometry { FLIP, ROTATION, ZOOM, TRANSLATION };
enum flip_mode { FLIP_BOTH, FLIP_HORIZONTAL, FLIP_VERTICAL };
static const char *const flip_modes[] = {"horizontal_and_vertical", "horizontal", "vertical", NULL};
enum fill { FILL_REFLECT, FILL_CONSTANT, FILL_WRAP, FILL_NEAREST };
static const char *const fills[] = {"reflect", "constant", "wrap", "nearest", NULL};
static const char *const interpolations[] = {"bilinear", "nearest", NULL};

struct geometry_config {
    enum geometry geometry; /* no key: the type's */
    int mode;               /* enum flip_mode */
    int fill;               /* enum fill */
    int interpolation;
    float fill_value;
    struct cn_floats rows, columns; /* rotation: rows is its factor; columns of no number: rows */
};

#define AT(member) offsetof(struct geometry_config, member)
#define FACTOR(name, member, required)                                                             \
    { name, CN_FIELD_FLOAT_LIST, AT(member), required, !(required), -10, 10, NULL }
#define FILL                                                                                       \
    {"fill_mode", CN_FIELD_ENUM, AT(fill), false, false, 0, 0, fills},                             \
        {"interpolation", CN_FIELD_ENUM, AT(interpolation), false, false, 0, 0, interpolations}, { \
        "fill_value", CN_FIELD_FLOAT, AT(fill_value), false, false, -1e30, 1e30, NULL              \
    }
static const struct cn_field flip_fields[] = {
    {"mode", CN_FIELD_ENUM, AT(mode), false, false, 0, 0, flip_modes}};
static const struct cn_field rotation_fields[] = {FACTOR("factor", rows, true), FILL};
static const struct cn_field zoom_fields[] = {FACTOR("height_factor", rows, true),
                                              FACTOR("width_factor", columns, false), FILL};
static const struct cn_field translation_fields[] = {FACTOR("height_factor", rows, true),
                                                     FACTOR("width_factor", columns, true), FILL};
#define GEOMETRY(kind)                                                                             \
    {                                                                                              \
        .geometry = (kind), .rows = {1, {0}}, .columns = { 0, {0} }                                \
    }
static const struct geometry_config flip_defaults = GEOMETRY(FLIP),
                                    rotation_defaults = GEOMETRY(ROTATION),
                                    zoom_defaults = GEOMETRY(ZOOM),
                                    translation_defaults = GEOMETRY(TRANSLATION);

static enum cn_status geometry_build(struct cn_layer *layer, struct cn_error *error) {
    const struct geometry_config *config =
        (const struct geometry_config *)(const void *)layer->config;
    enum cn_status status = factor_check(layer, &config->rows, error);
    if (status == CN_OK)
        status = factor_check(layer, &config->columns, error);
    return status == CN_OK ? picture_build(layer, error) : status;
}

/* The input position of output pixel (y, x): row = a y + b x + c, column = d y + e x + f. */
struct warp {
    double a, b, c, d, e, f;
};

static struct warp warp_draw(const struct cn_layer *layer, struct cn_random *random) {
    const struct geometry_config *config =
        (const struct geometry_config *)(const void *)layer->config;
    const double height = (double)layer->input_shape.dims[0],
                 width = (double)layer->input_shape.dims[1];
    const double middle_y = (height - 1) / 2, middle_x = (width - 1) / 2;
    struct warp warp = {1, 0, 0, 0, 1, 0};
    if (config->geometry == FLIP) {
        const bool left_right = cn_random_float(random) < 0.5F;
        const bool up_down = cn_random_float(random) < 0.5F;
        if (left_right && config->mode != FLIP_VERTICAL)
            warp.e = -1, warp.f = width - 1;
        if (up_down && config->mode != FLIP_HORIZONTAL)
            warp.a = -1, warp.c = height - 1;
    } else if (config->geometry == ROTATION) {
        const double angle = 2 * PI * factor_draw(random, &config->rows);
        warp = (struct warp){.a = cos(angle), .b = sin(angle), .d = -sin(angle), .e = cos(angle)};
        warp.c = middle_y - warp.a * middle_y - warp.b * middle_x;
        warp.f = middle_x - warp.d * middle_y - warp.e * middle_x;
    } else if (config->geometry == ZOOM) {
        warp.a = 1 + factor_draw(random, &config->rows);
        warp.e = config->columns.count > 0 ? 1 + factor_draw(random, &config->columns) : warp.a;
        warp.c = middle_y * (1 - warp.a);
        warp.f = middle_x * (1 - warp.e);
    } else {
        warp.c = -height * factor_draw(random, &config->rows);
        warp.f = -width * factor_draw(random, &config->columns);
    }
    return warp;
}

/* The index that stands for one outside; -1: the fill value. */
static int index_inside(double at, int size, enum fill fill) {
    const double period = fill == FILL_REFLECT ? 2 * (double)size : (double)size;
    if (at >= 0 && at < (double)size)
        return (int)at;
    switch (fill) {
    case FILL_CONSTANT:
        return -1;
    case FILL_NEAREST:
        return at < 0 ? 0 : size - 1;
    case FILL_REFLECT: /* d c b a | a b c d | d c b a */
    case FILL_WRAP:
        at -= period * floor(at / period);
        return fill == FILL_REFLECT && at >= (double)size ? 2 * size - 1 - (int)at : (int)at;
    }
    return -1;
}

/* The four places that an output pixel is mixed of. */
struct mix {
    int rows[2], columns[2];
    float weights[2][2];
};

static struct mix mix_of(const struct cn_layer *layer, const struct warp *warp, int y, int x) {
    const struct geometry_config *config =
        (const struct geometry_config *)(const void *)layer->config;
    double row = warp->a * y + warp->b * x + warp->c, column = warp->d * y + warp->e * x + warp->f;
    struct mix mix;
    if (config->interpolation == 1) {
        row = floor(row + 0.5);
        column = floor(column + 0.5);
    }
    const double low_row = floor(row), low_column = floor(column);
    const float down = (float)(row - low_row), right = (float)(column - low_column);
    for (int i = 0; i < 2; i++) {
        mix.rows[i] =
            index_inside(low_row + i, layer->input_shape.dims[0], (enum fill)config->fill);
        mix.columns[i] =
            index_inside(low_column + i, layer->input_shape.dims[1], (enum fill)config->fill);
    }
    mix.weights[0][0] = (1 - down) * (1 - right);
    mix.weights[0][1] = (1 - down) * right;
    mix.weights[1][0] = down * (1 - right);
    mix.weights[1][1] = down * right;
    return mix;
}

/* One sample forward (to = y, from = x), or back (from = dx, to = dy is read). */
static void geometry_sample(const struct cn_layer *layer, struct cn_random random, float *from,
                            float *to, bool back) {
    const struct geometry_config *config =
        (const struct geometry_config *)(const void *)layer->config;
    const struct warp warp = warp_draw(layer, &random);
    const int height = layer->input_shape.dims[0], width = layer->input_shape.dims[1];
    const size_t channels = (size_t)layer->input_shape.dims[2];
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, to += channels) {
            const struct mix mix = mix_of(layer, &warp, y, x);
            for (size_t c = 0; !back && c < channels; c++)
                to[c] = 0;
            for (int k = 0; k < 4; k++) {
                const float weight = mix.weights[k / 2][k % 2];
                const int row = mix.rows[k / 2], column = mix.columns[k % 2];
                const bool inside = row >= 0 && column >= 0;
                float *place =
                    inside ? from + ((size_t)row * (size_t)width + (size_t)column) * channels
                           : NULL;
                if (weight == 0 || (back && !inside))
                    continue;
                for (size_t c = 0; c < channels; c++)
                    if (back)
                        place[c] += weight * to[c];
                    else
                        to[c] += weight * (inside ? place[c] : config->fill_value);
            }
        }
}

static void geometry_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t n = 0; n < pass->count; n++)
        geometry_sample(layer, sample_stream(pass, n), (float *)(uintptr_t)(pass->x + n * size),
                        pass->y + n * size, false);
}

static void geometry_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, pass->count * size * sizeof *pass->dx);
    for (size_t n = 0; n < pass->count; n++)
        geometry_sample(layer, sample_stream(pass, n), pass->dx + n * size,
                        (float *)(uintptr_t)(pass->dy + n * size), true);
}

static const struct cn_layer_training geometry_training = {.forward = geometry_forward,
                                                           .backward = geometry_backward};

#define GEOMETRY_TYPE(kind)                                                                        \
    CN_LAYER_KEYS(kind##_defaults, kind##_fields), .build = geometry_build,                        \
                                                   .training = &geometry_training

const struct cn_layer_type cn_random_flip_type = {.class_name = "RandomFlip", GEOMETRY_TYPE(flip)};
const struct cn_layer_type cn_random_rotation_type = {.class_name = "RandomRotation",
                                                      GEOMETRY_TYPE(rotation)};
const struct cn_layer_type cn_random_zoom_type = {.class_name = "RandomZoom", GEOMETRY_TYPE(zoom)};
const struct cn_layer_type cn_random_translation_type = {.class_name = "RandomTranslation",
                                                         GEOMETRY_TYPE(translation)};

/* ---- Contrast and brightness ---- */

struct tone_config {
    bool contrast;           /* no key: the type's */
    struct cn_floats factor; /* brightness: part of the range, to add */
    struct cn_floats range;
};

static const struct tone_config contrast_defaults = {true, {1, {0}}, {2, {0, 255}}};
static const struct tone_config brightness_defaults = {false, {1, {0}}, {2, {0, 255}}};
static const struct cn_field tone_fields[] = {
    {"factor", CN_FIELD_FLOAT_LIST, offsetof(struct tone_config, factor), true, false, -1, 10,
     NULL},
    {"value_range", CN_FIELD_FLOAT_LIST, offsetof(struct tone_config, range), false, false, -1e30,
     1e30, NULL},
};

static enum cn_status tone_build(struct cn_layer *layer, struct cn_error *error) {
    const struct tone_config *config = (const struct tone_config *)(const void *)layer->config;
    if (config->range.count != 2 || !(config->range.values[0] < config->range.values[1]))
        return cn_fail(error, CN_INVALID,
                       "layer \"%s\" (%s): value_range must be two numbers, the smaller one first",
                       layer->name, layer->type->class_name);
    const enum cn_status status = factor_check(layer, &config->factor, error);
    return status == CN_OK ? picture_build(layer, error) : status;
}

/* y = (x - mean of the channel) * slope + mean + shift, kept within the range. */
struct tone {
    float slope, shift, least, most;
};

static struct tone tone_draw(const struct cn_layer *layer, struct cn_random random) {
    const struct tone_config *config = (const struct tone_config *)(const void *)layer->config;
    const float least = config->range.values[0], most = config->range.values[1];
    struct tone tone = {1, 0, least, most};
    if (config->contrast) { /* from 1 - lower to 1 + upper */
        const double lower = (double)config->factor.values[0],
                     upper = (double)config->factor.values[config->factor.count == 2];
        tone.slope = (float)(1 - lower + (lower + upper) * (double)cn_random_float(&random));
    } else {
        tone.shift = (float)(factor_draw(&random, &config->factor) * (double)(most - least));
    }
    return tone;
}

static double channel_mean(const float *x, size_t size, size_t channels, size_t c) {
    double sum = 0;
    for (size_t i = c; i < size; i += channels)
        sum += (double)x[i];
    return sum / (double)(size / channels);
}

static void tone_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    const size_t channels = (size_t)layer->input_shape.dims[2];
    for (size_t n = 0; n < pass->count; n++) {
        const struct tone tone = tone_draw(layer, sample_stream(pass, n));
        const float *x = pass->x + n * size;
        float *y = pass->y + n * size;
        for (size_t c = 0; c < channels; c++) {
            const float mean = (float)channel_mean(x, size, channels, c);
            for (size_t i = c; i < size; i += channels)
                y[i] = fminf(fmaxf((x[i] - mean) * tone.slope + mean + tone.shift, tone.least),
                             tone.most);
        }
    }
}

static void tone_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    const size_t channels = (size_t)layer->input_shape.dims[2];
    for (size_t n = 0; pass->dx != NULL && n < pass->count; n++) {
        const struct tone tone = tone_draw(layer, sample_stream(pass, n));
        const float *y = pass->y + n * size, *dy = pass->dy + n * size;
        float *dx = pass->dx + n * size;
        for (size_t c = 0; c < channels; c++) {
            double sum = 0;
            for (size_t i = c; i < size; i += channels) {
                dx[i] = y[i] > tone.least && y[i] < tone.most ? dy[i] : 0;
                sum += (double)dx[i];
            }
            const float shared =
                (float)(sum * (1 - (double)tone.slope) / (double)(size / channels));
            for (size_t i = c; i < size; i += channels)
                dx[i] = dx[i] * tone.slope + shared;
        }
    }
}

static const struct cn_layer_training tone_training = {.forward = tone_forward,
                                                       .backward = tone_backward};

#define TONE_TYPE(kind)                                                                            \
    CN_LAYER_KEYS(kind##_defaults, tone_fields), .build = tone_build, .training = &tone_training

const struct cn_layer_type cn_random_contrast_type = {.class_name = "RandomContrast",
                                                      TONE_TYPE(contrast)};
const struct cn_layer_type cn_random_brightness_type = {.class_name = "RandomBrightness",
                                                        TONE_TYPE(brightness)};
