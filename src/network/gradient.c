/* gradient.c: forward and backward of a mini-batch.
 *
 * The batch is cut into CN_GRADIENT_SHARDS fixed ranges of samples. A shard runs through a segment
 * of layers on its own, so that its activations stay in the cache; segments end where a layer needs
 * to see the whole batch. Each shard sums its gradients by itself and the shards are added in their
 * order, so that the bits do not depend on the number of threads. OpenMP inside.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "layers/layer_type.h"
#include "network/loss.h"

/* Offsets in floats of one layer's parts of the workspace's blocks. */
struct layer_part {
    size_t activation; /* its output, of the whole batch */
    size_t packed, state;
};

struct cn_gradient_workspace {
    size_t max_batch_size, layer_count, parameter_count;
    int threads;
    struct layer_part *parts;
    float *activations, *slopes; /* outputs and their gradients, [layer][max_batch, output] */
    float *packed, *state;
    size_t scratch_size;
    float *scratch;   /* [CN_GRADIENT_SHARDS, scratch_size] */
    float *gradients; /* [CN_GRADIENT_SHARDS, parameter_count] */
    double losses[CN_GRADIENT_SHARDS];
    size_t correct[CN_GRADIENT_SHARDS];
};

static size_t aligned(size_t count) {
    return (count + 15) & ~(size_t)15;
}

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? aligned(size(layer)) : 0;
}

enum cn_status cn_gradient_workspace_create(const struct cn_network *network, size_t max_batch_size,
                                            int threads,
                                            struct cn_gradient_workspace **ret_workspace,
                                            struct cn_error *error) {
    size_t activations = 0, packed = 0, state = 0;
    if (max_batch_size < 1 || max_batch_size > 1 << 20 || threads < 1)
        return cn_fail(error, CN_INVALID, "batch size %zu and %d threads must be at least 1",
                       max_batch_size, threads);
    struct cn_gradient_workspace *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->parts = calloc(network->layer_count, sizeof *w->parts);
    if (w == NULL || w->parts == NULL)
        goto no_memory;
    w->max_batch_size = max_batch_size;
    w->layer_count = network->layer_count;
    w->parameter_count = aligned(network->parameter_count);
    w->threads = threads;
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        w->parts[l] = (struct layer_part){activations, packed, state};
        activations += aligned(max_batch_size * cn_shape_size(&layer->output_shape));
        packed += asked(layer->type->training_packed_size, layer);
        state += asked(layer->type->state_size, layer);
        const size_t scratch = asked(layer->type->training_scratch_size, layer);
        if (scratch > w->scratch_size)
            w->scratch_size = scratch;
    }
    w->activations = cn_floats_allocate(activations);
    w->slopes = cn_floats_allocate(activations);
    w->packed = cn_floats_allocate(packed);
    w->state = cn_floats_allocate(state);
    w->scratch = cn_floats_allocate(CN_GRADIENT_SHARDS * w->scratch_size);
    w->gradients = cn_floats_allocate(CN_GRADIENT_SHARDS * w->parameter_count);
    if (w->activations == NULL || w->slopes == NULL || w->packed == NULL || w->state == NULL ||
        w->scratch == NULL || w->gradients == NULL)
        goto no_memory;
    *ret_workspace = w;
    return CN_OK;
no_memory:
    cn_gradient_workspace_free(w);
    return cn_fail(error, CN_MEMORY, "cannot allocate a workspace for batches of %zu",
                   max_batch_size);
}

void cn_gradient_workspace_free(struct cn_gradient_workspace *w) {
    if (w == NULL)
        return;
    free(w->parts);
    free(w->activations);
    free(w->slopes);
    free(w->packed);
    free(w->state);
    free(w->scratch);
    free(w->gradients);
    free(w);
}

/* What one mini-batch's functions share. */
struct run {
    struct cn_network *network;
    struct cn_gradient_workspace *w;
    const struct cn_minibatch *batch;
    enum cn_loss loss;
    float label_smoothing;
    bool fused;
};

/* Layer l's pass over samples [first, first + count) in shard `shard`. */
static struct cn_pass pass_of(const struct run *run, size_t l, size_t shard, size_t first,
                              size_t count) {
    const struct cn_layer *layer = &run->network->layers[l];
    struct cn_gradient_workspace *w = run->w;
    const size_t in = cn_shape_size(&layer->input_shape);
    const size_t out = cn_shape_size(&layer->output_shape);
    const struct layer_part *part = &w->parts[l];
    return (struct cn_pass){
        .first = first,
        .count = count,
        .x =
            (l > 0 ? w->activations + w->parts[l - 1].activation : run->batch->images) + first * in,
        .y = w->activations + part->activation + first * out,
        .dy = w->slopes + part->activation + first * out,
        .dx = l > 0 ? w->slopes + w->parts[l - 1].activation + first * in : NULL,
        .parameters = run->network->parameters + layer->parameter_offset,
        .gradients = w->gradients + shard * w->parameter_count + layer->parameter_offset,
        .packed = w->packed + part->packed,
        .state = w->state + part->state,
        .scratch = w->scratch + shard * w->scratch_size,
        .seed = run->batch->seed,
        .step = run->batch->step,
        .layer = l,
        .dy_is_dz = run->fused && l + 1 == w->layer_count};
}

static size_t shard_begin(const struct run *run, size_t shard) {
    return shard * run->batch->count / CN_GRADIENT_SHARDS;
}

/* Loss of the shard and its gradient by the outputs. */
static void derive_loss(const struct run *run, size_t shard, size_t first, size_t count) {
    struct cn_gradient_workspace *w = run->w;
    const size_t classes = cn_shape_size(&run->network->output_shape);
    const struct layer_part *last = &w->parts[w->layer_count - 1];
    const float scale = 1 / (float)run->batch->count;
    w->losses[shard] = 0;
    w->correct[shard] = 0;
    for (size_t i = first; i < first + count; i++) {
        const float *y = w->activations + last->activation + i * classes;
        const bool none = run->batch->labels[i] == CN_LABEL_NONE;
        const unsigned label = none ? 0 : run->batch->labels[i];
        const float smoothing = none ? 1 : run->label_smoothing;
        size_t best = 0;
        for (size_t c = 1; c < classes; c++)
            best = y[c] > y[best] ? c : best;
        w->correct[shard] += none ? y[best] <= 0.5f : best == label;
        w->losses[shard] += cn_loss_value(run->loss, y, classes, label, smoothing);
        cn_loss_gradient(w->slopes + last->activation + i * classes, run->loss, y, classes, label,
                         smoothing, scale, run->fused);
    }
}

static void forward_shard(const struct run *run, size_t shard, size_t from, size_t to) {
    const size_t first = shard_begin(run, shard), count = shard_begin(run, shard + 1) - first;
    for (size_t l = from; l < to; l++) {
        const struct cn_pass pass = pass_of(run, l, shard, first, count);
        run->network->layers[l].type->forward(&run->network->layers[l], &pass);
    }
    if (to == run->w->layer_count)
        derive_loss(run, shard, first, count);
}

static void backward_shard(const struct run *run, size_t shard, size_t from, size_t to) {
    const size_t first = shard_begin(run, shard), count = shard_begin(run, shard + 1) - first;
    for (size_t l = to; l-- > from;) {
        const struct cn_pass pass = pass_of(run, l, shard, first, count);
        run->network->layers[l].type->backward(&run->network->layers[l], &pass);
    }
}

/* Runs `work` for every shard, in parallel when the workspace has threads. */
static void for_each_shard(const struct run *run, size_t from, size_t to,
                           void (*work)(const struct run *, size_t, size_t, size_t)) {
    if (run->w->threads == 1) {
        for (size_t shard = 0; shard < CN_GRADIENT_SHARDS; shard++)
            work(run, shard, from, to);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(run->w->threads)
    for (size_t shard = 0; shard < CN_GRADIENT_SHARDS; shard++)
        work(run, shard, from, to);
}

static void run_forward(const struct run *run) {
    const struct cn_network *network = run->network;
    for (size_t from = 0; from < network->layer_count;) {
        const struct cn_layer *layer = &network->layers[from];
        size_t to = from + 1;
        if (layer->type->prepare_forward != NULL) {
            const struct cn_pass whole = pass_of(run, from, 0, 0, run->batch->count);
            layer->type->prepare_forward(layer, &whole);
        }
        while (to < network->layer_count && network->layers[to].type->prepare_forward == NULL)
            to++;
        for_each_shard(run, from, to, forward_shard);
        from = to;
    }
}

static void run_backward(const struct run *run) {
    const struct cn_network *network = run->network;
    for (size_t to = network->layer_count; to > 0;) {
        const struct cn_layer *layer = &network->layers[to - 1];
        size_t from = to - 1;
        if (layer->type->prepare_backward != NULL) {
            const struct cn_pass whole = pass_of(run, to - 1, 0, 0, run->batch->count);
            layer->type->prepare_backward(layer, &whole);
        }
        while (from > 0 && network->layers[from - 1].type->prepare_backward == NULL)
            from--;
        for_each_shard(run, from, to, backward_shard);
        to = from;
    }
}

static bool ends_with_softmax(const struct cn_network *network) {
    struct cn_layer last = network->layers[network->layer_count - 1];
    return last.type->activation != NULL && *last.type->activation(&last) == CN_ACTIVATION_SOFTMAX;
}

void cn_network_gradient(struct cn_network *network, struct cn_gradient_workspace *w,
                         const struct cn_minibatch *batch, enum cn_loss loss, float label_smoothing,
                         float *gradients, struct cn_minibatch_result *ret_result) {
    const struct run run = {
        network,         w,
        batch,           loss,
        label_smoothing, loss == CN_LOSS_CATEGORICAL_CROSSENTROPY && ends_with_softmax(network)};
    const size_t count = network->parameter_count;
    memset(w->gradients, 0, CN_GRADIENT_SHARDS * w->parameter_count * sizeof *w->gradients);
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        if (layer->type->training_pack != NULL)
            layer->type->training_pack(layer, network->parameters + layer->parameter_offset,
                                       w->packed + w->parts[l].packed);
    }
    run_forward(&run);
    run_backward(&run);
    memcpy(gradients, w->gradients, count * sizeof *gradients);
    for (size_t shard = 1; shard < CN_GRADIENT_SHARDS; shard++)
        for (size_t i = 0; i < count; i++)
            gradients[i] += w->gradients[shard * w->parameter_count + i];
    *ret_result = (struct cn_minibatch_result){0};
    for (size_t shard = 0; shard < CN_GRADIENT_SHARDS; shard++) {
        ret_result->loss_sum += w->losses[shard];
        ret_result->correct += w->correct[shard];
    }
}
