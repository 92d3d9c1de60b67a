/* origin.h: checks whether the page behind a request may use this server, and whether the request
 * was meant for it. Pure functions of the values of a sound head. */
#ifndef CONVNET_HTTP_ORIGIN_H
#define CONVNET_HTTP_ORIGIN_H

#include <stdbool.h>

/* A request's fields; NULL for those that are missing. */
struct http_origin {
    const char *host, *origin;
    const char *site,
        *mode; /* Sec-Fetch-Site and Sec-Fetch-Mode, which a browser sets and a page cannot */
};

/* True if `hosts` is "none", "*" or a list of host names, separated by commas. */
bool http_origin_hosts_are_valid(const char *hosts);

/* True if Host is an address, localhost, a name that ends with .localhost, empty or missing, or in
 * the list `hosts`. The page of a name that an attacker has pointed to this server (DNS rebinding)
 * sends another Host. */
bool http_origin_host_is_allowed(const char *host, const char *hosts);

/* True unless a page of another origin sent the request, and `cors_origin` (see cors.h) does not
 * name that origin. Following a link is always allowed. */
bool http_origin_is_allowed(const struct http_origin *fields, const char *cors_origin);

#endif
