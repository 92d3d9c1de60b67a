/* service_private.h: the type and functions that the service's files share. */
#ifndef CONVNET_DAEMON_SERVICE_PRIVATE_H
#define CONVNET_DAEMON_SERVICE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/budget.h"
#include "base/time.h"
#include "daemon/service.h"
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
    char note[CN_ERROR_TEXT]; /* the fault of the last reload; "": none */
};

/* Keeps the first fault of a reload for service_describe; NULL begins a new reload. Thread-safe. */
void service_note(struct service *service, const struct cn_error *error);

/* Log requests, messages of the HTTP server, and events of models (service_log.c). `data` is not
 * used. */
void service_log_access(void *data, const struct http_access_entry *entry);
void service_log_http(void *data, enum http_log_level level, const char *text);
void service_log_models(void *data, const struct registry_event *event);

/* Counts a reload of the models and logs its result. */
void service_log_reload(struct service *service, const struct loader_job *job);

/* Called on the loader's thread at the end of a client's reload (service_reload.c). */
void service_admin_reloaded(void *data, const struct loader_job *job, struct cn_error *error);

#endif
