/* optimizer.c: one update of all parameters, as Keras documents SGD, Adam (Kingma and Ba 2015) and
 * AdamW (Loshchilov and Hutter 2019). Serial; each parameter is updated by itself. */
#include <math.h>

#include "convnet/trainer.h"

static void sgd(float momentum, bool nesterov, float rate, const float *gradients, float *velocity,
                float *parameters, size_t count) {
    if (momentum == 0) {
        for (size_t i = 0; i < count; i++)
            parameters[i] -= rate * gradients[i];
        return;
    }
    for (size_t i = 0; i < count; i++) {
        velocity[i] = momentum * velocity[i] - rate * gradients[i];
        parameters[i] += nesterov ? momentum * velocity[i] - rate * gradients[i] : velocity[i];
    }
}

/* Keras folds the bias corrections into the rate: sqrt(1 - beta_2^t) / (1 - beta_1^t). */
static void adam(const struct cn_training_options *o, float rate, uint64_t step,
                 const float *gradients, float *state, float *parameters, size_t count) {
    float *mean = state, *square = state + count;
    const double t = (double)step;
    const float corrected = (float)((double)rate * sqrt(1 - pow((double)o->beta_2, t)) /
                                    (1 - pow((double)o->beta_1, t)));
    const float beta_1 = o->beta_1, beta_2 = o->beta_2, epsilon = o->epsilon;
    for (size_t i = 0; i < count; i++) {
        const float g = gradients[i];
        mean[i] += (g - mean[i]) * (1 - beta_1);
        square[i] += (g * g - square[i]) * (1 - beta_2);
        parameters[i] -= corrected * mean[i] / (sqrtf(square[i]) + epsilon);
    }
}

void cn_optimizer_step(const struct cn_training_options *options, float rate, uint64_t step,
                       const uint8_t *decay, const float *gradients, float *state,
                       float *parameters, size_t count) {
    if (options->optimizer == CN_OPTIMIZER_SGD) {
        sgd(options->momentum, options->nesterov, rate, gradients, state, parameters, count);
        return;
    }
    if (options->optimizer == CN_OPTIMIZER_ADAMW)
        for (size_t i = 0; i < count; i++)
            parameters[i] -= decay[i] ? parameters[i] * options->weight_decay * rate : 0;
    adam(options, rate, step, gradients, state, parameters, count);
}
