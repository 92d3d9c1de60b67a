/* listen.h: the sockets that a server listens at. What is said of them is in server.h. */
#ifndef CONVNET_HTTP_LISTEN_H
#define CONVNET_HTTP_LISTEN_H

#include "convnet/status.h"

struct http_acceptor;
struct http_server;
struct http_server_options;

/* Could the options' addresses be listened at, and the admin socket be made? Ports that another
 * program has, such as the daemon that runs, are no fault. Opens nothing that stays. */
enum cn_status http_listen_check(const struct http_server_options *options, struct cn_error *error);

/* Opens what the options name, or takes what they pass. */
enum cn_status http_listen_open(struct http_server *server, struct cn_error *error);

/* Removes the admin socket from its folder, if one was made and is still ours. */
void http_listen_unlink(struct http_acceptor *acceptor);

#endif
