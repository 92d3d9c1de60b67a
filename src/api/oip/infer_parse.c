/* infer_parse.c: the JSON of an inference request. Unknown members and parameters are ignored, as
 * the protocol demands; known ones must be right. Numbers are read straight into the images when
 * datatype and shape precede them, which is the usual order, else in a second pass. No state. */
#include <stdio.h>

#include "api/oip/infer.h"

/* A day in microseconds; longer timeouts are ignored. */
#define LONGEST_TIMEOUT INT64_C(86400000000)

static enum cn_status read_id(struct json_scan *s, struct infer_request *request) {
    const enum cn_status status = cn_json_text(s, &request->id);
    if (status == CN_OK && !cn_json_is_utf8(request->id))
        return cn_fail(s->error, CN_MALFORMED, "\"id\" is not UTF-8");
    return status;
}

/* ---- The input ---- */

static enum cn_status read_dimension(struct json_scan *s, size_t index, void *data) {
    struct infer_input *input = data;
    if (index == INFER_MAX_RANK)
        return cn_fail(s->error, CN_INVALID, "the shape has more than %d dimensions",
                       INFER_MAX_RANK);
    input->rank = index + 1;
    return cn_json_integer(s, "a dimension, which is a whole number", &input->dims[index]);
}

static enum cn_status read_shape(struct json_scan *s, struct infer_input *input) {
    if (input->has_shape)
        return cn_fail(s->error, CN_MALFORMED, "\"shape\" occurs twice");
    input->has_shape = true;
    const char c = cn_json_peek(s);
    if (c == '[') {
        const enum cn_status status = cn_json_list(s, read_dimension, input);
        if (status == CN_OK && input->rank == 0)
            return cn_fail(s->error, CN_INVALID, "the shape is empty");
        return status;
    }
    int64_t value = 0;
    if (c != '-')
        return cn_json_fail(s, "'[', the list of the shape's dimensions");
    const enum cn_status status =
        cn_json_integer(s, "'[', the list of the shape's dimensions", &value);
    if (status == CN_OK &&
        value != -1) /* some clients send -1 alone, which means any number of images */
        return cn_fail(s->error, CN_INVALID, "the shape is %lld; it must be a list of dimensions",
                       (long long)value);
    return status;
}

static enum cn_status read_type(struct json_scan *s, struct infer_input *input) {
    struct json_string name = {0};
    const enum cn_status status = cn_json_text(s, &name);
    if (status != CN_OK)
        return status;
    input->type = infer_type_find(name);
    if (input->type == NULL)
        return cn_fail(s->error, CN_INVALID,
                       "datatype '%.*s' is not supported; the supported ones are: " INFER_TYPES,
                       (int)(name.length < 32 ? name.length : 32), name.begin);
    return CN_OK;
}

static enum cn_status read_input_parameter(struct json_scan *s, struct json_string key,
                                           void *data) {
    struct infer_input *input = data;
    if (!cn_json_is(key, "binary_data_size"))
        return cn_json_skip(s);
    input->has_binary_size = true;
    return cn_json_integer(s, "a number of bytes", &input->binary_size);
}

static enum cn_status read_data(struct json_scan *s, struct infer_request *request) {
    struct infer_input *input = &request->inputs[request->input_count];
    if (input->has_data)
        return cn_fail(s->error, CN_MALFORMED, "\"data\" occurs twice");
    input->has_data = true;
    if (input->form != NULL && input->type != NULL && input->has_shape)
        return infer_read_json(request, input, s);
    (void)cn_json_peek(s);
    input->data = s->at;
    return cn_json_skip(s);
}

/* "'eeg', 'ecg'": as many names as fit. */
static const char *list_names(const struct cn_tensor_form *forms, size_t count, char *text,
                              size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s'%s'", i > 0 ? ", " : "", forms[i].name);
    return text;
}

/* Finds the input by its name; a model with one input accepts any name. */
static enum cn_status read_input_name(struct json_scan *s, struct infer_request *request) {
    const struct cn_model *model = request->prediction->model->model;
    struct infer_input *input = &request->inputs[request->input_count];
    struct json_string name = {0};
    char names[160];
    const enum cn_status status = cn_json_text(s, &name);
    if (status != CN_OK || model->input_forms == 1)
        return status;
    for (size_t i = 0; i < model->input_forms; i++)
        if (cn_json_is(name, model->inputs[i].name))
            input->form = &model->inputs[i];
    if (input->form == NULL)
        return cn_fail(s->error, CN_INVALID, "there is no input '%.*s'; this model's are %s",
                       (int)(name.length < 64 ? name.length : 64), name.begin,
                       list_names(model->inputs, model->input_forms, names, sizeof names));
    input->offset = cn_plan_input_offset(request->prediction->model->plan, input->form->port);
    for (size_t i = 0; i < request->input_count; i++)
        if (request->inputs[i].form == input->form)
            return cn_fail(s->error, CN_INVALID, "input '%s' occurs twice", input->form->name);
    return CN_OK;
}

static enum cn_status read_input_member(struct json_scan *s, struct json_string key, void *data) {
    struct infer_request *request = data;
    struct infer_input *input = &request->inputs[request->input_count];
    if (cn_json_is(key, "data"))
        return read_data(s, request);
    if (cn_json_is(key, "shape"))
        return read_shape(s, input);
    if (cn_json_is(key, "datatype"))
        return read_type(s, input);
    if (cn_json_is(key, "name"))
        return read_input_name(s, request);
    if (cn_json_is(key, "parameters") && cn_json_peek(s) == '{')
        return cn_json_object(s, read_input_parameter, input);
    return cn_json_skip(s);
}

static enum cn_status read_input(struct json_scan *s, size_t index, void *data) {
    struct infer_request *request = data;
    const struct cn_model *model = request->prediction->model->model;
    if (index == model->input_forms && index == 1)
        return cn_fail(s->error, CN_INVALID,
                       "the request has more than one input; this model has one");
    if (index == model->input_forms)
        return cn_fail(s->error, CN_INVALID,
                       "the request has more than %zu inputs; this model has %zu", index, index);
    if (model->input_forms == 1)
        request->inputs[index].form = &model->inputs[0];
    enum cn_status status = cn_json_object(s, read_input_member, request);
    if (status == CN_OK && request->inputs[index].form == NULL)
        status = cn_fail(s->error, CN_INVALID, "input %zu has no \"name\"", index + 1);
    request->input_count = index + 1;
    return status;
}

/* ---- The outputs ---- */

static enum cn_status read_output_parameter(struct json_scan *s, struct json_string key,
                                            void *data) {
    struct infer_output *output = data;
    if (cn_json_is(key, "binary_data")) {
        output->says_binary = true;
        return cn_json_bool(s, "true or false for \"binary_data\"", &output->binary);
    }
    if (!cn_json_is(key, "classification"))
        return cn_json_skip(s);
    int64_t classes = 0;
    const enum cn_status status = cn_json_integer(s, "a number of classes", &classes);
    if (status == CN_OK && classes < 0)
        return cn_fail(s->error, CN_INVALID, "classification is %lld; it must be 0 or more",
                       (long long)classes);
    output->classes = (size_t)classes;
    return status;
}

static enum cn_status read_output_name(struct json_scan *s, struct infer_request *request) {
    const struct cn_model *model = request->prediction->model->model;
    struct infer_output *output = &request->outputs[request->output_count];
    struct json_string name = {0};
    char names[160];
    const enum cn_status status = cn_json_text(s, &name);
    if (status != CN_OK)
        return status;
    output->form = NULL;
    output->alias = model->output_forms == 1 && cn_json_is(name, INFER_OUTPUT);
    for (size_t i = 0; i < model->output_forms; i++)
        if (output->alias || cn_json_is(name, model->outputs[i].name))
            output->form = &model->outputs[i];
    if (output->form == NULL)
        return cn_fail(s->error, CN_INVALID, "there is no output '%.*s'; this model's %s %s",
                       (int)(name.length < 64 ? name.length : 64), name.begin,
                       model->output_forms > 1 ? "are" : "is",
                       list_names(model->outputs, model->output_forms, names, sizeof names));
    for (size_t i = 0; i < request->output_count; i++)
        if (request->outputs[i].form == output->form)
            return cn_fail(s->error, CN_INVALID, "output '%.*s' occurs twice",
                           (int)(name.length < 64 ? name.length : 64), name.begin);
    return CN_OK;
}

static enum cn_status read_output_member(struct json_scan *s, struct json_string key, void *data) {
    struct infer_request *request = data;
    struct infer_output *output = &request->outputs[request->output_count];
    if (cn_json_is(key, "parameters") && cn_json_peek(s) == '{')
        return cn_json_object(s, read_output_parameter, output);
    return cn_json_is(key, "name") ? read_output_name(s, request) : cn_json_skip(s);
}

static enum cn_status read_output(struct json_scan *s, size_t index, void *data) {
    struct infer_request *request = data;
    const enum cn_status status = cn_json_object(s, read_output_member, request);
    if (status == CN_OK && request->outputs[index].form == NULL)
        return cn_fail(s->error, CN_INVALID, "output %zu has no \"name\"", index + 1);
    request->output_count = index + 1;
    return status;
}

/* ---- The request ---- */

/* Microseconds, as in Triton's schedule policy. A timeout can only shorten the request's time. */
static enum cn_status read_timeout(struct json_scan *s, struct infer_request *request) {
    int64_t timeout = 0;
    const enum cn_status status = cn_json_integer(s, "a number of microseconds", &timeout);
    if (status == CN_OK && timeout < 0)
        return cn_fail(s->error, CN_INVALID, "timeout is %lld; it must be 0 or more microseconds",
                       (long long)timeout);
    if (status == CN_OK && timeout > 0 && timeout < LONGEST_TIMEOUT)
        http_deadline_shorten(&request->prediction->deadline,
                              request->prediction->begun_nanoseconds + (uint64_t)timeout * 1000);
    return status;
}

static enum cn_status read_parameter(struct json_scan *s, struct json_string key, void *data) {
    struct infer_request *request = data;
    if (cn_json_is(key, "binary_data_output"))
        return cn_json_bool(s, "true or false for \"binary_data_output\"", &request->binary_output);
    if (cn_json_is(key, "timeout"))
        return read_timeout(s, request);
    return cn_json_skip(s);
}

static enum cn_status read_member(struct json_scan *s, struct json_string key, void *data) {
    struct infer_request *request = data;
    if (cn_json_is(key, "id"))
        return read_id(s, request);
    if (cn_json_is(key, "parameters") && cn_json_peek(s) == '{')
        return cn_json_object(s, read_parameter, request);
    if (cn_json_is(key, "outputs"))
        return cn_json_list(s, read_output, request);
    if (!cn_json_is(key, "inputs"))
        return cn_json_skip(s);
    if (request->input_count > 0)
        return cn_fail(s->error, CN_MALFORMED, "\"inputs\" occurs twice");
    return cn_json_list(s, read_input, request);
}

/* Takes the input's bytes of the binary part: as many as the request says, or all when it says
 * nothing. */
static enum cn_status take_binary(struct infer_request *request, struct infer_input *input,
                                  const uint8_t **binary, size_t *length, struct cn_error *error) {
    const int64_t size = input->binary_size;
    const bool last = input == &request->inputs[request->input_count - 1];
    if (input->has_binary_size && (size < 0 || (uint64_t)size > *length ||
                                   (request->input_count == 1 && (uint64_t)size != *length)))
        return cn_fail(error, CN_INVALID,
                       "binary_data_size is %lld, but %zu bytes follow the request's JSON",
                       (long long)size, *length);
    if (*length == 0)
        return cn_fail(error, CN_INVALID,
                       "the input has neither \"data\" nor bytes after the request's JSON");
    if (!input->has_binary_size && !last)
        return cn_fail(error, CN_INVALID, "input '%s' has no binary_data_size", input->form->name);
    const size_t taken = input->has_binary_size ? (size_t)size : *length;
    const uint8_t *bytes = *binary;
    *binary += taken;
    *length -= taken;
    return infer_read_binary(request, input, bytes, taken, error);
}

static enum cn_status finish_input(struct infer_request *request, struct infer_input *input,
                                   struct json_scan *s, const uint8_t **binary,
                                   size_t *binary_length) {
    if (input->type == NULL)
        return cn_fail(s->error, CN_INVALID, "the input has no \"datatype\"");
    if (!input->has_shape)
        return cn_fail(s->error, CN_INVALID, "the input has no \"shape\"");
    if (!input->has_data)
        return take_binary(request, input, binary, binary_length, s->error);
    if (input->has_binary_size || (request->input_count == 1 && *binary_length > 0))
        return cn_fail(s->error, CN_INVALID,
                       "the input has \"data\", but also binary data (%zu bytes follow the JSON)",
                       *binary_length);
    if (input->data == NULL)
        return CN_OK;
    s->at = input->data;
    return infer_read_json(request, input, s);
}

/* Reads the deferred tensors in the inputs' order; each input of the model must be there. */
static enum cn_status finish_inputs(struct infer_request *request, struct json_scan *s,
                                    const uint8_t *binary, size_t binary_length) {
    const struct cn_model *model = request->prediction->model->model;
    enum cn_status status = CN_OK;
    if (request->input_count == 0)
        return cn_fail(s->error, CN_INVALID, "the request has no \"inputs\"");
    for (size_t i = 0; i < model->input_forms; i++) {
        bool given = false;
        for (size_t k = 0; k < request->input_count; k++)
            given |= request->inputs[k].form == &model->inputs[i];
        if (!given)
            return cn_fail(s->error, CN_INVALID, "the request lacks the input '%s'",
                           model->inputs[i].name);
    }
    for (size_t i = 0; i < request->input_count && status == CN_OK; i++)
        status = finish_input(request, &request->inputs[i], s, &binary, &binary_length);
    if (status == CN_OK && binary_length > 0)
        return cn_fail(s->error, CN_INVALID,
                       "%zu bytes after the request's JSON belong to no input", binary_length);
    return status;
}

enum cn_status infer_parse(struct infer_request *request, const char *text, size_t length,
                           const uint8_t *binary, size_t binary_length, struct cn_error *error) {
    struct cn_error local = {0};
    struct json_scan scan = {text, text, length, error != NULL ? error : &local};
    enum cn_status status = cn_json_object(&scan, read_member, request);
    if (status == CN_OK)
        status = cn_json_end(&scan);
    if (status == CN_OK)
        status = finish_inputs(request, &scan, binary, binary_length);
    return status;
}
