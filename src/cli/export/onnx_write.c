/* onnx_write.c: see onnx_write.h. No state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/onnx_write.h"

/* ---- Attributes of the next node ---- */

static void attribute_end(struct cn_text *attributes, struct cn_text *one, int type) {
    protobuf_add_int(one, 20, type);
    protobuf_add_message(attributes, 5, one);
}

void graph_add_int(struct cn_text *attributes, const char *name, int64_t value) {
    struct cn_text one = {0};
    protobuf_add_string(&one, 1, name);
    protobuf_add_int(&one, 3, value);
    attribute_end(attributes, &one, 2);
}

void graph_add_float(struct cn_text *attributes, const char *name, float value) {
    struct cn_text one = {0};
    protobuf_add_string(&one, 1, name);
    protobuf_add_float(&one, 2, value);
    attribute_end(attributes, &one, 1);
}

void graph_add_string(struct cn_text *attributes, const char *name, const char *value) {
    struct cn_text one = {0};
    protobuf_add_string(&one, 1, name);
    protobuf_add_string(&one, 4, value);
    attribute_end(attributes, &one, 3);
}

void graph_add_ints(struct cn_text *attributes, const char *name, size_t count,
                    const int64_t *values) {
    struct cn_text one = {0};
    protobuf_add_string(&one, 1, name);
    for (size_t i = 0; i < count; i++)
        protobuf_add_int(&one, 8, values[i]);
    attribute_end(attributes, &one, 7);
}

/* ---- The graph ---- */

struct onnx_name graph_named(const char *text) {
    struct onnx_name name;
    (void)snprintf(name.text, sizeof name.text, "%s", text);
    return name;
}

static struct onnx_name fresh_name(struct onnx_graph *g) {
    struct onnx_name name;
    (void)snprintf(name.text, sizeof name.text, "%.*s/%zu", CN_LAYER_NAME,
                   g->layer != NULL ? g->layer->name : "tensor", ++g->fresh);
    return name;
}

enum cn_status graph_refuse(const struct onnx_graph *g, const char *why) {
    return cn_fail(g->error, CN_UNSUPPORTED, "layer \"%s\" is a %s, which %s in ONNX",
                   g->layer->name, cn_layer_type_name(g->layer->type), why);
}

struct onnx_name graph_put_many(struct onnx_graph *g, const char *type, size_t count,
                                const struct onnx_name *inputs) {
    struct cn_text node = {0};
    const struct onnx_name output = fresh_name(g);
    for (size_t i = 0; i < count; i++)
        protobuf_add_string(&node, 1, inputs[i].text);
    protobuf_add_string(&node, 2, output.text);
    protobuf_add_string(&node, 3, output.text);
    protobuf_add_string(&node, 4, type);
    cn_text_add_bytes(&node, g->attributes.bytes, g->attributes.length);
    node.failed |= g->attributes.failed;
    g->attributes.length = 0;
    protobuf_add_message(&g->nodes, 1, &node);
    return output;
}

/* Adds a node with one to three inputs ("" is none); its attributes are those added since the last
 * node. */
struct onnx_name graph_put(struct onnx_graph *g, const char *type, struct onnx_name a,
                           struct onnx_name b, struct onnx_name c) {
    const struct onnx_name inputs[] = {a, b, c};
    return graph_put_many(g, type, c.text[0] != '\0' ? 3 : b.text[0] != '\0' ? 2 : 1, inputs);
}

struct onnx_name graph_put_unary(struct onnx_graph *g, const char *type, struct onnx_name a) {
    return graph_put(g, type, a, graph_named(""), graph_named(""));
}

struct onnx_name graph_put_binary(struct onnx_graph *g, const char *type, struct onnx_name a,
                                  struct onnx_name b) {
    return graph_put(g, type, a, b, graph_named(""));
}

static struct onnx_name put_constant(struct onnx_graph *g, int type, size_t rank,
                                     const int64_t *dims, const void *data, size_t bytes) {
    struct cn_text tensor = {0};
    const struct onnx_name name = fresh_name(g);
    for (size_t i = 0; i < rank; i++)
        protobuf_add_int(&tensor, 1, dims[i]);
    protobuf_add_int(&tensor, 2, type);
    protobuf_add_string(&tensor, 8, name.text);
    protobuf_add_bytes(&tensor, 9, data, bytes);
    protobuf_add_message(&g->constants, 5, &tensor);
    return name;
}

struct onnx_name graph_put_floats(struct onnx_graph *g, size_t rank, const int64_t *dims,
                                  const float *values) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    return put_constant(g, ONNX_FLOAT, rank, dims, values, count * sizeof *values);
}

struct onnx_name graph_put_vector(struct onnx_graph *g, const float *values, size_t count) {
    return graph_put_floats(g, 1, (const int64_t[]){(int64_t)count}, values);
}

struct onnx_name graph_put_number(struct onnx_graph *g, float value) {
    return put_constant(g, ONNX_FLOAT, 0, NULL, &value, sizeof value);
}

struct onnx_name graph_put_ints(struct onnx_graph *g, size_t count, const int64_t *values) {
    return put_constant(g, ONNX_INT64, 1, (const int64_t[]){(int64_t)count}, values,
                        count * sizeof *values);
}

struct onnx_name graph_put_cast(struct onnx_graph *g, struct onnx_name value, int type) {
    graph_add_int(&g->attributes, "to", type);
    return graph_put_unary(g, "Cast", value);
}

struct onnx_name graph_put_transpose(struct onnx_graph *g, struct onnx_name value, size_t rank,
                                     const int64_t *order) {
    graph_add_ints(&g->attributes, "perm", rank, order);
    return graph_put_unary(g, "Transpose", value);
}

/* To [any number of images, dims]. */
struct onnx_name graph_put_reshape(struct onnx_graph *g, struct onnx_name value, int rank,
                                   const int *dims) {
    int64_t shape[ONNX_RANK + 1] = {-1};
    for (int i = 0; i < rank; i++)
        shape[i + 1] = dims[i];
    return graph_put_binary(g, "Reshape", value, graph_put_ints(g, (size_t)rank + 1, shape));
}

struct onnx_name graph_put_shape(struct onnx_graph *g, struct onnx_name value,
                                 const struct cn_shape *shape) {
    return graph_put_reshape(g, value, shape->rank, shape->dims);
}

const int64_t graph_channels_first[4] = {0, 3, 1, 2}, graph_channels_last[4] = {0, 2, 3, 1};

/* ---- The configuration of layers ---- */

int graph_field_int(const struct onnx_graph *g, const char *key, int otherwise) {
    const int *value = cli_export_field(g->layer, key);
    return value != NULL ? *value : otherwise;
}

float graph_field_float(const struct onnx_graph *g, const char *key) {
    const float *value = cli_export_field(g->layer, key);
    return value != NULL ? *value : 0;
}

/* Rows and columns; 1 and 1 if the key is missing. */
void graph_field_pair(const struct onnx_graph *g, const char *key, int pair[2]) {
    const int *value = cli_export_field(g->layer, key);
    pair[0] = value != NULL ? value[0] : 1;
    pair[1] = value != NULL ? value[1] : 1;
}

const float *graph_weights(const struct onnx_graph *g, const char *tensor) {
    return cli_export_weights(g->network, g->layer, tensor);
}

bool graph_is(const struct onnx_graph *g, const char *class_name) {
    return strcmp(cn_layer_type_name(g->layer->type), class_name) == 0;
}

/* ---- Activations ---- */

struct onnx_name graph_put_activation(struct onnx_graph *g, struct onnx_name value) {
    static const char *const types[] = {NULL, "Relu", "Sigmoid", "Tanh", "Softmax"};
    const int activation = graph_field_int(g, "activation", CN_ACTIVATION_LINEAR);
    if (activation == CN_ACTIVATION_LINEAR)
        return value;
    if (activation == CN_ACTIVATION_SOFTMAX) {
        if (cli_export_calibrated(g->network) == g->layer)
            value = graph_put_binary(g, "Div", value, graph_put_number(g, g->network->temperature));
        graph_add_int(&g->attributes, "axis", -1);
    }
    return graph_put_unary(g, types[activation], value);
}

/* Height, width and channels of the shape of a layer over one or two axes. */
void graph_image_dims(const struct cn_shape *shape, int axes, int dims[3]) {
    const bool lacks_channels = shape->rank == axes;
    dims[0] = axes == 2 ? shape->dims[0] : 1;
    dims[1] = shape->dims[axes - 1];
    dims[2] = lacks_channels ? 1 : shape->dims[axes];
}

int graph_axes(const struct onnx_graph *g) {
    return strstr(cn_layer_type_name(g->layer->type), "1D") != NULL ? 1 : 2;
}

struct onnx_name graph_put_picture(struct onnx_graph *g, struct onnx_name value,
                                   const int dims[3]) {
    if (g->layer->input_shape.rank != 3)
        value = graph_put_reshape(g, value, 3, dims);
    return graph_put_transpose(g, value, 4, graph_channels_first);
}

struct onnx_name graph_put_picture_back(struct onnx_graph *g, struct onnx_name value) {
    value = graph_put_transpose(g, value, 4, graph_channels_last);
    return g->layer->output_shape.rank == 3 ? value
                                            : graph_put_shape(g, value, &g->layer->output_shape);
}

struct onnx_name graph_bias(struct onnx_graph *g, int channels) {
    const float *bias = graph_weights(g, "bias");
    return bias != NULL ? graph_put_vector(g, bias, (size_t)channels) : graph_named("");
}

/* x * scale + shift for each channel; a list of one number applies to all. */
struct onnx_name graph_put_scale_shift(struct onnx_graph *g, struct onnx_name value,
                                       const float *scale, size_t scales, const float *shift,
                                       size_t shifts) {
    value = graph_put_binary(g, "Mul", value, graph_put_vector(g, scale, scales));
    return graph_put_binary(g, "Add", value, graph_put_vector(g, shift, shifts));
}

/* The layer's input i, with axes of size 1 inserted before its own if another input has more axes.
 */
struct onnx_name graph_operand(struct onnx_graph *g, size_t i, int rank) {
    const struct cn_input *input = &g->layer->inputs[i];
    int dims[ONNX_RANK];
    if (input->shape.rank == rank)
        return g->values[input->value];
    for (int axis = 0; axis < rank; axis++) {
        const int own = axis - (rank - input->shape.rank);
        dims[axis] = own >= 0 ? input->shape.dims[own] : 1;
    }
    return graph_put_reshape(g, g->values[input->value], rank, dims);
}
