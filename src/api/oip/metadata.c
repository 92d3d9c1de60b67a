/* metadata.c: what the Open Inference Protocol (v2) says about the server and its models; inference
 * itself is infer.c's, the repository repository.c's. Runs on the exchange's HTTP thread. */
#include <string.h>

#include "api/models.h"
#include "api/oip/infer.h"
#include "api/routes.h"

enum http_outcome api_v2_server(struct http_exchange *exchange) {
    struct cn_text text = {0};
    cn_text_add(&text,
                "{\"name\":\"convnetd\",\"version\":\"" PACKAGE_VERSION "\",\"extensions\":["
                "\"binary_tensor_data\",\"classification\",\"model_configuration\","
                "\"model_repository\",\"parameters\",\"schedule_policy\",\"statistics\"]}\n");
    return http_reply_text(exchange, 200, "application/json", &text);
}

/* ---- Models ---- */

enum http_outcome api_v2_models(struct http_exchange *exchange) {
    struct cn_text text = {0};
    size_t count = 0, shown = 0;
    struct registry_row *rows = registry_list(exchange->context->models, &count);
    text.failed = rows == NULL && count > 0;
    cn_text_add(&text, "{\"models\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0)
            continue;
        cn_text_add(&text, shown++ > 0 ? ",\"" : "\"");
        cn_text_add_json(&text, rows[i].name);
        cn_text_add(&text, "\"");
    }
    cn_text_add(&text, "]}\n");
    registry_list_free(rows, count);
    return http_reply_text(exchange, 200, "application/json", &text);
}

/* "1","2": the versions of a name that are ready. */
static void add_versions(struct cn_text *text, struct registry *models, const char *name) {
    size_t count = 0, shown = 0;
    struct registry_row *rows = registry_list(models, &count);
    text->failed |= rows == NULL;
    for (size_t i = 0; rows != NULL && i < count; i++) {
        if (rows[i].state != REGISTRY_READY || strcmp(rows[i].name, name) != 0)
            continue;
        cn_text_add(text, shown++ > 0 ? ",\"" : "\"");
        cn_text_add_size(text, rows[i].version);
        cn_text_add(text, "\"");
    }
    registry_list_free(rows, count);
}

/* "28,28,1" */
static void add_dims(struct cn_text *text, const struct cn_shape *shape) {
    for (int i = 0; i < shape->rank; i++) {
        cn_text_add(text, i > 0 ? "," : "");
        cn_text_add_size(text, (size_t)shape->dims[i]);
    }
}

enum http_outcome api_v2_model(struct http_exchange *exchange) {
    const struct http_arguments *arguments = &exchange->arguments;
    struct served_model *model =
        api_find_model(exchange, arguments->values[0], arguments->values[1]);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    cn_text_add(&text, "{\"name\":\"");
    cn_text_add_json(&text, model->name);
    cn_text_add(&text, "\",\"versions\":[");
    add_versions(&text, exchange->context->models, model->name);
    cn_text_add(&text, "],\"platform\":\"convnet\",\"inputs\":[{\"name\":\"" INFER_INPUT
                       "\",\"datatype\":\"FP32\",\"shape\":[-1,");
    add_dims(&text, &model->model->network->input_shape);
    cn_text_add(&text, "]}],\"outputs\":[{\"name\":\"" INFER_OUTPUT
                       "\",\"datatype\":\"FP32\",\"shape\":[-1,");
    cn_text_add_size(&text, model->model->output_size);
    cn_text_add(&text, "]}]}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}

enum http_outcome api_v2_model_ready(struct http_exchange *exchange) {
    const struct http_arguments *arguments = &exchange->arguments;
    struct served_model *model =
        api_find_model(exchange, arguments->values[0], arguments->values[1]);
    const bool ready = exchange->context->ready(exchange->context->data);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    cn_text_add(&text, "{\"name\":\"");
    cn_text_add_json(&text, model->name);
    cn_text_add(&text, ready ? "\",\"ready\":true}\n" : "\",\"ready\":false}\n");
    served_model_release(model);
    return http_reply_text(exchange, ready ? 200 : 503, "application/json", &text);
}

/* The model configuration extension, as far as a client needs it to make requests. */
enum http_outcome api_v2_model_config(struct http_exchange *exchange) {
    const struct http_arguments *arguments = &exchange->arguments;
    struct served_model *model =
        api_find_model(exchange, arguments->values[0], arguments->values[1]);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    cn_text_add(&text, "{\"name\":\"");
    cn_text_add_json(&text, model->name);
    cn_text_add(&text, "\",\"platform\":\"convnet\",\"backend\":\"convnet\",\"max_batch_size\":");
    cn_text_add_size(&text, exchange->context->max_images);
    cn_text_add(&text, ",\"input\":[{\"name\":\"" INFER_INPUT
                       "\",\"data_type\":\"TYPE_FP32\",\"format\":\"FORMAT_NHWC\",\"dims\":[");
    add_dims(&text, &model->model->network->input_shape);
    cn_text_add(&text, "]}],\"output\":[{\"name\":\"" INFER_OUTPUT
                       "\",\"data_type\":\"TYPE_FP32\",\"dims\":[");
    cn_text_add_size(&text, model->model->output_size);
    cn_text_add(&text, "]}]}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}
