/* keras_file.c: the contents and layout of a network as a Keras file. The import program, which
 * links the libraries, writes the file (import/keras_pack.c). No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/export/export.h"
#include "cli/import.h"
#include "import/protocol.h"
#include "model/architecture.h"
#include "json/load.h"

#define KERAS_3_VERSION "3.10.0"
#define KERAS_2_VERSION "2.15.0"

static const char *member(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static bool is_call(const json_t *layer) {
    return strstr(member(layer, "module"), ".ops.") != NULL;
}

/* ---- The order in which Keras counts the layers of a Functional model ----
 * Layers are ordered by depth, which is a layer's longest way to an output, and within one depth as
 * a search from the outputs meets them: map_graph in keras/src/ops/function.py. Keras finds the
 * weights by that order, so the file must have it. */

struct graph {
    const json_t *layers;
    json_t *places;      /* name to index */
    size_t count, calls; /* layers; all calls of them */
    size_t *first;       /* of a layer: the number of its first call */
    size_t *owner;       /* of a call: its layer */
    size_t *depth, *met; /* of a call and of a layer; SIZE_MAX: not met */
    size_t *layer_depth;
    size_t *done, done_count; /* calls, inputs first */
    bool *is_done;
};

typedef void graph_visit(struct graph *g, size_t call, void *context);

/* Visits each tensor in the arguments of a call. */
static void each_tensor(struct graph *g, const json_t *value, graph_visit *visit, void *context) {
    const json_t *element;
    size_t i;
    if (strcmp(member(value, "class_name"), "__keras_tensor__") == 0) {
        const json_t *history = json_object_get(json_object_get(value, "config"), "keras_history");
        const json_t *place =
            json_object_get(g->places, json_string_value(json_array_get(history, 0)));
        visit(g,
              g->first[json_integer_value(place)] +
                  (size_t)json_integer_value(json_array_get(history, 1)),
              context);
    }
    json_array_foreach(value, i, element) each_tensor(g, element, visit, context);
}

static void each_source(struct graph *g, size_t call, graph_visit *visit, void *context) {
    const size_t owner = g->owner[call];
    const json_t *nodes = json_object_get(json_array_get(g->layers, owner), "inbound_nodes");
    each_tensor(g, json_object_get(json_array_get(nodes, call - g->first[owner]), "args"), visit,
                context);
}

static void search(struct graph *g, size_t call, void *met) {
    size_t *next = met;
    if (g->is_done[call])
        return;
    g->is_done[call] = true; /* there are no cycles here */
    if (g->met[g->owner[call]] == SIZE_MAX)
        g->met[g->owner[call]] = (*next)++;
    each_source(g, call, search, met);
    g->done[g->done_count++] = call;
}

static void deepen(struct graph *g, size_t call, void *depth) {
    const size_t least = *(const size_t *)depth + 1;
    if (g->depth[call] < least)
        g->depth[call] = least;
}

static void graph_measure(struct graph *g, const json_t *outputs) {
    const json_t *output;
    size_t i, next = 0;
    json_array_foreach(outputs, i, output) {
        const json_t *place =
            json_object_get(g->places, json_string_value(json_array_get(output, 0)));
        search(g,
               g->first[json_integer_value(place)] +
                   (size_t)json_integer_value(json_array_get(output, 1)),
               &next);
    }
    for (i = g->done_count; i-- > 0;) {
        const size_t call = g->done[i], owner = g->owner[call];
        if (g->layer_depth[owner] > g->depth[call])
            g->depth[call] = g->layer_depth[owner];
        g->layer_depth[owner] = g->depth[call];
        each_source(g, call, deepen, &g->depth[call]);
    }
}

static bool comes_before(const struct graph *g, size_t a, size_t b) {
    return g->layer_depth[a] != g->layer_depth[b] ? g->layer_depth[a] > g->layer_depth[b]
                                                  : g->met[a] < g->met[b];
}

/* The layers that an output needs, and the inputs, in that order. */
static json_t *graph_ordered(const struct graph *g) {
    json_t *ordered = json_array();
    size_t *order = calloc(g->count + 1, sizeof *order), count = 0;
    for (size_t l = 0; order != NULL && l < g->count; l++) {
        const bool input =
            strcmp(member(json_array_get(g->layers, l), "class_name"), "InputLayer") == 0;
        size_t place = count;
        if (g->met[l] == SIZE_MAX && !input)
            continue;
        for (; place > 0 && comes_before(g, l, order[place - 1]); place--)
            order[place] = order[place - 1];
        order[place] = l;
        count++;
    }
    for (size_t i = 0; order != NULL && i < count; i++)
        (void)json_array_append(ordered, json_array_get(g->layers, order[i]));
    free(order);
    return ordered;
}

/* Puts the layers of a Functional model into Keras's order. */
static enum cn_status order_layers(json_t *config, struct cn_error *error) {
    json_t *layers = json_object_get(config, "layers");
    struct graph g = {.layers = layers, .places = json_object(), .count = json_array_size(layers)};
    const json_t *layer;
    size_t l;
    g.first = calloc(3 * g.count + 1, sizeof *g.first);
    json_array_foreach(layers, l, layer) {
        const size_t calls = json_array_size(json_object_get(layer, "inbound_nodes"));
        (void)json_object_set_new(g.places, member(layer, "name"), json_integer((json_int_t)l));
        if (g.first != NULL)
            g.first[l] = g.calls;
        g.calls += calls > 0 ? calls : 1;
    }
    g.owner = calloc(3 * g.calls + 1, sizeof *g.owner);
    g.is_done = calloc(g.calls + 1, sizeof *g.is_done);
    const bool good = g.first != NULL && g.owner != NULL && g.is_done != NULL;
    if (good) {
        g.met = g.first + g.count;
        g.layer_depth = g.met + g.count;
        g.depth = g.owner + g.calls;
        g.done = g.depth + g.calls;
        for (l = 0; l < g.count; l++) {
            const size_t end = l + 1 < g.count ? g.first[l + 1] : g.calls;
            g.met[l] = SIZE_MAX;
            for (size_t call = g.first[l]; call < end; call++)
                g.owner[call] = l;
        }
        graph_measure(&g, json_object_get(config, "output_layers"));
        (void)json_object_set_new(config, "layers", graph_ordered(&g));
    }
    json_decref(g.places);
    free(g.first);
    free(g.owner);
    free(g.is_done);
    return good ? CN_OK
                : cn_fail(error, CN_MEMORY, "no memory for the order of %zu layers", g.count);
}

/* ---- The places of the weights ---- */

struct layout {
    const struct cn_network *network;
    json_t *groups, *arrays;
};

/* Called for one weight of our layer `holds`, with its name, shape and first float. */
typedef void weight_visit(struct layout *layout, const char *path, size_t index, const char *name,
                          json_t *shape, size_t first);

/* The layer's weights in Keras's order: those that are trained come first. */
static void each_weight(struct layout *layout, const char *holds, const char *path,
                        weight_visit *visit) {
    const struct cn_layer *layer = NULL;
    size_t index = 0;
    for (size_t l = 0; l < layout->network->layer_count; l++)
        if (strcmp(layout->network->layers[l].name, holds) == 0)
            layer = &layout->network->layers[l];
    for (int trainable = 1; layer != NULL && trainable >= 0; trainable--)
        for (size_t t = 0; t < layer->tensor_count; t++) {
            const struct cn_tensor_spec *tensor = &layer->tensors[t];
            const float *at = cli_export_weights(layout->network, layer, tensor->name);
            if (tensor->trainable == (trainable == 1) && at != NULL)
                visit(layout, path, index++, tensor->name, cn_json_ints(tensor->dims, tensor->rank),
                      (size_t)(at - layout->network->parameters));
        }
    /* Keras counts the batches that it has seen: the float after all weights, which is 0. */
    if (layer != NULL && strcmp(cn_layer_type_name(layer->type), "Normalization") == 0)
        visit(layout, path, index, "count", json_array(), layout->network->parameter_count);
}

static void add_group(struct layout *layout, const char *path, json_t *attributes) {
    (void)json_array_append_new(layout->groups, json_pack("[s, o]", path, attributes));
}

static void add_numbered(struct layout *layout, const char *path, size_t index, const char *name,
                         json_t *shape, size_t first) {
    char place[160];
    (void)name;
    (void)snprintf(place, sizeof place, "%s/%zu", path, index);
    (void)json_array_append_new(layout->arrays,
                                json_pack("[s, o, I]", place, shape, (json_int_t)first));
}

/* Keras 3: the nth layer of a class has the nth group of this class. */
static void lay_out_keras(struct layout *layout, const json_t *layers, bool chain) {
    json_t *seen = json_object();
    const json_t *layer;
    size_t i;
    add_group(layout, "vars", json_pack("{s:s}", "name", layout->network->name));
    json_array_foreach(layers, i, layer) {
        char group[CN_KERAS_GROUP_NAME], path[160];
        const char *class_name = member(layer, "class_name");
        if (is_call(layer) || (chain && strcmp(class_name, "InputLayer") == 0))
            continue;
        cn_keras_group_name(class_name, group);
        const json_int_t number = json_integer_value(json_object_get(seen, group));
        (void)json_object_set_new(seen, group, json_integer(number + 1));
        if (number > 0)
            (void)snprintf(path, sizeof path, "layers/%s_%lld/vars", group, (long long)number);
        else
            (void)snprintf(path, sizeof path, "layers/%s/vars", group);
        add_group(layout, path,
                  json_pack("{s:s}", "name", member(json_object_get(layer, "config"), "name")));
        each_weight(layout, member(layer, "holds"), path, add_numbered);
    }
    json_decref(seen);
}

/* "model_weights/conv/conv/kernel:0", and in the group's list. */
static void add_named(struct layout *layout, const char *path, size_t index, const char *name,
                      json_t *shape, size_t first) {
    const json_t *group = json_array_get(layout->groups, json_array_size(layout->groups) - 1);
    const char *layer = strchr(path, '/') + 1;
    char place[3 * CN_LAYER_NAME + 40], listed[CN_LAYER_NAME + 40];
    (void)index;
    (void)snprintf(listed, sizeof listed, "%s/%s:0", layer, name);
    (void)snprintf(place, sizeof place, "%s/%s", path, listed);
    (void)json_array_append_new(json_object_get(json_array_get(group, 1), "weight_names"),
                                json_string(listed));
    (void)json_array_append_new(layout->arrays,
                                json_pack("[s, o, I]", place, shape, (json_int_t)first));
}

/* Keras 2: a group per layer, by name. */
static void lay_out_hdf5(struct layout *layout, const json_t *layers) {
    json_t *names = json_array();
    const json_t *layer;
    size_t i;
    json_array_foreach(layers, i, layer)(void)
        json_array_append(names, json_object_get(json_object_get(layer, "config"), "name"));
    add_group(layout, "model_weights",
              json_pack("{s:s, s:s, s:o}", "backend", "tensorflow", "keras_version",
                        KERAS_2_VERSION, "layer_names", names));
    json_array_foreach(layers, i, layer) {
        char path[CN_LAYER_NAME + 20];
        (void)snprintf(path, sizeof path, "model_weights/%s",
                       member(json_object_get(layer, "config"), "name"));
        add_group(layout, path, json_pack("{s:[]}", "weight_names"));
        each_weight(layout, member(layer, "holds"), path, add_named);
    }
}

/* ---- Further contents of config.json ---- */

/* Keras 3 is recognised by its dtype policies, and names a single input or output without a list.
 */
static void finish_config(json_t *model) {
    json_t *config = json_object_get(model, "config"), *layer;
    static const char *const ends[] = {"input_layers", "output_layers"};
    size_t i;
    (void)json_object_set_new(config, "trainable", json_true());
    json_array_foreach(json_object_get(config, "layers"), i, layer) {
        json_t *keys = json_object_get(layer, "config");
        if (strcmp(member(layer, "class_name"), "InputLayer") == 0)
            (void)json_object_set_new(keys, "sparse", json_false());
        else if (!is_call(layer))
            (void)json_object_set_new(keys, "dtype",
                                      json_pack("{s:s, s:s, s:{s:s}, s:n}", "module", "keras",
                                                "class_name", "DTypePolicy", "config", "name",
                                                "float32", "registered_name"));
        if (json_object_get(keys, "trainable") == NULL && !is_call(layer) &&
            strcmp(member(layer, "class_name"), "InputLayer") != 0)
            (void)json_object_set_new(keys, "trainable", json_true());
        (void)json_object_del(layer, "holds");
    }
    for (i = 0; i < 2; i++) {
        json_t *list = json_object_get(config, ends[i]);
        if (json_array_size(list) == 1)
            (void)json_object_set(config, ends[i], json_array_get(list, 0));
    }
}

static char *dump(const json_t *value) {
    return json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9));
}

/* The layout of keras_pack.h as text; caller frees with free(). */
static enum cn_status make_layout(const struct cn_model *model, bool hdf5, char **ret_text,
                                  struct cn_error *error) {
    struct layout layout = {model->network, json_array(), json_array()};
    json_t *root = NULL;
    enum cn_status status =
        cli_export_layers(model->network, hdf5 ? CLI_KERAS_2 : CLI_KERAS_3, &root, error);
    json_t *config = json_object_get(root, "config"), *entries = json_null();
    const bool chain = strcmp(member(root, "class_name"), "Sequential") == 0;
    if (status == CN_OK && !chain)
        status = order_layers(config, error);
    if (status == CN_OK && hdf5) {
        lay_out_hdf5(&layout, json_object_get(config, "layers"));
        cli_export_respell(root);
        char *text = dump(root);
        add_group(&layout, "/",
                  json_pack("{s:s, s:s, s:s*}", "backend", "tensorflow", "keras_version",
                            KERAS_2_VERSION, "model_config", text));
        free(text);
    } else if (status == CN_OK) {
        lay_out_keras(&layout, json_object_get(config, "layers"), chain);
        finish_config(root);
        char *text = dump(root);
        entries = json_pack("{s:s, s:s*}", "metadata.json",
                            "{\"keras_version\": \"" KERAS_3_VERSION "\"}", "config.json", text);
        free(text);
    }
    if (status == CN_OK) {
        json_t *whole = json_pack("{s:O, s:O, s:o}", "groups", layout.groups, "arrays",
                                  layout.arrays, "entries", entries);
        *ret_text = dump(whole);
        json_decref(whole);
        if (*ret_text == NULL)
            status = cn_fail(error, CN_MEMORY, "no memory for the file's layout");
    }
    json_decref(layout.groups);
    json_decref(layout.arrays);
    json_decref(root);
    return status;
}

/* ---- The program that writes it ---- */

/* A file in memory with these parts, to be read from its start; -1 on failure. */
static int memory_file(const char *name, const struct cn_file_part *parts, size_t count,
                       enum cn_status *status, struct cn_error *error) {
    const int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        *status = cn_fail(error, CN_IO, "cannot make a file in memory");
    else
        *status = cn_file_write_descriptor(fd, parts, count, error);
    return fd;
}

enum cn_status cli_export_keras(const struct cn_model *model, bool hdf5, unsigned char **ret_bytes,
                                size_t *ret_length, struct cn_error *error) {
    enum { INPUT, FOLDER, OUTPUT, REPORT, LAYOUT };
    const struct cn_network *network = model->network;
    int fds[CLI_IMPORT_DESCRIPTORS] = {-1, -1, -1, -1, -1}, child_status = 0;
    char request[] = "{\"name\": \"the model\", \"pack\": true}", path[32], *layout = NULL;
    const float end = 0;
    json_t *report = NULL;
    enum cn_status status = make_layout(model, hdf5, &layout, error);
    if (status == CN_OK)
        fds[INPUT] =
            memory_file("weights",
                        (const struct cn_file_part[]){
                            {network->parameters, network->parameter_count * sizeof(float)},
                            {&end, sizeof end}},
                        2, &status, error);
    if (status == CN_OK)
        fds[LAYOUT] = memory_file("layout", &(struct cn_file_part){layout, strlen(layout)}, 1,
                                  &status, error);
    if (status == CN_OK)
        fds[OUTPUT] = memory_file("file", NULL, 0, &status, error);
    if (status == CN_OK)
        fds[REPORT] = memory_file("report", NULL, 0, &status, error);
    if (status == CN_OK)
        status = cli_import_run(fds, request, &child_status, error);
    if (status == CN_OK)
        status = cli_import_report(fds[REPORT], "the model", child_status, &report, error);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fds[OUTPUT]);
    if (status == CN_OK)
        status = cn_file_read(path, (size_t)2 * IMPORT_MAX_FILE, ret_bytes, ret_length, error);
    for (int i = 0; i < CLI_IMPORT_DESCRIPTORS; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    json_decref(report);
    free(layout);
    return status;
}
