/* service.c: starts the daemon's parts in the order of their dependencies and ends them in reverse;
 * reloads them; logs what they report. Owns no thread; used by the main thread, except for
 * the callbacks, which only read. */
#include "daemon/service.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/atomics.h"
#include "base/budget.h"
#include "base/time.h"
#include "daemon/credentials.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "http/listen.h"
#include "http/server.h"
#include "serving/preparer.h"

struct service {
    const struct daemon_options *options;
    struct registry *models;
    struct loader *loader;
    struct loader_job reload;
    bool reloading, again; /* used by the main thread only */
    int reloaded;          /* eventfd */
    struct statistics *statistics;
    struct lane *lane;
    struct preparer *preparer;
    struct cn_budget budget;
    struct http_server *server;
    atomic_bool stopping;
    char where[800]; /* the addresses of the listeners */
    pthread_mutex_t note_mutex;
    char note[CN_ERROR_SOURCE + 2 +
              CN_ERROR_TEXT]; /* the fault of the last reload, with its file; "": none */
};

/* ---- Status ---- */

void service_describe(struct service *service, char *text, size_t size) {
    enum registry_answer found;
    struct served_model *model = registry_acquire(service->models, NULL, 0, &found);
    (void)pthread_mutex_lock(&service->note_mutex);
    (void)snprintf(text, size, "listening on %s with model %s%s%s", service->where,
                   model != NULL ? model->name : "none",
                   service->note[0] != '\0' ? "; the last reload was refused: " : "",
                   service->note);
    (void)pthread_mutex_unlock(&service->note_mutex);
    served_model_release(model);
}

/* Keeps the first fault of a reload for service_describe; NULL begins a new reload. Thread-safe. */
static void service_note(struct service *service, const struct cn_error *error) {
    (void)pthread_mutex_lock(&service->note_mutex);
    if (error == NULL)
        service->note[0] = '\0';
    else if (service->note[0] == '\0' && error->status != CN_OK)
        (void)snprintf(service->note, sizeof service->note, "%s%s%s", error->source,
                       error->source[0] != '\0' ? ": " : "", error->text);
    (void)pthread_mutex_unlock(&service->note_mutex);
}

/* ---- Log lines of requests, models and reloads: on any thread ---- */

static void service_log_access(void *data, const struct http_access_entry *entry) {
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
    /* The last five fields concern a model. */
    log_event(LOG_LEVEL_INFO, "request", fields, entry->model[0] != '\0' ? all : all - 5);
}

static void service_log_http(void *data, enum http_log_level level, const char *text) {
    static const enum log_level levels[] = {[HTTP_LOG_ERROR] = LOG_LEVEL_ERROR,
                                            [HTTP_LOG_WARNING] = LOG_LEVEL_WARNING,
                                            [HTTP_LOG_INFO] = LOG_LEVEL_INFO,
                                            [HTTP_LOG_DEBUG] = LOG_LEVEL_DEBUG};
    (void)data;
    log_write(levels[level], "%s", text);
}

/* The warning about a file without a checksum was written. */
static atomic_bool unsealed_said;

static void service_log_models(void *data, const struct registry_event *event) {
    (void)data;
    switch (event->kind) {
    case REGISTRY_EVENT_LOADED:
        log_write(LOG_LEVEL_INFO,
                  "model %s version %u loaded from %s, sha256 %.16s, %.1f us per image, %s kernels",
                  event->name, event->version, event->path, event->model->model->sha256,
                  event->model->image_seconds * 1e6, cn_instruction_set());
        if (!event->model->model->sealed && !atomic_exchange(&unsealed_said, true))
            log_write(LOG_LEVEL_WARNING,
                      "model file %s has no checksum, so damage may go undetected; convnet "
                      "edit writes it with one (said once for all such files)",
                      event->path);
        break;
    case REGISTRY_EVENT_REFUSED:
        log_write_each(LOG_LEVEL_ERROR, "model file %s refused: %s", event->path,
                       event->error->text);
        break;
    case REGISTRY_EVENT_MORE:
        log_write(LOG_LEVEL_ERROR, "%zu model files more were refused", event->count);
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
            log_write(LOG_LEVEL_INFO, "requests without a model name use %s", event->name);
        else
            log_write(LOG_LEVEL_WARNING, "no model is left to serve");
        break;
    }
}

/* Counts a reload of the models and logs its result. */
static void service_log_reload(struct service *service, const struct loader_job *job) {
    const struct registry_result *result = &job->result;
    const bool good = job->status == CN_OK;
    statistics_add(service->statistics, good ? STATISTICS_RELOADS_OK : STATISTICS_RELOADS_FAILED,
                   1);
    if (good)
        log_write(LOG_LEVEL_INFO, "reload done: %zu loaded, %zu unchanged, %zu gone",
                  result->loaded, result->unchanged, result->gone);
    else
        service_note(service, &job->error);
    if (!good)
        log_write(LOG_LEVEL_ERROR,
                  "reload failed, the models in use stay the same: %s%s%s (%zu loaded, "
                  "%zu unchanged, %zu refused, %zu gone)",
                  job->error.source, job->error.source[0] != '\0' ? ": " : "", job->error.text,
                  result->loaded, result->unchanged, result->refused, result->gone);
}

/* ---- Reload, on a signal or on an admin's call ----
 * The loader's thread reads models, one reload at a time; the rest is read at once. A part that
 * fails keeps its old value. Used by the main thread, except where a comment names the loader's. */

/* Called on the main thread or the loader's, since these files are small. */
static void reload_credentials(struct service *service, struct cn_error *error) {
    if (credentials_load(service->options, service->server, error) != CN_OK) {
        statistics_add(service->statistics, STATISTICS_RELOADS_FAILED, 1);
        log_failure("reload failed, the old keys and certificates stay in use", error);
    } else if (options_check_unchanged(service->options, error) != CN_OK) {
        log_failure("a reload does not change options", error);
    }
    service_note(service, error);
}

/* Shows the service manager what is served and the fault of the last reload. */
static void show_status(struct service *service) {
    char text[1200];
    service_describe(service, text, sizeof text);
    notify_status(text);
}

/* Called on the loader's thread at the end of a client's reload. */
static void service_admin_reloaded(void *data, const struct loader_job *job,
                                   struct cn_error *error) {
    struct service *service = data;
    service_note(service, NULL);
    service_log_reload(service, job);
    reload_credentials(service, error);
    show_status(service);
}

/* Called on the loader's thread. */
static void reload_done(struct loader_job *job) {
    struct service *service = job->data;
    service_log_reload(service, job);
    (void)eventfd_write(service->reloaded, 1);
}

void service_reload(struct service *service) {
    struct cn_error error = {0};
    service_note(service, NULL);
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

/* How long the end waits for a model that is still being read after all else has ended, in
 * nanoseconds: at most LOADER_PATIENCE, within shutdown-timeout, but at least LEAST_PATIENCE. */
static const uint64_t LOADER_PATIENCE = 2000000000, LEAST_PATIENCE = 100000000;

/* ---- Callbacks of the HTTP server ---- */

static bool is_ready(void *data) {
    struct service *service = data;
    enum registry_answer found;
    struct served_model *model = registry_acquire(service->models, NULL, 0, &found);
    served_model_release(model);
    return model != NULL && !service->stopping &&
           !lane_stalled(service->lane, cn_nanoseconds(service->options->stall_timeout));
}

static size_t count_connections(void *data) {
    struct service *service = data;
    return service->server != NULL ? http_server_connections(service->server) : 0;
}

/* ---- Starting ---- */

/* One descriptor per connection, two per HTTP thread, and some for files and listeners. */
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

/* All options of the server except the sockets. */
static struct http_server_options server_options(const struct daemon_options *options) {
    return (struct http_server_options){
        .routes = api_routes,
        .route_count = api_route_count,
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
        .allowed_hosts = options->allowed_hosts,
        .header_timeout = cn_nanoseconds(options->header_timeout),
        .body_timeout = cn_nanoseconds(options->body_timeout),
        .idle_timeout = cn_nanoseconds(options->idle_timeout),
        .write_timeout = cn_nanoseconds(options->write_timeout),
        .shutdown_timeout = cn_nanoseconds(options->shutdown_timeout),
        .log_access = options->access_log || options->log_level == LOG_LEVEL_DEBUG
                          ? service_log_access
                          : NULL,
        .log = service_log_http};
}

/* The registry's options. */
static struct registry_options registry_options(const struct daemon_options *options,
                                                size_t slots) {
    const bool folder = options->model_dir[0] != '\0';
    return (struct registry_options){
        .file = folder ? NULL : options->model_file,
        .folder = folder ? options->model_dir : NULL,
        .default_model = options->default_model[0] != '\0' ? options->default_model : NULL,
        .slots = slots,
        .trusted_keys = options->trusted_keys[0] != '\0' ? options->trusted_keys : NULL,
        .report = service_log_models};
}

static int lane_threads(const struct daemon_options *options) {
    return options->threads > 0 ? (int)options->threads : cn_default_threads();
}

/* The first slots belong to the HTTP threads, the next ones to the lane. */
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

/* Called on the compute thread. */
static void count_execution(void *data, const struct served_model *model, size_t images,
                            double seconds) {
    (void)data;
    (void)seconds;
    statistics_observe(model->statistics, STATISTICS_BATCH_IMAGES, (double)images);
}

static enum cn_status start_lanes(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    const struct lane_options lane = {.queue_images = (size_t)options->queue_images,
                                      .batch_images = (size_t)options->batch_images,
                                      .delay_nanoseconds =
                                          cn_nanoseconds(options->batch_delay_ms * 1e-3),
                                      .threads = lane_threads(options),
                                      .first_slot = first_lane_slot(options),
                                      .executed = count_execution};
    enum cn_status status = lane_create(&lane, &service->lane, error);
    if (status == CN_OK)
        status = preparer_create(lane_threads(options), &service->preparer, error);
    return status;
}

static enum cn_status create_server(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    struct http_listener listeners[16];
    const struct http_context context = {
        .models = service->models,
        .loader = service->loader,
        .lane = service->lane,
        .preparer = service->preparer,
        .budget = &service->budget,
        .statistics = service->statistics,
        .max_images = (size_t)options->max_images,
        .max_body = (size_t)options->max_body,
        .max_pixels = (size_t)options->max_pixels,
        .picture_limits = {.max_width = (int)options->max_picture,
                           .max_height = (int)options->max_picture},
        .inline_seconds = options->inline_us * 1e-6,
        .request_timeout_nanoseconds = cn_nanoseconds(options->request_timeout),
        .queue_images = (size_t)options->queue_images,
        .triton_metrics = options->triton_metrics,
        .ready = is_ready,
        .connections = count_connections,
        .reloaded = service_admin_reloaded,
        .data = service};
    struct http_server_options server = server_options(options);
    server.listeners = listeners;
    server.listener_count = notify_listeners(listeners, sizeof listeners / sizeof *listeners);
    return http_server_create(&server, &context, &service->server, error);
}

/* Checks sockets that systemd passed; those of the options were checked with the options. */
static enum cn_status check_exposure(struct service *service, struct cn_error *error) {
    const struct daemon_options *options = service->options;
    const bool asks = options->insecure || options->api_keys_file[0] != '\0';
    if (!asks && http_server_is_exposed(service->server, options->tls_client_ca[0] == '\0'))
        return cn_fail(
            error, CN_INVALID,
            "a passed socket is reachable from other machines without authentication: set "
            "api-keys-file, or insecure = yes");
    return CN_OK;
}

enum cn_status service_start(const struct daemon_options *options, struct service **ret_service,
                             struct cn_error *error) {
    struct service *service = calloc(1, sizeof *service);
    enum cn_status status = CN_MEMORY;
    if (service == NULL)
        goto out;
    (void)pthread_mutex_init(&service->note_mutex, NULL);
    service->options = options;
    service->reloaded = -1;
    service->budget.limit =
        options->memory_budget > 0 ? (size_t)options->memory_budget : cn_budget_default();
    service->statistics = statistics_create();
    if (service->statistics == NULL)
        goto out;
    log_set_statistics(service->statistics);
    raise_descriptor_limit(options);
    status = load_models(service, error);
    if (status == CN_OK)
        status = start_lanes(service, error);
    if (status == CN_OK)
        status = create_server(service, error);
    if (status == CN_OK)
        status = check_exposure(service, error);
    if (status == CN_OK)
        status = credentials_load(options, service->server, error);
    if (status == CN_OK)
        /* Before the start, since the acceptor closes its listeners at the end. */
        http_server_describe(service->server, service->where, sizeof service->where);
    if (status == CN_OK)
        status = http_server_start(service->server, error);
    if (status != CN_OK)
        goto out;
    *ret_service = service;
    service = NULL;
out:
    if (status == CN_MEMORY)
        cn_fail(error, CN_MEMORY, "no memory to start");
    (void)service_free(service);
    return status;
}

enum cn_status service_check(const struct daemon_options *options, struct cn_error *error) {
    struct registry *models = NULL;
    struct registry_options registry = registry_options(options, 1);
    if (registry.folder == NULL)
        registry.report = NULL; /* the returned error says the same */
    const enum cn_status status = registry_create(&registry, &models, error);
    size_t count = 0, ready = 0;
    if (status != CN_OK)
        return status;
    struct registry_row *rows = registry_list(models, &count);
    for (size_t i = 0; i < count; i++)
        ready += rows[i].model != NULL;
    registry_list_free(rows, count);
    registry_free(models);
    const struct http_server_options server = server_options(options);
    if (options_check_unit(options, error) != CN_OK ||
        credentials_load(options, NULL, error) != CN_OK ||
        http_listen_check(&server, error) != CN_OK)
        return error->status;
    if (ready < count)
        return cn_fail(error, CN_INVALID, "%zu of %zu models were refused", count - ready, count);
    printf("OK: configuration, %zu model%s%s%s%s%s\n", count, count == 1 ? "" : "s",
           options->api_keys_file[0] != '\0' ? ", API keys of " : "", options->api_keys_file,
           options->tls_certificate[0] != '\0' ? ", certificate of " : "",
           options->tls_certificate);
    return CN_OK;
}

void service_begin_stop(struct service *service) {
    service->stopping = true;
}

bool service_alive(struct service *service, uint64_t timeout) {
    const uint64_t limit = cn_nanoseconds(service->options->stall_timeout);
    return !lane_stalled(service->lane, limit) && !preparer_stalled(service->preparer, limit) &&
           lane_alive(service->lane, timeout / 2) &&
           http_server_alive(service->server, timeout / 2);
}

static uint64_t loader_patience(uint64_t end) {
    const uint64_t soonest = cn_clock_nanoseconds() + LEAST_PATIENCE;
    const uint64_t left = (end > soonest ? end - soonest : 0) + LEAST_PATIENCE;
    return left < LOADER_PATIENCE ? left : LOADER_PATIENCE;
}

bool service_free(struct service *service) {
    if (service == NULL)
        return true;
    const uint64_t end =
        cn_clock_nanoseconds() + cn_nanoseconds(service->options->shutdown_timeout);
    service->stopping = true;
    if (!http_server_free(service->server)) { /* before the lane, which finishes its requests */
        log_write(LOG_LEVEL_ERROR, "the compute thread hangs; its requests are not answered");
        return false;
    }
    preparer_free(service->preparer);
    lane_free(service->lane);
    if (service->loader != NULL && !loader_stop(service->loader, loader_patience(end))) {
        log_write(LOG_LEVEL_WARNING,
                  "a model is still being read; the daemon ends without waiting for it");
        return true; /* its thread still uses the rest until the process ends */
    }
    loader_free(service->loader);
    registry_free(service->models);
    log_set_statistics(NULL);
    statistics_free(service->statistics);
    if (service->reloaded >= 0)
        (void)close(service->reloaded);
    free(service);
    return true;
}
