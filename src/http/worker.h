/* worker.h: one HTTP thread: a libmicrohttpd daemon without a listening socket. */
#ifndef CONVNET_HTTP_WORKER_H
#define CONVNET_HTTP_WORKER_H

#include "http/connections.h"

/* Asked of a socket at once, at most: half of what libmicrohttpd's buffers hold. */
enum { HTTP_INTAKE_BYTES = 16 * 1024 };

struct http_worker {
    struct http_server *server;
    bool tls;
    struct MHD_Daemon *daemon;
    size_t load; /* clients' sockets; guarded by the connections' mutex */
    /* The HTTP thread's own. */
    unsigned char *spare; /* a body's buffer between two requests */
    size_t spare_size;
    char *intake_bytes; /* what has just been received (intake.c) */
    size_t intake_size;
    struct http_connection **by_fd; /* whose bytes are read there */
    size_t by_fd_size;
};

enum cn_status http_worker_start(struct http_worker *worker, struct http_server *server,
                                 struct cn_error *error);

/* Hands an accepted, registered socket to the thread, which closes it in the end. */
void http_worker_take(struct http_worker *worker, int fd, const struct sockaddr *address,
                      socklen_t length);

/* Ends the thread; no exchange may be deferred. */
void http_worker_stop(struct http_worker *worker);

#endif
