/* loss.c: mean squared error and categorical cross-entropy, as Keras defines them. No state. */
#include <math.h>

#include "network/loss.h"

const char *const cn_loss_names[] = {"mean_squared_error", "categorical_crossentropy", NULL};

static float target_of(size_t index, unsigned label, size_t class_count, float smoothing) {
    return (index == label ? 1 - smoothing : 0) + smoothing / (float)class_count;
}

static double clipped(float probability) {
    return fmin(fmax((double)probability, 1e-7), 1 - 1e-7);
}

double cn_loss_value(enum cn_loss loss, const float *probabilities, size_t class_count,
                     unsigned label, float label_smoothing) {
    double sum = 0;
    for (size_t i = 0; i < class_count; i++) {
        const double target = (double)target_of(i, label, class_count, label_smoothing);
        if (loss == CN_LOSS_MEAN_SQUARED_ERROR) {
            const double difference = (double)probabilities[i] - target;
            sum += difference * difference / (double)class_count;
        } else if (isnan(probabilities[i])) {
            return (double)NAN; /* clipping would hide it */
        } else if (target > 0) {
            sum -= target * log(clipped(probabilities[i]));
        }
    }
    return sum;
}

void cn_loss_gradient(float *dy, enum cn_loss loss, const float *probabilities, size_t class_count,
                      unsigned label, float label_smoothing, float scale, bool fused) {
    for (size_t i = 0; i < class_count; i++) {
        const float target = target_of(i, label, class_count, label_smoothing);
        if (loss == CN_LOSS_MEAN_SQUARED_ERROR)
            dy[i] = scale * 2 * (probabilities[i] - target) / (float)class_count;
        else if (fused)
            dy[i] = scale * (probabilities[i] - target);
        else
            dy[i] = -scale * target / (float)clipped(probabilities[i]);
    }
}
