/* inputs_outputs.c: a model's inputs and outputs as tensors: names, shapes and the order of their
 * numbers, which for an imported network are those of the source model. Independent of protocols.
 * No state. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_file.h"
#include "json/load.h"

enum { MAX_NUMBERS = 1 << 30 };

/* ---- The default without "tensors" ---- */

static void form_default(struct cn_tensor_form *form, const char *name, const struct cn_port *port,
                         size_t index) {
    *form = (struct cn_tensor_form){.port = index, .batched = true, .rank = port->shape.rank + 1};
    (void)snprintf(form->name, sizeof form->name, "%s", name);
    form->dims[0] = -1;
    for (int i = 0; i < port->shape.rank; i++)
        form->dims[i + 1] = port->shape.dims[i];
    form->size = cn_shape_size(&port->shape);
}

static enum cn_status forms_allocate(const struct cn_network *network,
                                     struct cn_tensor_form **ret_inputs,
                                     struct cn_tensor_form **ret_outputs, struct cn_error *error) {
    *ret_inputs = calloc(network->input_count, sizeof **ret_inputs);
    *ret_outputs = calloc(network->output_count, sizeof **ret_outputs);
    return *ret_inputs != NULL && *ret_outputs != NULL
               ? CN_OK
               : cn_fail(error, CN_MEMORY, "no memory for the tensors' names");
}

static void forms_free(struct cn_tensor_form *forms, size_t count) {
    for (size_t i = 0; forms != NULL && i < count; i++)
        free(forms[i].places);
    free(forms);
}

/* ---- "tensors" ---- */

/* Computes the index in the network's order of each number in the source's order: `strides` are the
 * network's, one per axis of the source. */
static enum cn_status form_order(struct cn_tensor_form *form, const size_t *strides,
                                 struct cn_error *error) {
    int at[CN_TENSOR_FORM_RANK] = {0};
    size_t place = 0;
    bool plain = true;
    uint32_t *places = malloc(form->size * sizeof *places);
    if (places == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the order of %zu numbers", form->size);
    for (size_t i = 0; i < form->size; i++) {
        places[i] = (uint32_t)place;
        plain = plain && place == i;
        for (int axis = form->rank; axis-- > (int)form->batched;) {
            place += strides[axis];
            if (++at[axis] < form->dims[axis])
                break;
            place -= strides[axis] * (size_t)form->dims[axis];
            at[axis] = 0;
        }
    }
    if (plain) {
        free(places);
        places = NULL;
    }
    form->places = places;
    return CN_OK;
}

/* Reads "axes": for each axis of the network's tensor the corresponding axis of the source. Axes
 * that are not listed must have length 1. */
static enum cn_status form_axes(struct cn_tensor_form *form, const json_t *axes,
                                struct cn_error *error) {
    size_t strides[CN_TENSOR_FORM_RANK] = {0}, stride = 1;
    bool taken[CN_TENSOR_FORM_RANK] = {false};
    char shown[CN_JSON_TEXT];
    for (size_t i = json_array_size(axes); i-- > 0;) {
        const json_t *value = json_array_get(axes, i);
        const json_int_t axis = json_integer_value(value);
        if (!json_is_integer(value) || axis < form->batched || axis >= form->rank || taken[axis])
            return cn_fail(error, CN_MALFORMED,
                           "tensor \"%s\": axes is %s; it must be a list of its axes", form->name,
                           cn_json_show(axes, shown));
        taken[axis] = true;
        strides[axis] = stride;
        stride *= (size_t)form->dims[axis]; /* form_shape has checked the product */
    }
    for (int axis = form->batched; axis < form->rank; axis++)
        if (!taken[axis] && form->dims[axis] != 1)
            return cn_fail(error, CN_MALFORMED, "tensor \"%s\": axes leaves out axis %d of %d",
                           form->name, axis, form->dims[axis]);
    return form_order(form, strides, error);
}

static enum cn_status form_shape(struct cn_tensor_form *form, const json_t *shape,
                                 struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const size_t rank = json_array_size(shape);
    size_t size = 1;
    bool good = json_is_array(shape) && rank <= CN_TENSOR_FORM_RANK;
    for (size_t i = 0; i < rank && good; i++) {
        const json_t *value = json_array_get(shape, i);
        const json_int_t dim = json_integer_value(value);
        const bool is_batch = i == 0 && form->batched;
        good = json_is_integer(value) && dim <= MAX_NUMBERS && dim >= (is_batch ? -1 : 1) &&
               dim != 0 &&
               (is_batch ||
                (!__builtin_mul_overflow(size, (size_t)dim, &size) && size <= MAX_NUMBERS));
        form->dims[i] = (int)dim;
    }
    form->rank = (int)rank;
    if (!good || (form->batched && rank == 0) || size != form->size)
        return cn_fail(error, CN_MALFORMED,
                       "tensor \"%s\": shape is %s; it must be a list of the sizes of its %zu "
                       "numbers",
                       form->name, cn_json_show(shape, shown), form->size);
    return CN_OK;
}

/* One entry: {"name", "shape", "axes", "batched", "port"}. */
static enum cn_status form_read(const json_t *json, const struct cn_port *ports, size_t count,
                                struct cn_tensor_form *form, size_t index, struct cn_error *error) {
    char shown[CN_JSON_TEXT];
    const char *name = json_string_value(json_object_get(json, "name"));
    const json_t *batched = json_object_get(json, "batched"), *port = json_object_get(json, "port");
    if (name == NULL || name[0] == '\0' || strlen(name) >= sizeof form->name)
        return cn_fail(error, CN_MALFORMED,
                       "tensors: a name is %s; it must be a string of 1 to %zu bytes",
                       cn_json_show(json_object_get(json, "name"), shown), sizeof form->name - 1);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return cn_fail(error, CN_MALFORMED, "tensors: a name has a control character");
    if (port != NULL && (!json_is_integer(port) || json_integer_value(port) < 0 ||
                         (size_t)json_integer_value(port) >= count))
        return cn_fail(error, CN_MALFORMED, "tensor \"%s\": port is %s; it must be from 0 to %zu",
                       name, cn_json_show(port, shown), count - 1);
    form->port = port != NULL ? (size_t)json_integer_value(port) : index;
    form->size = cn_shape_size(&ports[form->port].shape);
    form->batched = !json_is_false(batched);
    (void)snprintf(form->name, sizeof form->name, "%s", name);
    const enum cn_status status = form_shape(form, json_object_get(json, "shape"), error);
    return status == CN_OK ? form_axes(form, json_object_get(json, "axes"), error) : status;
}

/* Checks that each port and each name occurs once. */
static enum cn_status forms_check(const struct cn_tensor_form *forms, size_t count,
                                  struct cn_error *error) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (forms[i].port == forms[k].port || strcmp(forms[i].name, forms[k].name) == 0)
                return cn_fail(error, CN_MALFORMED, "tensors: \"%s\" occurs twice", forms[i].name);
    return CN_OK;
}

static enum cn_status forms_read(const json_t *list, const char *what, const struct cn_port *ports,
                                 size_t count, struct cn_tensor_form *forms,
                                 struct cn_error *error) {
    enum cn_status status = CN_OK;
    if (json_array_size(list) != count)
        return cn_fail(error, CN_MALFORMED, "tensors: there are %zu %s; the network has %zu",
                       json_array_size(list), what, count);
    for (size_t i = 0; i < count && status == CN_OK; i++)
        status = form_read(json_array_get(list, i), ports, count, &forms[i], i, error);
    return status == CN_OK ? forms_check(forms, count, error) : status;
}

static void interface_take(struct cn_model *model, struct cn_tensor_form *inputs,
                           struct cn_tensor_form *outputs, char *tensors, bool answers) {
    cn_model_free_interface(model);
    model->inputs = inputs;
    model->outputs = outputs;
    model->tensors = tensors;
    model->answers = answers;
}

enum cn_status cn_model_set_tensors(struct cn_model *model, const char *json,
                                    struct cn_error *error) {
    const struct cn_network *network = model->network;
    struct cn_tensor_form *inputs = NULL, *outputs = NULL;
    json_t *root = NULL;
    char *copy = strdup(json);
    enum cn_status status =
        copy != NULL ? cn_json_parse(json, strlen(json), "tensors", NULL, -1, &root, error)
                     : cn_fail(error, CN_MEMORY, "no memory for the tensors' names");
    if (status == CN_OK)
        status = forms_allocate(network, &inputs, &outputs, error);
    if (status == CN_OK)
        status = forms_read(json_object_get(root, "inputs"), "inputs", network->inputs,
                            network->input_count, inputs, error);
    if (status == CN_OK)
        status = forms_read(json_object_get(root, "outputs"), "outputs", network->outputs,
                            network->output_count, outputs, error);
    if (status == CN_OK) {
        interface_take(model, inputs, outputs, copy,
                       network->output_count == 1 ||
                           json_is_true(json_object_get(root, "answers")));
    } else {
        forms_free(inputs, network->input_count);
        forms_free(outputs, network->output_count);
        free(copy);
    }
    json_decref(root);
    return status;
}

enum cn_status cn_model_reset_tensors(struct cn_model *model, struct cn_error *error) {
    const struct cn_network *network = model->network;
    struct cn_tensor_form *inputs, *outputs;
    const enum cn_status status = forms_allocate(network, &inputs, &outputs, error);
    if (status != CN_OK) {
        free(inputs);
        free(outputs);
        return status;
    }
    for (size_t i = 0; i < network->input_count; i++)
        form_default(&inputs[i], network->input_count == 1 ? "image" : network->inputs[i].name,
                     &network->inputs[i], i);
    for (size_t k = 0; k < network->output_count; k++)
        form_default(&outputs[k],
                     network->output_count == 1 ? "probabilities" : network->outputs[k].name,
                     &network->outputs[k], k);
    interface_take(model, inputs, outputs, NULL, true);
    return CN_OK;
}

void cn_model_free_interface(struct cn_model *model) {
    forms_free(model->inputs, model->input_forms);
    forms_free(model->outputs, model->output_forms);
    free(model->tensors);
    model->inputs = model->outputs = NULL;
    model->tensors = NULL;
}

/* ---- Which output answers a picture ---- */

enum cn_status cn_model_check_input(const struct cn_model *model, struct cn_error *error) {
    const struct cn_network *network = model->network;
    if (network->input_count > 1)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the model takes %zu inputs, \"%.60s\" and \"%.60s\" among them, which no "
                       "picture is: send a tensor for each to /v2/models/NAME/infer",
                       network->input_count, model->inputs[0].name, model->inputs[1].name);
    if (!model->answers)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the model gives %zu outputs, \"%.60s\" and \"%.60s\" among them, and none "
                       "is chosen as the answer to a picture: ask /v2/models/NAME/infer for them, "
                       "or choose one with `convnet edit --answer OUTPUT`",
                       network->output_count, model->outputs[0].name, model->outputs[1].name);
    return CN_OK;
}

/* The JSON of the same forms, with the network's output `chosen` first. */
static char *tensors_with_answer(const struct cn_model *model, size_t chosen) {
    json_t *root = json_object(), *lists[2] = {json_array(), json_array()};
    for (int side = 0; side < 2; side++) {
        const struct cn_tensor_form *forms = side == 0 ? model->inputs : model->outputs;
        const size_t count = side == 0 ? model->input_forms : model->output_forms;
        const json_t *given = NULL;
        json_t *old = model->tensors != NULL ? json_loads(model->tensors, 0, NULL) : NULL;
        given = json_object_get(old, side == 0 ? "inputs" : "outputs");
        for (size_t i = 0; i < count; i++) {
            const struct cn_tensor_form *form = &forms[i];
            json_t *entry = json_copy(json_array_get(given, i));
            if (entry == NULL) {
                json_t *shape = json_array(), *axes = json_array();
                for (int axis = 0; axis < form->rank; axis++) {
                    (void)json_array_append_new(shape, json_integer(form->dims[axis]));
                    if (axis > 0)
                        (void)json_array_append_new(axes, json_integer(axis));
                }
                entry =
                    json_pack("{s:s, s:o, s:o}", "name", form->name, "shape", shape, "axes", axes);
            }
            const size_t port = side == 0              ? form->port
                                : form->port == chosen ? 0
                                : form->port == 0      ? chosen
                                                       : form->port;
            (void)json_object_set_new(entry, "port", json_integer((json_int_t)port));
            (void)json_array_append_new(lists[side], entry);
        }
        json_decref(old);
    }
    (void)json_object_set_new(root, "inputs", lists[0]);
    (void)json_object_set_new(root, "outputs", lists[1]);
    (void)json_object_set_new(root, "answers", json_true());
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

enum cn_status cn_model_choose_answer(struct cn_model *model, const char *name,
                                      struct cn_error *error) {
    struct cn_network *network = model->network;
    size_t index = model->output_forms;
    for (size_t k = 0; k < model->output_forms; k++)
        if (strcmp(model->outputs[k].name, name) == 0)
            index = k;
    if (index == model->output_forms)
        return cn_fail(error, CN_INVALID, "the model has no output \"%.100s\"; its first is \"%s\"",
                       name, model->outputs[0].name);
    const size_t chosen = model->outputs[index].port;
    char *text = tensors_with_answer(model, chosen);
    if (text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the tensors' names");
    const struct cn_port first = network->outputs[0];
    network->outputs[0] = network->outputs[chosen];
    network->outputs[chosen] = first;
    network->output_shape = network->outputs[0].shape;
    enum cn_status status = cn_model_set_tensors(model, text, error);
    free(text);
    if (status == CN_OK && chosen != 0)
        status = cn_model_reset_labels(model, error);
    return status;
}
