/* metadata.c: what the Open Inference Protocol (v2) says about the server and its models; inference
 * itself is infer.c's, the repository repository.c's. Runs on the exchange's HTTP thread. */
#include <string.h>

#include "api/models.h"
#include "api/oip/infer.h"
#include "api/routes.h"

enum http_outcome api_v2_server(struct http_exchange *exchange) {
    static const char *const extensions[] = {
        "binary_tensor_data", "classification",  "model_configuration", "model_repository",
        "parameters",         "schedule_policy", "statistics"};
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", "convnetd");
    cn_json_add_string(&text, "version", PACKAGE_VERSION);
    cn_json_open(&text, "extensions", '[');
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++)
        cn_json_add_string(&text, NULL, extensions[i]);
    cn_text_add(&text, "]}\n");
    return http_reply_text(exchange, 200, "application/json", &text);
}

/* ---- Models ---- */

enum http_outcome api_v2_models(struct http_exchange *exchange) {
    struct cn_text text = {0};
    size_t count = 0;
    struct registry_row *rows = registry_list(exchange->context->models, &count);
    text.failed = rows == NULL && count > 0;
    cn_json_open(&text, NULL, '{');
    cn_json_open(&text, "models", '[');
    for (size_t i = 0; rows != NULL && i < count; i++)
        if (i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0)
            cn_json_add_string(&text, NULL, rows[i].name);
    cn_text_add(&text, "]}\n");
    registry_list_free(rows, count);
    return http_reply_text(exchange, 200, "application/json", &text);
}

/* The versions of a name that are ready. */
static void add_versions(struct cn_text *text, struct registry *models, const char *name) {
    size_t count = 0;
    struct registry_row *rows = registry_list(models, &count);
    text->failed |= rows == NULL;
    cn_json_open(text, "versions", '[');
    for (size_t i = 0; rows != NULL && i < count; i++)
        if (rows[i].state == REGISTRY_READY && strcmp(rows[i].name, name) == 0)
            cn_json_add_size_string(text, NULL, rows[i].version);
    cn_json_close(text, ']');
    registry_list_free(rows, count);
}

/* The list `key` of one tensor, as the model's metadata describe it, for batches of any size. */
static void add_tensor(struct cn_text *text, const char *key, const char *name, const int *dims,
                       int rank) {
    cn_json_open(text, key, '[');
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", name);
    cn_json_add_string(text, "datatype", "FP32");
    cn_json_open(text, "shape", '[');
    cn_text_add(text, "-1");
    for (int i = 0; i < rank; i++)
        cn_json_add_size(text, NULL, (size_t)dims[i]);
    cn_text_add(text, "]}]");
}

/* The same in the model's configuration, for one image; `format` may be NULL. */
static void add_configured_tensor(struct cn_text *text, const char *key, const char *name,
                                  const char *format, const int *dims, int rank) {
    cn_json_open(text, key, '[');
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", name);
    cn_json_add_string(text, "data_type", "TYPE_FP32");
    if (format != NULL)
        cn_json_add_string(text, "format", format);
    cn_json_add_integers(text, "dims", dims, (size_t)rank);
    cn_text_add(text, "}]");
}

enum http_outcome api_v2_model(struct http_exchange *exchange) {
    struct served_model *model = api_find_path_model(exchange);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    const struct cn_shape *shape = &model->model->network->input_shape;
    const int output_size = (int)model->model->output_size;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", model->name);
    add_versions(&text, exchange->context->models, model->name);
    cn_json_add_string(&text, "platform", "convnet");
    add_tensor(&text, "inputs", INFER_INPUT, shape->dims, shape->rank);
    add_tensor(&text, "outputs", INFER_OUTPUT, &output_size, 1);
    cn_text_add(&text, "}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}

enum http_outcome api_v2_model_ready(struct http_exchange *exchange) {
    struct served_model *model = api_find_path_model(exchange);
    const bool ready = exchange->context->ready(exchange->context->data);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", model->name);
    cn_json_add_bool(&text, "ready", ready);
    cn_text_add(&text, "}\n");
    served_model_release(model);
    return http_reply_text(exchange, ready ? 200 : 503, "application/json", &text);
}

/* The model configuration extension, as far as a client needs it to make requests. */
enum http_outcome api_v2_model_config(struct http_exchange *exchange) {
    struct served_model *model = api_find_path_model(exchange);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    const struct cn_shape *shape = &model->model->network->input_shape;
    const int output_size = (int)model->model->output_size;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", model->name);
    cn_json_add_string(&text, "platform", "convnet");
    cn_json_add_string(&text, "backend", "convnet");
    cn_json_add_size(&text, "max_batch_size", exchange->context->max_images);
    add_configured_tensor(&text, "input", INFER_INPUT, "FORMAT_NHWC", shape->dims, shape->rank);
    add_configured_tensor(&text, "output", INFER_OUTPUT, NULL, &output_size, 1);
    cn_text_add(&text, "}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}
