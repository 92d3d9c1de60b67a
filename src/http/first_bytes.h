/* first_bytes.h: accepted connections that wait for their first bytes. */
#ifndef CONVNET_HTTP_FIRST_BYTES_H
#define CONVNET_HTTP_FIRST_BYTES_H

#include "http/connections.h"

struct http_first_bytes {
    int epoll; /* readable when a waiting connection has sent something */
};

enum cn_status http_first_bytes_open(struct http_first_bytes *first_bytes, struct cn_error *error);
void http_first_bytes_close(struct http_first_bytes *first_bytes);

/* Adds a registered connection. It is assigned to an HTTP thread at once if its first bytes are
 * there, or, with `tls`, in any case, since encrypted bytes tell nothing. */
void http_first_bytes_add(struct http_server *server, struct http_connection *connection, bool tls);

/* Assigns connections whose first bytes have come to HTTP threads; forgets those that have ended.
 */
void http_first_bytes_tend(struct http_server *server);

/* Assigns all connections to HTTP threads, without waiting for first bytes any longer. */
void http_first_bytes_empty(struct http_server *server);

#endif
