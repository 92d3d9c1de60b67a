/* server.c: creates the HTTP server from its parts (acceptor, workers, timeouts), starts it and
 * stops it without losing a request. Its functions are for one owner thread, except for those
 * marked thread-safe in server.h. */
#include "http/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "http/listen.h"
#include "http/self_test.h"
#include "http/server_private.h"
#include "serving/preparer.h"

/* Parts of a shutdown, in nanoseconds. `last_answers`: the end of its time, in which the answers
 * that say that the server is stopping are sent. `last_batch`: after its time, for the batch that
 * the compute thread had begun for clients that were disconnected. */
static const uint64_t last_answers = 200 * CN_MILLISECOND, last_batch = 2 * CN_SECOND;

void http_server_log(const struct http_server *server, enum http_log_level level,
                     const char *format, ...) {
    char text[1600];
    va_list arguments;
    if (server->options.log == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    server->options.log(server->options.log_data, level, text);
}

static size_t asked_threads(const struct http_server_options *options) {
    return options->threads > 1 ? (size_t)options->threads : 1;
}

static size_t threads_of_a_kind(const struct http_server_options *options) {
    const size_t asked = asked_threads(options);
    const size_t connections = options->max_connections + HTTP_ADMIN_CONNECTIONS;
    const size_t needed = (connections + HTTP_WORKER_CONNECTIONS - 1) / HTTP_WORKER_CONNECTIONS;
    return needed > asked ? needed : asked;
}

size_t http_server_threads(const struct http_server_options *options) {
    return threads_of_a_kind(options) * (options->tls ? 2 : 1) + 1; /* and one for probes */
}

enum cn_status http_server_create(const struct http_server_options *options,
                                  const struct http_context *context,
                                  struct http_server **ret_server, struct cn_error *error) {
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a server");
    server->options = *options;
    server->context = *context;
    server->head_limits = (struct http_stream_limits){.bytes = options->max_header,
                                                      .fields = options->max_header_fields};
    (void)pthread_rwlock_init(&server->secrets_lock, NULL);
    server->plain_count = threads_of_a_kind(options);
    server->worker_count = http_server_threads(options);
    enum cn_status status = http_listen_open(server, error);
    if (status != CN_OK)
        goto out;
    server->tables = true;
    server->allowed_hosts = options->allowed_hosts != NULL ? options->allowed_hosts : "none";
    if (strcmp(server->allowed_hosts, "none") == 0 && http_server_is_exposed(server, true))
        server->allowed_hosts = "*";
    status =
        http_connections_init(&server->connections, options->max_connections,
                              options->max_connections_per_address, asked_threads(options), error);
    if (status != CN_OK)
        goto out;
    server->workers = calloc(server->worker_count, sizeof *server->workers);
    if (server->workers == NULL) {
        status = cn_fail(error, CN_MEMORY, "no memory for %zu threads", server->worker_count);
        goto out;
    }
    server->probes = &server->workers[server->worker_count - 1];
    *ret_server = server;
    server = NULL;
out:
    (void)http_server_free(server);
    return status;
}

/* Checks that libmicrohttpd receives through intake.c: a head that bypasses it is refused with 500.
 */
static enum cn_status test_intake(struct http_server *server, struct cn_error *error) {
    static const char sound[] = "GET /.self HTTP/1.1\r\nHost: self\r\n\r\n";
    static const char broken[] = "GET /.self HTTP/1.1\r\nHost: self\r\nContent-Length: +3\r\n\r\n";
    struct http_worker *worker = &server->workers[0];
    if (http_self_test_request(server, worker, sound, 5 * CN_SECOND) == 404 &&
        http_self_test_request(server, worker, broken, 5 * CN_SECOND) == 400)
        return CN_OK;
    return cn_fail(
        error, CN_UNSUPPORTED,
        "libmicrohttpd %s does not receive through this program's own recv: no head could "
        "be checked",
        MHD_get_version());
}

static uint64_t shortest_timeout(const struct http_server_options *options) {
    const uint64_t timeouts[] = {options->header_timeout, options->body_timeout,
                                 options->idle_timeout, options->write_timeout};
    uint64_t shortest = timeouts[0];
    for (size_t i = 1; i < sizeof timeouts / sizeof *timeouts; i++)
        shortest = timeouts[i] < shortest ? timeouts[i] : shortest;
    return shortest;
}

enum cn_status http_server_start(struct http_server *server, struct cn_error *error) {
    enum cn_status status = http_timeouts_start(&server->timeouts, &server->connections,
                                                shortest_timeout(&server->options), error);
    server->started = status == CN_OK;
    while (status == CN_OK && server->workers_started < server->worker_count) {
        struct http_worker *worker = &server->workers[server->workers_started];
        worker->tls = server->workers_started >= server->plain_count && worker != server->probes;
        status = http_worker_start(worker, server, error);
        server->workers_started += status == CN_OK;
    }
    if (status == CN_OK)
        status = test_intake(server, error);
    if (status == CN_OK)
        status = http_acceptor_start(&server->acceptor, server, error);
    return status;
}

void http_server_set_keys(struct http_server *server, struct http_keys *keys) {
    (void)pthread_rwlock_wrlock(&server->secrets_lock);
    struct http_keys *old = server->keys;
    server->keys = keys;
    (void)pthread_rwlock_unlock(&server->secrets_lock);
    http_keys_free(old);
}

void http_server_set_tls(struct http_server *server, struct http_tls *tls) {
    (void)pthread_rwlock_wrlock(&server->secrets_lock);
    struct http_tls *old = server->tls;
    server->tls = tls;
    (void)pthread_rwlock_unlock(&server->secrets_lock);
    const long long end = tls != NULL ? http_tls_expiry(tls) : 0;
    statistics_set_certificate_end(server->context.statistics, end > 0 ? (uint64_t)end : 0);
    http_tls_release(old);
}

size_t http_server_connections(struct http_server *server) {
    (void)pthread_mutex_lock(&server->connections.mutex);
    size_t count = server->connections.clients;
    (void)pthread_mutex_unlock(&server->connections.mutex);
    return count;
}

bool http_server_alive(struct http_server *server, uint64_t timeout) {
    static const char request[] = "GET /.self HTTP/1.1\r\nHost: self\r\n\r\n";
    uint64_t deadline = cn_clock_nanoseconds() + timeout;
    for (size_t i = 0; i < server->workers_started; i++) {
        uint64_t now = cn_clock_nanoseconds();
        if (now >= deadline ||
            http_self_test_request(server, &server->workers[i], request, deadline - now) == 0)
            return false;
    }
    return true;
}

/* Waits until no connection is left, or until the deadline. */
static void wait_for_connections(struct http_connections *connections, uint64_t deadline) {
    bool waiting = true;
    (void)pthread_mutex_lock(&connections->mutex);
    while (connections->count > 0 && waiting)
        waiting = cn_condition_wait(&connections->changed, &connections->mutex, deadline);
    (void)pthread_mutex_unlock(&connections->mutex);
}

/* False if exchanges are still deferred at `deadline`. */
static bool wait_for_deferred(struct http_server *server, uint64_t deadline) {
    while (server->deferred > 0 && cn_clock_nanoseconds() < deadline)
        nanosleep(&(struct timespec){.tv_nsec = CN_MILLISECOND}, NULL);
    return server->deferred == 0;
}

static bool server_stop(struct http_server *server) {
    if (!server->started)
        return server->deferred == 0;
    server->started = false;
    const uint64_t now = cn_clock_nanoseconds(), time = server->options.shutdown_timeout;
    const uint64_t deadline = now + time;
    server->draining = true;
    http_acceptor_stop(&server->acceptor);
    http_timeouts_drain(&server->timeouts, now + HTTP_DRAIN_HEAD_TIME, deadline);
    wait_for_connections(&server->connections,
                         deadline - (time / 4 < last_answers ? time / 4 : last_answers));
    if (server->deferred > 0) { /* perhaps because of a disk that hangs, or large pictures: their
                                   clients are answered */
        (void)loader_stop(server->context.loader, 0);
        if (server->context.preparer != NULL)
            preparer_cancel(server->context.preparer);
    }
    wait_for_connections(&server->connections, deadline);
    /* The remaining connections are cut. Deferred exchanges must be resumed first, or libmicrohttpd
     * aborts the process. */
    http_timeouts_drain(&server->timeouts, 1, 1);
    if (!wait_for_deferred(server, deadline + last_batch))
        return false;
    for (size_t i = 0; i < server->workers_started; i++)
        http_worker_stop(&server->workers[i]);
    server->workers_started = 0;
    http_timeouts_stop(&server->timeouts);
    return true;
}

bool http_server_free(struct http_server *server) {
    if (server == NULL)
        return true;
    if (!server_stop(server))
        return false;
    http_acceptor_stop(&server->acceptor);
    if (server->tables)
        http_connections_clear(&server->connections);
    http_listen_unlink(&server->acceptor);
    http_keys_free(server->keys);
    http_tls_release(server->tls);
    (void)pthread_rwlock_destroy(&server->secrets_lock);
    free(server->workers);
    free(server);
    return true;
}
