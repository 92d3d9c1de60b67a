/* auth.h: authorization of requests. */
#ifndef CONVNET_HTTP_AUTH_H
#define CONVNET_HTTP_AUTH_H

#include "http/server_private.h"

/* True if the request may use the route; else it has been answered with an error. */
bool http_authorize(struct http_request *request, const struct http_route *route);

#endif
