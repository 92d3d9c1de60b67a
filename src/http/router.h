/* router.h: finding a row of THE route table (exchange.h). */
#ifndef CONVNET_HTTP_ROUTER_H
#define CONVNET_HTTP_ROUTER_H

#include "http/exchange.h"

enum { HTTP_ALLOW_SIZE = 128 };

/* body_limit of a route whose limit is the operator's `max-body`. */
#define HTTP_BODY_CONFIGURED SIZE_MAX

/* body_limit of a route whose body is a few settings, or empty. */
#define HTTP_BODY_SMALL ((size_t)65536)

enum http_match { HTTP_MATCH = 0, HTTP_NO_PATH, HTTP_NO_METHOD };

/* Looks a decoded path up in `routes`. HEAD is treated as GET, and the first row that matches is
 * taken. On HTTP_MATCH *ret_route is the row and `ret_arguments` has the text for each {...} of its
 * pattern; the caller provides its `text`, at least as large as the path with its NUL. On
 * HTTP_NO_METHOD `ret_allow` lists the methods of the path, and OPTIONS, which has no rows. */
enum http_match http_route_find(const struct http_route *routes, size_t route_count,
                                const char *method, const char *path,
                                const struct http_route **ret_route,
                                struct http_arguments *ret_arguments,
                                char ret_allow[static HTTP_ALLOW_SIZE]);

#endif
