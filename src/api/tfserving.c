/* tfserving.c: POST /v1/models/{model}[/versions/{version}]:predict and what TensorFlow Serving
 * says about a model. Reading the body is tfserving_parse.c's. Runs on the exchange's HTTP thread.
 */
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
    cn_text_add(text, request->columns ? "{\"outputs\":[" : "{\"predictions\":[");
    for (size_t i = 0; i < p->count * classes; i++) {
        cn_text_add(text, i % classes > 0 ? "," : i > 0 ? "],[" : "[");
        cn_text_add_float(text, p->outputs[i]);
    }
    cn_text_add(text, "]]}\n");
    return "application/json";
}

static enum cn_status tfserving_read(struct http_exchange *exchange, struct cn_error *error) {
    const struct prediction *prediction = exchange->state;
    return tfserving_parse(prediction->protocol_state, (const char *)exchange->body,
                           exchange->body_length, error);
}

enum http_outcome api_tfserving_predict(struct http_exchange *exchange) {
    if (!prediction_begin(exchange))
        return HTTP_REPLIED;
    struct prediction *prediction = exchange->state;
    struct tfserving_request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return http_reply_error(exchange, 503, "no memory for the request");
    request->prediction = prediction;
    prediction->protocol_state = request;
    prediction->protocol_state_free = free;
    return prediction_run(exchange, tfserving_read, tfserving_render);
}

/* ---- Status ---- */

static void add_status(struct cn_text *text, const struct registry_row *row) {
    const bool ready = row->state == REGISTRY_READY;
    cn_text_add(text, "{\"version\":\"");
    cn_text_add_size(text, row->version);
    cn_text_add(text, "\",\"state\":\"");
    cn_text_add(text, ready ? "AVAILABLE" : "END");
    cn_text_add(text, "\",\"status\":{\"error_code\":\"");
    cn_text_add(text, row->state == REGISTRY_FAILED ? "UNKNOWN" : "OK");
    cn_text_add(text, "\",\"error_message\":\"");
    cn_text_add_json(text, row->state == REGISTRY_FAILED ? row->reason : "");
    cn_text_add(text, "\"}}");
}

enum http_outcome api_tfserving_status(struct http_exchange *exchange) {
    const char *name = exchange->arguments.values[0], *version = exchange->arguments.values[1];
    struct cn_text text = {0};
    size_t count = 0, shown = 0;
    char number[24];
    struct registry_row *rows = registry_list(exchange->context->models, &count);
    cn_text_add(&text, "{\"model_version_status\":[");
    for (size_t i = 0; rows != NULL && i < count; i++) {
        (void)snprintf(number, sizeof number, "%u", rows[i].version);
        if (strcmp(rows[i].name, name) != 0 || (version != NULL && strcmp(number, version) != 0))
            continue;
        cn_text_add(&text, shown++ > 0 ? "," : "");
        add_status(&text, &rows[i]);
    }
    cn_text_add(&text, "]}\n");
    registry_list_free(rows, count);
    if (shown > 0)
        return http_reply_text(exchange, 200, "application/json", &text);
    free(text.bytes);
    served_model_release(api_find_model(exchange, name, version)); /* answers why there is none */
    return HTTP_REPLIED;
}

/* ---- Metadata ---- */

static void add_tensor(struct cn_text *text, const char *name, const int *dims, int rank) {
    cn_text_add(text, "{\"");
    cn_text_add(text, name);
    cn_text_add(text, "\":{\"dtype\":\"DT_FLOAT\",\"tensor_shape\":{\"dim\":["
                      "{\"size\":\"-1\",\"name\":\"\"}");
    for (int i = 0; i < rank; i++) {
        cn_text_add(text, ",{\"size\":\"");
        cn_text_add_size(text, (size_t)dims[i]);
        cn_text_add(text, "\",\"name\":\"\"}");
    }
    cn_text_add(text, "],\"unknown_rank\":false},\"name\":\"");
    cn_text_add(text, name);
    cn_text_add(text, "\"}}");
}

enum http_outcome api_tfserving_metadata(struct http_exchange *exchange) {
    const struct http_arguments *arguments = &exchange->arguments;
    struct served_model *model =
        api_find_model(exchange, arguments->values[0], arguments->values[1]);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    const struct cn_shape *shape = &model->model->network->input_shape;
    const int classes = (int)model->model->output_size;
    cn_text_add(&text, "{\"model_spec\":{\"name\":\"");
    cn_text_add_json(&text, model->name);
    cn_text_add(&text, "\",\"signature_name\":\"\",\"version\":\"");
    cn_text_add_size(&text, model->version);
    cn_text_add(&text, "\"},\"metadata\":{\"signature_def\":{\"signature_def\":"
                       "{\"serving_default\":{\"inputs\":");
    add_tensor(&text, INFER_INPUT, shape->dims, shape->rank);
    cn_text_add(&text, ",\"outputs\":");
    add_tensor(&text, INFER_OUTPUT, &classes, 1);
    cn_text_add(&text, ",\"method_name\":\"tensorflow/serving/predict\"}}}}}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}
