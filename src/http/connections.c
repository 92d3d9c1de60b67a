/* connections.c: the table of open sockets. It counts and limits; it does not accept, and shuts
 * down only idle connections when room is needed. Thread-safe: one mutex; the per-request fields
 * belong to the HTTP thread, deadlines are atomic. */
#include "http/connections.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/time.h"
#include "http/worker.h"

/* The most idle connections that are being closed for new ones and still have entries. */
enum { CLOSING_AT_ONCE = 32 };

enum cn_status http_connections_init(struct http_connections *connections, size_t max,
                                     size_t max_per_client, size_t usual_workers,
                                     struct cn_error *error) {
    /* The server's requests to itself are not part of the clients' limit. */
    *connections = (struct http_connections){.max = max,
                                             .max_per_client = max_per_client,
                                             .usual_workers = usual_workers,
                                             .capacity = max + 64};
    connections->active = calloc(connections->capacity, sizeof *connections->active);
    (void)pthread_mutex_init(&connections->mutex, NULL);
    cn_condition_init(&connections->changed);
    if (connections->active == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a table of %zu connections", max);
    return CN_OK;
}

static void destroy(struct http_connection *connection) {
    http_request_end(&connection->request);
    http_tls_release(connection->tls); /* after its session has ended */
    http_intake_clear(&connection->intake);
    free(connection);
}

void http_connections_clear(struct http_connections *connections) {
    for (size_t i = 0; i < connections->count; i++)
        destroy(connections->active[i]);
    free(connections->active);
    free(connections->by_fd);
    (void)pthread_mutex_destroy(&connections->mutex);
    (void)pthread_cond_destroy(&connections->changed);
}

static struct http_client client_of(const struct sockaddr *address) {
    struct http_client client = {{0}};
    if (address->sa_family == AF_INET) {
        client.bytes[0] = 4;
        memcpy(client.bytes + 1, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *ip =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(ip);
        client.bytes[0] = mapped ? 4 : 6;
        memcpy(client.bytes + 1, ip->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8);
    }
    return client;
}

/* Which limit leaves no room for one more connection of this class and client. Under the mutex. */
static enum http_room room_for(const struct http_connections *connections, enum http_class class,
                               const struct http_client *client) {
    size_t same = 0;
    if (class == HTTP_CLASS_ADMIN)
        return connections->admins < HTTP_ADMIN_CONNECTIONS ? HTTP_ROOM : HTTP_ROOM_ADMIN;
    if (class == HTTP_CLASS_OWN)
        return HTTP_ROOM;
    if (connections->clients - connections->closing >= connections->max)
        return HTTP_ROOM_ALL;
    if (connections->max_per_client == 0 || client->bytes[0] == 0)
        return HTTP_ROOM;
    for (size_t i = 0; i < connections->count; i++)
        same += !connections->active[i]->closing &&
                memcmp(&connections->active[i]->client, client, sizeof *client) == 0;
    return same < connections->max_per_client ? HTTP_ROOM : HTTP_ROOM_CLIENT;
}

bool http_has_unread(int fd) {
    int unread = 0;
    return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* Closes the connection of the client that has been idle longest, or of all clients when there are
 * too many in all. Under the mutex. */
static void close_idle(struct http_connections *connections, const struct http_client *client) {
    const bool all = connections->clients - connections->closing >= connections->max;
    struct http_connection *oldest = NULL;
    for (size_t i = 0; i < connections->count; i++) {
        struct http_connection *connection = connections->active[i];
        if (connection->class == HTTP_CLASS_CLIENT && connection->phase == HTTP_PHASE_IDLE &&
            !connection->closing &&
            (all || memcmp(&connection->client, client, sizeof *client) == 0) &&
            (oldest == NULL || connection->phase_began < oldest->phase_began) &&
            !http_has_unread(connection->fd))
            oldest = connection;
    }
    if (oldest == NULL || connections->closing >= CLOSING_AT_ONCE)
        return;
    oldest->closing = true;
    connections->closing++;
    (void)shutdown(oldest->fd, SHUT_RDWR);
}

static void forget(struct http_connections *connections, struct http_connection *connection) {
    struct http_connection *last = connections->active[--connections->count];
    connections->active[connection->index] = last;
    last->index = connection->index;
    connections->by_fd[connection->fd] = NULL;
    connections->clients -= connection->class == HTTP_CLASS_CLIENT;
    connections->closing -= connection->closing;
    connections->admins -= connection->class == HTTP_CLASS_ADMIN;
    if (connection->worker != NULL)
        connection->worker->load -= connection->class != HTTP_CLASS_OWN;
    (void)pthread_cond_broadcast(&connections->changed);
}

/* Makes room for by_fd[fd] and frees an old entry there. Under the mutex. */
static bool reserve_fd(struct http_connections *connections, int fd) {
    size_t needed = (size_t)fd + 1;
    if (needed > connections->fd_capacity) {
        size_t capacity = needed * 2;
        struct http_connection **by_fd =
            realloc(connections->by_fd, capacity * sizeof *connections->by_fd);
        if (by_fd == NULL)
            return false;
        memset(by_fd + connections->fd_capacity, 0,
               (capacity - connections->fd_capacity) * sizeof *by_fd);
        connections->by_fd = by_fd;
        connections->fd_capacity = capacity;
    }
    struct http_connection *lost = connections->by_fd[fd];
    if (lost != NULL) { /* libmicrohttpd closed it without a callback, having no memory for it */
        forget(connections, lost);
        destroy(lost);
    }
    return true;
}

/* Chooses the least loaded of the first `usual` workers, or of more if these are full: fewer
 * threads with more connections each wait less often in epoll. Under the mutex. */
static struct http_worker *least_loaded(struct http_worker *workers, size_t count, size_t usual) {
    struct http_worker *best = &workers[0];
    size_t load = 0;
    for (size_t i = 0; i < count; i++)
        load += workers[i].load;
    const size_t needed = load / HTTP_WORKER_CONNECTIONS + 1;
    const size_t used = needed > usual ? needed : usual;
    for (size_t i = 1; i < count && i < used; i++)
        if (workers[i].load < best->load)
            best = &workers[i];
    return best->load < HTTP_WORKER_CONNECTIONS ? best : NULL;
}

struct http_connection *http_connections_add(struct http_connections *connections, int fd,
                                             const struct sockaddr *address, enum http_class class,
                                             enum http_room *ret_room) {
    struct http_connection *connection = calloc(1, sizeof *connection);
    *ret_room = HTTP_ROOM_MEMORY;
    if (connection == NULL)
        return NULL;
    connection->fd = fd;
    connection->class = class;
    connection->client = client_of(address);
    (void)pthread_mutex_lock(&connections->mutex);
    if (class == HTTP_CLASS_CLIENT &&
        room_for(connections, class, &connection->client) != HTTP_ROOM)
        close_idle(connections, &connection->client);
    if (reserve_fd(connections, fd))
        *ret_room = connections->count < connections->capacity
                        ? room_for(connections, class, &connection->client)
                        : HTTP_ROOM_ALL;
    if (*ret_room == HTTP_ROOM) {
        connection->index = connections->count;
        connections->active[connections->count++] = connection;
        connections->clients += class == HTTP_CLASS_CLIENT;
        connections->admins += class == HTTP_CLASS_ADMIN;
        connections->by_fd[fd] = connection;
    }
    (void)pthread_mutex_unlock(&connections->mutex);
    if (*ret_room != HTTP_ROOM) {
        free(connection);
        return NULL;
    }
    return connection;
}

struct http_worker *http_connections_assign(struct http_connections *connections,
                                            struct http_connection *connection,
                                            struct http_worker *workers, size_t worker_count) {
    const bool own = connection->class == HTTP_CLASS_OWN;
    (void)pthread_mutex_lock(&connections->mutex);
    struct http_worker *worker =
        own ? workers : least_loaded(workers, worker_count, connections->usual_workers);
    connection->worker = worker;
    if (worker != NULL)
        worker->load += !own;
    (void)pthread_mutex_unlock(&connections->mutex);
    return worker;
}

size_t http_connections_of(struct http_connections *connections, const struct http_worker *worker,
                           const struct http_client *client) {
    size_t count = 0;
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count; i++)
        count += connections->active[i]->worker == worker &&
                 memcmp(&connections->active[i]->client, client, sizeof *client) == 0;
    (void)pthread_mutex_unlock(&connections->mutex);
    return count;
}

struct http_connection *http_connections_unassigned(struct http_connections *connections) {
    struct http_connection *found = NULL;
    (void)pthread_mutex_lock(&connections->mutex);
    for (size_t i = 0; i < connections->count && found == NULL; i++)
        if (connections->active[i]->worker == NULL)
            found = connections->active[i];
    (void)pthread_mutex_unlock(&connections->mutex);
    return found;
}

void http_connections_remove(struct http_connections *connections,
                             struct http_connection *connection) {
    (void)pthread_mutex_lock(&connections->mutex);
    forget(connections, connection);
    (void)pthread_mutex_unlock(&connections->mutex);
    destroy(connection);
}

struct http_connection *http_connections_find(struct http_connections *connections, int fd) {
    (void)pthread_mutex_lock(&connections->mutex);
    struct http_connection *connection =
        (size_t)fd < connections->fd_capacity ? connections->by_fd[fd] : NULL;
    (void)pthread_mutex_unlock(&connections->mutex);
    return connection;
}

bool http_peer_waits(const struct http_exchange *exchange) {
    const struct http_connection *peer = ((const struct http_request *)exchange)->peer;
    struct pollfd look = {.fd = peer->fd, .events = POLLRDHUP};
    char byte;
    if (poll(&look, 1, 0) <= 0)
        return true;
    if ((look.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return false;
    /* The client has sent its last byte. If unread bytes remain, it has sent several requests and
     * waits. */
    return recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
