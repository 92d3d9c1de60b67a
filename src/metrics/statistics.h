/* statistics.h: what the daemon counts, and its Prometheus text.
 *
 * The lists of metrics are tables in metric_table.c. Counting takes no lock: relaxed atomics in one
 * of several copies, chosen by thread, so that threads do not contend for cache lines. It is cheap
 * enough to be always on. */
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
    STATISTICS_REJECTED_CONNECTION, /* over a limit of connections */
    STATISTICS_RELOADS_OK,
    STATISTICS_RELOADS_FAILED,
    STATISTICS_LOG_DROPPED, /* lines of the log that were dropped because the reader was too slow */
    STATISTICS_COUNTERS
};

/* Per model. */
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
    STATISTICS_MODEL_OK = 0,    /* answered with a result */
    STATISTICS_MODEL_FAILED,    /* answered with an error */
    STATISTICS_MODEL_REJECTED,  /* images whose set of labels is empty */
    STATISTICS_MODEL_UNDECIDED, /* images whose set has several labels */
    STATISTICS_MODEL_COUNTERS
};

enum {
    STATISTICS_MAX_ROUTES = 64,
    STATISTICS_MIN_STATUS = 100,
    STATISTICS_MAX_STATUS = 599,
    STATISTICS_BUCKETS = 18
};

/* ---- Series per model: they outlive reloads; reference-counted ---- */

struct statistics_model;
struct statistics_model *statistics_model_create(void); /* NULL if memory runs out */
struct statistics_model *statistics_model_acquire(struct statistics_model *model);
void statistics_model_release(struct statistics_model *model); /* accepts NULL */

/* Both accept a NULL model and then count nothing. */
void statistics_observe(struct statistics_model *model, enum statistics_histogram histogram,
                        double value);
void statistics_model_add(struct statistics_model *model, enum statistics_model_counter counter,
                          uint64_t amount);

/* The sum and the number of a histogram's values. */
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

/* The expiry of the server's certificate in seconds since 1970; 0: no certificate. */
void statistics_set_certificate_end(struct statistics *statistics, uint64_t end);
void statistics_free(struct statistics *statistics);

void statistics_add(struct statistics *statistics, enum statistics_counter counter,
                    uint64_t amount);

/* Counts one answered request of route `route` (below STATISTICS_MAX_ROUTES) and its duration: for
 * `model`, or without a model's label if that is NULL. */
void statistics_request(struct statistics *statistics, struct statistics_model *model,
                        unsigned route, unsigned http_status, double seconds);

/* ---- Rendering ---- */

/* The labels and gauges of one model and version; the strings are borrowed. */
struct statistics_model_row {
    const char *name;
    unsigned version;
    const char *sha256; /* of the file that is served; NULL: none */
    bool refused;       /* the last reading of the file failed */
    struct statistics_model *statistics;
};

/* Gauges and labels that only the caller knows at rendering. */
struct statistics_snapshot {
    const char *const *route_names; /* [route_count]: path patterns, used as labels */
    size_t route_count;
    const struct statistics_model_row *models; /* [model_count] */
    size_t model_count;
    size_t queue_depth, queue_limit; /* images */
    size_t connections;
    bool ready;
    bool triton; /* also Triton's nv_inference_... names */
    const char *version;
};

/* All metrics as Prometheus text exposition format 0.0.4, malloc'd, NULL if memory runs out; caller
 * frees with free(). */
char *statistics_render(struct statistics *statistics, const struct statistics_snapshot *snapshot,
                        size_t *ret_length);

#endif
