/* optimizer.c: one update of all parameters, as Keras documents SGD, Adam (Kingma and Ba 2015) and
 * AdamW (Loshchilov and Hutter 2019). Serial; each parameter is updated by itself. */
#include <math.h>

#include "convnet/trainer.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"

/* Keras folds the bias corrections into the rate: sqrt(1 - beta_2^t) / (1 - beta_1^t). */
static void adam(const struct cn_training_options *o, float rate, uint64_t step,
                 const float *gradients, float *state, float *parameters, size_t count) {
    const double t = (double)step;
    const float corrected = (float)((double)rate * sqrt(1 - pow((double)o->beta_2, t)) /
                                    (1 - pow((double)o->beta_1, t)));
    cn_kernels()->elementwise->adam(parameters, state, state + count, gradients, o->beta_1,
                                    o->beta_2, o->epsilon, corrected, count);
}

void cn_optimizer_step(const struct cn_training_options *options, float rate, uint64_t step,
                       const uint8_t *decay, const float *gradients, float *state,
                       float *parameters, size_t count) {
    if (options->optimizer == CN_OPTIMIZER_SGD) {
        cn_kernels()->elementwise->sgd(parameters, state, gradients, options->momentum,
                                       options->nesterov, rate, count);
        return;
    }
    if (options->optimizer == CN_OPTIMIZER_ADAMW)
        for (size_t i = 0; i < count; i++)
            parameters[i] -= decay[i] ? parameters[i] * options->weight_decay * rate : 0;
    adam(options, rate, step, gradients, state, parameters, count);
}
