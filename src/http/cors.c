/* cors.c: the headers that allow a page of another origin to use this server, if the operator names
 * that origin. Off by default. No state. */
#include "http/cors.h"

#include <ctype.h>
#include <string.h>

#include "base/names.h"

/* The request headers that endpoints read, and the response headers that scripts may read. */
static const char request_headers[] =
    "Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, "
    "X-API-Key, X-Request-Id, Request-Timeout-Ms, traceparent";
static const char reply_headers[] =
    "Inference-Header-Content-Length, Retry-After, X-Request-Id, traceparent";

/* True for scheme://host[:port] alone. */
static bool is_origin(const char *text, size_t length) {
    const char *mark = memmem(text, length, "://", 3);
    if (mark == NULL || mark == text || (size_t)(mark + 3 - text) == length)
        return false;
    for (const char *c = text; c < mark; c++)
        if (!isalnum((unsigned char)*c) && strchr("+-.", *c) == NULL)
            return false;
    for (const char *c = mark + 3; c < text + length; c++)
        if (!isalnum((unsigned char)*c) && strchr("-._:[]", *c) == NULL)
            return false;
    return true;
}

bool http_cors_is_valid(const char *origins) {
    size_t length = 0, count = 0;
    if (strcmp(origins, "none") == 0 || strcmp(origins, "*") == 0)
        return true;
    for (const char *one; (one = cn_name_next(&origins, &length)) != NULL; count++)
        if (!is_origin(one, length))
            return false;
    return count > 0;
}

const char *http_cors_allowed(const char *origins, const char *origin) {
    size_t length = 0;
    if (origins == NULL || origin == NULL || strcmp(origins, "none") == 0)
        return NULL;
    if (strcmp(origins, "*") == 0)
        return "*";
    for (const char *one; (one = cn_name_next(&origins, &length)) != NULL;)
        if (strlen(origin) == length && memcmp(one, origin, length) == 0)
            return origin;
    return NULL;
}

bool http_cors_add(struct MHD_Response *response, const char *origins, const char *origin,
                   const char *allow) {
    const char *allowed = http_cors_allowed(origins, origin);
    bool good = true;
    /* With a list the answer depends on the Origin header even if that origin is not allowed. */
    if (origins != NULL && strcmp(origins, "none") != 0 && strcmp(origins, "*") != 0)
        good = MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Origin") == MHD_YES;
    if (allowed == NULL)
        return good;
    good &= MHD_add_response_header(response, "Access-Control-Allow-Origin", allowed) == MHD_YES;
    if (allow == NULL) {
        good &= MHD_add_response_header(response, "Access-Control-Expose-Headers", reply_headers) ==
                MHD_YES;
        return good;
    }
    good &= MHD_add_response_header(response, "Access-Control-Allow-Methods", allow) == MHD_YES;
    good &= MHD_add_response_header(response, "Access-Control-Allow-Headers", request_headers) ==
            MHD_YES;
    good &= MHD_add_response_header(response, "Access-Control-Max-Age", "600") == MHD_YES;
    return good;
}
