/* repository.c: the protocol's model repository extension: lists models, loads and unloads one. The
 * loader's thread reads models; the rest runs on the exchange's HTTP thread. */
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "http/exchange.h"
#include "json/scan.h"
#include "json/write.h"

/* ---- The index ---- */

static enum cn_status read_member(struct json_scan *s, struct json_string key, void *data) {
    if (cn_json_is(key, "ready"))
        return cn_json_bool(s, "true or false for \"ready\"", data);
    return cn_json_skip(s);
}

/* {"ready": true} asks for the ready models only; without a body all are listed. */
static enum cn_status read_filter(const struct http_exchange *exchange, bool *ret_ready,
                                  struct cn_error *error) {
    const char *body = (const char *)exchange->body;
    struct json_scan scan = {body, body, exchange->body_length, error};
    *ret_ready = false;
    if (exchange->body_length == 0)
        return CN_OK;
    const enum cn_status status = cn_json_object(&scan, read_member, ret_ready);
    return status == CN_OK ? cn_json_end(&scan) : status;
}

static void add_row(struct cn_text *text, const struct registry_row *row) {
    cn_json_open(text, NULL, '{');
    cn_json_add_string(text, "name", row->name);
    cn_json_add_size_string(text, "version", row->version);
    cn_json_add_string(text, "state", row->state == REGISTRY_READY ? "READY" : "UNAVAILABLE");
    cn_json_add_string(text, "reason", row->state == REGISTRY_UNLOADED ? "unloaded" : row->reason);
    cn_json_close(text, '}');
}

enum http_outcome api_repository_index(struct http_exchange *exchange) {
    struct cn_error error = {0};
    struct cn_text text = {0};
    bool only_ready = false;
    size_t count = 0;
    if (read_filter(exchange, &only_ready, &error) != CN_OK)
        return http_reply_failure(exchange, &error);
    struct registry_row *rows = registry_list(exchange->context->models, &count);
    text.failed = rows == NULL && count > 0;
    cn_json_open(&text, NULL, '[');
    for (size_t i = 0; rows != NULL && i < count; i++) {
        if (only_ready && rows[i].state != REGISTRY_READY)
            continue;
        add_row(&text, &rows[i]);
    }
    cn_text_add(&text, "]\n");
    registry_list_free(rows, count);
    return http_reply_text(exchange, 200, "application/json", &text);
}

/* ---- Loading and unloading ---- */

static void action_done(struct loader_job *job) {
    http_resume(job->data);
}

static bool action_submit(struct http_exchange *exchange, void *data) {
    struct loader_job *job = exchange->state;
    (void)data;
    if (loader_submit(exchange->context->loader, job))
        return true;
    job->status = cn_fail(&job->error, CN_CANCELED, "the server is shutting down");
    return false;
}

static bool is_known(struct registry *models, const char *name) {
    size_t count = 0;
    bool known = false;
    struct registry_row *rows = registry_list(models, &count);
    for (size_t i = 0; rows != NULL && i < count; i++)
        known |= strcmp(rows[i].name, name) == 0;
    registry_list_free(rows, count);
    return known;
}

static enum http_outcome action_answer(struct http_exchange *exchange) {
    const struct loader_job *job = exchange->state;
    struct cn_text text = {0};
    if (job->status == CN_CANCELED)
        return http_reply_error(exchange, 503, "%s", job->error.text);
    if (job->status == CN_INVALID && !is_known(exchange->context->models, job->name))
        return http_reply_error(exchange, 404, "%s", job->error.text);
    if (job->status != CN_OK)
        return http_reply_failure(exchange, &job->error);
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "name", job->name);
    cn_json_add_bool(&text, job->action == LOADER_LOAD ? "load" : "unload", true);
    cn_text_add(&text, "}\n");
    return http_reply_text(exchange, 200, "application/json", &text);
}

/* The body's parameters (of the load, unload_dependents) are ignored: the model file alone decides.
 */
static enum http_outcome action_begin(struct http_exchange *exchange, enum loader_action action) {
    const char *name = exchange->arguments.values[0];
    if (strlen(name) >= SERVED_MODEL_NAME)
        return http_reply_error(exchange, 404, "there is no model \"%.64s\"", name);
    struct loader_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return http_reply_error(exchange, 503, "no memory for the request");
    job->action = action;
    memcpy(job->name, name, strlen(name) + 1);
    job->done = action_done;
    job->data = exchange;
    exchange->state = job;
    exchange->release = free;
    return http_defer(exchange, action_submit, action_answer, NULL);
}

enum http_outcome api_repository_load(struct http_exchange *exchange) {
    return action_begin(exchange, LOADER_LOAD);
}

enum http_outcome api_repository_unload(struct http_exchange *exchange) {
    return action_begin(exchange, LOADER_UNLOAD);
}
