/* statistics_private.h: the tables, and what statistics.c and its renderer share. */
#ifndef CONVNET_METRICS_STATISTICS_PRIVATE_H
#define CONVNET_METRICS_STATISTICS_PRIVATE_H

#include <stdio.h>

#include "metrics/statistics.h"

/* Copies of each counter; a thread uses one of them. */
enum { STATISTICS_SHARDS = 8, STATISTICS_LINE = 64 };
enum { STATISTICS_STATUSES = STATISTICS_MAX_STATUS - STATISTICS_MIN_STATUS + 1 };

/* ---- Tables (statistics_table.c) ---- */

struct statistics_counter_row {
    const char *name, *label, *help; /* rows of one name follow each other; help on the first */
};
extern const struct statistics_counter_row statistics_counter_table[STATISTICS_COUNTERS];

struct statistics_histogram_row {
    const char *name, *help;
    const double *buckets; /* [STATISTICS_BUCKETS]: upper bounds */
};
extern const struct statistics_histogram_row statistics_histogram_table[STATISTICS_HISTOGRAMS];

/* A counter made of a model's totals; those of Triton's names for people who move from there. */
struct statistics_alias_row {
    const char *name, *label, *help;
    enum { ALIAS_COUNTER, ALIAS_COUNT, ALIAS_IMAGES, ALIAS_MICROSECONDS } kind;
    int index;   /* enum statistics_model_counter or enum statistics_histogram */
    bool triton; /* only when asked for */
};
extern const struct statistics_alias_row statistics_alias_table[];
extern const size_t statistics_alias_count;

/* ---- Storage ---- */

struct statistics_histogram_cell {
    uint64_t buckets[STATISTICS_BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    uint64_t sum;                             /* in units of 1e-9 */
};

struct statistics_model_shard {
    struct statistics_histogram_cell histograms[STATISTICS_HISTOGRAMS];
    uint64_t counters[STATISTICS_MODEL_COUNTERS];
    uint64_t last_answer; /* milliseconds since 1970 */
} __attribute__((aligned(STATISTICS_LINE)));

struct statistics_model {
    struct statistics_model_shard shards[STATISTICS_SHARDS];
    unsigned references; /* atomic */
};

struct statistics_shard {
    uint64_t counters[STATISTICS_COUNTERS];
    uint64_t requests[STATISTICS_MAX_ROUTES][STATISTICS_STATUSES];
} __attribute__((aligned(STATISTICS_LINE)));

struct statistics {
    struct statistics_shard shards[STATISTICS_SHARDS];
    struct statistics_model *none; /* requests that concern no model */
    uint64_t last_reload;          /* seconds since 1970 of the last good one */
};

/* Sums of a histogram's cells. */
struct statistics_histogram_cell statistics_gather(const struct statistics_model *model,
                                                   enum statistics_histogram histogram);

/* process_...: as Prometheus' own clients write them (statistics_process.c). */
void statistics_render_process(FILE *out);
void statistics_head(FILE *out, const char *name, const char *type, const char *help);

#endif
