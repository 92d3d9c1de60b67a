/* statistics.h: what the daemon counts, and Prometheus text of it.
 *
 * THE lists of metrics are tables in metric_table.c. Counting is lock-free: relaxed atomics in
 * one of several copies, chosen by thread, so that threads do not wait for each other's cache
 * lines. It is cheap enough to be always on.
 */
#ifndef CONVNET_METRICS_STATISTICS_H
#define CONVNET_METRICS_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum statistics_counter {
    STATISTICS_REJECTED_QUEUE_FULL = 0,
    STATISTICS_REJECTED_DEADLINE,
    STATISTICS_REJECTED_GONE,       /* the client went away before its images were computed */
    STATISTICS_REJECTED_MEMORY,     /* no memory for a request */
    STATISTICS_REJECTED_SHUTDOWN,   /* the server was ending */
    STATISTICS_REJECTED_CONNECTION, /* over a connection limit */
    STATISTICS_RELOADS_OK,
    STATISTICS_RELOADS_FAILED,
    STATISTICS_LOG_DROPPED, /* lines of the log that nobody took in time */
    STATISTICS_COUNTERS
};

/* Of each model. */
enum statistics_histogram {
    STATISTICS_DECODE_SECONDS = 0,
    STATISTICS_QUEUE_SECONDS,
    STATISTICS_COMPUTE_SECONDS,
    STATISTICS_ENCODE_SECONDS,
    STATISTICS_REQUEST_SECONDS,
    STATISTICS_REQUEST_IMAGES,
    STATISTICS_BATCH_IMAGES,
    STATISTICS_CONFIDENCE,
    STATISTICS_HISTOGRAMS
};

enum statistics_model_counter {
    STATISTICS_MODEL_OK = 0, /* requests answered with a result */
    STATISTICS_MODEL_FAILED, /* ... with an error */
    STATISTICS_MODEL_COUNTERS
};

enum {
    STATISTICS_MAX_ROUTES = 64,
    STATISTICS_MIN_STATUS = 100,
    STATISTICS_MAX_STATUS = 599,
    STATISTICS_BUCKETS = 18
};

/* ---- A model's own series: they outlive reloads; counted references ---- */

struct statistics_model;
struct statistics_model *statistics_model_create(void); /* NULL without memory */
struct statistics_model *statistics_model_acquire(struct statistics_model *model);
void statistics_model_release(struct statistics_model *model); /* accepts NULL */

/* Both accept a NULL model and count nothing then. */
void statistics_observe(struct statistics_model *model, enum statistics_histogram histogram,
                        double value);
void statistics_model_add(struct statistics_model *model, enum statistics_model_counter counter,
                          uint64_t amount);

/* The sum of a histogram's values and how many there were. */
struct statistics_total {
    double sum;
    uint64_t count;
};
struct statistics_total statistics_total(const struct statistics_model *model,
                                         enum statistics_histogram histogram);
uint64_t statistics_model_count(const struct statistics_model *model,
                                enum statistics_model_counter counter);
/* Milliseconds since 1970 at the last request that was answered with a result; 0: none yet. */
uint64_t statistics_model_last_answer(const struct statistics_model *model);

/* ---- The process's ---- */

struct statistics; /* one for the process */
struct statistics *statistics_create(void);

/* When the server's certificate ends, seconds since 1970; 0: there is none. */
void statistics_set_certificate_end(struct statistics *statistics, uint64_t end);
void statistics_free(struct statistics *statistics);

void statistics_add(struct statistics *statistics, enum statistics_counter counter,
                    uint64_t amount);

/* Counts one answered request of route `route` (index below STATISTICS_MAX_ROUTES), and the time it
 * took: as `model`'s, or with no model's label if that is NULL. */
void statistics_request(struct statistics *statistics, struct statistics_model *model,
                        unsigned route, unsigned http_status, double seconds);

/* ---- Rendering ---- */

/* A model and version, as its labels and gauges tell it; the strings are borrowed. */
struct statistics_model_row {
    const char *name;
    unsigned version;
    const char *sha256; /* of the file that is served; NULL: none is */
    bool refused;       /* the last reading of the file was refused */
    struct statistics_model *statistics;
};

/* Gauges and labels that only the caller knows when it renders. */
struct statistics_snapshot {
    const char *const *route_names; /* [route_count]: the route's path pattern: the label */
    size_t route_count;
    const struct statistics_model_row *models; /* [model_count] */
    size_t model_count;
    size_t queue_depth, queue_limit; /* images */
    size_t connections;
    bool ready;
    bool triton; /* Triton's nv_inference_... names too */
    const char *version;
};

/* All metrics as Prometheus text exposition format 0.0.4, malloc'd, NULL without memory; caller
 * frees with free(). */
char *statistics_render(struct statistics *statistics, const struct statistics_snapshot *snapshot,
                        size_t *ret_length);

#endif
