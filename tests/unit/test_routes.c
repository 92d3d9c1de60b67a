#include "http/routes.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct http_route *route;
static char argument[256], allow[HTTP_ALLOW_SIZE];

static enum http_match find(const char *method, const char *path) {
    route = NULL;
    return http_route_find(http_routes, http_route_count, method, path, &route, argument, allow);
}

Test(routes, table) {
    for (size_t i = 0; i < http_route_count; i++) {
        cr_assert_not_null(http_routes[i].handler);
        cr_assert_eq(http_routes[i].pattern[0], '/');
        cr_assert_not_null(http_routes[i].name);
        const char *open = strchr(http_routes[i].pattern, '{');
        cr_assert(open == NULL || strchr(open, '}') != NULL);
        cr_assert(open == NULL || strchr(open + 1, '{') == NULL);
        for (size_t j = 0; j < i; j++)
            cr_assert(strcmp(http_routes[i].pattern, http_routes[j].pattern) != 0 ||
                      strcmp(http_routes[i].method, http_routes[j].method) != 0);
    }
}

Test(routes, each_row_is_found) {
    cr_assert_eq(find("POST", "/predict"), HTTP_MATCH);
    cr_assert_str_eq(route->pattern, "/predict");
    cr_assert_str_eq(argument, "");
    cr_assert_eq(find("GET", "/"), HTTP_MATCH);
    cr_assert_eq(find("GET", "/metrics"), HTTP_MATCH);
    cr_assert_eq(find("GET", "/v2/health/live"), HTTP_MATCH);
    cr_assert_eq(find("GET", "/v2/health/ready"), HTTP_MATCH);
    cr_assert_eq(find("HEAD", "/v2/health/ready"), HTTP_MATCH);
    cr_assert_str_eq(route->method, "GET");
}

Test(routes, argument) {
    cr_assert_eq(find("POST", "/predict/digits"), HTTP_MATCH);
    cr_assert_str_eq(route->pattern, "/predict/{model}");
    cr_assert_str_eq(argument, "digits");
    cr_assert_eq(find("POST", "/predict/"), HTTP_NO_PATH);
    cr_assert_eq(find("POST", "/predict/a/b"), HTTP_NO_PATH);
    static const struct http_route own[] = {{"POST", "/m/{a}/infer", "x", 1, NULL},
                                            {"POST", "/v1/{a}:predict", "y", 1, NULL}};
    const struct http_route *found = NULL;
    cr_assert_eq(http_route_find(own, 2, "POST", "/m/x/infer", &found, argument, allow),
                 HTTP_MATCH);
    cr_assert_str_eq(argument, "x");
    cr_assert_eq(http_route_find(own, 2, "POST", "/v1/x:predict", &found, argument, allow),
                 HTTP_MATCH);
    cr_assert_eq(found, &own[1]);
    cr_assert_str_eq(argument, "x");
    cr_assert_eq(http_route_find(own, 2, "POST", "/m//infer", &found, argument, allow),
                 HTTP_NO_PATH);
    cr_assert_eq(http_route_find(own, 2, "POST", "/m/infer", &found, argument, allow),
                 HTTP_NO_PATH);
}

Test(routes, unknown_path_and_method) {
    cr_assert_eq(find("GET", "/nothing"), HTTP_NO_PATH);
    cr_assert_eq(find("GET", ""), HTTP_NO_PATH);
    cr_assert_eq(find("GET", "/metrics/"), HTTP_NO_PATH);
    cr_assert_eq(find("get", "/metrics"), HTTP_NO_METHOD);
    cr_assert_str_eq(allow, "GET, HEAD");
    cr_assert_eq(find("GET", "/predict"), HTTP_NO_METHOD);
    cr_assert_str_eq(allow, "POST");
    cr_assert_eq(find("HEAD", "/predict"), HTTP_NO_METHOD);
    cr_assert_null(route);
}
