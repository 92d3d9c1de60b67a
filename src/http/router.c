/* router.c: finds the row of a route table for a request. It does not read requests and knows no
 * endpoint: the table is in the server's options. Thread-safe: constant data. */
#include "http/router.h"

#include <stdio.h>
#include <string.h>

/* Matches one segment of a pattern, "{model}:predict" or a literal, with the path up to the next
 * slash. The text for the {...} has at least one byte and no colon, which begins a verb; it is
 * copied to `argument`, of which *used bytes are used. */
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

/* True if the path matches; `arguments` then holds the text for each {...}. */
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

/* GET adds "GET, HEAD" to Allow. */
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
    const char *method_of_row = strcmp(method, "HEAD") == 0 ? "GET" : method;
    ret_allow[0] = '\0';
    for (size_t i = 0; i < route_count; i++) {
        if (!pattern_matches(routes[i].pattern, path, ret_arguments))
            continue;
        if (strcmp(routes[i].method, method_of_row) == 0) {
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
