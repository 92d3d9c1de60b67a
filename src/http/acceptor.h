/* acceptor.h: the thread that accepts. */
#ifndef CONVNET_HTTP_ACCEPTOR_H
#define CONVNET_HTTP_ACCEPTOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/atomics.h"
#include "http/address.h"
#include "http/connections.h"
#include "http/server.h"

enum {
    HTTP_MAX_LISTENERS = 2 * HTTP_MAX_ADDRESSES + 1, /* plain, TLS and the admin socket */
    HTTP_UNIX_PATH = 108
};

struct http_acceptor {
    struct http_listener listeners[HTTP_MAX_LISTENERS];
    size_t listener_count;
    char unix_path[HTTP_UNIX_PATH]; /* path of the admin socket, if it was made here; else "" */
    dev_t unix_device;
    ino_t unix_inode;
    int wake;    /* eventfd */
    int reserve; /* a spare descriptor, closed to accept and refuse when there are none left */
    atomic_bool stop;
    pthread_t thread;
    bool running;
    uint64_t last_logged; /* for the limit of one log line per ten seconds */
};

enum cn_status http_acceptor_start(struct http_acceptor *acceptor, struct http_server *server,
                                   struct cn_error *error);

/* Ends the thread and closes the listening sockets. */
void http_acceptor_stop(struct http_acceptor *acceptor);

#endif
