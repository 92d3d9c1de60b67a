/* service_log.c: the log lines of requests, models and reloads. Decides nothing. Called on any
 * thread. */
#include "daemon/log.h"
#include "daemon/service_private.h"

void service_log_access(void *data, const struct http_access_entry *entry) {
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

void service_log_http(void *data, enum http_log_level level, const char *text) {
    static const enum log_level levels[] = {[HTTP_LOG_ERROR] = LOG_LEVEL_ERROR,
                                            [HTTP_LOG_WARNING] = LOG_LEVEL_WARNING,
                                            [HTTP_LOG_INFO] = LOG_LEVEL_INFO,
                                            [HTTP_LOG_DEBUG] = LOG_LEVEL_DEBUG};
    (void)data;
    log_write(levels[level], "%s", text);
}

/* The warning about a file without a checksum was written. */
static atomic_bool unsealed_said;

void service_log_models(void *data, const struct registry_event *event) {
    (void)data;
    switch (event->kind) {
    case REGISTRY_EVENT_LOADED:
        log_write(LOG_LEVEL_INFO,
                  "model %s version %u loaded from %s, sha256 %.16s, %.1f us per image, %s kernels",
                  event->name, event->version, event->path, event->model->model->sha256,
                  event->model->image_seconds * 1e6, cn_instruction_set());
        if (!event->model->model->sealed && !atomic_exchange(&unsealed_said, true))
            log_write(LOG_LEVEL_WARNING,
                      "model file %s carries no checksum, so damage to it may go unseen; convnet "
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
            log_write(LOG_LEVEL_INFO, "requests that name no model get %s", event->name);
        else
            log_write(LOG_LEVEL_WARNING, "no model is left to serve");
        break;
    }
}

void service_log_reload(struct service *service, const struct loader_job *job) {
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
                  "reload failed, what was served before still is: %s%s%s (%zu loaded, "
                  "%zu unchanged, %zu refused, %zu gone)",
                  job->error.source, job->error.source[0] != '\0' ? ": " : "", job->error.text,
                  result->loaded, result->unchanged, result->refused, result->gone);
}
