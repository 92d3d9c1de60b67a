/* request.c: the life of one request: begin, body, deadline, end. It does not interpret HTTP. Runs
 * on the connection's HTTP thread only. */
#include "http/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "http/server_private.h"

enum { FIRST_BODY_BYTES = 65536 };

void http_request_begin(struct http_request *request, struct MHD_Connection *connection) {
    struct http_server *server = request->server;
    http_request_end(request);
    request->stage = HTTP_STAGE_HEAD;
    request->route = server->options.route_count;
    request->body_limit = request->body_expected = 0;
    request->status = 0;
    request->coding = HTTP_CODING_NONE;
    request->reply_length = request->reply_held = 0;
    request->model_name[0] = '\0';
    request->model_version = 0;
    request->target_status = 0;
    request->queued = request->linger = false;
    /* The probes' thread keeps no connection, whose next request might be no probe. */
    request->close = request->peer->worker == server->probes;
    request->path[0] = request->client[0] = request->allow[0] = '\0';
    request->exchange = (struct http_exchange){.context = &server->context,
                                               .connection = connection,
                                               .worker = request->peer->worker,
                                               .method = "",
                                               .path = request->path,
                                               .arguments = {.text = request->argument_text},
                                               .body = (const unsigned char *)"",
                                               .started_nanoseconds = cn_clock_nanoseconds()};
}

/* The thread keeps a buffer of ordinary size for its next request. */
static void give_up_body(struct http_request *request) {
    struct http_worker *worker = request->peer != NULL ? request->peer->worker : NULL;
    if (worker != NULL && worker->spare == NULL && request->body_capacity == FIRST_BODY_BYTES) {
        worker->spare = request->body;
        worker->spare_size = request->body_capacity;
    } else {
        free(request->body);
    }
    request->body = NULL;
    request->body_capacity = 0;
}

void http_request_end(struct http_request *request) {
    struct http_exchange *exchange = &request->exchange;
    if (exchange->release != NULL)
        exchange->release(exchange->state);
    exchange->release = NULL;
    exchange->state = NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        free(request->header_names[i]);
        free(request->header_values[i]);
    }
    request->header_count = 0;
    if (request->body != NULL)
        give_up_body(request);
    if (request->peer != NULL)
        http_release(exchange, request->peer->held);
}

void http_request_release(struct http_request *request) {
    struct http_exchange *exchange = &request->exchange;
    if (exchange->release != NULL)
        exchange->release(exchange->state);
    exchange->release = NULL;
    exchange->state = NULL;
    if (request->body != NULL)
        give_up_body(request);
    exchange->body = (const unsigned char *)"";
    if (request->peer->held > request->reply_held)
        http_release(exchange, request->peer->held - request->reply_held);
}

/* The buffer grows with the bytes that have arrived, not with the announced length. */
static bool body_grow(struct http_request *request, size_t needed) {
    struct http_worker *worker = request->peer->worker;
    if (request->body == NULL && worker->spare != NULL && needed <= worker->spare_size) {
        request->body = worker->spare;
        request->body_capacity = worker->spare_size;
        worker->spare = NULL;
        return true;
    }
    size_t capacity = request->body_capacity > 0 ? request->body_capacity : FIRST_BODY_BYTES;
    while (capacity < needed)
        capacity *= 2; /* needed <= limit + 1, far below overflow */
    if (request->body_expected > 0 && capacity > request->body_expected + 1 &&
        capacity > FIRST_BODY_BYTES)
        capacity = request->body_expected + 1;
    /* A buffer of ordinary size is the thread's own. */
    if (capacity > FIRST_BODY_BYTES &&
        !http_hold(&request->exchange, capacity - request->body_capacity))
        return false;
    unsigned char *body = realloc(request->body, capacity);
    if (body == NULL)
        return false;
    request->body = body;
    request->body_capacity = capacity;
    return true;
}

unsigned http_request_append(struct http_request *request, const char *bytes, size_t length) {
    size_t used = request->exchange.body_length;
    if (length > request->body_limit - used)
        return 413;
    if (request->exchange.refused >
        0) { /* the body is discarded, so that the connection can be used again */
        request->exchange.body_length = used + length;
        return 0;
    }
    if (used + length + 1 > request->body_capacity && !body_grow(request, used + length + 1))
        return 503;
    memcpy(request->body + used, bytes, length);
    request->body[used + length] = '\0';
    request->exchange.body = request->body;
    request->exchange.body_length = used + length;
    return 0;
}

enum cn_status http_body_inflate(struct http_exchange *exchange, struct cn_error *error) {
    static const enum cn_status kinds[] = {[0] = CN_MALFORMED, [1] = CN_LIMIT, [2] = CN_MEMORY};
    struct http_request *request = http_request_of(exchange);
    unsigned char *bytes = NULL;
    const char *fault = NULL;
    size_t length = 0;
    if (!exchange->coded)
        return CN_OK;
    exchange->coded = false;
    const unsigned status =
        http_coding_inflate(request->coding, exchange->body, exchange->body_length,
                            request->body_limit, &bytes, &length, &fault);
    if (status != 0)
        return cn_fail(error, kinds[status == 413 ? 1 : status == 503 ? 2 : 0], "%s", fault);
    if (!http_hold(exchange, length)) {
        free(bytes);
        return cn_fail(error, CN_MEMORY, "no memory for the body");
    }
    /* Not kept for the next request, since this may be another thread. */
    free(request->body);
    request->body = bytes;
    request->body_capacity = length + 1;
    exchange->body = bytes;
    exchange->body_length = length;
    return CN_OK;
}

/* ---- The deadline ---- */

enum { LONGEST_TIMEOUT_MS = 86400000 };

/* Parses a whole number of milliseconds from 1 to a day; 0 if the text is none. */
static uint64_t parse_milliseconds(const char *text) {
    uint64_t value = 0;
    const size_t length = strlen(text);
    if (length == 0 || length > 8 || strspn(text, "0123456789") != length)
        return 0;
    value = strtoull(text, NULL, 10);
    return value <= LONGEST_TIMEOUT_MS ? value : 0;
}

void http_deadline_shorten(uint64_t *deadline, uint64_t other) {
    if (*deadline == 0 || other < *deadline)
        *deadline = other;
}

bool http_deadline(struct http_exchange *exchange, uint64_t *ret_deadline) {
    const uint64_t limit = exchange->context->request_timeout_nanoseconds;
    const char *asked = http_header(exchange, "Request-Timeout-Ms");
    uint64_t deadline = limit > 0 ? cn_clock_nanoseconds() + limit : 0;
    if (asked != NULL) {
        const uint64_t milliseconds = parse_milliseconds(asked);
        if (milliseconds == 0) {
            (void)http_reply_error(exchange, 400,
                                   "Request-Timeout-Ms is \"%.40s\"; it must be a whole number of "
                                   "milliseconds from 1 to %d",
                                   asked, LONGEST_TIMEOUT_MS);
            return false;
        }
        http_deadline_shorten(&deadline, exchange->started_nanoseconds + milliseconds * 1000000);
    }
    *ret_deadline = deadline;
    return true;
}
