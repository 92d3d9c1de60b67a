/* architecture_tree.c: opens Keras JSON as a tree of models and layers, and resolves which call
 * reads which output. It makes no network: architecture.c calls the tree. No state. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/architecture.h"

enum { MAX_DEPTH = 16, MAX_REFERENCES = 1 << 16 };

/* The state that all functions share. */
struct opening {
    bool lenient;
    size_t references; /* number so far */
    size_t refused;    /* number of layers whose type is not supported */
    char refusals[200];
    struct cn_keras_layer first_refused;
    struct cn_error *error;
};

void cn_keras_tree_free(struct cn_keras_model *model) {
    if (model == NULL)
        return;
    for (size_t n = 0; n < model->node_count; n++) {
        struct cn_keras_node *node = &model->nodes[n];
        for (size_t c = 0; c < node->call_count; c++) {
            free(node->calls[c].inputs);
            free(node->calls[c].outputs);
        }
        free(node->calls);
        cn_keras_tree_free(node->model);
    }
    free(model->nodes);
    free(model->inputs);
    free(model->outputs);
    free(model);
}

static enum cn_status no_memory(const struct opening *a) {
    return cn_fail(a->error, CN_MEMORY, "no memory for the architecture");
}

bool cn_keras_is_model(const char *class_name, const json_t *config) {
    static const char *const names[] = {"Sequential", "Functional", "Model"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(class_name, names[i]) == 0)
            return true;
    return json_is_array(json_object_get(config, "layers")) &&
           json_object_get(config, "output_layers") != NULL;
}

static size_t find_node(const struct cn_keras_model *model, const char *name) {
    for (size_t n = 0; n < model->node_count && name != NULL; n++)
        if (model->nodes[n].entry.name != NULL && strcmp(model->nodes[n].entry.name, name) == 0)
            return n;
    return SIZE_MAX;
}

/* Appends [name, call, tensor, ...] to a list. */
static enum cn_status add_reference(struct opening *a, const struct cn_keras_model *model,
                                    const char *label, const json_t *list,
                                    struct cn_keras_reference **references, size_t *count) {
    char shown[CN_JSON_TEXT];
    const json_t *call = json_array_get(list, 1), *tensor = json_array_get(list, 2);
    const size_t node = find_node(model, json_string_value(json_array_get(list, 0)));
    if (!json_is_integer(call) || !json_is_integer(tensor) || json_integer_value(call) < 0 ||
        json_integer_value(tensor) < 0)
        return cn_fail(a->error, CN_MALFORMED,
                       "%s reads %s; it must be a layer's name and two "
                       "numbers",
                       label, cn_json_show(list, shown));
    if (node == SIZE_MAX)
        return cn_fail(a->error, CN_MALFORMED, "%s reads %s, which is not there", label,
                       cn_json_show(json_array_get(list, 0), shown));
    if (++a->references > MAX_REFERENCES)
        return cn_fail(a->error, CN_LIMIT, "the layers read more than %d values",
                       (int)MAX_REFERENCES);
    if (*count >= CN_LAYER_MAX_INPUTS)
        return cn_fail(a->error, CN_LIMIT, "%s reads more than the limit of %d", label,
                       (int)CN_LAYER_MAX_INPUTS);
    struct cn_keras_reference *longer = realloc(*references, (*count + 1) * sizeof *longer);
    if (longer == NULL)
        return no_memory(a);
    *references = longer;
    longer[(*count)++] = (struct cn_keras_reference){node, (size_t)json_integer_value(call),
                                                     (size_t)json_integer_value(tensor)};
    return CN_OK;
}

static bool is_reference(const json_t *value) {
    return json_array_size(value) >= 3 && json_is_string(json_array_get(value, 0)) &&
           json_is_integer(json_array_get(value, 1)) && json_is_integer(json_array_get(value, 2));
}

bool cn_keras_is_constant(const json_t *value) {
    const char *name = json_string_value(json_array_get(value, 0));
    return name != NULL && strcmp(name, "_CONSTANT_VALUE") == 0;
}

/* Collects the references in a call's arguments, in order: Keras 2's [name, call, tensor,
 * keywords], Keras 3's {"class_name": "__keras_tensor__", "config": {"keras_history": [...]}}, and
 * lists and keywords of these. */
static enum cn_status collect(struct opening *a, const struct cn_keras_model *model,
                              const char *label, const json_t *value, int depth,
                              struct cn_keras_use *call) {
    enum cn_status status = CN_OK;
    const json_t *element;
    const char *key;
    size_t i;
    if (depth > MAX_DEPTH)
        return cn_fail(a->error, CN_LIMIT, "%s: its inbound_nodes are nested too deeply", label);
    if (cn_keras_is_constant(value))
        return collect(a, model, label, json_array_get(value, 3), depth + 1, call);
    if (is_reference(value)) {
        status = add_reference(a, model, label, value, &call->inputs, &call->input_count);
        const json_t *keywords = json_array_get(value, 3);
        return status == CN_OK && json_is_object(keywords)
                   ? collect(a, model, label, keywords, depth + 1, call)
                   : status;
    }
    if (json_is_array(value)) {
        json_array_foreach(value, i, element) {
            if (status == CN_OK)
                status = collect(a, model, label, element, depth + 1, call);
        }
        return status;
    }
    const json_t *history = json_object_get(json_object_get(value, "config"), "keras_history");
    if (history != NULL)
        return add_reference(a, model, label, history, &call->inputs, &call->input_count);
    json_object_foreach((json_t *)(uintptr_t)value, key, element) {
        if (status == CN_OK)
            status = collect(a, model, label, element, depth + 1, call);
    }
    return status;
}

static enum cn_status open_calls(struct opening *a, const struct cn_keras_model *model,
                                 struct cn_keras_node *node, const json_t *object) {
    char shown[CN_JSON_TEXT];
    const json_t *list = json_object_get(object, "inbound_nodes");
    const size_t count = json_array_size(list);
    if (list != NULL && !json_is_array(list))
        return cn_fail(a->error, CN_MALFORMED, "%s: inbound_nodes is %s; it must be a list",
                       node->entry.label, cn_json_show(list, shown));
    if (node->is_input || count == 0)
        return CN_OK;
    if (count > CN_NETWORK_MAX_LAYERS)
        return cn_fail(a->error, CN_LIMIT, "%s is used %zu times; the limit is %d",
                       node->entry.label, count, CN_NETWORK_MAX_LAYERS);
    node->calls = calloc(count, sizeof *node->calls);
    if (node->calls == NULL)
        return no_memory(a);
    node->call_count = count;
    enum cn_status status = CN_OK;
    for (size_t c = 0; c < count && status == CN_OK; c++) {
        node->calls[c].given = json_array_get(list, c);
        status = collect(a, model, node->entry.label, node->calls[c].given, 0, &node->calls[c]);
    }
    return status;
}

/* Reads the inputs or outputs of a model: one reference, or a list or table of them. */
static enum cn_status open_ends(struct opening *a, const struct cn_keras_model *model,
                                const char *key, struct cn_keras_reference **ret_list,
                                size_t *ret_count) {
    const json_t *value = json_object_get(model->config, key);
    struct cn_keras_use call = {0};
    const enum cn_status status = collect(a, model, key, value, 0, &call);
    *ret_list = call.inputs;
    *ret_count = call.input_count;
    if (status == CN_OK && call.input_count == 0)
        return cn_fail(a->error, CN_MALFORMED, "the model has no %s", key);
    return status;
}

static enum cn_status open_model(struct opening *a, const struct cn_keras_layer *entry, bool frozen,
                                 int depth, struct cn_keras_model **ret_model);

/* Records an unsupported layer; all are reported at once, when the whole tree is open. */
static void note_refusal(struct opening *a, const struct cn_keras_layer *entry) {
    char name[CN_JSON_TEXT], class_name[CN_JSON_TEXT];
    const size_t used = strlen(a->refusals);
    (void)snprintf(a->refusals + used, sizeof a->refusals - used, "%s%s (%s)",
                   a->refused > 0 ? ", " : "",
                   cn_text_show(entry->name != NULL ? entry->name : entry->label, name),
                   cn_text_show(entry->class_name, class_name));
    if (a->refused++ == 0)
        a->first_refused = *entry;
}

static enum cn_status refuse_classes(const struct opening *a) {
    if (a->refused == 0)
        return CN_OK;
    if (a->refused == 1)
        return cn_keras_refuse_class(&a->first_refused);
    return cn_fail(a->error, CN_UNSUPPORTED, "%zu layers are of types that are not supported: %s",
                   a->refused, a->refusals);
}

static enum cn_status open_node(struct opening *a, struct cn_keras_node *node, json_t *object,
                                size_t index, bool frozen, int depth) {
    enum cn_status status = cn_keras_layer_open(object, index, a->lenient, &node->entry, a->error);
    if (status != CN_OK)
        return status;
    node->is_input = strcmp(node->entry.class_name, "InputLayer") == 0;
    node->frozen = frozen || json_is_false(json_object_get(node->entry.config, "trainable"));
    if (cn_keras_is_model(node->entry.class_name, node->entry.config))
        return open_model(a, &node->entry, node->frozen, depth + 1, &node->model);
    if (!json_is_object(node->entry.config))
        return cn_fail(a->error, CN_MALFORMED, "%s: its config must be an object",
                       node->entry.label);
    if (node->is_input ||
        (a->lenient && cn_keras_trains_only_class(node->entry.class_name, node->entry.config)))
        return CN_OK;
    bool known = true;
    node->module = json_object_get(object, "module");
    node->is_operation =
        cn_keras_is_operation(node->entry.class_name, node->entry.config, node->module, &known);
    if (node->is_operation) {
        if (!known)
            note_refusal(a, &node->entry);
        return CN_OK;
    }
    node->function =
        cn_keras_take_function(node->entry.class_name, node->entry.config, &node->alone);
    node->alone = node->alone && node->function.function != NULL;
    if (!node->alone && cn_keras_layer_type(&node->entry) == NULL)
        note_refusal(a, &node->entry);
    return CN_OK;
}

/* Opens a list of layers, each of which reads the one before. */
static enum cn_status open_sequential(struct opening *a, struct cn_keras_model *model) {
    for (size_t n = 1; n < model->node_count; n++)
        if (model->nodes[n].is_input)
            return cn_fail(a->error, CN_UNSUPPORTED,
                           "%s is an InputLayer; it may only be the first",
                           model->nodes[n].entry.label);
    return CN_OK;
}

/* In Keras 2 the calls of a nested model are counted from 1, since building it counts as one. */
static void count_from_zero(struct cn_keras_model *model) {
    for (int pass = 0; pass < 2; pass++)
        for (size_t m = 0; m <= model->node_count; m++) {
            const bool ends = m == model->node_count;
            const size_t calls = ends ? 1 : model->nodes[m].call_count;
            for (size_t c = 0; c < calls; c++) {
                struct cn_keras_reference *list =
                    ends ? model->outputs : model->nodes[m].calls[c].inputs;
                const size_t count =
                    ends ? model->output_count : model->nodes[m].calls[c].input_count;
                for (size_t i = 0; i < count; i++) {
                    struct cn_keras_node *read = &model->nodes[list[i].node];
                    if (pass == 0)
                        read->from_1 = read->from_1 ||
                                       (read->model != NULL && list[i].call >= read->call_count);
                    else if (read->from_1 && list[i].call > 0)
                        list[i].call--;
                }
            }
        }
}

static enum cn_status open_functional(struct opening *a, struct cn_keras_model *model,
                                      const json_t *layers) {
    enum cn_status status = CN_OK;
    for (size_t n = 0; n < model->node_count && status == CN_OK; n++)
        status = open_calls(a, model, &model->nodes[n], json_array_get(layers, n));
    if (status == CN_OK)
        status = open_ends(a, model, "input_layers", &model->inputs, &model->input_count);
    if (status == CN_OK)
        status = open_ends(a, model, "output_layers", &model->outputs, &model->output_count);
    if (status == CN_OK)
        count_from_zero(model);
    for (size_t i = 0; i < model->input_count && status == CN_OK; i++)
        if (!model->nodes[model->inputs[i].node].is_input)
            status = cn_fail(a->error, CN_MALFORMED,
                             "%s is one of the input_layers, but no "
                             "InputLayer",
                             model->nodes[model->inputs[i].node].entry.label);
    return status;
}

static enum cn_status open_model(struct opening *a, const struct cn_keras_layer *entry, bool frozen,
                                 int depth, struct cn_keras_model **ret_model) {
    json_t *layers =
        json_is_array(entry->config) ? entry->config : json_object_get(entry->config, "layers");
    if (depth > MAX_DEPTH)
        return cn_fail(a->error, CN_LIMIT, "models are nested over %d deep", MAX_DEPTH);
    if (!json_is_array(layers) || json_array_size(layers) == 0)
        return cn_fail(a->error, CN_MALFORMED, "the %s model has no list of layers",
                       entry->class_name);
    if (json_array_size(layers) > CN_NETWORK_MAX_LAYERS + 1) /* plus the InputLayer */
        return cn_fail(a->error, CN_LIMIT, "the %s model has %zu layers; the limit is %d",
                       entry->class_name, json_array_size(layers), CN_NETWORK_MAX_LAYERS);
    struct cn_keras_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return no_memory(a);
    *ret_model = model;
    model->name = entry->name;
    model->config = entry->config;
    model->sequential = json_object_get(entry->config, "output_layers") == NULL;
    model->nodes = calloc(json_array_size(layers), sizeof *model->nodes);
    if (model->nodes == NULL)
        return no_memory(a);
    model->node_count = json_array_size(layers);
    enum cn_status status = CN_OK;
    for (size_t n = 0; n < model->node_count && status == CN_OK; n++)
        status = open_node(a, &model->nodes[n], json_array_get(layers, n), n, frozen, depth);
    if (status == CN_OK)
        status = model->sequential ? open_sequential(a, model) : open_functional(a, model, layers);
    return status;
}

enum cn_status cn_keras_tree_open(const struct cn_keras_layer *entry,
                                  struct cn_keras_model **ret_model) {
    struct opening opening = {.lenient = entry->lenient, .error = entry->error};
    const enum cn_status status = open_model(&opening, entry, false, 0, ret_model);
    return status == CN_OK ? refuse_classes(&opening) : status;
}
