/* initialize.c: Keras's initializers. No state. */
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "convnet/network.h"

/* The distribution that an initializer draws from. */
struct draw {
    enum { CONSTANT, UNIFORM, NORMAL, TRUNCATED, ORTHOGONAL, IDENTITY } kind;
    double a, b; /* the constant or the gain; from, to; mean, deviation */
};

/* A normal cut at +-2 deviations has this deviation; dividing by it restores the one asked for. */
#define TRUNCATED_DEVIATION 0.87962566103423978

/* Variance scaling: a variance of scale / n, with n the fan of the mode. */
static struct draw scaled_draw(const struct cn_tensor_spec *spec, double scale,
                               enum cn_fan_mode mode, enum cn_scaled_distribution distribution) {
    const double n = mode == CN_FAN_IN    ? spec->fan_in
                     : mode == CN_FAN_OUT ? spec->fan_out
                                          : (spec->fan_in + spec->fan_out) / 2;
    const double variance = scale / fmax(n, 1);
    if (distribution == CN_SCALED_UNIFORM)
        return (struct draw){UNIFORM, -sqrt(3 * variance), sqrt(3 * variance)};
    if (distribution == CN_SCALED_NORMAL)
        return (struct draw){NORMAL, 0, sqrt(variance)};
    return (struct draw){TRUNCATED, 0, sqrt(variance) / TRUNCATED_DEVIATION};
}

static struct draw draw_of(const struct cn_tensor_spec *spec) {
    const struct cn_initializer_numbers *n = &spec->initializer_numbers;
    switch (spec->initializer) {
    case CN_INITIALIZER_GLOROT_UNIFORM: /* Glorot and Bengio 2010 */
        return (struct draw){UNIFORM, -sqrt(6.0 / (spec->fan_in + spec->fan_out)),
                             sqrt(6.0 / (spec->fan_in + spec->fan_out))};
    case CN_INITIALIZER_GLOROT_NORMAL:
        return scaled_draw(spec, 1, CN_FAN_AVERAGE, CN_SCALED_TRUNCATED);
    case CN_INITIALIZER_HE_NORMAL: /* He et al. 2015 */
        return (struct draw){TRUNCATED, 0, sqrt(2.0 / spec->fan_in) / TRUNCATED_DEVIATION};
    case CN_INITIALIZER_HE_UNIFORM:
        return scaled_draw(spec, 2, CN_FAN_IN, CN_SCALED_UNIFORM);
    case CN_INITIALIZER_LECUN_NORMAL:
        return scaled_draw(spec, 1, CN_FAN_IN, CN_SCALED_TRUNCATED);
    case CN_INITIALIZER_LECUN_UNIFORM:
        return scaled_draw(spec, 1, CN_FAN_IN, CN_SCALED_UNIFORM);
    case CN_INITIALIZER_VARIANCE_SCALING:
        return scaled_draw(spec, n->given ? (double)n->a : 1, n->given ? n->fan_mode : CN_FAN_IN,
                           n->given ? n->distribution : CN_SCALED_TRUNCATED);
    case CN_INITIALIZER_RANDOM_NORMAL:
        return (struct draw){NORMAL, n->given ? (double)n->a : 0, n->given ? (double)n->b : 0.05};
    case CN_INITIALIZER_TRUNCATED_NORMAL:
        return (struct draw){TRUNCATED, n->given ? (double)n->a : 0,
                             n->given ? (double)n->b : 0.05};
    case CN_INITIALIZER_RANDOM_UNIFORM:
        return (struct draw){UNIFORM, n->given ? (double)n->a : -0.05,
                             n->given ? (double)n->b : 0.05};
    case CN_INITIALIZER_CONSTANT:
        return (struct draw){CONSTANT, n->given ? (double)n->a : 0, 0};
    case CN_INITIALIZER_ORTHOGONAL:
        return (struct draw){ORTHOGONAL, n->given ? (double)n->a : 1, 0};
    case CN_INITIALIZER_IDENTITY:
        return (struct draw){IDENTITY, n->given ? (double)n->a : 1, 0};
    case CN_INITIALIZER_ONES:
        return (struct draw){CONSTANT, 1, 0};
    case CN_INITIALIZER_ZEROS:
        break;
    }
    return (struct draw){CONSTANT, 0, 0};
}

/* Columns of the last axis, or rows if these are fewer, made orthonormal by Gram and Schmidt's
 * process on normal numbers (Saxe, McClelland and Ganguli 2014), twice for the rounding. Without
 * memory they stay as they were drawn. */
static void orthogonalize(float *values, size_t rows, size_t columns, double gain) {
    const bool wide = columns > rows;
    const size_t vectors = wide ? rows : columns, length = wide ? columns : rows;
    double *basis = calloc(vectors * length + 1, sizeof *basis);
    for (size_t v = 0; basis != NULL && v < vectors; v++) {
        double *vector = basis + v * length, squares = 0;
        for (size_t i = 0; i < length; i++)
            vector[i] = (double)values[wide ? v * columns + i : i * columns + v];
        for (size_t k = 0; k < 2 * v; k++) {
            const double *other = basis + k % v * length;
            double product = 0;
            for (size_t i = 0; i < length; i++)
                product += vector[i] * other[i];
            for (size_t i = 0; i < length; i++)
                vector[i] -= product * other[i];
        }
        for (size_t i = 0; i < length; i++)
            squares += vector[i] * vector[i];
        for (size_t i = 0; i < length; i++) {
            vector[i] /= sqrt(squares) + 1e-30;
            values[wide ? v * columns + i : i * columns + v] = (float)(gain * vector[i]);
        }
    }
    free(basis);
}

static void initialize(float *values, size_t size, const struct cn_tensor_spec *spec,
                       struct cn_random *random) {
    const struct draw draw = draw_of(spec);
    const size_t columns = spec->rank > 0 ? (size_t)spec->dims[spec->rank - 1] : 1;
    for (size_t i = 0; i < size; i++) {
        float normal = 0;
        switch (draw.kind) {
        case CONSTANT:
            values[i] = (float)draw.a;
            break;
        case UNIFORM:
            values[i] = cn_random_uniform(random, (float)draw.a, (float)draw.b);
            break;
        case NORMAL:
            values[i] = (float)draw.a + cn_random_normal(random) * (float)draw.b;
            break;
        case TRUNCATED:
            do
                normal = cn_random_normal(random);
            while (fabsf(normal) > 2);
            values[i] = (float)draw.a + normal * (float)draw.b;
            break;
        case ORTHOGONAL:
            values[i] = cn_random_normal(random);
            break;
        case IDENTITY:
            values[i] = i / columns == i % columns ? (float)draw.a : 0;
            break;
        }
    }
    if (draw.kind == ORTHOGONAL)
        orthogonalize(values, size / columns, columns, draw.a);
}

void cn_network_initialize(struct cn_network *network, uint64_t seed) {
    size_t index = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t t = 0; t < network->layers[l].tensor_count; t++, index++) {
            const struct cn_tensor *tensor = &network->tensors[index];
            struct cn_random random = cn_random_stream(seed, 0x696e6974u, index, 0);
            initialize(network->parameters + tensor->offset, tensor->size,
                       &network->layers[l].tensors[t], &random);
        }
}
