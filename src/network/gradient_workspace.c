/* gradient_workspace.c: lays out and allocates what gradient.c works in; see gradient_private.h. */
#include <stdlib.h>

#include "base/memory.h"
#include "layers/layer_type.h"
#include "network/gradient_private.h"

/* Floats of a chunk's activations and slopes: what a second-level cache holds beside the weights.
 */
enum { CHUNK_FLOATS = 160 * 1024, MAX_CHUNK = 16 };

static size_t aligned(size_t count) {
    return (count + 15) & ~(size_t)15;
}

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? aligned(size(layer)) : 0;
}

static size_t output_of(const struct cn_network *network, size_t l) {
    return cn_shape_size(&network->layers[l].output_shape);
}

/* Floats of one sample's local activations; the largest local slope. */
static size_t local_sizes(const struct cn_network *network, const struct cn_gradient_workspace *w,
                          size_t *ret_slope) {
    size_t activations = 0;
    *ret_slope = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        if (!w->parts[l].activation_whole)
            activations += output_of(network, l);
        if (!w->parts[l].slope_whole && output_of(network, l) > *ret_slope)
            *ret_slope = output_of(network, l);
    }
    return activations;
}

/* Which arrays must outlive a region, and how many samples make a chunk. */
static void plan_lives(const struct cn_network *network, struct cn_gradient_workspace *w) {
    size_t slope = 0;
    w->last_stop = network->layer_count;
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].type->prepare_forward != NULL)
            w->last_stop = l;
    for (size_t l = 0; l < network->layer_count; l++) {
        w->parts[l].activation_whole = w->last_stop < network->layer_count && l <= w->last_stop;
        w->parts[l].slope_whole = network->layers[l].type->prepare_backward != NULL;
    }
    const size_t activations = local_sizes(network, w, &slope);
    w->chunk = CHUNK_FLOATS / (activations + 2 * slope + 1);
    if (w->chunk < 1)
        w->chunk = 1;
    if (w->chunk > MAX_CHUNK)
        w->chunk = MAX_CHUNK;
}

/* Local slopes take turns in two buffers: a layer reads one and writes the other. */
static size_t place(const struct cn_network *network, struct cn_gradient_workspace *w) {
    size_t whole = 0, slope = 0, local = 0;
    (void)local_sizes(network, w, &slope);
    slope = aligned(slope * w->chunk);
    for (size_t l = 0; l < network->layer_count; l++) {
        const size_t size = output_of(network, l);
        size_t *next = w->parts[l].activation_whole ? &whole : &local;
        w->parts[l].activation = *next;
        *next += aligned(size * (w->parts[l].activation_whole ? w->max_batch_size : w->chunk));
        if (w->parts[l].slope_whole) {
            w->parts[l].slope = whole;
            whole += aligned(size * w->max_batch_size);
        }
    }
    for (size_t l = 0; l < network->layer_count; l++)
        if (!w->parts[l].slope_whole)
            w->parts[l].slope = local + (l & 1) * slope;
    w->local_size = local + 2 * slope;
    return whole;
}

static enum cn_status allocate(const struct cn_network *network, struct cn_gradient_workspace *w) {
    const size_t threads = (size_t)w->threads;
    size_t packed = 0, state = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        w->parts[l].packed = packed;
        w->parts[l].state = state;
        w->parts[l].partial = w->partial_size;
        packed += asked(layer->type->training_packed_size, layer);
        state += asked(layer->type->state_size, layer);
        w->partial_size += CN_GRADIENT_SHARDS * asked(layer->type->partial_size, layer);
        const size_t scratch = asked(layer->type->training_scratch_size, layer);
        if (scratch > w->scratch_size)
            w->scratch_size = scratch;
    }
    w->whole = cn_floats_allocate(place(network, w));
    w->local = cn_floats_allocate(threads * w->local_size);
    w->packed = cn_floats_allocate(packed);
    w->state = cn_floats_allocate(state);
    w->scratch = cn_floats_allocate(threads * w->scratch_size);
    w->gradients = cn_floats_allocate(CN_GRADIENT_SHARDS * w->parameter_count);
    w->partials = calloc(w->partial_size + 1, sizeof *w->partials);
    return w->whole != NULL && w->local != NULL && w->packed != NULL && w->state != NULL &&
                   w->scratch != NULL && w->gradients != NULL && w->partials != NULL
               ? CN_OK
               : CN_MEMORY;
}

enum cn_status cn_gradient_workspace_create(const struct cn_network *network, size_t max_batch_size,
                                            int threads,
                                            struct cn_gradient_workspace **ret_workspace,
                                            struct cn_error *error) {
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
    plan_lives(network, w);
    if (allocate(network, w) != CN_OK)
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
    free(w->whole);
    free(w->local);
    free(w->packed);
    free(w->state);
    free(w->scratch);
    free(w->gradients);
    free(w->partials);
    free(w);
}
