/* lane.c: the bounded queue and its compute thread. One mutex guards the queue; the thread works
 * outside it. Only that thread enters OpenMP regions. */
#include "batch/lane.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"

struct lane {
    struct lane_options options;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct job *first, **last; /* FIFO */
    size_t depth;              /* images waiting */
    bool stopping, stopped;

    /* The compute thread's own. */
    float *images, *outputs;        /* [batch_images, ...]: several jobs side by side */
    size_t image_room, output_room; /* floats of one image and output that they have room for */
};

static double seconds_between(uint64_t before, uint64_t after) {
    return (double)(after - before) * 1e-9;
}

/* Makes *buffer hold `needed` floats for each image of a batch; it grows with the largest model. */
static bool grow(const struct lane *lane, float **buffer, size_t *room, size_t needed) {
    if (needed <= *room)
        return true;
    float *grown = cn_floats_allocate(lane->options.batch_images * needed);
    if (grown == NULL)
        return false;
    free(*buffer);
    *buffer = grown;
    *room = needed;
    return true;
}

/* The workspaces and buffers that `model` needs; NULL without memory. */
static struct cn_workspace **prepare(struct lane *lane, struct served_model *model) {
    const size_t first = lane->options.first_slot;
    bool good = grow(lane, &lane->images, &lane->image_room, cn_plan_input_size(model->plan)) &&
                grow(lane, &lane->outputs, &lane->output_room, cn_plan_output_size(model->plan));
    for (int i = 0; good && i < lane->options.threads; i++)
        good = served_model_workspace(model, first + (size_t)i) != NULL;
    return good ? model->workspaces + first : NULL;
}

static bool expired(const struct job *job, uint64_t now) {
    return job->deadline_nanoseconds != 0 && now >= job->deadline_nanoseconds;
}

static void finish(struct job *job, enum job_outcome outcome, uint64_t begun) {
    job->outcome = outcome;
    job->queue_seconds = seconds_between(job->submitted_nanoseconds, begun);
    job->compute_seconds = outcome == JOB_DONE ? seconds_between(begun, cn_clock_nanoseconds()) : 0;
    job->done(job);
}

/* A job as large as a batch, or larger: straight from its own buffers, a batch at a time. */
static void run_large(struct lane *lane, struct cn_workspace **workspaces, struct job *job) {
    const uint64_t begun = cn_clock_nanoseconds();
    const struct cn_plan *plan = job->model->plan;
    for (size_t i = 0; i < job->count; i += lane->options.batch_images) {
        const size_t left = job->count - i;
        const size_t count = left < lane->options.batch_images ? left : lane->options.batch_images;
        if (expired(job, cn_clock_nanoseconds())) {
            finish(job, JOB_EXPIRED, begun);
            return;
        }
        cn_plan_run_parallel(plan, workspaces, lane->options.threads,
                             job->images + i * cn_plan_input_size(plan), count,
                             job->outputs + i * cn_plan_output_size(plan));
    }
    finish(job, JOB_DONE, begun);
}

/* Several small jobs of one model in one parallel loop: gathered, computed, scattered. */
static void run_together(struct lane *lane, struct cn_workspace **workspaces, struct job *jobs,
                         size_t count) {
    const uint64_t begun = cn_clock_nanoseconds();
    const struct cn_plan *plan = jobs->model->plan;
    const size_t in = cn_plan_input_size(plan), out = cn_plan_output_size(plan);
    size_t at = 0;
    for (const struct job *job = jobs; job != NULL; at += job->count, job = job->next)
        memcpy(lane->images + at * in, job->images, job->count * in * sizeof(float));
    cn_plan_run_parallel(plan, workspaces, lane->options.threads, lane->images, count,
                         lane->outputs);
    at = 0;
    for (struct job *job = jobs, *next; job != NULL; job = next) {
        next = job->next; /* `done` gives the job back */
        memcpy(job->outputs, lane->outputs + at * out, job->count * out * sizeof(float));
        at += job->count;
        finish(job, JOB_DONE, begun);
    }
}

/* Under the mutex: takes the waiting jobs that fit into one batch with the first, all of its model.
 */
static struct job *take_batch(struct lane *lane, size_t *ret_count) {
    struct job *first = lane->first, **end = &first;
    size_t count = 0;
    for (struct job *job = first; job != NULL && job->model == first->model; job = job->next) {
        if (count > 0 && count + job->count > lane->options.batch_images)
            break;
        count += job->count;
        end = &job->next;
    }
    lane->first = *end;
    if (lane->first == NULL)
        lane->last = &lane->first;
    *end = NULL;
    lane->depth -= count;
    *ret_count = count;
    return first;
}

/* Answers the jobs whose deadline has passed; returns the others. */
static struct job *drop_expired(struct job *jobs, size_t *count) {
    const uint64_t now = cn_clock_nanoseconds();
    struct job *kept = NULL, **end = &kept;
    for (struct job *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (expired(job, now)) {
            *count -= job->count;
            finish(job, JOB_EXPIRED, now);
            continue;
        }
        *end = job;
        end = &job->next;
    }
    *end = NULL;
    return kept;
}

static void run_batch(struct lane *lane, struct job *jobs, size_t count) {
    jobs = drop_expired(jobs, &count);
    if (jobs == NULL)
        return;
    struct cn_workspace **workspaces = prepare(lane, jobs->model);
    if (workspaces == NULL) {
        for (struct job *job = jobs, *next; job != NULL; job = next) {
            next = job->next;
            finish(job, JOB_FAILED, cn_clock_nanoseconds());
        }
        return;
    }
    if (jobs->next == NULL && count >= lane->options.batch_images)
        run_large(lane, workspaces, jobs);
    else
        run_together(lane, workspaces, jobs, count);
}

/* Under the mutex: waits for the batch to fill, for `delay` at most; only when one is set. */
static void wait_for_more(struct lane *lane) {
    const uint64_t delay = lane->options.delay_nanoseconds;
    if (delay == 0)
        return;
    const uint64_t until = lane->first->submitted_nanoseconds + delay;
    const struct timespec limit = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    while (!lane->stopping && lane->depth < lane->options.batch_images &&
           cn_clock_nanoseconds() < until)
        (void)pthread_cond_timedwait(&lane->changed, &lane->mutex, &limit);
}

static void *compute(void *data) {
    struct lane *lane = data;
    (void)pthread_mutex_lock(&lane->mutex);
    for (;;) {
        while (lane->first == NULL && !lane->stopping)
            (void)pthread_cond_wait(&lane->changed, &lane->mutex);
        if (lane->first == NULL)
            break;
        wait_for_more(lane);
        size_t count = 0;
        struct job *jobs = take_batch(lane, &count);
        (void)pthread_mutex_unlock(&lane->mutex);
        run_batch(lane, jobs, count);
        (void)pthread_mutex_lock(&lane->mutex);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

enum cn_status lane_create(const struct lane_options *options, struct lane **ret_lane,
                           struct cn_error *error) {
    if (options->threads < 1 || options->batch_images < 1 || options->queue_images < 1)
        return cn_fail(error, CN_INVALID,
                       "threads (%d), batch images (%zu) and queue images (%zu) must be at least 1",
                       options->threads, options->batch_images, options->queue_images);
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate the batch lane");
    lane->options = *options;
    lane->last = &lane->first;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lane->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&lane->mutex, NULL);
    const int failed = pthread_create(&lane->thread, NULL, compute, lane);
    if (failed != 0) {
        lane->stopped = true;
        lane_free(lane);
        return cn_fail(error, CN_IO, "cannot start the compute thread: %s", strerror(failed));
    }
    *ret_lane = lane;
    return CN_OK;
}

enum lane_answer lane_submit(struct lane *lane, struct job *job) {
    enum lane_answer answer = LANE_ACCEPTED;
    (void)pthread_mutex_lock(&lane->mutex);
    /* A job larger than the whole queue is taken when nothing waits: the request's own limit on
     * images has let it in. */
    if (lane->stopping)
        answer = LANE_CLOSED;
    else if (lane->depth > 0 && lane->depth + job->count > lane->options.queue_images)
        answer = LANE_FULL;
    if (answer == LANE_ACCEPTED) {
        job->submitted_nanoseconds = cn_clock_nanoseconds();
        job->next = NULL;
        *lane->last = job;
        lane->last = &job->next;
        lane->depth += job->count;
        (void)pthread_cond_signal(&lane->changed);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return answer;
}

size_t lane_depth(struct lane *lane) {
    (void)pthread_mutex_lock(&lane->mutex);
    const size_t depth = lane->depth;
    (void)pthread_mutex_unlock(&lane->mutex);
    return depth;
}

void lane_stop(struct lane *lane) {
    (void)pthread_mutex_lock(&lane->mutex);
    const bool join = !lane->stopped;
    lane->stopping = lane->stopped = true;
    (void)pthread_cond_signal(&lane->changed);
    (void)pthread_mutex_unlock(&lane->mutex);
    if (join)
        (void)pthread_join(lane->thread, NULL);
}

void lane_free(struct lane *lane) {
    if (lane == NULL)
        return;
    lane_stop(lane);
    (void)pthread_cond_destroy(&lane->changed);
    (void)pthread_mutex_destroy(&lane->mutex);
    free(lane->images);
    free(lane->outputs);
    free(lane);
}
