/* server.h: the HTTP server as the daemon sees it. */
#ifndef CONVNET_HTTP_SERVER_H
#define CONVNET_HTTP_SERVER_H

#include "http/exchange.h"
#include "http/keys.h"
#include "http/tls.h"

enum http_log_level { HTTP_LOG_ERROR = 0, HTTP_LOG_WARNING, HTTP_LOG_INFO, HTTP_LOG_DEBUG };

/* Of a listening socket, and so of the connections that come on it. */
enum http_class {
    HTTP_CLASS_CLIENT = 0,
    HTTP_CLASS_ADMIN, /* may do everything; who may open the socket is the file system's answer */
    HTTP_CLASS_OWN    /* the server's request to itself: outside limits and counts */
};

struct http_listener {
    int fd;
    enum http_class class;
    bool tls;
};

/* What is told of a request. Texts may hold the client's bytes. */
struct http_access_entry {
    const char *method, *path;
    const char *route;               /* the pattern, "none" */
    const char *id, *trace, *client; /* "" for none */
    const char *peer;                /* the client's address, "unix" */
    const char *model;               /* "" for none */
    unsigned version;
    unsigned status;
    size_t bytes_in, bytes_out, images;
    double seconds, queue_seconds, compute_seconds;
};

struct http_server_options {
    const struct http_route *routes; /* api_routes, or a test's own */
    size_t route_count;
    const char *addresses; /* numeric IPv4 or IPv6, separated by commas; "": none */
    int port;              /* 0: the system picks one */
    bool tls;              /* there may be listeners with TLS: http_server_set_tls will be called */
    const char *tls_addresses;
    int tls_port;
    const char *admin_socket; /* path of a unix socket to make; "": none */
    /* Sockets that listen already; ownership taken. Those for clients replace all addresses, one
     * for admin calls replaces `admin_socket`. */
    const struct http_listener *listeners;
    size_t listener_count;
    int threads; /* HTTP threads of each kind at least; as many more as the connections need */
    size_t max_connections;
    size_t max_connections_per_address;   /* an IPv4 address or an IPv6 /64; 0: no limit */
    size_t max_body;                      /* bytes */
    size_t max_header, max_header_fields; /* bytes and fields of a head, the first line included */
    size_t least_rate;                    /* bytes a second */
    enum http_access metrics_access;      /* what HTTP_ACCESS_METRICS means */
    const char *cors_origin;              /* see cors.h; NULL: none */
    /* Names by which it may be called: see origin.h. NULL or "none": any, if it can be reached from
     * other machines. */
    const char *allowed_hosts;
    /* Nanoseconds. header: from the first byte expected to the end of the head; body and write: for
     * the transfer, plus its time at `least_rate` bytes a second; idle: between two requests;
     * shutdown: for what runs when the server is stopped. */
    uint64_t header_timeout, body_timeout, idle_timeout, write_timeout, shutdown_timeout;
    /* Each answered request, on its HTTP thread; NULL: none. `entry` is borrowed. */
    void (*log_access)(void *data, const struct http_access_entry *entry);
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

/* New connections with TLS use this from now on; those there are keep what they have. Takes over
 * the reference. Thread-safe. */
void http_server_set_tls(struct http_server *server, struct http_tls *tls);

/* Where it listens: "http://127.0.0.1:8080 https://[::1]:8443 admin:/run/convnetd/admin.sock", cut
 * if too long. */
void http_server_describe(const struct http_server *server, char *text, size_t size);

/* True if a socket can be reached from other machines; `tls`: those with TLS count as well. */
bool http_server_is_exposed(const struct http_server *server, bool tls);

/* Connections now. Thread-safe. */
size_t http_server_connections(struct http_server *server);

/* True if each HTTP thread answers a request of our own within `timeout` nanoseconds. */
bool http_server_alive(struct http_server *server, uint64_t timeout);

/* Stops accepting, lets what is under way finish for `shutdown_timeout`, cuts the rest and ends the
 * threads. The lane must still run; the loader is stopped if a reload does not end. False if an
 * exchange is deferred even then, because the compute thread hangs: its HTTP thread cannot end. */
bool http_server_stop(struct http_server *server);

/* Accepts NULL; stops first. False, with nothing freed, when that could not be done. */
bool http_server_free(struct http_server *server);

#endif
