/* service.h: the daemon's parts as one: models, lane, statistics, HTTP server. */
#ifndef CONVNET_DAEMON_SERVICE_H
#define CONVNET_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "convnet/status.h"
#include "daemon/options.h"

struct service;

/* Loads and probes the models, then opens the port and serves. `options` must outlive the service.
 * Caller frees with service_free. */
enum cn_status service_start(const struct daemon_options *options, struct service **ret_service,
                             struct cn_error *error);

/* Begins to read changed model files on another thread; a bad file leaves the old model in service.
 * A call during a reload makes another reload follow it. */
void service_reload(struct service *service);

/* A descriptor that is readable once a reload has ended; call service_reloaded then. */
int service_reload_fd(const struct service *service);
bool service_reloaded(struct service *service);

/* Loads the models that a service with these options would serve, and prints one line about them.
 */
enum cn_status service_check(const struct daemon_options *options, struct cn_error *error);

/* Writes one line for the service manager that says which models are served at which addresses. */
void service_describe(struct service *service, char *text, size_t size);

/* Reports the service as not ready from now on; requests are still answered. */
void service_begin_stop(struct service *service);

/* True if each HTTP thread and the compute thread answer within `timeout` nanoseconds, and the
 * compute thread has made progress if it has work. */
bool service_alive(struct service *service, uint64_t timeout);

/* Finishes the requests that run, then ends everything. A model that is still being read at the end
 * of shutdown-timeout, for example from a disk that hangs, is abandoned to the end of the process.
 * So is a compute thread that hangs, with its requests: the result is then false. Accepts NULL. */
bool service_free(struct service *service);

#endif
