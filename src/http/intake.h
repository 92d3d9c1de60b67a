/* intake.h: every byte of a client passes stream.c before libmicrohttpd sees it. */
#ifndef CONVNET_HTTP_INTAKE_H
#define CONVNET_HTTP_INTAKE_H

#include "http/stream.h"

struct http_connection;
struct http_worker;

/* One for each connection, its HTTP thread's own. */
struct http_intake {
    struct http_stream stream;
    char *held; /* what has come and waits for more, or for room */
    size_t held_length, held_capacity;
};

/* On the worker's thread: from now on what it receives from the connection's socket is read first.
 */
void http_intake_begin(struct http_worker *worker, struct http_connection *peer);
void http_intake_end(struct http_worker *worker, struct http_connection *peer);

/* Releases what the intake holds. */
void http_intake_clear(struct http_intake *intake);

/* Releases what the worker's intakes share. */
void http_intake_stop(struct http_worker *worker);

/* True if the beginning of a request has come that is not whole yet. */
bool http_intake_has_begun(const struct http_intake *intake);

#endif
