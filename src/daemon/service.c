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
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/credentials.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "http/server.h"

struct service {
    const struct daemon_options *options;
    struct registry *models;
    struct loader *loader;
    struct loader_job reload;
    bool reloading, again; /* the main thread's */
    int reloaded;          /* eventfd */
    struct statistics *statistics;
    struct lane *lane;
    struct http_server *server;
    atomic_bool stopping;
};

/* A model that is being read when the daemon ends gets so long: nanoseconds. */
static const uint64_t LOADER_PATIENCE = 2000000000;

static uint64_t nanoseconds(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

/* ---- What the HTTP server asks back ---- */

static bool is_ready(void *data) {
    struct service *service = data;
    enum registry_answer found;
    struct served_model *model = registry_acquire(service->models, NULL, 0, &found);
    served_model_release(model);
    return model != NULL && !service->stopping &&
           !lane_stalled(service->lane, nanoseconds(service->options->stall_timeout));
}

static size_t count_connections(void *data) {
    struct service *service = data;
    return service->server != NULL ? http_server_connections(service->server) : 0;
}

static void log_access(void *data, const struct http_access_entry *entry) {
    (void)data;
    const struct log_field fields[] = {{"method", entry->method, 0},
                                       {"path", entry->path, 0},
                                       {"route", entry->route, 0},
                                       {"status", NULL, entry->status},
                                       {"seconds", NULL, entry->seconds},
                                       {"bytes_in", NULL, (double)entry->bytes_in},
                                       {"bytes_out", NULL, (double)entry->bytes_out},
                                       {"peer", entry->peer, 0},
                                       {"client", entry->client, 0},
                                       {"id", entry->id, 0},
                                       {"trace", entry->trace, 0},
                                       {"model", entry->model, 0},
                                       {"version", NULL, entry->version},
                                       {"images", NULL, (double)entry->images},
                                       {"queue_seconds", NULL, entry->queue_seconds},
                                       {"compute_seconds", NULL, entry->compute_seconds}};
    const size_t all = sizeof fields / sizeof *fields;
    /* The last five are of a model. */
    log_event(LOG_LEVEL_INFO, "request", fields, entry->model[0] != '\0' ? all : all - 5);
}

static void log_http(void *data, enum http_log_level level, const char *text) {
    static const enum log_level levels[] = {[HTTP_LOG_ERROR] = LOG_LEVEL_ERROR,
                                            [HTTP_LOG_WARNING] = LOG_LEVEL_WARNING,
                                            [HTTP_LOG_INFO] = LOG_LEVEL_INFO,
                                            [HTTP_LOG_DEBUG] = LOG_LEVEL_DEBUG};
    (void)data;
    log_write(levels[level], "%s", text);
}

/* ---- Reloading ---- */

/* From the main thread or the loader's: files of secrets are small. */
static void reload_credentials(struct service *service, struct cn_error *error) {
    if (credentials_load(service->options, service->server, error) == CN_OK)
        return;
    statistics_add(service->statistics, STATISTICS_RELOADS_FAILED, 1);
    log_failure("reload failed, the old keys and certificates stay in use", error);
}

static void report_reload(struct service *service, const struct loader_job *job) {
    const struct registry_result *result = &job->result;
    const bool good = job->status == CN_OK;
    statistics_add(service->statistics, good ? STATISTICS_RELOADS_OK : STATISTICS_RELOADS_FAILED,
                   1);
    if (good)
        log_write(LOG_LEVEL_INFO, "reload done: %zu loaded, %zu unchanged, %zu gone",
                  result->loaded, result->unchanged, result->gone);
    else
        log_write(LOG_LEVEL_ERROR,
                  "reload failed, what was served before still is: %s%s%s (%zu loaded, "
                  "%zu unchanged, %zu refused, %zu gone)",
                  job->error.source, job->error.source[0] != '\0' ? ": " : "", job->error.text,
                  result->loaded, result->unchanged, result->refused, result->gone);
}

/* The end of an admin's reload, on the loader's thread. */
static void admin_reloaded(void *data, const struct loader_job *job, struct cn_error *error) {
    struct service *service = data;
    report_reload(service, job);
    reload_credentials(service, error);
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

static enum http_access metrics_access(const struct daemon_options *options) {
    static const enum http_access of[] = {[METRICS_ADMIN] = HTTP_ACCESS_ADMIN,
                                          [METRICS_CLIENT] = HTTP_ACCESS_CLIENT,
                                          [METRICS_PUBLIC] = HTTP_ACCESS_PUBLIC};
    return of[options->metrics_access];
}

/* All of them but the sockets. */
static struct http_server_options server_options(const struct daemon_options *options) {
    return (struct http_server_options){
        .routes = http_routes,
        .route_count = http_route_count,
        .addresses = options->address,
        .port = (int)options->port,
        .tls = options->tls_certificate[0] != '\0',
        .tls_addresses = options->tls_address,
        .tls_port = (int)options->tls_port,
        .admin_socket = options->admin_socket,
        .threads = options->http_threads > 0 ? (int)options->http_threads : cn_default_threads(),
        .max_connections = (size_t)options->max_connections,
        .max_connections_per_address = (size_t)options->max_connections_per_address,
        .max_body = (size_t)options->max_body,
        .max_header = (size_t)options->max_header,
        .max_header_fields = (size_t)options->max_header_fields,
        .least_rate = (size_t)options->least_rate,
        .metrics_access = metrics_access(options),
        .cors_origin = options->cors_origin,
        .header_timeout = nanoseconds(options->header_timeout),
        .body_timeout = nanoseconds(options->body_timeout),
        .idle_timeout = nanoseconds(options->idle_timeout),
        .write_timeout = nanoseconds(options->write_timeout),
        .shutdown_timeout = nanoseconds(options->shutdown_timeout),
        .log_access =
            options->access_log || options->log_level == LOG_LEVEL_DEBUG ? log_access : NULL,
        .log = log_http};
}

static void report(void *data, const struct registry_event *event) {
    (void)data;
    switch (event->kind) {
    case REGISTRY_EVENT_LOADED:
        log_write(LOG_LEVEL_INFO,
                  "model %s version %u loaded from %s, sha256 %.16s, %.1f us an image, %s kernels",
                  event->name, event->version, event->path, event->model->model->sha256,
                  event->model->image_seconds * 1e6, cn_instruction_set());
        break;
    case REGISTRY_EVENT_REFUSED:
        log_write(LOG_LEVEL_ERROR, "model file %s refused: %s", event->path, event->error->text);
        break;
    case REGISTRY_EVENT_UNLOADED:
        log_write(LOG_LEVEL_INFO, "model %s version %u unloaded", event->name, event->version);
        break;
    case REGISTRY_EVENT_GONE:
        log_write(LOG_LEVEL_INFO, "model %s version %u is no longer served: its file %s is gone",
                  event->name, event->version, event->path);
        break;
    case REGISTRY_EVENT_DEFAULT:
        if (event->name[0] != '\0')
            log_write(LOG_LEVEL_INFO, "requests that name no model get %s", event->name);
        else
            log_write(LOG_LEVEL_WARNING, "no model is left to serve");
        break;
    }
}

/* What the registry needs, from the options. */
static struct registry_options registry_options(const struct daemon_options *options,
                                                size_t slots) {
    const bool folder = options->model_dir[0] != '\0';
    return (struct registry_options){
        .file = folder ? NULL : options->model,
        .folder = folder ? options->model_dir : NULL,
        .default_model = options->default_model[0] != '\0' ? options->default_model : NULL,
        .slots = slots,
        .report = report};
}

static int lane_threads(const struct daemon_options *options) {
    return options->threads > 0 ? (int)options->threads : cn_default_threads();
}

/* The HTTP threads' slots come first, then the lane's. */
static size_t first_lane_slot(const struct daemon_options *options) {
    const struct http_server_options server = server_options(options);
    return http_server_threads(&server);
}

static enum cn_status load_models(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    const size_t slots = first_lane_slot(options) + (size_t)lane_threads(options);
    const struct registry_options registry = registry_options(options, slots);
    service->reloaded = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (service->reloaded < 0)
        return cn_fail(error, CN_IO, "cannot make an eventfd: %s", strerror(errno));
    enum cn_status status = registry_create(&registry, &service->models, error);
    if (status == CN_OK)
        status = loader_create(service->models, &service->loader, error);
    return status;
}

/* On the compute thread. */
static void count_execution(void *data, const struct served_model *model, size_t images,
                            double seconds) {
    (void)data;
    (void)seconds;
    statistics_observe(model->statistics, STATISTICS_BATCH_IMAGES, (double)images);
}

static enum cn_status start_lane(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    const struct lane_options lane = {.queue_images = (size_t)options->queue_images,
                                      .batch_images = (size_t)options->batch_images,
                                      .delay_nanoseconds =
                                          nanoseconds(options->batch_delay_ms * 1e-3),
                                      .threads = lane_threads(options),
                                      .first_slot = first_lane_slot(options),
                                      .executed = count_execution};
    return lane_create(&lane, &service->lane, error);
}

static enum cn_status create_server(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    struct http_listener listeners[16];
    const struct http_context context = {
        .models = service->models,
        .loader = service->loader,
        .lane = service->lane,
        .statistics = service->statistics,
        .max_images = (size_t)options->max_images,
        .picture_limits = {(int)options->max_picture, (int)options->max_picture},
        .inline_seconds = options->inline_us * 1e-6,
        .request_timeout_nanoseconds = nanoseconds(options->request_timeout),
        .queue_images = (size_t)options->queue_images,
        .triton_metrics = options->triton_metrics,
        .ready = is_ready,
        .connections = count_connections,
        .reloaded = admin_reloaded,
        .data = service};
    struct http_server_options server = server_options(options);
    server.listeners = listeners;
    server.listener_count = notify_listeners(listeners, sizeof listeners / sizeof *listeners);
    return http_server_create(&server, &context, &service->server, error);
}

/* Of sockets that were passed; those of the options have been checked with them. */
static enum cn_status check_exposure(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    const bool asks = options->insecure || options->api_keys_file[0] != '\0';
    if (!asks && http_server_is_exposed(service->server, options->tls_client_ca[0] == '\0'))
        return cn_fail(error, CN_INVALID,
                       "a socket that was passed is reachable from other machines and nobody would "
                       "be asked who they are: set api-keys-file, or say insecure = yes");
    return CN_OK;
}

enum cn_status service_start(const struct daemon_options *options, struct service **ret_service,
                             struct cn_error *error) {
    struct service *service = calloc(1, sizeof *service);
    enum cn_status status = CN_MEMORY;
    if (service == NULL)
        goto out;
    service->options = options;
    service->reloaded = -1;
    service->statistics = statistics_create();
    if (service->statistics == NULL)
        goto out;
    raise_descriptor_limit(options);
    status = load_models(service, error);
    if (status == CN_OK)
        status = start_lane(service, error);
    if (status == CN_OK)
        status = create_server(service, error);
    if (status == CN_OK)
        status = check_exposure(service, error);
    if (status == CN_OK)
        status = credentials_load(options, service->server, error);
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

/* ---- Reloading by signal ---- */

/* On the loader's thread. */
static void reload_done(struct loader_job *job) {
    struct service *service = job->data;
    report_reload(service, job);
    (void)eventfd_write(service->reloaded, 1);
}

void service_reload(struct service *service) {
    struct cn_error error = {0};
    reload_credentials(service, &error);
    service->again = service->reloading;
    if (service->reloading)
        return;
    service->reload =
        (struct loader_job){.action = LOADER_RELOAD, .done = reload_done, .data = service};
    service->reloading = loader_submit(service->loader, &service->reload);
}

int service_reload_fd(const struct service *service) {
    return service->reloaded;
}

bool service_reloaded(struct service *service) {
    eventfd_t ended = 0;
    if (eventfd_read(service->reloaded, &ended) != 0)
        return false;
    service->reloading = false;
    if (!service->again)
        return true;
    service_reload(service);
    return false;
}

enum cn_status service_check(const struct daemon_options *options, struct cn_error *error) {
    struct registry *models = NULL;
    struct registry_options registry = registry_options(options, 1);
    if (registry.folder == NULL)
        registry.report = NULL; /* the error says the same */
    const enum cn_status status = registry_create(&registry, &models, error);
    size_t count = 0, ready = 0;
    if (status != CN_OK)
        return status;
    struct registry_row *rows = registry_list(models, &count);
    for (size_t i = 0; i < count; i++)
        ready += rows[i].model != NULL;
    registry_list_free(rows, count);
    registry_free(models);
    if (credentials_load(options, NULL, error) != CN_OK)
        return error->status;
    if (ready < count)
        return cn_fail(error, CN_INVALID, "%zu of %zu models were refused", count - ready, count);
    printf("OK: configuration, and %zu model%s\n", count, count == 1 ? "" : "s");
    return CN_OK;
}

void service_describe(struct service *service, char *text, size_t size) {
    enum registry_answer found;
    struct served_model *model = registry_acquire(service->models, NULL, 0, &found);
    char where[800];
    http_server_describe(service->server, where, sizeof where);
    (void)snprintf(text, size, "listening on %s with model %s", where,
                   model != NULL ? model->name : "none");
    served_model_release(model);
}

void service_begin_stop(struct service *service) {
    service->stopping = true;
}

bool service_alive(struct service *service, uint64_t timeout) {
    return !lane_stalled(service->lane, nanoseconds(service->options->stall_timeout)) &&
           lane_alive(service->lane, timeout / 2) &&
           http_server_alive(service->server, timeout / 2);
}

void service_free(struct service *service) {
    if (service == NULL)
        return;
    service->stopping = true;
    http_server_free(service->server); /* before the lane, which finishes its requests */
    lane_free(service->lane);
    if (service->loader != NULL && !loader_stop(service->loader, LOADER_PATIENCE)) {
        log_write(LOG_LEVEL_WARNING, "a model is still being read; it is not waited for");
        return; /* its thread goes on to use the rest until the process ends */
    }
    loader_free(service->loader);
    registry_free(service->models);
    statistics_free(service->statistics);
    if (service->reloaded >= 0)
        (void)close(service->reloaded);
    free(service);
}
