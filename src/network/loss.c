/* loss.c: THE table of losses, as Keras defines them (keras.io/api/losses): the contribution of
 * each output, and its derivative. No state. */
#include <math.h>

#include "layers/layer_type.h"
#include "network/loss.h"

/* The outputs that a loss requires. */
enum need { NEED_NOTHING, NEED_SOFTMAX, NEED_PROBABILITIES };

struct loss_type {
    double (*value)(double p, double t); /* the contribution of one output */
    double (*slope)(double p, double t); /* its derivative with respect to p */
    bool mean;                           /* the mean over the outputs, or else their sum */
    bool binary;                         /* outputs are independent yes/no answers */
    enum need need;
    enum cn_activation fuses_with; /* CN_ACTIVATION_LINEAR: none */
};

static const double smallest = 1e-7; /* Keras's epsilon */

static double clipped(double p) {
    return isnan(p) ? p : fmin(fmax(p, smallest), 1 - smallest);
}

static double squared_value(double p, double t) {
    return (p - t) * (p - t);
}

static double squared_slope(double p, double t) {
    return 2 * (p - t);
}

static double absolute_value(double p, double t) {
    return fabs(p - t);
}

static double absolute_slope(double p, double t) {
    return (p > t) - (p < t);
}

static double huber_value(double p, double t) {
    const double far = fabs(p - t);
    return far <= 1 ? 0.5 * far * far : far - 0.5;
}

static double huber_slope(double p, double t) {
    return fmin(fmax(p - t, -1), 1);
}

static double log_cosh_value(double p, double t) {
    const double far = fabs(p - t); /* log(cosh(x)) without the overflow of cosh */
    return far + log1p(exp(-2 * far)) - 0.6931471805599453;
}

static double log_cosh_slope(double p, double t) {
    return tanh(p - t);
}

static double hinge_value(double p, double t) {
    return isnan(p) ? p : fmax(1 - (2 * t - 1) * p, 0);
}

static double hinge_slope(double p, double t) {
    const double sign = 2 * t - 1;
    return sign * p < 1 ? -sign : 0;
}

static double squared_hinge_value(double p, double t) {
    return hinge_value(p, t) * hinge_value(p, t);
}

static double squared_hinge_slope(double p, double t) {
    return 2 * hinge_value(p, t) * hinge_slope(p, t);
}

static double categorical_value(double p, double t) {
    return isnan(p) ? p : t > 0 ? -(t * log(clipped(p))) : 0;
}

static double categorical_slope(double p, double t) {
    return -t / clipped(p);
}

static double binary_value(double p, double t) {
    const double q = clipped(p);
    return -(t * log(q) + (1 - t) * log1p(-q));
}

static double binary_slope(double p, double t) {
    const double q = clipped(p);
    return (1 - t) / (1 - q) - t / q;
}

static const double focal_alpha = 0.25; /* with gamma 2 */

static double categorical_focal_value(double p, double t) {
    const double q = clipped(p);
    return focal_alpha * (1 - q) * (1 - q) * categorical_value(p, t);
}

static double categorical_focal_slope(double p, double t) {
    const double q = clipped(p);
    return focal_alpha * t * (1 - q) * (2 * log(q) - (1 - q) / q);
}

static double binary_focal_value(double p, double t) {
    const double q = clipped(p), right = t * q + (1 - t) * (1 - q);
    return (1 - right) * (1 - right) * binary_value(p, t);
}

static double binary_focal_slope(double p, double t) {
    const double q = clipped(p), wrong = 1 - (t * q + (1 - t) * (1 - q));
    return wrong * (wrong * binary_slope(p, t) - 2 * (2 * t - 1) * binary_value(p, t));
}

static double divergence_value(double p, double t) {
    const double q = fmax(t, smallest);
    return q * (log(q) - log(clipped(p)));
}

static double divergence_slope(double p, double t) {
    return -fmax(t, smallest) / clipped(p);
}

static double poisson_value(double p, double t) {
    return p - t * log(p + smallest);
}

static double poisson_slope(double p, double t) {
    return 1 - t / (p + smallest);
}

static const struct loss_type types[] = {
    [CN_LOSS_MEAN_SQUARED_ERROR] = {squared_value, squared_slope, .mean = true},
    [CN_LOSS_CATEGORICAL_CROSSENTROPY] = {categorical_value, categorical_slope,
                                          .need = NEED_SOFTMAX,
                                          .fuses_with = CN_ACTIVATION_SOFTMAX},
    [CN_LOSS_BINARY_CROSSENTROPY] = {binary_value, binary_slope, .mean = true, .binary = true,
                                     .need = NEED_PROBABILITIES,
                                     .fuses_with = CN_ACTIVATION_SIGMOID},
    [CN_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY] = {categorical_focal_value, categorical_focal_slope,
                                                .need = NEED_SOFTMAX},
    [CN_LOSS_BINARY_FOCAL_CROSSENTROPY] = {binary_focal_value, binary_focal_slope, .mean = true,
                                           .binary = true, .need = NEED_PROBABILITIES},
    [CN_LOSS_MEAN_ABSOLUTE_ERROR] = {absolute_value, absolute_slope, .mean = true},
    [CN_LOSS_HUBER] = {huber_value, huber_slope, .mean = true},
    [CN_LOSS_LOG_COSH] = {log_cosh_value, log_cosh_slope, .mean = true},
    [CN_LOSS_HINGE] = {hinge_value, hinge_slope, .mean = true},
    [CN_LOSS_SQUARED_HINGE] = {squared_hinge_value, squared_hinge_slope, .mean = true},
    [CN_LOSS_KL_DIVERGENCE] = {divergence_value, divergence_slope, .need = NEED_SOFTMAX},
    [CN_LOSS_POISSON] = {poisson_value, poisson_slope, .mean = true, .need = NEED_PROBABILITIES},
};

const char *const cn_loss_names[] = {
    [CN_LOSS_MEAN_SQUARED_ERROR] = "mean_squared_error",
    [CN_LOSS_CATEGORICAL_CROSSENTROPY] = "categorical_crossentropy",
    [CN_LOSS_BINARY_CROSSENTROPY] = "binary_crossentropy",
    [CN_LOSS_CATEGORICAL_FOCAL_CROSSENTROPY] = "categorical_focal_crossentropy",
    [CN_LOSS_BINARY_FOCAL_CROSSENTROPY] = "binary_focal_crossentropy",
    [CN_LOSS_MEAN_ABSOLUTE_ERROR] = "mean_absolute_error",
    [CN_LOSS_HUBER] = "huber",
    [CN_LOSS_LOG_COSH] = "log_cosh",
    [CN_LOSS_HINGE] = "hinge",
    [CN_LOSS_SQUARED_HINGE] = "squared_hinge",
    [CN_LOSS_KL_DIVERGENCE] = "kl_divergence",
    [CN_LOSS_POISSON] = "poisson",
    NULL};
const char *const cn_loss_short_names[] = {"mse", "sparse_categorical_crossentropy",
                                           "bce", "",
                                           "",    "mae",
                                           "",    "logcosh",
                                           "",    "",
                                           "kld", "",
                                           NULL};

static float target_of(enum cn_loss loss, size_t index, unsigned label, size_t class_count,
                       float smoothing) {
    if (class_count == 1) /* one output: the second of two classes */
        return label == CN_LABEL_NONE ? 0.5f : (label == 1 ? 1 - smoothing : 0) + smoothing / 2;
    if (types[loss].binary)
        return label == CN_LABEL_NONE ? 0 : (index == label ? 1 - smoothing : 0) + smoothing / 2;
    if (label == CN_LABEL_NONE)
        return 1 / (float)class_count;
    return (index == label ? 1 - smoothing : 0) + smoothing / (float)class_count;
}

void cn_loss_target(float *target, enum cn_loss loss, size_t class_count, unsigned label,
                    float label_smoothing) {
    for (size_t i = 0; i < class_count; i++)
        target[i] = target_of(loss, i, label, class_count, label_smoothing);
}

void cn_loss_mixed_target(float *target, enum cn_loss loss, size_t class_count, unsigned label,
                          unsigned other, float share, float label_smoothing) {
    for (size_t i = 0; i < class_count; i++)
        target[i] = share * target_of(loss, i, label, class_count, label_smoothing) +
                    (1 - share) * target_of(loss, i, other, class_count, label_smoothing);
}

double cn_loss_against(enum cn_loss loss, const float *outputs, const float *target,
                       size_t class_count) {
    const struct loss_type *type = &types[loss];
    const double share = type->mean ? (double)class_count : 1;
    double sum = 0;
    for (size_t i = 0; i < class_count; i++)
        sum += type->value((double)outputs[i], (double)target[i]) / share;
    return sum;
}

double cn_loss_value(enum cn_loss loss, const float *outputs, size_t class_count, unsigned label,
                     float label_smoothing) {
    const struct loss_type *type = &types[loss];
    const double share = type->mean ? (double)class_count : 1;
    double sum = 0;
    for (size_t i = 0; i < class_count; i++)
        sum += type->value((double)outputs[i],
                           (double)target_of(loss, i, label, class_count, label_smoothing)) /
               share;
    return sum;
}

enum cn_activation cn_loss_fuses_with(enum cn_loss loss) {
    return types[loss].fuses_with;
}

void cn_loss_gradient(float *dy, enum cn_loss loss, const float *outputs, size_t class_count,
                      float scale, bool fused) {
    const struct loss_type *type = &types[loss];
    const float share = type->mean ? (float)class_count : 1;
    for (size_t i = 0; i < class_count; i++) {
        const float target = dy[i];
        const float slope =
            fused ? outputs[i] - target : (float)type->slope((double)outputs[i], (double)target);
        dy[i] = scale * slope / share;
    }
}

/* The activation of the layer that gives the first output; *ret_layer its name. */
static enum cn_activation last_activation(const struct cn_network *network,
                                          const char **ret_layer) {
    const size_t value = network->output_count > 0
                             ? network->outputs[0].value
                             : network->input_count + network->layer_count - 1;
    struct cn_layer layer = network->layers[value - network->input_count];
    *ret_layer = network->layers[value - network->input_count].name;
    return layer.type->activation != NULL ? *layer.type->activation(&layer) : CN_ACTIVATION_LINEAR;
}

enum cn_status cn_loss_check(enum cn_loss loss, const struct cn_network *network,
                             enum cn_activation *ret_missing, struct cn_error *error) {
    const char *layer = "";
    const enum need need = types[loss].need;
    const enum cn_output_kind kind = cn_network_output_kind(network, 0);
    *ret_missing = CN_ACTIVATION_LINEAR;
    if (need == NEED_NOTHING || kind == CN_OUTPUT_SOFTMAX ||
        (need == NEED_PROBABILITIES && (kind == CN_OUTPUT_SIGMOIDS || kind == CN_OUTPUT_SIGMOID)))
        return CN_OK;
    const enum cn_activation last = last_activation(network, &layer);
    if (kind == CN_OUTPUT_LOGITS && last == CN_ACTIVATION_LINEAR) {
        *ret_missing = need == NEED_SOFTMAX ? CN_ACTIVATION_SOFTMAX : CN_ACTIVATION_SIGMOID;
        return CN_OK;
    }
    return cn_fail(error, CN_INVALID,
                   "%s needs %s; the network ends with %s, whose activation is %s%s",
                   cn_loss_names[loss],
                   need == NEED_SOFTMAX ? "the probabilities of a softmax" : "probabilities", layer,
                   cn_activation_names[last],
                   kind == CN_OUTPUT_SIGMOIDS ? " (binary_crossentropy goes with that)" : "");
}
