/* notify.h: messages to and from the service manager; without libsystemd they do nothing. */
#ifndef CONVNET_DAEMON_NOTIFY_H
#define CONVNET_DAEMON_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include "http/server.h"

void notify_ready(const char *status);
/* Sets the status text that the manager shows while the daemon is ready. */
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

/* The watchdog's interval in nanoseconds; 0: no watchdog. */
uint64_t notify_watchdog(void);

/* The listening sockets that were passed to the process, at most `room`. The caller owns them.
 * Their names (FileDescriptorName=) tell their purpose: "admin" and "https"; any other name is
 * HTTP. */
size_t notify_listeners(struct http_listener *ret_listeners, size_t room);

#endif
