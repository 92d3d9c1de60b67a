/* routes.c: THE route table and the search in it. Adding an endpoint is one row here and one file.
 * Does not read requests. Thread-safe: constant data. */
#include "http/routes.h"

#include <stdio.h>
#include <string.h>

const struct http_route http_routes[] = {
    {"POST", "/predict", "/predict", HTTP_BODY_CONFIGURED, http_predict},
    {"POST", "/predict/{model}", "/predict/{model}", HTTP_BODY_CONFIGURED, http_predict},
    {"GET", "/v2/health/live", "/v2/health/live", 0, http_health_live},
    {"GET", "/v2/health/ready", "/v2/health/ready", 0, http_health_ready},
    {"GET", "/metrics", "/metrics", 0, http_metrics},
    {"GET", "/", "/", 0, http_index},
};
const size_t http_route_count = sizeof http_routes / sizeof *http_routes;
_Static_assert(sizeof http_routes / sizeof *http_routes < STATISTICS_MAX_ROUTES,
               "each route has a counter, and so have requests without one");

/* True if the path fits; then `argument` is what stands for the {...}. */
static bool pattern_matches(const char *pattern, const char *path, char *argument) {
    const char *open = strchr(pattern, '{');
    argument[0] = '\0';
    if (open == NULL)
        return strcmp(pattern, path) == 0;
    size_t prefix = (size_t)(open - pattern);
    const char *suffix = strchr(open, '}') + 1;
    size_t length = strlen(path), suffix_length = strlen(suffix);
    if (length <= prefix + suffix_length || strncmp(pattern, path, prefix) != 0 ||
        strcmp(path + length - suffix_length, suffix) != 0)
        return false;
    size_t middle = length - prefix - suffix_length;
    if (memchr(path + prefix, '/', middle) != NULL)
        return false;
    memcpy(argument, path + prefix, middle);
    argument[middle] = '\0';
    return true;
}

/* "GET" reads "GET, HEAD" in Allow. */
static void add_allowed(char allow[static HTTP_ALLOW_SIZE], const char *method) {
    size_t used = strlen(allow);
    (void)snprintf(allow + used, HTTP_ALLOW_SIZE - used, "%s%s%s", used > 0 ? ", " : "", method,
                   strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum http_match http_route_find(const struct http_route *routes, size_t route_count,
                                const char *method, const char *path,
                                const struct http_route **ret_route, char *ret_argument,
                                char ret_allow[static HTTP_ALLOW_SIZE]) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    ret_allow[0] = '\0';
    for (size_t i = 0; i < route_count; i++) {
        if (!pattern_matches(routes[i].pattern, path, ret_argument))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            *ret_route = &routes[i];
            return HTTP_MATCH;
        }
        add_allowed(ret_allow, routes[i].method);
    }
    return ret_allow[0] == '\0' ? HTTP_NO_PATH : HTTP_NO_METHOD;
}
