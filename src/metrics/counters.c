/* counters.c: counts with relaxed atomics. A scrape may see one request in some counters and not
 * yet in others, but never a torn number. render.c renders. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "metrics/metric_table.h"

/* The index of the thread's copy of the counters; threads share copies only when there are more
 * threads than copies. */
static unsigned shard_of_thread(void) {
    static atomic_uint next;
    static _Thread_local unsigned mine; /* plus one; 0: not chosen yet */
    if (mine == 0)
        mine = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % STATISTICS_SHARDS + 1;
    return mine - 1;
}

struct statistics_model *statistics_model_create(void) {
    struct statistics_model *model = aligned_alloc(STATISTICS_LINE, sizeof *model);
    if (model == NULL)
        return NULL;
    memset(model, 0, sizeof *model);
    model->references = 1;
    return model;
}

struct statistics_model *statistics_model_acquire(struct statistics_model *model) {
    cn_reference_take(&model->references);
    return model;
}

void statistics_model_release(struct statistics_model *model) {
    if (model != NULL && cn_reference_give(&model->references))
        free(model);
}

void statistics_observe(struct statistics_model *model, enum statistics_histogram histogram,
                        double value) {
    if (model == NULL)
        return;
    struct statistics_histogram_cell *cell =
        &model->shards[shard_of_thread()].histograms[histogram];
    const double *bounds = statistics_histogram_table[histogram].buckets;
    int i = 0;
    while (i < STATISTICS_BUCKETS && value > bounds[i])
        i++;
    cn_count_add(&cell->buckets[i], 1);
    cn_count_add(&cell->sum, value > 0 ? (uint64_t)(value * 1e9) : 0);
}

void statistics_model_add(struct statistics_model *model, enum statistics_model_counter counter,
                          uint64_t amount) {
    struct timespec now;
    if (model == NULL)
        return;
    struct statistics_model_shard *shard = &model->shards[shard_of_thread()];
    cn_count_add(&shard->counters[counter], amount);
    if (counter == STATISTICS_MODEL_OK && clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0)
        cn_count_store(&shard->last_answer,
                       (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

uint64_t statistics_model_last_answer(const struct statistics_model *model) {
    uint64_t last = 0;
    for (size_t s = 0; s < STATISTICS_SHARDS; s++) {
        const uint64_t answer = cn_count_load(&model->shards[s].last_answer);
        last = answer > last ? answer : last;
    }
    return last;
}

struct statistics_histogram_cell statistics_gather(const struct statistics_model *model,
                                                   enum statistics_histogram histogram) {
    struct statistics_histogram_cell total = {{0}, 0};
    for (size_t s = 0; s < STATISTICS_SHARDS; s++) {
        const struct statistics_histogram_cell *cell = &model->shards[s].histograms[histogram];
        for (size_t i = 0; i <= STATISTICS_BUCKETS; i++)
            total.buckets[i] += cn_count_load(&cell->buckets[i]);
        total.sum += cn_count_load(&cell->sum);
    }
    return total;
}

struct statistics_total statistics_total(const struct statistics_model *model,
                                         enum statistics_histogram histogram) {
    const struct statistics_histogram_cell cell = statistics_gather(model, histogram);
    struct statistics_total total = {(double)cell.sum * 1e-9, 0};
    for (size_t i = 0; i <= STATISTICS_BUCKETS; i++)
        total.count += cell.buckets[i];
    return total;
}

uint64_t statistics_model_count(const struct statistics_model *model,
                                enum statistics_model_counter counter) {
    uint64_t total = 0;
    for (size_t s = 0; s < STATISTICS_SHARDS; s++)
        total += cn_count_load(&model->shards[s].counters[counter]);
    return total;
}

struct statistics *statistics_create(void) {
    /* 2 MiB, most of it for pairs of route and status that never occur: untouched zero pages use no
     * memory. */
    struct statistics *statistics =
        mmap(NULL, sizeof *statistics, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (statistics == MAP_FAILED)
        return NULL;
    statistics->last_reload = (uint64_t)time(NULL);
    statistics->none = statistics_model_create();
    if (statistics->none == NULL) {
        (void)munmap(statistics, sizeof *statistics);
        return NULL;
    }
    return statistics;
}

void statistics_free(struct statistics *statistics) {
    if (statistics == NULL)
        return;
    statistics_model_release(statistics->none);
    (void)munmap(statistics, sizeof *statistics);
}

void statistics_add(struct statistics *statistics, enum statistics_counter counter,
                    uint64_t amount) {
    cn_count_add(&statistics->shards[shard_of_thread()].counters[counter], amount);
    if (counter == STATISTICS_RELOADS_OK)
        cn_count_store(&statistics->last_reload, (uint64_t)time(NULL));
}

void statistics_request(struct statistics *statistics, struct statistics_model *model,
                        unsigned route, unsigned http_status, double seconds) {
    if (route < STATISTICS_MAX_ROUTES && http_status >= STATISTICS_MIN_STATUS &&
        http_status <= STATISTICS_MAX_STATUS)
        cn_count_add(&statistics->shards[shard_of_thread()]
                          .requests[route][http_status - STATISTICS_MIN_STATUS],
                     1);
    statistics_observe(model != NULL ? model : statistics->none, STATISTICS_REQUEST_SECONDS,
                       seconds);
    statistics_model_add(model, http_status < 400 ? STATISTICS_MODEL_OK : STATISTICS_MODEL_FAILED,
                         1);
}

void statistics_set_certificate_end(struct statistics *statistics, uint64_t end) {
    cn_count_store(&statistics->certificate_end, end);
}
