/* service.h: the daemon's parts together: model, lane, statistics, HTTP server. */
#ifndef CONVNET_DAEMON_SERVICE_H
#define CONVNET_DAEMON_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "convnet/status.h"
#include "daemon/options.h"

struct service;

/* Loads and probes the model, then opens the port and serves. `options` must outlive the service.
 * Caller frees with service_free. */
enum cn_status service_start(const struct daemon_options *options, struct service **ret_service,
                             struct cn_error *error);

/* Begins to read the model files that have changed, on another thread; what is bad leaves the old
 * model serving. Asked again meanwhile, it looks again afterwards. */
void service_reload(struct service *service);

/* Readable once a reload has ended; then service_reloaded says so once. */
int service_reload_fd(const struct service *service);
bool service_reloaded(struct service *service);

/* Loads what a service of these options would serve and prints one line about it. */
enum cn_status service_check(const struct daemon_options *options, struct cn_error *error);

/* What is served where, one line: for the service manager. */
void service_describe(struct service *service, char *text, size_t size);

/* From now on it says that it is not ready; requests are answered as before. */
void service_begin_stop(struct service *service);

/* True if each HTTP thread answers within `timeout` nanoseconds, and the compute thread too, which
 * has moved if it has work. */
bool service_alive(struct service *service, uint64_t timeout);

/* Finishes what runs, then ends everything. A model that is still being read at the end of
 * shutdown-timeout, as from a disk that hangs, is left to the end of the process. So is a compute
 * thread that hangs, and requests with it: then false. Accepts NULL. */
bool service_free(struct service *service);

#endif
