/* infer.c: POST /v2/models/{model}[/versions/{version}]/infer: cuts the body into JSON and binary
 * part. Runs on the exchange's HTTP thread. */
#include "api/oip/infer.h"
#include "api/routes.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH_HEADER "Inference-Header-Content-Length"

bool infer_request_begin(struct infer_request *request, struct prediction *prediction) {
    const struct cn_model *model = prediction->model->model;
    request->prediction = prediction;
    request->inputs = calloc(model->input_forms, sizeof *request->inputs);
    request->outputs = calloc(model->output_forms + 1, sizeof *request->outputs);
    return request->inputs != NULL && request->outputs != NULL;
}

void infer_request_free(void *data) {
    struct infer_request *request = data;
    if (request == NULL)
        return;
    free(request->inputs);
    free(request->outputs);
    free(request->text);
    free(request);
}

/* The length of the body's JSON part. A number too large for size_t is refused by its digits: it is
 * longer than a body may be. */
static enum cn_status json_length(const struct http_exchange *exchange, size_t *ret_length,
                                  struct cn_error *error) {
    const char *value = http_header(exchange, LENGTH_HEADER);
    size_t length = 0;
    *ret_length = exchange->body_length;
    if (value == NULL)
        return CN_OK;
    if (*value == '\0' || value[strspn(value, "0123456789")] != '\0')
        return cn_fail(error, CN_INVALID, LENGTH_HEADER " '%.32s' must be a number of bytes",
                       value);
    for (const char *c = value; *c != '\0' && length <= exchange->body_length; c++)
        length = 10 * length + (size_t)(*c - '0');
    if (length > exchange->body_length)
        return cn_fail(error, CN_INVALID,
                       LENGTH_HEADER " %.32s exceeds the length of the body, which "
                                     "has %zu bytes",
                       value, exchange->body_length);
    *ret_length = length;
    return CN_OK;
}

/* A request without JSON: the body is one image and the answer is binary. The length of the body is
 * the only thing that tells the datatype. */
static enum cn_status read_raw(struct infer_request *request, const uint8_t *bytes, size_t length,
                               struct cn_error *error) {
    struct prediction *p = request->prediction;
    const struct cn_model *model = p->model->model;
    const bool floats = length == 4 * p->image_size;
    request->binary_output = true;
    if (model->input_forms > 1)
        return cn_fail(error, CN_INVALID,
                       "a raw request is one image; the model takes %zu inputs, each a tensor with "
                       "its name",
                       model->input_forms);
    if (cn_picture_recognize(bytes, length))
        return prediction_add_bytes(p, bytes, length, NULL, error);
    if (!floats && length != p->image_size)
        return cn_fail(error, CN_INVALID,
                       "a raw request has %zu bytes; it must be one image: %zu bytes of UINT8, %zu "
                       "of FP32 or a picture",
                       length, p->image_size, 4 * p->image_size);
    const struct json_string type = {floats ? "FP32" : "UINT8", floats ? 4 : 5};
    request->input_count = 1;
    request->inputs[0] = (struct infer_input){.form = &model->inputs[0],
                                              .type = infer_type_find(type),
                                              .has_shape = true,
                                              .rank = 2,
                                              .dims = {1, (int64_t)p->image_size}};
    return infer_read_binary(request, &request->inputs[0], bytes, length, error);
}

static enum cn_status read_body(const struct http_exchange *exchange, struct infer_request *request,
                                struct cn_error *error) {
    size_t length = 0;
    enum cn_status status = json_length(exchange, &length, error);
    if (status != CN_OK)
        return status;
    const uint8_t *body = exchange->body;
    const size_t rest = exchange->body_length - length;
    if (exchange->body_length == 0)
        return cn_fail(error, CN_INVALID, "the body is empty; send an inference request");
    if (length == 0)
        return read_raw(request, body, rest, error);
    if (rest == 0)
        return infer_parse(request, (const char *)body, length, body + length, 0, error);
    /* The JSON reader needs a NUL after the text, where the first binary byte is. */
    request->text = malloc(length + 1);
    if (request->text == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the request");
    memcpy(request->text, body, length);
    request->text[length] = '\0';
    return infer_parse(request, request->text, length, body + length, rest, error);
}

static enum cn_status infer_read(struct http_exchange *exchange, struct cn_error *error) {
    const struct prediction *prediction = exchange->state;
    return read_body(exchange, prediction->protocol_state, error);
}

enum http_outcome api_infer(struct http_exchange *exchange) {
    struct infer_request *request =
        prediction_begin_protocol(exchange, sizeof *request, infer_request_free);
    if (request == NULL)
        return HTTP_REPLIED;
    if (!infer_request_begin(request, exchange->state))
        return http_reply_error(exchange, 503, "no memory for the request");
    return prediction_run(exchange, infer_read, infer_render);
}
