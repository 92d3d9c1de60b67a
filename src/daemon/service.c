/* service.c: starts the daemon's parts in the order in which they need each other and ends them in
 * the opposite one. Owns no thread; used by the main thread, but for the callbacks, which only
 * read.
 */
#include "daemon/service.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "http/server.h"

struct service {
    const struct daemon_options *options;
    struct model_slot *models;
    struct statistics *statistics;
    struct lane *lane;
    struct http_server *server;
    atomic_bool stopping;
};

static uint64_t nanoseconds(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

/* ---- What the HTTP server asks back ---- */

static bool is_ready(void *data) {
    struct service *service = data;
    struct served_model *model = model_slot_acquire(service->models);
    served_model_release(model);
    return model != NULL && !service->stopping;
}

static size_t count_connections(void *data) {
    struct service *service = data;
    return service->server != NULL ? http_server_connections(service->server) : 0;
}

static void log_http(void *data, enum http_log_level level, const char *text) {
    static const enum log_level levels[] = {[HTTP_LOG_ERROR] = LOG_LEVEL_ERROR,
                                            [HTTP_LOG_WARNING] = LOG_LEVEL_WARNING,
                                            [HTTP_LOG_INFO] = LOG_LEVEL_INFO,
                                            [HTTP_LOG_DEBUG] = LOG_LEVEL_DEBUG};
    (void)data;
    log_write(levels[level], "%s", text);
}

/* ---- Starting ---- */

/* One descriptor for each connection, two for each HTTP thread, and some for files and listeners.
 */
static void raise_descriptor_limit(const struct daemon_options *options) {
    struct rlimit limit;
    rlim_t needed = (rlim_t)(options->max_connections + options->max_connections / 32 +
                             2 * options->http_threads + 256);
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed)
        log_write(LOG_LEVEL_WARNING,
                  "max-connections %lld needs %llu file descriptors, the limit is %llu: more "
                  "connections will be refused",
                  options->max_connections, (unsigned long long)needed,
                  (unsigned long long)limit.rlim_cur);
}

static enum cn_status load_model(struct service *service, struct cn_error *error) {
    struct served_model *model = NULL;
    enum cn_status status = served_model_load(service->options->model, &model, error);
    if (status != CN_OK)
        return status;
    log_write(LOG_LEVEL_INFO, "model %s loaded from %s, sha256 %.16s, %.1f us an image, %s kernels",
              model->name, service->options->model, model->model->sha256,
              model->image_seconds * 1e6, cn_instruction_set());
    model_slot_swap(service->models, model);
    return CN_OK;
}

static enum cn_status start_lane(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    const struct lane_options lane = {
        .queue_images = (size_t)options->queue_images,
        .batch_images = (size_t)options->batch_images,
        .delay_nanoseconds = nanoseconds(options->batch_delay_ms * 1e-3),
        .threads = options->threads > 0 ? (int)options->threads : cn_default_threads()};
    return lane_create(&lane, &service->lane, error);
}

static enum cn_status create_server(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    int listeners[8];
    const struct http_context context = {
        .models = service->models,
        .lane = service->lane,
        .statistics = service->statistics,
        .max_images = (size_t)options->max_images,
        .picture_limits = {(int)options->max_picture, (int)options->max_picture},
        .inline_seconds = options->inline_us * 1e-6,
        .request_timeout_nanoseconds = nanoseconds(options->request_timeout),
        .ready = is_ready,
        .connections = count_connections,
        .data = service};
    const struct http_server_options server = {
        .routes = http_routes,
        .route_count = http_route_count,
        .addresses = options->address,
        .port = (int)options->port,
        .listeners = listeners,
        .listener_count = notify_listeners(listeners, sizeof listeners / sizeof *listeners),
        .threads = options->http_threads > 0 ? (int)options->http_threads : cn_default_threads(),
        .max_connections = (size_t)options->max_connections,
        .max_connections_per_address = (size_t)options->max_connections_per_address,
        .max_body = (size_t)options->max_body,
        .cors_origin = options->cors_origin,
        .header_timeout = nanoseconds(options->header_timeout),
        .body_timeout = nanoseconds(options->body_timeout),
        .idle_timeout = nanoseconds(options->idle_timeout),
        .write_timeout = nanoseconds(options->write_timeout),
        .shutdown_timeout = nanoseconds(options->shutdown_timeout),
        .log_requests = options->log_level == LOG_LEVEL_DEBUG,
        .log = log_http};
    return http_server_create(&server, &context, &service->server, error);
}

enum cn_status service_start(const struct daemon_options *options, struct service **ret_service,
                             struct cn_error *error) {
    struct service *service = calloc(1, sizeof *service);
    enum cn_status status = CN_MEMORY;
    if (service == NULL)
        goto out;
    service->options = options;
    service->models = model_slot_create();
    service->statistics = statistics_create();
    if (service->models == NULL || service->statistics == NULL)
        goto out;
    raise_descriptor_limit(options);
    status = load_model(service, error);
    if (status == CN_OK)
        status = start_lane(service, error);
    if (status == CN_OK)
        status = create_server(service, error);
    if (status == CN_OK)
        status = http_server_start(service->server, error);
    if (status != CN_OK)
        goto out;
    *ret_service = service;
    service = NULL;
out:
    if (status == CN_MEMORY)
        cn_fail(error, CN_MEMORY, "no memory to start");
    service_free(service);
    return status;
}

enum cn_status service_reload(struct service *service, struct cn_error *error) {
    enum cn_status status = load_model(service, error);
    statistics_add(service->statistics,
                   status == CN_OK ? STATISTICS_RELOADS_OK : STATISTICS_RELOADS_FAILED, 1);
    return status;
}

void service_describe(struct service *service, char *text, size_t size) {
    struct served_model *model = model_slot_acquire(service->models);
    const char *address = service->options->address;
    bool bare_v6 = strchr(address, ':') != NULL && strchr(address, ',') == NULL;
    (void)snprintf(text, size, "listening on http://%s%s%s:%d with model %s", bare_v6 ? "[" : "",
                   address, bare_v6 ? "]" : "", http_server_port(service->server),
                   model != NULL ? model->name : "none");
    served_model_release(model);
}

bool service_alive(struct service *service, uint64_t timeout) {
    return http_server_alive(service->server, timeout);
}

void service_free(struct service *service) {
    if (service == NULL)
        return;
    service->stopping = true;
    http_server_free(service->server); /* before the lane, which finishes its requests */
    lane_free(service->lane);
    model_slot_free(service->models);
    statistics_free(service->statistics);
    free(service);
}
