/* batch_normalization.c: Keras's BatchNormalization over the channels (Ioffe and Szegedy 2015).
 * Training normalises with the mini-batch's mean and biased variance and moves the moving
 * statistics towards them; inference is a scale and a shift with the moving ones. The whole-batch
 * sums run in prepare_*, in one order, so that results depend on no number of threads. No state. */
#include <math.h>
#include <string.h>

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
    return (size_t)layer->input_shape.dims[layer->input_shape.rank - 1];
}

/* Where each tensor begins in the layer's parameters; gamma and beta may be missing (-1). */
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

static enum cn_status build(struct cn_layer *layer, struct cn_error *error) {
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

/* State: mean | 1 / sqrt(variance + epsilon) | sum of dy | sum of dy * normalised x. */
static size_t state_size(const struct cn_layer *layer) {
    return 4 * channels_of(layer);
}

static void prepare_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct batch_normalization_config *config = config_of(layer);
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    const size_t rows = pass->count * cn_shape_size(&layer->input_shape) / channels;
    for (size_t c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < rows; i++)
            sum += (double)pass->x[i * channels + c];
        const double mean = sum / (double)rows;
        for (size_t i = 0; i < rows; i++) {
            const double d = (double)pass->x[i * channels + c] - mean;
            squares += d * d;
        }
        const double variance = squares / (double)rows;
        pass->state[c] = (float)mean;
        pass->state[channels + c] = (float)(1 / sqrt(variance + (double)config->epsilon));
        float *moving_mean = pass->parameters + at.mean + c;
        float *moving_variance = pass->parameters + at.variance + c;
        const float keep = config->momentum;
        *moving_mean = *moving_mean * keep + (float)mean * (1 - keep);
        *moving_variance = *moving_variance * keep + (float)variance * (1 - keep);
    }
}

static void forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    const size_t rows = pass->count * cn_shape_size(&layer->input_shape) / channels;
    const float *mean = pass->state, *inverse = pass->state + channels;
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < channels; c++) {
            const float gamma = at.gamma >= 0 ? pass->parameters[at.gamma + (ptrdiff_t)c] : 1;
            const float beta = at.beta >= 0 ? pass->parameters[at.beta + (ptrdiff_t)c] : 0;
            pass->y[i * channels + c] =
                (pass->x[i * channels + c] - mean[c]) * inverse[c] * gamma + beta;
        }
}

static void prepare_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    const size_t rows = pass->count * cn_shape_size(&layer->input_shape) / channels;
    const float *mean = pass->state, *inverse = pass->state + channels;
    for (size_t c = 0; c < channels; c++) {
        double dy_sum = 0, product = 0;
        for (size_t i = 0; i < rows; i++) {
            const float dy = pass->dy[i * channels + c];
            dy_sum += (double)dy;
            product += (double)dy * (double)((pass->x[i * channels + c] - mean[c]) * inverse[c]);
        }
        pass->state[2 * channels + c] = (float)(dy_sum / (double)rows);
        pass->state[3 * channels + c] = (float)(product / (double)rows);
        if (at.gamma >= 0)
            pass->gradients[at.gamma + (ptrdiff_t)c] += (float)product;
        if (at.beta >= 0)
            pass->gradients[at.beta + (ptrdiff_t)c] += (float)dy_sum;
    }
}

/* dx = gamma / sqrt(variance + epsilon) * (dy - mean(dy) - x^ * mean(dy * x^)) */
static void backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    const size_t rows = pass->count * cn_shape_size(&layer->input_shape) / channels;
    const float *mean = pass->state, *inverse = mean + channels;
    const float *dy_mean = inverse + channels, *product_mean = dy_mean + channels;
    for (size_t i = 0; pass->dx != NULL && i < rows; i++)
        for (size_t c = 0; c < channels; c++) {
            const float gamma = at.gamma >= 0 ? pass->parameters[at.gamma + (ptrdiff_t)c] : 1;
            const float normal = (pass->x[i * channels + c] - mean[c]) * inverse[c];
            pass->dx[i * channels + c] =
                gamma * inverse[c] *
                (pass->dy[i * channels + c] - dy_mean[c] - normal * product_mean[c]);
        }
}

static void scale_shift(const struct cn_layer *layer, const float *parameters, float *scale,
                        float *shift) {
    const struct places at = places_of(layer);
    for (ptrdiff_t c = 0; c < (ptrdiff_t)channels_of(layer); c++) {
        const double gamma = at.gamma >= 0 ? (double)parameters[at.gamma + c] : 1;
        const double beta = at.beta >= 0 ? (double)parameters[at.beta + c] : 0;
        const double factor =
            gamma / sqrt((double)parameters[at.variance + c] + (double)config_of(layer)->epsilon);
        scale[c] = (float)factor;
        shift[c] = (float)(beta - (double)parameters[at.mean + c] * factor);
    }
}

/* Packed: scale | shift. */
static size_t packed_size(const struct cn_layer *layer) {
    return 2 * channels_of(layer);
}

static void pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    scale_shift(layer, parameters, packed, packed + channels_of(layer));
}

static void infer(const struct cn_layer *layer, const float *packed, const float *x, float *y,
                  float *scratch) {
    const size_t channels = channels_of(layer);
    const size_t size = cn_shape_size(&layer->input_shape);
    (void)scratch;
    for (size_t i = 0; i < size; i += channels)
        for (size_t c = 0; c < channels; c++)
            y[i + c] = x[i + c] * packed[c] + packed[channels + c];
}

const struct cn_layer_type cn_batch_normalization_type = {.class_name = "BatchNormalization",
                                                          .config_size = sizeof defaults,
                                                          .defaults = &defaults,
                                                          .fields = fields,
                                                          .field_count =
                                                              sizeof fields / sizeof *fields,
                                                          .build = build,
                                                          .forward = forward,
                                                          .backward = backward,
                                                          .state_size = state_size,
                                                          .prepare_forward = prepare_forward,
                                                          .prepare_backward = prepare_backward,
                                                          .infer = infer,
                                                          .packed_size = packed_size,
                                                          .pack = pack,
                                                          .scale_shift = scale_shift};
