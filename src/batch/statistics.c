/* statistics.c: counters and histograms, and their rendering. Relaxed atomics throughout: a scrape
 * may see one request's counts apart, never a torn number. */
#include "batch/statistics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUCKETS = 18, STATUSES = STATISTICS_MAX_STATUS - STATISTICS_MIN_STATUS + 1 };

static const double seconds_buckets[BUCKETS] = {1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5,
                                                1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3,
                                                0.01, 0.025,  0.05, 0.1,  1,      10};
static const double image_buckets[BUCKETS] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};

/* THE lists of metrics. */
static const struct counter_row {
    const char *name, *label, *help; /* rows of one name follow each other; help on the first */
} counter_table[STATISTICS_COUNTERS] = {
    [STATISTICS_IMAGES] = {"convnetd_images_total", "", "Images answered."},
    [STATISTICS_BATCHES] = {"convnetd_batches_total", "", "Requests computed by the batch lane."},
    [STATISTICS_REJECTED_QUEUE_FULL] = {"convnetd_rejected_total", "{reason=\"queue_full\"}",
                                        "Requests and connections refused, by reason."},
    [STATISTICS_REJECTED_DEADLINE] = {"convnetd_rejected_total", "{reason=\"deadline\"}", NULL},
    [STATISTICS_REJECTED_GONE] = {"convnetd_rejected_total", "{reason=\"client_gone\"}", NULL},
    [STATISTICS_REJECTED_CONNECTION] = {"convnetd_rejected_total", "{reason=\"connections\"}",
                                        NULL},
    [STATISTICS_RELOADS_OK] = {"convnetd_reloads_total", "{result=\"ok\"}",
                               "Reloads of the model, by result."},
    [STATISTICS_RELOADS_FAILED] = {"convnetd_reloads_total", "{result=\"failed\"}", NULL},
};

static const struct histogram_row {
    const char *name, *help;
    const double *buckets;
} histogram_table[STATISTICS_HISTOGRAMS] = {
    [STATISTICS_DECODE_SECONDS] = {"convnetd_decode_duration_seconds",
                                   "Time from a request's body to the network's input.",
                                   seconds_buckets},
    [STATISTICS_QUEUE_SECONDS] = {"convnetd_queue_duration_seconds",
                                  "Time that a request waited in the batch lane.", seconds_buckets},
    [STATISTICS_COMPUTE_SECONDS] = {"convnetd_compute_duration_seconds",
                                    "Time of a request's forward passes.", seconds_buckets},
    [STATISTICS_REQUEST_SECONDS] = {"convnetd_request_duration_seconds",
                                    "Time from a request's first byte to its answer.",
                                    seconds_buckets},
    [STATISTICS_BATCH_IMAGES] = {"convnetd_request_images", "Images in a request.", image_buckets},
};

struct histogram {
    uint64_t buckets[BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    uint64_t sum;                  /* in units of 1e-9 */
};

struct statistics {
    uint64_t counters[STATISTICS_COUNTERS];
    struct histogram histograms[STATISTICS_HISTOGRAMS];
    uint32_t requests[STATISTICS_MAX_ROUTES][STATUSES];
};

struct statistics *statistics_create(void) {
    return calloc(1, sizeof(struct statistics));
}

void statistics_free(struct statistics *statistics) {
    free(statistics);
}

void statistics_add(struct statistics *statistics, enum statistics_counter counter,
                    uint64_t amount) {
    __atomic_add_fetch(&statistics->counters[counter], amount, __ATOMIC_RELAXED);
}

void statistics_observe(struct statistics *statistics, enum statistics_histogram histogram,
                        double value) {
    struct histogram *h = &statistics->histograms[histogram];
    const double *bounds = histogram_table[histogram].buckets;
    int i = 0;
    while (i < BUCKETS && value > bounds[i])
        i++;
    __atomic_add_fetch(&h->buckets[i], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&h->sum, value > 0 ? (uint64_t)(value * 1e9) : 0, __ATOMIC_RELAXED);
}

void statistics_request(struct statistics *statistics, unsigned route, unsigned http_status) {
    if (route < STATISTICS_MAX_ROUTES && http_status >= STATISTICS_MIN_STATUS &&
        http_status <= STATISTICS_MAX_STATUS)
        __atomic_add_fetch(&statistics->requests[route][http_status - STATISTICS_MIN_STATUS], 1,
                           __ATOMIC_RELAXED);
}

static void head(FILE *out, const char *name, const char *type, const char *help) {
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, escaped as the format demands. */
static void label(FILE *out, const char *text) {
    for (; *text != '\0'; text++)
        if (*text == '\n')
            (void)fputs("\\n", out);
        else
            (void)fprintf(out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
}

static void render_requests(FILE *out, struct statistics *s,
                            const struct statistics_snapshot *snapshot) {
    head(out, "convnetd_requests_total", "counter", "Requests answered, by route and status.");
    for (size_t r = 0; r < snapshot->route_count && r < STATISTICS_MAX_ROUTES; r++)
        for (unsigned i = 0; i < STATUSES; i++) {
            const uint32_t count = __atomic_load_n(&s->requests[r][i], __ATOMIC_RELAXED);
            if (count == 0)
                continue;
            (void)fputs("convnetd_requests_total{route=\"", out);
            label(out, snapshot->route_names[r]);
            (void)fprintf(out, "\",code=\"%u\"} %u\n", i + STATISTICS_MIN_STATUS, count);
        }
}

static void render_counters(FILE *out, struct statistics *s) {
    for (int i = 0; i < STATISTICS_COUNTERS; i++) {
        const struct counter_row *row = &counter_table[i];
        if (row->help != NULL)
            head(out, row->name, "counter", row->help);
        (void)fprintf(out, "%s%s %llu\n", row->name, row->label,
                      (unsigned long long)__atomic_load_n(&s->counters[i], __ATOMIC_RELAXED));
    }
}

static void render_histograms(FILE *out, struct statistics *s) {
    for (int h = 0; h < STATISTICS_HISTOGRAMS; h++) {
        const struct histogram_row *row = &histogram_table[h];
        struct histogram *histogram = &s->histograms[h];
        uint64_t total = 0;
        head(out, row->name, "histogram", row->help);
        for (int i = 0; i <= BUCKETS; i++) {
            total += __atomic_load_n(&histogram->buckets[i], __ATOMIC_RELAXED);
            if (i < BUCKETS)
                (void)fprintf(out, "%s_bucket{le=\"%g\"} %llu\n", row->name, row->buckets[i],
                              (unsigned long long)total);
            else
                (void)fprintf(out, "%s_bucket{le=\"+Inf\"} %llu\n", row->name,
                              (unsigned long long)total);
        }
        (void)fprintf(out, "%s_sum %.9g\n%s_count %llu\n", row->name,
                      (double)__atomic_load_n(&histogram->sum, __ATOMIC_RELAXED) * 1e-9, row->name,
                      (unsigned long long)total);
    }
}

static long resident_bytes(void) {
    long pages = 0, total = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%ld %ld", &total, &pages) != 2)
        pages = 0;
    (void)fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void render_gauges(FILE *out, const struct statistics_snapshot *snapshot) {
    head(out, "convnetd_queue_depth", "gauge", "Images waiting in the batch lane.");
    (void)fprintf(out, "convnetd_queue_depth %zu\n", snapshot->queue_depth);
    head(out, "convnetd_connections", "gauge", "Open connections.");
    (void)fprintf(out, "convnetd_connections %zu\n", snapshot->connections);
    head(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    (void)fprintf(out, "process_resident_memory_bytes %ld\n", resident_bytes());
    head(out, "convnetd_build_info", "gauge", "The daemon's version.");
    (void)fprintf(out, "convnetd_build_info{version=\"%s\"} 1\n", snapshot->version);
    head(out, "convnetd_model_info", "gauge", "The models that are served.");
    for (size_t i = 0; i < snapshot->model_count; i++) {
        const struct registry_row *row = &snapshot->models[i];
        if (row->model != NULL)
            (void)fprintf(out, "convnetd_model_info{name=\"%s\",version=\"%u\",sha256=\"%s\"} 1\n",
                          row->name, row->version, row->model->model->sha256);
    }
}

char *statistics_render(struct statistics *statistics, const struct statistics_snapshot *snapshot,
                        size_t *ret_length) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    render_requests(out, statistics, snapshot);
    render_counters(out, statistics);
    render_histograms(out, statistics);
    render_gauges(out, snapshot);
    const int failed = ferror(out);
    if (fclose(out) != 0 || failed != 0) {
        free(text);
        return NULL;
    }
    *ret_length = length;
    return text;
}
