/* server_private.h: what the server's own files share. */
#ifndef CONVNET_HTTP_SERVER_PRIVATE_H
#define CONVNET_HTTP_SERVER_PRIVATE_H

#include "http/acceptor.h"
#include "http/reaper.h"
#include "http/reception.h"
#include "http/server.h"
#include "http/worker.h"

/* A server that stops waits so long for the head of a connection that never sent one: nanoseconds.
 */
enum { HTTP_DRAIN_HEAD_TIME = 250000000 };

struct http_server {
    struct http_server_options options;
    struct http_context context;
    struct http_connections connections;
    struct http_reaper reaper;
    struct http_acceptor acceptor;
    struct http_worker *workers;
    size_t worker_count, workers_started;
    size_t plain_count;         /* of the workers: those from here on speak TLS, but for the last */
    struct http_worker *probes; /* the last: answers routes that are probes, nothing else */
    struct http_reception reception;
    bool tables; /* connections are initialised */
    bool started;
    pthread_rwlock_t secrets_lock;
    struct http_keys *keys; /* NULL: no request needs one */
    struct http_tls *tls;   /* of new connections */
    atomic_size_t deferred; /* exchanges whose answer is awaited from elsewhere */
    atomic_bool draining;
    /* libmicrohttpd keeps heads in memory as framing.h says; found out at start. */
    atomic_bool positions;
};

void http_server_log(const struct http_server *server, enum http_log_level level,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

/* libmicrohttpd's callbacks (access.c). `cls` is the struct http_worker. */
void *http_access_target(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result http_access(void *cls, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload_data,
                            size_t *upload_data_size, void **con_cls);
void http_access_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                           enum MHD_RequestTerminationCode code);
void http_access_notify(void *cls, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

/* What a transfer of so many bytes may take at the least rate: nanoseconds. */
static inline uint64_t http_server_transfer_time(const struct http_server *server, size_t bytes) {
    return (uint64_t)((double)bytes * 1e9 / (double)server->options.least_rate);
}

/* Opens what the options name, or takes what they pass (listeners.c). */
enum cn_status http_server_open_listeners(struct http_server *server, struct cn_error *error);

/* True if the request may have the route; else it has been refused (authorize.c). */
bool http_authorize(struct http_request *request, const struct http_route *route);

/* Images of the request whose head has come and whose body has `length` bytes, if the batch lane
 * would refuse them now; else 0 (admission.c). */
size_t http_admission_refused(const struct http_exchange *exchange, size_t length);

/* Sends one request of the server's own to a worker and reads the answer's status: 0 for none
 * within `timeout` nanoseconds, -1 when the connection was ended without one, which is what a
 * worker with TLS does (self_request.c). */
int http_self_request(struct http_server *server, struct http_worker *worker, const char *request,
                      uint64_t timeout);

#endif
