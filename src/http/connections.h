/* connections.h: the sockets that are open now: limits, loads, deadlines. */
#ifndef CONVNET_HTTP_CONNECTIONS_H
#define CONVNET_HTTP_CONNECTIONS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "http/intake.h"
#include "http/request.h"
#include "http/server.h"

/* Clients' sockets of one HTTP thread. libmicrohttpd 0.9.75 stalls a thread whose epoll returns
 * exactly 128 ready descriptors: with the thread's own and a request of ours none gets there. */
enum { HTTP_WORKER_CONNECTIONS = 120 };

/* Connections on the admin socket, besides the clients': a flood of clients cannot lock it. */
enum { HTTP_ADMIN_CONNECTIONS = 8 };

/* A client for the limit: an IPv4 address or an IPv6 /64; all zero: not limited. */
struct http_client {
    unsigned char bytes[9];
};

enum http_phase {
    HTTP_PHASE_HEAD = 0, /* a request's head is awaited: the first, or one that has begun */
    HTTP_PHASE_IDLE,     /* between two requests */
    HTTP_PHASE_BODY,
    HTTP_PHASE_WORK, /* the handler has it: no deadline here */
    HTTP_PHASE_WRITE
};

struct http_connection {
    int fd;
    struct http_worker *worker; /* NULL: it waits for one */
    struct http_client client;
    enum http_class class;
    struct http_tls *tls;      /* what its session uses, or NULL */
    _Atomic uint64_t deadline; /* cn_clock_nanoseconds; 0: none */
    _Atomic int phase;
    _Atomic uint64_t phase_began;
    atomic_size_t held; /* bytes of memory that its request holds (hold.c) */
    bool waited;        /* waiting for its first bytes; the acceptor's own */
    _Atomic bool ended; /* its client has sent its last byte */
    bool closing;       /* shut down to make room; guarded by the connections' mutex */
    size_t index;       /* in `active` */
    /* Its HTTP thread's own: what it sends, and how many heads of these the thread has served. */
    struct http_intake intake;
    size_t heads;
    struct http_request request;
};

struct http_connections {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a connection closed */
    struct http_connection **active;
    size_t count, capacity;
    size_t clients, admins; /* of these, by class */
    size_t closing;         /* of the clients: shut down because they were idle */
    size_t peak;            /* the most at once, since memory was given back */
    struct http_connection **by_fd;
    size_t fd_capacity;
    size_t max, max_per_client, usual_workers;
};

/* More than `usual_workers` of a kind get connections only when those have all they may hold. */
enum cn_status http_connections_init(struct http_connections *connections, size_t max,
                                     size_t max_per_client, size_t usual_workers,
                                     struct cn_error *error);
void http_connections_clear(struct http_connections *connections);

/* Registers an accepted socket. Returns NULL over a limit or without memory. */
struct http_connection *http_connections_add(struct http_connections *connections, int fd,
                                             const struct sockaddr *address, enum http_class class);

/* Makes it the least loaded worker's, which is returned; NULL if all are full. */
struct http_worker *http_connections_assign(struct http_connections *connections,
                                            struct http_connection *connection,
                                            struct http_worker *workers, size_t worker_count);

/* The client's connections that this worker has. */
size_t http_connections_of(struct http_connections *connections, const struct http_worker *worker,
                           const struct http_client *client);

/* One that has no worker, or NULL. */
struct http_connection *http_connections_unassigned(struct http_connections *connections);

/* Forgets and frees a connection; its socket may be closed afterwards, not before. True when a
 * crowd has gone with it. */
bool http_connections_remove(struct http_connections *connections,
                             struct http_connection *connection);

/* The registered connection of a socket, or NULL. */
struct http_connection *http_connections_find(struct http_connections *connections, int fd);

#endif
