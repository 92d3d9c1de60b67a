/* reception.h: where accepted connections wait for their first bytes. */
#ifndef CONVNET_HTTP_RECEPTION_H
#define CONVNET_HTTP_RECEPTION_H

#include "http/connections.h"

struct http_reception {
    int epoll; /* readable when somebody who waits here has something to say */
};

enum cn_status http_reception_open(struct http_reception *reception, struct cn_error *error);
void http_reception_close(struct http_reception *reception);

/* Takes a registered connection, which goes to an HTTP thread at once if its first bytes are there,
 * or if they tell nothing: `tls`. */
void http_reception_add(struct http_server *server, struct http_connection *connection, bool tls);

/* Sends those to their HTTP threads whose first bytes have come; forgets those that have gone. */
void http_reception_tend(struct http_server *server);

/* Sends everybody to an HTTP thread: nobody tends the reception any more. */
void http_reception_empty(struct http_server *server);

#endif
