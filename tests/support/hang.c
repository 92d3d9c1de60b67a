/* hang.c: an LD_PRELOAD library for the daemon's tests: while the file that HANG_WHILE names is
 * there, the compute thread does not get past asking whether a client still waits; only it asks so.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);

static int ask(struct pollfd *fds, nfds_t count, int timeout) {
    int (*real)(struct pollfd *, nfds_t, int) = NULL;
    const char *gate = getenv("HANG_WHILE");
    *(void **)&real = dlsym(RTLD_NEXT, "poll");
    while (gate != NULL && count == 1 && timeout == 0 && fds->events == POLLRDHUP &&
           access(gate, F_OK) == 0)
        (void)nanosleep(&(struct timespec){0, 1000000}, NULL);
    return real(fds, count, timeout);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    return ask(fds, count, timeout);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    (void)size;
    return ask(fds, count, timeout);
}
