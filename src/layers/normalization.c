/* normalization.c: normalisations of each sample: Keras's LayerNormalization (Ba, Kiros and Hinton
 * 2016), GroupNormalization (Wu and He 2018) and UnitNormalization, and local response
 * normalisation across channels (Krizhevsky, Sutskever and Hinton 2012). No state. */
#include <math.h>
#include <string.h>

#include "layers/layer_type.h"

/* ---- LayerNormalization and GroupNormalization ---- */

struct normalization_config {
    bool grouped;        /* set by the type, not by a key */
    struct cn_ints axis; /* of LayerNormalization: the last axes; the batch is axis 0 */
    int groups;          /* of GroupNormalization; -1: one group per channel */
    float epsilon;
    bool center, scale;
};

static const struct normalization_config layer_defaults = {
    .axis = {1, {-1}}, .epsilon = 1e-3f, .center = true, .scale = true};
static const struct normalization_config group_defaults = {
    .grouped = true, .groups = 32, .epsilon = 1e-3f, .center = true, .scale = true};

#define AT(member) offsetof(struct normalization_config, member)
#define COMMON                                                                                     \
    {"epsilon", CN_FIELD_FLOAT, AT(epsilon), false, false, 0, 1, NULL},                            \
        {"center", CN_FIELD_BOOL, AT(center), false, false, 0, 0, NULL}, {                         \
        "scale", CN_FIELD_BOOL, AT(scale), false, false, 0, 0, NULL                                \
    }
static const struct cn_field layer_fields[] = {{"axis", CN_FIELD_INT_LIST, AT(axis), false, false,
                                                -CN_SHAPE_MAX_RANK, CN_SHAPE_MAX_RANK, NULL},
                                               COMMON};
static const struct cn_field group_fields[] = {
    {"groups", CN_FIELD_INT, AT(groups), false, false, -1, 1 << 20, NULL}, COMMON};

static const struct normalization_config *config_of(const struct cn_layer *layer) {
    return (const struct normalization_config *)(const void *)layer->config;
}

/* A sample as images [pixels, channels], whose groups of channels are normalised separately. */
struct sets {
    size_t images, pixels, channels, groups;
};

static struct sets sets_of(const struct cn_layer *layer) {
    const struct normalization_config *config = config_of(layer);
    const struct cn_shape *in = &layer->input_shape;
    struct sets sets = {1, 1, (size_t)cn_shape_channels(in), 1};
    if (config->grouped) {
        sets.pixels = cn_shape_size(in) / sets.channels;
        sets.groups = config->groups > 0 ? (size_t)config->groups : sets.channels;
        return sets;
    }
    for (int i = 2; i <= config->axis.count; i++)
        sets.channels *= (size_t)in->dims[in->rank - i];
    sets.images = cn_shape_size(in) / sets.channels;
    return sets;
}

static enum cn_status normalization_build(struct cn_layer *layer, struct cn_error *error) {
    const struct normalization_config *config = config_of(layer);
    const struct cn_shape *in = &layer->input_shape;
    char text[CN_SHAPE_TEXT];
    struct cn_tensor_spec spec = {.rank = 1, .trainable = true, .fan_in = 1, .fan_out = 1};
    layer->output_shape = *in;
    if (config->grouped) {
        const int channels = cn_shape_channels(in);
        if (config->groups == 0 || (config->groups > 0 && channels % config->groups != 0))
            return cn_fail(error, CN_INVALID,
                           "layer \"%s\" (%s): %d channels do not divide into %d groups",
                           layer->name, layer->type->class_name, channels, config->groups);
        spec.dims[0] = channels;
    } else {
        unsigned seen = 0, last = 0;
        const int count = config->axis.count;
        for (int i = 0; i < count; i++) {
            const int axis = config->axis.values[i], at = axis < 0 ? axis + in->rank : axis - 1;
            seen |= at >= 0 && at < in->rank ? 1u << at : 1u << 30;
            last |= i < in->rank ? 1u << (in->rank - 1 - i) : 0;
        }
        if (count < 1 || count > in->rank || seen != last)
            return cn_fail(error, CN_UNSUPPORTED,
                           "layer \"%s\" (%s) normalises other axes than the last of its input %s",
                           layer->name, layer->type->class_name, cn_shape_format(in, text));
        spec.rank = count;
        for (int i = 0; i < count; i++)
            spec.dims[i] = in->dims[in->rank - count + i];
    }
    if (config->scale) {
        layer->tensors[layer->tensor_count] = spec;
        layer->tensors[layer->tensor_count].name = "gamma";
        layer->tensors[layer->tensor_count++].initializer = CN_INITIALIZER_ONES;
    }
    if (config->center) {
        layer->tensors[layer->tensor_count] = spec;
        layer->tensors[layer->tensor_count].name = "beta";
        layer->tensors[layer->tensor_count++].initializer = CN_INITIALIZER_ZEROS;
    }
    return CN_OK;
}

/* One group: its first element, and the positions of the others. */
struct set {
    size_t pixels, stride, width; /* `width` elements at each pixel */
};

/* Computes the mean and 1 / sqrt(variance + epsilon). */
static void moments_of(const struct set *set, const float *x, float epsilon, double *ret_mean,
                       double *ret_inverse) {
    const double count = (double)(set->pixels * set->width);
    double mean = 0, squares = 0;
    for (size_t p = 0; p < set->pixels; p++)
        for (size_t c = 0; c < set->width; c++)
            mean += (double)x[p * set->stride + c];
    mean /= count;
    for (size_t p = 0; p < set->pixels; p++)
        for (size_t c = 0; c < set->width; c++) {
            const double distance = (double)x[p * set->stride + c] - mean;
            squares += distance * distance;
        }
    *ret_mean = mean;
    *ret_inverse = 1 / sqrt(squares / count + (double)epsilon);
}

static void normalization_infer(const struct cn_step *step, const float *const *inputs,
                                size_t count, float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    const float *parameters = step->packed;
    (void)scratch;
    const struct normalization_config *config = config_of(layer);
    const struct sets sets = sets_of(layer);
    const size_t width = sets.channels / sets.groups;
    const struct set set = {sets.pixels, sets.channels, width};
    const float *gamma = config->scale ? parameters : NULL;
    const float *beta = config->center ? parameters + (config->scale ? sets.channels : 0) : NULL;
    const size_t image = sets.pixels * sets.channels;
    for (size_t n = 0; n < count * sets.images; n++, x += image, y += image)
        for (size_t first = 0; first < sets.channels; first += width) {
            double mean, inverse;
            moments_of(&set, x + first, config->epsilon, &mean, &inverse);
            for (size_t p = 0; p < sets.pixels; p++)
                for (size_t c = first; c < first + width; c++) {
                    const size_t at = p * sets.channels + c;
                    const double scaled = ((double)x[at] - mean) * inverse;
                    y[at] = (float)(scaled * (gamma != NULL ? (double)gamma[c] : 1) +
                                    (beta != NULL ? (double)beta[c] : 0));
                }
        }
}

/* dx = (g - mean(g) - x^ mean(g x^)) / deviation, where g = dy gamma and x^ = (x - mean) /
 * deviation.
 */
static void normalization_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct normalization_config *config = config_of(layer);
    const struct sets sets = sets_of(layer);
    const size_t width = sets.channels / sets.groups, image = sets.pixels * sets.channels;
    const struct set set = {sets.pixels, sets.channels, width};
    const float *gamma = config->scale ? pass->parameters : NULL;
    float *dgamma = config->scale ? pass->gradients : NULL;
    float *dbeta = config->center ? pass->gradients + (config->scale ? sets.channels : 0) : NULL;
    for (size_t n = 0; n < pass->count * sets.images; n++)
        for (size_t first = 0; first < sets.channels; first += width) {
            const float *x = pass->x + n * image, *dy = pass->dy + n * image;
            double mean, inverse, slope = 0, product = 0;
            moments_of(&set, x + first, config->epsilon, &mean, &inverse);
            for (size_t p = 0; p < sets.pixels; p++)
                for (size_t c = first; c < first + width; c++) {
                    const size_t at = p * sets.channels + c;
                    const double scaled = ((double)x[at] - mean) * inverse;
                    const double g = (double)dy[at] * (gamma != NULL ? (double)gamma[c] : 1);
                    slope += g;
                    product += g * scaled;
                    if (dgamma != NULL)
                        dgamma[c] += (float)((double)dy[at] * scaled);
                    if (dbeta != NULL)
                        dbeta[c] += dy[at];
                }
            slope /= (double)(sets.pixels * width);
            product /= (double)(sets.pixels * width);
            for (size_t p = 0; pass->dx != NULL && p < sets.pixels; p++)
                for (size_t c = first; c < first + width; c++) {
                    const size_t at = p * sets.channels + c;
                    const double scaled = ((double)x[at] - mean) * inverse;
                    const double g = (double)dy[at] * (gamma != NULL ? (double)gamma[c] : 1);
                    pass->dx[n * image + at] = (float)((g - slope - scaled * product) * inverse);
                }
        }
}

static size_t normalization_packed_size(const struct cn_layer *layer) {
    const struct normalization_config *config = config_of(layer);
    return sets_of(layer).channels * ((size_t)config->scale + (size_t)config->center);
}

static const struct cn_layer_training normalization_training = {.backward = normalization_backward};
static const struct cn_layer_inference normalization_inference = {.infer = normalization_infer,
                                                                  .packed_size =
                                                                      normalization_packed_size,
                                                                  .pack = cn_layer_pack_unchanged,
                                                                  .in_place = true};

#define NORMALIZATION(prefix)                                                                      \
    CN_LAYER_KEYS(prefix##_defaults, prefix##_fields), .build = normalization_build,               \
                                                       .training = &normalization_training,        \
                                                       .inference = &normalization_inference

const struct cn_layer_type cn_layer_normalization_type = {
    .class_name = "LayerNormalization", .onnx = "LayerNormalization", NORMALIZATION(layer)};
const struct cn_layer_type cn_group_normalization_type = {
    .class_name = "GroupNormalization",
    .onnx = "GroupNormalization InstanceNormalization",
    NORMALIZATION(group)};

/* ---- UnitNormalization and LocalResponseNormalization: y = x * f(squares of the row) ---- */

struct response_config {
    bool unit; /* set by the type, not by a key */
    int size;  /* of LocalResponseNormalization: number of channels around each one */
    float alpha, beta, bias;
};

static const struct response_config unit_defaults = {.unit = true};
static const struct response_config response_defaults = {
    .size = 5, .alpha = 1e-4f, .beta = 0.75f, .bias = 1};

#undef AT
#define AT(member) offsetof(struct response_config, member)
static const struct cn_field response_fields[] = {
    {"size", CN_FIELD_INT, AT(size), false, false, 1, 1 << 16, NULL},
    {"alpha", CN_FIELD_FLOAT, AT(alpha), false, false, 0, 1e6, NULL},
    {"beta", CN_FIELD_FLOAT, AT(beta), false, false, 0, 100, NULL},
    {"bias", CN_FIELD_FLOAT, AT(bias), false, false, 1e-9, 1e6, NULL},
};

static const struct response_config *response_of(const struct cn_layer *layer) {
    return (const struct response_config *)(const void *)layer->config;
}

static enum cn_status response_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

/* The channels whose squares are summed for channel c. */
static void around(const struct response_config *config, size_t c, size_t width, size_t *ret_from,
                   size_t *ret_to) {
    const size_t before = (size_t)(config->size - 1) / 2;
    const size_t after = (size_t)config->size - 1 - before;
    *ret_from = config->unit || c < before ? 0 : c - before;
    *ret_to = config->unit || c + after + 1 > width ? width : c + after + 1;
}

static double response_base(const struct response_config *config, const float *x, size_t c,
                            size_t width) {
    size_t from, to;
    double squares = 0;
    around(config, c, width, &from, &to);
    for (size_t k = from; k < to; k++)
        squares += (double)x[k] * (double)x[k];
    return config->unit ? fmax(squares, 1e-12)
                        : (double)config->bias + (double)config->alpha / config->size * squares;
}

static double response_power(const struct response_config *config) {
    return config->unit ? -0.5 : -(double)config->beta;
}

static void response_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                           float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const struct response_config *config = response_of(layer);
    const size_t width = (size_t)cn_shape_channels(&layer->input_shape);
    const size_t rows = count * cn_shape_size(&layer->input_shape) / width;
    for (size_t r = 0; r < rows; r++, x += width, y += width)
        for (size_t c = 0; c < width; c++)
            y[c] = (float)((double)x[c] *
                           pow(response_base(config, x, c, width), response_power(config)));
}

/* y_c = x_c b_c^p: dx_k = dy_k b_k^p + sum over the c that see k of dy_c x_c p b_c^(p-1) db_c/dx_k.
 */
static void response_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct response_config *config = response_of(layer);
    const size_t width = (size_t)cn_shape_channels(&layer->input_shape);
    const size_t rows = pass->count * cn_shape_size(&layer->input_shape) / width;
    const double power = response_power(config);
    const double factor = config->unit ? 2 : 2 * (double)config->alpha / config->size;
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, rows * width * sizeof *pass->dx);
    for (size_t r = 0; r < rows; r++) {
        const float *x = pass->x + r * width, *dy = pass->dy + r * width;
        float *dx = pass->dx + r * width;
        for (size_t c = 0; c < width; c++) {
            const double base = response_base(config, x, c, width);
            const double slope =
                (double)dy[c] * (double)x[c] * power * pow(base, power - 1) * factor;
            size_t from, to;
            around(config, c, width, &from, &to);
            dx[c] += (float)((double)dy[c] * pow(base, power));
            for (size_t k = from; k < to; k++)
                dx[k] += (float)(slope * (double)x[k]);
        }
    }
}

static const struct cn_layer_training response_training = {.backward = response_backward};
static const struct cn_layer_inference response_inference = {.infer = response_infer};

const struct cn_layer_type cn_unit_normalization_type = {.class_name = "UnitNormalization",
                                                         .onnx = "LpNormalization",
                                                         .config_size =
                                                             sizeof(struct response_config),
                                                         .defaults = &unit_defaults,
                                                         .build = response_build,
                                                         .training = &response_training,
                                                         .inference = &response_inference};
const struct cn_layer_type cn_local_response_normalization_type = {
    .class_name = "LocalResponseNormalization",
    .onnx = "LRN",
    CN_LAYER_KEYS(response_defaults, response_fields),
    .build = response_build,
    .training = &response_training,
    .inference = &response_inference};
