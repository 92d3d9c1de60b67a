/* training_memory.c: how much memory a training will take, before it takes it. Pure, but for plans
 * that are made and freed. */
#include "convnet/plan.h"
#include "train/activity_penalty.h"
#include "train/trainer_private.h"

/* Weights packed for inference, a workspace per thread, the images of a chunk, the answers and
 * their confusion matrix; and what the penalties of activities need. */
static enum cn_status validation_bytes(const struct cn_network *network, size_t samples,
                                       int threads, size_t *ret_bytes, struct cn_error *error) {
    struct cn_plan *plan = NULL;
    struct cn_activity_penalty *activity = NULL;
    *ret_bytes = 0;
    if (samples == 0)
        return CN_OK;
    enum cn_status status = cn_plan_create(network, &plan, error);
    if (status == CN_OK)
        status = cn_activity_penalty_create(network, threads, &activity, error);
    if (status == CN_OK) {
        const size_t input = cn_plan_input_size(plan), output = cn_plan_output_size(plan);
        const size_t classes = output > 1 ? output : 2; /* of one probability, that of the second */
        *ret_bytes = cn_plan_weight_bytes(plan) + (size_t)threads * cn_plan_workspace_bytes(plan) +
                     (cn_measure_chunk(input) * input + samples * classes) * sizeof(float) +
                     classes * classes * sizeof(size_t) + cn_activity_penalty_bytes(activity);
        if (activity != NULL)
            *ret_bytes += samples * sizeof(double);
    }
    cn_activity_penalty_free(activity);
    cn_plan_free(plan);
    return status;
}

enum cn_status cn_training_memory(const struct cn_network *network, size_t samples,
                                  size_t validation_samples, const struct cn_training_options *o,
                                  struct cn_training_memory *ret_memory, struct cn_error *error) {
    const size_t batch = (size_t)o->batch_size, parameters = network->parameter_count;
    const size_t input = cn_shape_size(&network->input_shape);
    struct cn_training_memory memory = {0};
    enum cn_status status =
        cn_gradient_workspace_bytes(network, batch, o->threads, &memory.batch, error);
    if (status == CN_OK)
        status =
            validation_bytes(network, validation_samples, o->threads, &memory.validation, error);
    if (status != CN_OK)
        return status;
    /* parameters, gradients and the optimizer's two; the average, the best */
    const size_t copies = 4U + (o->ema > 0) + o->keep_best;
    memory.network = parameters * (copies * sizeof(float) + 1);
    memory.batch += batch * (input + cn_shape_size(&network->output_shape)) * sizeof(float);
    memory.samples = (samples + validation_samples) * (sizeof(uint16_t) + sizeof(float)) +
                     samples * sizeof(uint32_t);
    memory.total = memory.network + memory.batch + memory.validation + memory.samples;
    *ret_memory = memory;
    return CN_OK;
}
