/* temperature.c: finds the temperature that calibrates a network's probabilities, and measures
 * their calibration. Serial except for the network's forward passes. */
#include <math.h>
#include <stdlib.h>

#include "convnet/trainer.h"

/* The mean negative log-likelihood of the labels when the logits are divided by `temperature`. log
 * p serves as the logits: they differ by a constant per sample, which softmax ignores. */
static double likelihood(const struct cn_evaluation *e, const uint16_t *labels,
                         double temperature) {
    double sum = 0;
    for (size_t i = 0; i < e->samples; i++) {
        const float *p = e->probabilities + i * e->class_count;
        double total = 0, largest = -INFINITY;
        for (size_t c = 0; c < e->class_count; c++)
            largest = fmax(largest, log(fmax((double)p[c], 1e-30)) / temperature);
        for (size_t c = 0; c < e->class_count; c++)
            total += exp(log(fmax((double)p[c], 1e-30)) / temperature - largest);
        sum += log(total) + largest - log(fmax((double)p[labels[i]], 1e-30)) / temperature;
    }
    return sum / (double)e->samples;
}

/* Golden section search (Kiefer 1953) over the logarithm of the temperature; the likelihood has a
 * single minimum. */
static double best_temperature(const struct cn_evaluation *e, const uint16_t *labels) {
    const double ratio = 0.6180339887498949;
    double low = log(0.1), high = log(10.0);
    double inner_low = high - ratio * (high - low), inner_high = low + ratio * (high - low);
    double at_low = likelihood(e, labels, exp(inner_low));
    double at_high = likelihood(e, labels, exp(inner_high));
    while (high - low > 1e-4) {
        if (at_low < at_high) {
            high = inner_high;
            inner_high = inner_low;
            at_high = at_low;
            inner_low = high - ratio * (high - low);
            at_low = likelihood(e, labels, exp(inner_low));
        } else {
            low = inner_low;
            inner_low = inner_high;
            at_low = at_high;
            inner_high = low + ratio * (high - low);
            at_high = likelihood(e, labels, exp(inner_high));
        }
    }
    return exp(0.5 * (low + high));
}

enum cn_status cn_calibrate(struct cn_network *network, const struct cn_dataset *dataset,
                            int threads, struct cn_error *error) {
    struct cn_evaluation evaluation;
    const float before = network->temperature;
    network->temperature = 1;
    const enum cn_status status = cn_evaluate(network, dataset, CN_LOSS_CATEGORICAL_CROSSENTROPY,
                                              threads, &evaluation, error);
    network->temperature = before;
    if (status != CN_OK)
        return status;
    network->temperature = (float)best_temperature(&evaluation, dataset->labels);
    cn_evaluation_clear(&evaluation);
    return CN_OK;
}

double cn_calibration_error(const struct cn_evaluation *e, const uint16_t *labels,
                            struct cn_reliability_bin bins[CN_RELIABILITY_BINS]) {
    double error = 0;
    for (int b = 0; b < CN_RELIABILITY_BINS; b++)
        bins[b] = (struct cn_reliability_bin){0};
    for (size_t i = 0; i < e->samples; i++) {
        float confidence;
        const size_t answer =
            cn_plan_answer(e->probabilities + i * e->class_count, e->class_count, &confidence);
        const int b = (int)fmin((double)confidence * CN_RELIABILITY_BINS, CN_RELIABILITY_BINS - 1);
        bins[b].samples++;
        bins[b].correct += answer == labels[i];
        bins[b].confidence += (double)confidence;
    }
    for (int b = 0; b < CN_RELIABILITY_BINS; b++)
        error += fabs((double)bins[b].correct - bins[b].confidence);
    return error / (double)e->samples;
}
