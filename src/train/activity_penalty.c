/* activity_penalty.c: what activity regularizers add to the loss of an evaluation. A plan leaves
 * their layers out, so another one hands out the values that they see. Does not touch the answers.
 * Used by one thread; the plan runs on several. */
#include "train/activity_penalty.h"

#include <stdlib.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "layers/layer_type.h"

enum { MOST_FLOATS = 1 << 20 }; /* of outputs at a time */

struct cn_activity_penalty {
    struct cn_network *network; /* its outputs are the regularized values */
    struct cn_plan *plan;
    struct cn_workspace **workspaces;
    int threads;
    size_t chunk;  /* images at a time */
    float *values; /* [chunk, all outputs] */
};

static bool is_regularizer(const struct cn_layer *layer) {
    return layer->type == &cn_activity_regularization_type;
}

/* Makes the regularized values the outputs of a copy, which need no names and may be more than a
 * model's outputs. */
static enum cn_status copy_prepare(struct cn_activity_penalty *a, const struct cn_network *network,
                                   size_t count, struct cn_error *error) {
    const enum cn_status status = cn_network_copy(network, &a->network, error);
    if (status != CN_OK)
        return status;
    struct cn_network *copy = a->network;
    free(copy->outputs);
    copy->output_count = 0;
    copy->outputs = calloc(count, sizeof *copy->outputs);
    if (copy->outputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu outputs", count);
    for (size_t l = 0; l < network->layer_count; l++)
        if (is_regularizer(&network->layers[l]))
            copy->outputs[copy->output_count++] = (struct cn_port){
                .shape = network->layers[l].output_shape, .value = network->input_count + l};
    copy->output_shape = copy->outputs[0].shape;
    copy->temperature = 1;
    return cn_plan_create(copy, &a->plan, error);
}

enum cn_status cn_activity_penalty_create(const struct cn_network *network, int threads,
                                          struct cn_activity_penalty **ret_penalty,
                                          struct cn_error *error) {
    size_t count = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        count += is_regularizer(&network->layers[l]);
    *ret_penalty = NULL;
    if (count == 0)
        return CN_OK;
    struct cn_activity_penalty *a = calloc(1, sizeof *a);
    if (a == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the activity regularizers");
    a->threads = threads;
    enum cn_status status = copy_prepare(a, network, count, error);
    if (status == CN_OK) {
        const size_t row = cn_plan_output_row(a->plan);
        a->chunk = MOST_FLOATS / row > (size_t)threads ? MOST_FLOATS / row : (size_t)threads;
        a->values = cn_floats_allocate(a->chunk * row);
        if (a->values == NULL)
            status = cn_fail(error, CN_MEMORY, "no memory for %zu activities", a->chunk * row);
    }
    if (status == CN_OK)
        status = cn_workspaces_create(a->plan, threads, &a->workspaces, error);
    if (status != CN_OK) {
        cn_activity_penalty_free(a);
        return status;
    }
    *ret_penalty = a;
    return CN_OK;
}

size_t cn_activity_penalty_bytes(const struct cn_activity_penalty *penalty) {
    if (penalty == NULL)
        return 0;
    return cn_plan_weight_bytes(penalty->plan) +
           (size_t)penalty->threads * cn_plan_workspace_bytes(penalty->plan) +
           (penalty->chunk * cn_plan_output_row(penalty->plan) +
            penalty->network->parameter_count) *
               sizeof(float);
}

/* The loss that one image's values [all outputs] add. */
static double image_penalty(const struct cn_activity_penalty *a, const float *values) {
    const struct cn_network *network = a->network;
    double sum = 0;
    for (size_t k = 0; k < network->output_count; k++) {
        const struct cn_port *port = &network->outputs[k];
        sum += cn_activity_regularization_of(&network->layers[port->value - network->input_count],
                                             values + cn_plan_output_offset(a->plan, k),
                                             cn_shape_size(&port->shape));
    }
    return sum;
}

void cn_activity_penalty_measure(struct cn_activity_penalty *penalty, const float *images,
                                 size_t count, double *penalties) {
    const size_t size = cn_plan_input_size(penalty->plan), row = cn_plan_output_row(penalty->plan);
    for (size_t first = 0; first < count; first += penalty->chunk) {
        const size_t part = count - first < penalty->chunk ? count - first : penalty->chunk;
        cn_plan_run_rows(penalty->plan, penalty->workspaces, penalty->threads,
                         images + first * size, part, penalty->values);
        for (size_t i = 0; i < part; i++)
            penalties[first + i] = image_penalty(penalty, penalty->values + i * row);
    }
}

void cn_activity_penalty_free(struct cn_activity_penalty *penalty) {
    if (penalty == NULL)
        return;
    cn_workspaces_free(penalty->workspaces, penalty->threads);
    free(penalty->values);
    cn_plan_free(penalty->plan);
    cn_network_free(penalty->network);
    free(penalty);
}
