/* onnx_graph.c: reads an ONNX file's message as a graph: names values, decodes initializers, and
 * sorts nodes topologically. It knows only the operators Constant and Identity. Used by one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/onnx_private.h"

/* A limit for the message's parser, since a small file of many empty messages needs much memory. */
struct parser_memory {
    size_t left;
};

static void *parser_allocate(void *data, size_t size) {
    struct parser_memory *memory = data;
    if (size > memory->left)
        return NULL;
    memory->left -= size;
    return malloc(size > 0 ? size : 1);
}

static void parser_free(void *data, void *pointer) {
    (void)data;
    free(pointer);
}

bool onnx_model_parse(struct onnx_import *import, const void *bytes, size_t size) {
    struct parser_memory memory = {4 * size + ((size_t)64 << 20)};
    import->memory_limit = 4 * size + ((size_t)256 << 20); /* weights are in memory about twice */
    ProtobufCAllocator allocator = {parser_allocate, parser_free, &memory};
    import->model = onnx__model_proto__unpack(&allocator, size, bytes);
    if (import->model == NULL)
        return onnx_fail(import, CN_MALFORMED,
                         "is not a whole ONNX file: its protobuf message cannot be read");
    return true;
}

void onnx_model_free(struct onnx_import *import) {
    if (import->model != NULL)
        onnx__model_proto__free_unpacked(import->model, NULL);
    import->model = NULL;
}

/* ---- Values ---- */

int onnx_value_named(struct onnx_import *import, const char *name) {
    const json_t *known = json_object_get(import->names, name);
    if (known != NULL)
        return (int)json_integer_value(known);
    if (import->value_count == import->value_room) {
        const size_t room = import->value_room > 0 ? 2 * import->value_room : 256;
        struct onnx_value *values = onnx_allocate(import, room, sizeof *values);
        if (values == NULL)
            return -1;
        if (import->value_count > 0)
            memcpy(values, import->values, import->value_count * sizeof *values);
        import->values = values;
        import->value_room = room;
    }
    const int index = (int)import->value_count;
    if (json_object_set_new(import->names, name, json_integer(index)) != 0) {
        onnx_fail(import, CN_MALFORMED, "a value's name is not UTF-8");
        return -1;
    }
    import->values[import->value_count++] = (struct onnx_value){.name = name, .layer = -1};
    return index;
}

bool onnx_initializers_read(struct onnx_import *import, const Onnx__GraphProto *graph) {
    for (size_t i = 0; i < graph->n_initializer; i++) {
        Onnx__TensorProto *proto = graph->initializer[i];
        if (proto->name == NULL || proto->name[0] == '\0')
            return onnx_fail(import, CN_MALFORMED, "an initializer has no name");
        const int index = onnx_value_named(import, proto->name);
        const struct onnx_tensor *tensor = index >= 0 ? onnx_tensor_read(import, proto) : NULL;
        if (tensor == NULL)
            return false;
        if (import->values[index].state != ONNX_UNSET)
            return onnx_fail(import, CN_MALFORMED, "two initializers are called '%s'", proto->name);
        onnx_set_constant(&import->values[index], tensor);
    }
    return true;
}

/* ---- Nodes ---- */

static bool names_resolve(struct onnx_import *import, char **names, size_t count,
                          int **ret_indices) {
    int *indices = onnx_allocate(import, count > 0 ? count : 1, sizeof *indices);
    if (indices == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        indices[i] = -1;
        if (names[i] == NULL || names[i][0] == '\0')
            continue;
        indices[i] = onnx_value_named(import, names[i]);
        if (indices[i] < 0)
            return false;
    }
    *ret_indices = indices;
    return true;
}

/* The node's name, or that of its first output when it has none. */
static const char *node_label(const Onnx__NodeProto *proto) {
    if (proto->name != NULL && proto->name[0] != '\0')
        return proto->name;
    return proto->n_output > 0 && proto->output[0] != NULL ? proto->output[0] : "";
}

static bool domain_is_onnx(const char *domain) {
    return domain == NULL || domain[0] == '\0' || strcmp(domain, "ai.onnx") == 0;
}

bool onnx_node_read(struct onnx_import *import, const Onnx__NodeProto *proto,
                    struct onnx_node *node) {
    node->proto = proto;
    node->type = proto->op_type != NULL ? proto->op_type : "";
    node->label = node_label(proto);
    node->input_count = proto->n_input;
    node->output_count = proto->n_output;
    if (!domain_is_onnx(proto->domain)) { /* the type becomes "com.microsoft.FusedConv" */
        char *type = onnx_allocate(import, strlen(proto->domain) + strlen(node->type) + 2, 1);
        if (type == NULL)
            return false;
        sprintf(type, "%s.%s", proto->domain, node->type);
        node->type = type;
    }
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (proto->attribute[i]->name == NULL)
            return onnx_fail(import, CN_MALFORMED, "node '%s' has an attribute without a name",
                             node->label);
    return names_resolve(import, proto->input, proto->n_input, &node->inputs) &&
           names_resolve(import, proto->output, proto->n_output, &node->outputs) &&
           onnx_branch_inputs(import, node);
}

/* Sorts the nodes so that each follows those that compute its inputs; otherwise their order is
 * kept. maker[v]: the node that computes value v, or -1. */
static bool nodes_sort(struct onnx_import *import, const int *maker) {
    const size_t count = import->node_count;
    struct onnx_node *sorted = onnx_allocate(import, count + 1, sizeof *sorted);
    unsigned char *mark = onnx_allocate(import, count + 1, 1); /* 1: on the path, 2: placed */
    size_t *path = onnx_allocate(import, count + 1, sizeof *path);
    size_t *next = onnx_allocate(import, count + 1, sizeof *next); /* the next input to visit */
    size_t placed = 0;
    if (sorted == NULL || mark == NULL || path == NULL || next == NULL)
        return false;
    for (size_t first = 0; first < count; first++) {
        size_t depth = 0;
        if (mark[first] == 2)
            continue;
        path[depth++] = first;
        mark[first] = 1;
        while (depth > 0) {
            const size_t at = path[depth - 1];
            const struct onnx_node *node = &import->nodes[at];
            if (next[at] == node->input_count) {
                mark[at] = 2;
                sorted[placed++] = *node;
                depth--;
                continue;
            }
            const int value = node->inputs[next[at]++];
            const int from = value >= 0 ? maker[value] : -1;
            if (from < 0 || mark[from] == 2)
                continue;
            if (mark[from] == 1)
                return onnx_fail(import, CN_MALFORMED, "node '%s' depends on its own output '%s'",
                                 node->label, import->values[value].name);
            mark[from] = 1;
            path[depth++] = (size_t)from;
        }
    }
    import->nodes = sorted;
    return true;
}

static bool nodes_read(struct onnx_import *import, const Onnx__GraphProto *graph) {
    Onnx__NodeProto **nodes;
    size_t count;
    if (graph->n_node > ONNX_MAX_NODES)
        return onnx_fail(import, CN_LIMIT, "has %zu nodes; at most %d are read", graph->n_node,
                         ONNX_MAX_NODES);
    if (!onnx_functions_expand(import, graph->node, graph->n_node, &nodes, &count))
        return false;
    import->node_count = count;
    import->nodes = onnx_allocate(import, count + 1, sizeof *import->nodes);
    if (import->nodes == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!onnx_node_read(import, nodes[i], &import->nodes[i]))
            return false;
    int *maker = onnx_allocate(import, import->value_count + 1, sizeof *maker);
    if (maker == NULL)
        return false;
    for (size_t v = 0; v < import->value_count; v++)
        maker[v] = -1;
    for (size_t i = 0; i < import->node_count; i++)
        for (size_t o = 0; o < import->nodes[i].output_count; o++) {
            const int value = import->nodes[i].outputs[o];
            if (value < 0)
                continue;
            if (maker[value] >= 0 || import->values[value].state != ONNX_UNSET)
                return onnx_fail(import, CN_MALFORMED, "two nodes give the value '%s'",
                                 import->values[value].name);
            maker[value] = (int)i;
        }
    for (size_t i = 0; i < import->node_count; i++)
        for (size_t k = 0; k < import->nodes[i].input_count; k++)
            if (import->nodes[i].inputs[k] >= 0)
                import->values[import->nodes[i].inputs[k]].uses++;
    return nodes_sort(import, maker);
}

static bool opset_read(struct onnx_import *import) {
    import->opset = 0;
    for (size_t i = 0; i < import->model->n_opset_import; i++)
        if (domain_is_onnx(import->model->opset_import[i]->domain))
            import->opset = import->model->opset_import[i]->version;
    if (import->opset == 0)
        import->opset = 1;
    if (import->opset < 1 || import->opset > 24)
        return onnx_fail(
            import, CN_UNSUPPORTED,
            "is of opset %lld; opsets 7 to 22 are read, and others as far as they agree",
            (long long)import->opset);
    return true;
}

bool onnx_graph_read(struct onnx_import *import) {
    const Onnx__GraphProto *graph = import->model->graph;
    if (graph == NULL || graph->n_node == 0)
        return onnx_fail(import, CN_MALFORMED, "is not an ONNX model: it has no graph with nodes");
    if (!opset_read(import) || !onnx_initializers_read(import, graph))
        return false;
    return nodes_read(import, graph);
}

int onnx_value_index(struct onnx_import *import, const char *name) {
    const json_t *known = json_object_get(import->names, name);
    return known != NULL ? (int)json_integer_value(known) : -1;
}
