/* listen.c: the listening sockets: opens them or takes those that systemd passed, and describes
 * them. The admin socket is never open to other users, not even while it is made, and is removed
 * only if it is still this server's. It accepts nothing. Used by the owner's thread, before others
 * start and after all have ended. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/address.h"
#include "http/server_private.h"

/* ---- TCP ---- */

/* Opens a socket that is bound to the address. */
static enum cn_status bind_socket(const struct http_address *address, int *ret_fd,
                                  struct cn_error *error) {
    const bool v6 = address->socket.ss_family == AF_INET6;
    const struct sockaddr *place = (const void *)&address->socket;
    const int on = 1,
              port = ntohs(v6 ? ((const struct sockaddr_in6 *)(const void *)place)->sin6_port
                              : ((const struct sockaddr_in *)(const void *)place)->sin_port);
    const int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cn_fail(error, CN_IO, "cannot open a socket for %s: %s", address->text,
                       strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (v6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, place, address->length) == 0) {
        *ret_fd = fd;
        return CN_OK;
    }
    if (errno == EADDRINUSE)
        (void)cn_fail(error, CN_IO, "port %d of %s is in use by another program", port,
                      address->text);
    else
        (void)cn_fail(error, CN_IO, "cannot listen at %s port %d: %s", address->text, port,
                      strerror(errno));
    (void)close(fd);
    return CN_IO;
}

static enum cn_status listener_add(struct http_acceptor *acceptor, struct http_listener listener,
                                   struct cn_error *error) {
    if (acceptor->listener_count == HTTP_MAX_LISTENERS)
        return cn_fail(error, CN_LIMIT, "there are more than %d listening sockets",
                       HTTP_MAX_LISTENERS);
    acceptor->listeners[acceptor->listener_count++] = listener;
    return CN_OK;
}

static enum cn_status listen_at(struct http_acceptor *acceptor, const struct http_address *address,
                                bool tls, struct cn_error *error) {
    struct http_listener listener = {.fd = -1, .tls = tls};
    enum cn_status status = bind_socket(address, &listener.fd, error);
    if (status != CN_OK)
        return status;
    status = listen(listener.fd, SOMAXCONN) == 0
                 ? listener_add(acceptor, listener, error)
                 : cn_fail(error, CN_IO, "cannot listen at %s: %s", address->text, strerror(errno));
    if (status != CN_OK)
        (void)close(listener.fd);
    return status;
}

static enum cn_status listen_at_addresses(struct http_acceptor *acceptor, const char *addresses,
                                          int port, bool tls, struct cn_error *error) {
    struct http_address list[HTTP_MAX_ADDRESSES];
    size_t count;
    enum cn_status status =
        http_addresses_read(tls ? "tls-address" : "address", addresses, port, list, &count, error);
    for (size_t i = 0; i < count && status == CN_OK; i++)
        status = listen_at(acceptor, &list[i], tls, error);
    return status;
}

/* Checks that the addresses can be bound, even if their ports are in use now. */
static enum cn_status check_addresses(const char *option, const char *addresses,
                                      struct cn_error *error) {
    struct http_address list[HTTP_MAX_ADDRESSES];
    size_t count;
    enum cn_status status = http_addresses_read(option, addresses, 0, list, &count, error);
    for (size_t i = 0; i < count && status == CN_OK; i++) {
        struct cn_error fault = {0};
        int fd = -1;
        if (bind_socket(&list[i], &fd, &fault) != CN_OK)
            return cn_fail(error, fault.status, "%s: %s", option, fault.text);
        (void)close(fd);
    }
    return status;
}

/* ---- The admin socket ---- */

/* Checks that nothing is at the path, or a socket on which no server listens. */
static enum cn_status check_place(const struct sockaddr_un *address, struct cn_error *error) {
    const char *path = address->sun_path;
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT ? CN_OK
                               : cn_fail(error, CN_IO, "cannot stat admin-socket %s: %s", path,
                                         strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return cn_fail(error, CN_INVALID, "admin-socket %s exists and is not a socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cn_fail(error, CN_IO, "cannot open a unix socket: %s", strerror(errno));
    const bool served = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                        errno == EAGAIN || errno == EINPROGRESS;
    (void)close(fd);
    return served ? cn_fail(error, CN_IO, "admin-socket %s is in use by another program", path)
                  : CN_OK;
}

/* Binds under a temporary name, with the right mode from the beginning, and renames it to the path.
 */
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

/* Checks that the path can be a socket's, in a folder that exists. */
static enum cn_status check_path(const char *path, struct sockaddr_un *ret_address,
                                 struct cn_error *error) {
    char folder[sizeof ret_address->sun_path];
    struct stat status;
    if (path[0] != '/' || strlen(path) >= sizeof folder)
        return cn_fail(error, CN_INVALID,
                       "admin-socket %.120s must be a path from the root of at most %zu bytes",
                       path, sizeof folder - 1);
    memcpy(folder, path, strlen(path) + 1);
    *(strrchr(folder, '/') + 1) = '\0';
    if (stat(folder, &status) != 0)
        return cn_fail(error, CN_IO, "admin-socket %s: cannot stat its folder %s: %s", path, folder,
                       strerror(errno));
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, strlen(path) + 1);
    return CN_OK;
}

static enum cn_status listen_at_path(struct http_acceptor *acceptor, const char *path,
                                     struct cn_error *error) {
    struct sockaddr_un address;
    struct stat status;
    enum cn_status result = check_path(path, &address, error);
    if (result == CN_OK)
        result = check_place(&address, error);
    if (result != CN_OK)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return cn_fail(error, CN_IO, "cannot open a unix socket: %s", strerror(errno));
    result = bind_there(fd, &address, error);
    if (result == CN_OK)
        result = listener_add(acceptor, (struct http_listener){.fd = fd, .class = HTTP_CLASS_ADMIN},
                              error);
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

void http_listen_unlink(struct http_acceptor *acceptor) {
    struct stat status;
    /* A successor may have made its own socket there already. */
    if (acceptor->unix_path[0] != '\0' && lstat(acceptor->unix_path, &status) == 0 &&
        status.st_dev == acceptor->unix_device && status.st_ino == acceptor->unix_inode)
        (void)unlink(acceptor->unix_path);
    acceptor->unix_path[0] = '\0';
}

/* ---- Choice and description ---- */

/* Takes the sockets that were passed; closes those that cannot be used. */
static enum cn_status take_passed(struct http_server *server, bool passed[static 2],
                                  struct cn_error *error) {
    const struct http_server_options *options = &server->options;
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < options->listener_count; i++) {
        const struct http_listener listener = options->listeners[i];
        if (status == CN_OK && listener.tls && !options->tls)
            status = cn_fail(error, CN_INVALID,
                             "a listening socket for TLS was passed, and there is no "
                             "tls-certificate for it");
        if (status == CN_OK)
            status = listener_add(&server->acceptor, listener, error);
        if (status != CN_OK)
            (void)close(listener.fd);
        passed[listener.class == HTTP_CLASS_ADMIN] = true;
    }
    return status;
}

enum cn_status http_listen_open(struct http_server *server, struct cn_error *error) {
    const struct http_server_options *options = &server->options;
    struct http_acceptor *acceptor = &server->acceptor;
    bool passed[2] = {false, false};
    enum cn_status status = take_passed(server, passed, error);
    if (status == CN_OK && !passed[0] && options->addresses[0] != '\0')
        status = listen_at_addresses(acceptor, options->addresses, options->port, false, error);
    if (status == CN_OK && !passed[0] && options->tls && options->tls_addresses[0] != '\0')
        status =
            listen_at_addresses(acceptor, options->tls_addresses, options->tls_port, true, error);
    if (status == CN_OK && !passed[1] && options->admin_socket[0] != '\0')
        status = listen_at_path(acceptor, options->admin_socket, error);
    if (status == CN_OK && acceptor->listener_count == 0)
        status = cn_fail(error, CN_INVALID, "there is no address to listen at");
    return status;
}

enum cn_status http_listen_check(const struct http_server_options *options,
                                 struct cn_error *error) {
    struct sockaddr_un address;
    struct stat place;
    enum cn_status status = check_addresses("address", options->addresses, error);
    if (status == CN_OK && options->tls)
        status = check_addresses("tls-address", options->tls_addresses, error);
    if (status != CN_OK || options->admin_socket[0] == '\0')
        return status;
    status = check_path(options->admin_socket, &address, error);
    if (status == CN_OK && lstat(address.sun_path, &place) == 0 && !S_ISSOCK(place.st_mode))
        status = cn_fail(error, CN_INVALID, "admin-socket %s exists and is not a socket",
                         address.sun_path);
    return status;
}

/* "127.0.0.1:8080", "[::1]:8080", "[fe80::1%eth0]:8080" or a path. */
static void describe_address(const struct sockaddr_storage *address, socklen_t length, char *text,
                             size_t size) {
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    if (address->ss_family == AF_UNIX) {
        const struct sockaddr_un *local = (const void *)address;
        (void)snprintf(text, size, "%s",
                       local->sun_path[0] != '\0' ? local->sun_path : "(unnamed)");
        return;
    }
    (void)getnameinfo((const struct sockaddr *)address, length, host, sizeof host, port,
                      sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(text, size, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

void http_server_describe(const struct http_server *server, char *text, size_t size) {
    const struct http_acceptor *acceptor = &server->acceptor;
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < acceptor->listener_count && used < size; i++) {
        const struct http_listener *listener = &acceptor->listeners[i];
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address - 1; /* a path may be without a final NUL */
        char where[160] = "?";
        const char *scheme = listener->class == HTTP_CLASS_ADMIN ? "admin:"
                             : listener->tls                     ? "https://"
                                                                 : "http://";
        if (acceptor->unix_path[0] != '\0' && listener->class == HTTP_CLASS_ADMIN)
            (void)snprintf(where, sizeof where, "%s", acceptor->unix_path);
        else if (getsockname(listener->fd, (struct sockaddr *)&address, &length) == 0)
            describe_address(&address, length, where, sizeof where);
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s%s", i > 0 ? " " : "", scheme, where);
    }
}

bool http_server_is_exposed(const struct http_server *server, bool tls) {
    for (size_t i = 0; i < server->acceptor.listener_count; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        const struct http_listener *listener = &server->acceptor.listeners[i];
        if ((tls || !listener->tls) &&
            getsockname(listener->fd, (struct sockaddr *)&address, &length) == 0 &&
            !http_address_is_loopback(&address))
            return true;
    }
    return false;
}
