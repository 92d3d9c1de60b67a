/* architecture.c: reads Keras JSON as a network: Sequential and Functional models, also nested.
 *
 * architecture_tree.c opens the JSON as a tree of models and layers. Here the tree is called,
 * beginning with the inputs, and each call of a layer becomes a layer of the network.
 * architecture_layer.c reads one layer's configuration. No state. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "convnet/model.h"
#include "model/architecture.h"

/* Looking at a node of the tree is one step; calling a node counts as STEPS_OF_CALL. */
enum { MAX_STEPS = 1 << 26, STEPS_OF_CALL = 64 };

/* The state that all functions share. */
struct assembly {
    struct cn_network *network;
    const struct cn_architecture_options *options;
    size_t steps; /* taken in the tree so far */
    char **paths; /* of the layers, NULL: not asked for */
    bool moved[CN_NETWORK_MAX_PORTS + CN_NETWORK_MAX_LAYERS]; /* as in the options */
    struct cn_error *error;
};

static enum cn_status no_memory(const struct assembly *a) {
    return cn_fail(a->error, CN_MEMORY, "no memory for the architecture");
}

/* A model may call another one twice, which calls a third one twice, and so on: without a limit a
 * small file could take years to read. */
static enum cn_status count_steps(struct assembly *a, size_t steps) {
    a->steps += steps;
    return a->steps <= MAX_STEPS
               ? CN_OK
               : cn_fail(a->error, CN_LIMIT,
                         "the models call each other so often that the network takes more than "
                         "%d steps to read",
                         (int)MAX_STEPS);
}

/* ---- Calling the tree ---- */

/* Chooses an unused name for a layer: its own, with the model's before it, or with a number. In
 * foreign names "_" replaces characters that are not allowed here. */
static void choose_name(const struct assembly *a, const char *outer, const char *name,
                        char chosen[static CN_LAYER_NAME]) {
    char base[CN_LAYER_NAME];
    for (int attempt = 0; attempt < CN_NETWORK_MAX_LAYERS + 2; attempt++) {
        if (attempt == 0 || outer == NULL)
            (void)snprintf(base, sizeof base, "%.*s", CN_LAYER_NAME - 8, name);
        else
            (void)snprintf(base, sizeof base, "%.20s.%.*s", outer, CN_LAYER_NAME - 30, name);
        const size_t number = a->network->layer_count + (size_t)attempt - 1;
        if (attempt < 2)
            (void)snprintf(chosen, CN_LAYER_NAME, "%.*s", CN_LAYER_NAME - 1,
                           attempt == 0 ? name : base);
        else
            (void)snprintf(chosen, CN_LAYER_NAME, "%.*s.%zu", CN_LAYER_NAME - 8, base, number);
        for (char *c = chosen; *c != '\0'; c++)
            if (!cn_keras_name_byte(*c))
                *c = '_';
        bool taken = attempt == 1 && outer == NULL;
        for (size_t l = 0; l < a->network->layer_count && !taken; l++)
            taken = strcmp(a->network->layers[l].name, chosen) == 0;
        if (!taken)
            return;
    }
}

static enum cn_status note_path(struct assembly *a, const char *path) {
    if (a->paths == NULL)
        return CN_OK;
    char **place = &a->paths[a->network->layer_count - 1];
    *place = strdup(path);
    return *place != NULL ? CN_OK : no_memory(a);
}

/* Adds a layer that the file does not have, named after the one that needs it. */
static enum cn_status add_helper(struct assembly *a, const struct cn_keras_node *node,
                                 const char *outer, const char *path, const char *suffix,
                                 const char *class_name, json_t *json, const size_t *inputs,
                                 size_t input_count, size_t *ret_value) {
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG] = {0};
    char name[CN_LAYER_NAME], plain[CN_LAYER_NAME];
    struct cn_keras_layer entry = node->entry;
    struct cn_layer_call call = {
        .name = name, .config = config, .input_count = input_count, .inputs = inputs};
    entry.class_name = class_name;
    entry.config = json;
    if (json == NULL)
        return no_memory(a);
    (void)snprintf(plain, sizeof plain, "%.*s%s", CN_LAYER_NAME - 24,
                   node->entry.name != NULL ? node->entry.name : "activation", suffix);
    choose_name(a, outer, plain, name);
    enum cn_status status = cn_keras_layer_read(
        &entry, cn_network_value_shape(a->network, inputs[0])->rank, &call.type, config);
    if (status == CN_OK)
        status = cn_network_add_call(a->network, &call, ret_value, a->error);
    json_decref(json);
    return status == CN_OK ? note_path(a, path) : status;
}

/* Adds a function of each number. */
static enum cn_status call_unary(struct assembly *a, const struct cn_keras_node *node,
                                 const char *outer, const char *path, const char *suffix,
                                 const char *function, double alpha, double beta, size_t *value) {
    const size_t input = *value;
    json_t *config =
        strcmp(function, "sigmoid") == 0 || strcmp(function, "tanh") == 0
            ? json_pack("{s:s}", "activation", function)
            : json_pack("{s:s, s:f, s:f}", "function", function, "alpha", alpha, "beta", beta);
    return add_helper(a, node, outer, path, suffix,
                      json_object_get(config, "activation") != NULL ? "Activation" : "Unary",
                      config, &input, 1, value);
}

/* Adds y = min(x, ceiling) for x above the threshold, else slope * (x - threshold). */
static enum cn_status call_relu(struct assembly *a, const struct cn_keras_node *node,
                                const char *outer, const char *path, size_t *value) {
    const struct cn_keras_function *f = &node->function;
    size_t parts[2] = {*value, *value};
    enum cn_status status =
        f->threshold != 0
            ? call_unary(a, node, outer, path, ".t", "thresholded_relu", f->threshold, 0, &parts[0])
            : CN_OK;
    if (status == CN_OK)
        status = call_unary(a, node, outer, path, ".c", "clip", 0, f->beta, &parts[0]);
    *value = parts[0];
    if (status != CN_OK || f->alpha == 0)
        return status;
    status =
        call_unary(a, node, outer, path, ".m", "clip", -CN_KERAS_LARGEST, f->threshold, &parts[1]);
    if (status == CN_OK)
        status = call_unary(a, node, outer, path, ".s", "affine", f->alpha,
                            -f->alpha * f->threshold, &parts[1]);
    if (status == CN_OK)
        status = add_helper(a, node, outer, path, "", "Add", json_object(), parts, 2, value);
    return status;
}

/* Activations of Keras 3 that are several layers here: functions one after another of x, which are
 * then merged with others of x. The formulas are those of keras/src/activations/activations.py. */
struct recipe {
    const char *word;
    struct {
        const char *function; /* NULL after the last one */
        double alpha, beta;
    } chains[2][4];
    const char *merge; /* NULL: there is only one chain */
};

static const struct recipe recipes[] = {
    /* -softplus(-x) */
    {"log_sigmoid", {{{"negative", 0, 0}, {"softplus", 0, 0}, {"negative", 0, 0}}}, NULL},
    /* x - tanh(x) */
    {"tanh_shrink", {{{NULL, 0, 0}}, {{"tanh", 0, 0}}}, "Subtract"},
    /* x / 2 + sqrt(x^2 / 4 + 1) */
    {"squareplus",
     {{{"affine", 0.5, 0}}, {{"square", 0, 0}, {"affine", 0.25, 1}, {"sqrt", 0, 0}}},
     "Add"},
    /* ((x + 1) / 2)^2 between -1 and 1, and x above */
    {"sparse_plus",
     {{{"clip", -1, 1}, {"affine", 0.5, 0.5}, {"square", 0, 0}},
      {{"affine", 1, -1}, {"clip", 0, CN_KERAS_LARGEST}}},
     "Add"},
};

static enum cn_status call_recipe(struct assembly *a, const struct cn_keras_node *node,
                                  const char *outer, const char *path, const struct recipe *recipe,
                                  size_t *value) {
    size_t parts[2] = {*value, *value};
    enum cn_status status = CN_OK;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 4 && recipe->chains[k][i].function != NULL && status == CN_OK; i++)
            status = call_unary(a, node, outer, path, ".f", recipe->chains[k][i].function,
                                recipe->chains[k][i].alpha, recipe->chains[k][i].beta, &parts[k]);
    *value = parts[0];
    if (status == CN_OK && recipe->merge != NULL)
        status = add_helper(a, node, outer, path, node->alone ? "" : ".f", recipe->merge,
                            json_object(), parts, 2, value);
    return status;
}

/* Adds GLU: the first half of the channels, multiplied by the sigmoid of the second half. */
static enum cn_status call_glu(struct assembly *a, const struct cn_keras_node *node,
                               const char *outer, const char *path, size_t *value) {
    const struct cn_shape shape = *cn_network_value_shape(a->network, *value);
    const int channels = shape.dims[shape.rank - 1];
    size_t parts[2] = {*value, *value};
    enum cn_status status = CN_OK;
    if (channels % 2 != 0)
        return cn_fail(a->error, CN_INVALID, "%s: glu halves %d channels, which is an odd number",
                       node->entry.label, channels);
    for (int k = 0; k < 2 && status == CN_OK; k++) {
        json_t *begin = json_array(), *size = json_array(), *strides = json_array();
        for (int i = 0; i < shape.rank; i++) {
            const bool last = i + 1 == shape.rank;
            (void)json_array_append_new(begin, json_integer(last ? k * channels / 2 : 0));
            (void)json_array_append_new(size, json_integer(last ? channels / 2 : shape.dims[i]));
            (void)json_array_append_new(strides, json_integer(1));
        }
        status = add_helper(
            a, node, outer, path, ".half", "Slice",
            json_pack("{s:o, s:o, s:o}", "begin", begin, "size", size, "strides", strides), value,
            1, &parts[k]);
    }
    if (status == CN_OK)
        status = call_unary(a, node, outer, path, ".f", "sigmoid", 0, 0, &parts[1]);
    return status == CN_OK ? add_helper(a, node, outer, path, node->alone ? "" : ".x", "Multiply",
                                        json_object(), parts, 2, value)
                           : status;
}

/* Adds the layers of an activation that is not a layer's own setting here. */
static enum cn_status call_function(struct assembly *a, const struct cn_keras_node *node,
                                    const char *outer, const char *path, size_t *value) {
    const struct cn_keras_function *f = &node->function;
    const char *suffix = node->alone && !f->gated ? "" : ".f";
    size_t inputs[2] = {*value, *value};
    if (strcmp(f->function, "relu") == 0)
        return call_relu(a, node, outer, path, value);
    if (strcmp(f->function, "glu") == 0)
        return call_glu(a, node, outer, path, value);
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++)
        if (strcmp(f->function, recipes[i].word) == 0)
            return call_recipe(a, node, outer, path, &recipes[i], value);
    enum cn_status status =
        call_unary(a, node, outer, path, suffix, f->function, f->alpha, f->beta, &inputs[1]);
    *value = inputs[1];
    if (status == CN_OK && f->gated)
        status = add_helper(a, node, outer, path, node->alone ? "" : ".x", "Multiply",
                            json_object(), inputs, 2, value);
    return status;
}

/* Adds one call of a layer on values of the network. */
static enum cn_status add_layer(struct assembly *a, struct cn_keras_node *node, const char *outer,
                                const char *path, const size_t *inputs, size_t input_count,
                                size_t *ret_value) {
    _Alignas(8) unsigned char config[CN_LAYER_CONFIG] = {0};
    char name[CN_LAYER_NAME], again[CN_LAYER_NAME + 24];
    struct cn_network *network = a->network;
    struct cn_layer_call call = {.config = config,
                                 .input_count = input_count,
                                 .inputs = inputs,
                                 .frozen = node->frozen,
                                 .shares = node->made};
    const char *given = node->entry.name;
    enum cn_status status = CN_OK;
    if (node->made == 0)
        status = cn_keras_fit_layer(&node->entry, cn_network_value_shape(network, inputs[0]));
    if (node->made == 0 && status == CN_OK)
        status = cn_keras_layer_read(&node->entry, cn_network_value_shape(network, inputs[0])->rank,
                                     &call.type, config);
    if (status != CN_OK)
        return status;
    if (node->made > 0) { /* the second use of "conv" is "conv.2" */
        (void)snprintf(again, sizeof again, "%.*s.%zu", CN_LAYER_NAME - 8,
                       network->layers[node->made - 1].name, ++node->uses);
        given = again;
    }
    if (given != NULL && (outer != NULL || node->made > 0 || a->options->lenient)) {
        choose_name(a, outer, given, name);
        given = name;
    }
    call.name = given;
    status = cn_network_add_call(network, &call, ret_value, a->error);
    if (status == CN_OK && node->made == 0) {
        node->made = network->layer_count;
        node->uses = 1;
        status = cn_keras_read_rules(&node->entry, &network->layers[node->made - 1]);
    }
    return status == CN_OK ? note_path(a, path) : status;
}

static enum cn_status call_model(struct assembly *a, struct cn_keras_model *model,
                                 const char *outer, const char *path, const size_t *inputs,
                                 size_t input_count, size_t **ret_outputs, size_t *ret_count);

/* Adds the layers that replace a call of a function. */
static enum cn_status call_operation(struct assembly *a, const struct cn_keras_node *node,
                                     const char *outer, const char *path, const json_t *given,
                                     const size_t *inputs, size_t input_count, size_t *ret_value) {
    struct cn_shape shapes[CN_LAYER_MAX_INPUTS];
    struct cn_keras_calls calls = {0};
    for (size_t i = 0; i < input_count; i++)
        shapes[i] = *cn_network_value_shape(a->network, inputs[i]);
    enum cn_status status =
        cn_keras_operation_calls(&node->entry, node->module, given, shapes, input_count, &calls);
    size_t before = inputs[0], made[CN_KERAS_MOST_CALLS];
    for (size_t i = 0; i < calls.count; i++) {
        const struct cn_keras_call *call = &calls.of[i];
        size_t read[2], count = 0;
        for (int k = 0; k < 2 && call->inputs[k] != CN_KERAS_NONE; k++) {
            const int from = call->inputs[k];
            if (from >= 0 && (size_t)from >= input_count)
                status = cn_fail(a->error, CN_MALFORMED, "%s lacks an input", node->entry.label);
            else if (status == CN_OK && from != CN_KERAS_ALL)
                read[count++] = from >= 0                 ? inputs[from]
                                : from == CN_KERAS_BEFORE ? before
                                                          : made[CN_KERAS_MADE - from];
        }
        const bool all = call->inputs[0] == CN_KERAS_ALL;
        if (status == CN_OK)
            status = add_helper(a, node, outer, path, "", call->class_name, call->config,
                                all ? inputs : read, all ? input_count : count, &before);
        else
            json_decref(call->config);
        made[i] = before;
    }
    *ret_value = before;
    return status;
}

/* ---- Axes in another order than ours ---- */

static enum cn_status permute(struct assembly *a, const struct cn_keras_node *node,
                              const char *outer, const char *path, const struct cn_ints *dims,
                              size_t *value) {
    const size_t input = *value;
    return add_helper(a, node, outer, path, ".order", "Permute",
                      json_pack("{s:o}", "dims", cn_json_ints(dims->values, dims->count)), &input,
                      1, value);
}

static enum cn_status reshape(struct assembly *a, const struct cn_keras_node *node,
                              const char *outer, const char *path, const struct cn_shape *shape,
                              size_t *value) {
    const size_t input = *value;
    return add_helper(a, node, outer, path, ".shape", "Reshape",
                      json_pack("{s:o}", "target_shape", cn_json_ints(shape->dims, shape->rank)),
                      &input, 1, value);
}

/* Moves a value's channels to the end, or back to where the file has them. */
static enum cn_status move_channels(struct assembly *a, const struct cn_keras_node *node,
                                    const char *outer, const char *path, bool last, size_t *value) {
    const int rank = cn_network_value_shape(a->network, *value)->rank;
    if (rank < 2 || a->moved[*value] == last)
        return CN_OK;
    const struct cn_ints dims = cn_keras_channels_order(rank, last);
    const enum cn_status status = permute(a, node, outer, path, &dims, value);
    if (status == CN_OK)
        a->moved[*value] = last;
    return status;
}

static enum cn_keras_order order_of(const struct cn_keras_node *node) {
    if (node->is_operation)
        return CN_KERAS_FILE_ORDER;
    return node->alone ? CN_KERAS_ANY_ORDER
                       : cn_keras_order(node->entry.class_name, node->entry.config);
}

/* Gives all inputs the order that the layer reads them in; *ret_moved: the channels are last. */
static enum cn_status order_inputs(struct assembly *a, const struct cn_keras_node *node,
                                   const char *outer, const char *path, size_t *values,
                                   size_t count, bool *ret_moved) {
    const enum cn_keras_order order = order_of(node);
    const int rank = cn_network_value_shape(a->network, values[0])->rank;
    bool moved = order == CN_KERAS_CHANNELS_FIRST, even = true;
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < count; i++) {
        even = even && cn_network_value_shape(a->network, values[i])->rank == rank;
        moved = moved || (order == CN_KERAS_ANY_ORDER && a->moved[values[i]]);
    }
    *ret_moved = moved && even && rank > 1;
    for (size_t i = 0; i < count && status == CN_OK; i++)
        status = move_channels(a, node, outer, path, *ret_moved, &values[i]);
    return status;
}

/* The axes in the configuration, for a layer of this program, which has them last. */
static void rewrite_axes(struct cn_keras_node *node, bool moved, int rank) {
    json_t *config = node->entry.config;
    if (order_of(node) == CN_KERAS_CHANNELS_FIRST)
        (void)json_object_set_new(config, "data_format", json_string("channels_last"));
    if (node->axes.count > 0) {
        json_t *last = json_array();
        const bool several = strcmp(node->entry.class_name, "LayerNormalization") == 0;
        for (int i = several ? node->axes.count : 1; i > 0; i--)
            (void)json_array_append_new(last, json_integer(-i));
        if (several)
            (void)json_object_set(config, "axis", last);
        else
            (void)json_object_set_new(config, "axis", json_integer(-1));
        json_decref(last);
    }
    if (moved && strcmp(node->entry.class_name, "Concatenate") == 0) {
        const json_t *given = json_object_get(config, "axis");
        const json_int_t axis = given != NULL ? json_integer_value(given) : -1;
        const int from_1 = (int)(axis < 0 ? axis + rank + 1 : axis);
        if (from_1 >= 1 && from_1 <= rank)
            (void)json_object_set_new(config, "axis",
                                      json_integer(cn_keras_moved_axis(from_1, rank)));
    }
}

/* Adds a layer that works over its last axes, for a value on which it must work over `axes`. */
static enum cn_status add_over_axes(struct assembly *a, struct cn_keras_node *node,
                                    const char *outer, const char *path, const struct cn_ints *axes,
                                    size_t value, size_t *ret_value) {
    const struct cn_shape whole = *cn_network_value_shape(a->network, value);
    const struct cn_ints there = cn_keras_axes_last(axes, whole.rank);
    const struct cn_ints back = cn_keras_inverse(&there);
    const bool last = cn_keras_axes_are_last(axes, whole.rank);
    const bool joined =
        axes->count > 1 && strcmp(node->entry.class_name, "LayerNormalization") != 0;
    struct cn_shape shape = whole, flat = {.dims = {1, 1, 1, 1, 1}};
    enum cn_status status = last ? CN_OK : permute(a, node, outer, path, &there, &value);
    if (status == CN_OK && joined) {
        shape = *cn_network_value_shape(a->network, value);
        flat.rank = shape.rank - axes->count + 1;
        for (int i = 0; i < shape.rank; i++)
            flat.dims[i < flat.rank ? i : flat.rank - 1] *= shape.dims[i];
        status = reshape(a, node, outer, path, &flat, &value);
    }
    if (status == CN_OK)
        status = add_layer(a, node, outer, path, &value, 1, ret_value);
    if (status == CN_OK && joined)
        status = reshape(a, node, outer, path, &shape, ret_value);
    if (status == CN_OK && !last)
        status = permute(a, node, outer, path, &back, ret_value);
    return status;
}

/* Keras's activity_regularizer is a layer here. */
static enum cn_status regularize_output(struct assembly *a, const struct cn_keras_node *node,
                                        const char *outer, const char *path, size_t *value) {
    const size_t input = *value;
    return add_helper(
        a, node, outer, path, ".activity", "ActivityRegularization",
        json_pack("{s:f, s:f}", "l1", (double)node->activity.l1, "l2", (double)node->activity.l2),
        &input, 1, value);
}

/* Adds a layer and its activation, in whichever order the axes are. */
static enum cn_status add_ordered(struct assembly *a, struct cn_keras_node *node, const char *outer,
                                  const char *path, size_t *values, size_t input_count,
                                  size_t *ret_value) {
    bool moved = false;
    enum cn_status status = cn_keras_take_activity(&node->entry, &node->activity);
    if (status == CN_OK)
        status = order_inputs(a, node, outer, path, values, input_count, &moved);
    if (status != CN_OK)
        return status;
    const int rank = cn_network_value_shape(a->network, values[0])->rank;
    *ret_value = values[0];
    if (!node->alone) {
        if (node->made == 0) {
            (void)cn_keras_axes(node->entry.class_name, node->entry.config, rank, &node->axes);
            rewrite_axes(node, moved, rank);
        }
        struct cn_ints axes = {0, {0}};
        bool listed[CN_SHAPE_MAX_RANK + 2] = {false};
        for (int i = 0; i < node->axes.count; i++)
            listed[moved ? cn_keras_moved_axis(node->axes.values[i], rank) : node->axes.values[i]] =
                true;
        for (int axis = 1; axis <= rank; axis++)
            if (listed[axis])
                axes.values[axes.count++] = axis;
        status = axes.count > 0 ? add_over_axes(a, node, outer, path, &axes, values[0], ret_value)
                                : add_layer(a, node, outer, path, values, input_count, ret_value);
    }
    if (status == CN_OK && node->function.function != NULL)
        status = call_function(a, node, outer, path, ret_value);
    if (status == CN_OK && (node->activity.l1 > 0 || node->activity.l2 > 0))
        status = regularize_output(a, node, outer, path, ret_value);
    if (status == CN_OK)
        a->moved[*ret_value] = moved && cn_network_value_shape(a->network, *ret_value)->rank > 1;
    return status;
}

/* Adds a layer. One that only changes training is left out where it does not fit. */
static enum cn_status try_layer(struct assembly *a, struct cn_keras_node *node, const char *outer,
                                const char *path, size_t input, size_t *ret_value) {
    struct cn_error ignored = {0}, *error = a->error;
    size_t value = input;
    if (node->made == 0 && cn_keras_layer_type(&node->entry) == NULL)
        return CN_OK;
    a->error = node->entry.error = &ignored;
    if (add_ordered(a, node, outer, path, &value, 1, ret_value) != CN_OK)
        *ret_value = input;
    a->error = node->entry.error = error;
    return CN_OK;
}

/* Adds one call of a layer, which may become no layer of the network, or several. */
static enum cn_status call_layer(struct assembly *a, struct cn_keras_node *node, const char *outer,
                                 const char *path, const json_t *given, const size_t *inputs,
                                 size_t input_count, size_t *ret_value) {
    size_t values[CN_LAYER_MAX_INPUTS];
    bool moved = false;
    if (input_count == 0)
        return cn_fail(a->error, CN_MALFORMED, "%s reads nothing", node->entry.label);
    *ret_value = inputs[0];
    if (a->options->lenient &&
        cn_keras_trains_only_class(node->entry.class_name, node->entry.config))
        return try_layer(a, node, outer, path, inputs[0], ret_value);
    memcpy(values, inputs, input_count * sizeof *values);
    if (!node->is_operation)
        return add_ordered(a, node, outer, path, values, input_count, ret_value);
    const enum cn_status status = order_inputs(a, node, outer, path, values, input_count, &moved);
    return status == CN_OK
               ? call_operation(a, node, outer, path, given, values, input_count, ret_value)
               : status;
}

/* Executes one call of a node; the caller owns *ret_outputs. */
static enum cn_status call_node(struct assembly *a, struct cn_keras_node *node, const char *outer,
                                const char *path, const json_t *given, const size_t *inputs,
                                size_t input_count, size_t **ret_outputs, size_t *ret_count) {
    const char *name = node->entry.name != NULL ? node->entry.name : node->entry.class_name;
    char *longer = NULL;
    enum cn_status status = count_steps(a, STEPS_OF_CALL);
    if (status != CN_OK)
        return status;
    if (asprintf(&longer, "%s%s%s", path, path[0] != '\0' ? "/" : "", name) < 0)
        return no_memory(a);
    if (node->model != NULL) {
        status =
            call_model(a, node->model, name, longer, inputs, input_count, ret_outputs, ret_count);
    } else {
        *ret_outputs = calloc(1, sizeof **ret_outputs);
        *ret_count = 1;
        status = *ret_outputs != NULL
                     ? call_layer(a, node, outer, longer, given, inputs, input_count, *ret_outputs)
                     : no_memory(a);
    }
    free(longer);
    return status;
}

static enum cn_status call_sequential(struct assembly *a, struct cn_keras_model *model,
                                      const char *outer, const char *path, size_t input,
                                      size_t **ret_outputs, size_t *ret_count) {
    enum cn_status status = CN_OK;
    size_t *outputs = calloc(1, sizeof *outputs), count = 1;
    if (outputs == NULL)
        return no_memory(a);
    outputs[0] = input;
    for (size_t n = 0; n < model->node_count && status == CN_OK; n++) {
        size_t *next = NULL;
        if (model->nodes[n].is_input)
            continue;
        status = call_node(a, &model->nodes[n], outer, path, NULL, outputs, count, &next, &count);
        free(outputs);
        outputs = next;
    }
    *ret_outputs = outputs;
    *ret_count = count;
    return status;
}

/* The value of a reference; SIZE_MAX: it does not exist yet. */
static size_t value_of(const struct cn_keras_model *model,
                       const struct cn_keras_reference *reference) {
    const struct cn_keras_node *node = &model->nodes[reference->node];
    if (reference->call >= node->call_count)
        return SIZE_MAX;
    const struct cn_keras_use *call = &node->calls[reference->call];
    return reference->tensor < call->output_count ? call->outputs[reference->tensor] : SIZE_MAX;
}

/* Writes the values of a list of references to `values`; false: some do not exist yet. */
static bool gather(const struct cn_keras_model *model, const struct cn_keras_reference *list,
                   size_t count, size_t *values) {
    for (size_t i = 0; i < count; i++) {
        values[i] = value_of(model, &list[i]);
        if (values[i] == SIZE_MAX)
            return false;
    }
    return true;
}

/* Gives the model's InputLayers the values it is called with, as their only call. */
static enum cn_status bind_inputs(struct assembly *a, struct cn_keras_model *model,
                                  const size_t *inputs, size_t input_count) {
    if (input_count != model->input_count)
        return cn_fail(a->error, CN_MALFORMED, "model \"%s\" takes %zu inputs, but is given %zu",
                       model->name != NULL ? model->name : "", model->input_count, input_count);
    for (size_t i = 0; i < input_count; i++) {
        struct cn_keras_node *node = &model->nodes[model->inputs[i].node];
        if (node->calls == NULL)
            node->calls = calloc(1, sizeof *node->calls);
        if (node->calls == NULL)
            return no_memory(a);
        node->call_count = 1;
        free(node->calls[0].outputs);
        node->calls[0].outputs = malloc(sizeof *node->calls[0].outputs);
        if (node->calls[0].outputs == NULL)
            return no_memory(a);
        node->calls[0].outputs[0] = inputs[i];
        node->calls[0].output_count = 1;
    }
    return CN_OK;
}

/* Executes the calls whose inputs exist, in the file's order; *ret_made is their number. */
static enum cn_status make_ready_calls(struct assembly *a, struct cn_keras_model *model,
                                       const char *outer, const char *path, size_t *ret_made,
                                       const struct cn_keras_node **ret_waiting) {
    size_t values[CN_LAYER_MAX_INPUTS];
    *ret_made = 0;
    *ret_waiting = NULL;
    for (size_t n = 0; n < model->node_count; n++) {
        struct cn_keras_node *node = &model->nodes[n];
        const enum cn_status counted = count_steps(a, 1 + node->call_count);
        if (counted != CN_OK)
            return counted;
        for (size_t c = 0; c < node->call_count && !node->is_input; c++) {
            struct cn_keras_use *call = &node->calls[c];
            if (call->output_count > 0)
                continue;
            if (!gather(model, call->inputs, call->input_count, values)) {
                *ret_waiting = node;
                continue;
            }
            const enum cn_status status =
                call_node(a, node, outer, path, call->given, values, call->input_count,
                          &call->outputs, &call->output_count);
            if (status != CN_OK)
                return status;
            ++*ret_made;
        }
    }
    return CN_OK;
}

static enum cn_status call_functional(struct assembly *a, struct cn_keras_model *model,
                                      const char *outer, const char *path, const size_t *inputs,
                                      size_t input_count, size_t **ret_outputs, size_t *ret_count) {
    const struct cn_keras_node *waiting = NULL;
    size_t made = 1;
    for (size_t n = 0; n < model->node_count; n++)
        for (size_t c = 0; c < model->nodes[n].call_count; c++) {
            free(model->nodes[n].calls[c].outputs);
            model->nodes[n].calls[c].outputs = NULL;
            model->nodes[n].calls[c].output_count = 0;
        }
    enum cn_status status = bind_inputs(a, model, inputs, input_count);
    while (status == CN_OK && made > 0)
        status = make_ready_calls(a, model, outer, path, &made, &waiting);
    if (status != CN_OK)
        return status;
    if (waiting != NULL)
        return cn_fail(a->error, CN_MALFORMED,
                       "%s reads something that is never made: its inputs are missing or form a "
                       "cycle",
                       waiting->entry.label);
    *ret_outputs = calloc(model->output_count, sizeof **ret_outputs);
    *ret_count = model->output_count;
    if (*ret_outputs == NULL)
        return no_memory(a);
    if (!gather(model, model->outputs, model->output_count, *ret_outputs))
        return cn_fail(a->error, CN_MALFORMED, "an output of model \"%s\" is never made",
                       model->name != NULL ? model->name : "");
    return CN_OK;
}

static enum cn_status call_model(struct assembly *a, struct cn_keras_model *model,
                                 const char *outer, const char *path, const size_t *inputs,
                                 size_t input_count, size_t **ret_outputs, size_t *ret_count) {
    if (!model->sequential)
        return call_functional(a, model, outer, path, inputs, input_count, ret_outputs, ret_count);
    if (input_count != 1)
        return cn_fail(a->error, CN_MALFORMED, "a Sequential model is given %zu inputs",
                       input_count);
    return call_sequential(a, model, outer, path, inputs[0], ret_outputs, ret_count);
}

/* ---- The network's inputs ---- */

/* The input shape that a model declares: its own, or that of its first node. */
static enum cn_status declared_shape(const struct assembly *a,
                                     const struct cn_architecture_options *options,
                                     const struct cn_keras_model *model,
                                     const struct cn_keras_node *node, bool *ret_found,
                                     struct cn_shape *ret_shape) {
    const struct cn_shape *given = options->input_shape;
    enum cn_status status =
        cn_keras_input_shape(node->entry.config, given, ret_found, ret_shape, a->error);
    if (status == CN_OK && !*ret_found && node->model != NULL) {
        const struct cn_keras_model *inner = node->model;
        status = declared_shape(a, options, inner,
                                &inner->nodes[inner->sequential ? 0 : inner->inputs[0].node],
                                ret_found, ret_shape);
    }
    /* Keras 2 stores the argument of build() beside the list */
    if (status == CN_OK && !*ret_found && model != NULL && json_is_object(model->config))
        status = cn_keras_input_shape(model->config, given, ret_found, ret_shape, a->error);
    return status;
}

/* The kind of layer that first reads an input. */
enum reader { HANDS_IT_ON, READS_CHANNELS_FIRST, READS_OTHERWISE };

static enum reader model_reads(const struct cn_keras_model *model, size_t input);

static enum reader node_reads(const struct cn_keras_node *node) {
    if (node->model != NULL)
        return model_reads(node->model, 0);
    if (node->is_input || cn_keras_trains_only_class(node->entry.class_name, node->entry.config))
        return HANDS_IT_ON;
    switch (order_of(node)) {
    case CN_KERAS_ANY_ORDER:
        return HANDS_IT_ON;
    case CN_KERAS_CHANNELS_FIRST:
        return strcmp(node->entry.class_name, "Flatten") == 0 ? READS_OTHERWISE
                                                              : READS_CHANNELS_FIRST;
    case CN_KERAS_FILE_ORDER:
        break;
    }
    return READS_OTHERWISE;
}

/* True if the node reads one of those that are marked. */
static bool node_reads_one_of(const struct cn_keras_node *node, const bool *marked) {
    for (size_t c = 0; c < node->call_count; c++)
        for (size_t i = 0; i < node->calls[c].input_count; i++)
            if (marked[node->calls[c].inputs[i].node])
                return true;
    return false;
}

/* Follows the input through the layers that hand it on. */
static enum reader model_reads(const struct cn_keras_model *model, size_t input) {
    enum reader found = HANDS_IT_ON;
    if (model->sequential) {
        for (size_t n = 0; n < model->node_count && found == HANDS_IT_ON; n++)
            found = node_reads(&model->nodes[n]);
        return found;
    }
    bool *on = calloc(2 * model->node_count, sizeof *on);
    if (on == NULL)
        return READS_OTHERWISE;
    bool *asked = on + model->node_count;
    on[model->inputs[input].node] = true;
    for (bool more = true; more && found != READS_CHANNELS_FIRST;) {
        more = false;
        for (size_t n = 0; n < model->node_count; n++) {
            if (asked[n] || !node_reads_one_of(&model->nodes[n], on))
                continue;
            const enum reader reader = node_reads(&model->nodes[n]);
            asked[n] = more = true;
            on[n] = on[n] || reader == HANDS_IT_ON;
            if (reader == READS_CHANNELS_FIRST)
                found = reader;
        }
    }
    free(on);
    return found;
}

/* (channels, rows, columns) as (rows, columns, channels), or back. */
static struct cn_shape move_shape(const struct cn_shape *shape, bool last) {
    struct cn_shape moved = *shape;
    const struct cn_ints dims = cn_keras_channels_order(shape->rank, last);
    for (int i = 0; i < shape->rank; i++)
        moved.dims[i] = shape->dims[dims.values[i] - 1];
    return moved;
}

/* `model`: the list of layers that begins with the node; NULL: the node is an InputLayer. */
static enum cn_status add_input(struct assembly *a, const struct cn_keras_model *model,
                                struct cn_keras_node *node, size_t index, bool moved) {
    struct cn_shape shape, given;
    char name[32];
    bool found = false;
    struct cn_architecture_options options = *a->options;
    if (moved && options.input_shape != NULL) {
        given = move_shape(options.input_shape, false);
        options.input_shape = &given;
    }
    enum cn_status status = declared_shape(a, &options, model, node, &found, &shape);
    if (status != CN_OK)
        return status;
    if (!found && options.input_shape != NULL) {
        shape = *options.input_shape;
        found = true;
    }
    if (moved && found && shape.rank > 1) {
        shape = move_shape(&shape, true);
        a->moved[index] = true;
    }
    if (!found)
        return cn_fail(a->error, CN_INVALID,
                       "%s has no input shape before it: begin with an InputLayer with a "
                       "batch_shape, or give the first layer a batch_input_shape",
                       node->entry.label);
    if (node->is_input)
        status = cn_keras_check_keys(&node->entry, NULL, 0, shape.rank);
    if (status != CN_OK)
        return status;
    (void)snprintf(name, sizeof name, "input_%zu", index);
    if (index == 0)
        status = cn_network_create(&shape, &a->network, a->error);
    else
        status = cn_network_add_input(a->network, name, &shape, a->error);
    /* Files of chains that this program writes have no name for it. */
    if (status == CN_OK && node->is_input && node->entry.name != NULL &&
        (model == NULL || a->options->lenient))
        status = cn_network_name_input(a->network, index, node->entry.name, a->error);
    return status;
}

static enum cn_status add_inputs(struct assembly *a, struct cn_keras_model *model) {
    enum cn_status status = CN_OK;
    if (model->sequential)
        return add_input(a, model, &model->nodes[0], 0,
                         model_reads(model, 0) == READS_CHANNELS_FIRST);
    for (size_t i = 0; i < model->input_count && status == CN_OK; i++)
        status = add_input(a, NULL, &model->nodes[model->inputs[i].node], i,
                           model_reads(model, i) == READS_CHANNELS_FIRST);
    return status;
}

/* Checks the shapes that layers of a list declare against the inferred ones, as far as the list
 * reaches. */
static enum cn_status check_declared_shapes(const struct assembly *a,
                                            const struct cn_keras_model *model) {
    char declared[CN_SHAPE_TEXT], actual[CN_SHAPE_TEXT];
    /* Keras itself uses only the first layer's shape, and some trained files have wrong ones
     * elsewhere. */
    for (size_t n = 1; model->sequential && !a->options->lenient && n < model->node_count; n++) {
        const struct cn_keras_node *node = &model->nodes[n];
        struct cn_shape shape;
        bool found = false;
        const enum cn_status status =
            cn_keras_input_shape(node->entry.config, NULL, &found, &shape, a->error);
        if (status != CN_OK)
            return status;
        if (!found || node->made == 0)
            continue;
        const struct cn_layer *layer = &a->network->layers[node->made - 1];
        const struct cn_shape *current = &layer->input_shape;
        if (a->moved[layer->inputs[0].value])
            shape = move_shape(&shape, true);
        if (!cn_shape_equal(&shape, current))
            return cn_fail(a->error, CN_INVALID, "%s declares the input shape %s, but gets %s",
                           node->entry.label, cn_shape_format(&shape, declared),
                           cn_shape_format(current, actual));
    }
    return CN_OK;
}

/* ---- The whole ---- */

static enum cn_status set_name(const struct assembly *a, const json_t *name) {
    char shown[CN_JSON_TEXT];
    struct cn_network *network = a->network;
    if (name == NULL || json_is_null(name))
        return CN_OK;
    if (!cn_keras_is_name(json_string_value(name))) {
        if (a->options->lenient)
            return CN_OK;
        return cn_fail(a->error, CN_INVALID,
                       "the model's name is %s; it must be 1 to %d letters, digits or _.-",
                       cn_json_show(name, shown), CN_LAYER_NAME - 1);
    }
    (void)snprintf(network->name, sizeof network->name, "%s", json_string_value(name));
    return CN_OK;
}

static enum cn_status call_root(struct assembly *a, struct cn_keras_model *model) {
    size_t inputs[CN_NETWORK_MAX_PORTS], *outputs = NULL, count = 0;
    enum cn_status status = add_inputs(a, model);
    if (status != CN_OK)
        return status;
    if (a->options->paths) {
        a->paths = calloc(CN_NETWORK_MAX_LAYERS + 1, sizeof *a->paths);
        if (a->paths == NULL)
            return no_memory(a);
    }
    for (size_t i = 0; i < a->network->input_count; i++)
        inputs[i] = i;
    status = call_model(a, model, NULL, "", inputs, a->network->input_count, &outputs, &count);
    if (status == CN_OK && a->network->layer_count == 0)
        status = cn_fail(a->error, CN_INVALID, "the %s model has no layer but its input",
                         model->sequential ? "Sequential" : "Functional");
    if (status == CN_OK)
        status = check_declared_shapes(a, model);
    if (status == CN_OK)
        status = cn_network_set_outputs(a->network, count, outputs, NULL, a->error);
    free(outputs);
    return status;
}

static enum cn_status assemble(struct assembly *a, json_t *root) {
    char shown[CN_JSON_TEXT];
    const json_t *class_name = json_object_get(root, "class_name");
    struct cn_keras_model *model = NULL;
    struct cn_keras_layer entry = {.class_name = json_string_value(class_name),
                                   .config = json_object_get(root, "config"),
                                   .lenient = a->options->lenient,
                                   .error = a->error};
    if (entry.class_name == NULL)
        return cn_fail(a->error, CN_MALFORMED,
                       "the architecture has no class_name; it must be a Keras model");
    if (!cn_keras_is_model(entry.class_name, entry.config))
        return cn_fail(a->error, CN_UNSUPPORTED,
                       "the architecture is a %s; Sequential and Functional models are supported",
                       cn_json_show(class_name, shown));
    cn_keras_mark_version(root);
    enum cn_status status = cn_keras_tree_open(&entry, &model);
    if (status == CN_OK)
        status = call_root(a, model);
    if (status == CN_OK)
        status = set_name(a, json_object_get(entry.config, "name"));
    cn_keras_tree_free(model);
    return status;
}

enum cn_status cn_architecture_assemble(const char *json, size_t length, const char *source,
                                        const struct cn_architecture_options *options,
                                        struct cn_network **ret_network, char ***ret_paths,
                                        struct cn_error *error) {
    static const struct cn_architecture_options strict = {0};
    struct assembly a = {.options = options != NULL ? options : &strict, .error = error};
    json_t *root = NULL;
    enum cn_status status = cn_json_parse(json, length, "architecture", source, -1, &root, error);
    if (status != CN_OK)
        return status;
    status = assemble(&a, root);
    json_decref(root);
    if (status != CN_OK) {
        cn_error_set_source(error, source);
        cn_architecture_free_paths(a.paths);
        cn_network_free(a.network);
        return status;
    }
    *ret_network = a.network;
    if (a.options->moved != NULL)
        memcpy(a.options->moved, a.moved, sizeof a.moved);
    if (ret_paths != NULL)
        *ret_paths = a.paths;
    else
        cn_architecture_free_paths(a.paths);
    return CN_OK;
}

void cn_architecture_free_paths(char **paths) {
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++)
        free(paths[i]);
    free(paths);
}

enum cn_status cn_architecture_parse(const char *json, size_t length, const char *source,
                                     struct cn_network **ret_network, struct cn_error *error) {
    struct cn_network *network = NULL;
    enum cn_status status =
        cn_architecture_assemble(json, length, source, NULL, &network, NULL, error);
    if (status != CN_OK)
        return status;
    status = cn_network_build(network, error);
    if (status != CN_OK) {
        cn_error_set_source(error, source);
        cn_network_free(network);
        return status;
    }
    *ret_network = network;
    return CN_OK;
}

enum cn_status cn_architecture_read(const char *path, struct cn_network **ret_network,
                                    struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, CN_JSON_MAX_LENGTH, &bytes, &length, error);
    if (status == CN_OK)
        status = cn_architecture_parse((const char *)bytes, length, path, ret_network, error);
    free(bytes);
    return status;
}
