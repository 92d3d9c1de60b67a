/* plan.c: a network as a list of inference steps over packed parameters, and the place of each
 * value in memory. A plan is immutable; each workspace belongs to one thread. OpenMP only in
 * cn_plan_run_parallel. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/openmp.h"
#include "convnet/plan.h"
#include "kernels/bytes.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"
#include "network/bands.h"
#include "network/placement.h"

/* The place of a value while the steps run. */
enum place_kind { PLACE_INPUT, PLACE_ARENA, PLACE_FIRST_OUTPUT };
struct place {
    enum place_kind kind;
    size_t at;   /* the input, or the offset in the arena, for a block of images */
    size_t size; /* floats of one image */
    bool kept;   /* of the whole block, also while the plan's head runs */
};

/* An input or an output of the plan. */
struct port {
    size_t size;        /* floats of one image */
    size_t offset;      /* within a row of all inputs, or of all outputs */
    struct place place; /* of an output */
};

struct cn_plan {
    size_t input_count, output_count;
    struct port *inputs, *outputs;
    size_t input_row, output_row; /* floats of all inputs, or of all outputs, of one image */
    size_t step_count;
    struct cn_step *steps;  /* the plan owns the inputs of their layers */
    struct place *reads;    /* of all steps, one after another */
    struct place *writes;   /* [step_count] */
    struct cn_bands *bands; /* [step_count], of the steps that begin here */
    size_t most_inputs;     /* of a step */
    float *packed;
    size_t packed_size;
    size_t block;      /* images that pass through the steps together, */
    size_t head_block; /* and through the first ones, */
    size_t head;       /* of which there are so many; one value leads from these to the others */
    size_t head_reads; /* their inputs */
    size_t arena_size; /* floats between steps for a block */
    size_t scratch_size;
    unsigned long long macs; /* of one image */
};

struct cn_workspace {
    void *memory; /* with the block, which begins at a cache line */
    float *block; /* arena | scratch */
    float *scratch;
    const float **inputs; /* [most_inputs], of the step that runs */
};

static size_t asked(size_t (*size)(const struct cn_layer *), const struct cn_layer *layer) {
    return size != NULL ? cn_floats_aligned(size(layer)) : 0;
}

/* ---- Making the steps ---- */

/* The state while a plan is made. A value's root is the value whose numbers it shows: the value
 * itself; or, where a layer computes nothing in inference or was fused into the step before it, the
 * root of its input. In a quantized network a root's numbers are floats, bytes or, where both are
 * read, both. */
struct draft {
    struct cn_plan *plan;
    const struct cn_network *network;
    size_t value_count;
    size_t *roots;      /* [value_count] */
    size_t *users;      /* [value_count], of a root: number of steps and outputs that read it */
    size_t *steps;      /* [value_count], of a root: the step that makes its floats, or an INPUT */
    size_t *byte_steps; /* [value_count], of a root: the one that makes its bytes */
    bool *on_bytes;     /* [layer_count]: the layer's step reads bytes */
    bool *to_floats;    /* [layer_count]: that step writes floats */
    struct cn_byte_range *ranges; /* of a layer's inputs */
    size_t packed;
};
static const size_t INPUT = SIZE_MAX, ABSENT = SIZE_MAX - 1; /* in place of a step */

static bool is_step(size_t step) {
    return step < ABSENT;
}

static struct cn_byte_range range_of(const struct draft *draft, size_t value) {
    return draft->network->quantization != NULL ? draft->network->quantization->ranges[value]
                                                : (struct cn_byte_range){0};
}

/* True if the value of layer `l` is that of its first input: the layer passes it on, or the bytes
 * of both are the same. */
static bool passes(const struct draft *draft, size_t l) {
    const struct cn_layer *layer = &draft->network->layers[l];
    const struct cn_layer_inference *inference = layer->type->inference;
    if (inference == NULL || inference->passes_bytes == NULL)
        return inference == NULL;
    const struct cn_byte_range in = range_of(draft, draft->roots[layer->inputs[0].value]);
    const struct cn_byte_range out = range_of(draft, draft->network->input_count + l);
    return out.scale > 0 && in.scale == out.scale && in.zero == out.zero &&
           inference->passes_bytes(layer, out);
}

/* True if layer `l` reads bytes; sets whether it must then write floats. */
static bool reads_bytes(const struct draft *draft, size_t l, bool *ret_to_floats) {
    const struct cn_layer *layer = &draft->network->layers[l];
    const struct cn_layer_inference *bytes =
        layer->type->inference != NULL ? layer->type->inference->bytes : NULL;
    if (draft->network->quantization == NULL || bytes == NULL || layer->input_count == 0 ||
        (bytes->pack_bytes != NULL && cn_quantization_scales(draft->network, l) == NULL))
        return false;
    for (size_t i = 0; i < layer->input_count; i++) {
        draft->ranges[i] = range_of(draft, draft->roots[layer->inputs[i].value]);
        if (draft->ranges[i].scale == 0)
            return false;
    }
    const struct cn_byte_range out = range_of(draft, draft->network->input_count + l);
    *ret_to_floats = out.scale == 0 || !bytes->takes(layer, draft->ranges, out);
    return !*ret_to_floats || bytes->takes(layer, draft->ranges, (struct cn_byte_range){0});
}

static bool step_reads_bytes(const struct cn_step *step) {
    return step->bytes.in[0].scale > 0;
}

/* The value that the step reads as its input `i`. */
static size_t source_of(const struct draft *draft, const struct cn_step *step, size_t i) {
    const size_t root = draft->roots[step->layer.inputs[i].value];
    return step_reads_bytes(step) ? draft->byte_steps[root] : draft->steps[root];
}

/* The step that computes the input of `layer`, if nothing else reads it and no layer between has
 * changed its shape. */
static struct cn_step *only_source(const struct draft *draft, const struct cn_layer *layer,
                                   bool on_bytes) {
    if (layer->input_count != 1)
        return NULL;
    const size_t root = draft->roots[layer->inputs[0].value];
    const size_t made_by = on_bytes ? draft->byte_steps[root] : draft->steps[root];
    if (!is_step(made_by) || draft->users[root] != 1)
        return NULL;
    struct cn_step *step = &draft->plan->steps[made_by];
    return cn_shape_equal(&layer->inputs[0].shape, &step->layer.output_shape) ? step : NULL;
}

static bool is_linear(struct cn_step *step) {
    enum cn_activation *(*activation)(struct cn_layer *) = step->layer.type->activation;
    return activation != NULL && *activation(&step->layer) == CN_ACTIVATION_LINEAR;
}

/* Makes a following Activation part of the step. */
static bool fuse_activation(struct cn_step *previous, struct cn_layer layer) {
    if (!layer.type->activation_only || !is_linear(previous))
        return false;
    *previous->layer.type->activation(&previous->layer) = *layer.type->activation(&layer);
    if (previous->inference->prepare != NULL)
        previous->inference->prepare(previous);
    return true;
}

/* A following clip from 0 on becomes ReLU with a ceiling. */
static bool fuse_ceiling(struct cn_step *previous, const struct cn_layer *layer) {
    const float ceiling =
        layer->type->inference->ceiling != NULL ? layer->type->inference->ceiling(layer) : 0;
    if (ceiling <= 0 || !previous->inference->takes_ceiling || !is_linear(previous))
        return false;
    *previous->layer.type->activation(&previous->layer) = CN_ACTIVATION_RELU;
    previous->ceiling = ceiling;
    previous->inference->prepare(previous);
    return true;
}

/* Makes following maxima part of the step, which then computes them while its outputs are in
 * registers. */
static bool fuse_maxima(struct cn_step *previous, const struct cn_layer *layer) {
    const struct cn_layer_inference *inference = previous->inference;
    if (layer->type->inference->maxima == NULL || inference->absorb_maxima == NULL)
        return false;
    const struct cn_pooling pooling = layer->type->inference->maxima(layer);
    if (!inference->absorb_maxima(previous, &pooling))
        return false;
    previous->layer.output_shape = layer->output_shape;
    return true;
}

/* Multiplies a following scale and shift of each channel into the weights, unless maxima are
 * between: a negative scale would turn them into minima. */
static enum cn_status fold(struct cn_plan *plan, struct cn_step *previous,
                           const struct cn_layer *layer, const float *parameters, bool *ret_folded,
                           struct cn_error *error) {
    const struct cn_layer_inference *inference = previous->inference;
    if (layer->type->inference->scale_shift == NULL || inference->fold == NULL ||
        previous->pooled || !is_linear(previous) || step_reads_bytes(previous))
        return CN_OK;
    const size_t channels = (size_t)cn_shape_channels(&layer->input_shape);
    float *scale = cn_floats_allocate(2 * channels);
    if (scale == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu floats", 2 * channels);
    *ret_folded = layer->type->inference->scale_shift(layer, parameters, scale, scale + channels);
    if (*ret_folded)
        inference->fold(&previous->layer, plan->packed + (previous->packed - plan->packed), scale,
                        scale + channels);
    free(scale);
    return CN_OK;
}

/* The next step, of `layer`, with inputs of its own. */
static enum cn_status append_step(struct draft *draft, const struct cn_layer *layer,
                                  struct cn_step step, struct cn_error *error) {
    struct cn_step *to = &draft->plan->steps[draft->plan->step_count];
    *to = step;
    to->layer.inputs = calloc(layer->input_count + 1, sizeof *to->layer.inputs);
    if (to->layer.inputs == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a step");
    if (layer->input_count > 0)
        memcpy(to->layer.inputs, layer->inputs, layer->input_count * sizeof *layer->inputs);
    draft->plan->step_count++;
    draft->packed += asked(step.inference->packed_size, layer);
    return CN_OK;
}

/* Adds a step that converts a root from bytes to floats, or from floats to bytes. */
static enum cn_status convert(struct draft *draft, size_t root, bool to_bytes,
                              struct cn_error *error) {
    const struct cn_byte_range range = range_of(draft, root);
    struct cn_input input = {root, *cn_network_value_shape(draft->network, root)};
    struct cn_layer layer = {.type = to_bytes ? &cn_quantize_type : &cn_dequantize_type,
                             .input_count = 1,
                             .inputs = &input,
                             .input_shape = input.shape,
                             .output_shape = input.shape};
    size_t *made_by = to_bytes ? &draft->byte_steps[root] : &draft->steps[root];
    struct cn_step_bytes bytes = {.out = range};
    if (*made_by != ABSENT)
        return CN_OK;
    if (!to_bytes)
        bytes = (struct cn_step_bytes){.in = {range}};
    memcpy(layer.name, layer.type->class_name, strlen(layer.type->class_name) + 1);
    *made_by = draft->plan->step_count;
    return append_step(draft, &layer, cn_step_of_bytes(&layer, NULL, bytes), error);
}

static enum cn_status add_step(struct draft *draft, size_t l, struct cn_error *error) {
    const struct cn_network *network = draft->network;
    const struct cn_layer *layer = &network->layers[l];
    const size_t value = network->input_count + l;
    const float *parameters = network->parameters + layer->parameter_offset;
    struct cn_step_bytes bytes = {.out = {0, 0}};
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < layer->input_count && status == CN_OK; i++)
        status = convert(draft, draft->roots[layer->inputs[i].value], draft->on_bytes[l], error);
    if (status != CN_OK)
        return status;
    float *packed = draft->plan->packed + draft->packed;
    if (!draft->on_bytes[l]) {
        if (layer->type->inference->pack != NULL)
            layer->type->inference->pack(layer, parameters, packed);
        draft->steps[value] = draft->plan->step_count;
        return append_step(draft, layer, cn_step_of(layer, packed), error);
    }
    for (size_t i = 0; i < layer->input_count && i < 2; i++)
        bytes.in[i] = range_of(draft, draft->roots[layer->inputs[i].value]);
    if (!draft->to_floats[l])
        bytes.out = range_of(draft, value);
    const struct cn_step step = cn_step_of_bytes(layer, packed, bytes);
    if (step.inference->pack_bytes != NULL)
        step.inference->pack_bytes(&step, parameters, cn_quantization_scales(network, l), packed);
    *(bytes.out.scale > 0 ? &draft->byte_steps[value] : &draft->steps[value]) =
        draft->plan->step_count;
    return append_step(draft, layer, step, error);
}

/* Removes the step `before`, the only source of the last step, if it only puts zeros around a
 * picture: the last step, which computes `value`, then reads the picture itself. */
static void absorb_border(struct draft *draft, size_t value, size_t before) {
    struct cn_plan *plan = draft->plan;
    struct cn_step *to = &plan->steps[before], *last = &plan->steps[plan->step_count - 1];
    if (to->layer.type->inference->border == NULL || !last->inference->takes_border)
        return;
    struct cn_step joined = *last;
    joined.border = to->layer.type->inference->border(&to->layer);
    const struct cn_border *b = &joined.border;
    if (b->top < 0 || b->bottom < 0 || b->left < 0 || b->right < 0)
        return;
    joined.layer.inputs[0] = to->layer.inputs[0];
    joined.inference->prepare(&joined);
    free(to->layer.inputs);
    *to = joined;
    *last = (struct cn_step){0};
    plan->step_count--;
    *(step_reads_bytes(&joined) && joined.bytes.out.scale > 0 ? &draft->byte_steps[value]
                                                              : &draft->steps[value]) = before;
}

static enum cn_status add_layer(struct draft *draft, size_t l, struct cn_error *error) {
    const struct cn_layer *layer = &draft->network->layers[l];
    const size_t value = draft->network->input_count + l;
    struct cn_step *previous = only_source(draft, layer, draft->on_bytes[l]);
    bool folded = false;
    if (draft->roots[value] != value)
        return CN_OK;
    if (previous != NULL && draft->on_bytes[l]) {
        folded = fuse_maxima(previous, layer);
    } else if (previous != NULL) {
        if (fuse_activation(previous, *layer) || fuse_ceiling(previous, layer) ||
            fuse_maxima(previous, layer)) {
            folded = true;
        } else {
            const float *parameters = draft->network->parameters + layer->parameter_offset;
            const enum cn_status status =
                fold(draft->plan, previous, layer, parameters, &folded, error);
            if (status != CN_OK)
                return status;
        }
    }
    if (!folded) {
        const enum cn_status status = add_step(draft, l, error);
        if (status == CN_OK && previous != NULL)
            absorb_border(draft, value, (size_t)(previous - draft->plan->steps));
        return status;
    }
    /* The step now computes this layer's value. */
    size_t *steps = draft->on_bytes[l] ? draft->byte_steps : draft->steps;
    steps[value] = steps[draft->roots[layer->inputs[0].value]];
    return CN_OK;
}

/* Adds a step that converts an output to floats for the caller. */
static enum cn_status convert_outputs(struct draft *draft, struct cn_error *error) {
    enum cn_status status = CN_OK;
    for (size_t k = 0; k < draft->network->output_count && status == CN_OK; k++)
        status = convert(draft, draft->roots[draft->network->outputs[k].value], false, error);
    return status;
}

/* Divides the inputs of the final softmax by the network's temperature. */
static enum cn_status fold_temperature(struct draft *draft, struct cn_error *error) {
    const struct cn_network *network = draft->network;
    struct cn_plan *plan = draft->plan;
    if (network->temperature == 1)
        return CN_OK;
    const size_t made_by = draft->steps[draft->roots[network->outputs[0].value]];
    const struct cn_step *last = is_step(made_by) ? &plan->steps[made_by] : NULL;
    if (last == NULL || last->inference->fold == NULL || !cn_layer_gives_softmax(&last->layer) ||
        cn_network_output_kind(network, 0) != CN_OUTPUT_SOFTMAX)
        return cn_fail(error, CN_UNSUPPORTED,
                       "a temperature of %g needs a network that ends with weights and softmax",
                       (double)network->temperature);
    const size_t outputs = (size_t)cn_shape_channels(&last->layer.output_shape);
    float *scale = cn_floats_allocate(2 * outputs); /* the shift is zero */
    if (scale == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu floats", 2 * outputs);
    for (size_t i = 0; i < outputs; i++)
        scale[i] = 1 / network->temperature;
    last->inference->fold(&last->layer, plan->packed + (last->packed - plan->packed), scale,
                          scale + outputs);
    free(scale);
    return CN_OK;
}

/* ---- Bands ---- */

/* True if step `s` alone reads what the step before it makes, and both are computed in bands. */
static bool joins_bands(const struct draft *draft, size_t s) {
    const struct cn_step *step = &draft->plan->steps[s];
    return step->by_rows && only_source(draft, &step->layer, false) == step - 1 &&
           cn_bands_join(step - 1, step);
}

static void join_bands(const struct draft *draft) {
    struct cn_plan *plan = draft->plan;
    for (size_t s = 0, count = 0; s < plan->step_count; s += count) {
        for (count = 1; count < CN_BANDS_MOST && s + count < plan->step_count &&
                        joins_bands(draft, s + count);)
            count++;
        if (count > 1)
            plan->bands[s] = cn_bands_of(&plan->steps[s], count);
    }
}

/* ---- Placing the values ---- */

/* A block's activations fit into the second-level cache; small layers get several images at a time,
 * so that their weights are loaded once for these. */
enum { BLOCK_FLOATS = 1 << 15, BLOCK_MOST = 16 };

/* Floats of room for what a step writes of `count` images. */
static size_t written_floats(const struct cn_step *step, size_t count) {
    const size_t numbers = cn_shape_size(&step->layer.output_shape) * count;
    return cn_floats_aligned(
        step->bytes.out.scale > 0 ? (numbers + CN_BYTES_SLACK) / sizeof(float) + 1 : numbers);
}

/* The number of steps that are computed in bands with step `s`, the first of them; or 1. */
static size_t steps_together(const struct cn_plan *plan, size_t s) {
    return plan->bands[s].count > 1 ? plan->bands[s].count : 1;
}

static size_t step_scratch(const struct cn_step *step) {
    size_t (*size)(const struct cn_step *) = step->inference->scratch_size;
    return size != NULL ? cn_floats_aligned(size(step)) : 0;
}

static size_t larger_of(size_t a, size_t b) {
    return a > b ? a : b;
}

/* True if step `s` is computed in bands with the step before it. */
static bool in_bands(const struct cn_plan *plan, size_t s) {
    for (size_t first = s; first-- > 0;)
        if (plan->bands[first].count > s - first)
            return true;
    return false;
}

/* The number of images whose values, of at most `largest` floats each, have together this size. */
static size_t block_of(size_t largest, size_t floats) {
    const size_t fits = floats / largest;
    return fits < 1 ? 1 : fits < BLOCK_MOST ? fits : BLOCK_MOST;
}

static void measure(struct cn_plan *plan) {
    size_t largest = 1;
    for (size_t s = 0, count; s < plan->step_count; s += count) {
        size_t scratch = 0;
        count = steps_together(plan, s);
        for (size_t i = s; i < s + count; i++) {
            plan->macs += cn_layer_macs(&plan->steps[i].layer);
            plan->most_inputs = larger_of(plan->most_inputs, plan->steps[i].layer.input_count);
            scratch = larger_of(scratch, step_scratch(&plan->steps[i]));
        }
        if (count > 1)
            scratch = cn_bands_scratch_size(&plan->bands[s], scratch);
        plan->scratch_size = larger_of(plan->scratch_size, scratch);
        largest = larger_of(largest, written_floats(&plan->steps[s + count - 1], 1));
    }
    /* With several inputs or outputs the images are not adjacent in the caller's rows. */
    const bool apart = plan->input_count > 1 || plan->output_count > 1;
    plan->block = apart ? 1 : block_of(largest, BLOCK_FLOATS);
    plan->head_block = plan->block;
}

/* The step whose value is the only one that the steps from `head` on read of those before; or
 * ABSENT. */
static size_t only_crossing(const struct draft *draft, size_t head) {
    size_t crossing = ABSENT;
    for (size_t s = head; s < draft->plan->step_count; s++)
        for (size_t i = 0; i < draft->plan->steps[s].layer.input_count; i++) {
            const size_t made_by = source_of(draft, &draft->plan->steps[s], i);
            if (made_by == INPUT || (made_by < head && crossing != ABSENT && made_by != crossing))
                return ABSENT;
            if (made_by < head)
                crossing = made_by;
        }
    return crossing;
}

/* Lets more images pass together through the last steps, where values are small and weights, which
 * each block reads once, are large. Chooses the head with which the fewest weights are read. */
static void choose_head(const struct draft *draft) {
    enum { TAIL_FLOATS = 1 << 18, MANY_WEIGHTS = 1 << 17 };
    struct cn_plan *plan = draft->plan;
    const size_t before = plan->block;
    const bool apart = plan->input_count > 1 || plan->output_count > 1;
    size_t largest = 1, weights = 0, best_spared = MANY_WEIGHTS;
    for (size_t s = plan->step_count; s > 1 && !apart && draft->network->quantization == NULL;) {
        const struct cn_step *step = &plan->steps[--s];
        const size_t crossing = only_crossing(draft, s);
        largest = larger_of(largest, written_floats(step, 1));
        weights += asked(step->inference->packed_size, &step->layer);
        if (crossing == ABSENT || in_bands(plan, s))
            continue;
        const size_t most = larger_of(largest, written_floats(&plan->steps[crossing], 1));
        const size_t block = block_of(most, TAIL_FLOATS);
        const size_t spared = block > before ? weights / before - weights / block : 0;
        if (spared <= best_spared)
            continue;
        best_spared = spared;
        plan->block = block;
        plan->head = s;
    }
    for (size_t s = 0; s < plan->head; s++)
        plan->head_reads += plan->steps[s].layer.input_count;
}

/* The step's input that it may overwrite: computed by a step, read by nothing else, and of the
 * output's size. SIZE_MAX: none. */
static size_t overwritten(const struct draft *draft, const struct cn_step *step) {
    if (!step->inference->in_place || step->layer.input_count == 0 ||
        draft->network->quantization != NULL)
        return SIZE_MAX;
    const size_t root = draft->roots[step->layer.inputs[0].value];
    const bool same =
        cn_shape_size(&step->layer.input_shape) == cn_shape_size(&step->layer.output_shape);
    return same && is_step(draft->steps[root]) && draft->users[root] == 1 ? draft->steps[root]
                                                                          : SIZE_MAX;
}

/* Stores where each step reads and writes. The first output is written to the caller's array if a
 * step computes it; all other values are in the arena. buffers[s] is the step to whose span step s
 * writes. */
static void assign(const struct draft *draft, const struct cn_span *spans, const size_t *buffers) {
    struct cn_plan *plan = draft->plan;
    const struct cn_network *network = draft->network;
    const size_t first = draft->steps[draft->roots[network->outputs[0].value]];
    const size_t crossing = plan->head > 0 ? only_crossing(draft, plan->head) : ABSENT;
    struct place *read = plan->reads;
    for (size_t s = 0; s < plan->step_count; s++) {
        const struct cn_layer *layer = &plan->steps[s].layer;
        const size_t size = cn_shape_size(&layer->output_shape);
        plan->writes[s] =
            is_step(first) && buffers[s] == buffers[first]
                ? (struct place){PLACE_FIRST_OUTPUT, 0, size, false}
                : (struct place){PLACE_ARENA, spans[buffers[s]].offset, size,
                                 is_step(crossing) && buffers[s] == buffers[crossing]};
        for (size_t i = 0; i < layer->input_count; i++, read++) {
            const size_t root = draft->roots[layer->inputs[i].value];
            const size_t made_by = source_of(draft, &plan->steps[s], i);
            *read = is_step(made_by)
                        ? plan->writes[made_by]
                        : (struct place){PLACE_INPUT, root, plan->inputs[root].size, false};
        }
    }
    for (size_t k = 0; k < plan->output_count; k++) {
        const size_t root = draft->roots[network->outputs[k].value];
        plan->outputs[k].place =
            is_step(draft->steps[root])
                ? plan->writes[draft->steps[root]]
                : (struct place){PLACE_INPUT, root, plan->inputs[root].size, false};
    }
}

static enum cn_status place_values(struct draft *draft, struct cn_error *error) {
    struct cn_plan *plan = draft->plan;
    const struct cn_network *network = draft->network;
    struct cn_span *spans = calloc(plan->step_count + 1, sizeof *spans);
    size_t *buffers = calloc(plan->step_count + 1, sizeof *buffers);
    enum cn_status status = CN_MEMORY;
    if (spans == NULL || buffers == NULL)
        goto out;
    for (size_t s = 0, end = 0; s < plan->step_count; s++) {
        const struct cn_layer *layer = &plan->steps[s].layer;
        const size_t over = overwritten(draft, &plan->steps[s]);
        end = s >= end ? s + steps_together(plan, s) : end; /* of steps in bands */
        buffers[s] = over != SIZE_MAX ? buffers[over] : s;
        spans[s].size =
            over != SIZE_MAX || s + 1 < end
                ? 0
                : written_floats(&plan->steps[s], s < plan->head ? plan->head_block : plan->block);
        spans[s].first = s;
        for (size_t i = 0; i < layer->input_count; i++) {
            const size_t made_by = source_of(draft, &plan->steps[s], i);
            if (is_step(made_by))
                spans[buffers[made_by]].last = end - 1;
        }
        spans[buffers[s]].last = s;
    }
    for (size_t k = 0; k < plan->output_count; k++) {
        const size_t made_by = draft->steps[draft->roots[network->outputs[k].value]];
        if (!is_step(made_by))
            continue;
        if (k == 0)
            spans[buffers[made_by]].size = 0;
        spans[buffers[made_by]].last = plan->step_count;
    }
    if (plan->head > 0) { /* the head runs again while the value that leads out of it is kept */
        const size_t crossing = only_crossing(draft, plan->head);
        spans[buffers[crossing]].size = written_floats(&plan->steps[crossing], plan->block);
        spans[buffers[crossing]].first = 0;
    }
    plan->arena_size = cn_place(spans, plan->step_count);
    if (plan->arena_size == SIZE_MAX)
        goto out;
    assign(draft, spans, buffers);
    status = CN_OK;
out:
    free(spans);
    free(buffers);
    return status == CN_OK ? CN_OK : cn_fail(error, status, "no memory for a plan's lifetimes");
}

/* ---- The plan as a whole ---- */

/* Places ports one after another in a row; returns the row's floats. */
static size_t lay_out(struct port *ports, const struct cn_port *from, size_t count) {
    size_t row = 0;
    for (size_t i = 0; i < count; i++) {
        ports[i].size = cn_shape_size(&from[i].shape);
        ports[i].offset = row;
        row += ports[i].size;
    }
    return row;
}

static enum cn_status allocate_draft(struct draft *draft, struct cn_error *error) {
    const struct cn_network *network = draft->network;
    size_t inputs = 1;
    for (size_t l = 0; l < network->layer_count; l++)
        if (network->layers[l].input_count > inputs)
            inputs = network->layers[l].input_count;
    draft->value_count = network->input_count + network->layer_count;
    draft->roots = calloc(draft->value_count, sizeof *draft->roots);
    draft->users = calloc(draft->value_count, sizeof *draft->users);
    draft->steps = calloc(draft->value_count, sizeof *draft->steps);
    draft->byte_steps = calloc(draft->value_count, sizeof *draft->byte_steps);
    draft->on_bytes = calloc(network->layer_count + 1, sizeof *draft->on_bytes);
    draft->to_floats = calloc(network->layer_count + 1, sizeof *draft->to_floats);
    draft->ranges = calloc(inputs, sizeof *draft->ranges);
    return draft->plan != NULL && draft->roots != NULL && draft->users != NULL &&
                   draft->steps != NULL && draft->byte_steps != NULL && draft->on_bytes != NULL &&
                   draft->to_floats != NULL && draft->ranges != NULL
               ? CN_OK
               : cn_fail(error, CN_MEMORY, "no memory for a plan");
}

static void free_draft(struct draft *draft) {
    free(draft->roots);
    free(draft->users);
    free(draft->steps);
    free(draft->byte_steps);
    free(draft->on_bytes);
    free(draft->to_floats);
    free(draft->ranges);
}

static void trace_roots(struct draft *draft) {
    const struct cn_network *network = draft->network;
    for (size_t v = 0; v < draft->value_count; v++) {
        const bool input = v < network->input_count;
        draft->roots[v] = v;
        draft->steps[v] = input ? INPUT : ABSENT;
        draft->byte_steps[v] = ABSENT;
        if (input)
            continue;
        const size_t l = v - network->input_count;
        const struct cn_layer *layer = &network->layers[l];
        if (passes(draft, l)) {
            draft->roots[v] = draft->roots[layer->inputs[0].value];
            continue;
        }
        draft->on_bytes[l] = reads_bytes(draft, l, &draft->to_floats[l]);
        for (size_t i = 0; i < layer->input_count; i++)
            draft->users[draft->roots[layer->inputs[i].value]]++;
    }
    for (size_t k = 0; k < network->output_count; k++)
        draft->users[draft->roots[network->outputs[k].value]]++;
}

static enum cn_status allocate_plan(struct draft *draft, struct cn_error *error) {
    const struct cn_network *network = draft->network;
    struct cn_plan *plan = draft->plan;
    /* Each value may be made of floats and of bytes. */
    const size_t conversions = network->quantization != NULL ? draft->value_count : 0;
    size_t inputs = conversions;
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        const struct cn_layer_inference *inference = layer->type->inference;
        inputs += layer->input_count;
        if (draft->roots[network->input_count + l] == network->input_count + l)
            plan->packed_size +=
                asked((draft->on_bytes[l] ? inference->bytes : inference)->packed_size, layer);
    }
    plan->input_count = network->input_count;
    plan->output_count = network->output_count;
    plan->inputs = calloc(plan->input_count, sizeof *plan->inputs);
    plan->outputs = calloc(plan->output_count, sizeof *plan->outputs);
    plan->steps = calloc(network->layer_count + conversions, sizeof *plan->steps);
    plan->writes = calloc(network->layer_count + conversions, sizeof *plan->writes);
    plan->bands = calloc(network->layer_count + conversions, sizeof *plan->bands);
    plan->reads = calloc(inputs + 1, sizeof *plan->reads);
    plan->packed = cn_floats_allocate(plan->packed_size);
    if (plan->inputs == NULL || plan->outputs == NULL || plan->steps == NULL ||
        plan->writes == NULL || plan->bands == NULL || plan->reads == NULL || plan->packed == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a plan of %zu packed floats",
                       plan->packed_size);
    plan->input_row = lay_out(plan->inputs, network->inputs, plan->input_count);
    plan->output_row = lay_out(plan->outputs, network->outputs, plan->output_count);
    return CN_OK;
}

enum cn_status cn_plan_create(const struct cn_network *network, struct cn_plan **ret_plan,
                              struct cn_error *error) {
    struct draft draft = {.network = network, .plan = calloc(1, sizeof *draft.plan)};
    enum cn_status status = allocate_draft(&draft, error);
    if (status == CN_OK) {
        trace_roots(&draft);
        status = allocate_plan(&draft, error);
    }
    for (size_t l = 0; l < network->layer_count && status == CN_OK; l++)
        status = add_layer(&draft, l, error);
    if (status == CN_OK)
        status = convert_outputs(&draft, error);
    if (status == CN_OK)
        status = fold_temperature(&draft, error);
    if (status == CN_OK) {
        join_bands(&draft);
        measure(draft.plan);
        choose_head(&draft);
        status = place_values(&draft, error);
    }
    if (status == CN_OK)
        *ret_plan = draft.plan;
    else
        cn_plan_free(draft.plan);
    free_draft(&draft);
    return status;
}

void cn_plan_free(struct cn_plan *plan) {
    if (plan == NULL)
        return;
    for (size_t s = 0; plan->steps != NULL && s < plan->step_count; s++)
        free(plan->steps[s].layer.inputs);
    free(plan->inputs);
    free(plan->outputs);
    free(plan->steps);
    free(plan->reads);
    free(plan->writes);
    free(plan->bands);
    free(plan->packed);
    free(plan);
}

size_t cn_plan_input_size(const struct cn_plan *plan) {
    return plan->input_row;
}

size_t cn_plan_output_size(const struct cn_plan *plan) {
    return plan->outputs[0].size;
}

size_t cn_plan_output_row(const struct cn_plan *plan) {
    return plan->output_row;
}

size_t cn_plan_output_offset(const struct cn_plan *plan, size_t output) {
    return plan->outputs[output].offset;
}

size_t cn_plan_input_offset(const struct cn_plan *plan, size_t input) {
    return plan->inputs[input].offset;
}

size_t cn_plan_weight_bytes(const struct cn_plan *plan) {
    return plan->packed_size * sizeof(float);
}

static size_t workspace_floats(const struct cn_plan *plan) {
    return plan->arena_size + plan->scratch_size;
}

size_t cn_plan_workspace_bytes(const struct cn_plan *plan) {
    return sizeof(struct cn_workspace) + (workspace_floats(plan) + CN_FLOATS_LINE) * sizeof(float) +
           (plan->most_inputs + 1) * sizeof(float *);
}

bool cn_plan_step_at(const struct cn_plan *plan, size_t index, struct cn_plan_step *ret_step) {
    if (index >= plan->step_count)
        return false;
    const struct cn_step *step = &plan->steps[index];
    const struct cn_layer_inference *inference = step->inference;
    size_t read = 0;
    for (size_t i = 0; i < step->layer.input_count; i++)
        read += cn_shape_size(&step->layer.inputs[i].shape);
    *ret_step = (struct cn_plan_step){
        .name = step->layer.name,
        .class_name = step->layer.type->class_name,
        .kernel = inference->kernel != NULL ? inference->kernel(step) : "-",
        .output_shape = step->layer.output_shape,
        .macs = cn_layer_macs(&step->layer),
        .input_bytes = read * (step->bytes.in[0].scale > 0 ? 1 : sizeof(float)),
        .weight_bytes = inference->packed_size != NULL
                            ? inference->packed_size(&step->layer) * sizeof(float)
                            : 0,
        .activation_bytes = cn_shape_size(&step->layer.output_shape) *
                            (step->bytes.out.scale > 0 ? 1 : sizeof(float))};
    return true;
}

/* ---- Running ---- */

enum cn_status cn_workspace_create(const struct cn_plan *plan, struct cn_workspace **ret_workspace,
                                   struct cn_error *error) {
    struct cn_workspace *workspace = calloc(1, sizeof *workspace);
    if (workspace != NULL) {
        /* calloc need not touch the pages: a team's other threads use their scratch only. */
        workspace->memory = calloc(workspace_floats(plan) + CN_FLOATS_LINE, sizeof(float));
        workspace->block = cn_floats_line(workspace->memory);
        workspace->inputs = calloc(plan->most_inputs + 1, sizeof *workspace->inputs);
    }
    if (workspace == NULL || workspace->memory == NULL || workspace->inputs == NULL) {
        cn_workspace_free(workspace);
        return cn_fail(error, CN_MEMORY, "no memory for a workspace of %zu bytes",
                       cn_plan_workspace_bytes(plan));
    }
    workspace->scratch = workspace->block + plan->arena_size;
    *ret_workspace = workspace;
    return CN_OK;
}

void cn_workspace_free(struct cn_workspace *workspace) {
    if (workspace == NULL)
        return;
    free(workspace->memory);
    free(workspace->inputs);
    free(workspace);
}

enum cn_status cn_workspaces_create(const struct cn_plan *plan, int threads,
                                    struct cn_workspace ***ret_workspaces, struct cn_error *error) {
    struct cn_workspace **workspaces = calloc((size_t)threads, sizeof *workspaces);
    enum cn_status status = workspaces != NULL
                                ? CN_OK
                                : cn_fail(error, CN_MEMORY, "no memory for %d workspaces", threads);
    for (int i = 0; i < threads && status == CN_OK; i++)
        status = cn_workspace_create(plan, &workspaces[i], error);
    if (status == CN_OK)
        *ret_workspaces = workspaces;
    else
        cn_workspaces_free(workspaces, threads);
    return status;
}

void cn_workspaces_free(struct cn_workspace **workspaces, int threads) {
    for (int i = 0; workspaces != NULL && i < threads; i++)
        cn_workspace_free(workspaces[i]);
    free(workspaces);
}

/* The caller's arrays from the block's first image on: one array per port, or rows in which the
 * ports are adjacent; and the observer of the steps. */
struct ports {
    const float *const *inputs; /* NULL: rows */
    const float *rows;
    float *first_output;
    size_t output_stride; /* floats from one image's first output to the next one's */
    bool output_rows;     /* the other outputs follow the first one */
    size_t first;
    size_t kept; /* the number in the block of the image with which the head runs; else 0 */
    cn_plan_observer *observer; /* NULL: none */
    void *context;
};

static const float *input_at(const struct cn_plan *plan, const struct ports *ports, size_t k) {
    return ports->inputs != NULL
               ? ports->inputs[k] + ports->first * plan->inputs[k].size
               : ports->rows + ports->first * plan->input_row + plan->inputs[k].offset;
}

static float *first_output_at(const struct ports *ports) {
    return ports->first_output + ports->first * ports->output_stride;
}

static float *arena_at(const struct place *place, const struct cn_workspace *workspace,
                       const struct ports *ports) {
    return workspace->block + place->at + (place->kept ? ports->kept * place->size : 0);
}

static const float *read_at(const struct cn_plan *plan, const struct place *place,
                            const struct cn_workspace *workspace, const struct ports *ports) {
    switch (place->kind) {
    case PLACE_INPUT:
        return input_at(plan, ports, place->at);
    case PLACE_ARENA:
        return arena_at(place, workspace, ports);
    case PLACE_FIRST_OUTPUT:
        break;
    }
    return first_output_at(ports);
}

/* Runs the steps from `first` to before `end` as one of the `parts`, each with its own workspace;
 * the values are in `shared`. The parts wait for one another after each step, or after the steps of
 * bands. */
static void run_steps(const struct cn_plan *plan, struct cn_workspace *own,
                      const struct cn_workspace *shared, const struct ports *ports, size_t count,
                      size_t part, size_t parts, size_t first, size_t end) {
    const struct place *read = plan->reads + (first > 0 ? plan->head_reads : 0);
    for (size_t s = first, steps; s < end; s += steps) {
        const struct cn_step *step = &plan->steps[s];
        steps = steps_together(plan, s);
        const struct place *write = &plan->writes[s + steps - 1];
        float *y =
            write->kind == PLACE_ARENA ? arena_at(write, shared, ports) : first_output_at(ports);
        for (size_t i = 0; i < step->layer.input_count; i++)
            own->inputs[i] = read_at(plan, &read[i], shared, ports);
        read += step->layer.input_count + steps - 1; /* the others have one input */
        if (steps > 1)
            cn_bands_infer(&(struct cn_bands_run){.bands = &plan->bands[s],
                                                  .steps = step,
                                                  .x = own->inputs[0],
                                                  .y = y,
                                                  .scratch = own->scratch,
                                                  .part = part,
                                                  .parts = parts,
                                                  .observer = ports->observer,
                                                  .context = ports->context,
                                                  .first_step = s},
                           count);
        else if (parts > 1 && step->inference->infer_part != NULL)
            step->inference->infer_part(step, own->inputs, count, y, own->scratch, part, parts);
        else if (part == 0)
            step->inference->infer(step, own->inputs, count, y, own->scratch);
        if (parts > 1) {
#pragma omp barrier
        }
        if (parts > 1 && steps == 1 && step->has_end) {
            if (part == 0)
                step->inference->infer_end(step, count, y, parts);
#pragma omp barrier
        }
        if (ports->observer != NULL && steps == 1)
            ports->observer(ports->context, s);
    }
}

/* Runs one of the `parts` of a block: the head some images at a time, then the other steps. */
static void run_block_part(const struct cn_plan *plan, struct cn_workspace *own,
                           const struct cn_workspace *shared, const struct ports *ports,
                           size_t count, size_t part, size_t parts) {
    struct ports some = *ports;
    for (size_t i = 0; i < count && plan->head > 0; i += plan->head_block) {
        const size_t left = count - i;
        some.first = ports->first + i;
        some.kept = i;
        run_steps(plan, own, shared, &some, left < plan->head_block ? left : plan->head_block, part,
                  parts, 0, plan->head);
    }
    run_steps(plan, own, shared, ports, count, part, parts, plan->head, plan->step_count);
}

static void run_block(const struct cn_plan *plan, struct cn_workspace *workspace,
                      const struct ports *ports, size_t count) {
    run_block_part(plan, workspace, workspace, ports, count, 0, 1);
}

/* Copies outputs that no step wrote to the caller's array, at `output` for this block. */
static void copy_output(const struct cn_plan *plan, const struct cn_workspace *workspace,
                        const struct ports *ports, size_t k, size_t count, float *output) {
    const struct port *port = &plan->outputs[k];
    if (k > 0 || port->place.kind != PLACE_FIRST_OUTPUT)
        memcpy(output, read_at(plan, &port->place, workspace, ports),
               count * port->size * sizeof *output);
}

static void copy_outputs(const struct cn_plan *plan, const struct cn_workspace *workspace,
                         const struct ports *ports, size_t count) {
    for (size_t k = 0; k < (ports->output_rows ? plan->output_count : 1); k++)
        copy_output(plan, workspace, ports, k, count,
                    first_output_at(ports) + plan->outputs[k].offset);
}

void cn_plan_run_ports(const struct cn_plan *plan, struct cn_workspace *workspace,
                       const float *const *inputs, size_t count, float *const *outputs) {
    struct ports ports = {
        .inputs = inputs, .first_output = outputs[0], .output_stride = plan->outputs[0].size};
    for (; ports.first < count; ports.first += plan->block) {
        const size_t left = count - ports.first, size = left < plan->block ? left : plan->block;
        run_block(plan, workspace, &ports, size);
        for (size_t k = 0; k < plan->output_count; k++)
            if (outputs[k] != NULL)
                copy_output(plan, workspace, &ports, k, size,
                            outputs[k] + ports.first * plan->outputs[k].size);
    }
}

static void run_serially(const struct cn_plan *plan, struct cn_workspace *workspace,
                         struct ports ports, size_t count) {
    for (const size_t end = ports.first + count; ports.first < end; ports.first += plan->block) {
        const size_t left = end - ports.first, size = left < plan->block ? left : plan->block;
        run_block(plan, workspace, &ports, size);
        copy_outputs(plan, workspace, &ports, size);
    }
}

void cn_plan_run(const struct cn_plan *plan, struct cn_workspace *workspace, const float *images,
                 size_t count, float *outputs) {
    cn_plan_run_observed(plan, workspace, images, count, outputs, NULL, NULL);
}

void cn_plan_run_observed(const struct cn_plan *plan, struct cn_workspace *workspace,
                          const float *images, size_t count, float *outputs,
                          cn_plan_observer *observer, void *context) {
    const struct ports ports = {.rows = images,
                                .first_output = outputs,
                                .output_stride = plan->outputs[0].size,
                                .observer = observer,
                                .context = context};
    run_serially(plan, workspace, ports, count);
}

static size_t divide_up(size_t count, size_t by) {
    return (count + by - 1) / by;
}

/* The number of images per piece of work: whole blocks, or an even part of a thread's share. */
static size_t piece_size(const struct cn_plan *plan, size_t count, size_t threads) {
    enum { PIECES = 8 }; /* a thread */
    const size_t share = divide_up(count, threads);
    const size_t size = divide_up(divide_up(share, PIECES), plan->block) * plan->block;
    return divide_up(share, divide_up(share, size));
}

/* True if a team works on an image faster than one thread does: waiting at the end of each step
 * takes about 10 us where threads sleep. A weight takes as long as 12 multiply-adds to read. */
static bool pays_to_share(const struct cn_plan *plan) {
    enum { SHARED_MACS = 1 << 23, WEIGHT_MACS = 12 };
    return plan->macs + WEIGHT_MACS * (unsigned long long)plan->packed_size >= SHARED_MACS;
}

/* With fewer than two images per thread the team works on each image together. */
static void run_together(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                         int threads, struct ports ports, size_t count) {
    (void)threads; /* without OpenMP there is one */
    for (; ports.first < count; ports.first += plan->block) {
        const size_t left = count - ports.first, size = left < plan->block ? left : plan->block;
#pragma omp parallel num_threads(threads)
        {
            const size_t part = (size_t)omp_get_thread_num();
            run_block_part(plan, workspaces[part], workspaces[0], &ports, size, part,
                           (size_t)omp_get_num_threads());
        }
        copy_outputs(plan, workspaces[0], &ports, size);
    }
}

static void run_parallel(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                         int threads, const struct ports *ports, size_t count) {
    if (threads >= 2 && count < 2 * (size_t)threads && pays_to_share(plan)) {
        run_together(plan, workspaces, threads, *ports, count);
        return;
    }
    if (threads < 2 || count < 2 * (size_t)threads) {
        run_serially(plan, workspaces[0], *ports, count);
        return;
    }
    const size_t size = piece_size(plan, count, (size_t)threads);
    /* Pieces are assigned dynamically: a thread whose processor has other work gets fewer. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t first = 0; first < count; first += size) {
        struct ports piece = *ports;
        piece.first = first;
        run_serially(plan, workspaces[omp_get_thread_num()], piece,
                     first + size < count ? size : count - first);
    }
}

void cn_plan_run_parallel(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                          int threads, const float *images, size_t count, float *outputs) {
    const struct ports ports = {
        .rows = images, .first_output = outputs, .output_stride = plan->outputs[0].size};
    run_parallel(plan, workspaces, threads, &ports, count);
}

void cn_plan_run_rows(const struct cn_plan *plan, struct cn_workspace *const *workspaces,
                      int threads, const float *images, size_t count, float *outputs) {
    const struct ports ports = {.rows = images,
                                .first_output = outputs,
                                .output_stride = plan->output_row,
                                .output_rows = true};
    run_parallel(plan, workspaces, threads, &ports, count);
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
