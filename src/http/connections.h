/* connections.h: the open sockets: limits, load, deadlines. */
#ifndef CONVNET_HTTP_CONNECTIONS_H
#define CONVNET_HTTP_CONNECTIONS_H

#include <pthread.h>
#include <sys/socket.h>

#include "base/atomics.h"
#include "http/intake.h"
#include "http/request.h"
#include "http/server.h"

/* Clients' sockets per HTTP thread. libmicrohttpd 0.9.75 stalls a thread whose epoll returns
 * exactly 128 ready descriptors; with the thread's own descriptors and a self-test's socket no
 * thread has so many. */
enum { HTTP_WORKER_CONNECTIONS = 120 };

/* Connections on the admin socket are limited separately, so that a flood of clients cannot lock an
 * admin out. */
enum { HTTP_ADMIN_CONNECTIONS = 8 };

/* The client to which a limit applies: an IPv4 address or an IPv6 /64; all zero: not limited. */
struct http_client {
    unsigned char bytes[9];
};

enum http_phase {
    HTTP_PHASE_HEAD = 0, /* a request's head is awaited: the first, or one that has begun */
    HTTP_PHASE_IDLE,     /* between two requests */
    HTTP_PHASE_BODY,
    HTTP_PHASE_WORK, /* the handler runs: no deadline */
    HTTP_PHASE_WRITE
};

struct http_connection {
    int fd;
    struct http_worker *worker; /* NULL: not assigned yet */
    struct http_client client;
    enum http_class class;
    struct http_tls *tls;      /* the credentials of its TLS session, or NULL */
    _Atomic uint64_t deadline; /* by cn_clock_nanoseconds; 0: none */
    _Atomic int phase;
    _Atomic uint64_t phase_began;
    atomic_size_t held;       /* bytes of memory that its request uses (request_memory.c) */
    atomic_size_t promised;   /* those of them that it has not allocated yet */
    atomic_bool half_arrived; /* half of the body that they were promised for has arrived */
    bool waited;              /* it waits for its first bytes; used by the acceptor only */
    _Atomic bool ended;       /* the client has sent its last byte */
    bool closing;             /* being closed to make room; guarded by the connections' mutex */
    size_t index;             /* its index in `active` */
    /* Used by its HTTP thread only: the received bytes, and how many of these heads the thread has
     * served. */
    struct http_intake intake;
    size_t heads;
    struct http_request request;
};

struct http_connections {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* signaled when a connection closes */
    struct http_connection **active;
    size_t count, capacity;
    size_t clients, admins; /* open connections by class */
    size_t closing;         /* clients' connections that are being closed because they were idle */
    struct http_connection **by_fd;
    size_t fd_capacity;
    size_t max, max_per_client, usual_workers;
};

/* Workers beyond `usual_workers` of a kind get connections only when those are full. */
enum cn_status http_connections_init(struct http_connections *connections, size_t max,
                                     size_t max_per_client, size_t usual_workers,
                                     struct cn_error *error);
void http_connections_clear(struct http_connections *connections);

/* HTTP_ROOM if one more connection is allowed; else the limit that forbids it. */
enum http_room {
    HTTP_ROOM = 0,
    HTTP_ROOM_ALL,    /* the limit is `max` */
    HTTP_ROOM_CLIENT, /* the limit is `max_per_client` */
    HTTP_ROOM_ADMIN,  /* the limit is HTTP_ADMIN_CONNECTIONS */
    HTTP_ROOM_MEMORY
};

/* Registers an accepted socket. Returns NULL unless *ret_room is HTTP_ROOM. */
struct http_connection *http_connections_add(struct http_connections *connections, int fd,
                                             const struct sockaddr *address, enum http_class class,
                                             enum http_room *ret_room);

/* Assigns the connection to the least loaded worker, which it returns; NULL if all are full. */
struct http_worker *http_connections_assign(struct http_connections *connections,
                                            struct http_connection *connection,
                                            struct http_worker *workers, size_t worker_count);

/* The number of connections of the client that this worker has. */
size_t http_connections_of(struct http_connections *connections, const struct http_worker *worker,
                           const struct http_client *client);

/* A connection without a worker, or NULL. */
struct http_connection *http_connections_unassigned(struct http_connections *connections);

/* Removes and frees a connection; its socket must be closed afterwards, not before. */
void http_connections_remove(struct http_connections *connections,
                             struct http_connection *connection);

/* True if bytes have arrived that nothing has read yet. */
bool http_has_unread(int fd);

/* The connection of a socket, or NULL. */
struct http_connection *http_connections_find(struct http_connections *connections, int fd);

#endif
