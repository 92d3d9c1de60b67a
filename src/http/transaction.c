/* transaction.c: a request step by step, in the order of libmicrohttpd's callbacks: target, head,
 * body, handler, end. A request that breaks a rule is refused before its body is sent. Runs on the
 * HTTP thread of the connection. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/names.h"
#include "base/time.h"
#include "http/admission.h"
#include "http/auth.h"
#include "http/origin.h"
#include "http/router.h"
#include "http/transaction.h"

enum { LARGE_BODY = 65536 };

static uint64_t from_now(uint64_t nanoseconds) {
    return cn_clock_nanoseconds() + nanoseconds;
}

/* The host in an absolute-form target wins over Host (RFC 9112, 3.2.2), so the same rule holds. */
static bool target_host_is_allowed(const struct http_request *request) {
    const struct http_connection *peer = request->peer;
    char host[300];
    size_t length = 0;
    const char *authority = http_target_authority(request->target, &length);
    if (authority == NULL || peer->class != HTTP_CLASS_CLIENT || peer->client.bytes[0] == 0)
        return true;
    if (length >= sizeof host)
        return false;
    memcpy(host, authority, length);
    host[length] = '\0';
    return http_origin_host_is_allowed(host, request->server->allowed_hosts);
}

/* Called after the request line has been read, before the rest of the head. The result is *con_cls
 * of the later callbacks. */
void *http_transaction_target(void *cls, const char *target, struct MHD_Connection *connection) {
    struct http_worker *worker = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *peer = info != NULL ? info->socket_context : NULL;
    if (peer == NULL)
        return NULL;
    struct http_request *request = &peer->request;
    http_request_begin(request, connection);
    if (target == NULL)
        return NULL;
    request->target = target;
    request->target_length = strlen(request->target);
    /* Read now, because libmicrohttpd later cuts and decodes it in place. */
    request->target_status =
        http_target_path(request->target, request->path, &request->target_fault);
    if (request->target_status == 0 && !target_host_is_allowed(request)) {
        request->target_status = 421;
        request->target_fault = "the target names a host that is neither an address nor localhost "
                                "nor in allowed-hosts";
    }
    /* libmicrohttpd 0.9.75 neither answers nor closes when its memory cannot hold all arguments, so
     * it must not see them. The text is in its own, writable buffer. */
    if (!http_target_check_query((char *)(uintptr_t)request->target)) {
        request->target_status = 414;
        request->target_fault = "the query has more than 64 arguments";
    }
    if (peer->phase == HTTP_PHASE_IDLE)
        http_timeouts_phase(&worker->server->timeouts, peer, HTTP_PHASE_HEAD,
                            from_now(worker->server->options.header_timeout));
    return request;
}

/* The framing of the body, from a head that was found sound. */
struct announced {
    bool has_length, chunked, expects_continue;
    uint64_t length;
};

static struct announced announced_body(const struct http_exchange *exchange) {
    const char *length = http_header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (struct announced){
        .has_length = length != NULL,
        .chunked = http_header(exchange, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL,
        .expects_continue = http_header(exchange, MHD_HTTP_HEADER_EXPECT) != NULL,
        .length = length != NULL ? strtoull(length, NULL, 10) : 0};
}

/* True if the head, or the body so far, breaks a rule of framing. No further request is read from
 * its connection. */
static bool is_refused(const struct http_request *request) {
    const struct http_connection *peer = request->peer;
    return peer->intake.stream.status != 0 && peer->heads == peer->intake.stream.heads;
}

static void refuse_framing(struct http_request *request) {
    const struct http_stream *stream = &request->peer->intake.stream;
    if (stream->head_refused) { /* for the log: the real first bytes, not the substitute */
        request->exchange.method = "-";
        (void)snprintf(request->path, sizeof request->path, "%s", stream->line);
        http_identity_set(&request->identity, stream->id[0] != '\0' ? stream->id : NULL, NULL);
    }
    http_request_reject(request, stream->status, stream->fault);
}

/* False when the request was rejected, because it is not sound or bypassed the checks. */
static bool check_framing(struct http_request *request) {
    struct http_connection *peer = request->peer;
    if (++peer->heads > peer->intake.stream.heads)
        http_request_reject(request, 500, "the head of this request was not checked");
    else if (is_refused(request))
        refuse_framing(request);
    else
        return true;
    return false;
}

static enum MHD_Result take_origin(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value) {
    struct http_origin *fields = cls;
    (void)kind;
    if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
        fields->host = value;
    else if (strcasecmp(name, MHD_HTTP_HEADER_ORIGIN) == 0)
        fields->origin = value;
    else if (strcasecmp(name, "Sec-Fetch-Site") == 0)
        fields->site = value;
    else if (strcasecmp(name, "Sec-Fetch-Mode") == 0)
        fields->mode = value;
    return MHD_YES;
}

/* False when another origin's page that may not use this server sent the request, which is then
 * rejected. A browser's preflight request (OPTIONS) is answered all the same. */
static bool check_origin(struct http_request *request, const char *method) {
    const struct http_server *server = request->server;
    struct http_origin fields = {0};
    char text[320];
    if (request->peer->class != HTTP_CLASS_CLIENT)
        return true;
    (void)MHD_get_connection_values(request->exchange.connection, MHD_HEADER_KIND, take_origin,
                                    &fields);
    if (request->peer->client.bytes[0] != 0 && /* not a unix socket */
        !http_origin_host_is_allowed(fields.host, server->allowed_hosts)) {
        (void)snprintf(text, sizeof text,
                       "Host is %.80s, which is neither an address nor localhost nor in "
                       "allowed-hosts",
                       fields.host);
        http_request_reject(request, 421, text);
        return false;
    }
    if (strcmp(method, "OPTIONS") == 0 ||
        http_origin_is_allowed(&fields, server->options.cors_origin))
        return true;
    (void)snprintf(text, sizeof text, "cors-origin does not allow requests from pages of %.80s",
                   fields.origin != NULL ? fields.origin : "another site");
    http_request_reject(request, 403, text);
    return false;
}

/* Takes OPTIONS for a path with the methods `allow`, including a browser's preflight request. False
 * when it was rejected. Else it is answered when the request is complete: libmicrohttpd closes the
 * connection after an earlier answer. */
static bool take_options(struct http_request *request, const struct announced *body,
                         const char *allow) {
    http_add_header(&request->exchange, MHD_HTTP_HEADER_ALLOW, allow);
    (void)snprintf(request->allow, sizeof request->allow, "%s", allow);
    if (!body->chunked && body->length == 0)
        return true;
    http_request_reject(request, 413, "an OPTIONS request must not have a body");
    return false;
}

/* Finds the route, NULL for OPTIONS; false when there is none, and the request was answered. */
static bool find_route(struct http_request *request, const char *method,
                       const struct announced *body, const struct http_route **ret_route) {
    struct http_server *server = request->server;
    const bool options = strcmp(method, "OPTIONS") == 0;
    char allow[HTTP_ALLOW_SIZE], text[HTTP_ALLOW_SIZE + 96];
    if (options && strcmp(request->path, "*") == 0) { /* OPTIONS of the server as a whole */
        return take_options(request, body, "GET, HEAD, POST, OPTIONS");
    }
    if (request->target_status != 0) {
        http_request_reject(request, request->target_status, request->target_fault);
        return false;
    }
    if (strcmp(request->path, "*") == 0) {
        http_request_reject(request, 400, "the target * belongs to OPTIONS");
        return false;
    }
    switch (http_route_find(server->options.routes, server->options.route_count, method,
                            request->path, ret_route, &request->exchange.arguments, allow)) {
    case HTTP_MATCH:
        request->route = (size_t)(*ret_route - server->options.routes);
        return true;
    case HTTP_NO_METHOD:
        if (options)
            return take_options(request, body, allow);
        http_add_header(&request->exchange, MHD_HTTP_HEADER_ALLOW, allow);
        (void)snprintf(text, sizeof text,
                       "this path does not support the method %.32s; it supports %s", method,
                       allow);
        http_request_reject(request, 405, text);
        return false;
    case HTTP_NO_PATH:
        break;
    }
    http_request_reject(request, 404, "there is nothing at this path");
    return false;
}

/* The state of checking a query's keys against those that its route accepts. */
struct query_check {
    const char *const *known; /* NULL: none */
    uint64_t seen;            /* a bit for each of them */
    const char *key, *fault;  /* of the first key that is wrong; NULL: no key is wrong */
};

static enum MHD_Result take_key(void *cls, enum MHD_ValueKind kind, const char *key,
                                const char *value) {
    struct query_check *check = cls;
    const int index = check->known != NULL ? cn_name_index(check->known, key) : -1;
    (void)kind;
    if (key[0] == '\0' && value == NULL) /* "?a=1&" */
        return MHD_YES;
    if (index < 0)
        check->fault = "the query has the unknown parameter";
    else if (((check->seen >> index) & 1) != 0)
        check->fault = "the query repeats the parameter";
    else if (value == NULL)
        check->fault = "the query has no value for the parameter";
    else
        check->seen |= UINT64_C(1) << index;
    check->key = key;
    return check->fault == NULL ? MHD_YES : MHD_NO;
}

/* False when the query has a key that the route does not accept. The request was then rejected,
 * since to ignore the key would be to do something else than the client asked for. Probes may have
 * any query, since load balancers add queries of their own. */
static bool check_query(struct http_request *request, const struct http_route *route) {
    struct query_check check = {.known = route->query};
    char names[128], text[320];
    if (!route->probe)
        (void)MHD_get_connection_values(request->exchange.connection, MHD_GET_ARGUMENT_KIND,
                                        take_key, &check);
    if (check.fault == NULL)
        return true;
    (void)snprintf(text, sizeof text, "%s \"%.64s\"; this path accepts %s", check.fault, check.key,
                   check.known != NULL ? cn_name_list(check.known, names, sizeof names) : "none");
    http_request_reject(request, 400, text);
    return false;
}

/* Reserves memory for a body that is not small and for what is made of it, so that a client that is
 * asked for its body is also served. If there is not enough memory, rejects the request from its
 * head and returns false. */
static bool promise_memory(struct http_request *request, size_t length) {
    struct http_exchange *exchange = &request->exchange;
    char text[200];
    const size_t most = http_hold_most(exchange);
    const size_t bytes =
        request->coding == HTTP_CODING_NONE ? http_admission_memory(exchange, length) : length + 1;
    if (bytes > most) {
        (void)snprintf(
            text, sizeof text,
            "a body of %zu bytes takes %zu bytes of memory; a request may have %zu, three "
            "quarters of memory-budget",
            length, bytes, most);
        http_request_reject(request, 413, text);
        return false;
    }
    if (http_hold_ahead(exchange, bytes))
        return true;
    statistics_add(request->server->context.statistics, STATISTICS_REJECTED_MEMORY, 1);
    http_request_reject(request, 503, "there is no memory for this body now");
    return false;
}

/* Checks the body's framing and limits before it is sent; false when the request was rejected. */
static bool check_body(struct http_request *request, const struct http_route *route,
                       const struct announced *body) {
    size_t limit = route->body_limit;
    char text[160];
    if (limit > request->server->options.max_body)
        limit = request->server->options.max_body;
    request->body_limit = limit;
    if (limit == 0 && (body->chunked || body->length > 0)) {
        http_request_reject(request, 413, "this path accepts no body");
        return false;
    }
    if (body->length > limit) {
        (void)snprintf(text, sizeof text, "a body of %llu bytes is over the limit of %zu bytes",
                       (unsigned long long)body->length, limit);
        http_request_reject(request, 413, text);
        return false;
    }
    /* A route with an optional body got none. */
    if (route->body_limit == HTTP_BODY_CONFIGURED && !body->chunked && !body->has_length) {
        http_request_reject(request, 411,
                            "a body needs Content-Length or Transfer-Encoding: chunked");
        return false;
    }
    request->body_expected = (size_t)body->length;
    request->coding = http_coding_of(http_header(&request->exchange, "Content-Encoding"));
    if (request->coding == HTTP_CODING_UNKNOWN) {
        http_add_header(&request->exchange, MHD_HTTP_HEADER_ACCEPT_ENCODING, "gzip, deflate");
        http_request_reject(request, 415, "Content-Encoding must be gzip or deflate, applied once");
        return false;
    }
    return body->length <= LARGE_BODY || promise_memory(request, (size_t)body->length);
}

/* Called after the handler or `finish` has run. */
static enum MHD_Result end_handler(struct http_request *request, enum http_outcome outcome) {
    if (outcome == HTTP_DEFERRED)
        return MHD_YES;
    http_request_release(request);
    return request->queued ? MHD_YES : MHD_NO;
}

/* The last callback: the request is complete. */
static enum MHD_Result run_handler(struct http_request *request) {
    struct http_server *server = request->server;
    struct http_exchange *exchange = &request->exchange;
    struct cn_error error = {0};
    if (is_refused(request)) {
        refuse_framing(request);
        return request->queued ? MHD_YES : MHD_NO;
    }
    if (request->allow[0] != '\0')
        return end_handler(request, http_reply(exchange, 204, NULL, NULL, 0));
    const struct http_route *route = &server->options.routes[request->route];
    http_timeouts_phase(&server->timeouts, request->peer, HTTP_PHASE_WORK, 0);
    exchange->coded = request->coding != HTTP_CODING_NONE && exchange->body_length > 0;
    if (route->body_limit != HTTP_BODY_CONFIGURED && http_body_inflate(exchange, &error) != CN_OK)
        return end_handler(request, http_reply_failure(exchange, &error));
    return end_handler(request, route->handler(exchange));
}

/* The first callback: the head is complete. */
static enum MHD_Result take_head(struct http_request *request, const char *method) {
    struct http_server *server = request->server;
    struct announced body;
    const struct http_route *route = NULL;
    request->exchange.method = method;
    http_identity_set(&request->identity, http_header(&request->exchange, "X-Request-Id"),
                      http_header(&request->exchange, "traceparent"));
    if (!check_framing(request))
        return request->queued ? MHD_YES : MHD_NO;
    body = announced_body(&request->exchange);
    if (!check_origin(request, method) || !find_route(request, method, &body, &route) ||
        (route != NULL && (!http_authorize(request, route) || !check_query(request, route) ||
                           !check_body(request, route, &body))))
        return request->queued ? MHD_YES : MHD_NO;
    if (route != NULL && request->coding == HTTP_CODING_NONE && !body.chunked)
        request->exchange.refused =
            http_admission_refused(&request->exchange, request->body_expected);
    if (request->exchange.refused > 0) /* its body is not kept */
        http_release(&request->exchange, request->peer->promised);
    if (request->exchange.refused > 0 && body.expects_continue) {
        request->close = request->linger = true; /* the client is not asked for the body */
        return run_handler(request);
    }
    request->stage = HTTP_STAGE_BODY;
    http_timeouts_phase(&server->timeouts, request->peer, HTTP_PHASE_BODY,
                        from_now(server->options.body_timeout));
    return MHD_YES;
}

static void send_now(struct http_request *request, const char *text, size_t length) {
    const union MHD_ConnectionInfo *info =
        request->peer->tls != NULL ? MHD_get_connection_info(request->exchange.connection,
                                                             MHD_CONNECTION_INFO_GNUTLS_SESSION)
                                   : NULL;
    if (info != NULL)
        (void)gnutls_record_send(info->tls_session, text, length);
    else
        (void)!send(request->peer->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Refuses a body that exceeds a limit while it arrives. libmicrohttpd accepts no answer before the
 * body's end, so it is written to the socket here: this thread is the only writer, and all earlier
 * answers have been sent. */
static enum MHD_Result refuse_body(struct http_request *request, unsigned status) {
    char text[512], date[32];
    struct tm now;
    const time_t seconds = time(NULL);
    const char *reason = status == 413 ? "Content Too Large" : "Service Unavailable";
    const char *body = status == 413 ? HTTP_ERROR("the body is over the limit")
                                     : HTTP_ERROR("no memory for the body");
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &now));
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: application/json\r\n%s"
                          "X-Request-Id: %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                          status, reason, date, status == 503 ? "Retry-After: 1\r\n" : "",
                          request->identity.id, strlen(body), body);
    send_now(request, text, (size_t)length);
    if (request->peer->class != HTTP_CLASS_OWN)
        statistics_request(request->server->context.statistics, NULL, (unsigned)request->route,
                           status, cn_seconds_since(request->exchange.started_nanoseconds));
    request->status = status;
    request->linger = true;
    return MHD_NO;
}

static enum MHD_Result take_body(struct http_request *request, const char *data, size_t *size) {
    struct http_server *server = request->server;
    unsigned status = http_request_append(request, data, *size);
    if (status != 0)
        return refuse_body(request, status);
    *size = 0;
    if (request->exchange.body_length >= request->body_expected / 2)
        request->peer->half_arrived = true;
    /* A long body gets more time: slow lines are served, but not one byte per second. */
    uint64_t allowed = server->options.body_timeout +
                       http_server_transfer_time(server, request->exchange.body_length);
    http_timeouts_phase(&server->timeouts, request->peer, HTTP_PHASE_BODY,
                        request->exchange.started_nanoseconds + server->options.header_timeout +
                            allowed);
    return MHD_YES;
}

enum MHD_Result http_transaction(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_data_size, void **con_cls) {
    struct http_request *request = *con_cls;
    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    if (request == NULL)
        return MHD_NO;
    switch (request->stage) {
    case HTTP_STAGE_HEAD:
        return take_head(request, method);
    case HTTP_STAGE_BODY:
        if (*upload_data_size > 0)
            return take_body(request, upload_data, upload_data_size);
        return run_handler(request);
    case HTTP_STAGE_DEFERRED:
        return end_handler(request, request->finish(&request->exchange));
    case HTTP_STAGE_REPLIED:
        break;
    }
    *upload_data_size = 0;
    return MHD_YES;
}

/* Writes the client's address without its port, which would make every log line different. */
static const char *peer_text(struct MHD_Connection *connection,
                             char text[static INET6_ADDRSTRLEN]) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    const void *ip = NULL;
    if (address != NULL && address->sa_family == AF_INET)
        ip = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address != NULL && address->sa_family == AF_INET6)
        ip = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (ip == NULL || inet_ntop(address->sa_family, ip, text, INET6_ADDRSTRLEN) == NULL)
        return "unix";
    return text;
}

static void log_request(const struct http_request *request) {
    const struct http_server_options *options = &request->server->options;
    const struct http_exchange *exchange = &request->exchange;
    char peer[INET6_ADDRSTRLEN];
    const struct http_access_entry entry = {
        .method = exchange->method,
        .path = exchange->path,
        .route =
            request->route < options->route_count ? options->routes[request->route].name : "none",
        .id = request->identity.id,
        .trace = request->identity.trace,
        .client = request->client,
        .peer = peer_text(exchange->connection, peer),
        .model = request->model_name,
        .version = request->model_version,
        .status = request->status,
        .bytes_in = exchange->body_length,
        .bytes_out = request->reply_length,
        .images = exchange->work.images,
        .seconds = cn_seconds_since(exchange->started_nanoseconds),
        .queue_seconds = exchange->work.queue_seconds,
        .compute_seconds = exchange->work.compute_seconds};
    options->log_access(options->log_data, &entry);
}

/* Between two requests; the head of the next one may have begun. */
static void end_phase(struct http_server *server, struct http_connection *peer) {
    const bool begun = http_intake_has_begun(&peer->intake);
    const struct http_server_options *options = &server->options;
    http_timeouts_phase(
        &server->timeouts, peer, begun ? HTTP_PHASE_HEAD : HTTP_PHASE_IDLE,
        server->draining ? 1 : from_now(begun ? options->header_timeout : options->idle_timeout));
}

void http_transaction_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                                enum MHD_RequestTerminationCode code) {
    struct http_worker *worker = cls;
    struct http_request *request = *con_cls;
    (void)connection;
    (void)code;
    *con_cls = NULL;
    if (request == NULL)
        return;
    if (worker->server->options.log_access != NULL && request->peer->class != HTTP_CLASS_OWN)
        log_request(request);
    http_request_end(request);
    end_phase(worker->server, request->peer);
}

/* True if the client may still be sending bytes that are not needed. */
static bool needs_linger(const struct http_connection *peer) {
    return peer->class != HTTP_CLASS_OWN && (peer->request.linger || http_has_unread(peer->fd));
}

/* Gives a new connection the current certificate. Without one, or without memory for it, the
 * connection is closed. */
static void begin_tls(struct http_server *server, struct http_connection *peer,
                      struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    (void)pthread_rwlock_rdlock(&server->secrets_lock);
    if (server->tls != NULL)
        peer->tls = http_tls_retain(server->tls);
    (void)pthread_rwlock_unlock(&server->secrets_lock);
    if (info == NULL || peer->tls == NULL || !http_tls_begin(peer->tls, info->tls_session))
        (void)shutdown(peer->fd, SHUT_RDWR);
}

void http_transaction_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
                             enum MHD_ConnectionNotificationCode code) {
    struct http_worker *worker = cls;
    struct http_server *server = worker->server;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct http_connection *peer =
            http_connections_find(&server->connections, info->connect_fd);
        *socket_context = peer;
        if (peer == NULL)
            return;
        peer->request.server = server;
        peer->request.peer = peer;
        http_intake_begin(worker, peer);
        if (worker->tls)
            begin_tls(server, peer, connection);
        if (server->draining) /* otherwise it has had a deadline since it was accepted */
            http_timeouts_phase(&server->timeouts, peer, HTTP_PHASE_HEAD,
                                from_now(HTTP_DRAIN_HEAD_TIME));
        return;
    }
    struct http_connection *peer = *socket_context;
    if (peer == NULL)
        return;
    *socket_context = NULL;
    http_intake_end(worker, peer);
    if (needs_linger(peer)) {
        int copy = fcntl(peer->fd, F_DUPFD_CLOEXEC, 0);
        if (copy >= 0)
            http_timeouts_linger(&server->timeouts, copy);
    }
    http_connections_remove(&server->connections, peer);
}
