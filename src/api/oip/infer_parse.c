/* infer_parse.c: the JSON of an inference request. Unknown members and parameters mean nothing, as
 * the protocol wants it; known ones must be right. Numbers go straight to the images when datatype
 * and shape stand before them, which is the usual order, else on a second look. No state. */
#include <string.h>

#include "api/oip/infer.h"

/* A day in microseconds: beyond it a timeout means nothing. */
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
        return cn_fail(s->error, CN_MALFORMED, "\"shape\" is there twice");
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
    if (status == CN_OK && value != -1) /* -1 by itself is seen in the wild: as many as there are */
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
                       "datatype '%.*s' is not taken; those are: " INFER_TYPES,
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
    struct infer_input *input = &request->input;
    if (input->has_data)
        return cn_fail(s->error, CN_MALFORMED, "\"data\" is there twice");
    input->has_data = true;
    if (input->type != NULL && input->has_shape)
        return infer_read_json(request, s);
    (void)cn_json_peek(s);
    input->data = s->at;
    return cn_json_skip(s);
}

static enum cn_status read_input_member(struct json_scan *s, struct json_string key, void *data) {
    struct infer_request *request = data;
    struct json_string name = {0};
    if (cn_json_is(key, "data"))
        return read_data(s, request);
    if (cn_json_is(key, "shape"))
        return read_shape(s, &request->input);
    if (cn_json_is(key, "datatype"))
        return read_type(s, &request->input);
    if (cn_json_is(key, "name"))
        return cn_json_text(s, &name); /* with one input any name will do */
    if (cn_json_is(key, "parameters") && cn_json_peek(s) == '{')
        return cn_json_object(s, read_input_parameter, &request->input);
    return cn_json_skip(s);
}

static enum cn_status read_input(struct json_scan *s, size_t index, void *data) {
    struct infer_request *request = data;
    if (index > 0)
        return cn_fail(s->error, CN_INVALID,
                       "the request has more than one input; this model has "
                       "one");
    request->input_count = index + 1;
    return cn_json_object(s, read_input_member, request);
}

/* ---- The output ---- */

static enum cn_status read_output_parameter(struct json_scan *s, struct json_string key,
                                            void *data) {
    struct infer_request *request = data;
    if (cn_json_is(key, "binary_data")) {
        request->output_says_binary = true;
        return cn_json_bool(s, "true or false for \"binary_data\"", &request->output_binary);
    }
    if (!cn_json_is(key, "classification"))
        return cn_json_skip(s);
    int64_t classes = 0;
    const enum cn_status status = cn_json_integer(s, "a number of classes", &classes);
    if (status == CN_OK && classes < 0)
        return cn_fail(s->error, CN_INVALID, "classification is %lld; it must be 0 or more",
                       (long long)classes);
    request->classes = (size_t)classes;
    return status;
}

static enum cn_status read_output_member(struct json_scan *s, struct json_string key, void *data) {
    struct infer_request *request = data;
    struct json_string name = {0};
    if (cn_json_is(key, "parameters") && cn_json_peek(s) == '{')
        return cn_json_object(s, read_output_parameter, request);
    if (!cn_json_is(key, "name"))
        return cn_json_skip(s);
    const enum cn_status status = cn_json_text(s, &name);
    if (status != CN_OK)
        return status;
    if (!cn_json_is(name, INFER_OUTPUT))
        return cn_fail(s->error, CN_INVALID,
                       "there is no output '%.*s'; this model's is '" INFER_OUTPUT "'",
                       (int)(name.length < 64 ? name.length : 64), name.begin);
    if (request->output_count++ > 0)
        return cn_fail(s->error, CN_INVALID, "output '" INFER_OUTPUT "' is there twice");
    return CN_OK;
}

static enum cn_status read_output(struct json_scan *s, size_t index, void *data) {
    struct infer_request *request = data;
    const enum cn_status status = cn_json_object(s, read_output_member, request);
    if (status == CN_OK && request->output_count != index + 1)
        return cn_fail(s->error, CN_INVALID, "output %zu has no \"name\"", index + 1);
    return status;
}

/* ---- The request ---- */

/* Microseconds, as in Triton's schedule policy: they only shorten the request's time. */
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
        return cn_fail(s->error, CN_MALFORMED, "\"inputs\" is there twice");
    return cn_json_list(s, read_input, request);
}

/* Bytes of the binary part that are the input's: as it says, or all when it says nothing. */
static enum cn_status take_binary(struct infer_request *request, const uint8_t *binary,
                                  size_t length, struct cn_error *error) {
    const struct infer_input *input = &request->input;
    const int64_t size = input->binary_size;
    if (input->has_binary_size && (size < 0 || (uint64_t)size != length))
        return cn_fail(error, CN_INVALID,
                       "binary_data_size is %lld, but %zu bytes follow the request's JSON",
                       (long long)size, length);
    if (length == 0)
        return cn_fail(error, CN_INVALID,
                       "the input has neither \"data\" nor bytes after the request's JSON");
    return infer_read_binary(request, binary, length, error);
}

static enum cn_status finish_input(struct infer_request *request, struct json_scan *s,
                                   const uint8_t *binary, size_t binary_length) {
    const struct infer_input *input = &request->input;
    if (request->input_count == 0)
        return cn_fail(s->error, CN_INVALID, "the request has no \"inputs\"");
    if (input->type == NULL)
        return cn_fail(s->error, CN_INVALID, "the input has no \"datatype\"");
    if (!input->has_shape)
        return cn_fail(s->error, CN_INVALID, "the input has no \"shape\"");
    if (!input->has_data)
        return take_binary(request, binary, binary_length, s->error);
    if (binary_length > 0 || input->has_binary_size)
        return cn_fail(s->error, CN_INVALID,
                       "the input has \"data\", but also binary data (%zu bytes follow the JSON)",
                       binary_length);
    if (input->data == NULL)
        return CN_OK;
    s->at = input->data;
    return infer_read_json(request, s);
}

enum cn_status infer_parse(struct infer_request *request, const char *text, size_t length,
                           const uint8_t *binary, size_t binary_length, struct cn_error *error) {
    struct cn_error local = {0};
    struct json_scan scan = {text, text, length, error != NULL ? error : &local};
    enum cn_status status = cn_json_object(&scan, read_member, request);
    if (status == CN_OK)
        status = cn_json_end(&scan);
    if (status == CN_OK)
        status = finish_input(request, &scan, binary, binary_length);
    return status;
}
