/* gradient_workspace.c: lays out and allocates the memory of gradient.c; see gradient_private.h. */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "layers/layer_type.h"
#include "network/gradient_private.h"
#include "network/placement.h"

/* Floats of a chunk's activations and gradients that fit into a second-level cache beside the
 * weights. */
enum { CHUNK_FLOATS = 160 * 1024, MAX_CHUNK = 16 };

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? cn_floats_aligned(size(layer)) : 0;
}

static size_t output_of(const struct cn_network *network, size_t l) {
    return cn_shape_size(&network->layers[l].output_shape);
}

/* Floats of one sample's local activations; the largest local gradient. */
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

/* The layer that computes a value; SIZE_MAX: it is an input of the network. */
static size_t layer_of(const struct cn_network *network, size_t value) {
    return value < network->input_count ? SIZE_MAX : value - network->input_count;
}

static bool learns(const struct cn_network *network, size_t l) {
    const struct cn_layer *layer = &network->layers[l];
    const struct cn_layer *owner = layer->shares > 0 ? &network->layers[layer->shares - 1] : layer;
    for (size_t i = 0; i < owner->tensor_count; i++)
        if (owner->tensors[i].trainable)
            return true;
    return false;
}

/* The backward pass includes the layers on which the output depends and that learn, or that come
 * after one that does. */
static void plan_backs(const struct cn_network *network, struct cn_gradient_workspace *w) {
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        w->parts[l].back = learns(network, l);
        for (size_t i = 0; i < layer->input_count; i++) {
            const size_t from = layer_of(network, layer->inputs[i].value);
            w->parts[l].back = w->parts[l].back || (from != SIZE_MAX && w->parts[from].back);
        }
    }
    w->parts[w->output].leads = w->parts[w->output].back = true;
    for (size_t l = network->layer_count; l-- > 0;) {
        const struct cn_layer *layer = &network->layers[l];
        w->parts[l].back = w->parts[l].back && w->parts[l].leads;
        for (size_t i = 0; i < layer->input_count && w->parts[l].leads; i++) {
            const size_t from = layer_of(network, layer->inputs[i].value);
            if (from != SIZE_MAX)
                w->parts[from].leads = true;
        }
    }
}

/* The number of backward regions up to the one that includes layer l; the loss belongs to the
 * region of the last layers. */
static size_t region_of(const struct cn_network *network, const struct cn_gradient_workspace *w,
                        size_t l) {
    size_t region = 0;
    for (size_t i = 0; i < l; i++)
        region += w->parts[i].back && cn_layer_stops(&network->layers[i]);
    return region;
}

/* The last user of a value writes its gradient and the users before it add theirs, in this order,
 * whatever the threads. `writers[l]` receives the time of the first write: layer l runs backward at
 * the time layer_count - l, the loss at 0. */
static void plan_edges(const struct cn_network *network, struct cn_gradient_workspace *w,
                       size_t *writers) {
    const size_t layers = network->layer_count;
    for (size_t l = 0; l < layers; l++)
        writers[l] = SIZE_MAX;
    writers[w->output] = 0;
    w->parts[w->output].slope_whole =
        region_of(network, w, w->output) != region_of(network, w, layers);
    for (size_t l = layers; l-- > 0;) {
        const struct cn_layer *layer = &network->layers[l];
        const size_t region = region_of(network, w, l);
        size_t spare = 0;
        for (size_t i = 0; i < layer->input_count; i++) {
            struct cn_edge *edge = &w->edges[w->parts[l].edges + i];
            const size_t from = layer_of(network, layer->inputs[i].value);
            if (!w->parts[l].back || from == SIZE_MAX || !w->parts[from].back)
                continue;
            edge->needed = true;
            edge->added = writers[from] != SIZE_MAX;
            if (edge->added) {
                edge->spare = spare;
                spare += cn_floats_aligned(output_of(network, from) * w->chunk);
            } else {
                writers[from] = layers - l;
            }
            if (from == w->output)
                w->output_users++;
            if (region != region_of(network, w, from))
                w->parts[from].slope_whole = true;
        }
        if (spare > w->spare)
            w->spare = spare;
    }
}

/* Determines which activations must outlive a region, and how many samples make a chunk. */
static void plan_lifetimes(const struct cn_network *network, struct cn_gradient_workspace *w) {
    size_t slope = 0;
    w->last_stop = network->layer_count;
    for (size_t l = 0; l < network->layer_count; l++)
        if (cn_layer_stops(&network->layers[l]))
            w->last_stop = l;
    for (size_t l = 0; l < network->layer_count; l++) {
        w->parts[l].activation_whole = w->last_stop < network->layer_count && l <= w->last_stop;
        w->parts[l].slope_whole = cn_layer_stops(&network->layers[l]);
    }
    const size_t activations = local_sizes(network, w, &slope);
    w->chunk = CHUNK_FLOATS / (activations + 2 * slope + 1);
    if (w->chunk < 1)
        w->chunk = 1;
    if (w->chunk > MAX_CHUNK)
        w->chunk = MAX_CHUNK;
}

/* Places the activations, and the local gradients by their lifetimes. SIZE_MAX if memory runs out.
 */
static size_t place(const struct cn_network *network, struct cn_gradient_workspace *w,
                    const size_t *writers) {
    const size_t layers = network->layer_count;
    struct cn_span *spans = calloc(layers, sizeof *spans);
    size_t whole = 0, local = 0;
    for (size_t l = 0; l < layers && spans != NULL; l++) {
        const size_t size = output_of(network, l);
        size_t *next = w->parts[l].activation_whole ? &whole : &local;
        w->parts[l].activation = *next;
        *next +=
            cn_floats_aligned(size * (w->parts[l].activation_whole ? w->max_batch_size : w->chunk));
        if (!w->parts[l].back) {
            w->parts[l].slope_whole = false;
        } else if (w->parts[l].slope_whole) {
            w->parts[l].slope = whole;
            whole += cn_floats_aligned(size * w->max_batch_size);
        } else {
            spans[l] =
                (struct cn_span){cn_floats_aligned(size * w->chunk), writers[l], layers - l, 0};
        }
    }
    const size_t slopes = spans != NULL ? cn_place(spans, layers) : SIZE_MAX;
    for (size_t l = 0; l < layers && slopes != SIZE_MAX; l++)
        if (!w->parts[l].slope_whole)
            w->parts[l].slope = local + spans[l].offset;
    free(spans);
    if (slopes == SIZE_MAX)
        return SIZE_MAX;
    w->local_size = local + slopes + w->spare;
    w->spare = local + slopes;
    return whole;
}

/* Computes where each layer's part of the blocks is, and how long they are. */
static void measure_blocks(const struct cn_network *network, struct cn_gradient_workspace *w) {
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        const struct cn_layer_training *training = layer->type->training;
        w->parts[l].packed = w->packed_size;
        w->parts[l].state = w->state_size;
        w->parts[l].partial = w->partial_size;
        w->packed_size += asked(training->packed_size, layer);
        const size_t scratch = asked(training->scratch_size, layer);
        if (scratch > w->scratch_size)
            w->scratch_size = scratch;
        if (cn_layer_stops(layer)) {
            w->state_size += asked(training->batch->state_size, layer);
            w->partial_size += CN_GRADIENT_SHARDS * asked(training->batch->partial_size, layer);
        }
    }
}

static enum cn_status allocate(const struct cn_network *network, struct cn_gradient_workspace *w) {
    const size_t threads = (size_t)w->threads;
    w->whole = cn_floats_allocate(w->whole_size);
    w->local = cn_floats_allocate(threads * w->local_size);
    w->packed = cn_floats_allocate(w->packed_size);
    w->state = cn_floats_allocate(w->state_size);
    w->scratch = cn_floats_allocate(threads * w->scratch_size);
    w->backs = calloc(network->layer_count, sizeof *w->backs);
    w->partials = calloc(w->partial_size + 1, sizeof *w->partials);
    w->xs = calloc(threads * w->most_inputs, sizeof *w->xs);
    w->dxs = calloc(threads * w->most_inputs, sizeof *w->dxs);
    return w->whole != NULL && w->local != NULL && w->packed != NULL && w->state != NULL &&
                   w->scratch != NULL && w->backs != NULL && w->partials != NULL && w->xs != NULL &&
                   w->dxs != NULL
               ? CN_OK
               : CN_MEMORY;
}

/* Determines which passes, edges and arrays there are, and how large they are. */
static enum cn_status lay_out(const struct cn_network *network, struct cn_gradient_workspace *w) {
    size_t edges = 0;
    for (size_t l = 0; l < network->layer_count; l++) {
        const size_t inputs = network->layers[l].input_count;
        w->parts[l].edges = edges;
        edges += inputs;
        if (inputs > w->most_inputs)
            w->most_inputs = inputs;
    }
    w->most_inputs += w->most_inputs == 0;
    w->edges = calloc(edges + 1, sizeof *w->edges);
    size_t *writers = calloc(network->layer_count, sizeof *writers);
    w->whole_size = SIZE_MAX;
    if (w->edges != NULL && writers != NULL) {
        plan_backs(network, w);
        plan_lifetimes(network, w);
        plan_edges(network, w, writers);
        w->whole_size = place(network, w, writers);
    }
    free(writers);
    if (w->whole_size == SIZE_MAX)
        return CN_MEMORY;
    measure_blocks(network, w);
    return CN_OK;
}

static enum cn_status check_trainable(const struct cn_network *network, struct cn_error *error) {
    if (network->outputs[0].value < network->input_count)
        return cn_fail(error, CN_UNSUPPORTED, "the network's output is its input: nothing learns");
    if (network->quantization != NULL)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the network is quantized; train the one of floats and quantize it again");
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].type->training == NULL)
            return cn_fail(error, CN_UNSUPPORTED,
                           "layer \"%s\" is a %s; a network with one cannot be trained",
                           network->layers[l].name, network->layers[l].type->class_name);
    return CN_OK;
}

/* Creates a workspace that knows how large its arrays must be, and has allocated none of them. */
static enum cn_status workspace_plan(const struct cn_network *network, size_t max_batch_size,
                                     int threads, struct cn_gradient_workspace **ret_workspace,
                                     struct cn_error *error) {
    if (max_batch_size < 1 || max_batch_size > 1 << 20 || threads < 1)
        return cn_fail(error, CN_INVALID, "batch size %zu and %d threads must be at least 1",
                       max_batch_size, threads);
    const enum cn_status status = check_trainable(network, error);
    if (status != CN_OK)
        return status;
    struct cn_gradient_workspace *w = calloc(1, sizeof *w);
    if (w != NULL)
        w->parts = calloc(network->layer_count, sizeof *w->parts);
    if (w != NULL && w->parts != NULL) {
        w->max_batch_size = max_batch_size;
        w->layer_count = network->layer_count;
        w->parameter_count = cn_floats_aligned(network->parameter_count);
        w->output = network->outputs[0].value - network->input_count;
        w->threads = threads;
    }
    if (w == NULL || w->parts == NULL || lay_out(network, w) != CN_OK) {
        cn_gradient_workspace_free(w);
        return cn_fail(error, CN_MEMORY, "no memory for a workspace for batches of %zu",
                       max_batch_size);
    }
    *ret_workspace = w;
    return CN_OK;
}

enum cn_status cn_gradient_workspace_create(const struct cn_network *network, size_t max_batch_size,
                                            int threads,
                                            struct cn_gradient_workspace **ret_workspace,
                                            struct cn_error *error) {
    struct cn_gradient_workspace *w = NULL;
    const enum cn_status status = workspace_plan(network, max_batch_size, threads, &w, error);
    if (status != CN_OK)
        return status;
    if (allocate(network, w) != CN_OK ||
        cn_gradient_workspace_share(w, network, NULL, NULL) != CN_OK) {
        cn_gradient_workspace_free(w);
        return cn_fail(error, CN_MEMORY, "no memory for a workspace for batches of %zu",
                       max_batch_size);
    }
    for (size_t l = 0; l < network->layer_count; l++)
        w->backs[l] = w->parts[l].back;
    *ret_workspace = w;
    return CN_OK;
}

enum cn_status cn_gradient_workspace_bytes(const struct cn_network *network, size_t max_batch_size,
                                           int threads, size_t *ret_bytes, struct cn_error *error) {
    struct cn_gradient_workspace *w = NULL;
    const enum cn_status status = workspace_plan(network, max_batch_size, threads, &w, error);
    if (status == CN_OK)
        *ret_bytes = sizeof(float) *
                         (w->whole_size + (size_t)threads * (w->local_size + w->scratch_size) +
                          w->packed_size + w->state_size + cn_gradient_sum_size(network, threads)) +
                     w->partial_size * sizeof *w->partials;
    cn_gradient_workspace_free(w);
    return status;
}

enum cn_status cn_gradient_workspace_share(struct cn_gradient_workspace *w,
                                           const struct cn_network *network,
                                           const struct cn_ranks *ranks, struct cn_error *error) {
    const size_t count = ranks != NULL ? (size_t)ranks->count : 1;
    const size_t rank = ranks != NULL ? (size_t)ranks->rank : 0;
    if (count > CN_GRADIENT_SHARDS)
        return cn_fail(error, CN_INVALID,
                       "%zu ranks are too many; a mini-batch has %d parts, one per rank at least",
                       count, CN_GRADIENT_SHARDS);
    size_t *bounds = calloc(count + 1, sizeof *bounds);
    struct cn_gradient_sum *sum = NULL;
    const enum cn_status status =
        bounds != NULL ? cn_gradient_sum_create(network, w->threads, ranks, &sum, error)
                       : cn_fail(error, CN_MEMORY, "cannot allocate %zu bounds", count);
    if (status != CN_OK) {
        free(bounds);
        return status;
    }
    free(w->bounds);
    cn_gradient_sum_free(w->sum);
    w->bounds = bounds;
    w->sum = sum;
    w->ranks = ranks;
    w->first_shard = rank * CN_GRADIENT_SHARDS / count;
    w->end_shard = (rank + 1) * CN_GRADIENT_SHARDS / count;
    return CN_OK;
}

void cn_gradient_workspace_samples(const struct cn_gradient_workspace *w, size_t count,
                                   size_t *ret_first, size_t *ret_end) {
    *ret_first = cn_gradient_shard_begin(w->first_shard, count);
    *ret_end = cn_gradient_shard_begin(w->end_shard, count);
}

void cn_gradient_workspace_free(struct cn_gradient_workspace *w) {
    if (w == NULL)
        return;
    free(w->parts);
    free(w->edges);
    free(w->xs);
    free(w->dxs);
    free(w->whole);
    free(w->local);
    free(w->packed);
    free(w->state);
    free(w->scratch);
    free(w->backs);
    free(w->bounds);
    cn_gradient_sum_free(w->sum);
    free(w->partials);
    free(w);
}
