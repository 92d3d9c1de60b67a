/* clip.c: clips gradients like Keras's clipvalue, clipnorm and global_clipnorm. Serial: sums are in
 * the parameters' order. */
#include <math.h>

#include "train/trainer_private.h"

static double squares_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

/* Scales so that the norm is at most `limit`. */
static void limit_norm(float *values, size_t count, double norm, double limit) {
    if (!(norm > limit))
        return;
    const float scale = (float)(limit / norm);
    for (size_t i = 0; i < count; i++)
        values[i] *= scale;
}

void cn_clip_gradients(const struct cn_training_options *o, const struct cn_network *network,
                       float *gradients) {
    const size_t count = network->parameter_count;
    if (o->clip_value > 0)
        for (size_t i = 0; i < count; i++)
            gradients[i] = fminf(fmaxf(gradients[i], -o->clip_value), o->clip_value);
    if (o->global_clip_norm > 0)
        limit_norm(gradients, count, sqrt(squares_of(gradients, count)),
                   (double)o->global_clip_norm);
    for (size_t t = 0; o->clip_norm > 0 && t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        float *part = gradients + tensor->offset;
        limit_norm(part, tensor->size, sqrt(squares_of(part, tensor->size)), (double)o->clip_norm);
    }
}
