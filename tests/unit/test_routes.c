#include "api/routes.h"
#include "http/router.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "api/static_files.h"

static const struct http_route *route;
static char text[256], allow[HTTP_ALLOW_SIZE];
static struct http_arguments arguments = {.text = text};

static enum http_match find(const char *method, const char *path) {
    route = NULL;
    return http_route_find(api_routes, api_route_count, method, path, &route, &arguments, allow);
}

Test(routes, table) {
    for (size_t i = 0; i < api_route_count; i++) {
        cr_assert_not_null(api_routes[i].handler);
        cr_assert_eq(api_routes[i].pattern[0], '/');
        cr_assert_not_null(api_routes[i].name);
        size_t holes = 0;
        for (const char *at = api_routes[i].pattern; (at = strchr(at, '{')) != NULL; holes++) {
            const size_t rest = strcspn(at + 1, "{}/"); /* one in a segment, and closed */
            cr_assert_eq(at[1 + rest], '}');
            at += 1 + rest;
            cr_assert_eq(at[1 + strcspn(at + 1, "{/")] == '{', false);
        }
        cr_assert_leq(holes, (size_t)HTTP_MAX_ARGUMENTS);
        cr_assert_str_neq(api_routes[i].method, "HEAD");
        cr_assert_str_neq(api_routes[i].method, "OPTIONS");
        for (size_t j = 0; j < i; j++)
            cr_assert(strcmp(api_routes[i].pattern, api_routes[j].pattern) != 0 ||
                      strcmp(api_routes[i].method, api_routes[j].method) != 0);
    }
}

Test(routes, each_row_is_found) {
    cr_assert_eq(find("POST", "/predict"), HTTP_MATCH);
    cr_assert_str_eq(route->pattern, "/predict");
    cr_assert_eq(arguments.count, 0);
    cr_assert_null(arguments.values[0]);
    cr_assert_eq(find("GET", "/"), HTTP_MATCH);
    cr_assert_eq(find("GET", "/metrics"), HTTP_MATCH);
    cr_assert_eq(find("GET", "/v2/health/live"), HTTP_MATCH);
    cr_assert_eq(find("GET", "/v2/health/ready"), HTTP_MATCH);
    cr_assert_eq(find("HEAD", "/v2/health/ready"), HTTP_MATCH);
    cr_assert_str_eq(route->method, "GET");
}

static const struct http_route own[] = {
    {"POST", "/m/{a}/infer", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
    {"POST", "/v1/{a}:predict", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
    {"POST", "/v1/{a}/versions/{b}:predict", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
    {"GET", "/v1/{a}", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
    {"GET", "/m/stats", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
    {"GET", "/m/{a}", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
    {"GET", "/m/", "", HTTP_ACCESS_CLIENT, 1, NULL, false, NULL},
};

static enum http_match find_own(const char *method, const char *path) {
    route = NULL;
    return http_route_find(own, sizeof own / sizeof *own, method, path, &route, &arguments, allow);
}

Test(routes, arguments) {
    cr_assert_eq(find("POST", "/predict/digits"), HTTP_MATCH);
    cr_assert_str_eq(route->pattern, "/predict/{model}");
    cr_assert_eq(arguments.count, 1);
    cr_assert_str_eq(arguments.values[0], "digits");
    cr_assert_eq(find("POST", "/predict/"), HTTP_NO_PATH);
    cr_assert_eq(find("POST", "/predict/a/b"), HTTP_NO_PATH);
    cr_assert_eq(find_own("POST", "/m/x/infer"), HTTP_MATCH);
    cr_assert_str_eq(arguments.values[0], "x");
    cr_assert_eq(find_own("POST", "/m//infer"), HTTP_NO_PATH);
    cr_assert_eq(find_own("POST", "/m/x/infer/"), HTTP_NO_PATH);
}

Test(routes, suffixes) {
    cr_assert_eq(find_own("POST", "/v1/x:predict"), HTTP_MATCH);
    cr_assert_eq(route, &own[1]);
    cr_assert_str_eq(arguments.values[0], "x");
    cr_assert_eq(find_own("POST", "/v1/x/versions/12:predict"), HTTP_MATCH);
    cr_assert_eq(route, &own[2]);
    cr_assert_eq(arguments.count, 2);
    cr_assert_str_eq(arguments.values[0], "x");
    cr_assert_str_eq(arguments.values[1], "12");
    cr_assert_eq(find_own("POST", "/v1/:predict"), HTTP_NO_PATH);
    cr_assert_eq(find_own("POST", "/v1/x:explain"), HTTP_NO_PATH);
    cr_assert_eq(find_own("GET", "/v1/x:predict"), HTTP_NO_METHOD);
    cr_assert_str_eq(allow, "POST, OPTIONS");
}

Test(routes, the_first_row_wins) {
    cr_assert_eq(find_own("GET", "/m/stats"), HTTP_MATCH);
    cr_assert_eq(route, &own[4]);
    cr_assert_eq(find_own("GET", "/m/statsx"), HTTP_MATCH);
    cr_assert_eq(route, &own[5]);
    cr_assert_str_eq(arguments.values[0], "statsx");
    cr_assert_eq(find_own("GET", "/m/"), HTTP_MATCH);
    cr_assert_eq(route, &own[6]);
    cr_assert_eq(find_own("GET", "/m"), HTTP_NO_PATH);
}

Test(routes, unknown_path_and_method) {
    cr_assert_eq(find("GET", "/nothing"), HTTP_NO_PATH);
    cr_assert_eq(find("GET", ""), HTTP_NO_PATH);
    cr_assert_eq(find("GET", "/metrics/"), HTTP_NO_PATH);
    cr_assert_eq(find("get", "/metrics"), HTTP_NO_METHOD);
    cr_assert_str_eq(allow, "GET, HEAD, OPTIONS");
    cr_assert_eq(find("GET", "/predict"), HTTP_NO_METHOD);
    cr_assert_str_eq(allow, "POST, OPTIONS");
    cr_assert_eq(find("HEAD", "/predict"), HTTP_NO_METHOD);
    cr_assert_null(route);
}

/* True if the contract has the operation. */
static bool is_described(json_t *paths, const char *method, const char *path) {
    char name[16] = "";
    for (size_t i = 0; method[i] != '\0' && i < sizeof name - 1; i++)
        name[i] = (char)(method[i] | 0x20);
    return json_is_object(json_object_get(json_object_get(paths, path), name));
}

/* openapi.json has exactly the operations that clients can use. */
Test(routes, openapi) {
    const struct api_embedded *file = api_embedded_find("openapi.json");
    cr_assert_not_null(file);
    cr_assert_null(api_embedded_find("nothing"));
    json_error_t fault;
    json_t *contract =
        json_loadb((const char *)file->bytes, file->length, JSON_REJECT_DUPLICATES, &fault);
    cr_assert_not_null(contract, "line %d: %s", fault.line, fault.text);
    json_t *paths = json_object_get(contract, "paths");
    size_t rows = 0, operations = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        if (strcmp(api_routes[i].pattern, "/v2/") == 0) /* "/v2" in other spellings */
            continue;
        cr_expect(is_described(paths, api_routes[i].method, api_routes[i].pattern),
                  "openapi.json lacks %s %s", api_routes[i].method, api_routes[i].pattern);
        rows++;
    }
    const char *path = NULL;
    json_t *item = NULL;
    json_object_foreach(paths, path, item) operations += json_object_size(item);
    cr_assert_eq(operations, rows, "openapi.json has %zu operations, the table %zu rows",
                 operations, rows);
    json_decref(contract);
}
