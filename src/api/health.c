/* health.c: liveness and readiness. Pure but for the context's own answer. */
#include <string.h>

#include "api/routes.h"
#include "http/exchange.h"

static enum http_outcome answer(struct http_exchange *exchange, unsigned status, const char *text) {
    char *body = strdup(text);
    return http_reply(exchange, status, "application/json", body, body != NULL ? strlen(body) : 0);
}

enum http_outcome api_health_live(struct http_exchange *exchange) {
    return answer(exchange, 200, "{\"live\":true}\n");
}

enum http_outcome api_health_ready(struct http_exchange *exchange) {
    if (exchange->context->ready(exchange->context->data))
        return answer(exchange, 200, "{\"ready\":true}\n");
    return answer(exchange, 503, "{\"ready\":false}\n");
}
