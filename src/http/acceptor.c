/* acceptor.c: the thread that accepts connections, refuses those over a limit and passes the others
 * to first_bytes.c. libmicrohttpd's own accepting would load its threads unevenly, spin without
 * free descriptors and close systemd's socket. One thread, which alone uses the acceptor while it
 * runs. */
#include "http/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/time.h"
#include "http/server_private.h"

static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
                           "Content-Type: application/json\r\n"
                           "Retry-After: 1\r\n"
                           "Connection: close\r\n"
                           "Content-Length: %zu\r\n\r\n%s";

static int open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Logs at most one line per ten seconds, since clients can provoke these. */
static void log_limited(struct http_server *server, const char *text) {
    struct http_acceptor *acceptor = &server->acceptor;
    uint64_t now = cn_clock_nanoseconds();
    if (acceptor->last_logged != 0 && now - acceptor->last_logged < 10 * CN_SECOND)
        return;
    acceptor->last_logged = now;
    http_server_log(server, HTTP_LOG_WARNING, "%s", text);
}

/* Answers 503. With TLS nothing is sent, since the client could not read it before the handshake.
 */
static void send_busy(const struct http_listener *listener, int fd, const char *body) {
    char text[sizeof busy + 96];
    const int length = snprintf(text, sizeof text, busy, strlen(body), body);
    if (!listener->tls)
        (void)!send(fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Logs which limit was reached, and answers. */
static void connection_refuse(struct http_server *server, const struct http_listener *listener,
                              int fd, enum http_room room) {
    const struct http_connections *connections = &server->connections;
    char text[128];
    if (room == HTTP_ROOM_MEMORY)
        (void)snprintf(text, sizeof text, "a connection was refused: there is no memory for it");
    else if (room == HTTP_ROOM_CLIENT)
        (void)snprintf(text, sizeof text,
                       "a connection was refused: max-connections-per-address %zu is reached",
                       connections->max_per_client);
    else if (room == HTTP_ROOM_ADMIN)
        (void)snprintf(text, sizeof text,
                       "a connection was refused: the admin socket already has its limit of %d",
                       HTTP_ADMIN_CONNECTIONS);
    else
        (void)snprintf(text, sizeof text,
                       "a connection was refused: max-connections %zu is reached",
                       connections->max);
    log_limited(server, text);
    send_busy(listener, fd,
              room == HTTP_ROOM_CLIENT ? HTTP_ERROR("too many connections from your address")
                                       : HTTP_ERROR("too many connections"));
    statistics_add(server->context.statistics, STATISTICS_REJECTED_CONNECTION, 1);
    http_timeouts_linger(&server->timeouts, fd);
}

static void connection_take(struct http_server *server, const struct http_listener *listener,
                            int fd, const struct sockaddr_storage *address) {
    const struct sockaddr *peer = (const struct sockaddr *)address;
    int on = 1;
    enum http_room room;
    struct http_connection *connection =
        http_connections_add(&server->connections, fd, peer, listener->class, &room);
    if (connection == NULL) {
        connection_refuse(server, listener, fd, room);
        return;
    }
    if (address->ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    http_timeouts_phase(&server->timeouts, connection, HTTP_PHASE_HEAD,
                        cn_clock_nanoseconds() + server->options.header_timeout);
    http_first_bytes_add(server, connection, listener->tls);
}

/* The process is out of descriptors. The reserve is closed to accept and refuse one connection;
 * otherwise it would stay in the queue and keep the listening socket ready for ever. */
static void refuse_without_descriptor(struct http_server *server,
                                      const struct http_listener *listener) {
    struct http_acceptor *acceptor = &server->acceptor;
    log_limited(server, "a connection was refused: no file descriptor is left");
    if (acceptor->reserve >= 0)
        close(acceptor->reserve);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        send_busy(listener, fd, HTTP_ERROR("too many connections"));
        statistics_add(server->context.statistics, STATISTICS_REJECTED_CONNECTION, 1);
        close(fd);
    }
    acceptor->reserve = open_reserve();
}

/* Accepts some waiting connections; false when memory or descriptors are short. */
static bool accept_some(struct http_server *server, const struct http_listener *listener) {
    for (int i = 0; i < 64; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_take(server, listener, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE) {
            refuse_without_descriptor(server, listener);
            return server->acceptor.reserve >= 0;
        } else if (errno == ENOMEM || errno == ENOBUFS) {
            log_limited(server, "a connection was lost: the system has no memory for it");
            return false;
        } else if (errno == EAGAIN) {
            return true;
        }
        /* Other errors concern a connection that has ended already. */
    }
    return true;
}

/* Clients in a listener's queue are connected from their point of view, and closing the listener
 * resets them. So nothing may come between the last accept and the close. */
static void close_listeners(struct http_server *server) {
    struct http_acceptor *acceptor = &server->acceptor;
    for (size_t i = 0; i < acceptor->listener_count; i++) {
        accept_some(server, &acceptor->listeners[i]);
        accept_some(server, &acceptor->listeners[i]);
        close(acceptor->listeners[i].fd);
    }
    acceptor->listener_count = 0;
}

static void *acceptor_thread(void *data) {
    struct http_server *server = data;
    struct http_acceptor *acceptor = &server->acceptor;
    struct pollfd polls[2 + HTTP_MAX_LISTENERS] = {
        {.fd = acceptor->wake, .events = POLLIN},
        {.fd = server->first_bytes.epoll, .events = POLLIN}};
    for (size_t i = 0; i < acceptor->listener_count; i++)
        polls[i + 2] = (struct pollfd){.fd = acceptor->listeners[i].fd, .events = POLLIN};
    while (!acceptor->stop) {
        bool rest = false;
        if (poll(polls, (nfds_t)acceptor->listener_count + 2, -1) < 0)
            continue;
        if (polls[1].revents != 0)
            http_first_bytes_tend(server);
        for (size_t i = 0; i < acceptor->listener_count; i++)
            if (polls[i + 2].revents != 0)
                rest |= !accept_some(server, &acceptor->listeners[i]);
        if (rest) /* avoids spinning */
            (void)!poll(polls, 1, 100);
    }
    close_listeners(server);
    http_first_bytes_empty(server);
    return NULL;
}

enum cn_status http_acceptor_start(struct http_acceptor *acceptor, struct http_server *server,
                                   struct cn_error *error) {
    acceptor->stop = false;
    acceptor->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (acceptor->wake < 0)
        return cn_fail(error, CN_IO, "cannot make an eventfd: %s", strerror(errno));
    const enum cn_status status = http_first_bytes_open(&server->first_bytes, error);
    if (status != CN_OK) {
        close(acceptor->wake);
        return status;
    }
    acceptor->reserve = open_reserve();
    int result = pthread_create(&acceptor->thread, NULL, acceptor_thread, server);
    if (result != 0) {
        close(acceptor->wake);
        http_first_bytes_close(&server->first_bytes);
        if (acceptor->reserve >= 0)
            close(acceptor->reserve);
        return cn_fail(error, CN_IO, "cannot start the accepting thread: %s", strerror(result));
    }
    acceptor->running = true;
    return CN_OK;
}

void http_acceptor_stop(struct http_acceptor *acceptor) {
    if (acceptor->running) {
        acceptor->stop = true;
        eventfd_write(acceptor->wake, 1);
        (void)pthread_join(acceptor->thread, NULL);
        close(acceptor->wake);
        if (acceptor->reserve >= 0)
            close(acceptor->reserve);
        acceptor->running = false;
    }
    for (size_t i = 0; i < acceptor->listener_count; i++)
        close(acceptor->listeners[i].fd);
    acceptor->listener_count = 0;
}
