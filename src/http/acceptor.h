/* acceptor.h: the thread that accepts. */
#ifndef CONVNET_HTTP_ACCEPTOR_H
#define CONVNET_HTTP_ACCEPTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum { HTTP_MAX_LISTENERS = 8 };

struct http_server;

struct http_acceptor {
    int listeners[HTTP_MAX_LISTENERS];
    size_t listener_count;
    int wake;    /* eventfd */
    int reserve; /* given up to accept and refuse when descriptors run out */
    atomic_bool stop;
    pthread_t thread;
    bool running;
    uint64_t last_complaint; /* one log line in ten seconds */
};

/* Opens listening sockets at `addresses` (numeric, separated by commas). */
enum cn_status http_acceptor_listen(struct http_acceptor *acceptor, const char *addresses, int port,
                                    struct cn_error *error);
enum cn_status http_acceptor_start(struct http_acceptor *acceptor, struct http_server *server,
                                   struct cn_error *error);

/* Ends the thread and closes the listening sockets. */
void http_acceptor_stop(struct http_acceptor *acceptor);

#endif
