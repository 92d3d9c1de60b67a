/* model_probe.c: a network's answers to fixed inputs. They are stored when a model is written and
 * compared when it is read, so that a model whose results have changed is not served. No state. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "model/model_file.h"

/* About a minute on one core; a served network takes a thousandth of that. */
static const unsigned long long max_macs = 1ull << 37;

/* The probes after the first may cost this much together, about an eighth of a second. */
static const unsigned long long more_macs = 1ull << 30;

/* Probabilities are clipped to at least this, and to at most 1 - 1e-3 where the difference from 1
 * counts: float32 has no more precision there. */
static const double least_probability = 1e-30, most_probability = 1 - 1e-3;

/* Output `index` of SplitMix64 seeded with 0, its top byte. */
static uint8_t noise_byte(uint64_t index) {
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)((z ^ (z >> 31)) >> 56);
}

/* For noise alone many networks have the same answer; so the other probes are strokes on black,
 * strokes with noise in them, and faint noise. */
static uint8_t probe_byte(size_t probe, size_t index) {
    const uint8_t noise = noise_byte(index);
    switch (probe) {
    case 1:
        return index / 4 % 7 == 3 ? 255 : 0;
    case 2:
        return index / 7 % 4 == 1 || index / 56 % 5 == 2 ? 255 - noise / 4 : 0;
    case 3:
        return noise / 8;
    default:
        return noise;
    }
}

static void fill_input(float *image, size_t size, size_t probe) {
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = probe_byte(probe, i);
        cn_image_from_bytes(&byte, 1, &image[i]);
    }
}

/* Multiply-accumulates of one image, or ULLONG_MAX if they overflow. */
static unsigned long long probe_macs(const struct cn_network *network) {
    unsigned long long macs = 0;
    for (size_t i = 0; i < network->layer_count; i++)
        if (__builtin_add_overflow(macs, cn_layer_macs(&network->layers[i]), &macs))
            return ULLONG_MAX;
    return macs;
}

size_t cn_model_probe_count(const struct cn_network *network) {
    const unsigned long long macs = probe_macs(network);
    const unsigned long long more = macs > 0 ? more_macs / macs : CN_MODEL_PROBES;
    return more < CN_MODEL_PROBES ? 1 + (size_t)more : CN_MODEL_PROBES;
}

double cn_model_probe_number(enum cn_output_kind kind, float output) {
    const double p = fmax((double)output, least_probability);
    if (kind == CN_OUTPUT_SOFTMAX)
        return log(p);
    if (kind == CN_OUTPUT_SIGMOID || kind == CN_OUTPUT_SIGMOIDS)
        return log(p) - log1p(-fmin(p, most_probability));
    return (double)output;
}

static enum cn_status check_outputs(const float *outputs, size_t count, struct cn_error *error) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(outputs[i]))
            return cn_fail(error, CN_INVALID,
                           "output %zu for the probe is %g; the weights overflow", i,
                           (double)outputs[i]);
    return CN_OK;
}

enum cn_status cn_model_probe(const struct cn_network *network, size_t count, float **ret_outputs,
                              struct cn_plan **ret_plan, struct cn_error *error) {
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    float *image = NULL, *outputs = NULL, **arrays = NULL;
    if (probe_macs(network) > max_macs)
        return cn_fail(error, CN_LIMIT, "one image takes more than %llu multiply-accumulates",
                       max_macs);
    enum cn_status status = cn_plan_create(network, &plan, error);
    if (status == CN_OK)
        status = cn_workspace_create(plan, &workspace, error);
    if (status != CN_OK)
        goto out;
    /* All inputs get the same bytes, cut to their sizes. */
    size_t largest = 0;
    for (size_t i = 0; i < network->input_count; i++)
        if (cn_shape_size(&network->inputs[i].shape) > largest)
            largest = cn_shape_size(&network->inputs[i].shape);
    image = cn_floats_allocate(largest);
    const size_t size = cn_plan_output_size(plan);
    const bool fits = size <= SIZE_MAX / sizeof(float) / CN_MODEL_PROBES;
    outputs = fits ? cn_floats_allocate(count * size) : NULL;
    arrays = calloc(network->input_count + network->output_count, sizeof *arrays);
    if (image == NULL || outputs == NULL || arrays == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for the probe");
        goto out;
    }
    for (size_t i = 0; i < network->input_count; i++)
        arrays[i] = image;
    for (size_t k = 0; k < count && status == CN_OK; k++) {
        fill_input(image, largest, k);
        arrays[network->input_count] = outputs + k * size;
        cn_plan_run_ports(plan, workspace, (const float *const *)arrays, 1,
                          arrays + network->input_count);
        status = check_outputs(outputs + k * size, size, error);
    }
    if (status != CN_OK)
        goto out;
    *ret_outputs = outputs;
    outputs = NULL;
    if (ret_plan != NULL) {
        *ret_plan = plan;
        plan = NULL;
    }
out:
    free(arrays);
    free(image);
    free(outputs);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    return status;
}
