/* origin.c: protects a server on loopback from pages of other origins. A browser lets a page send
 * requests to any address it can reach, and such a server trusts everybody who can reach it. It
 * does not answer. No state. */
#include "http/origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/names.h"
#include "http/cors.h"

enum { HOST_SIZE = 256 };

bool http_origin_hosts_are_valid(const char *hosts) {
    size_t length = 0, count = 0;
    if (strcmp(hosts, "none") == 0 || strcmp(hosts, "*") == 0)
        return true;
    for (const char *name; (name = cn_name_next(&hosts, &length)) != NULL; count++) {
        for (size_t i = 0; i < length; i++)
            if (!isalnum((unsigned char)name[i]) && strchr("-._", name[i]) == NULL)
                return false;
        if (length >= HOST_SIZE)
            return false;
    }
    return count > 0;
}

/* Writes the name without the port and without a final dot. */
static bool name_of(const char *host, char ret_name[static HOST_SIZE]) {
    size_t length = strcspn(host, ":");
    if (host[0] == '[') {
        host++;
        length = strcspn(host, "]");
    } else if (length > 0 && host[length - 1] == '.') {
        length--;
    }
    if (length >= HOST_SIZE)
        return false;
    memcpy(ret_name, host, length);
    ret_name[length] = '\0';
    return true;
}

static bool is_address(const char *name) {
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* RFC 6761, 6.3: these names resolve to loopback. */
static bool is_localhost(const char *name) {
    static const char word[] = "localhost";
    const size_t length = strlen(name), end = sizeof word - 1;
    return length >= end && strcasecmp(name + length - end, word) == 0 &&
           (length == end || name[length - end - 1] == '.');
}

bool http_origin_host_is_allowed(const char *host, const char *hosts) {
    char name[HOST_SIZE];
    size_t length = 0;
    if (strcmp(hosts, "*") == 0 || host == NULL || host[0] == '\0')
        return true;
    if (!name_of(host, name))
        return false;
    if (is_address(name) || is_localhost(name))
        return true;
    for (const char *one; (one = cn_name_next(&hosts, &length)) != NULL;)
        if (strlen(name) == length && strncasecmp(one, name, length) == 0)
            return true;
    return false;
}

static bool is(const char *value, const char *word) {
    return value != NULL && strcmp(value, word) == 0;
}

bool http_origin_is_allowed(const struct http_origin *fields, const char *cors_origin) {
    const char *authority = fields->origin != NULL ? strstr(fields->origin, "://") : NULL;
    if (is(cors_origin, "*") || http_cors_allowed(cors_origin, fields->origin) != NULL)
        return true;
    if (is(fields->site, "same-origin") || is(fields->site, "none"))
        return true;
    if (is(fields->site, "cross-site") && !is(fields->mode, "navigate"))
        return false;
    return fields->origin == NULL || (authority != NULL && fields->host != NULL &&
                                      strcasecmp(authority + 3, fields->host) == 0);
}
