/* quantization.c: what a quantized network says of its values and weights. No state. */
#include "convnet/quantization.h"

#include <stdlib.h>
#include <string.h>

#include "convnet/network.h"
#include "layers/layer_type.h"

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
