/* server.h: the HTTP server as the daemon sees it. */
#ifndef CONVNET_HTTP_SERVER_H
#define CONVNET_HTTP_SERVER_H

#include "http/exchange.h"
#include "http/keys.h"

enum http_log_level { HTTP_LOG_ERROR = 0, HTTP_LOG_WARNING, HTTP_LOG_INFO, HTTP_LOG_DEBUG };

struct http_server_options {
    const struct http_route *routes; /* http_routes, or a test's own */
    size_t route_count;
    const char *addresses; /* numeric IPv4 or IPv6, separated by commas */
    int port;              /* 0: the system picks one */
    const int *listeners;  /* already listening sockets instead of `addresses`; ownership taken */
    size_t listener_count;
    int threads; /* HTTP threads at least; as many more as the connections need */
    size_t max_connections;
    size_t max_connections_per_address; /* an IPv4 address or an IPv6 /64; 0: no limit */
    size_t max_body;                    /* bytes */
    enum http_access metrics_access;    /* what HTTP_ACCESS_METRICS means */
    const char *cors_origin;            /* see cors.h; NULL: none */
    /* Nanoseconds. header: from the first byte expected to the end of the head; body and write: for
     * the transfer, plus a second for each 16 KiB; idle: between two requests; shutdown: for what
     * runs when the server is stopped. */
    uint64_t header_timeout, body_timeout, idle_timeout, write_timeout, shutdown_timeout;
    bool log_requests; /* a debug line for each request */
    void (*log)(void *data, enum http_log_level level, const char *text);
    void *log_data;
};

struct http_server;

/* Opens the listening sockets: nothing is accepted before http_server_start. `options` and
 * `context` are copied, what they point to must outlive the server. CN_INVALID: an address;
 * CN_IO: a port in use and the like. Caller frees with http_server_free. */
enum cn_status http_server_create(const struct http_server_options *options,
                                  const struct http_context *context,
                                  struct http_server **ret_server, struct cn_error *error);

/* The HTTP threads that a server of these options has: http_worker_workspace uses as many slots of
 * a model. */
size_t http_server_threads(const struct http_server_options *options);

/* Starts the threads and tests the parts this server depends on. */
enum cn_status http_server_start(struct http_server *server, struct cn_error *error);

/* From now on requests need one of these keys; NULL: none does. Takes ownership. Thread-safe. */
void http_server_set_keys(struct http_server *server, struct http_keys *keys);

/* The port that listener 0 has, 0 for a unix socket. */
int http_server_port(const struct http_server *server);

/* Connections now. Thread-safe. */
size_t http_server_connections(struct http_server *server);

/* True if each HTTP thread answers a request of our own within `timeout` nanoseconds. */
bool http_server_alive(struct http_server *server, uint64_t timeout);

/* Stops accepting, lets what is under way finish for `shutdown_timeout`, cuts the rest, waits for
 * deferred exchanges (the lane must still run) and ends the threads. */
void http_server_stop(struct http_server *server);
void http_server_free(struct http_server *server); /* accepts NULL; stops first */

#endif
