/* noise.c: Keras's layers that change or weigh their input in training and pass it on in inference:
 * SpatialDropout, GaussianNoise, GaussianDropout, AlphaDropout, ActivityRegularization. The
 * backward pass draws the random numbers again from the same key instead of keeping them. No state.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/random.h"
#include "layers/layer_type.h"

struct noise_config {
    float rate; /* or the standard deviation */
};

static const struct noise_config noise_defaults = {0};
static const struct cn_field rate_fields[] = {
    {"rate", CN_FIELD_FLOAT, offsetof(struct noise_config, rate), true, false, 0, 0.999999, NULL},
};
static const struct cn_field deviation_fields[] = {
    {"stddev", CN_FIELD_FLOAT, offsetof(struct noise_config, rate), true, false, 0, 1e6, NULL},
};

static float rate_of(const struct cn_layer *layer) {
    return ((const struct noise_config *)(const void *)layer->config)->rate;
}

static enum cn_status noise_build(struct cn_layer *layer, struct cn_error *error) {
    (void)error;
    layer->output_shape = layer->input_shape;
    return CN_OK;
}

static struct cn_random sample_stream(const struct cn_pass *pass, size_t n) {
    return cn_random_stream(pass->seed, pass->step, pass->layer, pass->first + n);
}

/* to = from * factor of each element, drawn for each sample; `from` is x or dy. */
static void spatial_apply(const struct cn_layer *layer, const struct cn_pass *pass,
                          const float *from, float *to) {
    const size_t size = cn_shape_size(&layer->input_shape);
    const size_t channels = (size_t)cn_shape_channels(&layer->input_shape);
    const float rate = rate_of(layer), kept = 1 / (1 - rate);
    for (size_t n = 0; n < pass->count; n++) {
        struct cn_random random = sample_stream(pass, n);
        for (size_t c = 0; c < channels; c++) {
            const float factor = cn_random_float(&random) < rate ? 0 : kept;
            for (size_t i = c; i < size; i += channels)
                to[n * size + i] = from[n * size + i] * factor;
        }
    }
}

static void spatial_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    spatial_apply(layer, pass, pass->x, pass->y);
}

static void spatial_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        spatial_apply(layer, pass, pass->dy, pass->dx);
}

/* Multiplies by a normal of mean 1 and deviation sqrt(rate / (1 - rate)). */
static void factors_apply(const struct cn_layer *layer, const struct cn_pass *pass,
                          const float *from, float *to) {
    const size_t size = cn_shape_size(&layer->input_shape);
    const float deviation = sqrtf(rate_of(layer) / (1 - rate_of(layer)));
    for (size_t n = 0; n < pass->count; n++) {
        struct cn_random random = sample_stream(pass, n);
        for (size_t i = n * size; i < (n + 1) * size; i++)
            to[i] = from[i] * (1 + deviation * cn_random_normal(&random));
    }
}

static void factors_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    factors_apply(layer, pass, pass->x, pass->y);
}

static void factors_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        factors_apply(layer, pass, pass->dy, pass->dx);
}

static void sums_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t n = 0; n < pass->count; n++) {
        struct cn_random random = sample_stream(pass, n);
        for (size_t i = n * size; i < (n + 1) * size; i++)
            pass->y[i] = pass->x[i] + rate_of(layer) * cn_random_normal(&random);
    }
}

static void sums_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        memcpy(pass->dx, pass->dy,
               pass->count * cn_shape_size(&layer->input_shape) * sizeof *pass->dx);
}

/* Klambauer et al. 2017: what is dropped becomes -scale * alpha, then a and b restore mean 0 and
 * variance 1. `shift` false: the derivative. */
static void alpha_apply(const struct cn_layer *layer, const struct cn_pass *pass, const float *from,
                        float *to, bool shift) {
    const double least = -1.0507009873554805 * 1.6732632423543772, rate = (double)rate_of(layer);
    const double a = 1 / sqrt((1 - rate) * (1 + rate * least * least));
    const float b = (float)(-a * least * rate), dropped = (float)(a * least);
    const size_t size = cn_shape_size(&layer->input_shape);
    for (size_t n = 0; n < pass->count; n++) {
        struct cn_random random = sample_stream(pass, n);
        for (size_t i = n * size; i < (n + 1) * size; i++) {
            const bool keep = !(cn_random_float(&random) < (float)rate);
            to[i] = (keep ? (float)a * from[i] : shift ? dropped : 0) + (shift ? b : 0);
        }
    }
}

static void alpha_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    alpha_apply(layer, pass, pass->x, pass->y, true);
}

static void alpha_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        alpha_apply(layer, pass, pass->dy, pass->dx, false);
}

static const struct cn_layer_training spatial_training = {.forward = spatial_forward,
                                                          .backward = spatial_backward},
                                      factors_training = {.forward = factors_forward,
                                                          .backward = factors_backward},
                                      sums_training = {.forward = sums_forward,
                                                       .backward = sums_backward},
                                      alpha_training = {.forward = alpha_forward,
                                                        .backward = alpha_backward};

#define NOISE(kind, key)                                                                           \
    CN_LAYER_KEYS(noise_defaults, key##_fields), .build = noise_build, .training = &kind##_training

const struct cn_layer_type cn_spatial_dropout2d_type = {.class_name = "SpatialDropout2D",
                                                        NOISE(spatial, rate)};
const struct cn_layer_type cn_spatial_dropout1d_type = {.class_name = "SpatialDropout1D",
                                                        NOISE(spatial, rate)};
const struct cn_layer_type cn_gaussian_dropout_type = {.class_name = "GaussianDropout",
                                                       NOISE(factors, rate)};
const struct cn_layer_type cn_gaussian_noise_type = {.class_name = "GaussianNoise",
                                                     NOISE(sums, deviation)};
const struct cn_layer_type cn_alpha_dropout_type = {.class_name = "AlphaDropout",
                                                    NOISE(alpha, rate)};

/* ---- ActivityRegularization: the loss of each sample grows by l1 |x| + l2 x^2 ---- */

struct activity_config {
    float l1, l2;
};

static const struct activity_config activity_defaults = {0, 0};
static const struct cn_field activity_fields[] = {
    {"l1", CN_FIELD_FLOAT, offsetof(struct activity_config, l1), false, false, 0, 1e6, NULL},
    {"l2", CN_FIELD_FLOAT, offsetof(struct activity_config, l2), false, false, 0, 1e6, NULL},
};

static const struct activity_config *activity_of(const struct cn_layer *layer) {
    return (const struct activity_config *)(const void *)layer->config;
}

double cn_activity_regularization_of(const struct cn_layer *layer, const float *values,
                                     size_t count) {
    const struct activity_config *config = activity_of(layer);
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)config->l1 * fabs((double)values[i]) +
               (double)config->l2 * (double)values[i] * (double)values[i];
    return sum;
}

static void activity_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t size = pass->count * cn_shape_size(&layer->input_shape);
    memcpy(pass->y, pass->x, size * sizeof *pass->y);
    *pass->penalty += cn_activity_regularization_of(layer, pass->x, size);
}

static void activity_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct activity_config *config = activity_of(layer);
    const size_t size = pass->count * cn_shape_size(&layer->input_shape);
    for (size_t i = 0; pass->dx != NULL && i < size; i++) {
        const float v = pass->x[i];
        pass->dx[i] = pass->dy[i] +
                      pass->scale * (config->l1 * (float)((v > 0) - (v < 0)) + 2 * config->l2 * v);
    }
}

static const struct cn_layer_training activity_training = {.forward = activity_forward,
                                                           .backward = activity_backward};

const struct cn_layer_type cn_activity_regularization_type = {
    .class_name = "ActivityRegularization",
    CN_LAYER_KEYS(activity_defaults, activity_fields),
    .build = noise_build,
    .training = &activity_training};
