/* listen_unix.c: the admin socket: made so that nobody else can open it at any moment, removed only
 * if it is still ours. Accepts nothing. Used before any thread starts and after all have ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/acceptor.h"

/* What stands at the path must be nothing, or a socket that nobody serves. */
static enum cn_status check_place(const struct sockaddr_un *address, struct cn_error *error) {
    const char *path = address->sun_path;
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? CN_OK
                               : cn_fail(error, CN_IO, "cannot look at admin-socket %s: %s", path,
                                         strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return cn_fail(error, CN_INVALID, "admin-socket %s exists and is no socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cn_fail(error, CN_IO, "cannot open a unix socket: %s", strerror(errno));
    const bool served = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                        errno == EAGAIN || errno == EINPROGRESS;
    (void)close(fd);
    return served ? cn_fail(error, CN_IO, "admin-socket %s is in use by another program", path)
                  : CN_OK;
}

/* Bound under another name, with its mode from the beginning, and renamed over what was there. */
static enum cn_status bind_there(int fd, const struct sockaddr_un *address,
                                 struct cn_error *error) {
    struct sockaddr_un temporary = {.sun_family = AF_UNIX};
    const int length = snprintf(temporary.sun_path, sizeof temporary.sun_path, "%s.%ld",
                                address->sun_path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary.sun_path)
        return cn_fail(error, CN_INVALID, "admin-socket %s is too long for a unix socket",
                       address->sun_path);
    (void)unlink(temporary.sun_path);
    const mode_t mask = umask(0177);
    const int bound = bind(fd, (const struct sockaddr *)&temporary, sizeof temporary);
    const int failed = errno;
    umask(mask);
    if (bound != 0)
        return cn_fail(error, CN_IO, "cannot make admin-socket %s: %s", address->sun_path,
                       strerror(failed));
    if (listen(fd, SOMAXCONN) == 0 && rename(temporary.sun_path, address->sun_path) == 0)
        return CN_OK;
    cn_fail(error, CN_IO, "cannot listen at admin-socket %s: %s", address->sun_path,
            strerror(errno));
    (void)unlink(temporary.sun_path);
    return CN_IO;
}

enum cn_status http_acceptor_listen_unix(struct http_acceptor *acceptor, const char *path,
                                         struct cn_error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    if (path[0] != '/' || strlen(path) >= sizeof address.sun_path)
        return cn_fail(error, CN_INVALID,
                       "admin-socket %.120s must be a path from the root of at most %zu bytes",
                       path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    enum cn_status result = check_place(&address, error);
    if (result != CN_OK)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cn_fail(error, CN_IO, "cannot open a unix socket: %s", strerror(errno));
    result = bind_there(fd, &address, error);
    if (result == CN_OK)
        result = http_acceptor_add(
            acceptor, (struct http_listener){.fd = fd, .class = HTTP_CLASS_ADMIN}, error);
    if (result != CN_OK) {
        (void)close(fd);
        return result;
    }
    if (lstat(path, &status) == 0) {
        memcpy(acceptor->unix_path, path, strlen(path) + 1);
        acceptor->unix_device = status.st_dev;
        acceptor->unix_inode = status.st_ino;
    }
    return CN_OK;
}

void http_acceptor_unlink(struct http_acceptor *acceptor) {
    struct stat status;
    /* A successor may have put its own there already. */
    if (acceptor->unix_path[0] != '\0' && lstat(acceptor->unix_path, &status) == 0 &&
        status.st_dev == acceptor->unix_device && status.st_ino == acceptor->unix_inode)
        (void)unlink(acceptor->unix_path);
    acceptor->unix_path[0] = '\0';
}
