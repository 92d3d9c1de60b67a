/* notify.h: the service manager, when there is one; nothing at all without libsystemd. */
#ifndef CONVNET_DAEMON_NOTIFY_H
#define CONVNET_DAEMON_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include "http/server.h"

void notify_ready(const char *status);
/* What is shown of the daemon, while it is ready. */
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

/* Nanoseconds within which the manager wants a sign of life; 0: it does not. */
uint64_t notify_watchdog(void);

/* Listening sockets that were passed to the process; at most `room`. They belong to the caller.
 * Their names (FileDescriptorName=) say what they are for: "admin" and "https", anything else is
 * HTTP. */
size_t notify_listeners(struct http_listener *ret_listeners, size_t room);

#endif
