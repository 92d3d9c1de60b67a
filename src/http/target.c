/* target.c: decodes the path of a request target. It is decoded only here, so that no later code
 * sees a path in two spellings. It knows no routes. Thread-safe: no state. */
#include "http/target.h"

#include <string.h>
#include <strings.h>

#include "http/head.h"

static unsigned target_fail(const char **ret_fault, unsigned status, const char *fault) {
    *ret_fault = fault;
    return status;
}

/* The byte that "%xx" encodes, or -1. */
static int percent_code(const char *text) {
    int high = http_hex_digit(text[1]);
    int low = high >= 0 ? http_hex_digit(text[2]) : -1;
    return low >= 0 ? high * 16 + low : -1;
}

/* True for printable ASCII without '#' and with complete %-codes other than NUL, as path and query
 * must be. */
static bool is_clean(const char *target) {
    for (const char *c = target; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte <= 0x20 || byte >= 0x7f || byte == '#')
            return false;
        if (*c == '%' && percent_code(c) <= 0)
            return false;
    }
    return true;
}

const char *http_target_authority(const char *target, size_t *ret_length) {
    const char *authority = strncasecmp(target, "http://", 7) == 0    ? target + 7
                            : strncasecmp(target, "https://", 8) == 0 ? target + 8
                                                                      : NULL;
    const size_t length = authority != NULL ? strcspn(authority, "/?") : 0;
    if (length == 0 || memchr(authority, '@', length) != NULL)
        return NULL;
    *ret_length = length;
    return authority;
}

/* The rest of an absolute-form target after its authority, or NULL if it has another form. */
static const char *after_authority(const char *target) {
    size_t length = 0;
    const char *authority = http_target_authority(target, &length);
    return authority != NULL ? authority + length : NULL;
}

/* True if a segment is "." or "..". */
static bool has_dot_segment(const char *path) {
    for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *segment = slash + 1;
        size_t length = strcspn(segment, "/");
        if ((length == 1 && segment[0] == '.') ||
            (length == 2 && segment[0] == '.' && segment[1] == '.'))
            return true;
    }
    return false;
}

unsigned http_target_path(const char *target, char ret_path[static HTTP_PATH_SIZE],
                          const char **ret_fault) {
    ret_path[0] = '\0'; /* and after each byte, since the log shows it whatever the result */
    if (!is_clean(target))
        return target_fail(ret_fault, 400,
                           "the target contains a byte or a %-code that is not allowed");
    const char *from = target[0] == '/' ? target : after_authority(target);
    if (strcmp(target, "*") == 0) { /* "OPTIONS *"; no route has this path */
        memcpy(ret_path, "*", 2);
        return 0;
    }
    if (from == NULL)
        return target_fail(ret_fault, 400, "the target is neither a path nor an http URL");
    size_t length = 0;
    if (*from != '/')
        ret_path[length++] = '/';
    ret_path[length] = '\0';
    for (; *from != '\0' && *from != '?'; from++) {
        int byte = (unsigned char)*from;
        if (byte == '%') {
            byte = percent_code(from);
            from += 2;
            if (byte < 0x20 || byte == 0x7f || byte == '/')
                return target_fail(ret_fault, 400, "the path has an encoded slash or control byte");
        }
        if (length + 1 == HTTP_PATH_SIZE)
            return target_fail(ret_fault, 404, "the path is longer than any that is served");
        ret_path[length++] = (char)byte;
        ret_path[length] = '\0';
    }
    if (has_dot_segment(ret_path))
        return target_fail(ret_fault, 400, "the path has a . or .. segment");
    return 0;
}

bool http_target_check_query(char *target) {
    char *query = strchr(target, '?');
    size_t count = 1;
    for (char *c = query; c != NULL && (c = strchr(c, '&')) != NULL; c++)
        count++;
    if (count <= HTTP_MAX_ARGUMENTS_IN_QUERY)
        return true;
    for (char *c = query; (c = strchr(c, '&')) != NULL; c++)
        *c = '_';
    return false;
}
