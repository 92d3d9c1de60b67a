/* metrics.c: GET /metrics: the process's statistics with what only the server knows. */
#include "http/exchange.h"

enum http_outcome http_metrics(struct http_exchange *exchange) {
    const struct http_context *context = exchange->context;
    const char *names[STATISTICS_MAX_ROUTES];
    for (size_t i = 0; i < http_route_count; i++)
        names[i] = http_routes[i].name;
    names[http_route_count] = "none"; /* requests that no route took */
    size_t model_count = 0;
    struct registry_row *models = registry_list(context->models, &model_count);
    const struct statistics_snapshot snapshot = {.route_names = names,
                                                 .route_count = http_route_count + 1,
                                                 .models = models,
                                                 .model_count = model_count,
                                                 .queue_depth = lane_depth(context->lane),
                                                 .queue_limit = context->queue_images,
                                                 .ready = context->ready(context->data),
                                                 .triton = context->triton_metrics,
                                                 .connections = context->connections(context->data),
                                                 .version = PACKAGE_VERSION};
    size_t length = 0;
    char *text = statistics_render(context->statistics, &snapshot, &length);
    registry_list_free(models, model_count);
    if (text == NULL)
        return http_reply_error(exchange, 503, "no memory for the metrics");
    return http_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
