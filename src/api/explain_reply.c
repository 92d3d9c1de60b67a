/* explain_reply.c: an explanation as JSON. Pure. */
#include <nettle/base64.h>

#include "api/explain.h"

struct explain_range explain_range_of(const float *values, size_t count) {
    struct explain_range range = {values[0], values[0]};
    for (size_t i = 1; i < count; i++) {
        range.minimum = values[i] < range.minimum ? values[i] : range.minimum;
        range.maximum = values[i] > range.maximum ? values[i] : range.maximum;
    }
    return range;
}

static void add_dims(struct cn_text *text, const int *dims, int rank) {
    cn_text_add(text, "[");
    for (int i = 0; i < rank; i++) {
        cn_text_add(text, i > 0 ? "," : "");
        cn_text_add_size(text, (size_t)dims[i]);
    }
    cn_text_add(text, "]");
}

static void add_floats(struct cn_text *text, const float *values, size_t count) {
    cn_text_add(text, "[");
    for (size_t i = 0; i < count; i++) {
        cn_text_add(text, i > 0 ? "," : "");
        cn_text_add_float(text, values[i]);
    }
    cn_text_add(text, "]");
}

/* Base64 of one byte a value: 0 is the minimum, 255 the maximum. */
static void add_bytes(struct cn_text *text, const float *values, size_t count,
                      struct explain_range range) {
    const float span = range.maximum - range.minimum;
    const float scale = span > 0 ? 255 / span : 0;
    uint8_t bytes[768]; /* a multiple of 3: only the last piece is padded */
    cn_text_add(text, "\"");
    for (size_t done = 0, piece; done < count; done += piece) {
        piece = count - done < sizeof bytes ? count - done : sizeof bytes;
        for (size_t i = 0; i < piece; i++) {
            const float value = (values[done + i] - range.minimum) * scale + 0.5f;
            bytes[i] = value < 255 ? (uint8_t)value : 255;
        }
        char *room = cn_text_room(text, BASE64_ENCODE_RAW_LENGTH(piece));
        if (room == NULL)
            return;
        base64_encode_raw(room, piece, bytes);
        text->length += BASE64_ENCODE_RAW_LENGTH(piece);
    }
    cn_text_add(text, "\"");
}

/* "minimum", "maximum" and "values", as the request wants them. */
static void add_values(struct cn_text *text, const float *values, size_t count,
                       enum explain_values how) {
    const struct explain_range range = explain_range_of(values, count);
    cn_text_add(text, ",\"minimum\":");
    cn_text_add_float(text, range.minimum);
    cn_text_add(text, ",\"maximum\":");
    cn_text_add_float(text, range.maximum);
    if (how == EXPLAIN_NONE)
        return;
    cn_text_add(text, ",\"values\":");
    if (how == EXPLAIN_BYTES)
        add_bytes(text, values, count, range);
    else
        add_floats(text, values, count);
}

static void add_name(struct cn_text *text, const char *name) {
    cn_text_add(text, "{\"name\":\"");
    cn_text_add_json(text, name);
    cn_text_add(text, "\"");
}

static void add_tensors(struct cn_text *text, const struct cn_network *network,
                        const struct cn_layer *layer, enum explain_values how) {
    const float *values = network->parameters + layer->parameter_offset;
    cn_text_add(text, ",\"tensors\":[");
    for (size_t t = 0; t < layer->tensor_count; t++) {
        const struct cn_tensor_spec *tensor = &layer->tensors[t];
        size_t size = 1;
        for (int i = 0; i < tensor->rank; i++)
            size *= (size_t)tensor->dims[i];
        cn_text_add(text, t > 0 ? "," : "");
        add_name(text, tensor->name);
        cn_text_add(text, ",\"shape\":");
        add_dims(text, tensor->dims, tensor->rank);
        add_values(text, values, size, how);
        cn_text_add(text, "}");
        values += size;
    }
    cn_text_add(text, "]");
}

static void add_layer(struct cn_text *text, const struct prediction *prediction, size_t l) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct explain_options *options = &explanation->options;
    const struct cn_network *network = prediction->model->model->network;
    const struct cn_layer *layer = &network->layers[l];
    add_name(text, layer->name);
    cn_text_add(text, ",\"type\":\"");
    cn_text_add_json(text, cn_layer_type_name(layer->type));
    cn_text_add(text, "\",\"output_shape\":");
    add_dims(text, layer->output_shape.dims, layer->output_shape.rank);
    add_values(text, cn_trace_output(explanation->trace, l), cn_shape_size(&layer->output_shape),
               options->values);
    if (options->filters)
        add_tensors(text, network, layer, options->values);
    cn_text_add(text, "}");
}

void explain_render(const struct prediction *prediction, struct cn_text *text) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct cn_network *network = prediction->model->model->network;
    const size_t only = explanation->options.layer;
    cn_text_add(text, "{\"model\":\"");
    cn_text_add_json(text, prediction->model->name);
    cn_text_add(text, "\",\"prediction\":");
    predict_add_json(text, prediction, 0);
    cn_text_add(text, ",\"input\":{\"shape\":");
    add_dims(text, network->input_shape.dims, network->input_shape.rank);
    add_values(text, prediction->images, prediction->image_size, explanation->options.values);
    cn_text_add(text, "},\"layers\":[");
    for (size_t l = only == CN_TRACE_ALL ? 0 : only; l < network->layer_count; l++) {
        add_layer(text, prediction, l);
        if (l == only)
            break;
        cn_text_add(text, l + 1 < network->layer_count ? "," : "");
    }
    cn_text_add(text, "]}\n");
}
