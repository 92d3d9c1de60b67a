/* assemble.c: see assemble.h. src/model reads the architecture, match.c the weights. One thread. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "import/assemble.h"
#include "model/architecture.h"

void import_note(json_t *list, const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) >= 0) {
        (void)json_array_append_new(list, json_string(text));
        free(text);
    }
    va_end(arguments);
}

static void list_layers(const struct cn_network *network, char *const *paths,
                        struct import_report *report) {
    for (size_t i = 0; i < network->layer_count; i++) {
        const struct cn_layer *layer = &network->layers[i];
        (void)json_array_append_new(
            report->layers,
            json_pack("{s:s, s:s, s:o, s:s*}", "name", layer->name, "class",
                      cn_layer_type_name(layer->type), "shape",
                      cn_json_ints(layer->output_shape.dims, layer->output_shape.rank), "source",
                      paths[i]));
    }
}

/* Lists every layer of an unsupported class, with its path, and, if `settings`, every setting that
 * is not supported. */
static void list_obstacles(const json_t *config, const char *place, int depth, bool settings,
                           json_t *obstacles) {
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    const json_t *layer;
    size_t i;
    json_array_foreach(layers, i, layer) {
        json_t *inner = json_object_get(layer, "config");
        const char *class_name = json_string_value(json_object_get(layer, "class_name"));
        const char *name = json_string_value(json_object_get(inner, "name"));
        char path[IMPORT_NAME];
        (void)snprintf(path, sizeof path, "%.250s%.250s", place, name != NULL ? name : "?");
        if (json_is_array(inner) || json_is_array(json_object_get(inner, "layers"))) {
            (void)snprintf(path + strlen(path), sizeof path - strlen(path), "/");
            if (depth < IMPORT_MAX_DEPTH)
                list_obstacles(inner, path, depth + 1, settings, obstacles);
        } else if (class_name != NULL && strcmp(class_name, "InputLayer") != 0) {
            if (!cn_keras_is_known(class_name, inner, json_object_get(layer, "module")))
                import_note(obstacles, "layer \"%s\" is a %s, which is not supported", path,
                            class_name);
            else if (settings)
                cn_keras_list_faults(layer, i, obstacles);
        }
    }
}

/* Replaces one obstacle as the reason why the import fails by all of them. */
static enum cn_status refuse_all(const struct import_source *source, struct import_report *report,
                                 enum cn_status status, struct cn_error *error) {
    json_t *obstacle;
    size_t i;
    bool listed = status == CN_OK;
    (void)json_array_clear(report->obstacles);
    list_obstacles(json_object_get(source->architecture, "config"), "", 0, true, report->obstacles);
    const size_t settings = json_array_size(report->obstacles);
    json_array_foreach(report->obstacles, i, obstacle) {
        listed = listed || strcmp(json_string_value(obstacle), error->text) == 0;
    }
    if (settings == 0 || (settings == 1 && listed && status != CN_OK)) {
        (void)json_array_clear(report->obstacles); /* the error says it all */
        return status;
    }
    if (!listed)
        import_note(report->obstacles, "%s", error->text);
    const size_t count = settings + !listed;
    *error = (struct cn_error){0};
    return cn_fail(error, CN_UNSUPPORTED, "cannot be imported: %zu %s not supported", count,
                   count == 1 ? "part is" : "parts are");
}

/* ---- Inputs and outputs, as Keras names them ---- */

/* Adds a port under a name that no earlier port has: "model", then "model_1". `moved`: the file has
 * its channels first and the network has them last. */
static void add_port(json_t *ports, const char *name, const struct cn_shape *shape, bool moved) {
    char chosen[IMPORT_NAME];
    json_t *port, *dims = json_pack("[i]", -1), *axes = json_array();
    size_t i, same = 0;
    (void)snprintf(chosen, sizeof chosen, "%.200s", name);
    json_array_foreach(ports, i, port) {
        if (strcmp(json_string_value(json_object_get(port, "name")), chosen) == 0)
            (void)snprintf(chosen, sizeof chosen, "%.200s_%zu", name, ++same);
    }
    const bool first = moved && shape->rank > 1;
    if (first)
        (void)json_array_append_new(dims, json_integer(shape->dims[shape->rank - 1]));
    for (int axis = 0; axis < shape->rank - first; axis++) {
        (void)json_array_append_new(dims, json_integer(shape->dims[axis]));
        (void)json_array_append_new(axes, json_integer(axis + 1 + first));
    }
    if (first)
        (void)json_array_append_new(axes, json_integer(1));
    (void)json_array_append_new(
        ports, json_pack("{s:s, s:o, s:o}", "name", chosen, "shape", dims, "axes", axes));
}

/* Keras 2 calls the input of a list of layers "<first layer>_input". */
static const char *input_name(const json_t *architecture, const char *own, char name[IMPORT_NAME]) {
    const json_t *config = json_object_get(architecture, "config");
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    const json_t *first = json_array_get(layers, 0);
    const char *class_name = json_string_value(json_object_get(first, "class_name"));
    const char *given =
        json_string_value(json_object_get(json_object_get(first, "config"), "name"));
    if (json_object_get(config, "output_layers") != NULL || class_name == NULL || given == NULL ||
        strcmp(class_name, "InputLayer") == 0)
        return own;
    (void)snprintf(name, IMPORT_NAME, "%.200s_input", given);
    return name;
}

static void list_ports(const struct import_source *source, const struct cn_network *network,
                       char *const *paths, const bool *moved, struct import_report *report) {
    json_t *inputs = json_array(), *outputs = json_array();
    char name[IMPORT_NAME];
    for (size_t i = 0; i < network->input_count; i++)
        add_port(inputs, input_name(source->architecture, network->inputs[i].name, name),
                 &network->inputs[i].shape, moved[i]);
    for (size_t k = 0; k < network->output_count; k++) {
        const size_t value = network->outputs[k].value;
        const char *path = value < network->input_count ? network->inputs[value].name
                                                        : paths[value - network->input_count];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(path, "/"), path);
        add_port(outputs, name, &network->outputs[k].shape, moved[value]);
    }
    report->tensors = json_pack("{s:o, s:o}", "inputs", inputs, "outputs", outputs);
}

enum cn_status import_assemble(struct import_source *source, const struct cn_shape *input_shape,
                               struct import_report *report, struct cn_network **ret_network,
                               struct cn_error *error) {
    bool moved[CN_NETWORK_MAX_PORTS + CN_NETWORK_MAX_LAYERS] = {false};
    const struct cn_architecture_options options = {
        .lenient = true, .paths = true, .input_shape = input_shape, .moved = moved};
    struct cn_network *network = NULL;
    char **paths = NULL;
    enum cn_status status = CN_OK;
    if (source->architecture == NULL)
        return cn_fail(error, CN_INVALID,
                       "is a %s, which contains only weights; give the network with --architecture "
                       "FILE.json (Keras: model.to_json())",
                       source->format);
    list_obstacles(json_object_get(source->architecture, "config"), "", 0, false,
                   report->obstacles);
    if (json_array_size(report->obstacles) > 0)
        return refuse_all(source, report, CN_OK, error);
    char *text = json_dumps(source->architecture, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the architecture");
    status = cn_architecture_assemble(text, strlen(text), NULL, &options, &network, &paths, error);
    free(text);
    if (status == CN_UNSUPPORTED || status == CN_INVALID)
        status = refuse_all(source, report, status, error);
    if (status == CN_OK)
        status = cn_network_build(network, error);
    if (status == CN_OK)
        status = import_match(source, network, paths, report, error);
    if (status == CN_OK) {
        if (moved[0])
            import_note(report->notes, "channels_first: reordered to rows, columns, channels");
        list_layers(network, paths, report);
        list_ports(source, network, paths, moved, report);
        *ret_network = network;
        network = NULL;
    }
    cn_network_free(network);
    cn_architecture_free_paths(paths);
    return status;
}
