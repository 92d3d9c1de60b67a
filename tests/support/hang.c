/* hang.c: an LD_PRELOAD library for the daemon's tests: while the file that HANG_WHILE names is
 * there, the compute thread does not get past asking whether a client still waits; only it asks so.
 * While the one that HANG_READ names is there, a file as large as a model is not read. Once the
 * thread is held, the file is renamed: .held is added to its name, and that is waited for.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);
ssize_t __read_chk(int fd, void *bytes, size_t count, size_t size);

/* Until the file is removed; at once if it is not there. */
static void hold(const char *gate) {
    char held[4096], event[sizeof(struct inotify_event) + 4096];
    const int removals = inotify_init1(IN_CLOEXEC);
    (void)snprintf(held, sizeof held, "%s.held", gate);
    (void)rename(gate, held);
    if (inotify_add_watch(removals, held, IN_DELETE_SELF) >= 0)
        while (read(removals, event, sizeof event) < 0 && errno == EINTR)
            continue;
    (void)close(removals);
}

static int ask(struct pollfd *fds, nfds_t count, int timeout) {
    int (*real)(struct pollfd *, nfds_t, int) = NULL;
    const char *gate = getenv("HANG_WHILE");
    *(void **)&real = dlsym(RTLD_NEXT, "poll");
    if (gate != NULL && count == 1 && timeout == 0 && fds->events == POLLRDHUP)
        hold(gate);
    return real(fds, count, timeout);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    return ask(fds, count, timeout);
}

static ssize_t read_slowly(int fd, void *bytes, size_t count) {
    ssize_t (*real)(int, void *, size_t) = NULL;
    const char *gate = getenv("HANG_READ");
    struct stat info;
    *(void **)&real = dlsym(RTLD_NEXT, "read");
    if (gate != NULL && access(gate, F_OK) == 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
        info.st_size > 100000)
        hold(gate);
    return real(fd, bytes, count);
}

ssize_t read(int fd, void *bytes, size_t count) {
    return read_slowly(fd, bytes, count);
}

ssize_t __read_chk(int fd, void *bytes, size_t count, size_t size) {
    (void)size;
    return read_slowly(fd, bytes, count);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    (void)size;
    return ask(fds, count, timeout);
}
