/* onnx.c: makes a network from an ONNX file: its inputs, then its nodes in order, then its outputs.
 * The list in onnx_operators.c converts nodes. Used by one thread. */
#include "import/onnx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/model.h"
#include "import/onnx_private.h"
#include "json/load.h"

/* ---- Inputs ---- */

/* True if the operator keeps the order of axes, so that the nodes that read its output tell about
 * its input, too. */
static bool node_keeps_axes(const char *type) {
    static const char *const types[] = {"Add", "Sub",  "Mul",     "Div",  "Cast",     "Identity",
                                        "Pad", "Clip", "Dropout", "Relu", "Neg",      "Sigmoid",
                                        "Max", "Min",  "Pow",     "Sqrt", "Unsqueeze"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0)
            return strcmp(type, "Unsqueeze") != 0;
    return false;
}

/* True if axis 0 is the batch and axis 1 the channels for this operator's first input. */
static bool node_takes_channels(const char *type) {
    static const char *const types[] = {"Conv",
                                        "com.microsoft.FusedConv",
                                        "ConvTranspose",
                                        "MaxPool",
                                        "AveragePool",
                                        "BatchNormalization",
                                        "InstanceNormalization",
                                        "GlobalAveragePool",
                                        "GlobalMaxPool",
                                        "LRN",
                                        "GroupNormalization"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i], type) == 0)
            return true;
    return false;
}

/* True if axis 0 of `value` is the batch for a dense layer. */
static bool node_takes_rows(const struct onnx_import *import, const struct onnx_node *node,
                            int value) {
    if (strcmp(node->type, "Flatten") == 0)
        return onnx_int(node, "axis", 1) == 1;
    if ((strcmp(node->type, "Gemm") != 0 && strcmp(node->type, "com.microsoft.FusedGemm") != 0) ||
        node->inputs[0] != value)
        return false;
    const int bias = node->input_count > 2 ? node->inputs[2] : -1;
    return onnx_int(node, "transA", 0) == 0 &&
           (bias < 0 || import->values[bias].rank < 2 || import->values[bias].dims[0] == 1);
}

enum hint { HINT_NONE, HINT_CHANNELS_FIRST, HINT_CHANNELS_LAST, HINT_BATCHED };

/* A hint about the axes of `value` from the nodes that read it, directly or after operators that
 * keep them. *left: the number of values that may still be visited, which bounds the time. */
static enum hint input_hint(const struct onnx_import *import, int value, int depth, int *left) {
    enum hint found = HINT_NONE;
    for (size_t i = 0; i < import->node_count && depth < 16 && *left > 0; i++) {
        const struct onnx_node *node = &import->nodes[i];
        bool reads = false;
        for (size_t k = 0; k < node->input_count; k++)
            reads |= node->inputs[k] == value;
        if (!reads)
            continue;
        enum hint hint = HINT_NONE;
        size_t count;
        const int64_t *order = onnx_ints(node, "perm", &count);
        if (node->input_count > 0 && node->inputs[0] == value && node_takes_channels(node->type))
            hint = HINT_CHANNELS_FIRST;
        else if (strcmp(node->type, "Transpose") == 0 && order != NULL && count >= 3 &&
                 order[0] == 0 && order[1] == (int64_t)count - 1)
            hint = HINT_CHANNELS_LAST;
        else if (node_takes_rows(import, node, value))
            hint = HINT_BATCHED;
        else if (node_keeps_axes(node->type) && node->output_count > 0 && node->outputs[0] >= 0)
            hint = --*left > 0 ? input_hint(import, node->outputs[0], depth + 1, left) : HINT_NONE;
        if (hint == HINT_CHANNELS_FIRST || hint == HINT_CHANNELS_LAST)
            return hint;
        found = hint != HINT_NONE ? hint : found;
    }
    return found;
}

/* The text of --input-shape for this input: what follows "name=", or the whole text for the only
 * input. */
static const char *shape_option(const struct import_onnx_options *options, const char *name,
                                bool only) {
    for (size_t i = 0; i < options->input_shape_count; i++) {
        const char *text = options->input_shapes[i], *equals = strrchr(text, '=');
        if (equals == NULL && only)
            return text;
        if (equals != NULL && strlen(name) == (size_t)(equals - text) &&
            strncmp(name, text, (size_t)(equals - text)) == 0)
            return equals + 1;
    }
    return NULL;
}

/* Reads "1,3,224,224" or the same without the batch into dims of `rank`. */
static bool shape_option_read(struct onnx_import *import, const char *text, int rank,
                              int64_t *dims) {
    int64_t given[ONNX_RANK];
    int count = 0;
    const char *at = text;
    for (; count < ONNX_RANK; at++) {
        char *end;
        errno = 0;
        const long long value = strtoll(at, &end, 10);
        if (errno != 0 || end == at || value < -1 || value > INT32_MAX)
            break;
        given[count++] = value == -1 ? 1 : value;
        at = end;
        if (*at != ',' && *at != 'x')
            break;
    }
    if (*at != '\0' || (count != rank && count != rank - 1))
        return onnx_fail(import, CN_INVALID,
                         "the input's shape '%.60s' is not %d or %d numbers with commas between",
                         text, rank, rank - 1);
    for (int i = 0; i < count; i++)
        dims[rank - count + i] = given[i];
    if (count == rank - 1)
        dims[0] = 1;
    return true;
}

/* Reads the declared dims; -1 for free ones. */
static bool input_declared(struct onnx_import *import, const Onnx__ValueInfoProto *info,
                           int *ret_type, int *ret_rank, int64_t *ret_dims) {
    const Onnx__TensorTypeProto *type = info->type != NULL ? info->type->tensor_type : NULL;
    if (type == NULL)
        return onnx_fail(import, CN_UNSUPPORTED, "input '%s' is not a tensor", info->name);
    if (type->shape == NULL)
        return onnx_fail(import, CN_UNSUPPORTED, "input '%s' declares no shape", info->name);
    if (type->shape->n_dim > ONNX_RANK)
        return onnx_fail(import, CN_UNSUPPORTED,
                         "input '%s' has %zu dimensions; at most %d are read", info->name,
                         type->shape->n_dim, ONNX_RANK);
    if (type->elem_type < ONNX_FLOAT || type->elem_type > ONNX_BFLOAT16 ||
        type->elem_type == ONNX_STRING || type->elem_type == 14 || type->elem_type == 15)
        return onnx_fail(import, CN_UNSUPPORTED, "input '%s' is of %s; numbers are read",
                         info->name, onnx_type_name(type->elem_type));
    *ret_type = type->elem_type;
    *ret_rank = (int)type->shape->n_dim;
    for (int i = 0; i < *ret_rank; i++) {
        const Onnx__Dimension *dim = type->shape->dim[i];
        ret_dims[i] = dim->has_dim_value && dim->dim_value > 0 ? dim->dim_value : -1;
        if (ret_dims[i] > INT32_MAX)
            return onnx_fail(import, CN_LIMIT, "input '%s' has a dimension of %lld", info->name,
                             (long long)ret_dims[i]);
    }
    return true;
}

/* Sets the dims of an input. The batch becomes 1, even if the source was made for another batch, if
 * this is the only input (`only`); sizes must have been given for other free axes. */
static bool input_dims(struct onnx_import *import, const char *name, enum hint hint, bool only,
                       int rank, int64_t *dims, bool *ret_batched) {
    *ret_batched = rank > 0 && (dims[0] == -1 || dims[0] == 1 || (hint != HINT_NONE && only)) &&
                   (rank > 1 || dims[0] == -1);
    if (*ret_batched) {
        if (dims[0] > 1)
            import->batch = dims[0];
        dims[0] = 1;
    }
    for (int i = 0; i < rank; i++)
        if (dims[i] == -1)
            return onnx_fail(import, CN_INVALID,
                             "input '%s' leaves its axis %d free; give its size by --input-shape, "
                             "such as --input-shape %.40s=%s",
                             name, i, name,
                             rank == 4   ? "1,3,224,224"
                             : rank == 3 ? "1,3,1000"
                                         : "1,100");
    return true;
}

/* Records an input or output as in the source, with its batch as declared, -1 if it is free. */
static void port_add(json_t *ports, const Onnx__ValueInfoProto *info, bool batched, int rank,
                     const int64_t *dims, int axis_count, const int *axes) {
    const Onnx__TensorTypeProto *type = info->type != NULL ? info->type->tensor_type : NULL;
    const Onnx__Dimension *batch =
        type != NULL && type->shape != NULL && type->shape->n_dim > 0 ? type->shape->dim[0] : NULL;
    const bool fixed = batch != NULL && batch->has_dim_value && batch->dim_value > 0;
    json_t *shape = json_array(), *order = json_array();
    for (int i = 0; i < rank; i++)
        json_array_append_new(shape, json_integer(i > 0 || !batched ? dims[i]
                                                  : fixed           ? batch->dim_value
                                                                    : -1));
    for (int i = 0; i < axis_count; i++)
        json_array_append_new(order, json_integer(axes[i]));
    json_array_append_new(ports, json_pack("{s:s, s:o, s:o, s:b}", "name", info->name, "shape",
                                           shape, "axes", order, "batched", (int)batched));
}

/* Reads one graph input that is not an initializer. */
static bool input_read(struct onnx_import *import, const struct import_onnx_options *options,
                       const Onnx__ValueInfoProto *info, bool only, json_t *ports) {
    int type = 0, rank = 0, axes[ONNX_RANK], count = 0, engine[ONNX_RANK] = {1};
    int64_t dims[ONNX_RANK];
    bool batched;
    const int index = onnx_value_index(import, info->name);
    if (!input_declared(import, info, &type, &rank, dims))
        return false;
    const char *given = shape_option(options, info->name, only);
    if (given != NULL && !shape_option_read(import, given, rank, dims))
        return false;
    int left = 256;
    enum hint hint = index >= 0 ? input_hint(import, index, 0, &left) : HINT_NONE;
    if (hint == HINT_NONE && rank == 4 && (dims[1] == 1 || dims[1] == 3) && dims[3] > 4 &&
        (dims[0] == -1 || dims[0] == 1))
        hint = HINT_CHANNELS_FIRST;
    if (!input_dims(import, info->name, hint, only, rank, dims, &batched))
        return false;
    for (int i = batched; i < rank; i++)
        axes[count++] = i;
    if (hint == HINT_CHANNELS_FIRST && batched && count >= 2) {
        for (int i = 0; i + 1 < count; i++)
            axes[i] = i + 2;
        axes[count - 1] = 1;
    }
    if (count > ONNX_ENGINE_RANK)
        return onnx_fail(import, CN_UNSUPPORTED,
                         "input '%s' has %d dimensions; at most %d are read", info->name, count,
                         ONNX_ENGINE_RANK);
    for (int i = 0; i < count; i++)
        engine[i] = (int)dims[axes[i]];
    import->node = NULL;
    const int layer =
        onnx_layer(import, "InputLayer", NULL, 0, NULL, count > 0 ? count : 1, engine);
    if (layer < 0)
        return onnx_fail(import, CN_LIMIT, "input '%s' is too large, or has a dimension of 0",
                         info->name);
    onnx_layer_rename(import, layer, info->name);
    port_add(ports, info, batched, rank, dims, count, axes);
    if (index >= 0) /* otherwise no node reads it */
        onnx_result(&import->values[index], type, rank, dims, count, axes, layer);
    return true;
}

/* True for an input that no node reads, or that older files list although it is an initializer. */
static bool input_is_idle(struct onnx_import *import, const Onnx__ValueInfoProto *info) {
    const int index = info->name != NULL ? onnx_value_index(import, info->name) : -1;
    return index < 0 || import->values[index].state == ONNX_CONSTANT ||
           (import->values[index].uses == 0 && !import->values[index].is_output);
}

static bool inputs_read(struct onnx_import *import, const struct import_onnx_options *options,
                        json_t *ports) {
    const Onnx__GraphProto *graph = import->model->graph;
    size_t count = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        if (graph->input[i]->name == NULL || graph->input[i]->name[0] == '\0')
            return onnx_fail(import, CN_MALFORMED, "an input has no name");
        count += !input_is_idle(import, graph->input[i]);
    }
    if (count == 0)
        return onnx_fail(import, CN_UNSUPPORTED, "has no input");
    if (count > CN_NETWORK_MAX_PORTS)
        return onnx_fail(import, CN_LIMIT, "has %zu inputs; at most %d are read", count,
                         CN_NETWORK_MAX_PORTS);
    for (size_t i = 0; i < graph->n_input; i++)
        if (!input_is_idle(import, graph->input[i]) &&
            !input_read(import, options, graph->input[i], count == 1, ports))
            return false;
    return true;
}

/* ---- Nodes ---- */

/* Marks the nodes on which an output depends: other nodes' operators do not matter. */
static bool *nodes_needed(struct onnx_import *import) {
    bool *needed = onnx_allocate(import, import->node_count + 1, sizeof *needed);
    bool *used = onnx_allocate(import, import->value_count + 1, sizeof *used);
    if (needed == NULL || used == NULL)
        return NULL;
    for (size_t v = 0; v < import->value_count; v++)
        used[v] = import->values[v].is_output;
    for (size_t i = import->node_count; i-- > 0;) {
        const struct onnx_node *node = &import->nodes[i];
        for (size_t o = 0; o < node->output_count; o++)
            needed[i] |= node->outputs[o] >= 0 && used[node->outputs[o]];
        for (size_t k = 0; needed[i] && k < node->input_count; k++)
            if (node->inputs[k] >= 0)
                used[node->inputs[k]] = true;
    }
    return needed;
}

static const char *operator_advice(const char *type) {
    static const char *const recurrent[] = {"LSTM", "GRU", "RNN"};
    static const char *const control[] = {"Loop", "Scan", "SequenceMap"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(type, recurrent[i]) == 0)
            return "recurrent layers are not supported";
        if (strcmp(type, control[i]) == 0)
            return "control flow is not supported";
    }
    if (strncmp(type, "QLinear", 7) == 0 || strcmp(type, "DynamicQuantizeLinear") == 0 ||
        strcmp(type, "ConvInteger") == 0 || strcmp(type, "MatMulInteger") == 0)
        return "integer arithmetic is not supported; export the model before quantization, or with "
               "QuantizeLinear and DequantizeLinear (QDQ)";
    return strchr(type, '.') != NULL ? "operators of other domains are not supported"
                                     : "this operator is not supported";
}

bool onnx_node_convert(struct onnx_import *import, const struct onnx_node *node) {
    bool poisoned = false, folded = false;
    import->node = node;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct onnx_value *value = onnx_input(import, i);
        if (value != NULL && value->state == ONNX_UNSET)
            return onnx_refuse(import, "no node, input or initializer defines its input '%s'",
                               value->name);
        poisoned |= value != NULL && value->state == ONNX_POISONED;
    }
    const struct onnx_operator *operator_row = onnx_operator_find(node->type);
    if (poisoned) {
        if (operator_row == NULL && !onnx_fold_knows(node->type))
            onnx_refuse(import, "%s", operator_advice(node->type));
        return false;
    }
    if (!onnx_fold(import, &folded))
        return false;
    if (folded)
        return true;
    if (operator_row == NULL)
        return onnx_refuse(import, "%s", operator_advice(node->type));
    return operator_row->lower(import);
}

static bool nodes_convert(struct onnx_import *import) {
    const bool *needed = nodes_needed(import);
    if (needed == NULL)
        return false;
    for (size_t i = 0; i < import->node_count; i++) {
        const struct onnx_node *node = &import->nodes[i];
        const bool done = needed[i] && onnx_node_convert(import, node);
        if (import->status != CN_OK)
            return false;
        for (size_t o = 0; needed[i] && o < node->output_count; o++) {
            struct onnx_value *value =
                node->outputs[o] >= 0 ? &import->values[node->outputs[o]] : NULL;
            if (value != NULL && (!done || value->state == ONNX_UNSET))
                value->state = ONNX_POISONED;
        }
    }
    import->node = NULL;
    return true;
}

/* ---- Outputs ---- */

static bool outputs_mark(struct onnx_import *import) {
    const Onnx__GraphProto *graph = import->model->graph;
    if (graph->n_output < 1 || graph->n_output > CN_NETWORK_MAX_PORTS)
        return onnx_fail(import, CN_UNSUPPORTED, "has %zu outputs; from 1 to %d are read",
                         graph->n_output, CN_NETWORK_MAX_PORTS);
    for (size_t i = 0; i < graph->n_output; i++) {
        const char *name = graph->output[i]->name;
        const int index = name != NULL ? onnx_value_index(import, name) : -1;
        if (index < 0)
            return onnx_fail(import, CN_MALFORMED, "no node computes its output '%.100s'",
                             name != NULL ? name : "");
        import->values[index].is_output = true;
    }
    return true;
}

/* Makes a Constant layer for a constant that is an output. */
static bool constant_computed(struct onnx_import *import, struct onnx_value *value) {
    const struct onnx_tensor *tensor = value->tensor;
    const int dims[1] = {(int)tensor->count};
    float *numbers = onnx_allocate(import, tensor->count + 1, sizeof *numbers);
    int axes[ONNX_RANK];
    if (numbers == NULL)
        return false;
    for (size_t i = 0; i < tensor->count; i++)
        numbers[i] = (float)onnx_number(tensor, i);
    for (int i = 0; i < value->rank; i++)
        axes[i] = i;
    const int layer = onnx_layer_constant(import, 1, dims, numbers);
    if (layer < 0)
        return false;
    onnx_result(value, value->type, value->rank, value->dims, value->rank, axes, layer);
    return true;
}

/* True if the layer is already one of the outputs. */
static bool is_output(const json_t *layers, int layer) {
    size_t i;
    json_t *other;
    json_array_foreach(layers, i, other) {
        if (json_integer_value(other) == layer)
            return true;
    }
    return false;
}

static bool output_write(struct onnx_import *import, const Onnx__ValueInfoProto *info,
                         json_t *ports, json_t *layers) {
    const char *name = info->name;
    struct onnx_value *value = &import->values[onnx_value_index(import, name)];
    int axes[ONNX_RANK], layer, count;
    if (value->state == ONNX_POISONED) /* the obstacle is known */
        return false;
    if (value->state == ONNX_UNSET)
        return onnx_refuse(import, "no node computes the output '%s'", name);
    if (value->state == ONNX_CONSTANT && !constant_computed(import, value))
        return false;
    count = onnx_axes_of(value, 0, -1, axes);
    if (value->rank != 4 || count != 3 ||
        axes[2] != 1) { /* a vector or a list has the source's order */
        count = 0;
        for (int i = 0; i < value->rank; i++)
            if (value->dims[i] != 1)
                axes[count++] = i;
    }
    if (!onnx_arrange(import, value, count, axes, &layer))
        return false;
    const struct onnx_layer from = import->layers[layer];
    if (is_output(layers, layer) || strcmp(from.class_name, "InputLayer") == 0)
        layer = onnx_layer(import, "Activation", json_pack("{s:s}", "activation", "linear"), 1,
                           &layer, from.rank, from.dims);
    if (layer < 0 || (size_t)layer >= import->value_count + 4 * import->layer_count)
        return false;
    onnx_layer_rename(import, layer, name);
    port_add(ports, info, value->dims[0] == 1 && value->rank > 1, value->rank, value->dims, count,
             axes);
    json_array_append_new(layers, json_integer(layer));
    return true;
}

/* ---- The network ---- */

/* Marks the layers that an output needs, and all inputs. */
static bool *layers_needed(struct onnx_import *import, const json_t *outputs) {
    bool *needed = onnx_allocate(import, import->layer_count + 1, sizeof *needed);
    size_t i;
    json_t *output;
    if (needed == NULL)
        return NULL;
    json_array_foreach(outputs, i, output) needed[json_integer_value(output)] = true;
    for (size_t l = import->layer_count; l-- > 0;) {
        needed[l] |= strcmp(import->layers[l].class_name, "InputLayer") == 0;
        for (int k = 0; needed[l] && k < import->layers[l].input_count; k++)
            needed[import->layers[l].inputs[k]] = true;
    }
    return needed;
}

static json_t *layer_json(const struct onnx_import *import, const struct onnx_layer *layer) {
    json_t *calls = json_array();
    if (strcmp(layer->class_name, "InputLayer") == 0) {
        json_t *shape = json_array();
        json_array_append_new(shape, json_null());
        for (int i = 0; i < layer->rank; i++)
            json_array_append_new(shape, json_integer(layer->dims[i]));
        json_object_set_new(layer->config, "batch_shape", shape);
    } else {
        json_t *call = json_array();
        for (int k = 0; k < layer->input_count; k++)
            json_array_append_new(
                call, json_pack("[s,i,i,{}]", import->layers[layer->inputs[k]].name, 0, 0));
        json_array_append_new(calls, call);
    }
    json_object_set_new(layer->config, "name", json_string(layer->name));
    return json_pack("{s:s, s:s, s:O, s:o}", "class_name", layer->class_name, "name", layer->name,
                     "config", layer->config, "inbound_nodes", calls);
}

static char *network_json(struct onnx_import *import, const bool *needed, const json_t *outputs) {
    json_t *layers = json_array(), *ins = json_array(), *outs = json_array(), *output;
    size_t i;
    for (size_t l = 0; l < import->layer_count; l++) {
        const struct onnx_layer *layer = &import->layers[l];
        if (!needed[l])
            continue;
        json_array_append_new(layers, layer_json(import, layer));
        if (strcmp(layer->class_name, "InputLayer") == 0)
            json_array_append_new(ins, json_pack("[s,i,i]", layer->name, 0, 0));
    }
    json_array_foreach(outputs, i, output) json_array_append_new(
        outs, json_pack("[s,i,i]", import->layers[json_integer_value(output)].name, 0, 0));
    json_t *whole =
        json_pack("{s:s, s:{s:s, s:o, s:o, s:o}}", "class_name", "Functional", "config", "name",
                  "onnx", "layers", layers, "input_layers", ins, "output_layers", outs);
    char *text = whole != NULL ? json_dumps(whole, JSON_COMPACT) : NULL;
    json_decref(whole);
    return text;
}

static bool weights_copy(struct onnx_import *import, const bool *needed,
                         struct cn_network *network) {
    size_t filled = 0;
    for (size_t l = 0; l < import->layer_count; l++)
        for (int w = 0; needed[l] && w < import->layers[l].weight_count; w++) {
            const struct onnx_weight *weight = &import->layers[l].weights[w];
            char name[160];
            const struct cn_tensor *tensor = NULL;
            size_t size = 1;
            snprintf(name, sizeof name, "%s/%s", import->layers[l].name, weight->name);
            for (size_t t = 0; t < network->tensor_count && tensor == NULL; t++)
                if (strcmp(network->tensors[t].name, name) == 0)
                    tensor = &network->tensors[t];
            for (int i = 0; i < weight->rank; i++)
                size *= (size_t)weight->dims[i];
            if (tensor == NULL || tensor->size != size)
                return onnx_fail(import, CN_INVALID, "the weights '%s' do not fit their layer",
                                 name);
            memcpy(network->parameters + tensor->offset, weight->data, size * sizeof(float));
            filled++;
        }
    return filled == network->tensor_count ||
           onnx_fail(import, CN_INVALID, "%zu of %zu weights are missing",
                     network->tensor_count - filled, network->tensor_count);
}

static json_t *layers_describe(const struct onnx_import *import, const bool *needed) {
    json_t *list = json_array();
    for (size_t l = 0; l < import->layer_count; l++) {
        const struct onnx_layer *layer = &import->layers[l];
        json_t *entry =
            json_pack("{s:s, s:s, s:o, s:s?}", "name", layer->name, "class", layer->class_name,
                      "shape", cn_json_ints(layer->dims, layer->rank), "source", layer->source);
        if (needed[l] && entry != NULL)
            json_array_append(list, entry);
        json_decref(entry);
    }
    return list;
}

/* Reads labels that some exporters store in the metadata: {"names": "{0: 'cat', 1: 'dog'}"} or a
 * JSON list. */
static json_t *labels_read(const struct onnx_import *import) {
    for (size_t i = 0; i < import->model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = import->model->metadata_props[i];
        if (entry->key == NULL || entry->value == NULL ||
            (strcmp(entry->key, "labels") != 0 && strcmp(entry->key, "classes") != 0 &&
             strcmp(entry->key, "class_names") != 0))
            continue;
        json_t *list = json_loads(entry->value, JSON_REJECT_DUPLICATES, NULL), *label;
        size_t k;
        bool sound = json_is_array(list) && json_array_size(list) > 0;
        json_array_foreach(list, k, label) sound &= json_is_string(label);
        if (sound)
            return list;
        json_decref(list);
    }
    return NULL;
}

static bool network_make(struct onnx_import *import, const json_t *outputs,
                         struct import_onnx_result *result) {
    const bool *needed = layers_needed(import, outputs);
    char *text = needed != NULL ? network_json(import, needed, outputs) : NULL;
    bool made = false;
    if (text == NULL)
        return onnx_fail(import, CN_MEMORY, "no memory for the network");
    const enum cn_status status =
        cn_architecture_parse(text, strlen(text), import->path, &result->network, import->error);
    if (status != CN_OK)
        import->status = status;
    else
        made = weights_copy(import, needed, result->network);
    free(text);
    if (made)
        result->layers = layers_describe(import, needed);
    return made;
}

static bool outputs_make(struct onnx_import *import, json_t *ports, json_t *layers) {
    const Onnx__GraphProto *graph = import->model->graph;
    for (size_t i = 0; i < graph->n_output; i++) {
        if (!output_write(import, graph->output[i], ports, layers) && import->status != CN_OK)
            return false;
    }
    return true;
}

static bool obstacles_report(struct onnx_import *import) {
    const size_t count = json_array_size(import->obstacles);
    if (count == 0)
        return true;
    const char *first = json_string_value(json_array_get(import->obstacles, 0));
    return onnx_fail(import, CN_UNSUPPORTED, "%zu %s not supported: %.230s%s", count,
                     count == 1 ? "part is" : "parts are", first, count > 1 ? "; and others" : "");
}

static bool import_run(struct onnx_import *import, const struct import_onnx_options *options,
                       struct import_onnx_result *result) {
    json_t *ins = json_array(), *outs = json_array(), *layers = json_array();
    result->tensors = json_pack("{s:o, s:o}", "inputs", ins, "outputs", outs);
    bool done = result->tensors != NULL &&
                onnx_model_parse(import, options->bytes, options->length) &&
                onnx_graph_read(import) && outputs_mark(import) &&
                inputs_read(import, options, ins) && nodes_convert(import);
    if (done) {
        const Onnx__ModelProto *model = import->model;
        result->source =
            json_pack("{s:s, s:s, s:I, s:I}", "format", "ONNX", "producer",
                      model->producer_name != NULL ? model->producer_name : "", "opset",
                      (json_int_t)import->opset, "ir_version", (json_int_t)model->ir_version);
        result->labels = labels_read(import);
        done = outputs_make(import, outs, layers) && obstacles_report(import) &&
               network_make(import, layers, result);
    }
    json_decref(layers);
    return done;
}

enum cn_status import_onnx(const struct import_onnx_options *options,
                           struct import_onnx_result *ret_result, struct cn_error *error) {
    struct onnx_import import = {
        .error = error, .path = options->name, .folder = options->folder, .batch = 1};
    struct import_onnx_result result = {.notes = json_array(), .obstacles = json_array()};
    import.names = json_object();
    import.layer_names = json_object();
    import.notes = result.notes;
    import.obstacles = result.obstacles;
    if (import.names == NULL || import.layer_names == NULL || result.notes == NULL ||
        result.obstacles == NULL)
        onnx_fail(&import, CN_MEMORY, "no memory for an import");
    else if (!import_run(&import, options, &result) && import.status == CN_OK &&
             obstacles_report(&import))
        onnx_fail(&import, CN_INVALID, "cannot be imported");
    for (size_t l = 0; l < import.layer_count; l++)
        json_decref(import.layers[l].config);
    json_decref(import.names);
    json_decref(import.layer_names);
    onnx_model_free(&import);
    onnx_free_memory(&import);
    if (import.status != CN_OK && result.network != NULL) {
        cn_network_free(result.network);
        result.network = NULL;
    }
    *ret_result = result;
    return import.status;
}

void import_onnx_clear(struct import_onnx_result *result) {
    cn_network_free(result->network);
    json_decref(result->tensors);
    json_decref(result->layers);
    json_decref(result->notes);
    json_decref(result->obstacles);
    json_decref(result->source);
    json_decref(result->labels);
    *result = (struct import_onnx_result){0};
}
