/* sandbox.h: what the daemon gives up: the files it does not read, before it has threads, and the
 * system calls it does not need, once it serves. With or without a service manager. */
#ifndef CONVNET_DAEMON_SANDBOX_H
#define CONVNET_DAEMON_SANDBOX_H

#include "daemon/options.h"

/* Before the first thread: leaves the files and folders that the options name (with those that
 * symbolic links on the way lead to, so that a link may be turned to a sibling), what the libraries
 * read, and the admin socket's folder. */
void sandbox_close_files(const struct daemon_options *options);

/* When the daemon serves: leaves the system calls that serving, reloading and ending take; then
 * says in one line of the log what holds. */
void sandbox_close_calls(const struct daemon_options *options);

#endif
