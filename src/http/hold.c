/* hold.c: counts the memory of requests against the server's budget, from the head until the answer
 * is sent. It allocates nothing. The count of an exchange belongs to the thread that has the
 * exchange. */
#include <string.h>
#include <sys/socket.h>

#include "base/budget.h"
#include "base/time.h"
#include "http/server_private.h"

/* Bytes in use above which freed memory is returned to the system. */
enum { TRIM_ABOVE = 8 << 20 };

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

/* Cuts the connection with the largest answer that is not being read; false if there is none. */
static bool cut_slow_reader(struct http_connections *connections) {
    struct http_connection *worst = NULL;
    const uint64_t now = cn_clock_nanoseconds();
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        if (connection->phase == HTTP_PHASE_WRITE && now - connection->phase_began > patience &&
            connection->held > 0 && (worst == NULL || connection->held > worst->held))
            worst = connection;
    }
    if (worst != NULL) {
        worst->deadline = 0;
        worst->phase_began = now; /* so that it is not chosen again before it has ended */
        (void)shutdown(worst->fd, SHUT_RDWR);
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    return worst != NULL;
}

bool http_hold(struct http_exchange *exchange, size_t bytes) {
    struct cn_budget *budget = exchange->context->budget;
    if (budget == NULL || bytes == 0)
        return true;
    struct http_request *request = http_request_of(exchange);
    struct http_connection *peer = request->peer;
    struct http_connections *connections = &request->server->connections;
    /* While memory is plenty, the share of a client is not computed. */
    const bool scarce = budget->used > budget->limit / 2 || bytes > budget->limit / 2;
    if (scarce && peer->client.bytes[0] != 0 &&
        held_by_client(connections, &peer->client) + bytes > budget->limit / 2) {
        (void)cut_slow_reader(connections);
        return false;
    }
    if (!cn_budget_take(budget, bytes)) {
        (void)cut_slow_reader(connections);
        return false;
    }
    peer->held += bytes;
    if (budget->used > TRIM_ABOVE)
        http_timeouts_trim_later(&request->server->timeouts);
    return true;
}

void http_release(struct http_exchange *exchange, size_t bytes) {
    if (exchange->context == NULL || exchange->context->budget == NULL || bytes == 0)
        return;
    struct http_connection *peer = http_request_of(exchange)->peer;
    const size_t held = bytes < peer->held ? bytes : peer->held;
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
