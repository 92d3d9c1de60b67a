/* credentials.h: the files that hold secrets: finds them, and passes their contents to the HTTP
 * server at start and at each reload. */
#ifndef CONVNET_DAEMON_CREDENTIALS_H
#define CONVNET_DAEMON_CREDENTIALS_H

#include "daemon/options.h"
#include "http/server.h"

/* Sets each empty option for such a file to the path of the service manager's credential of that
 * name (api-keys for api-keys-file), if $CREDENTIALS_DIRECTORY has one. */
void credentials_find(struct daemon_options *options);

/* The same for one credential, `name`, in the file `path`. */
void credentials_take(struct daemon_options *options, const char *name, const char *path);

/* Reads the files and passes them to `server` (NULL: only checks them). After a failure the server
 * keeps what it had. */
enum cn_status credentials_load(const struct daemon_options *options, struct http_server *server,
                                struct cn_error *error);

#endif
