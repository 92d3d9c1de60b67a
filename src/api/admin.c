/* admin.c: POST /admin/reload does what SIGHUP does and answers with the result. The loader's
 * thread reads the models, so that the HTTP thread stays free. */
#include <stdlib.h>

#include "api/routes.h"
#include "http/exchange.h"
#include "json/write.h"

struct reload {
    struct loader_job job;
    struct http_exchange *exchange;
    struct cn_error error; /* why keys or certificates were not reloaded */
};

/* Runs on the loader's thread. */
static void reload_done(struct loader_job *job) {
    struct reload *reload = job->data;
    const struct http_context *context = reload->exchange->context;
    context->reloaded(context->data, job, &reload->error);
    http_resume(reload->exchange);
}

static bool reload_submit(struct http_exchange *exchange, void *data) {
    struct reload *reload = data;
    if (loader_submit(exchange->context->loader, &reload->job))
        return true;
    reload->job.status = CN_CANCELED;
    return false;
}

static enum http_outcome reload_answer(struct http_exchange *exchange) {
    const struct reload *reload = exchange->state;
    const struct registry_result *result = &reload->job.result;
    const struct cn_error *error =
        reload->job.status != CN_OK ? &reload->job.error : &reload->error;
    if (reload->job.status == CN_CANCELED)
        return http_reply_error(exchange, 503, "the server is shutting down");
    if (error->status != CN_OK)
        return http_reply_error(exchange, 500,
                                "the models, keys and certificates in use stay the same: %s%s%s",
                                error->source, error->source[0] != '\0' ? ": " : "", error->text);
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_size(&text, "loaded", result->loaded);
    cn_json_add_size(&text, "unchanged", result->unchanged);
    cn_json_add_size(&text, "gone", result->gone);
    cn_text_add(&text, "}\n");
    return http_reply_text(exchange, 200, "application/json", &text);
}

enum http_outcome api_admin_reload(struct http_exchange *exchange) {
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL)
        return http_reply_error(exchange, 503, "no memory to reload");
    reload->exchange = exchange;
    reload->job = (struct loader_job){.action = LOADER_RELOAD, .done = reload_done, .data = reload};
    exchange->state = reload;
    exchange->release = free;
    return http_defer(exchange, reload_submit, reload_answer, reload);
}
