/* intake.h: every byte of a client passes stream.c before libmicrohttpd sees it. */
#ifndef CONVNET_HTTP_INTAKE_H
#define CONVNET_HTTP_INTAKE_H

#include "http/stream.h"

struct http_connection;
struct http_worker;

/* One per connection, used by its HTTP thread only. */
struct http_intake {
    struct http_stream stream;
    char *held; /* received bytes that wait for more bytes, or for room */
    size_t held_length, held_capacity;
};

/* Called on the worker's thread: what it receives from the connection's socket is checked from now
 * on. */
void http_intake_begin(struct http_worker *worker, struct http_connection *peer);
void http_intake_end(struct http_worker *worker, struct http_connection *peer);

/* Frees what the intake owns. */
void http_intake_clear(struct http_intake *intake);

/* Frees what the worker's intakes share. */
void http_intake_stop(struct http_worker *worker);

/* True if an incomplete request has begun to arrive. */
bool http_intake_has_begun(const struct http_intake *intake);

#endif
