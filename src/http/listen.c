/* listen.c: opens the listening sockets. Accepts nothing. Used before any thread starts. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/acceptor.h"

static enum cn_status open_one(const char *address, int port, int *ret_fd, struct cn_error *error) {
    char service[16];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    (void)snprintf(service, sizeof service, "%d", port);
    int result = getaddrinfo(address, service, &hints, &info);
    if (result != 0)
        return cn_fail(error, CN_INVALID, "address '%s' must be a numeric IPv4 or IPv6 address: %s",
                       address, gai_strerror(result));
    enum cn_status status = CN_OK;
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        status = cn_fail(error, CN_IO, "cannot open a socket for %s: %s", address, strerror(errno));
        goto out;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        if (errno == EADDRINUSE)
            status =
                cn_fail(error, CN_IO, "port %d of %s is in use by another program", port, address);
        else
            status = cn_fail(error, CN_IO, "cannot listen at %s port %d: %s", address, port,
                             strerror(errno));
        close(fd);
        goto out;
    }
    *ret_fd = fd;
out:
    freeaddrinfo(info);
    return status;
}

enum cn_status http_acceptor_add(struct http_acceptor *acceptor, struct http_listener listener,
                                 struct cn_error *error) {
    if (acceptor->listener_count == HTTP_MAX_LISTENERS)
        return cn_fail(error, CN_LIMIT, "there are more than %d listening sockets",
                       HTTP_MAX_LISTENERS);
    acceptor->listeners[acceptor->listener_count++] = listener;
    return CN_OK;
}

static enum cn_status listen_at(struct http_acceptor *acceptor, const char *address, int port,
                                bool tls, struct cn_error *error) {
    struct http_listener listener = {.fd = -1, .tls = tls};
    enum cn_status status = open_one(address, port, &listener.fd, error);
    if (status != CN_OK)
        return status;
    status = http_acceptor_add(acceptor, listener, error);
    if (status != CN_OK)
        close(listener.fd);
    return status;
}

enum cn_status http_acceptor_listen(struct http_acceptor *acceptor, const char *addresses, int port,
                                    bool tls, struct cn_error *error) {
    const char *from = addresses;
    for (;;) {
        char address[64];
        from += strspn(from, " ");
        size_t length = strcspn(from, ", ");
        if (length >= sizeof address)
            return cn_fail(error, CN_INVALID, "address '%.80s' is too long for a numeric address",
                           from);
        memcpy(address, from, length);
        address[length] = '\0';
        enum cn_status status = listen_at(acceptor, address, port, tls, error);
        if (status != CN_OK)
            return status;
        from += length;
        from += strspn(from, " ");
        if (*from != ',')
            return *from == '\0' ? CN_OK
                                 : cn_fail(error, CN_INVALID,
                                           "addresses '%s' must be separated by commas", addresses);
        from++;
    }
}
