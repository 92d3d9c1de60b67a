/* router.h: finding a row of THE route table (exchange.h). */
#ifndef CONVNET_HTTP_ROUTER_H
#define CONVNET_HTTP_ROUTER_H

#include "http/exchange.h"

enum { HTTP_ALLOW_SIZE = 128 };

/* body_limit of a route that takes as much as the operator allows (`max-body`). */
#define HTTP_BODY_CONFIGURED SIZE_MAX

/* ... and of one whose body is a few settings, or none at all. */
#define HTTP_BODY_SMALL ((size_t)65536)

enum http_match { HTTP_MATCH = 0, HTTP_NO_PATH, HTTP_NO_METHOD };

/* Looks a decoded path up in `routes`; HEAD is served as GET, and the first row that fits wins. On
 * HTTP_MATCH *ret_route is the row and `ret_arguments` has what stands for each {...} of its
 * pattern; its `text`, as large as the path with its NUL, is the caller's and written to. On
 * HTTP_NO_METHOD `ret_allow` lists the methods that the path knows, OPTIONS with them, although no
 * row is for OPTIONS. */
enum http_match http_route_find(const struct http_route *routes, size_t route_count,
                                const char *method, const char *path,
                                const struct http_route **ret_route,
                                struct http_arguments *ret_arguments,
                                char ret_allow[static HTTP_ALLOW_SIZE]);

#endif
