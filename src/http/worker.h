/* worker.h: one HTTP thread: a libmicrohttpd daemon without a listening socket. */
#ifndef CONVNET_HTTP_WORKER_H
#define CONVNET_HTTP_WORKER_H

#include "http/connections.h"

/* The most bytes received at once: half of libmicrohttpd's buffer. */
enum { HTTP_INTAKE_BYTES = 16 * 1024 };

struct http_worker {
    struct http_server *server;
    bool tls;
    struct MHD_Daemon *daemon;
    size_t load; /* number of clients' sockets; guarded by the connections' mutex */
    /* Used by the HTTP thread only. */
    unsigned char *spare; /* a body's buffer, kept between requests */
    size_t spare_size;
    char *intake_bytes; /* the bytes received last (intake.c) */
    size_t intake_size;
    struct http_connection **by_fd; /* the connections that are read there */
    size_t by_fd_size;
};

enum cn_status http_worker_start(struct http_worker *worker, struct http_server *server,
                                 struct cn_error *error);

/* Passes an accepted, registered socket to the thread, which will close it. */
void http_worker_take(struct http_worker *worker, int fd, const struct sockaddr *address,
                      socklen_t length);

/* Ends the thread; no exchange may be deferred. */
void http_worker_stop(struct http_worker *worker);

#endif
