/* listeners.c: which sockets a server listens at, and what is said of them. How one is opened is in
 * listen.c and listen_unix.c. Used by the owner's thread, before others start. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/listeners.h"

/* Takes the sockets that were passed; what cannot be used is closed. */
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
            status = http_acceptor_add(&server->acceptor, listener, error);
        if (status != CN_OK)
            (void)close(listener.fd);
        passed[listener.class == HTTP_CLASS_ADMIN] = true;
    }
    return status;
}

enum cn_status http_server_open_listeners(struct http_server *server, struct cn_error *error) {
    const struct http_server_options *options = &server->options;
    struct http_acceptor *acceptor = &server->acceptor;
    bool passed[2] = {false, false};
    enum cn_status status = take_passed(server, passed, error);
    if (status == CN_OK && !passed[0] && options->addresses[0] != '\0')
        status = http_acceptor_listen(acceptor, options->addresses, options->port, false, error);
    if (status == CN_OK && !passed[0] && options->tls && options->tls_addresses[0] != '\0')
        status =
            http_acceptor_listen(acceptor, options->tls_addresses, options->tls_port, true, error);
    if (status == CN_OK && !passed[1] && options->admin_socket[0] != '\0')
        status = http_acceptor_listen_unix(acceptor, options->admin_socket, error);
    if (status == CN_OK && acceptor->listener_count == 0)
        status = cn_fail(error, CN_INVALID, "there is no address to listen at");
    return status;
}

/* "127.0.0.1:8080", "[::1]:8080" or a path. */
static void describe_address(const struct sockaddr_storage *address, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        (void)snprintf(text, size, "%s:%u", host, ntohs(v4->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        (void)snprintf(text, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_un *local = (const void *)address;
        (void)snprintf(text, size, "%s",
                       local->sun_path[0] != '\0' ? local->sun_path : "(unnamed)");
    }
}

void http_server_describe(const struct http_server *server, char *text, size_t size) {
    const struct http_acceptor *acceptor = &server->acceptor;
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < acceptor->listener_count && used < size; i++) {
        const struct http_listener *listener = &acceptor->listeners[i];
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address - 1; /* a path may come without its NUL */
        char where[160] = "?";
        const char *scheme = listener->class == HTTP_CLASS_ADMIN ? "admin:"
                             : listener->tls                     ? "https://"
                                                                 : "http://";
        if (acceptor->unix_path[0] != '\0' && listener->class == HTTP_CLASS_ADMIN)
            (void)snprintf(where, sizeof where, "%s", acceptor->unix_path);
        else if (getsockname(listener->fd, (struct sockaddr *)&address, &length) == 0)
            describe_address(&address, where, sizeof where);
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s%s", i > 0 ? " " : "", scheme, where);
    }
}

static bool is_exposed(const struct sockaddr_storage *address) {
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    if (address->ss_family == AF_INET)
        return (ntohl(v4->sin_addr.s_addr) >> 24) != 127;
    return address->ss_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool http_server_is_exposed(const struct http_server *server, bool tls) {
    for (size_t i = 0; i < server->acceptor.listener_count; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        const struct http_listener *listener = &server->acceptor.listeners[i];
        if ((tls || !listener->tls) &&
            getsockname(listener->fd, (struct sockaddr *)&address, &length) == 0 &&
            is_exposed(&address))
            return true;
    }
    return false;
}
