/* metrics.c: GET /metrics: the process's statistics and the gauges that only the server knows. */
#include <stdlib.h>

#include "api/routes.h"
#include "http/exchange.h"

/* One row per model for /metrics; NULL if memory runs out. Caller frees with free(). */
static struct statistics_model_row *metrics_model_rows(const struct registry_row *models,
                                                       size_t count) {
    struct statistics_model_row *rows = calloc(count + 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < count; i++)
        rows[i] = (struct statistics_model_row){
            .name = models[i].name,
            .version = models[i].version,
            .sha256 = models[i].model != NULL ? models[i].model->model->sha256 : NULL,
            .refused = models[i].state != REGISTRY_UNLOADED && models[i].reason[0] != '\0',
            .statistics = models[i].statistics};
    return rows;
}

enum http_outcome api_metrics(struct http_exchange *exchange) {
    const struct http_context *context = exchange->context;
    const char *names[STATISTICS_MAX_ROUTES];
    for (size_t i = 0; i < api_route_count; i++)
        names[i] = api_routes[i].name;
    names[api_route_count] = "none"; /* the label for requests that matched no route */
    size_t model_count = 0;
    struct registry_row *models = registry_list(context->models, &model_count);
    struct statistics_model_row *rows = metrics_model_rows(models, model_count);
    const struct statistics_snapshot snapshot = {.route_names = names,
                                                 .route_count = api_route_count + 1,
                                                 .models = rows,
                                                 .model_count = rows != NULL ? model_count : 0,
                                                 .queue_depth = lane_depth(context->lane),
                                                 .queue_limit = context->queue_images,
                                                 .ready = context->ready(context->data),
                                                 .triton = context->triton_metrics,
                                                 .connections = context->connections(context->data),
                                                 .version = PACKAGE_VERSION};
    size_t length = 0;
    char *text = rows != NULL ? statistics_render(context->statistics, &snapshot, &length) : NULL;
    free(rows);
    registry_list_free(models, model_count);
    if (text == NULL)
        return http_reply_error(exchange, 503, "no memory for the metrics");
    return http_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
