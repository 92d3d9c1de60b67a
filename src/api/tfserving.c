/* tfserving.c: TensorFlow Serving's REST API: POST /v1/models/{model}[/versions/{version}]:predict,
 * status and metadata. tfserving_parse.c reads the body. Runs on the exchange's HTTP thread. */
#include "api/tfserving.h"
#include "api/models.h"
#include "api/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/oip/infer.h"

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
