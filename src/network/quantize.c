/* quantize.c: makes a quantized network from one of floats: folds scales of channels into kernels,
 * measures the range of each value on samples, chooses ranges for the bytes, rounds the kernels.
 * Serial; no state. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/network.h"
#include "convnet/quantization.h"
#include "convnet/trace.h"
#include "layers/layer_type.h"

/* ---- Folding ---- */

/* The state while the folded copy is made. */
struct folding {
    const struct cn_network *from;
    struct cn_network *to;
    size_t *users;  /* [values of from] */
    size_t *values; /* [values of from]: in `to` */
    size_t *layers; /* [layers of from]: in `to`; SIZE_MAX: folded into another */
    bool *biased;   /* [layers of from]: a bias is added */
};

/* The layer of `from` into whose kernel layer `l` can be folded; SIZE_MAX: none. */
static size_t folded_into(const struct folding *folding, size_t l) {
    const struct cn_network *from = folding->from;
    const struct cn_layer *layer = &from->layers[l];
    const struct cn_layer_inference *inference = layer->type->inference;
    if (inference == NULL || inference->scale_shift == NULL || layer->input_count != 1 ||
        layer->inputs[0].value < from->input_count || folding->users[layer->inputs[0].value] != 1)
        return SIZE_MAX;
    const size_t into = layer->inputs[0].value - from->input_count;
    struct cn_layer source = from->layers[into];
    if (!cn_layer_has_scales(&source) ||
        *source.type->activation(&source) != CN_ACTIVATION_LINEAR ||
        !cn_shape_equal(&source.output_shape, &layer->output_shape))
        return SIZE_MAX;
    for (size_t i = 0; i < from->layer_count; i++)
        if (from->layers[i].shares == into + 1)
            return SIZE_MAX;
    return into;
}

static void set_bias(struct cn_layer *layer) {
    for (size_t i = 0; i < layer->type->field_count; i++)
        if (strcmp(layer->type->fields[i].name, "use_bias") == 0)
            *(bool *)(layer->config + layer->type->fields[i].offset) = true;
}

/* Adds layer `l` to the copy, or notes what it is folded into. */
static enum cn_status fold_layer(struct folding *folding, size_t l, size_t *inputs,
                                 struct cn_error *error) {
    const struct cn_network *from = folding->from;
    struct cn_layer layer = from->layers[l];
    const size_t into = folded_into(folding, l);
    if (into != SIZE_MAX) {
        folding->values[from->input_count + l] = folding->values[layer.inputs[0].value];
        folding->layers[l] = SIZE_MAX;
        return CN_OK;
    }
    for (size_t i = 0; i < layer.input_count; i++)
        inputs[i] = folding->values[layer.inputs[i].value];
    if (folding->biased[l])
        set_bias(&layer);
    const struct cn_layer_call call = {
        .type = layer.shares > 0 ? NULL : layer.type,
        .name = layer.name,
        .config = layer.config,
        .input_count = layer.input_count,
        .inputs = inputs,
        .frozen = layer.frozen,
        .shares = layer.shares > 0 ? folding->layers[layer.shares - 1] + 1 : 0};
    folding->layers[l] = folding->to->layer_count;
    return cn_network_add_call(folding->to, &call, &folding->values[from->input_count + l], error);
}

static enum cn_status fold_graph(struct folding *folding, struct cn_error *error) {
    const struct cn_network *from = folding->from;
    size_t *inputs = calloc(CN_LAYER_MAX_INPUTS, sizeof *inputs);
    size_t *outputs = calloc(from->output_count, sizeof *outputs);
    const char **names = calloc(from->output_count, sizeof *names);
    enum cn_status status = inputs != NULL && outputs != NULL && names != NULL
                                ? CN_OK
                                : cn_fail(error, CN_MEMORY, "no memory for a network");
    for (size_t l = 0; l < from->layer_count && status == CN_OK; l++) {
        const size_t into = folded_into(folding, l);
        if (into != SIZE_MAX)
            folding->biased[into] = true;
    }
    for (size_t l = 0; l < from->layer_count && status == CN_OK; l++)
        status = fold_layer(folding, l, inputs, error);
    for (size_t k = 0; k < from->output_count && status == CN_OK; k++) {
        outputs[k] = folding->values[from->outputs[k].value];
        names[k] = from->outputs[k].name;
    }
    if (status == CN_OK)
        status = cn_network_set_outputs(folding->to, from->output_count, outputs, names, error);
    if (status == CN_OK)
        status = cn_network_build(folding->to, error);
    free(inputs);
    free(outputs);
    free(names);
    return status;
}

static const struct cn_layer *layer_at(const struct cn_network *network, size_t l) {
    return &network->layers[l];
}

/* Copies each layer's weights, multiplied and shifted by the layers that are folded into it. */
static enum cn_status fold_weights(const struct folding *folding, struct cn_error *error) {
    const struct cn_network *from = folding->from, *to = folding->to;
    for (size_t l = 0; l < from->layer_count; l++) {
        const struct cn_layer *layer = layer_at(from, l);
        if (layer->shares > 0)
            continue;
        const float *parameters = from->parameters + layer->parameter_offset;
        if (folding->layers[l] != SIZE_MAX) {
            memcpy(to->parameters + layer_at(to, folding->layers[l])->parameter_offset, parameters,
                   layer->parameter_count * sizeof *parameters);
            continue;
        }
        const size_t into = folding->values[from->input_count + l] - to->input_count;
        const struct cn_layer *target = layer_at(to, into);
        const size_t channels = (size_t)cn_shape_channels(&target->output_shape);
        float *kernel = to->parameters + target->parameter_offset;
        float *bias = kernel + target->parameter_count - channels;
        float *scale = cn_floats_allocate(2 * channels);
        if (scale == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for %zu floats", 2 * channels);
        if (!layer->type->inference->scale_shift(layer, parameters, scale, scale + channels)) {
            free(scale);
            return cn_fail(error, CN_UNSUPPORTED,
                           "layer \"%s\" is not a scale and shift of channels", layer->name);
        }
        for (size_t i = 0; kernel + i < bias; i++)
            kernel[i] *= scale[i % channels];
        for (size_t c = 0; c < channels; c++)
            bias[c] = bias[c] * scale[c] + scale[channels + c];
        free(scale);
    }
    return CN_OK;
}

/* An empty network with the inputs of `from`. */
static enum cn_status copy_inputs(const struct cn_network *from, struct cn_network **ret_to,
                                  struct cn_error *error) {
    struct cn_network *to = NULL;
    enum cn_status status = cn_network_create(&from->inputs[0].shape, &to, error);
    if (status == CN_OK)
        status = cn_network_name_input(to, 0, from->inputs[0].name, error);
    for (size_t i = 1; i < from->input_count && status == CN_OK; i++)
        status = cn_network_add_input(to, from->inputs[i].name, &from->inputs[i].shape, error);
    if (status != CN_OK) {
        cn_network_free(to);
        return status;
    }
    memcpy(to->name, from->name, sizeof to->name);
    to->temperature = from->temperature;
    *ret_to = to;
    return CN_OK;
}

static void count_users(const struct cn_network *network, size_t *users) {
    for (size_t l = 0; l < network->layer_count; l++)
        for (size_t i = 0; i < network->layers[l].input_count; i++)
            users[network->layers[l].inputs[i].value]++;
    for (size_t k = 0; k < network->output_count; k++)
        users[network->outputs[k].value]++;
}

static enum cn_status fold_network(const struct cn_network *from, struct cn_network **ret_to,
                                   struct cn_error *error) {
    const size_t values = from->input_count + from->layer_count;
    struct folding folding = {.from = from,
                              .users = calloc(values, sizeof(size_t)),
                              .values = calloc(values, sizeof(size_t)),
                              .layers = calloc(from->layer_count + 1, sizeof(size_t)),
                              .biased = calloc(from->layer_count + 1, sizeof(bool))};
    enum cn_status status = folding.users != NULL && folding.values != NULL &&
                                    folding.layers != NULL && folding.biased != NULL
                                ? copy_inputs(from, &folding.to, error)
                                : cn_fail(error, CN_MEMORY, "no memory for a network");
    if (status == CN_OK) {
        count_users(from, folding.users);
        for (size_t i = 0; i < from->input_count; i++)
            folding.values[i] = i;
        status = fold_graph(&folding, error);
    }
    if (status == CN_OK)
        status = fold_weights(&folding, error);
    if (status == CN_OK)
        *ret_to = folding.to;
    else
        cn_network_free(folding.to);
    free(folding.users);
    free(folding.values);
    free(folding.layers);
    free(folding.biased);
    return status;
}

/* ---- Measuring ---- */

enum { BINS = 2048 };

/* The range of a value over the samples. */
struct extent {
    float least, most;
    uint32_t *bins; /* [BINS] between them; NULL: not counted */
};

/* The network and what is known of its values. */
struct measuring {
    struct cn_network *network;
    size_t values;
    struct extent *extents;     /* [values] */
    size_t *users;              /* [values] */
    bool *bytes_needed;         /* [values]: a layer would read its bytes */
    struct cn_byte_range *ones; /* [CN_LAYER_MAX_INPUTS]: {1, 0} */
    size_t *groups;             /* [values]: the first value of those that must be of one range */
};

static const float *value_at(const struct measuring *m, const struct cn_trace *trace,
                             const float *image, size_t value) {
    return value < m->network->input_count
               ? image
               : cn_trace_output(trace, value - m->network->input_count);
}

static void extend(struct extent *extent, const float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        extent->least = numbers[i] < extent->least ? numbers[i] : extent->least;
        extent->most = numbers[i] > extent->most ? numbers[i] : extent->most;
    }
}

static void count_bins(struct extent *extent, const float *numbers, size_t count) {
    const float width = (extent->most - extent->least) / BINS;
    for (size_t i = 0; i < count && width > 0; i++) {
        const float at = (numbers[i] - extent->least) / width;
        extent->bins[at >= BINS ? BINS - 1 : at > 0 ? (int)at : 0]++; /* NaN: the first */
    }
}

/* Runs the samples, to find the extents of the values, or to count bins within the extents. */
static enum cn_status measure_samples(struct measuring *m, const float *images, size_t count,
                                      bool bins, struct cn_error *error) {
    struct cn_trace *trace = NULL;
    const size_t size = cn_shape_size(&m->network->input_shape);
    const enum cn_status status =
        cn_trace_create(m->network, CN_TRACE_ALL, SIZE_MAX / 64, &trace, error);
    if (status != CN_OK)
        return status;
    for (size_t n = 0; n < count; n++) {
        cn_trace_run(trace, images + n * size);
        for (size_t v = 0; v < m->values; v++)
            (bins ? count_bins : extend)(&m->extents[v], value_at(m, trace, images + n * size, v),
                                         cn_shape_size(cn_network_value_shape(m->network, v)));
    }
    cn_trace_free(trace);
    return CN_OK;
}

/* Moves both ends inwards until `clip` of the numbers lie outside, at most half of that on a side.
 */
static void clip_extent(struct extent *extent, double clip) {
    double all = 0, cut = 0;
    const float width = (extent->most - extent->least) / BINS;
    for (int i = 0; i < BINS; i++)
        all += extent->bins[i];
    int low = 0, high = BINS;
    for (; low < BINS && cut + extent->bins[low] <= all * clip / 2; low++)
        cut += extent->bins[low];
    for (cut = 0; high > low + 1 && cut + extent->bins[high - 1] <= all * clip / 2; high--)
        cut += extent->bins[high - 1];
    extent->most = extent->least + width * (float)high;
    extent->least += width * (float)low;
}

static enum cn_status measure(struct measuring *m, const float *images, size_t count, double clip,
                              struct cn_error *error) {
    enum cn_status status = measure_samples(m, images, count, false, error);
    if (status != CN_OK)
        return status;
    for (size_t v = 0; v < m->values; v++)
        if (!isfinite(m->extents[v].most - m->extents[v].least))
            return cn_fail(error, CN_INVALID,
                           "a value of the network is %g to %g on the samples; a network with "
                           "infinite values is not quantized",
                           (double)m->extents[v].least, (double)m->extents[v].most);
    if (clip <= 0)
        return CN_OK;
    uint32_t *bins = calloc(m->values * BINS, sizeof *bins);
    if (bins == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu counts", m->values * BINS);
    for (size_t v = 0; v < m->values; v++)
        m->extents[v].bins = bins + v * BINS;
    status = measure_samples(m, images, count, true, error);
    for (size_t v = 0; v < m->values && status == CN_OK; v++)
        clip_extent(&m->extents[v], clip);
    free(bins);
    return status;
}

/* ---- Ranges ---- */

/* True if the layer's output may use its input's bytes: the layer passes them on, or clips them,
 * and nothing else reads the input. */
static bool may_pass(const struct measuring *m, const struct cn_layer *layer) {
    const struct cn_layer_inference *inference = layer->type->inference;
    if (inference == NULL)
        return true;
    const size_t input = layer->inputs[0].value;
    const float most =
        m->extents[m->network->input_count + (size_t)(layer - m->network->layers)].most;
    /* For numbers from 0 on, which activations and clips need. */
    return inference->passes_bytes != NULL && layer->input_count == 1 && m->users[input] == 1 &&
           inference->passes_bytes(layer, (struct cn_byte_range){most / 255, 0});
}

/* The layer's functions that compute bytes from bytes; NULL: it has none. */
static const struct cn_layer_inference *bytes_of(const struct measuring *m,
                                                 const struct cn_layer *layer) {
    const struct cn_layer_inference *bytes =
        layer->type->inference != NULL ? layer->type->inference->bytes : NULL;
    return bytes != NULL && layer->input_count > 0 && bytes->takes(layer, m->ones, m->ones[0])
               ? bytes
               : NULL;
}

/* A value's bytes are needed by a layer with a kernel, or by one between such layers. */
static void find_bytes_needed(struct measuring *m) {
    for (size_t l = m->network->layer_count; l-- > 0;) {
        const struct cn_layer *layer = &m->network->layers[l];
        const struct cn_layer_inference *bytes = bytes_of(m, layer);
        const bool out = m->bytes_needed[m->network->input_count + l];
        const bool has_kernel = cn_layer_has_scales(layer);
        const bool between =
            out && (may_pass(m, layer) || (bytes != NULL && bytes->pack_bytes == NULL));
        for (size_t i = 0; i < layer->input_count && (has_kernel || between); i++)
            m->bytes_needed[layer->inputs[i].value] = true;
    }
}

static size_t group_of(const struct measuring *m, size_t value) {
    while (m->groups[value] != value)
        value = m->groups[value];
    return value;
}

static void unite(struct measuring *m, size_t a, size_t b) {
    a = group_of(m, a), b = group_of(m, b);
    m->groups[a > b ? a : b] = a < b ? a : b;
}

/* Groups values that must, or should, have the same range. Numbers that an activation cuts off are
 * then not counted, since the layer before it cuts them off by itself. */
static void find_groups(struct measuring *m) {
    for (size_t v = 0; v < m->values; v++)
        m->groups[v] = v;
    for (size_t l = 0; l < m->network->layer_count; l++) {
        const struct cn_layer *layer = &m->network->layers[l];
        const struct cn_layer_inference *bytes = bytes_of(m, layer);
        const size_t out = m->network->input_count + l;
        const bool passes = may_pass(m, layer);
        for (size_t i = 0; i < layer->input_count; i++) {
            const size_t in = layer->inputs[i].value;
            if (!m->bytes_needed[out] || !(passes || (bytes != NULL && bytes->one_range)))
                continue;
            if (passes && layer->type->inference != NULL)
                m->extents[in] = m->extents[out];
            unite(m, in, out);
        }
    }
}

static void choose_ranges(struct measuring *m) {
    struct cn_byte_range *ranges = m->network->quantization->ranges;
    for (size_t v = 0; v < m->values; v++) {
        struct extent *whole = &m->extents[group_of(m, v)];
        whole->least = fminf(whole->least, m->extents[v].least);
        whole->most = fmaxf(whole->most, m->extents[v].most);
    }
    for (size_t v = 0; v < m->values; v++) {
        const struct extent *whole = &m->extents[group_of(m, v)];
        const float scale = (whole->most - whole->least) / 255;
        const float zero = scale > 0 ? rintf(-whole->least / scale) : 0;
        if (m->bytes_needed[v])
            ranges[v] =
                (struct cn_byte_range){scale > 0 ? scale : 1, (int)fminf(fmaxf(zero, 0), 255)};
    }
}

/* ---- Kernels ---- */

/* The scale that makes a channel's weights as fine as they can be, and lets its bias fit in the
 * sum. */
static float channel_scale(float most, float bias, float input_scale) {
    const float fine = most / CN_QUANTIZED_WEIGHT, fits = fabsf(bias) / input_scale / (1 << 28);
    const float scale = fine > fits ? fine : fits;
    return scale > 0 ? scale : 1;
}

static void round_kernel(struct cn_network *network, size_t l) {
    struct cn_quantization *quantization = network->quantization;
    const struct cn_layer *layer = &network->layers[l];
    const size_t channels = quantization->first[l + 1] - quantization->first[l];
    const struct cn_byte_range in = quantization->ranges[layer->inputs[0].value];
    float *scales = quantization->scales + quantization->first[l];
    float *kernel = network->parameters + layer->parameter_offset;
    const bool has_bias = layer->tensor_count > 1;
    const size_t size = layer->parameter_count - (has_bias ? channels : 0);
    for (size_t i = 0; i < size; i++)
        scales[i % channels] = fmaxf(scales[i % channels], fabsf(kernel[i]));
    for (size_t c = 0; c < channels; c++)
        scales[c] = channel_scale(scales[c], has_bias ? kernel[size + c] : 0, in.scale);
    for (size_t i = 0; i < size; i++)
        kernel[i] = rintf(kernel[i] / scales[i % channels]) * scales[i % channels];
}

static enum cn_status round_kernels(struct cn_network *network, struct cn_error *error) {
    bool any = false;
    for (size_t l = 0; l < network->layer_count; l++)
        if (cn_layer_has_scales(&network->layers[l])) {
            round_kernel(network, l);
            any = true;
        }
    return any ? CN_OK
               : cn_fail(error, CN_UNSUPPORTED,
                         "the network has no layer that can be quantized: those are convolutions "
                         "and Dense");
}

enum cn_status cn_quantize(const struct cn_network *network, const float *images, size_t count,
                           double clip, struct cn_network **ret_network, struct cn_error *error) {
    struct measuring m = {0};
    if (network->input_count != 1 || count == 0)
        return cn_fail(error, CN_UNSUPPORTED,
                       "a network of %zu inputs and %zu samples is not quantized; it must be one "
                       "input and a sample",
                       network->input_count, count);
    enum cn_status status = fold_network(network, &m.network, error);
    if (status == CN_OK)
        status = cn_quantization_create(m.network, error);
    if (status != CN_OK)
        goto out;
    m.values = m.network->input_count + m.network->layer_count;
    m.extents = calloc(m.values, sizeof *m.extents);
    m.users = calloc(m.values, sizeof *m.users);
    m.bytes_needed = calloc(m.values, sizeof *m.bytes_needed);
    m.groups = calloc(m.values, sizeof *m.groups);
    m.ones = calloc(CN_LAYER_MAX_INPUTS, sizeof *m.ones);
    if (m.extents == NULL || m.users == NULL || m.bytes_needed == NULL || m.groups == NULL ||
        m.ones == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu values", m.values);
        goto out;
    }
    for (size_t i = 0; i < CN_LAYER_MAX_INPUTS; i++)
        m.ones[i].scale = 1;
    count_users(m.network, m.users);
    status = measure(&m, images, count, clip, error);
    if (status != CN_OK)
        goto out;
    find_bytes_needed(&m);
    find_groups(&m);
    choose_ranges(&m);
    status = round_kernels(m.network, error);
    if (status != CN_OK)
        goto out;
    *ret_network = m.network;
    m.network = NULL;
out:
    cn_network_free(m.network);
    free(m.extents);
    free(m.users);
    free(m.bytes_needed);
    free(m.groups);
    free(m.ones);
    return status;
}

/* ---- Kept ---- */

static size_t value_count(const struct cn_network *network) {
    return network->input_count + network->layer_count;
}

void cn_quantization_remove(struct cn_network *network) {
    struct cn_quantization *quantization = network->quantization;
    network->quantization = NULL;
    if (quantization == NULL)
        return;
    free(quantization->ranges);
    free(quantization->first);
    free(quantization->scales);
    free(quantization);
}

enum cn_status cn_quantization_create(struct cn_network *network, struct cn_error *error) {
    struct cn_quantization *made = calloc(1, sizeof *made);
    cn_quantization_remove(network);
    if (made == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a quantization");
    network->quantization = made;
    made->ranges = calloc(value_count(network), sizeof *made->ranges);
    made->first = calloc(network->layer_count + 1, sizeof *made->first);
    for (size_t l = 0; made->first != NULL && l < network->layer_count; l++) {
        const struct cn_layer *layer = &network->layers[l];
        const size_t scales =
            cn_layer_has_scales(layer) ? (size_t)cn_shape_channels(&layer->output_shape) : 0;
        made->first[l + 1] = made->first[l] + scales;
    }
    if (made->first != NULL)
        made->scales = calloc(made->first[network->layer_count] + 1, sizeof *made->scales);
    if (made->ranges != NULL && made->scales != NULL)
        return CN_OK;
    cn_quantization_remove(network);
    return cn_fail(error, CN_MEMORY, "no memory for a quantization");
}

enum cn_status cn_quantization_copy(const struct cn_network *from, struct cn_network *to,
                                    struct cn_error *error) {
    const struct cn_quantization *old = from->quantization;
    if (old == NULL)
        return CN_OK;
    const enum cn_status status = cn_quantization_create(to, error);
    if (status != CN_OK)
        return status;
    memcpy(to->quantization->ranges, old->ranges, value_count(from) * sizeof *old->ranges);
    memcpy(to->quantization->scales, old->scales,
           old->first[from->layer_count] * sizeof *old->scales);
    return CN_OK;
}

const float *cn_quantization_scales(const struct cn_network *network, size_t layer) {
    const struct cn_quantization *quantization = network->quantization;
    if (quantization == NULL || quantization->first[layer] == quantization->first[layer + 1] ||
        quantization->scales[quantization->first[layer]] == 0)
        return NULL;
    return quantization->scales + quantization->first[layer];
}
