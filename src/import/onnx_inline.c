/* onnx_inline.c: puts the nodes of local functions, and of the branch that an If with a known
 * condition takes, in place of the nodes that call them. Used by one thread. */
#include <stdio.h>
#include <string.h>

#include "import/onnx_private.h"

enum { MOST_NESTED = 16 /* calls or branches in one another */ };

static void *branch_allocate(void *data, size_t size) {
    return onnx_allocate(data, size, 1);
}

static void branch_free(void *data, void *pointer) {
    (void)data; /* the import frees all */
    (void)pointer;
}

/* The graph in an attribute. NULL after onnx_fail. */
static Onnx__GraphProto *branch_parse(struct onnx_import *import,
                                      const Onnx__AttributeProto *attribute) {
    ProtobufCAllocator allocator = {branch_allocate, branch_free, import};
    Onnx__GraphProto *graph =
        attribute != NULL && attribute->has_g
            ? onnx__graph_proto__unpack(&allocator, attribute->g.len, attribute->g.data)
            : NULL;
    if (graph == NULL)
        onnx_fail(import, CN_MALFORMED, "an If has a branch that is not a graph");
    return graph;
}

/* ---- Local functions ---- */

struct expansion {
    struct onnx_import *import;
    Onnx__NodeProto **nodes;
    size_t count, room;
};

/* One call of a function. */
struct call {
    const Onnx__FunctionProto *function;
    const Onnx__NodeProto *node;
    size_t number; /* for names */
};

static bool same_text(const char *a, const char *b) {
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static const Onnx__FunctionProto *function_of(const struct onnx_import *import,
                                              const Onnx__NodeProto *node) {
    for (size_t i = 0; i < import->model->n_functions; i++) {
        const Onnx__FunctionProto *function = import->model->functions[i];
        if (function->name != NULL && same_text(function->name, node->op_type) &&
            same_text(function->domain, node->domain) &&
            same_text(function->overload, node->overload))
            return function;
    }
    return NULL;
}

/* The name outside of a function for a name in it: the call's input or output, or a new name. NULL
 * after onnx_fail. */
static char *name_outside(struct onnx_import *import, const struct call *call, char *name) {
    static char none[1];
    const Onnx__FunctionProto *function = call->function;
    const Onnx__NodeProto *node = call->node;
    if (name == NULL || name[0] == '\0')
        return none;
    for (size_t i = 0; i < function->n_input; i++)
        if (same_text(function->input[i], name))
            return i < node->n_input && node->input[i] != NULL ? node->input[i] : none;
    for (size_t i = 0; i < function->n_output && i < node->n_output; i++)
        if (same_text(function->output[i], name) && node->output[i] != NULL &&
            node->output[i][0] != '\0')
            return node->output[i];
    const size_t length = strlen(name) + strlen(function->name) + 32;
    char *made = onnx_allocate(import, length, 1);
    if (made != NULL)
        (void)snprintf(made, length, "%s/%zu/%s", function->name, call->number, name);
    return made;
}

static char **names_outside(struct onnx_import *import, const struct call *call, char **names,
                            size_t count) {
    char **made = onnx_allocate(import, count + 1, sizeof *made);
    for (size_t i = 0; made != NULL && i < count; i++) {
        made[i] = name_outside(import, call, names[i]);
        if (made[i] == NULL)
            return NULL;
    }
    return made;
}

/* The attribute that the call gives under this name, or the function's default; NULL: none. */
static const Onnx__AttributeProto *attribute_given(const struct call *call, const char *name) {
    for (size_t i = 0; i < call->node->n_attribute; i++)
        if (same_text(call->node->attribute[i]->name, name))
            return call->node->attribute[i];
    for (size_t i = 0; i < call->function->n_attribute_proto; i++)
        if (same_text(call->function->attribute_proto[i]->name, name))
            return call->function->attribute_proto[i];
    return NULL;
}

static bool node_outside(struct onnx_import *import, const struct call *call, int depth,
                         Onnx__NodeProto *node);

/* Gives the graph in an attribute of a function's node the names outside of the function. */
static bool branch_outside(struct onnx_import *import, const struct call *call, int depth,
                           Onnx__AttributeProto *attribute) {
    if (depth == MOST_NESTED)
        return onnx_fail(import, CN_LIMIT, "has over %d branches in one another", MOST_NESTED);
    Onnx__GraphProto *graph = branch_parse(import, attribute);
    bool good = graph != NULL;
    for (size_t i = 0; good && i < graph->n_node; i++)
        good = node_outside(import, call, depth + 1, graph->node[i]);
    for (size_t i = 0; good && i < graph->n_initializer; i++) {
        graph->initializer[i]->name = name_outside(import, call, graph->initializer[i]->name);
        good = graph->initializer[i]->name != NULL;
    }
    for (size_t i = 0; good && i < graph->n_output; i++) {
        graph->output[i]->name = name_outside(import, call, graph->output[i]->name);
        good = graph->output[i]->name != NULL;
    }
    if (!good)
        return false;
    attribute->g.len = onnx__graph_proto__get_packed_size(graph);
    attribute->g.data = onnx_allocate(import, attribute->g.len + 1, 1);
    if (attribute->g.data == NULL)
        return false;
    (void)onnx__graph_proto__pack(graph, attribute->g.data);
    return true;
}

/* Gives the copy of a node its own attributes: those that refer to the function's get the call's,
 * and graphs in them the names outside of it. */
static bool attributes_outside(struct onnx_import *import, const struct call *call, int depth,
                               Onnx__NodeProto *copy) {
    Onnx__AttributeProto **list = onnx_allocate(import, copy->n_attribute + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; list != NULL && i < copy->n_attribute; i++) {
        Onnx__AttributeProto *own = copy->attribute[i];
        const bool refers = own->ref_attr_name != NULL && own->ref_attr_name[0] != '\0';
        const Onnx__AttributeProto *from = refers ? attribute_given(call, own->ref_attr_name) : own;
        if (from == NULL)
            continue; /* the operator's default */
        list[count] = onnx_allocate(import, 1, sizeof **list);
        if (list[count] == NULL)
            return false;
        *list[count] = *from;
        list[count]->name = own->name;
        if (!refers && own->has_g && !branch_outside(import, call, depth, list[count]))
            return false;
        count++;
    }
    copy->attribute = list;
    copy->n_attribute = count;
    return list != NULL;
}

/* Renames the inputs and outputs in a copy of a function's node to the names outside. `depth`: the
 * branches around it. */
static bool node_outside(struct onnx_import *import, const struct call *call, int depth,
                         Onnx__NodeProto *node) {
    node->input = names_outside(import, call, node->input, node->n_input);
    node->output = names_outside(import, call, node->output, node->n_output);
    return node->input != NULL && node->output != NULL &&
           attributes_outside(import, call, depth, node);
}

static bool node_append(struct expansion *e, Onnx__NodeProto *node) {
    if (e->count == e->room) {
        const size_t room = e->room * 2 + 64;
        Onnx__NodeProto **larger = onnx_allocate(e->import, room, sizeof *larger);
        if (larger == NULL)
            return false;
        if (e->count > 0)
            memcpy(larger, e->nodes, e->count * sizeof *larger);
        e->nodes = larger;
        e->room = room;
    }
    if (e->count == ONNX_MAX_NODES)
        return onnx_fail(e->import, CN_LIMIT, "has over %d nodes, those of its functions included",
                         ONNX_MAX_NODES);
    e->nodes[e->count++] = node;
    return true;
}

static bool node_expand(struct expansion *e, Onnx__NodeProto *node, int depth) {
    const Onnx__FunctionProto *function = function_of(e->import, node);
    if (function == NULL)
        return node_append(e, node);
    if (depth == MOST_NESTED || e->import->calls == ONNX_MAX_NODES)
        return onnx_fail(e->import, CN_LIMIT, "calls its functions over %d times, or over %d deep",
                         ONNX_MAX_NODES, MOST_NESTED);
    const struct call call = {function, node, ++e->import->calls};
    for (size_t i = 0; i < function->n_node; i++) {
        Onnx__NodeProto *copy = onnx_allocate(e->import, 1, sizeof *copy);
        if (copy == NULL)
            return false;
        *copy = *function->node[i];
        if (!node_outside(e->import, &call, 0, copy) || !node_expand(e, copy, depth + 1))
            return false;
    }
    return true;
}

bool onnx_functions_expand(struct onnx_import *import, Onnx__NodeProto **nodes, size_t count,
                           Onnx__NodeProto ***ret_nodes, size_t *ret_count) {
    struct expansion e = {.import = import};
    const size_t before = import->calls;
    *ret_nodes = nodes;
    *ret_count = count;
    if (import->model->n_functions == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        if (!node_expand(&e, nodes[i], 0))
            return false;
    if (import->calls > before)
        onnx_note(import, "%zu calls of the file's own functions were replaced by their nodes",
                  import->calls - before);
    *ret_nodes = e.nodes;
    *ret_count = e.count;
    return true;
}

/* ---- Branches ---- */

static bool name_add(json_t *names, const char *name) {
    return name == NULL || name[0] == '\0' || json_object_set_new(names, name, json_true()) == 0;
}

/* Adds to `names` what the nodes of a graph, and of those in it, read from outside of it. */
static bool outer_names(struct onnx_import *import, const Onnx__GraphProto *graph, int depth,
                        json_t *names) {
    json_t *used = json_object(), *value;
    const char *name;
    bool good = depth < MOST_NESTED;
    if (!good)
        onnx_fail(import, CN_LIMIT, "has over %d branches in one another", MOST_NESTED);
    for (size_t i = 0; i < graph->n_node && good; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        for (size_t k = 0; k < node->n_input; k++)
            good = good && name_add(used, node->input[k]);
        for (size_t k = 0; k < node->n_attribute && good; k++)
            if (node->attribute[k]->has_g) {
                const Onnx__GraphProto *inner = branch_parse(import, node->attribute[k]);
                good = inner != NULL && outer_names(import, inner, depth + 1, used);
            }
    }
    for (size_t i = 0; i < graph->n_output; i++)
        good = good && name_add(used, graph->output[i]->name);
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (graph->node[i]->output[k] != NULL)
                (void)json_object_del(used, graph->node[i]->output[k]);
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name != NULL)
            (void)json_object_del(used, graph->initializer[i]->name);
    json_object_foreach(used, name, value) good = good && name_add(names, name);
    json_decref(used);
    if (!good && import->status == CN_OK)
        onnx_fail(import, CN_MALFORMED, "a branch reads a value whose name is not UTF-8");
    return good;
}

/* Two inputs for each name: nothing may take such a value for one that is read once. */
bool onnx_branch_inputs(struct onnx_import *import, struct onnx_node *node) {
    json_t *names = json_object(), *value;
    const char *name;
    bool good = true, any = false;
    for (size_t i = 0; i < node->proto->n_attribute && good; i++)
        if (node->proto->attribute[i]->has_g) {
            const Onnx__GraphProto *graph = branch_parse(import, node->proto->attribute[i]);
            good = graph != NULL && outer_names(import, graph, 0, names);
            any = true;
        }
    const size_t more = 2 * json_object_size(names);
    int *inputs =
        good && any ? onnx_allocate(import, node->input_count + more + 1, sizeof *inputs) : NULL;
    if (inputs != NULL) {
        memcpy(inputs, node->inputs, node->input_count * sizeof *inputs);
        node->inputs = inputs;
        json_object_foreach(names, name, value) {
            char *kept = onnx_allocate(import, strlen(name) + 1, 1); /* a value keeps its name */
            const int index = kept != NULL ? onnx_value_named(import, strcpy(kept, name)) : -1;
            good = good && index >= 0;
            node->inputs[node->input_count++] = index;
            node->inputs[node->input_count++] = index;
        }
    }
    json_decref(names);
    return good && (!any || inputs != NULL);
}

static bool branch_convert(struct onnx_import *import, const Onnx__GraphProto *graph) {
    Onnx__NodeProto **nodes;
    size_t count;
    if (!onnx_initializers_read(import, graph) ||
        !onnx_functions_expand(import, graph->node, graph->n_node, &nodes, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct onnx_node *node = onnx_allocate(import, 1, sizeof *node);
        if (node == NULL || !onnx_node_read(import, nodes[i], node) ||
            !onnx_node_convert(import, node))
            return false;
    }
    return true;
}

bool onnx_lower_if(struct onnx_import *import) {
    const struct onnx_node *node = import->node;
    const struct onnx_value *condition = onnx_input(import, 0);
    if (condition == NULL || condition->state != ONNX_CONSTANT || condition->tensor->count != 1)
        return onnx_refuse(import, "its condition is not known; control flow is not supported");
    const char *taken = onnx_number(condition->tensor, 0) != 0 ? "then_branch" : "else_branch";
    if (import->branches == MOST_NESTED)
        return onnx_refuse(import, "it is over %d branches deep", MOST_NESTED);
    const Onnx__GraphProto *graph = branch_parse(import, onnx_attribute(node, taken));
    if (graph == NULL)
        return false;
    if (graph->n_output < node->output_count)
        return onnx_refuse(import, "its branch has %zu outputs for its %zu", graph->n_output,
                           node->output_count);
    import->branches++;
    const bool good = branch_convert(import, graph);
    import->branches--;
    import->node = node;
    if (!good)
        return false;
    onnx_note(import, "If '%s': its %s was taken", node->label, taken);
    for (size_t i = 0; i < node->output_count; i++) {
        struct onnx_value *output = onnx_output(import, i);
        const char *name = graph->output[i]->name;
        const int index = name != NULL ? onnx_value_index(import, name) : -1;
        const struct onnx_value *result = index >= 0 ? &import->values[index] : NULL;
        if (output == NULL)
            continue;
        if (result == NULL || (result->state != ONNX_CONSTANT && result->state != ONNX_DYNAMIC))
            return onnx_refuse(import, "its branch does not give its output '%s'", output->name);
        if (result->state == ONNX_CONSTANT)
            onnx_set_constant(output, result->tensor);
        else
            onnx_result_like(output, result->type, result, result->layer);
    }
    return true;
}
