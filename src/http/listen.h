/* listen.h: the listening sockets of a server. server.h describes them. */
#ifndef CONVNET_HTTP_LISTEN_H
#define CONVNET_HTTP_LISTEN_H

#include "convnet/status.h"

struct http_acceptor;
struct http_server;
struct http_server_options;

/* Checks that the options' addresses can be bound and the admin socket be made. A port that another
 * program uses, such as the running daemon, is no fault. Leaves nothing open. */
enum cn_status http_listen_check(const struct http_server_options *options, struct cn_error *error);

/* Opens the sockets that the options name, or takes those that they pass. */
enum cn_status http_listen_open(struct http_server *server, struct cn_error *error);

/* Removes the admin socket from its folder, if this server made it and it is still the same. */
void http_listen_unlink(struct http_acceptor *acceptor);

#endif
