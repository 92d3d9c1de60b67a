/* exchange.c: functions that handlers call on their exchange: headers, query, deferral, a
 * workspace. Runs on the exchange's HTTP thread, except for http_resume, which any thread may call.
 */
#include "http/exchange.h"

#include "http/server_private.h"

const char *http_header(const struct http_exchange *exchange, const char *name) {
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *http_query(const struct http_exchange *exchange, const char *name) {
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

enum http_outcome http_defer(struct http_exchange *exchange,
                             bool (*submit)(struct http_exchange *exchange, void *data),
                             enum http_outcome (*finish)(struct http_exchange *exchange),
                             void *data) {
    struct http_request *request = http_request_of(exchange);
    struct http_server *server = request->server;
    request->finish = finish;
    request->stage = HTTP_STAGE_DEFERRED;
    http_timeouts_phase(&server->timeouts, request->peer, HTTP_PHASE_WORK, 0);
    atomic_fetch_add(&server->deferred, 1);
    /* The connection is suspended before the work is submitted, since the answer may come before
     * submit returns. */
    MHD_suspend_connection(exchange->connection);
    if (!submit(exchange, data))
        http_resume(exchange);
    return HTTP_DEFERRED;
}

void http_resume(struct http_exchange *exchange) {
    /* After it is resumed the exchange belongs to its HTTP thread and may end at any moment. */
    struct http_server *server = http_request_of(exchange)->server;
    MHD_resume_connection(exchange->connection);
    /* Decremented last: at zero, a stopping server ends its threads. */
    atomic_fetch_sub(&server->deferred, 1);
}

struct cn_workspace *http_worker_workspace(struct http_worker *worker, struct served_model *model) {
    return served_model_workspace(model, (size_t)(worker - worker->server->workers));
}
