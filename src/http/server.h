/* server.h: the HTTP server as the daemon sees it. */
#ifndef CONVNET_HTTP_SERVER_H
#define CONVNET_HTTP_SERVER_H

#include "http/exchange.h"
#include "http/keys.h"
#include "http/tls.h"

enum http_log_level { HTTP_LOG_ERROR = 0, HTTP_LOG_WARNING, HTTP_LOG_INFO, HTTP_LOG_DEBUG };

/* The kind of a listening socket, and of the connections accepted on it. */
enum http_class {
    HTTP_CLASS_CLIENT = 0,
    HTTP_CLASS_ADMIN, /* may use every route; file permissions decide who may connect */
    HTTP_CLASS_OWN    /* the server's request to itself, which no limit or counter includes */
};

struct http_listener {
    int fd;
    enum http_class class;
    bool tls;
};

/* A finished request, for the access log. Texts may contain the client's bytes. */
struct http_access_entry {
    const char *method, *path;
    const char *route;               /* the route's pattern, or "none" */
    const char *id, *trace, *client; /* "": none */
    const char *peer;                /* the client's address, or "unix" */
    const char *model;               /* "": none */
    unsigned version;
    unsigned status;
    size_t bytes_in, bytes_out, images;
    double seconds, queue_seconds, compute_seconds;
};

struct http_server_options {
    const struct http_route *routes; /* api_routes, or a test's table */
    size_t route_count;
    const char *addresses; /* numeric IPv4 or IPv6, separated by commas; "": none */
    int port;              /* 0: the system picks one */
    bool tls;              /* listeners may use TLS; http_server_set_tls will be called */
    const char *tls_addresses;
    int tls_port;
    const char *admin_socket; /* path of a unix socket to create; "": none */
    /* Listening sockets that were passed to the process; the server takes ownership. Sockets for
     * clients replace all addresses; a socket for admins replaces `admin_socket`. */
    const struct http_listener *listeners;
    size_t listener_count;
    int threads; /* HTTP threads of each kind at least; the connections may need more */
    size_t max_connections;
    size_t max_connections_per_address; /* an IPv4 address or an IPv6 /64; 0: no limit */
    size_t max_body;                    /* bytes */
    size_t max_header,
        max_header_fields;           /* bytes and fields of a head, including the request line */
    size_t least_rate;               /* in bytes per second */
    enum http_access metrics_access; /* the meaning of HTTP_ACCESS_METRICS */
    const char *cors_origin;         /* see cors.h; NULL: none */
    /* The names that Host may have: see origin.h. NULL or "none": any, if other machines can reach
     * the server. */
    const char *allowed_hosts;
    /* In nanoseconds. header: from the first expected byte to the end of the head; body and write:
     * for the transfer, plus its time at `least_rate`; idle: between two requests; shutdown: for
     * requests that run when the server is stopped. */
    uint64_t header_timeout, body_timeout, idle_timeout, write_timeout, shutdown_timeout;
    /* Called for each answered request on its HTTP thread; may be NULL. `entry` is borrowed. */
    void (*log_access)(void *data, const struct http_access_entry *entry);
    void (*log)(void *data, enum http_log_level level, const char *text);
    void *log_data;
};

struct http_server;

/* Opens the listening sockets; nothing is accepted before http_server_start. `options` and
 * `context` are copied; what they point to must outlive the server. CN_INVALID: an address; CN_IO:
 * for example a port in use. Caller frees with http_server_free. */
enum cn_status http_server_create(const struct http_server_options *options,
                                  const struct http_context *context,
                                  struct http_server **ret_server, struct cn_error *error);

/* The number of HTTP threads of a server with these options, which is also the number of workspace
 * slots that they use (http_worker_workspace). */
size_t http_server_threads(const struct http_server_options *options);

/* Starts the threads and tests libmicrohttpd's behaviour on which the server depends. */
enum cn_status http_server_start(struct http_server *server, struct cn_error *error);

/* From now on requests need one of these keys; NULL: they need none. Takes ownership. Thread-safe.
 */
void http_server_set_keys(struct http_server *server, struct http_keys *keys);

/* New TLS connections use `tls` from now on; open ones keep theirs. Takes ownership of the
 * reference. Thread-safe. */
void http_server_set_tls(struct http_server *server, struct http_tls *tls);

/* Writes the addresses: "http://127.0.0.1:8080 https://[::1]:8443 admin:/run/convnetd/admin.sock",
 * cut if too long. */
void http_server_describe(const struct http_server *server, char *text, size_t size);

/* True if other machines can reach a socket; with `tls`, sockets with TLS count as well. */
bool http_server_is_exposed(const struct http_server *server, bool tls);

/* The number of open connections. Thread-safe. */
size_t http_server_connections(struct http_server *server);

/* True if each HTTP thread answers a request of the server itself within `timeout` nanoseconds. */
bool http_server_alive(struct http_server *server, uint64_t timeout);

/* Stops accepting, lets running requests finish for `shutdown_timeout`, cuts the rest, ends the
 * threads and frees the server; accepts NULL. The lane must still run; the loader is stopped if a
 * reload does not end. False, with nothing freed, if an exchange is still deferred then, because
 * the compute thread hangs: its HTTP thread cannot end. */
bool http_server_free(struct http_server *server);

#endif
