/* probe.c: what a network answers to one fixed input: stored when a model is written, compared when
 * it is read, so that a model that computes something else than it did is not served. No state.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "model/model_file.h"

/* About a minute on one core; a served network takes a thousandth of it. */
static const unsigned long long max_macs = 1ull << 37;

/* Output `index` of SplitMix64 seeded with 0, its top byte. */
static uint8_t probe_byte(uint64_t index) {
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)((z ^ (z >> 31)) >> 56);
}

static void fill_input(float *image, size_t size) {
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = probe_byte(i);
        cn_image_from_bytes(&byte, 1, &image[i]);
    }
}

static enum cn_status check_cost(const struct cn_network *network, struct cn_error *error) {
    unsigned long long macs = 0;
    for (size_t i = 0; i < network->layer_count; i++) {
        const unsigned long long more = cn_layer_macs(&network->layers[i]);
        if (__builtin_add_overflow(macs, more, &macs) || macs > max_macs)
            return cn_fail(error, CN_LIMIT, "one image takes more than %llu multiply-accumulates",
                           max_macs);
    }
    return CN_OK;
}

enum cn_status cn_model_probe(const struct cn_network *network, float **ret_outputs,
                              struct cn_error *error) {
    struct cn_plan *plan = NULL;
    struct cn_workspace *workspace = NULL;
    float *image = NULL, *outputs = NULL, **arrays = NULL;
    enum cn_status status = check_cost(network, error);
    if (status == CN_OK)
        status = cn_plan_create(network, &plan, error);
    if (status == CN_OK)
        status = cn_workspace_create(plan, &workspace, error);
    if (status != CN_OK)
        goto out;
    /* Each input gets the same bytes, as far as it goes. */
    size_t largest = 0;
    for (size_t i = 0; i < network->input_count; i++)
        if (cn_shape_size(&network->inputs[i].shape) > largest)
            largest = cn_shape_size(&network->inputs[i].shape);
    image = cn_floats_allocate(largest);
    outputs = cn_floats_allocate(cn_plan_output_size(plan));
    arrays = calloc(network->input_count + network->output_count, sizeof *arrays);
    if (image == NULL || outputs == NULL || arrays == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for the probe");
        goto out;
    }
    fill_input(image, largest);
    for (size_t i = 0; i < network->input_count; i++)
        arrays[i] = image;
    arrays[network->input_count] = outputs;
    cn_plan_run_ports(plan, workspace, (const float *const *)arrays, 1,
                      arrays + network->input_count);
    for (size_t i = 0; i < cn_plan_output_size(plan); i++)
        if (!isfinite(outputs[i])) {
            status =
                cn_fail(error, CN_INVALID, "output %zu for the probe is %g; the weights overflow",
                        i, (double)outputs[i]);
            goto out;
        }
    *ret_outputs = outputs;
    outputs = NULL;
out:
    free(arrays);
    free(image);
    free(outputs);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    return status;
}
