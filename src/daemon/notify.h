/* notify.h: the service manager, when there is one; nothing at all without libsystemd. */
#ifndef CONVNET_DAEMON_NOTIFY_H
#define CONVNET_DAEMON_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
void notify_alive(void);

/* Nanoseconds within which the manager wants a sign of life; 0: it does not. */
uint64_t notify_watchdog(void);

/* Listening sockets that were passed to the process; at most `room`. They belong to the caller. */
size_t notify_listeners(int *ret_fds, size_t room);

#endif
