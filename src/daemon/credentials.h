/* credentials.h: the files that hold secrets: where they are, and handing what they hold to the
 * HTTP server, at start and again on reload. */
#ifndef CONVNET_DAEMON_CREDENTIALS_H
#define CONVNET_DAEMON_CREDENTIALS_H

#include "daemon/options.h"
#include "http/server.h"

/* Options that name such a file and are empty get the path of the service manager's credential of
 * that name, api-keys for api-keys-file, if it passed one ($CREDENTIALS_DIRECTORY). */
void credentials_find(struct daemon_options *options);

/* Reads the files and hands them to `server` (NULL: only checks them). After a failure the server
 * keeps all it had. */
enum cn_status credentials_load(const struct daemon_options *options, struct http_server *server,
                                struct cn_error *error);

#endif
