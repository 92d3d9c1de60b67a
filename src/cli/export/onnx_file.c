/* onnx_file.c: a network as an ONNX file: the inputs and outputs by the model's tensors, and the
 * file around the layers' nodes, which onnx_write_layers.c writes. No state. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/export/onnx_write.h"

enum { OPSET = 17, IR_VERSION = 8 };

/* Writes the axes of form `index` on one side; returns their number. */
static int form_axes(const struct cn_model *model, const char *side, size_t index,
                     int axes[ONNX_RANK]) {
    json_t *root = json_loads(model->tensors != NULL ? model->tensors : "{}", 0, NULL);
    const json_t *list =
        json_object_get(json_array_get(json_object_get(root, side), index), "axes");
    const int count = (int)json_array_size(list);
    for (int i = 0; i < count && i < ONNX_RANK; i++)
        axes[i] = (int)json_integer_value(json_array_get(list, (size_t)i));
    json_decref(root);
    return count;
}

static void put_port(struct cn_text *graph, unsigned field, const struct cn_tensor_form *form) {
    struct cn_text dim = {0}, shape = {0}, tensor = {0}, type = {0}, info = {0};
    protobuf_add_string(&dim, 2, "N");
    protobuf_add_message(&shape, 1, &dim);
    for (int i = form->batched; i < form->rank; i++) {
        protobuf_add_int(&dim, 1, form->dims[i]);
        protobuf_add_message(&shape, 1, &dim);
    }
    protobuf_add_int(&tensor, 1, ONNX_FLOAT);
    protobuf_add_message(&tensor, 2, &shape);
    protobuf_add_message(&type, 1, &tensor);
    protobuf_add_string(&info, 1, form->name);
    protobuf_add_message(&info, 2, &type);
    protobuf_add_message(graph, field, &info);
}

/* From the order of the source to that of the network. */
static struct onnx_name put_input(struct onnx_graph *g, size_t index) {
    const struct cn_tensor_form *form = &g->model->inputs[index];
    const struct cn_shape *shape = &g->network->inputs[form->port].shape;
    struct onnx_name value = graph_named(form->name);
    int axes[ONNX_RANK];
    int64_t order[ONNX_RANK + 1] = {0};
    if (form->places != NULL) {
        int count = form_axes(g->model, "inputs", index, axes);
        bool taken[ONNX_RANK] = {false};
        for (int i = 0; i < count; i++) {
            order[i + 1] = axes[i] + !form->batched;
            taken[axes[i]] = true;
        }
        for (int i = form->batched; i < form->rank; i++)
            if (!taken[i])
                order[1 + count++] = i + !form->batched;
        value = graph_put_transpose(g, value, (size_t)count + 1, order);
    }
    return graph_put_shape(g, value, shape);
}

/* Gives the value the output's name, in the order of the source. */
static void put_output(struct onnx_graph *g, size_t index) {
    const struct cn_tensor_form *form = &g->model->outputs[index];
    struct onnx_name value = g->values[g->network->outputs[form->port].value];
    struct cn_text node = {0};
    int dims[ONNX_RANK], axes[ONNX_RANK], count = form->rank - form->batched;
    int64_t back[ONNX_RANK + 1] = {0};
    for (int i = 0; i < count; i++)
        dims[i] = form->dims[i + form->batched];
    if (form->places != NULL) {
        bool taken[ONNX_RANK] = {false};
        int used = form_axes(g->model, "outputs", index, axes);
        for (int i = 0; i < used; i++)
            taken[axes[i]] = true;
        for (int i = form->batched; i < form->rank; i++)
            if (!taken[i])
                axes[used++] = i;
        for (int i = 0; i < used; i++) {
            dims[i] = form->dims[axes[i]];
            back[axes[i] + !form->batched] = i + 1;
        }
    }
    value = graph_put_reshape(g, value, count, dims);
    if (form->places != NULL)
        value = graph_put_transpose(g, value, (size_t)count + 1, back);
    protobuf_add_string(&node, 1, value.text);
    protobuf_add_string(&node, 2, form->name);
    protobuf_add_string(&node, 4, "Identity");
    protobuf_add_message(&g->nodes, 1, &node);
}

static void put_metadata(struct cn_text *file, const char *key, const char *value) {
    struct cn_text entry = {0};
    protobuf_add_string(&entry, 1, key);
    protobuf_add_string(&entry, 2, value);
    protobuf_add_message(file, 14, &entry);
}

static void put_labels(struct cn_text *file, const struct cn_model *model) {
    struct cn_text labels = {0};
    cn_json_open(&labels, NULL, '[');
    for (size_t i = 0; i < model->label_count; i++)
        cn_json_add_string(&labels, NULL, model->labels[i]);
    cn_json_close(&labels, ']');
    if (model->label_count > 0)
        put_metadata(file, "labels", cn_text_string(&labels));
    free(labels.bytes);
}

static void put_file(struct onnx_graph *g, struct cn_text *file) {
    struct cn_text graph = {0}, opset = {0};
    char preprocessing[CN_PREPROCESSING_TEXT];
    cn_text_add_bytes(&graph, g->nodes.bytes, g->nodes.length);
    protobuf_add_string(&graph, 2, g->network->name[0] != '\0' ? g->network->name : "network");
    cn_text_add_bytes(&graph, g->constants.bytes, g->constants.length);
    for (size_t i = 0; i < g->model->input_forms; i++)
        put_port(&graph, 11, &g->model->inputs[i]);
    for (size_t i = 0; i < g->model->output_forms; i++)
        put_port(&graph, 12, &g->model->outputs[i]);
    graph.failed |= g->nodes.failed || g->constants.failed;
    protobuf_add_int(file, 1, IR_VERSION);
    protobuf_add_string(file, 2, "convnet");
    protobuf_add_message(file, 7, &graph);
    protobuf_add_int(&opset, 2, OPSET);
    protobuf_add_message(file, 8, &opset);
    put_labels(file, g->model);
    put_metadata(file, "preprocessing",
                 cn_preprocessing_format(&g->model->preprocessing, preprocessing));
}

enum cn_status cli_export_onnx(const struct cn_model *model, struct cn_text *ret_bytes,
                               struct cn_error *error) {
    const struct cn_network *network = model->network;
    struct onnx_graph g = {.model = model, .network = network, .error = error};
    enum cn_status status = CN_OK;
    g.values = calloc(network->input_count + network->layer_count, sizeof *g.values);
    if (g.values == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the graph");
    for (size_t i = 0; i < model->input_forms; i++)
        g.values[model->inputs[i].port] = put_input(&g, i);
    for (size_t l = 0; l < network->layer_count && status == CN_OK; l++)
        status = export_layer(&g, l);
    for (size_t k = 0; k < model->output_forms && status == CN_OK; k++)
        put_output(&g, k);
    if (status == CN_OK)
        put_file(&g, ret_bytes);
    if (status == CN_OK && ret_bytes->failed)
        status = cn_fail(error, CN_MEMORY, "no memory for the file");
    free(g.values);
    free(g.nodes.bytes);
    free(g.constants.bytes);
    free(g.attributes.bytes);
    return status;
}
