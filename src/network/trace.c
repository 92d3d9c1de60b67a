/* trace.c: runs one image through a network layer by layer, unfused, and keeps the outputs. Packs
 * each layer's parameters when it runs the layer, so that a server needs no second plan for it. A
 * trace belongs to one thread. */
#include "convnet/trace.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"
#include "network/placement.h"

struct cn_trace {
    const struct cn_network *network;
    const float *parameters;
    size_t first_kept,
        layer_count;       /* layers [0, layer_count) run; outputs from first_kept on are kept */
    struct cn_span *spans; /* [layer_count]: the outputs' places in the block */
    const float **outputs; /* [layer_count] */
    const float **inputs;  /* of the running layer */
    float *block;          /* outputs | packed | scratch */
    size_t block_size;
    float *packed, *scratch;
};

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? cn_floats_aligned(size(layer)) : 0;
}

/* Floats of each part of the block; the most inputs of a layer. */
struct parts {
    size_t outputs, packed, scratch, inputs;
};

/* The layer whose output a value is, skipping layers without inference; SIZE_MAX: an input. */
static size_t origin_of(const struct cn_network *network, size_t value) {
    while (value >= network->input_count) {
        const struct cn_layer *layer = &network->layers[value - network->input_count];
        if (layer->type->inference != NULL)
            return value - network->input_count;
        value = layer->inputs[0].value;
    }
    return SIZE_MAX;
}

/* Fills trace->spans. parts.outputs is SIZE_MAX if memory runs out. */
static struct parts measure(const struct cn_trace *trace) {
    const struct cn_network *network = trace->network;
    struct parts parts = {0};
    for (size_t l = 0; l < trace->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        const struct cn_layer_inference *inference = layer->type->inference;
        parts.inputs = larger(parts.inputs, layer->input_count);
        trace->spans[l] = (struct cn_span){.first = l, .last = l};
        for (size_t i = 0; i < layer->input_count; i++) {
            const size_t from = origin_of(network, layer->inputs[i].value);
            if (from != SIZE_MAX && trace->spans[from].last < l)
                trace->spans[from].last = l;
        }
        const size_t kept = origin_of(network, network->input_count + l);
        if (l >= trace->first_kept && kept != SIZE_MAX)
            trace->spans[kept].last = trace->layer_count;
        if (inference == NULL)
            continue;
        trace->spans[l].size = cn_floats_aligned(cn_shape_size(&layer->output_shape));
        parts.packed = larger(parts.packed, asked(inference->packed_size, layer));
        const struct cn_step step = cn_step_of(layer, NULL);
        if (inference->scratch_size != NULL)
            parts.scratch =
                larger(parts.scratch, cn_floats_aligned(inference->scratch_size(&step)));
    }
    parts.outputs = cn_place(trace->spans, trace->layer_count);
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
        return cn_fail(error, CN_MEMORY, "no memory for a trace");
    trace->network = network;
    trace->parameters = network->parameters;
    trace->first_kept = layer == CN_TRACE_ALL ? 0 : layer;
    trace->layer_count = layer == CN_TRACE_ALL ? network->layer_count : layer + 1;
    trace->spans = calloc(trace->layer_count, sizeof *trace->spans);
    trace->outputs = calloc(trace->layer_count, sizeof *trace->outputs);
    struct parts parts = {.outputs = SIZE_MAX};
    if (trace->spans != NULL && trace->outputs != NULL)
        parts = measure(trace);
    if (parts.outputs != SIZE_MAX) {
        trace->inputs = calloc(parts.inputs + 1, sizeof *trace->inputs);
        trace->block_size = parts.outputs + parts.packed + parts.scratch;
        trace->block = cn_floats_allocate(trace->block_size);
    }
    if (trace->inputs == NULL || trace->block == NULL) {
        cn_trace_free(trace);
        return cn_fail(error, CN_MEMORY, "no memory for a trace of %zu values", values);
    }
    trace->packed = trace->block + parts.outputs;
    trace->scratch = trace->packed + parts.packed;
    *ret_trace = trace;
    return CN_OK;
}

/* Applies a temperature to a softmax (Guo et al. 2017): softmax(z / t) is softmax(z) to the power
 * of 1 / t, normalised to a sum of one. */
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

static void run_layer(struct cn_trace *trace, size_t l, const float *const *images) {
    const struct cn_network *network = trace->network;
    const struct cn_layer *layer = &network->layers[l];
    const struct cn_layer_inference *inference = layer->type->inference;
    for (size_t i = 0; i < layer->input_count; i++) {
        const size_t value = layer->inputs[i].value;
        trace->inputs[i] = value < network->input_count
                               ? images[value]
                               : trace->outputs[value - network->input_count];
    }
    if (inference == NULL) {
        trace->outputs[l] = trace->inputs[0];
        return;
    }
    if (inference->pack != NULL)
        inference->pack(layer, trace->parameters + layer->parameter_offset, trace->packed);
    const struct cn_step step = cn_step_of(layer, trace->packed);
    float *y = trace->block + trace->spans[l].offset;
    inference->infer(&step, trace->inputs, 1, y, trace->scratch);
    trace->outputs[l] = y;
}

void cn_trace_run_inputs(struct cn_trace *trace, const float *const *images) {
    const struct cn_network *network = trace->network;
    for (size_t l = 0; l < trace->layer_count; l++)
        run_layer(trace, l, images);
    const size_t last = origin_of(network, network->outputs[0].value);
    if (last != SIZE_MAX && last < trace->layer_count &&
        cn_network_output_kind(network, 0) == CN_OUTPUT_SOFTMAX)
        set_temperature(trace->block + trace->spans[last].offset,
                        cn_shape_size(&network->output_shape), network->temperature);
}

void cn_trace_run(struct cn_trace *trace, const float *image) {
    cn_trace_run_inputs(trace, &image);
}

void cn_trace_set_parameters(struct cn_trace *trace, const float *parameters) {
    trace->parameters = parameters;
}

const float *cn_trace_output(const struct cn_trace *trace, size_t layer) {
    return layer >= trace->first_kept && layer < trace->layer_count ? trace->outputs[layer] : NULL;
}

size_t cn_trace_bytes(const struct cn_trace *trace) {
    return trace->block_size * sizeof(float);
}

void cn_trace_free(struct cn_trace *trace) {
    if (trace == NULL)
        return;
    free(trace->spans);
    free(trace->outputs);
    free(trace->inputs);
    free(trace->block);
    free(trace);
}
