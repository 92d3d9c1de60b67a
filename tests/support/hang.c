/* hang.c: an LD_PRELOAD library for the daemon's tests, which holds threads. While the file that
 * HANG_WHILE names exists, the compute thread is held when it asks whether a client is still
 * waiting; no other thread asks that. While the file that HANG_READ names exists, a thread that
 * reads a file as large as a model is held. Once a thread is held, the file is renamed to its name
 * with .held added, and the thread waits until that is removed. */
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
ssize_t __pread_chk(int fd, void *bytes, size_t count, off_t offset, size_t size);
ssize_t __pread64_chk(int fd, void *bytes, size_t count, off_t offset, size_t size);

/* Waits until the file is removed; returns at once if it does not exist. */
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

static ssize_t read_slowly(int fd, void *bytes, size_t count, off_t offset) {
    ssize_t (*real)(int, void *, size_t, off_t) = NULL;
    const char *gate = getenv("HANG_READ");
    struct stat info;
    *(void **)&real = dlsym(RTLD_NEXT, "pread");
    if (gate != NULL && access(gate, F_OK) == 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
        info.st_size > 100000)
        hold(gate);
    return real(fd, bytes, count, offset);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset) {
    return read_slowly(fd, bytes, count, offset);
}

ssize_t pread64(int fd, void *bytes, size_t count, off_t offset) {
    return read_slowly(fd, bytes, count, offset);
}

ssize_t __pread_chk(int fd, void *bytes, size_t count, off_t offset, size_t size) {
    (void)size;
    return read_slowly(fd, bytes, count, offset);
}

ssize_t __pread64_chk(int fd, void *bytes, size_t count, off_t offset, size_t size) {
    (void)size;
    return read_slowly(fd, bytes, count, offset);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    (void)size;
    return ask(fds, count, timeout);
}
