/* tfserving.c: TensorFlow Serving's REST API: POST /v1/models/{model}[/versions/{version}]:predict,
 * status and metadata. Runs on the exchange's HTTP thread. */
#include "api/tfserving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json_images.h"
#include "api/models.h"
#include "api/oip/infer.h"
#include "api/routes.h"

/* ---- The body of a prediction ----
 * "instances" (rows) or "inputs" (columns), which for a model with one input are two spellings of a
 * list of images. An image is numbers, {"b64": "..."}, a base64 string, or an object with one of
 * these under any name. Numbers have no type here: an image of whole numbers with one above 1 has
 * the range 0 to 255, every other one the range 0 to 1. */

/* Reads numbers after their '['. */
static enum cn_status read_numbers(struct json_scan *s, struct prediction *p) {
    const enum cn_status status = json_image_read(s, p);
    return status == CN_OK ? json_image_scale(p, p->count - 1, 0, true, s->error) : status;
}

/* An object around an image: its only member is the image, whatever its name. */
struct wrapping {
    struct prediction *prediction;
    int depth;
    size_t members;
};

static enum cn_status read_image(struct json_scan *s, struct prediction *p, int depth);

static enum cn_status read_wrapped(struct json_scan *s, struct json_string key, void *data) {
    struct wrapping *wrapping = data;
    if (wrapping->members++ > 0)
        return cn_fail(
            s->error, CN_INVALID, "image %zu has a second input, '%.*s'; this model has one",
            wrapping->prediction->count, (int)(key.length < 64 ? key.length : 64), key.begin);
    return read_image(s, wrapping->prediction, wrapping->depth + 1);
}

static enum cn_status read_image(struct json_scan *s, struct prediction *p, int depth) {
    struct wrapping wrapping = {p, depth, 0};
    const char c = cn_json_peek(s);
    if (c == '"')
        return json_picture_read(s, p);
    if (cn_json_take(s, '['))
        return read_numbers(s, p);
    if (c != '{' || depth == 2)
        return cn_json_fail(s, "an image: '[', a base64 string or {\"b64\": ...}");
    const enum cn_status status = cn_json_object(s, read_wrapped, &wrapping);
    if (status == CN_OK && wrapping.members == 0)
        return cn_fail(s->error, CN_INVALID, "image %zu is an empty object", p->count + 1);
    return status;
}

static enum cn_status read_element(struct json_scan *s, size_t index, void *data) {
    struct tfserving_request *request = data;
    (void)index;
    return read_image(s, request->prediction, 0);
}

static enum cn_status read_column(struct json_scan *s, struct json_string key, void *data) {
    struct tfserving_request *request = data;
    if (request->named++ > 0)
        return cn_fail(s->error, CN_INVALID, "there is a second input, '%.*s'; this model has one",
                       (int)(key.length < 64 ? key.length : 64), key.begin);
    if (cn_json_is(key, "b64"))
        return json_picture_read(s, request->prediction);
    return cn_json_list(s, read_element, request);
}

static enum cn_status read_member(struct json_scan *s, struct json_string key, void *data) {
    struct tfserving_request *request = data;
    const bool columns = cn_json_is(key, "inputs");
    if (!columns && !cn_json_is(key, "instances"))
        return cn_json_skip(s); /* signature_name */
    if (request->seen)
        return cn_fail(s->error, CN_INVALID,
                       "the request must have either \"instances\" or \"inputs\", once");
    request->seen = true;
    request->columns = columns;
    if (columns && cn_json_peek(s) == '{')
        return cn_json_object(s, read_column, request);
    return cn_json_list(s, read_element, request);
}

enum cn_status tfserving_parse(struct tfserving_request *request, const char *text, size_t length,
                               struct cn_error *error) {
    struct json_scan scan = {text, text, length, error};
    enum cn_status status = cn_json_object(&scan, read_member, request);
    if (status == CN_OK)
        status = cn_json_end(&scan);
    if (status == CN_OK && !request->seen)
        status = cn_fail(error, CN_INVALID,
                         "the JSON object has neither \"instances\" nor "
                         "\"inputs\"");
    if (status == CN_OK && request->prediction->count == 0)
        status = cn_fail(error, CN_INVALID, "the request has no image");
    return status;
}

/* ---- Predict ---- */

static const char *tfserving_render(struct http_exchange *exchange, struct cn_text *text) {
    const struct prediction *p = exchange->state;
    const struct tfserving_request *request = p->protocol_state;
    const size_t classes = p->model->model->output_size;
    cn_json_open(text, NULL, '{');
    cn_json_open(text, request->columns ? "outputs" : "predictions", '[');
    for (size_t i = 0; i < p->count; i++)
        cn_json_add_floats(text, NULL, prediction_outputs(p, i), classes);
    cn_text_add(text, "]}\n");
    return "application/json";
}

static enum cn_status tfserving_read(struct http_exchange *exchange, struct cn_error *error) {
    const struct prediction *prediction = exchange->state;
    return tfserving_parse(prediction->protocol_state, (const char *)exchange->body,
                           exchange->body_length, error);
}

enum http_outcome api_tfserving_predict(struct http_exchange *exchange) {
    struct tfserving_request *request = prediction_begin_protocol(exchange, sizeof *request, free);
    if (request == NULL || !prediction_takes_pictures(exchange))
        return HTTP_REPLIED;
    request->prediction = exchange->state;
    return prediction_run(exchange, tfserving_read, tfserving_render);
}

/* ---- Status ---- */

static void add_status(struct cn_text *text, const struct registry_row *row) {
    const bool ready = row->state == REGISTRY_READY, failed = row->state == REGISTRY_FAILED;
    cn_json_open(text, NULL, '{');
    cn_json_add_size_string(text, "version", row->version);
    cn_json_add_string(text, "state", ready ? "AVAILABLE" : "END");
    cn_json_open(text, "status", '{');
    cn_json_add_string(text, "error_code", failed ? "UNKNOWN" : "OK");
    cn_json_add_string(text, "error_message", failed ? row->reason : "");
    cn_json_close(text, '}');
    cn_json_close(text, '}');
}

enum http_outcome api_tfserving_status(struct http_exchange *exchange) {
    const char *name = exchange->arguments.values[0], *version = exchange->arguments.values[1];
    struct cn_text text = {0};
    size_t count = 0, shown = 0;
    char number[24];
    struct registry_row *rows = registry_list(exchange->context->models, &count);
    cn_json_open(&text, NULL, '{');
    cn_json_open(&text, "model_version_status", '[');
    for (size_t i = 0; rows != NULL && i < count; i++) {
        (void)snprintf(number, sizeof number, "%u", rows[i].version);
        if (strcmp(rows[i].name, name) != 0 || (version != NULL && strcmp(number, version) != 0))
            continue;
        add_status(&text, &rows[i]);
        shown++;
    }
    cn_text_add(&text, "]}\n");
    registry_list_free(rows, count);
    if (shown > 0)
        return http_reply_text(exchange, 200, "application/json", &text);
    free(text.bytes);
    served_model_release(
        api_find_model(exchange, name, version)); /* this answers that there is no such model */
    return HTTP_REPLIED;
}

/* ---- Metadata ---- */

static void add_dimension(struct cn_text *text, const char *size) {
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "size", size);
    cn_json_add_string(text, "name", "");
    cn_json_close(text, '}');
}

static void add_tensor(struct cn_text *text, const char *name, const int *dims, int rank) {
    char size[16];
    cn_json_open(text, name, '{');
    cn_json_add_string(text, "dtype", "DT_FLOAT");
    cn_json_open(text, "tensor_shape", '{');
    cn_json_open(text, "dim", '[');
    add_dimension(text, "-1");
    for (int i = 0; i < rank; i++) {
        (void)snprintf(size, sizeof size, "%d", dims[i]);
        add_dimension(text, size);
    }
    cn_json_close(text, ']');
    cn_json_add_bool(text, "unknown_rank", false);
    cn_json_close(text, '}');
    cn_json_add_string(text, "name", name);
    cn_json_close(text, '}');
}

enum http_outcome api_tfserving_metadata(struct http_exchange *exchange) {
    struct served_model *model = api_find_path_model(exchange);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    const struct cn_shape *shape = &model->model->network->input_shape;
    const int classes = (int)model->model->output_size;
    cn_json_open(&text, NULL, '{');
    cn_json_open(&text, "model_spec", '{');
    cn_json_add_string(&text, "name", model->name);
    cn_json_add_string(&text, "signature_name", "");
    cn_json_add_size_string(&text, "version", model->version);
    cn_json_close(&text, '}');
    cn_json_open(&text, "metadata", '{');
    cn_json_open(&text, "signature_def", '{');
    cn_json_open(&text, "signature_def", '{');
    cn_json_open(&text, "serving_default", '{');
    cn_json_open(&text, "inputs", '{');
    add_tensor(&text, model->model->inputs[0].name, shape->dims, shape->rank);
    cn_json_close(&text, '}');
    cn_json_open(&text, "outputs", '{');
    add_tensor(&text, model->model->outputs[0].name, &classes, 1);
    cn_json_close(&text, '}');
    cn_json_add_string(&text, "method_name", "tensorflow/serving/predict");
    cn_text_add(&text, "}}}}}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}
