/* explain_reply.c: writes an explanation as JSON. Pure. */
#include <stdlib.h>

#include "api/explain.h"

struct explain_range explain_range_of(const float *values, size_t count) {
    struct explain_range range = {values[0], values[0]};
    for (size_t i = 1; i < count; i++) {
        range.minimum = values[i] < range.minimum ? values[i] : range.minimum;
        range.maximum = values[i] > range.maximum ? values[i] : range.maximum;
    }
    return range;
}

/* One byte per value, in base64: 0 is the minimum, 255 the maximum. */
static void add_bytes(struct cn_text *text, const float *values, size_t count,
                      struct explain_range range) {
    const float span = range.maximum - range.minimum;
    const float scale = span > 0 ? 255 / span : 0;
    uint8_t *bytes = malloc(count);
    text->failed |= bytes == NULL;
    for (size_t i = 0; bytes != NULL && i < count; i++) {
        const float value = (values[i] - range.minimum) * scale + 0.5f;
        bytes[i] = value < 255 ? (uint8_t)value : 255;
    }
    cn_json_add_base64(text, "values", bytes, count);
    free(bytes);
}

/* Adds "minimum", "maximum" and "values" in the form that the request asks for. */
static void add_values(struct cn_text *text, const float *values, size_t count,
                       enum explain_values how) {
    const struct explain_range range = explain_range_of(values, count);
    cn_json_add_float(text, "minimum", range.minimum);
    cn_json_add_float(text, "maximum", range.maximum);
    if (how == EXPLAIN_BYTES)
        add_bytes(text, values, count, range);
    else if (how != EXPLAIN_NONE)
        cn_json_add_floats(text, "values", values, count);
}

static void add_tensors(struct cn_text *text, const struct cn_network *network,
                        const struct cn_layer *layer, enum explain_values how) {
    const float *values = network->parameters + layer->parameter_offset;
    cn_json_open(text, "tensors", '[');
    for (size_t t = 0; t < layer->tensor_count; t++) {
        const struct cn_tensor_spec *tensor = &layer->tensors[t];
        size_t size = 1;
        for (int i = 0; i < tensor->rank; i++)
            size *= (size_t)tensor->dims[i];
        cn_json_open(text, NULL, '{');
        cn_json_add_string(text, "name", tensor->name);
        cn_json_add_integers(text, "shape", tensor->dims, (size_t)tensor->rank);
        add_values(text, values, size, how);
        cn_json_close(text, '}');
        values += size;
    }
    cn_json_close(text, ']');
}

static void add_layer(struct cn_text *text, const struct prediction *prediction, size_t l) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct explain_options *options = &explanation->options;
    const struct cn_network *network = prediction->model->model->network;
    const struct cn_layer *layer = &network->layers[l];
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", layer->name);
    cn_json_add_string(text, "type", cn_layer_type_name(layer->type));
    cn_json_add_integers(text, "output_shape", layer->output_shape.dims,
                         (size_t)layer->output_shape.rank);
    add_values(text, cn_trace_output(explanation->trace, l), cn_shape_size(&layer->output_shape),
               options->values);
    if (options->filters)
        add_tensors(text, network, layer, options->values);
    cn_json_close(text, '}');
}

void explain_render(const struct prediction *prediction, struct cn_text *text) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct cn_network *network = prediction->model->model->network;
    const size_t only = explanation->options.layer;
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "model", prediction->model->name);
    cn_json_open(text, "prediction", '{');
    predict_add_json(text, prediction, 0);
    cn_json_close(text, '}');
    cn_json_open(text, "input", '{');
    cn_json_add_integers(text, "shape", network->input_shape.dims,
                         (size_t)network->input_shape.rank);
    add_values(text, prediction->images, prediction->image_size, explanation->options.values);
    cn_json_close(text, '}');
    cn_json_open(text, "layers", '[');
    for (size_t l = only == CN_TRACE_ALL ? 0 : only; l < network->layer_count; l++) {
        add_layer(text, prediction, l);
        if (l == only)
            break;
    }
    cn_text_add(text, "]}\n");
}
