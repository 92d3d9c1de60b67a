/* gradient_check.c: compares the analytic gradient with central differences. It allocates its own
 * workspace and restores the parameters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/network.h"

struct check {
    struct cn_network *network;
    struct cn_gradient_workspace *workspace;
    const struct cn_minibatch *batch;
    enum cn_loss loss;
    float label_smoothing;
    float *gradients;
    const float *original; /* since every forward pass changes the moving statistics */
};

/* The mean loss with parameter `index` at `value`. */
static double loss_at(const struct check *check, size_t index, float value, float *gradients) {
    struct cn_minibatch_result result;
    memcpy(check->network->parameters, check->original,
           check->network->parameter_count * sizeof(float));
    check->network->parameters[index] = value;
    cn_network_gradient(check->network, check->workspace, check->batch, check->loss,
                        check->label_smoothing, gradients, &result);
    return result.loss_sum / (double)check->batch->count;
}

static double worst_of(const struct check *check, double epsilon, size_t stride, float *spare) {
    const struct cn_network *network = check->network;
    double squares = 0, worst = 0;
    for (size_t i = 0; i < network->parameter_count; i++)
        squares += (double)check->gradients[i] * (double)check->gradients[i];
    const double floor = 1e-2 * sqrt(squares / (double)network->parameter_count) + 1e-12;
    for (size_t t = 0; t < network->tensor_count; t++) {
        const struct cn_tensor *tensor = &network->tensors[t];
        for (size_t i = tensor->offset; tensor->trainable && i < tensor->offset + tensor->size;
             i += stride) {
            const float high = (float)((double)check->original[i] + epsilon);
            const float low = (float)((double)check->original[i] - epsilon);
            const double numeric =
                (loss_at(check, i, high, spare) - loss_at(check, i, low, spare)) /
                ((double)high - (double)low);
            const double analytic = (double)check->gradients[i];
            const double size = fmax(fmax(fabs(analytic), fabs(numeric)), floor);
            worst = fmax(worst, fabs(analytic - numeric) / size);
        }
    }
    return worst;
}

enum cn_status cn_network_check_gradient(struct cn_network *network,
                                         const struct cn_minibatch *batch, enum cn_loss loss,
                                         float label_smoothing, double epsilon, size_t stride,
                                         double *ret_worst, struct cn_error *error) {
    struct cn_gradient_workspace *workspace = NULL;
    const size_t count = network->parameter_count;
    float *gradients = cn_floats_allocate(count), *spare = cn_floats_allocate(count);
    float *original = cn_floats_allocate(count);
    enum cn_status status =
        gradients != NULL && spare != NULL && original != NULL
            ? cn_gradient_workspace_create(network, batch->count, 1, &workspace, error)
            : cn_fail(error, CN_MEMORY, "no memory for %zu gradients", count);
    if (status != CN_OK)
        goto out;
    memcpy(original, network->parameters, count * sizeof *original);
    const struct check check = {network,         workspace, batch,   loss,
                                label_smoothing, gradients, original};
    if (count > 0)
        (void)loss_at(&check, 0, original[0], gradients);
    *ret_worst = worst_of(&check, epsilon, stride > 0 ? stride : 1, spare);
    memcpy(network->parameters, original, count * sizeof *original);
out:
    cn_gradient_workspace_free(workspace);
    free(gradients);
    free(spare);
    free(original);
    return status;
}
