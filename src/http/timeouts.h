/* timeouts.h: deadlines of connections, and sockets that are drained before they are closed. */
#ifndef CONVNET_HTTP_TIMEOUTS_H
#define CONVNET_HTTP_TIMEOUTS_H

#include "base/budget.h"
#include "http/connections.h"

enum { HTTP_MAX_LINGERING = 64 };

struct http_timeouts {
    struct http_connections *connections;
    pthread_t thread;
    bool running;
    int wake;          /* eventfd */
    uint64_t shortest; /* of all timeouts, in nanoseconds */
    atomic_bool stop, draining;
    _Atomic uint64_t next_wake; /* the earliest deadline that the thread knows */
    pthread_mutex_t mutex;      /* guards lingering */
    struct {
        int fd;
        uint64_t deadline;
    } lingering[HTTP_MAX_LINGERING];
    size_t lingering_count;
};

enum cn_status http_timeouts_start(struct http_timeouts *timeouts,
                                   struct http_connections *connections, uint64_t shortest,
                                   struct cn_error *error);
void http_timeouts_stop(struct http_timeouts *timeouts);

/* The connection enters `phase`, which must end before `deadline` (0: no limit), and sooner if its
 * client has ended. */
void http_timeouts_phase(struct http_timeouts *timeouts, struct http_connection *connection,
                         enum http_phase phase, uint64_t deadline);

/* The client at `fd` has sent its last byte, so nothing more is expected from it. (libmicrohttpd
 * does not notice an end that arrives with the bytes before it.) Does nothing if the socket now
 * belongs to another connection. */
void http_timeouts_client_ended(struct http_timeouts *timeouts, int fd);

/* Takes ownership of `fd`, a socket whose request was answered but whose client may still send:
 * closing it at once would make the kernel reset the connection and lose the answer. */
void http_timeouts_linger(struct http_timeouts *timeouts, int fd);

/* While the server stops: cuts connections that wait for a request, and after a time all. */
void http_timeouts_drain(struct http_timeouts *timeouts, uint64_t head_deadline, uint64_t deadline);

#endif
