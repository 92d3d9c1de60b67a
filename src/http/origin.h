/* origin.h: may the page that a browser shows use this server, and is this server whom it meant?
 * Pure checks on the values of a sound head. */
#ifndef CONVNET_HTTP_ORIGIN_H
#define CONVNET_HTTP_ORIGIN_H

#include <stdbool.h>

/* A request's fields, NULL for those it has not. */
struct http_origin {
    const char *host, *origin;
    const char *site, *mode; /* Sec-Fetch-Site, Sec-Fetch-Mode: a browser sets them, no page can */
};

/* True if `hosts` is "none", "*" or a list of host names, separated by commas. */
bool http_origin_hosts_are_valid(const char *hosts);

/* True if Host is an address, localhost, a name that ends with .localhost, empty or missing, or in
 * the list `hosts`. A page whose own name was made to lead here (DNS rebinding) has another Host.
 */
bool http_origin_host_is_allowed(const char *host, const char *hosts);

/* True if no page of another origin asks, or one that `cors_origin` (see cors.h) names. A link that
 * somebody follows is no page that asks. */
bool http_origin_is_allowed(const struct http_origin *fields, const char *cors_origin);

#endif
