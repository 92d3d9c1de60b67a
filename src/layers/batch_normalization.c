/* batch_normalization.c: Keras's BatchNormalization over the channels (Ioffe and Szegedy 2015).
 * Training normalises with the mini-batch's mean and biased variance and moves the moving
 * statistics towards them; inference is a scale and a shift with the moving ones. Sums over a batch
 * are collected per shard and added in the shards' order, so that results do not depend on the
 * number of threads. No state. */
#include <math.h>
#include <string.h>

#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

struct batch_normalization_config {
    float momentum, epsilon;
    bool center, scale;
};

static const struct batch_normalization_config defaults = {0.99f, 1e-3f, true, true};

#define AT(member) offsetof(struct batch_normalization_config, member)
static const struct cn_field fields[] = {
    {"momentum", CN_FIELD_FLOAT, AT(momentum), false, false, 0, 1, NULL},
    {"epsilon", CN_FIELD_FLOAT, AT(epsilon), false, false, 1e-10, 1, NULL},
    {"center", CN_FIELD_BOOL, AT(center), false, false, 0, 0, NULL},
    {"scale", CN_FIELD_BOOL, AT(scale), false, false, 0, 0, NULL},
};

static const struct batch_normalization_config *config_of(const struct cn_layer *layer) {
    return (const struct batch_normalization_config *)(const void *)layer->config;
}

static size_t channels_of(const struct cn_layer *layer) {
    return (size_t)cn_shape_channels(&layer->input_shape);
}

/* The offset of each tensor in the layer's parameters; gamma and beta may be missing (-1). */
struct places {
    ptrdiff_t gamma, beta, mean, variance;
};

static struct places places_of(const struct cn_layer *layer) {
    const struct batch_normalization_config *config = config_of(layer);
    const ptrdiff_t channels = (ptrdiff_t)channels_of(layer);
    struct places places = {-1, -1, 0, 0};
    ptrdiff_t next = 0;
    if (config->scale) {
        places.gamma = next;
        next += channels;
    }
    if (config->center) {
        places.beta = next;
        next += channels;
    }
    places.mean = next;
    places.variance = next + channels;
    return places;
}

static enum cn_status batch_normalization_build(struct cn_layer *layer, struct cn_error *error) {
    const struct batch_normalization_config *config = config_of(layer);
    const int channels = (int)channels_of(layer);
    const struct cn_tensor_spec one = {.rank = 1, .dims = {channels}, .fan_in = 1, .fan_out = 1};
    size_t count = 0;
    (void)error;
    layer->output_shape = layer->input_shape;
    const struct {
        const char *name;
        bool present, trainable;
        enum cn_initializer initializer;
    } tensors[] = {
        {"gamma", config->scale, true, CN_INITIALIZER_ONES},
        {"beta", config->center, true, CN_INITIALIZER_ZEROS},
        {"moving_mean", true, false, CN_INITIALIZER_ZEROS},
        {"moving_variance", true, false, CN_INITIALIZER_ONES},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        if (!tensors[i].present)
            continue;
        layer->tensors[count] = one;
        layer->tensors[count].name = tensors[i].name;
        layer->tensors[count].trainable = tensors[i].trainable;
        layer->tensors[count++].initializer = tensors[i].initializer;
    }
    layer->tensor_count = count;
    return CN_OK;
}

/* State: mean | gamma / deviation | beta | 1 / deviation | factors [3] of the gradient, where the
 * deviation is sqrt(variance + epsilon). */
enum { MEAN, SCALE, SHIFT, INVERSE, FACTORS, STATES = FACTORS + 3 };

static size_t batch_normalization_state_size(const struct cn_layer *layer) {
    return STATES * channels_of(layer);
}

/* Partial: rows | mean | sum of squared distances to it | sum of dy | sum of dy * (x - mean). */
static size_t batch_normalization_partial_size(const struct cn_layer *layer) {
    return 1 + 4 * channels_of(layer);
}

/* Room for the sums of a block of rows, in float. */
static size_t batch_normalization_scratch_size(const struct cn_layer *layer) {
    return 2 * channels_of(layer);
}

enum { BLOCK_ROWS = 1024 }; /* summed in float before they are added in double */

static size_t rows_of(const struct cn_layer *layer, const struct cn_pass *pass) {
    return pass->count * cn_shape_size(&layer->input_shape) / channels_of(layer);
}

/* Adds the moments of `more` rows to `moments` (Chan, Golub and LeVeque 1979, their equation 2.1).
 */
static void merge(double *moments, double more, double mean, double squares, size_t c,
                  size_t channels) {
    const double had = moments[0], distance = mean - moments[1 + c];
    moments[1 + c] += distance * more / (had + more);
    moments[1 + channels + c] += squares + distance * distance * had * more / (had + more);
}

static void batch_normalization_collect_forward(const struct cn_layer *layer,
                                                const struct cn_pass *pass) {
    const size_t channels = channels_of(layer), rows = rows_of(layer, pass);
    float *mean = pass->scratch, *squares = mean + channels;
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        const size_t count = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        cn_kernels()->elementwise->moments(mean, squares, pass->x + first * channels, count,
                                           channels);
        for (size_t c = 0; c < channels; c++)
            merge(pass->partial, (double)count, (double)mean[c], (double)squares[c], c, channels);
        pass->partial[0] += (double)count;
    }
}

static void batch_normalization_prepare_forward(const struct cn_layer *layer,
                                                const struct cn_pass *pass) {
    const struct batch_normalization_config *config = config_of(layer);
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    double *all = pass->partial;
    for (size_t shard = 1; shard < pass->shard_count; shard++) {
        const double *part = pass->partial + shard * batch_normalization_partial_size(layer);
        for (size_t c = 0; part[0] > 0 && c < channels; c++)
            merge(all, part[0], part[1 + c], part[1 + channels + c], c, channels);
        all[0] += part[0];
    }
    for (size_t c = 0; c < channels; c++) {
        const double mean = all[1 + c], variance = all[1 + channels + c] / all[0];
        const float inverse = (float)(1 / sqrt(variance + (double)config->epsilon));
        const float gamma = at.gamma >= 0 ? pass->parameters[at.gamma + (ptrdiff_t)c] : 1;
        pass->state[MEAN * channels + c] = (float)mean;
        pass->state[SCALE * channels + c] = gamma * inverse;
        pass->state[SHIFT * channels + c] =
            at.beta >= 0 ? pass->parameters[at.beta + (ptrdiff_t)c] : 0;
        pass->state[INVERSE * channels + c] = inverse;
        float *moving_mean = pass->parameters + at.mean + c;
        float *moving_variance = pass->parameters + at.variance + c;
        const float keep = config->momentum;
        *moving_mean = *moving_mean * keep + (float)mean * (1 - keep);
        *moving_variance = *moving_variance * keep + (float)variance * (1 - keep);
    }
}

/* A frozen layer computes as in inference: `packed` has its scale and shift. */
static void batch_normalization_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t channels = channels_of(layer);
    if (layer->frozen) {
        cn_kernels()->scale_shift(pass->y, pass->x, pass->packed, pass->packed + channels,
                                  rows_of(layer, pass), (int)channels);
        return;
    }
    cn_kernels()->elementwise->normalize(
        pass->y, pass->x, pass->state + MEAN * channels, pass->state + SCALE * channels,
        pass->state + SHIFT * channels, rows_of(layer, pass), channels);
}

static void batch_normalization_collect_backward(const struct cn_layer *layer,
                                                 const struct cn_pass *pass) {
    const size_t channels = channels_of(layer), rows = rows_of(layer, pass);
    float *sum = pass->scratch, *product = sum + channels;
    double *sums = pass->partial + 1 + 2 * channels;
    for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
        const size_t count = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
        cn_kernels()->elementwise->slope_sums(sum, product, pass->dy + first * channels,
                                              pass->x + first * channels,
                                              pass->state + MEAN * channels, count, channels);
        for (size_t c = 0; c < 2 * channels; c++)
            sums[c] += (double)sum[c];
    }
}

/* dx = gamma / deviation * (dy - mean(dy) - x^ * mean(dy * x^)), where x^ = (x - mean) / deviation
 */
static void batch_normalization_prepare_backward(const struct cn_layer *layer,
                                                 const struct cn_pass *pass) {
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    const double rows = pass->partial[0]; /* prepare_forward has added all shards here */
    float *factors = pass->state + FACTORS * channels;
    for (size_t c = 0; c < channels; c++) {
        const double scale = (double)pass->state[SCALE * channels + c];
        const double inverse = (double)pass->state[INVERSE * channels + c];
        double slope = 0, product = 0;
        for (size_t shard = 0; shard < pass->shard_count; shard++) {
            const double *sums =
                pass->partial + shard * batch_normalization_partial_size(layer) + 1 + 2 * channels;
            slope += sums[c];
            product += sums[channels + c];
        }
        factors[c] = (float)scale;
        factors[channels + c] = (float)(scale * slope / rows);
        factors[2 * channels + c] = (float)(scale * inverse * inverse * product / rows);
        if (at.gamma >= 0)
            pass->gradients[at.gamma + (ptrdiff_t)c] += (float)(inverse * product);
        if (at.beta >= 0)
            pass->gradients[at.beta + (ptrdiff_t)c] += (float)slope;
    }
}

static void batch_normalization_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t channels = channels_of(layer);
    if (layer->frozen) {
        const size_t count = rows_of(layer, pass) * channels;
        for (size_t i = 0; pass->dx != NULL && i < count; i++)
            pass->dx[i] = pass->dy[i] * pass->packed[i % channels];
    } else if (pass->dx != NULL)
        cn_kernels()->elementwise->normalize_gradient(
            pass->dx, pass->dy, pass->x, pass->state + MEAN * channels,
            pass->state + FACTORS * channels, rows_of(layer, pass), channels);
}

static bool batch_normalization_scale_shift(const struct cn_layer *layer, const float *parameters,
                                            float *scale, float *shift) {
    const struct places at = places_of(layer);
    for (ptrdiff_t c = 0; c < (ptrdiff_t)channels_of(layer); c++) {
        const double gamma = at.gamma >= 0 ? (double)parameters[at.gamma + c] : 1;
        const double beta = at.beta >= 0 ? (double)parameters[at.beta + c] : 0;
        const double factor =
            gamma / sqrt((double)parameters[at.variance + c] + (double)config_of(layer)->epsilon);
        scale[c] = (float)factor;
        shift[c] = (float)(beta - (double)parameters[at.mean + c] * factor);
    }
    return true;
}

/* Packed: scale | shift. */
static size_t batch_normalization_packed_size(const struct cn_layer *layer) {
    return 2 * channels_of(layer);
}

static void batch_normalization_pack(const struct cn_layer *layer, const float *parameters,
                                     float *packed) {
    (void)batch_normalization_scale_shift(layer, parameters, packed, packed + channels_of(layer));
}

static void batch_normalization_infer(const struct cn_step *step, const float *const *inputs,
                                      size_t count, float *y, float *scratch) {
    const size_t channels = channels_of(&step->layer);
    const size_t rows = count * cn_shape_size(&step->layer.input_shape) / channels;
    (void)scratch;
    cn_kernels()->scale_shift(y, inputs[0], step->packed, step->packed + channels, rows,
                              (int)channels);
}

static const struct cn_layer_batch batch_normalization_batch = {
    .state_size = batch_normalization_state_size,
    .partial_size = batch_normalization_partial_size,
    .collect_forward = batch_normalization_collect_forward,
    .prepare_forward = batch_normalization_prepare_forward,
    .collect_backward = batch_normalization_collect_backward,
    .prepare_backward = batch_normalization_prepare_backward};

static const struct cn_layer_training batch_normalization_training = {
    .forward = batch_normalization_forward,
    .backward = batch_normalization_backward,
    .packed_size = batch_normalization_packed_size,
    .pack = batch_normalization_pack,
    .scratch_size = batch_normalization_scratch_size,
    .batch = &batch_normalization_batch};

static const struct cn_layer_inference batch_normalization_inference = {
    .infer = batch_normalization_infer,
    .packed_size = batch_normalization_packed_size,
    .pack = batch_normalization_pack,
    .scale_shift = batch_normalization_scale_shift};

const struct cn_layer_type cn_batch_normalization_type = {.class_name = "BatchNormalization",
                                                          .onnx = "BatchNormalization",
                                                          CN_LAYER_KEYS(defaults, fields),
                                                          .build = batch_normalization_build,
                                                          .training = &batch_normalization_training,
                                                          .inference =
                                                              &batch_normalization_inference};
