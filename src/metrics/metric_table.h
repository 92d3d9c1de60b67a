/* metric_table.h: the tables, and what counters.c and render.c share. */
#ifndef CONVNET_METRICS_METRIC_TABLE_H
#define CONVNET_METRICS_METRIC_TABLE_H

#include <stdio.h>

#include "base/atomics.h"
#include "metrics/statistics.h"

/* Number of copies of each counter; a thread uses one of them. */
enum { STATISTICS_SHARDS = 8, STATISTICS_LINE = 64 };
enum { STATISTICS_STATUSES = STATISTICS_MAX_STATUS - STATISTICS_MIN_STATUS + 1 };

/* ---- Tables (metric_table.c) ---- */

struct statistics_counter_row {
    const char *name, *label,
        *help; /* rows with the same name are adjacent; the first one has the help text */
};
extern const struct statistics_counter_row statistics_counter_table[STATISTICS_COUNTERS];

struct statistics_histogram_row {
    const char *name, *help;
    const double *buckets; /* [STATISTICS_BUCKETS]: upper bounds */
};
extern const struct statistics_histogram_row statistics_histogram_table[STATISTICS_HISTOGRAMS];

/* A counter made of a model's totals under Triton's name, for dashboards made for Triton. */
struct statistics_alias_row {
    const char *name, *label, *help;
    enum { ALIAS_COUNTER, ALIAS_COUNT, ALIAS_IMAGES, ALIAS_MICROSECONDS } kind;
    int index;   /* enum statistics_model_counter or enum statistics_histogram */
    bool triton; /* rendered only if the option asks for it */
};
extern const struct statistics_alias_row statistics_alias_table[];
extern const size_t statistics_alias_count;

/* Gauges and totals that are read when they are rendered. */
enum statistics_reading {
    STATISTICS_REQUESTS_TOTAL = 0,
    STATISTICS_READY,
    STATISTICS_QUEUE_IMAGES,
    STATISTICS_QUEUE_LIMIT,
    STATISTICS_CONNECTIONS,
    STATISTICS_LAST_RELOAD,
    STATISTICS_CERTIFICATE_END,
    STATISTICS_BUILD_INFO,
    STATISTICS_MODEL_INFO,
    STATISTICS_MODEL_READY,
    STATISTICS_MODEL_REFUSED,
    STATISTICS_PROCESS_CPU,
    STATISTICS_PROCESS_THREADS,
    STATISTICS_PROCESS_START,
    STATISTICS_PROCESS_VIRTUAL,
    STATISTICS_PROCESS_RESIDENT,
    STATISTICS_PROCESS_OPEN_FDS,
    STATISTICS_PROCESS_MAX_FDS,
    STATISTICS_READINGS
};
struct statistics_reading_row {
    const char *name, *type, *help;
};
extern const struct statistics_reading_row statistics_reading_table[STATISTICS_READINGS];

/* ---- Storage ---- */

struct statistics_histogram_cell {
    uint64_t buckets[STATISTICS_BUCKETS +
                     1]; /* not cumulative; the last counts values above all bounds */
    uint64_t sum;        /* in units of 1e-9 */
};

struct statistics_model_shard {
    struct statistics_histogram_cell histograms[STATISTICS_HISTOGRAMS];
    uint64_t counters[STATISTICS_MODEL_COUNTERS];
    uint64_t last_answer; /* milliseconds since 1970 */
} __attribute__((aligned(STATISTICS_LINE)));

struct statistics_model {
    struct statistics_model_shard shards[STATISTICS_SHARDS];
    atomic_uint references;
};

struct statistics_shard {
    uint64_t counters[STATISTICS_COUNTERS];
    uint64_t requests[STATISTICS_MAX_ROUTES][STATISTICS_STATUSES];
} __attribute__((aligned(STATISTICS_LINE)));

struct statistics {
    struct statistics_shard shards[STATISTICS_SHARDS];
    struct statistics_model *none; /* for requests that concern no model */
    uint64_t last_reload;          /* seconds since 1970 of the last successful reload */
    uint64_t certificate_end;      /* seconds since 1970; 0: none */
};

/* The sum over the copies of a histogram's cell. */
struct statistics_histogram_cell statistics_gather(const struct statistics_model *model,
                                                   enum statistics_histogram histogram);

/* ---- Rendering ---- */

/* Writes HELP and TYPE of a reading; returns its name. */
const char *statistics_render_reading_head(FILE *out, enum statistics_reading reading);

/* process_...: the names that Prometheus' own clients use (process.c). */
void statistics_render_process(FILE *out);

#endif
