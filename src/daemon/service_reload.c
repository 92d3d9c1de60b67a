/* service_reload.c: reads models, keys and certificates again, on a signal or on an admin's call.
 * The loader's thread reads models, one reload at a time; the rest is read at once. A part that
 * fails keeps its old value. Used by the main thread, except where a comment names the loader's. */
#include <sys/eventfd.h>

#include "daemon/credentials.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/service_private.h"

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

void service_admin_reloaded(void *data, const struct loader_job *job, struct cn_error *error) {
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
