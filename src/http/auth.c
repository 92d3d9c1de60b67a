/* auth.c: decides whether a request may use a route, and only here. A request that no rule allows
 * is refused before its body is accepted. Runs on the request's HTTP thread. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/auth.h"

/* The credentials in a request's head. */
struct credentials {
    const char *key; /* NULL: there is none */
    unsigned keys, authorizations;
};

static enum MHD_Result take_credential(void *cls, enum MHD_ValueKind kind, const char *name,
                                       const char *value) {
    struct credentials *credentials = cls;
    (void)kind;
    if (value == NULL)
        value = "";
    if (strcasecmp(name, "X-API-Key") == 0) {
        credentials->key = value;
        credentials->keys++;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0) {
        credentials->authorizations++;
        if (strncasecmp(value, "Bearer ", 7) == 0) {
            credentials->key = value + 7 + strspn(value + 7, " ");
            credentials->keys++;
        }
    }
    return MHD_YES;
}

static bool auth_refuse(struct http_request *request, unsigned status, const char *text) {
    http_request_reject(request, status, text);
    return false;
}

/* RFC 6750: a request without a key is told only that one is required. */
static bool refuse_key(struct http_request *request, bool given) {
    http_add_header(&request->exchange, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                    given ? "Bearer realm=\"convnetd\", error=\"invalid_token\""
                          : "Bearer realm=\"convnetd\"");
    return auth_refuse(request, 401,
                       given
                           ? "this API key is not known"
                           : "this path needs an API key: Authorization: Bearer KEY, or X-API-Key");
}

enum shown { SHOWN_GOOD, SHOWN_NONE, SHOWN_UNKNOWN, SHOWN_TWO };

/* Looks the request's key up; a server without keys accepts every request. */
static enum shown find_key(struct http_request *request) {
    struct http_server *server = request->server;
    struct credentials credentials = {0};
    bool known = true;
    MHD_get_connection_values(request->exchange.connection, MHD_HEADER_KIND, take_credential,
                              &credentials);
    (void)pthread_rwlock_rdlock(&server->secrets_lock);
    const bool required = server->keys != NULL;
    if (required && credentials.keys == 1 && credentials.authorizations <= 1) {
        const char *name = http_keys_find(server->keys, credentials.key);
        known = name != NULL;
        (void)snprintf(request->client, sizeof request->client, "%s", known ? name : "");
    }
    (void)pthread_rwlock_unlock(&server->secrets_lock);
    if (!required)
        return SHOWN_GOOD;
    /* A proxy might use another one of two credentials than this server. */
    if (credentials.keys > 1 || credentials.authorizations > 1)
        return SHOWN_TWO;
    return credentials.keys == 0 ? SHOWN_NONE : known ? SHOWN_GOOD : SHOWN_UNKNOWN;
}

static bool check_key(struct http_request *request) {
    const enum shown shown = find_key(request);
    if (shown == SHOWN_TWO)
        return auth_refuse(request, 400, "the request has more than one API key or Authorization");
    return shown == SHOWN_GOOD || refuse_key(request, shown == SHOWN_UNKNOWN);
}

bool http_is_client(struct http_exchange *exchange) {
    struct http_request *request = http_request_of(exchange);
    return request->peer->class == HTTP_CLASS_ADMIN || find_key(request) == SHOWN_GOOD;
}

bool http_authorize(struct http_request *request, const struct http_route *route) {
    enum http_access access = route->access;
    /* The permissions of the admin socket decide who may use it. */
    if (request->peer->class == HTTP_CLASS_ADMIN)
        return true;
    if (access == HTTP_ACCESS_METRICS)
        access = request->server->options.metrics_access;
    switch (access) {
    case HTTP_ACCESS_PUBLIC:
        return true;
    case HTTP_ACCESS_CLIENT:
        return check_key(request);
    case HTTP_ACCESS_METRICS:
    case HTTP_ACCESS_ADMIN:
        break;
    }
    return auth_refuse(request, 403, "this path is available on the admin socket only");
}
