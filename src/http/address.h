/* address.h: addresses to listen at, as an operator writes them. */
#ifndef CONVNET_HTTP_ADDRESS_H
#define CONVNET_HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "convnet/status.h"

enum { HTTP_MAX_ADDRESSES = 16 };

struct http_address {
    char text[64]; /* as the operator wrote it */
    struct sockaddr_storage socket;
    socklen_t length; /* of `socket` */
};

/* Parses a list with commas: numeric IPv4 and IPv6 addresses, the latter optionally in brackets,
 * and "localhost", which is 127.0.0.1. An empty list is valid. CN_INVALID and CN_LIMIT name
 * `option`, the value and the rule. */
enum cn_status http_addresses_read(const char *option, const char *list, int port,
                                   struct http_address ret_addresses[static HTTP_MAX_ADDRESSES],
                                   size_t *ret_count, struct cn_error *error);

/* True if only this machine can reach the address, as with every unix socket. */
bool http_address_is_loopback(const struct sockaddr_storage *address);

/* True if both need the same port of an address of this machine. Port 0 never conflicts. */
bool http_address_overlaps(const struct http_address *a, const struct http_address *b);

#endif
