/* gradient.c: forward and backward of a mini-batch.
 *
 * A region runs a range of layers over every shard, chunk by chunk; the layers that need to see the
 * whole batch first (BatchNormalization) separate the regions. The last region runs forward and
 * then backward without a stop. Each shard sums its gradients by itself and gradient_sum.c adds the
 * shards in a fixed tree, so that the bits depend neither on threads nor on ranks. OpenMP inside.
 */
#include <string.h>

#include "base/openmp.h"
#include "layers/layer_type.h"
#include "network/gradient_private.h"
#include "network/loss.h"

/* The state that all functions of one mini-batch share. */
struct run {
    struct cn_network *network;
    float *gradients; /* the whole batch's */
    struct cn_gradient_workspace *w;
    const struct cn_minibatch *batch;
    enum cn_loss loss;
    float label_smoothing;
    bool fused;
};

/* A part of the passes: layers [forward_from, forward_to) forward if `forward` is set, then layers
 * [back_from, back_to) backward. The forward part ends with the loss, or before a layer that must
 * see the whole batch; that layer then collects what the region has computed for it. */
struct region {
    bool first, forward;
    size_t forward_from, forward_to;
    size_t back_from, back_to;
};

/* Samples [first, first + count) of a shard, computed by a thread, which adds their gradients to
 * `gradients`. */
struct chunk {
    size_t shard, first, count;
    int thread;
    bool last; /* of its shard */
    float *gradients;
};

static float *activation_at(const struct run *run, size_t l, const struct chunk *chunk) {
    const struct cn_gradient_workspace *w = run->w;
    const struct cn_layer_part *part = &w->parts[l];
    if (!part->activation_whole)
        return w->local + (size_t)chunk->thread * w->local_size + part->activation;
    return w->whole + part->activation +
           chunk->first * cn_shape_size(&run->network->layers[l].output_shape);
}

static float *slope_at(const struct run *run, size_t l, const struct chunk *chunk) {
    const struct cn_gradient_workspace *w = run->w;
    const struct cn_layer_part *part = &w->parts[l];
    if (!part->slope_whole)
        return w->local + (size_t)chunk->thread * w->local_size + part->slope;
    return w->whole + part->slope +
           chunk->first * cn_shape_size(&run->network->layers[l].output_shape);
}

/* The chunk's samples of a value. */
static const float *value_at(const struct run *run, size_t value, const struct chunk *chunk) {
    const struct cn_network *network = run->network;
    if (value >= network->input_count)
        return activation_at(run, value - network->input_count, chunk);
    const float *samples = value == 0 ? run->batch->images : run->batch->more_inputs[value - 1];
    return samples + chunk->first * cn_shape_size(&network->inputs[value].shape);
}

static float *edge_at(const struct run *run, size_t l, size_t i, const struct chunk *chunk) {
    const struct cn_gradient_workspace *w = run->w;
    const struct cn_edge *edge = &w->edges[w->parts[l].edges + i];
    if (!edge->needed)
        return NULL;
    if (edge->added)
        return w->local + (size_t)chunk->thread * w->local_size + w->spare + edge->spare;
    return slope_at(run, run->network->layers[l].inputs[i].value - run->network->input_count,
                    chunk);
}

static struct cn_pass pass_of(const struct run *run, size_t l, const struct chunk *chunk) {
    const struct cn_layer *layer = &run->network->layers[l];
    struct cn_gradient_workspace *w = run->w;
    const size_t partial =
        cn_layer_stops(layer) ? layer->type->training->batch->partial_size(layer) : 0;
    const float **xs = w->xs + (size_t)chunk->thread * w->most_inputs;
    float **dxs = w->dxs + (size_t)chunk->thread * w->most_inputs;
    xs[0] = NULL;
    dxs[0] = NULL;
    for (size_t i = 0; i < layer->input_count; i++) {
        xs[i] = value_at(run, layer->inputs[i].value, chunk);
        dxs[i] = edge_at(run, l, i, chunk);
    }
    return (struct cn_pass){.first = chunk->first,
                            .count = chunk->count,
                            .x = xs[0],
                            .xs = xs,
                            .y = activation_at(run, l, chunk),
                            .dy = w->parts[l].back ? slope_at(run, l, chunk) : NULL,
                            .dx = dxs[0],
                            .dxs = dxs,
                            .parameters = run->network->parameters + layer->parameter_offset,
                            .gradients = chunk->gradients + layer->parameter_offset,
                            .packed = w->packed + w->parts[l].packed,
                            .state = w->state + w->parts[l].state,
                            .partial = w->partials + w->parts[l].partial + chunk->shard * partial,
                            .shard_count = CN_GRADIENT_SHARDS,
                            .scratch = w->scratch + (size_t)chunk->thread * w->scratch_size,
                            .seed = run->batch->seed,
                            .step = run->batch->step,
                            .layer = l,
                            .dy_is_dz = run->fused && l == w->output,
                            .scale = 1 / (float)run->batch->count,
                            .penalty = &w->outcomes[chunk->shard].loss};
}

/* Runs layer l backward, and adds the gradients of inputs that other layers use, too, to what those
 * layers have written. */
static void run_backward(const struct run *run, size_t l, const struct chunk *chunk) {
    const struct cn_layer *layer = &run->network->layers[l];
    const struct cn_edge *edges = run->w->edges + run->w->parts[l].edges;
    const struct cn_pass pass = pass_of(run, l, chunk);
    layer->type->training->backward(layer, &pass);
    for (size_t i = 0; i < layer->input_count; i++) {
        if (!edges[i].added)
            continue;
        const size_t size = chunk->count * cn_shape_size(&layer->inputs[i].shape);
        float *sum = slope_at(run, layer->inputs[i].value - run->network->input_count, chunk);
        for (size_t k = 0; k < size; k++)
            sum[k] += pass.dxs[i][k];
    }
}

static size_t shard_begin(const struct run *run, size_t shard) {
    return cn_gradient_shard_begin(shard, run->batch->count);
}

/* Computes the chunk's loss and its gradient with respect to the outputs. */
static void derive_loss(const struct run *run, const struct chunk *chunk) {
    struct cn_gradient_workspace *w = run->w;
    const size_t classes = cn_shape_size(&run->network->output_shape);
    const float *y = activation_at(run, w->output, chunk);
    float *dy = slope_at(run, w->output, chunk);
    const float scale = 1 / (float)run->batch->count;
    for (size_t i = 0; i < chunk->count; i++, y += classes, dy += classes) {
        const unsigned label = run->batch->labels[chunk->first + i];
        size_t best = 0;
        for (size_t c = 1; c < classes; c++)
            best = y[c] > y[best] ? c : best;
        struct cn_shard_outcome *outcome = &w->outcomes[chunk->shard];
        if (classes == 1) /* the probability of the second of two classes */
            best = y[0] >= 0.5f;
        outcome->correct +=
            label == CN_LABEL_NONE ? y[classes == 1 ? 0 : best] <= 0.5f : best == label;
        if (run->batch->targets != NULL)
            memcpy(dy, run->batch->targets + (chunk->first + i) * classes, classes * sizeof *dy);
        else
            cn_loss_target(dy, run->loss, classes, label, run->label_smoothing);
        const float weight =
            run->batch->weights != NULL ? run->batch->weights[chunk->first + i] : 1;
        outcome->loss += (double)weight * cn_loss_against(run->loss, y, dy, classes);
        cn_loss_gradient(dy, run->loss, y, classes, scale * weight, run->fused);
    }
}

static void run_chunk(const struct run *run, const struct region *region,
                      const struct chunk *chunk) {
    const struct cn_layer *layers = run->network->layers;
    for (size_t l = region->forward_from; l < region->forward_to; l++) {
        const struct cn_pass pass = pass_of(run, l, chunk);
        cn_layer_forward(&layers[l], &pass);
    }
    if (region->forward && region->forward_to == run->w->layer_count) {
        derive_loss(run, chunk);
    } else if (region->forward) {
        const struct cn_pass pass = pass_of(run, region->forward_to, chunk);
        layers[region->forward_to].type->training->batch->collect_forward(
            &layers[region->forward_to], &pass);
    }
    for (size_t l = region->back_to; l-- > region->back_from;) {
        if (!run->w->parts[l].back)
            continue;
        run_backward(run, l, chunk);
        if (chunk->last)
            cn_gradient_sum_layer(run->w->sum, chunk->shard, l);
        if (chunk->thread == 0)
            cn_gradient_sum_send(run->w->sum);
    }
    if (region->back_from > 0) { /* 0 too where it does not go back */
        const size_t l = region->back_from - 1;
        const struct cn_pass pass = pass_of(run, l, chunk);
        layers[l].type->training->batch->collect_backward(&layers[l], &pass);
    }
}

static void run_shard(const struct run *run, const struct region *region, size_t shard) {
    struct cn_gradient_workspace *w = run->w;
    const size_t end = shard_begin(run, shard + 1);
    struct chunk chunk = {.shard = shard, .thread = omp_get_thread_num()};
    if (region->first)
        w->outcomes[shard] = (struct cn_shard_outcome){0};
    if (shard_begin(run, shard) == end)
        return;
    chunk.gradients = cn_gradient_sum_take(w->sum, shard);
    for (chunk.first = shard_begin(run, shard); chunk.first < end; chunk.first += chunk.count) {
        chunk.count = end - chunk.first < w->chunk ? end - chunk.first : w->chunk;
        chunk.last = chunk.first + chunk.count == end;
        run_chunk(run, region, &chunk);
    }
}

static void run_region(const struct run *run, const struct region *region) {
    struct cn_gradient_workspace *w = run->w;
    cn_gradient_sum_begin(w->sum, run->network, w->backs, region->back_from, region->back_to,
                          run->batch->count);
    if (w->threads == 1) {
        for (size_t shard = w->first_shard; shard < w->end_shard; shard++)
            run_shard(run, region, shard);
    } else { /* in order, which bounds the sum's buffers */
#pragma omp parallel for schedule(monotonic : dynamic) num_threads(w->threads)
        for (size_t shard = w->first_shard; shard < w->end_shard; shard++)
            run_shard(run, region, shard);
    }
    cn_gradient_sum_end(w->sum, run->gradients);
}

/* Every rank gets what all shards have: `size` bytes per shard. */
static void gather_shards(const struct run *run, void *shards, size_t size) {
    const struct cn_ranks *ranks = run->w->ranks;
    if (ranks == NULL)
        return;
    for (int r = 0; r <= ranks->count; r++)
        run->w->bounds[r] = (size_t)r * CN_GRADIENT_SHARDS / (size_t)ranks->count * size;
    cn_ranks_gather(ranks, shards, run->w->bounds);
}

/* Lets layer l see the whole batch: gathers what all shards have collected, and prepares the layer.
 */
static void stop_at(const struct run *run, size_t l,
                    void (*prepare)(const struct cn_layer *, const struct cn_pass *)) {
    const struct chunk all = {.count = run->batch->count, .gradients = run->gradients};
    const struct cn_layer *layer = &run->network->layers[l];
    const struct cn_pass pass = pass_of(run, l, &all);
    gather_shards(run, pass.partial,
                  layer->type->training->batch->partial_size(layer) * sizeof *pass.partial);
    prepare(layer, &pass);
}

/* The layer before l at which the backward pass stops; layer_count: at none. */
static size_t stop_before(const struct run *run, size_t l) {
    while (l-- > 0)
        if (run->w->parts[l].back && cn_layer_stops(&run->network->layers[l]))
            return l;
    return run->network->layer_count;
}

static void run_regions(const struct run *run) {
    const struct cn_network *network = run->network;
    const size_t layers = network->layer_count;
    struct region region = {.first = true, .forward = true};
    for (size_t l = 0; l < layers; l++)
        if (cn_layer_stops(&network->layers[l])) {
            region.forward_to = l;
            run_region(run, &region);
            stop_at(run, l, network->layers[l].type->training->batch->prepare_forward);
            region = (struct region){.forward = true, .forward_from = l};
        }
    size_t stop = stop_before(run, layers);
    region.forward_to = region.back_to = layers;
    region.back_from = stop < layers ? stop + 1 : 0;
    run_region(run, &region);
    while (stop < layers) {
        const size_t next = stop_before(run, stop);
        stop_at(run, stop, network->layers[stop].type->training->batch->prepare_backward);
        region = (struct region){.back_from = next < layers ? next + 1 : 0, .back_to = stop + 1};
        run_region(run, &region);
        stop = next;
    }
}

static void pack(const struct run *run) {
    const struct cn_network *network = run->network;
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        if (layer->type->training->pack != NULL)
            layer->type->training->pack(layer, network->parameters + layer->parameter_offset,
                                        run->w->packed + run->w->parts[l].packed);
    }
}

/* True if the derivative of the loss includes that of the layer's activation. */
static bool fuses(enum cn_loss loss, struct cn_layer layer) {
    const enum cn_activation fused = cn_loss_fuses_with(loss);
    return fused != CN_ACTIVATION_LINEAR && layer.type->activation != NULL &&
           *layer.type->activation(&layer) == fused;
}

void cn_network_gradient(struct cn_network *network, struct cn_gradient_workspace *w,
                         const struct cn_minibatch *batch, enum cn_loss loss, float label_smoothing,
                         float *gradients, struct cn_minibatch_result *ret_result) {
    const struct run run = {network,
                            gradients,
                            w,
                            batch,
                            loss,
                            label_smoothing,
                            w->output_users == 0 && fuses(loss, network->layers[w->output])};
    memset(w->partials, 0, w->partial_size * sizeof *w->partials);
    memset(gradients, 0, network->parameter_count * sizeof *gradients);
    pack(&run);
    run_regions(&run);
    w->outcomes[w->first_shard].flag = batch->flag;
    gather_shards(&run, w->outcomes, sizeof *w->outcomes);
    for (size_t t = 0; t < network->tensor_count; t++)
        if (!network->tensors[t].trainable)
            memset(gradients + network->tensors[t].offset, 0,
                   network->tensors[t].size * sizeof *gradients);
    *ret_result = (struct cn_minibatch_result){0};
    for (size_t shard = 0; shard < CN_GRADIENT_SHARDS; shard++) {
        ret_result->loss_sum += w->outcomes[shard].loss;
        ret_result->correct += (size_t)w->outcomes[shard].correct;
        ret_result->flag = ret_result->flag || w->outcomes[shard].flag;
    }
}
