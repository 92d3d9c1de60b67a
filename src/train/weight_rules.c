/* weight_rules.c: what Keras's regularizers add to the loss and its gradient, and what its
 * constraints make of the weights after each update. Serial; sums run in the parameters' order. */
#include <math.h>

#include "train/trainer_private.h"

double cn_network_penalty(const struct cn_network *network) {
    return cn_regularize(network, NULL);
}

double cn_regularize(const struct cn_network *network, float *gradients) {
    size_t index = 0;
    double penalty = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t t = 0; t < network->layers[l].tensor_count; t++, index++) {
            const struct cn_tensor *tensor = &network->tensors[index];
            const struct cn_weight_rule *rule = &network->layers[l].tensors[t].rule;
            const float *w = network->parameters + tensor->offset;
            if (!tensor->trainable || (rule->l1 == 0 && rule->l2 == 0))
                continue;
            for (size_t i = 0; i < tensor->size; i++) {
                penalty += (double)rule->l1 * fabs((double)w[i]) +
                           (double)rule->l2 * (double)w[i] * (double)w[i];
                if (gradients != NULL)
                    gradients[tensor->offset + i] +=
                        rule->l1 * (float)((w[i] > 0) - (w[i] < 0)) + 2 * rule->l2 * w[i];
            }
        }
    return penalty;
}

/* The factor for weights of this norm. */
static double norm_factor(const struct cn_weight_rule *rule, double norm) {
    const double least = (double)rule->least, most = (double)rule->most;
    switch (rule->constraint) {
    case CN_CONSTRAINT_MAX_NORM:
        return fmin(norm, most) / (1e-7 + norm);
    case CN_CONSTRAINT_UNIT_NORM:
        return 1 / (1e-7 + norm);
    case CN_CONSTRAINT_MIN_MAX_NORM:
        return ((double)rule->rate * fmin(fmax(norm, least), most) +
                (1 - (double)rule->rate) * norm) /
               (1e-7 + norm);
    case CN_CONSTRAINT_NONE:
    case CN_CONSTRAINT_NON_NEG:
        break;
    }
    return 1;
}

/* Norms go over the axes of the rule; there is one for each place along the others. */
static void limit_norms(const struct cn_tensor_spec *spec, float *w, size_t size) {
    size_t strides[CN_TENSOR_MAX_RANK], stride = 1;
    for (int i = spec->rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= (size_t)spec->dims[i];
    }
    for (size_t place = 0; place < size; place++) {
        bool first = true; /* of those that share a norm: all of its axes are at 0 */
        size_t count = 1;
        double squares = 0;
        for (int i = 0; i < spec->rank; i++)
            if ((spec->rule.axes >> i & 1) != 0) {
                first = first && place / strides[i] % (size_t)spec->dims[i] == 0;
                count *= (size_t)spec->dims[i];
            }
        for (int pass = 0; first && pass < 2; pass++) {
            const double factor = pass == 1 ? norm_factor(&spec->rule, sqrt(squares)) : 1;
            for (size_t k = 0; k < count; k++) {
                size_t rest = k, at = place;
                for (int i = spec->rank - 1; i >= 0; i--)
                    if ((spec->rule.axes >> i & 1) != 0) {
                        at += rest % (size_t)spec->dims[i] * strides[i];
                        rest /= (size_t)spec->dims[i];
                    }
                if (pass == 0)
                    squares += (double)w[at] * (double)w[at];
                else
                    w[at] = (float)((double)w[at] * factor);
            }
        }
    }
}

void cn_constrain(struct cn_network *network) {
    size_t index = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t t = 0; t < network->layers[l].tensor_count; t++, index++) {
            const struct cn_tensor *tensor = &network->tensors[index];
            const struct cn_tensor_spec *spec = &network->layers[l].tensors[t];
            float *w = network->parameters + tensor->offset;
            if (!tensor->trainable || spec->rule.constraint == CN_CONSTRAINT_NONE)
                continue;
            if (spec->rule.constraint != CN_CONSTRAINT_NON_NEG)
                limit_norms(spec, w, tensor->size);
            for (size_t i = 0; spec->rule.constraint == CN_CONSTRAINT_NON_NEG && i < tensor->size;
                 i++)
                w[i] = w[i] >= 0 ? w[i] : 0;
        }
}
