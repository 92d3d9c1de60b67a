/* statistics.h: what the daemon counts, as Prometheus text.
 *
 * THE list of metrics is one table in statistics.c. Counting is lock-free (relaxed atomics) and
 * cheap enough to be always on.
 */
#ifndef CONVNET_BATCH_STATISTICS_H
#define CONVNET_BATCH_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "batch/registry.h"

enum statistics_counter {
    STATISTICS_IMAGES = 0, /* images answered */
    STATISTICS_BATCHES,    /* batch executions */
    STATISTICS_REJECTED_QUEUE_FULL,
    STATISTICS_REJECTED_DEADLINE,
    STATISTICS_REJECTED_GONE,       /* the client went away before its images were computed */
    STATISTICS_REJECTED_CONNECTION, /* over a connection limit */
    STATISTICS_RELOADS_OK,
    STATISTICS_RELOADS_FAILED,
    STATISTICS_COUNTERS
};

enum statistics_histogram {
    STATISTICS_DECODE_SECONDS = 0,
    STATISTICS_QUEUE_SECONDS,
    STATISTICS_COMPUTE_SECONDS,
    STATISTICS_REQUEST_SECONDS,
    STATISTICS_BATCH_IMAGES,
    STATISTICS_HISTOGRAMS
};

enum { STATISTICS_MAX_ROUTES = 64, STATISTICS_MIN_STATUS = 100, STATISTICS_MAX_STATUS = 599 };

struct statistics; /* one for the process */
struct statistics *statistics_create(void);
void statistics_free(struct statistics *statistics);

void statistics_add(struct statistics *statistics, enum statistics_counter counter,
                    uint64_t amount);
void statistics_observe(struct statistics *statistics, enum statistics_histogram histogram,
                        double value);

/* Counts one answered request of route `route` (index below STATISTICS_MAX_ROUTES). */
void statistics_request(struct statistics *statistics, unsigned route, unsigned http_status);

/* Gauges and labels that only the caller knows when it renders. */
struct statistics_snapshot {
    const char *const *route_names; /* [route_count]: the route's path pattern: the label */
    size_t route_count;
    const struct registry_row *models; /* [model_count] */
    size_t model_count;
    size_t queue_depth;
    size_t connections;
    const char *version;
};

/* All metrics as Prometheus text exposition format 0.0.4, malloc'd, NULL without memory; caller
 * frees with free(). */
char *statistics_render(struct statistics *statistics, const struct statistics_snapshot *snapshot,
                        size_t *ret_length);

#endif
