/* timeouts.h: deadlines of connections, and sockets that are read empty before they are closed. */
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
    uint64_t shortest; /* of the timeouts, nanoseconds */
    atomic_bool stop;
    struct cn_budget *budget; /* NULL: none */
    atomic_int trims;   /* so often freed memory is to be given back, once most of it is free */
    uint64_t next_trim; /* not before */
    _Atomic uint64_t next_wake; /* the earliest deadline the thread knows of */
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

/* The connection enters `phase`, which must end before `deadline` (0: no limit), and soon if its
 * client has ended. */
void http_timeouts_phase(struct http_timeouts *timeouts, struct http_connection *connection,
                         enum http_phase phase, uint64_t deadline);

/* The client at `fd` has sent its last byte: it is not waited for any more. libmicrohttpd does not
 * notice an end that came together with the bytes before it. Nothing if the socket is another's by
 * now. */
void http_timeouts_client_ended(struct http_timeouts *timeouts, int fd);

/* Much memory is held: it is given back to the system soon after it has been freed. */
void http_timeouts_trim_later(struct http_timeouts *timeouts);

/* Takes ownership of `fd`, a socket that was answered but still may send: closing it at once would
 * make the kernel reset the connection and the answer be lost. */
void http_timeouts_linger(struct http_timeouts *timeouts, int fd);

/* Draining: cuts connections that wait for a request, and sooner or later all. */
void http_timeouts_drain(struct http_timeouts *timeouts, uint64_t head_deadline, uint64_t deadline);

#endif
