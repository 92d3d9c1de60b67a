/* address.c: parses and compares lists of addresses to listen at. It opens no socket and asks no
 * name server. No state. */
#include "http/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Parses one address without blanks around it; false if it is malformed. */
static bool read_address(struct http_address *address, int port) {
    char host[sizeof address->text], service[16];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    const size_t length = strlen(address->text);
    const bool brackets = length > 2 && address->text[0] == '[' && address->text[length - 1] == ']';
    (void)snprintf(host, sizeof host, "%.*s", brackets ? (int)length - 2 : (int)length,
                   address->text + brackets);
    if (strcmp(host, "localhost") == 0)
        (void)snprintf(host, sizeof host, "127.0.0.1");
    (void)snprintf(service, sizeof service, "%d", port);
    if (length == 0 || (brackets && strchr(host, ':') == NULL) ||
        getaddrinfo(host, service, &hints, &info) != 0)
        return false;
    memcpy(&address->socket, info->ai_addr, info->ai_addrlen);
    address->length = info->ai_addrlen;
    freeaddrinfo(info);
    return true;
}

enum cn_status http_addresses_read(const char *option, const char *list, int port,
                                   struct http_address ret_addresses[static HTTP_MAX_ADDRESSES],
                                   size_t *ret_count, struct cn_error *error) {
    const char *from = list + strspn(list, " ");
    *ret_count = 0;
    while (*from != '\0' || *ret_count > 0) {
        const size_t length = strcspn(from, ", ");
        if (*ret_count == HTTP_MAX_ADDRESSES)
            return cn_fail(error, CN_LIMIT, "%s has more than %d addresses", option,
                           HTTP_MAX_ADDRESSES);
        struct http_address *address = &ret_addresses[(*ret_count)++];
        memset(address, 0, sizeof *address);
        (void)snprintf(address->text, sizeof address->text, "%.*s", (int)length, from);
        if (length >= sizeof address->text || !read_address(address, port))
            return cn_fail(error, CN_INVALID,
                           "%s '%.*s' must be a numeric IPv4 or IPv6 address, or localhost", option,
                           length < 80 ? (int)length : 80, from);
        from += length;
        from += strspn(from, " ");
        if (*from == '\0')
            break;
        if (*from != ',')
            return cn_fail(error, CN_INVALID, "%s '%.80s' must be separated by commas", option,
                           list);
        from++;
        from += strspn(from, " ");
    }
    return CN_OK;
}

bool http_address_is_loopback(const struct sockaddr_storage *address) {
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    if (address->ss_family == AF_INET)
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    return address->ss_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool http_address_overlaps(const struct http_address *a, const struct http_address *b) {
    if (a->socket.ss_family != b->socket.ss_family)
        return false;
    if (a->socket.ss_family == AF_INET) {
        const struct sockaddr_in *x = (const void *)&a->socket, *y = (const void *)&b->socket;
        return x->sin_port == y->sin_port && x->sin_port != 0 &&
               (x->sin_addr.s_addr == y->sin_addr.s_addr || x->sin_addr.s_addr == INADDR_ANY ||
                y->sin_addr.s_addr == INADDR_ANY);
    }
    const struct sockaddr_in6 *x = (const void *)&a->socket, *y = (const void *)&b->socket;
    return x->sin6_port == y->sin6_port && x->sin6_port != 0 &&
           ((IN6_ARE_ADDR_EQUAL(&x->sin6_addr, &y->sin6_addr) &&
             x->sin6_scope_id == y->sin6_scope_id) ||
            IN6_IS_ADDR_UNSPECIFIED(&x->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&y->sin6_addr));
}
