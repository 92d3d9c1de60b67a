/* first_bytes.c: looks at a connection's first bytes before it is assigned to an HTTP thread,
 * because it stays with that thread. A request for a health probe is assigned to the thread that
 * does nothing else, and so is answered at once, however busy the others are. The bytes stay in the
 * socket. Runs on the accepting thread only. */
#include "http/first_bytes.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/time.h"
#include "http/router.h"
#include "http/server_private.h"

enum { FIRST_BYTES = 128, AT_ONCE = 64, PROBES_PER_CLIENT = HTTP_WORKER_CONNECTIONS / 4 };

/* A flag in an event's data besides the descriptor: the connection has an HTTP thread. */
static const uint64_t HANDED_OVER = (uint64_t)1 << 32;

enum cn_status http_first_bytes_open(struct http_first_bytes *first_bytes, struct cn_error *error) {
    first_bytes->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (first_bytes->epoll < 0)
        return cn_fail(error, CN_IO, "cannot make an epoll: %s", strerror(errno));
    return CN_OK;
}

void http_first_bytes_close(struct http_first_bytes *first_bytes) {
    (void)close(first_bytes->epoll);
}

/* True if the bytes begin with the request line of a probe. All other input, also a line in two
 * pieces, is left to the HTTP threads. */
static bool is_probe(const struct http_server *server, char *first) {
    const struct http_route *route = NULL;
    char path[HTTP_PATH_SIZE], text[HTTP_PATH_SIZE], allow[HTTP_ALLOW_SIZE];
    struct http_arguments arguments = {.text = text};
    const char *fault = NULL;
    char *target = strchr(first, ' ');
    char *end = target != NULL ? strchr(target + 1, ' ') : NULL;
    if (end == NULL)
        return false;
    *target++ = '\0';
    *end = '\0';
    return http_target_path(target, path, &fault) == 0 &&
           http_route_find(server->options.routes, server->options.route_count, first, path, &route,
                           &arguments, allow) == HTTP_MATCH &&
           route->probe;
}

static void entry_drop(struct http_server *server, struct http_connection *connection) {
    const int fd = connection->fd;
    http_connections_remove(&server->connections, connection);
    (void)close(fd);
}

/* From now on only the end of the connection is watched here. `operation` is the epoll operation
 * for that. */
static void watch_end(struct http_server *server, int fd, int operation) {
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET,
                                .data.u64 = HANDED_OVER | (unsigned)fd};
    (void)epoll_ctl(server->first_bytes.epoll, operation, fd, &event);
}

/* Assigns the connection to the least loaded of `workers`; false if all are full. */
static bool hand_over(struct http_server *server, struct http_connection *connection,
                      struct http_worker *workers, size_t count) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (getpeername(connection->fd, (void *)&address, &length) !=
        0) { /* the connection was reset */
        entry_drop(server, connection);
        return true;
    }
    struct http_worker *worker =
        http_connections_assign(&server->connections, connection, workers, count);
    if (worker == NULL)
        return false;
    watch_end(server, connection->fd, connection->waited ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
    http_worker_take(worker, connection->fd, (void *)&address, length);
    return true;
}

static void hand_over_plain(struct http_server *server, struct http_connection *connection) {
    if (!hand_over(server, connection, server->workers, server->plain_count))
        entry_drop(server, connection);
}

/* Assigns it to the probes' thread. No client can occupy that thread's places, since each lasts a
 * second at most and each client has a share. False if there is no place. */
static bool hand_over_probe(struct http_server *server, struct http_connection *connection) {
    if (http_connections_of(&server->connections, server->probes, &connection->client) >=
        PROBES_PER_CLIENT)
        return false;
    const uint64_t deadline = cn_clock_nanoseconds() + CN_SECOND;
    if (deadline < connection->deadline)
        http_timeouts_phase(&server->timeouts, connection, HTTP_PHASE_HEAD, deadline);
    return hand_over(server, connection, server->probes, 1);
}

/* False if no bytes have come yet. */
static bool entry_look(struct http_server *server, struct http_connection *connection) {
    char first[FIRST_BYTES + 1];
    const ssize_t got = recv(connection->fd, first, FIRST_BYTES, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    first[got > 0 ? got : 0] = '\0';
    /* More simultaneous probes than their thread may hold are treated as other requests. */
    if (got <= 0) {
        entry_drop(server, connection);
        return true;
    }
    if (!is_probe(server, first) || !hand_over_probe(server, connection))
        hand_over_plain(server, connection);
    return true;
}

void http_first_bytes_add(struct http_server *server, struct http_connection *connection,
                          bool tls) {
    /* The event is delivered once; the entry is removed when the socket ends. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                .data.u64 = (unsigned)connection->fd};
    if (tls) {
        if (!hand_over(server, connection, server->workers + server->plain_count,
                       server->worker_count - server->plain_count - 1))
            entry_drop(server, connection);
    } else if (!entry_look(server, connection)) {
        connection->waited =
            epoll_ctl(server->first_bytes.epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0;
        if (!connection->waited)
            hand_over_plain(server, connection);
    }
}

void http_first_bytes_tend(struct http_server *server) {
    struct epoll_event events[AT_ONCE];
    const int count = epoll_wait(server->first_bytes.epoll, events, AT_ONCE, 0);
    for (int i = 0; i < count; i++) {
        const int fd = (int)(uint32_t)events[i].data.u64;
        if ((events[i].data.u64 & HANDED_OVER) != 0) {
            http_timeouts_client_ended(&server->timeouts, fd);
            continue;
        }
        struct http_connection *connection = http_connections_find(&server->connections, fd);
        if (connection != NULL && connection->worker == NULL && !entry_look(server, connection))
            hand_over_plain(server, connection);
    }
}

void http_first_bytes_empty(struct http_server *server) {
    struct http_connection *connection;
    while ((connection = http_connections_unassigned(&server->connections)) != NULL)
        hand_over_plain(server, connection);
}
