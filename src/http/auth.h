/* auth.h: may a request have a route? */
#ifndef CONVNET_HTTP_AUTH_H
#define CONVNET_HTTP_AUTH_H

#include "http/server_private.h"

/* True if the request may have the route; else it has been refused. */
bool http_authorize(struct http_request *request, const struct http_route *route);

#endif
