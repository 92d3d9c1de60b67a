/* cors.h: the origins whose pages may read answers (Fetch, "CORS protocol"). */
#ifndef CONVNET_HTTP_CORS_H
#define CONVNET_HTTP_CORS_H

#include <microhttpd.h>
#include <stdbool.h>

/* True if `origins` is "none", "*" or a list of origins, scheme://host[:port], separated by commas.
 */
bool http_cors_is_valid(const char *origins);

/* The value for Access-Control-Allow-Origin, or NULL if `origin` (the request's, may be NULL) is
 * not in `origins`. Borrowed from the arguments. */
const char *http_cors_allowed(const char *origins, const char *origin);

/* Adds the headers of an answer to a request from `origin`; `allow` is the Allow header of an
 * answer to OPTIONS, else NULL. False if memory runs out. */
bool http_cors_add(struct MHD_Response *response, const char *origins, const char *origin,
                   const char *allow);

#endif
