/* server_private.h: types and constants that the server's files share. */
#ifndef CONVNET_HTTP_SERVER_PRIVATE_H
#define CONVNET_HTTP_SERVER_PRIVATE_H

#include "http/acceptor.h"
#include "http/first_bytes.h"
#include "http/server.h"
#include "http/timeouts.h"
#include "http/worker.h"

/* How long a stopping server waits for the head on a connection that never sent one, in
 * nanoseconds. */
#define HTTP_DRAIN_HEAD_TIME (250 * CN_MILLISECOND)

/* The body of every error begins with this; SHUTTING_DOWN is a whole one that needs no request. */
#define HTTP_ERROR_BEGIN "{\"error\": "
#define HTTP_ERROR_END   "}\n"
#define HTTP_ERROR(text) HTTP_ERROR_BEGIN "\"" text "\"" HTTP_ERROR_END

struct http_server {
    struct http_server_options options;
    struct http_context context;
    struct http_stream_limits head_limits;
    const char *allowed_hosts; /* the option with its default resolved; "*" for any */
    struct http_connections connections;
    struct http_timeouts timeouts;
    struct http_acceptor acceptor;
    struct http_worker *workers;
    size_t worker_count, workers_started;
    size_t plain_count;         /* workers from this index on use TLS, except for the last */
    struct http_worker *probes; /* the last worker: answers probes and nothing else */
    struct http_first_bytes first_bytes;
    bool tables; /* connections are initialised */
    bool started;
    pthread_rwlock_t secrets_lock;
    struct http_keys *keys; /* NULL: requests need no key */
    struct http_tls *tls;   /* for new connections */
    atomic_size_t deferred; /* exchanges that wait for another thread's answer */
    atomic_bool draining;
};

void http_server_log(const struct http_server *server, enum http_log_level level,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The time for transferring this many bytes at the least rate, in nanoseconds. */
static inline uint64_t http_server_transfer_time(const struct http_server *server, size_t bytes) {
    return (uint64_t)((double)bytes * 1e9 / (double)server->options.least_rate);
}

#endif
