/* listeners.h: the sockets that a server listens at. */
#ifndef CONVNET_HTTP_LISTENERS_H
#define CONVNET_HTTP_LISTENERS_H

#include "http/server_private.h"

/* Opens what the options name, or takes what they pass. */
enum cn_status http_server_open_listeners(struct http_server *server, struct cn_error *error);

#endif
