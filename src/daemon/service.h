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

/* Reads the model file again; after a failure the old one keeps serving. */
enum cn_status service_reload(struct service *service, struct cn_error *error);

/* What is served where, one line: for the service manager. */
void service_describe(struct service *service, char *text, size_t size);

/* True if each HTTP thread answers within `timeout` nanoseconds. */
bool service_alive(struct service *service, uint64_t timeout);

/* Finishes what runs, then ends everything. Accepts NULL. */
void service_free(struct service *service);

#endif
