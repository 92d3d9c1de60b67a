/* health.c: liveness and readiness. Pure but for the context's own answer. */
#include "api/routes.h"
#include "http/exchange.h"
#include "json/write.h"

static enum http_outcome health_answer(struct http_exchange *exchange, const char *key,
                                       bool value) {
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_bool(&text, key, value);
    cn_text_add(&text, "}\n");
    return http_reply_text(exchange, value ? 200 : 503, "application/json", &text);
}

enum http_outcome api_health_live(struct http_exchange *exchange) {
    return health_answer(exchange, "live", true);
}

enum http_outcome api_health_ready(struct http_exchange *exchange) {
    return health_answer(exchange, "ready", exchange->context->ready(exchange->context->data));
}
