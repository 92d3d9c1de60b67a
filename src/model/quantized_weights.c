/* quantized_weights.c: see quantized_weights.h. Every number of a file is checked before it is
 * used. No state. */
#include "model/quantized_weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/load.h"

/* Scales beyond these make sums that no float holds. */
static const double least_scale = 1e-12, most_scale = 1e12;

static size_t kernel_index(const struct cn_network *network, size_t layer) {
    size_t index = 0;
    for (size_t l = 0; l < layer; l++)
        index += network->layers[l].tensor_count;
    return index;
}

/* ---- Writing ---- */

static json_t *range_json(struct cn_byte_range range) {
    return range.scale > 0 ? json_pack("[f, i]", (double)range.scale, range.zero) : json_null();
}

char *cn_quantized_format_ranges(const struct cn_network *network) {
    const struct cn_byte_range *ranges = network->quantization->ranges;
    json_t *inputs = json_array(), *layers = json_object();
    bool good = inputs != NULL && layers != NULL;
    for (size_t i = 0; i < network->input_count && good; i++)
        good = json_array_append_new(inputs, range_json(ranges[i])) == 0;
    for (size_t l = 0; l < network->layer_count && good; l++)
        if (ranges[network->input_count + l].scale > 0)
            good = json_object_set_new(layers, network->layers[l].name,
                                       range_json(ranges[network->input_count + l])) == 0;
    json_t *json = good ? json_pack("{s:O, s:O}", "inputs", inputs, "layers", layers) : NULL;
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    json_decref(inputs);
    json_decref(layers);
    return text;
}

size_t cn_quantized_kernels(const struct cn_network *network, size_t *ret_bytes) {
    size_t count = 0;
    *ret_bytes = 0;
    for (size_t l = 0; l < network->layer_count; l++)
        if (cn_quantization_scales(network, l) != NULL) {
            *ret_bytes += network->tensors[kernel_index(network, l)].size;
            count++;
        }
    return count;
}

void cn_quantized_describe(const struct cn_network *network, size_t layer, int8_t *bytes,
                           struct cn_safetensor *kernel, struct cn_safetensor *scale) {
    const struct cn_quantization *quantization = network->quantization;
    const size_t first = quantization->first[layer];
    const size_t channels = quantization->first[layer + 1] - first;
    const float *scales = quantization->scales + first;
    for (size_t i = 0; i < kernel->size; i++)
        bytes[i] = (int8_t)lrintf(kernel->data[i] / scales[i % channels]);
    kernel->data = NULL;
    kernel->bytes = bytes;
    *scale = (struct cn_safetensor){
        .rank = 1, .dims = {channels, 1, 1, 1}, .size = channels, .data = scales};
    (void)snprintf(scale->name, sizeof scale->name, "%.96s" CN_MODEL_SCALE, kernel->name);
}

/* ---- Reading ---- */

static enum cn_status read_range(const json_t *json, const char *name, struct cn_byte_range *range,
                                 struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const json_t *scale = json_array_get(json, 0), *zero = json_array_get(json, 1);
    if (json_is_null(json))
        return CN_OK;
    if (json_array_size(json) != 2 || !json_is_number(scale) || !json_is_integer(zero) ||
        !(json_number_value(scale) >= least_scale && json_number_value(scale) <= most_scale) ||
        json_integer_value(zero) < 0 || json_integer_value(zero) > 255)
        return cn_fail(error, CN_MALFORMED,
                       CN_MODEL_QUANTIZATION ": the range of %s is %s; it must be a scale from %g "
                                             "to %g and a zero from 0 to 255",
                       name, cn_json_show(json, shown), least_scale, most_scale);
    *range = (struct cn_byte_range){(float)json_number_value(scale), (int)json_integer_value(zero)};
    return CN_OK;
}

static enum cn_status read_ranges(const json_t *json, struct cn_network *network,
                                  struct cn_error *error) {
    struct cn_byte_range *ranges = network->quantization->ranges;
    const json_t *inputs = json_object_get(json, "inputs"),
                 *layers = json_object_get(json, "layers");
    char shown[CN_JSON_TEXT];
    size_t found = 0;
    enum cn_status status = CN_OK;
    if (json_object_size(json) != 2 || json_array_size(inputs) != network->input_count ||
        !json_is_object(layers))
        return cn_fail(error, CN_MALFORMED,
                       CN_MODEL_QUANTIZATION " is %s; it must be an object of the ranges of %zu "
                                             "inputs and of layers",
                       cn_json_show(json, shown), network->input_count);
    for (size_t i = 0; i < network->input_count && status == CN_OK; i++)
        status = read_range(json_array_get(inputs, i), "an input", &ranges[i], error);
    for (size_t l = 0; l < network->layer_count && status == CN_OK; l++) {
        const json_t *range = json_object_get(layers, network->layers[l].name);
        if (range == NULL)
            continue;
        status =
            read_range(range, network->layers[l].name, &ranges[network->input_count + l], error);
        found++;
    }
    if (status == CN_OK && found != json_object_size(layers))
        status = cn_fail(error, CN_MALFORMED,
                         CN_MODEL_QUANTIZATION " has ranges of %zu layers, of which %zu are there",
                         json_object_size(layers), found);
    return status;
}

static enum cn_status read_kernel(const struct cn_safetensor *kernel,
                                  const struct cn_safetensor *scale, float *scales,
                                  float *parameters, struct cn_error *error) {
    for (size_t c = 0; c < scale->size; c++) {
        if (!((double)scale->data[c] >= least_scale && (double)scale->data[c] <= most_scale))
            return cn_fail(error, CN_MALFORMED,
                           "element %zu of tensor \"%s\" is %g; a scale is from %g to %g", c,
                           scale->name, (double)scale->data[c], least_scale, most_scale);
        scales[c] = scale->data[c];
    }
    for (size_t i = 0; i < kernel->size; i++) {
        if (kernel->bytes[i] < -CN_QUANTIZED_WEIGHT || kernel->bytes[i] > CN_QUANTIZED_WEIGHT)
            return cn_fail(error, CN_MALFORMED,
                           "element %zu of tensor \"%s\" is %d; a weight is from %d to %d", i,
                           kernel->name, kernel->bytes[i], -CN_QUANTIZED_WEIGHT,
                           CN_QUANTIZED_WEIGHT);
        parameters[i] = (float)kernel->bytes[i] * scales[i % scale->size];
    }
    return CN_OK;
}

static enum cn_status read_kernels(const struct cn_safetensors *file, struct cn_network *network,
                                   struct cn_error *error) {
    const struct cn_quantization *quantization = network->quantization;
    char name[CN_SAFETENSOR_NAME];
    for (size_t l = 0; l < network->layer_count; l++) {
        const struct cn_tensor *tensor = &network->tensors[kernel_index(network, l)];
        const size_t first = quantization->first[l], channels = quantization->first[l + 1] - first;
        const struct cn_safetensor *kernel =
            channels > 0 ? cn_safetensors_tensor(file, tensor->name) : NULL;
        if (kernel == NULL || kernel->bytes == NULL)
            continue;
        (void)snprintf(name, sizeof name, "%.96s" CN_MODEL_SCALE, tensor->name);
        const struct cn_safetensor *scale = cn_safetensors_tensor(file, name);
        if (scale == NULL || scale->data == NULL || scale->rank != 1 || scale->size != channels)
            return cn_fail(error, CN_MALFORMED,
                           "tensor \"%s\" of bytes needs a tensor \"%s\" of %zu floats",
                           kernel->name, name, channels);
        const enum cn_status status = read_kernel(kernel, scale, quantization->scales + first,
                                                  network->parameters + tensor->offset, error);
        if (status != CN_OK)
            return status;
    }
    return CN_OK;
}

enum cn_status cn_quantized_read(const struct cn_safetensors *file, struct cn_network *network,
                                 struct cn_error *error) {
    const char *text = cn_safetensors_metadata(file, CN_MODEL_QUANTIZATION);
    json_t *json = NULL;
    if (text == NULL)
        return CN_OK;
    enum cn_status status =
        cn_json_parse(text, strlen(text), CN_MODEL_QUANTIZATION, NULL, -1, &json, error);
    if (status == CN_OK)
        status = cn_quantization_create(network, error);
    if (status == CN_OK)
        status = read_ranges(json, network, error);
    if (status == CN_OK)
        status = read_kernels(file, network, error);
    json_decref(json);
    return status;
}
