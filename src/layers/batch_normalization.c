/* batch_normalization.c: Keras's BatchNormalization over the channels (Ioffe and Szegedy 2015).
 * Training normalises with the mini-batch's mean and biased variance and moves the moving
 * statistics towards them; inference is a scale and a shift with the moving ones. The whole-batch
 * sums run in prepare_*, in one order, so that results depend on no number of threads. No state. */
#include <math.h>
#include <string.h>

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

/* Channels go in blocks: the rows of a block are read in their order, whole vectors at a time, and
 * a channel's sum still runs over the rows one by one. */
enum { BLOCK = 16 };

/* A block: its first channel's place in x, y, dx, dy, whose rows are `channels` apart. */
struct block {
    size_t rows, channels;
    float mean[BLOCK], inverse[BLOCK], gamma[BLOCK], beta[BLOCK];
};

static struct block block_of(const struct cn_layer *layer, const struct cn_pass *pass, size_t first,
                             size_t count) {
    const struct places at = places_of(layer);
    struct block block = {.channels = channels_of(layer)};
    block.rows = pass->count * cn_shape_size(&layer->input_shape) / block.channels;
    for (size_t c = 0; c < count; c++) {
        const ptrdiff_t channel = (ptrdiff_t)(first + c);
        block.mean[c] = pass->state[channel];
        block.inverse[c] = pass->state[block.channels + first + c];
        block.gamma[c] = at.gamma >= 0 ? pass->parameters[at.gamma + channel] : 1;
        block.beta[c] = at.beta >= 0 ? pass->parameters[at.beta + channel] : 0;
    }
    return block;
}

/* Runs F once with its count of channels as a constant, so that its inner loop is made of vectors,
 * or with fewer at the end of the channels. */
#define EACH_BLOCK(channels, F, ...)                                                               \
    do {                                                                                           \
        for (size_t first = 0; first < (channels); first += BLOCK)                                 \
            if ((channels)-first >= BLOCK)                                                         \
                F(__VA_ARGS__, first, BLOCK);                                                      \
            else                                                                                   \
                F(__VA_ARGS__, first, (channels)-first);                                           \
    } while (0)
#define INLINE static inline __attribute__((always_inline))

INLINE void measure_block(const struct cn_layer *layer, const struct cn_pass *pass, size_t first,
                          const size_t count) {
    const struct batch_normalization_config *config = config_of(layer);
    const struct places at = places_of(layer);
    const size_t channels = channels_of(layer);
    const size_t rows = pass->count * cn_shape_size(&layer->input_shape) / channels;
    const float *restrict x = pass->x + first, keep = config->momentum;
    double sum[BLOCK] = {0}, squares[BLOCK] = {0}, mean[BLOCK];
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < count; c++)
            sum[c] += (double)x[i * channels + c];
    for (size_t c = 0; c < count; c++)
        mean[c] = sum[c] / (double)rows;
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < count; c++) {
            const double d = (double)x[i * channels + c] - mean[c];
            squares[c] += d * d;
        }
    for (size_t c = 0; c < count; c++) {
        const double variance = squares[c] / (double)rows;
        float *moving_mean = pass->parameters + at.mean + first + c;
        float *moving_variance = pass->parameters + at.variance + first + c;
        pass->state[first + c] = (float)mean[c];
        pass->state[channels + first + c] = (float)(1 / sqrt(variance + (double)config->epsilon));
        *moving_mean = *moving_mean * keep + (float)mean[c] * (1 - keep);
        *moving_variance = *moving_variance * keep + (float)variance * (1 - keep);
    }
}

static void prepare_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    EACH_BLOCK(channels_of(layer), measure_block, layer, pass);
}

INLINE void forward_block(const struct cn_layer *layer, const struct cn_pass *pass, size_t first,
                          const size_t count) {
    const struct block b = block_of(layer, pass, first, count);
    const float *restrict x = pass->x + first;
    float *restrict y = pass->y + first;
    for (size_t i = 0; i < b.rows; i++, x += b.channels, y += b.channels)
        for (size_t c = 0; c < count; c++)
            y[c] = (x[c] - b.mean[c]) * b.inverse[c] * b.gamma[c] + b.beta[c];
}

static void forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    EACH_BLOCK(channels_of(layer), forward_block, layer, pass);
}

INLINE void derive_block(const struct cn_layer *layer, const struct cn_pass *pass, size_t first,
                         const size_t count) {
    const struct places at = places_of(layer);
    const struct block b = block_of(layer, pass, first, count);
    const float *restrict x = pass->x + first, *restrict dy = pass->dy + first;
    double dy_sum[BLOCK] = {0}, product[BLOCK] = {0};
    for (size_t i = 0; i < b.rows; i++, x += b.channels, dy += b.channels)
        for (size_t c = 0; c < count; c++) {
            dy_sum[c] += (double)dy[c];
            product[c] += (double)dy[c] * (double)((x[c] - b.mean[c]) * b.inverse[c]);
        }
    for (size_t c = 0; c < count; c++) {
        const ptrdiff_t channel = (ptrdiff_t)(first + c);
        pass->state[2 * b.channels + first + c] = (float)(dy_sum[c] / (double)b.rows);
        pass->state[3 * b.channels + first + c] = (float)(product[c] / (double)b.rows);
        if (at.gamma >= 0)
            pass->gradients[at.gamma + channel] += (float)product[c];
        if (at.beta >= 0)
            pass->gradients[at.beta + channel] += (float)dy_sum[c];
    }
}

static void prepare_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    EACH_BLOCK(channels_of(layer), derive_block, layer, pass);
}

/* dx = gamma / sqrt(variance + epsilon) * (dy - mean(dy) - x^ * mean(dy * x^)) */
INLINE void backward_block(const struct cn_layer *layer, const struct cn_pass *pass, size_t first,
                           const size_t count) {
    const struct block b = block_of(layer, pass, first, count);
    const float *restrict x = pass->x + first, *restrict dy = pass->dy + first;
    float *restrict dx = pass->dx + first;
    float dy_mean[BLOCK], product_mean[BLOCK], factor[BLOCK];
    for (size_t c = 0; c < count; c++) {
        dy_mean[c] = pass->state[2 * b.channels + first + c];
        product_mean[c] = pass->state[3 * b.channels + first + c];
        factor[c] = b.gamma[c] * b.inverse[c];
    }
    for (size_t i = 0; i < b.rows; i++, x += b.channels, dy += b.channels, dx += b.channels)
        for (size_t c = 0; c < count; c++) {
            const float normal = (x[c] - b.mean[c]) * b.inverse[c];
            dx[c] = factor[c] * (dy[c] - dy_mean[c] - normal * product_mean[c]);
        }
}

static void backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    if (pass->dx != NULL)
        EACH_BLOCK(channels_of(layer), backward_block, layer, pass);
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

static void infer(const struct cn_step *step, const float *x, size_t count, float *y,
                  float *scratch) {
    const size_t channels = channels_of(&step->layer);
    const size_t rows = count * cn_shape_size(&step->layer.input_shape) / channels;
    (void)scratch;
    cn_kernels()->scale_shift(y, x, step->packed, step->packed + channels, rows, (int)channels);
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
