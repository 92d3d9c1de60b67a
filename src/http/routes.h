/* routes.h: finding a row of THE route table (exchange.h). */
#ifndef CONVNET_HTTP_ROUTES_H
#define CONVNET_HTTP_ROUTES_H

#include "http/exchange.h"

enum { HTTP_ALLOW_SIZE = 128 };

/* body_limit of a route that takes as much as the operator allows (`max-body`). */
#define HTTP_BODY_CONFIGURED SIZE_MAX

enum http_match { HTTP_MATCH = 0, HTTP_NO_PATH, HTTP_NO_METHOD };

/* Looks a decoded path up in `routes`; HEAD is served as GET. On HTTP_MATCH *ret_route is the row
 * and `ret_argument` (as large as the path with its NUL) the text that matched {...}, "" if the
 * pattern has none; on HTTP_NO_METHOD `ret_allow` lists the methods that the path knows. */
enum http_match http_route_find(const struct http_route *routes, size_t route_count,
                                const char *method, const char *path,
                                const struct http_route **ret_route, char *ret_argument,
                                char ret_allow[static HTTP_ALLOW_SIZE]);

#endif
