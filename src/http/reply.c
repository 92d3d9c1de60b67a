/* reply.c: makes every answer that libmicrohttpd sends. Two answers are written to the socket
 * elsewhere, because libmicrohttpd cannot send them: that no connection is left (acceptor.c) and
 * that a body broke a rule while it arrived (transaction.c). Runs on the exchange's HTTP thread. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "http/coding.h"
#include "http/cors.h"
#include "http/server_private.h"
#include "json/write.h"

enum { ERROR_TEXT = 1024, SMALL_ANSWER = 16 * 1024 };

void http_add_header(struct http_exchange *exchange, const char *name, const char *value) {
    struct http_request *request = http_request_of(exchange);
    size_t count = request->header_count;
    if (count == HTTP_MAX_REPLY_HEADERS)
        return;
    char *name_copy = strdup(name), *value_copy = strdup(value);
    if (name_copy == NULL || value_copy == NULL) {
        free(name_copy);
        free(value_copy);
        return;
    }
    request->header_names[count] = name_copy;
    request->header_values[count] = value_copy;
    request->header_count = count + 1;
}

static uint64_t write_deadline(const struct http_server *server, size_t length) {
    return cn_clock_nanoseconds() + server->options.write_timeout +
           http_server_transfer_time(server, length);
}

static void count_reply(struct http_request *request, unsigned status) {
    struct statistics *statistics = request->server->context.statistics;
    if (request->peer->class == HTTP_CLASS_OWN)
        return;
    const struct served_model *model = request->exchange.work.model;
    if (model != NULL) { /* for the log, since the model may be freed with the handler's state */
        memcpy(request->model_name, model->name, sizeof request->model_name);
        request->model_version = model->version;
    }
    statistics_request(statistics, model != NULL ? model->statistics : NULL,
                       (unsigned)request->route, status,
                       cn_seconds_since(request->exchange.started_nanoseconds));
}

static bool add_headers(struct http_request *request, struct MHD_Response *response,
                        const char *content_type) {
    bool good =
        content_type == NULL ||
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_YES;
    for (size_t i = 0; i < request->header_count; i++)
        good &= MHD_add_response_header(response, request->header_names[i],
                                        request->header_values[i]) == MHD_YES;
    good &= MHD_add_response_header(response, "X-Request-Id", request->identity.id) == MHD_YES;
    if (request->identity.trace[0] != '\0')
        good &=
            MHD_add_response_header(response, "traceparent", request->identity.trace) == MHD_YES;
    if (request->server->options.cors_origin != NULL)
        good &= http_cors_add(response, request->server->options.cors_origin,
                              http_header(&request->exchange, "Origin"),
                              request->allow[0] != '\0' ? request->allow : NULL);
    if (request->close || request->server->draining)
        good &= MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    return good;
}

/* True if the handler has compressed the answer itself. */
static bool is_coded(struct http_exchange *exchange) {
    const struct http_request *request = http_request_of(exchange);
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->header_names[i], MHD_HTTP_HEADER_CONTENT_ENCODING) == 0)
            return true;
    return false;
}

/* Compresses the answer if the client accepts that and it saves enough. */
static char *compress_body(struct http_exchange *exchange, const char *content_type, char *body,
                           size_t *length) {
    size_t packed_length = 0;
    if (is_coded(exchange) || !http_coding_is_worthwhile(content_type, *length))
        return body;
    http_add_header(exchange, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    char *packed = http_coding_accepts_gzip(http_header(exchange, "Accept-Encoding"))
                       ? http_coding_gzip(body, *length, &packed_length)
                       : NULL;
    if (packed == NULL)
        return body;
    http_add_header(exchange, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    free(body);
    *length = packed_length;
    return packed;
}

/* Counts a large answer's memory until it is sent. */
static bool hold_answer(struct http_exchange *exchange, size_t length) {
    struct http_request *request = http_request_of(exchange);
    if (!http_hold(exchange, length)) {
        statistics_add(request->server->context.statistics, STATISTICS_REJECTED_MEMORY, 1);
        return false;
    }
    request->reply_held = length;
    return true;
}

enum http_outcome http_reply(struct http_exchange *exchange, unsigned status,
                             const char *content_type, char *body, size_t length) {
    struct http_request *request = http_request_of(exchange);
    struct http_server *server = request->server;
    if (body != NULL)
        body = compress_body(exchange, content_type, body, &length);
    if (length > SMALL_ANSWER && !hold_answer(exchange, length)) {
        free(body);
        return http_reply_error(exchange, 503, "no memory for an answer of %zu bytes", length);
    }
    bool owned = body != NULL;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(owned ? length : 0, owned ? body : (char[]){""},
                                        owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY);
    request->stage = HTTP_STAGE_REPLIED;
    if (response == NULL) {
        free(body);
        return HTTP_REPLIED;
    }
    if (add_headers(request, response, content_type)) {
        /* The phase is set first, since libmicrohttpd may send at once. */
        http_timeouts_phase(&server->timeouts, request->peer, HTTP_PHASE_WRITE,
                            write_deadline(server, length));
        request->status = status;
        request->reply_length = length;
        request->queued = MHD_queue_response(exchange->connection, status, response) == MHD_YES;
    }
    MHD_destroy_response(response);
    if (request->queued)
        count_reply(request, status);
    return HTTP_REPLIED;
}

enum http_outcome http_reply_text(struct http_exchange *exchange, unsigned status,
                                  const char *content_type, struct cn_text *text) {
    size_t length = 0;
    char *body = cn_text_take(text, &length);
    if (body == NULL)
        return http_reply_error(exchange, 503, "no memory for the answer");
    return http_reply(exchange, status, content_type, body, length);
}

static enum http_outcome reply_error(struct http_exchange *exchange, unsigned status,
                                     const char *text) {
    struct cn_text answer = {0};
    size_t length = 0;
    cn_text_add(&answer, HTTP_ERROR_BEGIN);
    cn_json_add_string(&answer, NULL, text);
    cn_text_add(&answer, HTTP_ERROR_END);
    char *body = cn_text_take(&answer, &length);
    if (body == NULL) {
        http_request_of(exchange)->stage = HTTP_STAGE_REPLIED;
        return HTTP_REPLIED;
    }
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        http_add_header(exchange, "Retry-After", "1");
    return http_reply(exchange, status, "application/json", body, length);
}

enum http_outcome http_reply_error(struct http_exchange *exchange, unsigned status,
                                   const char *format, ...) {
    char text[ERROR_TEXT];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return reply_error(exchange, status, text);
}

enum http_outcome http_reply_failure(struct http_exchange *exchange, const struct cn_error *error) {
    static const unsigned statuses[] = {
        [CN_OK] = 500,          [CN_INVALID] = 400,  [CN_MALFORMED] = 400,
        [CN_UNSUPPORTED] = 415, [CN_UNUSABLE] = 422, [CN_LIMIT] = 413,
        [CN_IO] = 500,          [CN_MEMORY] = 503,   [CN_CANCELED] = 500};
    bool known = (size_t)error->status < sizeof statuses / sizeof *statuses;
    return reply_error(exchange, known ? statuses[error->status] : 500, error->text);
}

void http_request_reject(struct http_request *request, unsigned status, const char *text) {
    request->close = true;
    request->linger = true;
    reply_error(&request->exchange, status, text);
}
