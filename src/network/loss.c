/* loss.c: mean squared error and categorical cross-entropy, as Keras defines them. No state. */
#include <math.h>

#include "network/loss.h"

const char *const cn_loss_names[] = {"mean_squared_error", "categorical_crossentropy", NULL};

static float target_of(size_t index, unsigned label, size_t class_count, float smoothing) {
    return (index == label ? 1 - smoothing : 0) + smoothing / (float)class_count;
}

void cn_loss_target(float *target, size_t class_count, unsigned label, float label_smoothing) {
    const float smoothing = label == CN_LABEL_NONE ? 1 : label_smoothing;
    for (size_t i = 0; i < class_count; i++)
        target[i] = target_of(i, label, class_count, smoothing);
}

static double clipped(float probability) {
    return fmin(fmax((double)probability, 1e-7), 1 - 1e-7);
}

/* What one output adds to the loss; NaN for NaN, which clipping would hide. */
static double term(enum cn_loss loss, float probability, double target, size_t class_count) {
    const double difference = (double)probability - target;
    if (loss == CN_LOSS_MEAN_SQUARED_ERROR)
        return difference * difference / (double)class_count;
    if (isnan(probability))
        return (double)NAN;
    return target > 0 ? -(target * log(clipped(probability))) : 0;
}

double cn_loss_against(enum cn_loss loss, const float *probabilities, const float *target,
                       size_t class_count) {
    double sum = 0;
    for (size_t i = 0; i < class_count; i++)
        sum += term(loss, probabilities[i], (double)target[i], class_count);
    return sum;
}

double cn_loss_value(enum cn_loss loss, const float *probabilities, size_t class_count,
                     unsigned label, float label_smoothing) {
    double sum = 0;
    for (size_t i = 0; i < class_count; i++)
        sum += term(loss, probabilities[i],
                    (double)target_of(i, label, class_count, label_smoothing), class_count);
    return sum;
}

void cn_loss_gradient(float *dy, enum cn_loss loss, const float *probabilities, size_t class_count,
                      float scale, bool fused) {
    for (size_t i = 0; i < class_count; i++) {
        const float target = dy[i];
        if (loss == CN_LOSS_MEAN_SQUARED_ERROR)
            dy[i] = scale * 2 * (probabilities[i] - target) / (float)class_count;
        else if (fused)
            dy[i] = scale * (probabilities[i] - target);
        else
            dy[i] = -scale * target / (float)clipped(probabilities[i]);
    }
}
