/* routes.c: THE route table. Adding an endpoint takes one row here and one file. src/http/router.c
 * searches the table. Thread-safe: constant data. */
#include "api/routes.h"

#include "http/router.h"

/* The keys that queries may have. */
static const char *const predict_query[] = {"preprocess", "image", "strict", "error", NULL};
static const char *const read_query[] = {"length", "lines", "pattern", "separators", "error", NULL};
static const char *const explain_query[] = {"preprocess", "layer", "values",
                                            "filters",    "zoom",  NULL};

/* A row whose pattern is also its name. */
#define ROUTE(method, path, access, body_limit, handler)                                           \
    { method, path, path, HTTP_ACCESS_##access, body_limit, handler, false, NULL }
#define PICTURES(path, what)                                                                       \
    {                                                                                              \
        "POST", path, path, HTTP_ACCESS_CLIENT, HTTP_BODY_CONFIGURED, api_##what, false,           \
            what##_query                                                                           \
    }
#define PROBE(path, handler)                                                                       \
    { "GET", path, path, HTTP_ACCESS_PUBLIC, 0, handler, true, NULL }

/* Routes that exist with and without a version. */
#define V2_MODEL(path)                                                                             \
    ROUTE("GET", path, CLIENT, 0, api_v2_model),                                                   \
        ROUTE("GET", path "/ready", CLIENT, 0, api_v2_model_ready),                                \
        ROUTE("GET", path "/config", CLIENT, 0, api_v2_model_config),                              \
        ROUTE("GET", path "/stats", CLIENT, 0, api_v2_stats),                                      \
        ROUTE("POST", path "/infer", CLIENT, HTTP_BODY_CONFIGURED, api_infer)
#define V1_MODEL(path)                                                                             \
    ROUTE("POST", path ":predict", CLIENT, HTTP_BODY_CONFIGURED, api_tfserving_predict),           \
        ROUTE("GET", path, CLIENT, 0, api_tfserving_status),                                       \
        ROUTE("GET", path "/metadata", CLIENT, 0, api_tfserving_metadata)
#define TORCHSERVE "/predictions/{model}"
#define REPOSITORY "/v2/repository"

const struct http_route api_routes[] = {
    PICTURES("/predict", predict),
    PICTURES("/predict/{model}", predict),
    PICTURES("/read", read),
    PICTURES("/read/{model}", read),
    PICTURES("/explain", explain),
    PICTURES("/explain/{model}", explain),
    PROBE("/v2/health/live", api_health_live),
    PROBE("/v2/health/ready", api_health_ready),
    ROUTE("GET", "/v2", PUBLIC, 0, api_v2_server),
    ROUTE("GET", "/v2/", PUBLIC, 0, api_v2_server),
    ROUTE("GET", "/v2/models", CLIENT, 0, api_v2_models),
    /* Before {model}, which would match it: a model named stats is reachable by its other paths
       only. */
    ROUTE("GET", "/v2/models/stats", CLIENT, 0, api_v2_stats),
    V2_MODEL("/v2/models/{model}"),
    V2_MODEL("/v2/models/{model}/versions/{version}"),
    ROUTE("POST", REPOSITORY "/index", CLIENT, HTTP_BODY_SMALL, api_repository_index),
    ROUTE("POST", REPOSITORY "/models/{model}/load", ADMIN, HTTP_BODY_SMALL, api_repository_load),
    ROUTE("POST", REPOSITORY "/models/{model}/unload", ADMIN, HTTP_BODY_SMALL,
          api_repository_unload),
    ROUTE("POST", TORCHSERVE, CLIENT, HTTP_BODY_CONFIGURED, api_torchserve_predictions),
    ROUTE("POST", TORCHSERVE "/{version}", CLIENT, HTTP_BODY_CONFIGURED,
          api_torchserve_predictions),
    PROBE("/ping", api_torchserve_ping),
    V1_MODEL("/v1/models/{model}"),
    V1_MODEL("/v1/models/{model}/versions/{version}"),
    ROUTE("POST", "/admin/reload", ADMIN, 0, api_admin_reload),
    ROUTE("GET", "/metrics", METRICS, 0, api_metrics),
    ROUTE("GET", "/openapi.json", PUBLIC, 0, api_openapi),
    ROUTE("GET", "/", PUBLIC, 0, api_index),
    ROUTE("GET", "/page/{file}", PUBLIC, 0, api_page_file),
};
const size_t api_route_count = sizeof api_routes / sizeof *api_routes;
_Static_assert(sizeof api_routes / sizeof *api_routes < STATISTICS_MAX_ROUTES,
               "each route has a counter, and so have requests without one");
