/* metadata.c: the Open Inference Protocol's (v2) metadata of the server and its models. Inference
 * is in infer.c, the repository in repository.c. Runs on the exchange's HTTP thread. */
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

/* Adds the versions of a model that are ready. */
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

/* Adds the list `key` of tensors, each with the shape of the source model. */
static void add_tensors(struct cn_text *text, const char *key, const struct cn_tensor_form *forms,
                        size_t count) {
    cn_json_open(text, key, '[');
    for (size_t i = 0; i < count; i++) {
        cn_json_open(text, NULL, '{');
        cn_json_add_string(text, "name", forms[i].name);
        cn_json_add_string(text, "datatype", "FP32");
        cn_json_open(text, "shape", '[');
        for (int axis = 0; axis < forms[i].rank; axis++)
            if (forms[i].dims[axis] <
                0) /* only the first dimension may be free: the number of images */
                cn_text_add(text, "-1");
            else
                cn_json_add_size(text, NULL, (size_t)forms[i].dims[axis]);
        cn_json_close(text, ']');
        cn_json_close(text, '}');
    }
    cn_json_close(text, ']');
}

/* Adds the same for the model's configuration, for one image; `format` may be NULL. */
static void add_configured(struct cn_text *text, const char *key,
                           const struct cn_tensor_form *forms, size_t count, const char *format) {
    cn_json_open(text, key, '[');
    for (size_t i = 0; i < count; i++) {
        cn_json_open(text, NULL, '{');
        cn_json_add_string(text, "name", forms[i].name);
        cn_json_add_string(text, "data_type", "TYPE_FP32");
        if (format != NULL)
            cn_json_add_string(text, "format", format);
        cn_json_add_integers(text, "dims", forms[i].dims + forms[i].batched,
                             (size_t)(forms[i].rank - forms[i].batched));
        cn_json_close(text, '}');
    }
    cn_json_close(text, ']');
}

/* The layout of the only input, if it is a picture. */
static const char *picture_format(const struct cn_model *model) {
    const struct cn_shape *shape = &model->network->input_shape;
    const struct cn_tensor_form *form = &model->inputs[0];
    if (model->input_forms > 1 || shape->rank != 3 || form->rank != 4)
        return NULL;
    return form->dims[3] == shape->dims[2] && form->places == NULL ? "FORMAT_NHWC" : "FORMAT_NCHW";
}

enum http_outcome api_v2_model(struct http_exchange *exchange) {
    struct served_model *model = api_find_path_model(exchange);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", model->name);
    add_versions(&text, exchange->context->models, model->name);
    cn_json_add_string(&text, "platform", "convnet");
    add_tensors(&text, "inputs", model->model->inputs, model->model->input_forms);
    add_tensors(&text, "outputs", model->model->outputs, model->model->output_forms);
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

/* Adds what the page needs to know about a model: the kind of its output, and how it takes
 * pictures. */
static void add_parameters(struct cn_text *text, const struct cn_model *model) {
    const struct cn_shape *shape = &model->network->input_shape;
    cn_json_open(text, "parameters", '{');
    cn_json_add_string(text, "kind", cn_output_kind_names[model->kind]);
    cn_json_open(text, "labels", '[');
    for (size_t i = 0; i < model->label_count; i++)
        cn_json_add_string(text, NULL, model->labels[i]);
    cn_json_close(text, ']');
    cn_json_add_integers(text, "input_shape", shape->dims, (size_t)shape->rank);
    cn_json_add_string(text, "fit", cn_fit_names[model->preprocessing.fit]);
    cn_json_close(text, '}');
}

/* The model configuration extension: the part of it that clients need to make requests. */
enum http_outcome api_v2_model_config(struct http_exchange *exchange) {
    struct served_model *model = api_find_path_model(exchange);
    struct cn_text text = {0};
    if (model == NULL)
        return HTTP_REPLIED;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", model->name);
    cn_json_add_string(&text, "platform", "convnet");
    cn_json_add_string(&text, "backend", "convnet");
    cn_json_add_size(&text, "max_batch_size", exchange->context->max_images);
    add_configured(&text, "input", model->model->inputs, model->model->input_forms,
                   picture_format(model->model));
    add_configured(&text, "output", model->model->outputs, model->model->output_forms, NULL);
    add_parameters(&text, model->model);
    cn_text_add(&text, "}\n");
    served_model_release(model);
    return http_reply_text(exchange, 200, "application/json", &text);
}
