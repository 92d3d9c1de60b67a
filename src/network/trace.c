/* trace.c: one image through a network layer by layer, unfused, with the outputs kept. Packs each
 * layer's parameters anew when it runs the layer, so that a server holds no second plan for it. A
 * trace belongs to one thread. */
#include "convnet/trace.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

struct cn_trace {
    const struct cn_network *network;
    size_t first_kept, layer_count; /* layers [0, layer_count) run; from first_kept on they stay */
    const float **outputs;          /* [layer_count] */
    float *block;                   /* kept outputs | two that take turns | packed | scratch */
    float *turns[2], *packed, *scratch;
};

static size_t aligned(size_t count) {
    return (count + CN_LANES - 1) & ~(size_t)(CN_LANES - 1);
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? aligned(size(layer)) : 0;
}

/* Floats of each part of the block. */
struct parts {
    size_t kept, turn, packed, scratch;
};

static struct parts measure(const struct cn_trace *trace) {
    struct parts parts = {0};
    for (size_t l = 0; l < trace->layer_count; l++) {
        const struct cn_layer *layer = &trace->network->layers[l];
        const size_t size = aligned(cn_shape_size(&layer->output_shape));
        if (layer->type->infer == NULL)
            continue;
        if (l >= trace->first_kept)
            parts.kept += size;
        else
            parts.turn = larger(parts.turn, size);
        parts.packed = larger(parts.packed, asked(layer->type->packed_size, layer));
        parts.scratch = larger(parts.scratch, asked(layer->type->scratch_size, layer));
    }
    return parts;
}

enum cn_status cn_trace_create(const struct cn_network *network, size_t layer, size_t max_values,
                               struct cn_trace **ret_trace, struct cn_error *error) {
    if (layer != CN_TRACE_ALL && layer >= network->layer_count)
        return cn_fail(error, CN_INVALID, "there is no layer %zu; the network has %zu", layer,
                       network->layer_count);
    size_t values = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        if (layer == CN_TRACE_ALL || l == layer)
            values += cn_shape_size(&network->layers[l].output_shape);
    if (values > max_values)
        return cn_fail(error, CN_LIMIT, "the outputs to keep have %zu values; the limit is %zu",
                       values, max_values);
    struct cn_trace *trace = calloc(1, sizeof *trace);
    if (trace == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate a trace");
    trace->network = network;
    trace->first_kept = layer == CN_TRACE_ALL ? 0 : layer;
    trace->layer_count = layer == CN_TRACE_ALL ? network->layer_count : layer + 1;
    const struct parts parts = measure(trace);
    trace->outputs = calloc(trace->layer_count, sizeof *trace->outputs);
    trace->block = cn_floats_allocate(parts.kept + 2 * parts.turn + parts.packed + parts.scratch);
    if (trace->outputs == NULL || trace->block == NULL) {
        cn_trace_free(trace);
        return cn_fail(error, CN_MEMORY, "cannot allocate a trace of %zu values", values);
    }
    trace->turns[0] = trace->block + parts.kept;
    trace->turns[1] = trace->turns[0] + parts.turn;
    trace->packed = trace->turns[1] + parts.turn;
    trace->scratch = trace->packed + parts.packed;
    *ret_trace = trace;
    return CN_OK;
}

/* What the final softmax gives when its input is divided by the temperature (Guo et al. 2017):
 * softmax(z / t) is softmax(z) to the power of 1 / t, with a sum of one again. */
static void set_temperature(float *probabilities, size_t count, float temperature) {
    double sum = 0;
    if (temperature == 1)
        return;
    for (size_t i = 0; i < count; i++) {
        probabilities[i] = powf(probabilities[i], 1 / temperature);
        sum += (double)probabilities[i];
    }
    for (size_t i = 0; i < count; i++)
        probabilities[i] = (float)((double)probabilities[i] / sum);
}

void cn_trace_run(struct cn_trace *trace, const float *image) {
    const float *x = image;
    float *kept = trace->block, *last = NULL;
    size_t turn = 0;
    for (size_t l = 0; l < trace->layer_count; l++) {
        const struct cn_layer *layer = &trace->network->layers[l];
        if (layer->type->infer != NULL) {
            float *y = l >= trace->first_kept ? kept : trace->turns[turn];
            if (layer->type->pack != NULL)
                layer->type->pack(layer, trace->network->parameters + layer->parameter_offset,
                                  trace->packed);
            const struct cn_step step = cn_step_of(layer, trace->packed);
            layer->type->infer(&step, x, 1, y, trace->scratch);
            if (l >= trace->first_kept)
                kept += aligned(cn_shape_size(&layer->output_shape));
            turn = 1 - turn;
            x = last = y;
        }
        trace->outputs[l] = x;
    }
    if (last != NULL && trace->layer_count == trace->network->layer_count)
        set_temperature(last, cn_shape_size(&trace->network->output_shape),
                        trace->network->temperature);
}

const float *cn_trace_output(const struct cn_trace *trace, size_t layer) {
    return layer >= trace->first_kept && layer < trace->layer_count ? trace->outputs[layer] : NULL;
}

void cn_trace_free(struct cn_trace *trace) {
    if (trace == NULL)
        return;
    free(trace->outputs);
    free(trace->block);
    free(trace);
}
