/* sandbox.h: restricts the daemon: before it has threads, to the files that it reads; once it
 * serves, to the system calls that it needs. Works with and without a service manager. */
#ifndef CONVNET_DAEMON_SANDBOX_H
#define CONVNET_DAEMON_SANDBOX_H

#include "daemon/options.h"

/* Call before the first thread starts. Keeps access to the files and folders that the options name
 * (with those that symbolic links on the way lead to, so that a link may be changed to a sibling),
 * to the files that libraries read, and to the admin socket's folder; removes all other access. */
void sandbox_close_files(const struct daemon_options *options);

/* Call when the daemon serves. Keeps the system calls that serving, reloading and ending need,
 * removes all others, and logs one line that says which restrictions hold. */
void sandbox_close_calls(const struct daemon_options *options);

#endif
