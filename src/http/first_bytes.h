/* first_bytes.h: where accepted connections wait for their first bytes. */
#ifndef CONVNET_HTTP_FIRST_BYTES_H
#define CONVNET_HTTP_FIRST_BYTES_H

#include "http/connections.h"

struct http_first_bytes {
    int epoll; /* readable when somebody who waits here has something to say */
};

enum cn_status http_first_bytes_open(struct http_first_bytes *first_bytes, struct cn_error *error);
void http_first_bytes_close(struct http_first_bytes *first_bytes);

/* Takes a registered connection, which goes to an HTTP thread at once if its first bytes are there,
 * or if they tell nothing: `tls`. */
void http_first_bytes_add(struct http_server *server, struct http_connection *connection, bool tls);

/* Sends those to their HTTP threads whose first bytes have come; forgets those that have gone. */
void http_first_bytes_tend(struct http_server *server);

/* Sends everybody to an HTTP thread: nobody looks at first bytes any more. */
void http_first_bytes_empty(struct http_server *server);

#endif
