/* routes.c: THE route table and the search in it. Adding an endpoint is one row here and one file.
 * Does not read requests. Thread-safe: constant data. */
#include "http/routes.h"

#include <stdio.h>
#include <string.h>

/* A row whose name is its path. */
#define ROUTE(method, path, access, body_limit, handler)                                           \
    { method, path, path, HTTP_ACCESS_##access, body_limit, handler, false }
#define PROBE(path, handler)                                                                       \
    { "GET", path, path, HTTP_ACCESS_PUBLIC, 0, handler, true }

/* What is the same with and without a version. */
#define V2_MODEL(path)                                                                             \
    ROUTE("GET", path, CLIENT, 0, http_v2_model),                                                  \
        ROUTE("GET", path "/ready", CLIENT, 0, http_v2_model_ready),                               \
        ROUTE("GET", path "/config", CLIENT, 0, http_v2_model_config),                             \
        ROUTE("GET", path "/stats", CLIENT, 0, http_v2_stats),                                     \
        ROUTE("POST", path "/infer", CLIENT, HTTP_BODY_CONFIGURED, http_infer)
#define V1_MODEL(path)                                                                             \
    ROUTE("POST", path ":predict", CLIENT, HTTP_BODY_CONFIGURED, http_tfserving_predict),          \
        ROUTE("GET", path, CLIENT, 0, http_tfserving_status),                                      \
        ROUTE("GET", path "/metadata", CLIENT, 0, http_tfserving_metadata)
#define TORCHSERVE "/predictions/{model}"
#define REPOSITORY "/v2/repository"

const struct http_route http_routes[] = {
    ROUTE("POST", "/predict", CLIENT, HTTP_BODY_CONFIGURED, http_predict),
    ROUTE("POST", "/predict/{model}", CLIENT, HTTP_BODY_CONFIGURED, http_predict),
    ROUTE("POST", "/explain", CLIENT, HTTP_BODY_CONFIGURED, http_explain),
    ROUTE("POST", "/explain/{model}", CLIENT, HTTP_BODY_CONFIGURED, http_explain),
    PROBE("/v2/health/live", http_health_live),
    PROBE("/v2/health/ready", http_health_ready),
    ROUTE("GET", "/v2", PUBLIC, 0, http_v2_server),
    ROUTE("GET", "/v2/", PUBLIC, 0, http_v2_server),
    ROUTE("GET", "/v2/models", CLIENT, 0, http_v2_models),
    /* Before {model}: a model of this name has its own paths but this one. */
    ROUTE("GET", "/v2/models/stats", CLIENT, 0, http_v2_stats),
    V2_MODEL("/v2/models/{model}"),
    V2_MODEL("/v2/models/{model}/versions/{version}"),
    ROUTE("POST", REPOSITORY "/index", CLIENT, HTTP_BODY_SMALL, http_repository_index),
    ROUTE("POST", REPOSITORY "/models/{model}/load", ADMIN, HTTP_BODY_SMALL, http_repository_load),
    ROUTE("POST", REPOSITORY "/models/{model}/unload", ADMIN, HTTP_BODY_SMALL,
          http_repository_unload),
    ROUTE("POST", TORCHSERVE, CLIENT, HTTP_BODY_CONFIGURED, http_torchserve_predictions),
    ROUTE("POST", TORCHSERVE "/{version}", CLIENT, HTTP_BODY_CONFIGURED,
          http_torchserve_predictions),
    PROBE("/ping", http_torchserve_ping),
    V1_MODEL("/v1/models/{model}"),
    V1_MODEL("/v1/models/{model}/versions/{version}"),
    ROUTE("POST", "/admin/reload", ADMIN, 0, http_admin_reload),
    ROUTE("GET", "/metrics", METRICS, 0, http_metrics),
    ROUTE("GET", "/openapi.json", PUBLIC, 0, http_openapi),
    ROUTE("GET", "/", PUBLIC, 0, http_index),
    ROUTE("GET", "/page/{file}", PUBLIC, 0, http_page_file),
};
const size_t http_route_count = sizeof http_routes / sizeof *http_routes;
_Static_assert(sizeof http_routes / sizeof *http_routes < STATISTICS_MAX_ROUTES,
               "each route has a counter, and so have requests without one");

/* One segment, "{model}:predict" or a literal, against as much of the path up to the next slash.
 * What stands for the {...} is one byte or more and holds no colon, which begins a verb; it is
 * copied to `argument`, where *used bytes are taken. */
static bool segment_matches(const char *pattern, size_t pattern_length, const char *path,
                            size_t path_length, struct http_arguments *arguments, size_t *used) {
    const char *open = memchr(pattern, '{', pattern_length);
    if (open == NULL)
        return pattern_length == path_length && memcmp(pattern, path, path_length) == 0;
    const char *suffix = strchr(open, '}') + 1;
    const size_t prefix_length = (size_t)(open - pattern);
    const size_t suffix_length = (size_t)(pattern + pattern_length - suffix);
    if (path_length <= prefix_length + suffix_length || memcmp(pattern, path, prefix_length) != 0 ||
        memcmp(path + path_length - suffix_length, suffix, suffix_length) != 0)
        return false;
    const size_t length = path_length - prefix_length - suffix_length;
    if (memchr(path + prefix_length, ':', length) != NULL)
        return false;
    char *copy = arguments->text + *used;
    memcpy(copy, path + prefix_length, length);
    copy[length] = '\0';
    arguments->values[arguments->count++] = copy;
    *used += length + 1;
    return true;
}

/* True if the path fits; then `arguments` holds what stands for each {...}. */
static bool pattern_matches(const char *pattern, const char *path,
                            struct http_arguments *arguments) {
    size_t used = 0;
    *arguments = (struct http_arguments){.text = arguments->text};
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        const size_t pattern_length = strcspn(pattern, "/"), path_length = strcspn(path, "/");
        if (!segment_matches(pattern, pattern_length, path, path_length, arguments, &used))
            return false;
        pattern += pattern_length;
        path += path_length;
    }
    return *pattern == '\0' && *path == '\0';
}

/* "GET" reads "GET, HEAD" in Allow. */
static void add_allowed(char allow[static HTTP_ALLOW_SIZE], const char *method) {
    size_t used = strlen(allow);
    (void)snprintf(allow + used, HTTP_ALLOW_SIZE - used, "%s%s%s", used > 0 ? ", " : "", method,
                   strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum http_match http_route_find(const struct http_route *routes, size_t route_count,
                                const char *method, const char *path,
                                const struct http_route **ret_route,
                                struct http_arguments *ret_arguments,
                                char ret_allow[static HTTP_ALLOW_SIZE]) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    ret_allow[0] = '\0';
    for (size_t i = 0; i < route_count; i++) {
        if (!pattern_matches(routes[i].pattern, path, ret_arguments))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            *ret_route = &routes[i];
            return HTTP_MATCH;
        }
        add_allowed(ret_allow, routes[i].method);
    }
    if (ret_allow[0] == '\0')
        return HTTP_NO_PATH;
    add_allowed(ret_allow, "OPTIONS");
    return HTTP_NO_METHOD;
}
