/* plan.c: a network as a list of inference steps over packed parameters. A plan is immutable; each
 * workspace belongs to one thread. OpenMP only in cn_plan_run_parallel. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

struct cn_plan {
    size_t input_size, output_size;
    size_t step_count;
    struct cn_step *steps;
    float *packed;
    size_t block;   /* images that go through the steps together */
    size_t largest; /* floats of a block's largest activation between steps */
    size_t scratch_size;
};

struct cn_workspace {
    float *block; /* activation | activation | scratch */
    float *activations[2], *scratch;
};

static size_t aligned(size_t count) {
    return (count + CN_LANES - 1) & ~(size_t)(CN_LANES - 1);
}

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? aligned(size(layer)) : 0;
}

/* Whether `layer` sees the step's outputs as they are: no Flatten lies between. */
static bool follows(const struct cn_layer *layer, const struct cn_step *step) {
    return step != NULL && cn_shape_equal(&layer->input_shape, &step->layer.output_shape);
}

static bool is_linear(struct cn_step *step) {
    enum cn_activation *(*activation)(struct cn_layer *) = step->layer.type->activation;
    return activation != NULL && *activation(&step->layer) == CN_ACTIVATION_LINEAR;
}

/* A following Activation becomes the step's own. */
static bool fuse_activation(struct cn_step *previous, struct cn_layer layer) {
    if (!layer.type->activation_only || !follows(&layer, previous) || !is_linear(previous))
        return false;
    *previous->layer.type->activation(&previous->layer) = *layer.type->activation(&layer);
    if (previous->layer.type->prepare != NULL)
        previous->layer.type->prepare(previous);
    return true;
}

/* Following maxima are taken while the step's outputs are still in registers. */
static bool fuse_maxima(struct cn_step *previous, const struct cn_layer *layer) {
    if (layer->type->maxima == NULL || !follows(layer, previous) ||
        previous->layer.type->absorb_maxima == NULL)
        return false;
    const struct cn_pooling pooling = layer->type->maxima(layer);
    if (!previous->layer.type->absorb_maxima(previous, &pooling))
        return false;
    previous->layer.output_shape = layer->output_shape;
    return true;
}

/* A following scale and shift of each channel is multiplied into the weights, unless maxima lie
 * between: a negative scale would turn them into minima. */
static enum cn_status fold(struct cn_plan *plan, struct cn_step *previous,
                           const struct cn_layer *layer, const float *parameters, bool *ret_folded,
                           struct cn_error *error) {
    *ret_folded = false;
    if (layer->type->scale_shift == NULL || !follows(layer, previous) ||
        previous->layer.type->fold == NULL || previous->pooled || !is_linear(previous))
        return CN_OK;
    const size_t channels = (size_t)layer->input_shape.dims[layer->input_shape.rank - 1];
    float *scale = cn_floats_allocate(2 * channels);
    if (scale == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %zu floats", 2 * channels);
    layer->type->scale_shift(layer, parameters, scale, scale + channels);
    previous->layer.type->fold(&previous->layer, plan->packed + (previous->packed - plan->packed),
                               scale, scale + channels);
    free(scale);
    *ret_folded = true;
    return CN_OK;
}

static enum cn_status add_layer(struct cn_plan *plan, const struct cn_network *network,
                                const struct cn_layer *layer, size_t *packed,
                                struct cn_error *error) {
    const float *parameters = network->parameters + layer->parameter_offset;
    struct cn_step *previous = plan->step_count > 0 ? &plan->steps[plan->step_count - 1] : NULL;
    bool folded = false;
    if (layer->type->infer == NULL || fuse_activation(previous, *layer) ||
        fuse_maxima(previous, layer))
        return CN_OK;
    const enum cn_status status = fold(plan, previous, layer, parameters, &folded, error);
    if (status != CN_OK || folded)
        return status;
    plan->steps[plan->step_count++] = cn_step_of(layer, plan->packed + *packed);
    if (layer->type->pack != NULL)
        layer->type->pack(layer, parameters, plan->packed + *packed);
    *packed += asked(layer->type->packed_size, layer);
    return CN_OK;
}

/* Divides what the final softmax takes by the network's temperature. */
static enum cn_status fold_temperature(struct cn_plan *plan, const struct cn_network *network,
                                       struct cn_error *error) {
    if (network->temperature == 1)
        return CN_OK;
    const struct cn_step *last = plan->step_count > 0 ? &plan->steps[plan->step_count - 1] : NULL;
    if (last == NULL || last->layer.type->fold == NULL || !cn_layer_gives_softmax(last->layer))
        return cn_fail(error, CN_UNSUPPORTED,
                       "a temperature of %g needs a network that ends with weights and softmax",
                       (double)network->temperature);
    const size_t outputs = cn_shape_size(&network->output_shape);
    float *scale = cn_floats_allocate(2 * outputs); /* the shift is zero */
    if (scale == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %zu floats", 2 * outputs);
    for (size_t i = 0; i < outputs; i++)
        scale[i] = 1 / network->temperature;
    last->layer.type->fold(&last->layer, plan->packed + (last->packed - plan->packed), scale,
                           scale + outputs);
    free(scale);
    return CN_OK;
}

/* A block's activations stay in the second-level cache, and small layers get more than one image at
 * a time, so that their weights are loaded once for several. */
enum { BLOCK_FLOATS = 1 << 15, BLOCK_MOST = 16 };

static void measure(struct cn_plan *plan) {
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct cn_layer *layer = &plan->steps[i].layer;
        const size_t out = aligned(cn_shape_size(&layer->output_shape));
        const size_t scratch = asked(layer->type->scratch_size, layer);
        if (out > plan->largest)
            plan->largest = out;
        if (scratch > plan->scratch_size)
            plan->scratch_size = scratch;
    }
    plan->block = plan->largest > 0 ? BLOCK_FLOATS / plan->largest : 1;
    if (plan->block > BLOCK_MOST)
        plan->block = BLOCK_MOST;
    if (plan->block < 1)
        plan->block = 1;
    plan->largest *= plan->block;
}

enum cn_status cn_plan_create(const struct cn_network *network, struct cn_plan **ret_plan,
                              struct cn_error *error) {
    enum cn_status status = CN_OK;
    size_t packed = 0;
    struct cn_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate a plan");
    plan->input_size = cn_shape_size(&network->input_shape);
    plan->output_size = cn_shape_size(&network->output_shape);
    for (size_t l = 0; l < network->layer_count; l++)
        packed += asked(network->layers[l].type->packed_size, &network->layers[l]);
    plan->steps = calloc(network->layer_count, sizeof *plan->steps);
    plan->packed = cn_floats_allocate(packed);
    if (plan->steps == NULL || plan->packed == NULL) {
        status = cn_fail(error, CN_MEMORY, "cannot allocate a plan of %zu packed floats", packed);
        goto out;
    }
    packed = 0;
    for (size_t l = 0; l < network->layer_count && status == CN_OK; l++)
        status = add_layer(plan, network, &network->layers[l], &packed, error);
    if (status == CN_OK)
        status = fold_temperature(plan, network, error);
    if (status != CN_OK)
        goto out;
    measure(plan);
    *ret_plan = plan;
    plan = NULL;
out:
    cn_plan_free(plan);
    return status;
}

void cn_plan_free(struct cn_plan *plan) {
    if (plan == NULL)
        return;
    free(plan->steps);
    free(plan->packed);
    free(plan);
}

size_t cn_plan_input_size(const struct cn_plan *plan) {
    return plan->input_size;
}

size_t cn_plan_output_size(const struct cn_plan *plan) {
    return plan->output_size;
}

enum cn_status cn_workspace_create(const struct cn_plan *plan, struct cn_workspace **ret_workspace,
                                   struct cn_error *error) {
    struct cn_workspace *workspace = calloc(1, sizeof *workspace);
    if (workspace != NULL)
        workspace->block = cn_floats_allocate(2 * plan->largest + plan->scratch_size);
    if (workspace == NULL || workspace->block == NULL) {
        cn_workspace_free(workspace);
        return cn_fail(error, CN_MEMORY, "cannot allocate a workspace");
    }
    workspace->activations[0] = workspace->block;
    workspace->activations[1] = workspace->block + plan->largest;
    workspace->scratch = workspace->block + 2 * plan->largest;
    *ret_workspace = workspace;
    return CN_OK;
}

void cn_workspace_free(struct cn_workspace *workspace) {
    if (workspace == NULL)
        return;
    free(workspace->block);
    free(workspace);
}

static void run_block(const struct cn_plan *plan, struct cn_workspace *workspace,
                      const float *images, size_t count, float *outputs) {
    const float *x = images;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct cn_step *step = &plan->steps[i];
        float *y = i + 1 < plan->step_count ? workspace->activations[i & 1] : outputs;
        step->layer.type->infer(step, x, count, y, workspace->scratch);
        x = y;
    }
    if (plan->step_count == 0) /* nothing but Flatten and Dropout */
        memcpy(outputs, images, count * plan->output_size * sizeof *outputs);
}

void cn_plan_run(const struct cn_plan *plan, struct cn_workspace *workspace, const float *images,
                 size_t count, float *outputs) {
    for (size_t i = 0; i < count; i += plan->block) {
        const size_t left = count - i;
        run_block(plan, workspace, images + i * plan->input_size,
                  left < plan->block ? left : plan->block, outputs + i * plan->output_size);
    }
}

static size_t divide_up(size_t count, size_t by) {
    return (count + by - 1) / by;
}

/* Images of one piece of work: whole blocks, a thread's share at most. */
static size_t piece_size(const struct cn_plan *plan, size_t count, size_t threads) {
    enum { PIECES = 8 }; /* a thread */
    const size_t share = divide_up(count, threads);
    const size_t size = divide_up(divide_up(share, PIECES), plan->block) * plan->block;
    return size < share ? size : share;
}

void cn_plan_run_parallel(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                          int threads, const float *images, size_t count, float *outputs) {
    if (threads < 2 || count < 2 * (size_t)threads) {
        cn_plan_run(plan, workspaces[0], images, count, outputs);
        return;
    }
    const size_t size = piece_size(plan, count, (size_t)threads);
    /* Who comes first takes the next: a thread whose processor does something else too gets less.
     */
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t first = 0; first < count; first += size)
        cn_plan_run(plan, workspaces[omp_get_thread_num()], images + first * plan->input_size,
                    first + size < count ? size : count - first,
                    outputs + first * plan->output_size);
}

const char *cn_instruction_set(void) {
    return cn_kernels()->name;
}

size_t cn_plan_answer(const float *outputs, size_t count, float *ret_confidence) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = outputs[i] > outputs[best] ? i : best;
    *ret_confidence = outputs[best];
    return best;
}
