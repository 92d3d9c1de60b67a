/* render.c: the counters as Prometheus text. Labels contain only the operator's words (names of
 * models, patterns of routes), never a client's. Other threads count meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "metrics/metric_table.h"

static void render_head(FILE *out, const char *name, const char *type, const char *help) {
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

const char *statistics_render_reading_head(FILE *out, enum statistics_reading reading) {
    const struct statistics_reading_row *row = &statistics_reading_table[reading];
    render_head(out, row->name, row->type, row->help);
    return row->name;
}

static void render_gauge(FILE *out, enum statistics_reading reading, unsigned long long value) {
    const char *name = statistics_render_reading_head(out, reading);
    (void)fprintf(out, "%s %llu\n", name, value);
}

static void render_requests(FILE *out, const struct statistics *statistics,
                            const struct statistics_snapshot *snapshot) {
    const char *name = statistics_render_reading_head(out, STATISTICS_REQUESTS_TOTAL);
    for (size_t r = 0; r < snapshot->route_count && r < STATISTICS_MAX_ROUTES; r++)
        for (unsigned i = 0; i < STATISTICS_STATUSES; i++) {
            uint64_t count = 0;
            for (size_t s = 0; s < STATISTICS_SHARDS; s++)
                count += cn_count_load(&statistics->shards[s].requests[r][i]);
            if (count > 0)
                (void)fprintf(out, "%s{route=\"%s\",code=\"%u\"} %llu\n", name,
                              snapshot->route_names[r], i + STATISTICS_MIN_STATUS,
                              (unsigned long long)count);
        }
}

static void render_counters(FILE *out, const struct statistics *statistics) {
    for (size_t i = 0; i < STATISTICS_COUNTERS; i++) {
        const struct statistics_counter_row *row = &statistics_counter_table[i];
        uint64_t count = 0;
        for (size_t s = 0; s < STATISTICS_SHARDS; s++)
            count += cn_count_load(&statistics->shards[s].counters[i]);
        if (row->help != NULL)
            render_head(out, row->name, "counter", row->help);
        (void)fprintf(out, "%s%s %llu\n", row->name, row->label, (unsigned long long)count);
    }
}

/* `labels`: "model=\"digits\",version=\"1\"". */
static void render_histogram(FILE *out, const struct statistics_model *model,
                             enum statistics_histogram histogram, const char *labels) {
    const struct statistics_histogram_row *row = &statistics_histogram_table[histogram];
    const struct statistics_histogram_cell cell = statistics_gather(model, histogram);
    unsigned long long total = 0;
    for (int i = 0; i <= STATISTICS_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < STATISTICS_BUCKETS)
            (void)snprintf(bound, sizeof bound, "%g", row->buckets[i]);
        total += cell.buckets[i];
        (void)fprintf(out, "%s_bucket{%s,le=\"%s\"} %llu\n", row->name, labels, bound, total);
    }
    (void)fprintf(out, "%s_sum{%s} %.9g\n%s_count{%s} %llu\n", row->name, labels,
                  (double)cell.sum * 1e-9, row->name, labels, total);
}

static void label_model(char *text, size_t size, const struct statistics_model_row *row) {
    (void)snprintf(text, size, "model=\"%s\",version=\"%u\"", row->name, row->version);
}

static void render_histograms(FILE *out, const struct statistics *statistics,
                              const struct statistics_snapshot *snapshot) {
    char labels[128];
    for (size_t h = 0; h < STATISTICS_HISTOGRAMS; h++) {
        const struct statistics_histogram_row *row = &statistics_histogram_table[h];
        render_head(out, row->name, "histogram", row->help);
        for (size_t m = 0; m < snapshot->model_count; m++) {
            label_model(labels, sizeof labels, &snapshot->models[m]);
            render_histogram(out, snapshot->models[m].statistics, (enum statistics_histogram)h,
                             labels);
        }
        if (h == STATISTICS_REQUEST_SECONDS)
            render_histogram(out, statistics->none, STATISTICS_REQUEST_SECONDS,
                             "model=\"\",version=\"\"");
    }
}

static unsigned long long alias_value(const struct statistics_alias_row *row,
                                      const struct statistics_model *model) {
    if (row->kind == ALIAS_COUNTER)
        return statistics_model_count(model, (enum statistics_model_counter)row->index);
    const struct statistics_total total =
        statistics_total(model, (enum statistics_histogram)row->index);
    if (row->kind == ALIAS_COUNT)
        return total.count;
    return (unsigned long long)(total.sum * (row->kind == ALIAS_MICROSECONDS ? 1e6 : 1) + 0.5);
}

static void render_aliases(FILE *out, const struct statistics_snapshot *snapshot) {
    char labels[128];
    for (size_t a = 0; a < statistics_alias_count; a++) {
        const struct statistics_alias_row *row = &statistics_alias_table[a];
        if (row->triton && !snapshot->triton)
            continue;
        render_head(out, row->name, "counter", row->help);
        for (size_t m = 0; m < snapshot->model_count; m++) {
            label_model(labels, sizeof labels, &snapshot->models[m]);
            (void)fprintf(out, "%s{%s%s} %llu\n", row->name, labels, row->label,
                          alias_value(row, snapshot->models[m].statistics));
        }
    }
}

static void render_models(FILE *out, const struct statistics_snapshot *snapshot) {
    char labels[128];
    const char *name = statistics_render_reading_head(out, STATISTICS_MODEL_INFO);
    for (size_t i = 0; i < snapshot->model_count; i++) {
        const struct statistics_model_row *row = &snapshot->models[i];
        if (row->sha256 != NULL)
            (void)fprintf(out, "%s{name=\"%s\",version=\"%u\",sha256=\"%s\"} 1\n", name, row->name,
                          row->version, row->sha256);
    }
    name = statistics_render_reading_head(out, STATISTICS_MODEL_READY);
    for (size_t i = 0; i < snapshot->model_count; i++) {
        label_model(labels, sizeof labels, &snapshot->models[i]);
        (void)fprintf(out, "%s{%s} %d\n", name, labels, snapshot->models[i].sha256 != NULL);
    }
    name = statistics_render_reading_head(out, STATISTICS_MODEL_REFUSED);
    for (size_t i = 0; i < snapshot->model_count; i++) {
        label_model(labels, sizeof labels, &snapshot->models[i]);
        (void)fprintf(out, "%s{%s} %d\n", name, labels, snapshot->models[i].refused);
    }
}

static void render_gauges(FILE *out, const struct statistics *statistics,
                          const struct statistics_snapshot *snapshot) {
    render_gauge(out, STATISTICS_READY, snapshot->ready);
    render_gauge(out, STATISTICS_QUEUE_IMAGES, snapshot->queue_depth);
    render_gauge(out, STATISTICS_QUEUE_LIMIT, snapshot->queue_limit);
    render_gauge(out, STATISTICS_CONNECTIONS, snapshot->connections);
    render_gauge(out, STATISTICS_LAST_RELOAD, cn_count_load(&statistics->last_reload));
    render_gauge(out, STATISTICS_CERTIFICATE_END, cn_count_load(&statistics->certificate_end));
    const char *name = statistics_render_reading_head(out, STATISTICS_BUILD_INFO);
    (void)fprintf(out, "%s{version=\"%s\"} 1\n", name, snapshot->version);
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
    render_histograms(out, statistics, snapshot);
    render_gauges(out, statistics, snapshot);
    render_models(out, snapshot);
    render_aliases(out, snapshot);
    statistics_render_process(out);
    const int failed = ferror(out);
    if (fclose(out) != 0 || failed != 0) {
        free(text);
        return NULL;
    }
    *ret_length = length;
    return text;
}
