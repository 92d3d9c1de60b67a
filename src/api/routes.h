/* routes.h: THE route table and the endpoints that its rows name. */
#ifndef CONVNET_API_ROUTES_H
#define CONVNET_API_ROUTES_H

#include "http/exchange.h"

extern const struct http_route api_routes[];
extern const size_t api_route_count;

/* Endpoints, one file each. */
enum http_outcome api_predict(struct http_exchange *exchange);
enum http_outcome api_health_live(struct http_exchange *exchange);
enum http_outcome api_health_ready(struct http_exchange *exchange);
enum http_outcome api_metrics(struct http_exchange *exchange);
enum http_outcome api_index(struct http_exchange *exchange);
enum http_outcome api_page_file(struct http_exchange *exchange);
enum http_outcome api_read(struct http_exchange *exchange);
enum http_outcome api_explain(struct http_exchange *exchange);
enum http_outcome api_openapi(struct http_exchange *exchange);
/* The Open Inference Protocol (src/api/oip). */
enum http_outcome api_infer(struct http_exchange *exchange);
enum http_outcome api_v2_server(struct http_exchange *exchange);
enum http_outcome api_v2_models(struct http_exchange *exchange);
enum http_outcome api_v2_model(struct http_exchange *exchange);
enum http_outcome api_v2_model_ready(struct http_exchange *exchange);
enum http_outcome api_v2_model_config(struct http_exchange *exchange);
enum http_outcome api_v2_stats(struct http_exchange *exchange);
enum http_outcome api_repository_index(struct http_exchange *exchange);
enum http_outcome api_repository_load(struct http_exchange *exchange);
enum http_outcome api_repository_unload(struct http_exchange *exchange);
/* torchserve.c, tfserving.c: the protocols of those servers. */
enum http_outcome api_torchserve_predictions(struct http_exchange *exchange);
enum http_outcome api_torchserve_ping(struct http_exchange *exchange);
enum http_outcome api_tfserving_predict(struct http_exchange *exchange);
enum http_outcome api_tfserving_status(struct http_exchange *exchange);
enum http_outcome api_tfserving_metadata(struct http_exchange *exchange);
enum http_outcome api_admin_reload(struct http_exchange *exchange);

#endif
