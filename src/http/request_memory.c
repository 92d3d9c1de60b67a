/* request_memory.c: counts the memory of requests against the server's budget, from the head until
 * the answer is sent. It allocates nothing. The count of an exchange belongs to the thread that has
 * the exchange. */
#include <string.h>
#include <sys/socket.h>

#include "base/budget.h"
#include "base/time.h"
#include "http/server_private.h"

/* An answer whose client has not read for this long may be dropped when memory is scarce. */
static const uint64_t patience = CN_SECOND;

/* The memory of all connections of one client. */
static size_t held_by_client(struct http_connections *connections,
                             const struct http_client *client) {
    size_t sum = 0;
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++)
        if (memcmp(&connections->active[i]->client, client, sizeof *client) == 0)
            sum += connections->active[i]->held;
    (void)pthread_mutex_unlock(&connections->mutex);
    return sum;
}

/* The memory that a connection keeps from others because its client is slow: an answer that is not
 * read, or what was promised to a body less than half of which has come. */
static size_t kept_by_slowness(const struct http_connection *connection, uint64_t now) {
    if (now - connection->phase_began <= patience)
        return 0;
    return connection->phase == HTTP_PHASE_WRITE ? connection->held
           : connection->phase == HTTP_PHASE_BODY && !connection->half_arrived
               ? connection->promised
               : 0;
}

/* Cuts the slow connection that keeps most; false if there is none. */
static bool cut_slow(struct http_connections *connections) {
    struct http_connection *worst = NULL;
    size_t most = 0;
    const uint64_t now = cn_clock_nanoseconds();
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        const size_t kept = kept_by_slowness(connection, now);
        if (kept > most) {
            worst = connection;
            most = kept;
        }
    }
    if (worst != NULL) {
        worst->deadline = 0;
        worst->phase_began = now; /* so that it is not chosen again before it has ended */
        (void)shutdown(worst->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    return worst != NULL;
}

/* The memory that one client may use. */
static size_t share_of(const struct cn_budget *budget) {
    return budget->limit - budget->limit / 4;
}

size_t http_hold_most(const struct http_exchange *exchange) {
    return exchange->context->budget != NULL ? share_of(exchange->context->budget) : SIZE_MAX;
}

static bool memory_take(struct http_exchange *exchange, size_t bytes) {
    struct cn_budget *budget = exchange->context->budget;
    struct http_request *request = http_request_of(exchange);
    struct http_connection *peer = request->peer;
    struct http_connections *connections = &request->server->connections;
    /* While memory is plenty, the share of a client is not computed. */
    const bool scarce = budget->used > budget->limit / 2 || bytes > budget->limit / 2;
    const bool fair = !scarce || peer->client.bytes[0] == 0 ||
                      held_by_client(connections, &peer->client) + bytes <= share_of(budget);
    if (!fair || !cn_budget_take(budget, bytes)) {
        (void)cut_slow(connections);
        return false;
    }
    peer->held += bytes;
    return true;
}

bool http_hold(struct http_exchange *exchange, size_t bytes) {
    if (exchange->context->budget == NULL)
        return true;
    struct http_connection *peer = http_request_of(exchange)->peer;
    const size_t promised = peer->promised, there = bytes < promised ? bytes : promised;
    if (bytes > there && !memory_take(exchange, bytes - there))
        return false;
    peer->promised = promised - there;
    return true;
}

bool http_hold_ahead(struct http_exchange *exchange, size_t bytes) {
    if (exchange->context->budget == NULL)
        return true;
    if (!memory_take(exchange, bytes))
        return false;
    http_request_of(exchange)->peer->promised += bytes;
    http_request_of(exchange)->peer->half_arrived = false;
    return true;
}

void http_release(struct http_exchange *exchange, size_t bytes) {
    if (exchange->context == NULL || exchange->context->budget == NULL || bytes == 0)
        return;
    struct http_connection *peer = http_request_of(exchange)->peer;
    const size_t held = bytes < peer->held ? bytes : peer->held;
    if (peer->promised > peer->held - held)
        peer->promised = peer->held - held;
    peer->held -= held;
    cn_budget_give(exchange->context->budget, held);
}

uint64_t http_client_number(const struct http_exchange *exchange) {
    const struct http_client *client = &((const struct http_request *)exchange)->peer->client;
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof client->bytes; i++)
        number = number * 257 + client->bytes[i];
    return number;
}
