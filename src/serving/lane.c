/* lane.c: the bounded queue and the life of the compute thread. One mutex guards the queues; the
 * thread works outside it. What a batch is, is lane_batch.c's. */
#include "serving/lane.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/openmp.h"
#include "serving/lane_private.h"

/* ---- Queues: one for each model that has jobs, in the order of their turns ---- */

static void link_job(struct lane *lane, struct job *job) {
    struct served_model *model = job->model;
    job->previous = model->jobs.last;
    job->next = NULL;
    if (model->jobs.last != NULL) {
        model->jobs.last->next = job;
    } else {
        model->jobs.first = job;
        model->jobs.next_model = NULL;
        if (lane->turn == NULL)
            lane->turn = model;
        else
            lane->last_turn->jobs.next_model = model;
        lane->last_turn = model;
    }
    model->jobs.last = job;
    lane->depth += job->count;
}

/* A model without jobs has no turn. */
static void unlink_model(struct lane *lane, struct served_model *model) {
    struct served_model *before = NULL;
    for (struct served_model *at = lane->turn; at != model; at = at->jobs.next_model)
        before = at;
    *(before != NULL ? &before->jobs.next_model : &lane->turn) = model->jobs.next_model;
    if (lane->last_turn == model)
        lane->last_turn = before;
    model->jobs.next_model = NULL;
}

static void cut_out(struct job *job) {
    struct served_model_jobs *jobs = &job->model->jobs;
    *(job->previous != NULL ? &job->previous->next : &jobs->first) = job->next;
    *(job->next != NULL ? &job->next->previous : &jobs->last) = job->previous;
}

void lane_requeue(struct job *job) {
    struct served_model_jobs *jobs = &job->model->jobs;
    if (jobs->last == job)
        return;
    cut_out(job);
    job->previous = jobs->last;
    job->next = NULL;
    jobs->last->next = job;
    jobs->last = job;
}

void lane_unlink(struct lane *lane, struct job *job) {
    struct served_model *model = job->model;
    cut_out(job);
    lane->depth -= job->count - job->taken;
    if (model->jobs.first == NULL)
        unlink_model(lane, model);
}

/* ---- The compute thread ---- */

/* Under the mutex: waits for the batch to fill, for `delay` at most; only when one is set. */
static void wait_for_more(struct lane *lane) {
    const uint64_t delay = lane->options.delay_nanoseconds;
    if (delay == 0)
        return;
    const uint64_t until = lane->turn->jobs.first->submitted_nanoseconds + delay;
    const struct timespec limit = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    while (!lane->stopping && lane->depth > 0 && lane->depth < lane->options.batch_images &&
           cn_clock_nanoseconds() < until)
        (void)pthread_cond_timedwait(&lane->changed, &lane->mutex, &limit);
}

/* Under the mutex: somebody wants to know whether this thread lives. */
static void answer_pings(struct lane *lane) {
    if (lane->pongs == lane->pings)
        return;
    lane->pongs = lane->pings;
    (void)pthread_cond_broadcast(&lane->answered);
}

static void *compute(void *data) {
    struct lane *lane = data;
    lane_start_team(lane);
    (void)pthread_mutex_lock(&lane->mutex);
    while (lane->turn != NULL || !lane->stopping) {
        answer_pings(lane);
        if (lane->turn == NULL) {
            (void)pthread_cond_wait(&lane->changed, &lane->mutex);
            continue;
        }
        wait_for_more(lane);
        if (lane->turn == NULL) /* they expired meanwhile */
            continue;
        lane_take(lane);
        lane->moved = cn_clock_nanoseconds();
        lane->running = true;
        (void)pthread_mutex_unlock(&lane->mutex);
        lane_run(lane);
        (void)pthread_mutex_lock(&lane->mutex);
        lane->running = false;
        lane->moved = cn_clock_nanoseconds();
    }
    lane->compute_ended = true;
    (void)pthread_cond_signal(&lane->sooner);
    (void)pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* ---- For the others ---- */

static void init_locks(struct lane *lane) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lane->changed, &attributes);
    (void)pthread_cond_init(&lane->sooner, &attributes);
    (void)pthread_cond_init(&lane->answered, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&lane->mutex, NULL);
}

static void destroy(struct lane *lane) {
    (void)pthread_cond_destroy(&lane->changed);
    (void)pthread_cond_destroy(&lane->sooner);
    (void)pthread_cond_destroy(&lane->answered);
    (void)pthread_mutex_destroy(&lane->mutex);
    free(lane->heap);
    free(lane->batch);
    free(lane->images);
    free(lane->outputs);
    free(lane);
}

/* Asks the compute thread to end, and the deadlines' thread after it. */
static void end_compute(struct lane *lane) {
    (void)pthread_mutex_lock(&lane->mutex);
    lane->stopping = true;
    (void)pthread_cond_signal(&lane->changed);
    (void)pthread_mutex_unlock(&lane->mutex);
    (void)pthread_join(lane->compute, NULL);
}

enum cn_status lane_create(const struct lane_options *options, struct lane **ret_lane,
                           struct cn_error *error) {
    if (options->threads < 1 || options->batch_images < 1 || options->queue_images < 1)
        return cn_fail(error, CN_INVALID,
                       "threads (%d), batch images (%zu) and queue images (%zu) must be at least 1",
                       options->threads, options->batch_images, options->queue_images);
    struct lane *lane = calloc(1, sizeof *lane);
    struct job **batch = calloc(options->batch_images, sizeof(struct job *));
    if (lane == NULL || batch == NULL) {
        free(lane);
        free(batch);
        return cn_fail(error, CN_MEMORY, "cannot allocate the batch lane");
    }
    /* LLVM's runtime opens a file when it is first asked, and ends the program if it cannot: now,
     * before clients can hold every descriptor. */
    (void)omp_get_max_threads();
    lane->options = *options;
    lane->batch = batch;
    lane->wake_at = UINT64_MAX;
    init_locks(lane);
    int failed = pthread_create(&lane->compute, NULL, compute, lane);
    if (failed == 0) {
        failed = pthread_create(&lane->deadline_thread, NULL, lane_deadlines, lane);
        if (failed != 0)
            end_compute(lane);
    }
    if (failed != 0) {
        destroy(lane);
        return cn_fail(error, CN_IO, "cannot start the compute thread: %s", strerror(failed));
    }
    *ret_lane = lane;
    return CN_OK;
}

/* Under the mutex. A job larger than the whole queue is taken when nothing waits: the request's own
 * limit on images has let it in. */
static bool has_room(const struct lane *lane, size_t images) {
    return lane->depth == 0 || lane->depth + images <= lane->options.queue_images;
}

enum lane_answer lane_submit(struct lane *lane, struct job *job) {
    enum lane_answer answer = LANE_ACCEPTED;
    (void)pthread_mutex_lock(&lane->mutex);
    job->taken = job->taking = job->batches = 0;
    job->begun_nanoseconds = 0;
    job->running = false;
    job->deadline_place = 0;
    job->compute_seconds = 0;
    job->submitted_nanoseconds = cn_clock_nanoseconds();
    if (lane->stopping)
        answer = LANE_CLOSED;
    else if (!has_room(lane, job->count) || !lane_deadline_add(lane, job))
        answer = LANE_FULL;
    if (answer == LANE_ACCEPTED) {
        if (lane->turn == NULL && !lane->running)
            lane->moved = job->submitted_nanoseconds;
        link_job(lane, job);
        (void)pthread_cond_signal(&lane->changed);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return answer;
}

bool lane_has_room(struct lane *lane, size_t images) {
    (void)pthread_mutex_lock(&lane->mutex);
    const bool room = has_room(lane, images);
    (void)pthread_mutex_unlock(&lane->mutex);
    return room;
}

size_t lane_depth(struct lane *lane) {
    (void)pthread_mutex_lock(&lane->mutex);
    const size_t depth = lane->depth;
    (void)pthread_mutex_unlock(&lane->mutex);
    return depth;
}

bool lane_stalled(struct lane *lane, uint64_t limit) {
    (void)pthread_mutex_lock(&lane->mutex);
    const bool busy = lane->turn != NULL || lane->running;
    const bool stalled = busy && cn_clock_nanoseconds() > lane->moved + limit;
    (void)pthread_mutex_unlock(&lane->mutex);
    return stalled;
}

bool lane_alive(struct lane *lane, uint64_t timeout) {
    const uint64_t until = cn_clock_nanoseconds() + timeout;
    const struct timespec limit = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    int waited = 0;
    (void)pthread_mutex_lock(&lane->mutex);
    const unsigned ping = ++lane->pings;
    (void)pthread_cond_signal(&lane->changed);
    while (!lane->compute_ended && (int)(lane->pongs - ping) < 0 && waited == 0)
        waited = pthread_cond_timedwait(&lane->answered, &lane->mutex, &limit);
    const bool alive = (int)(lane->pongs - ping) >= 0;
    (void)pthread_mutex_unlock(&lane->mutex);
    return alive;
}

void lane_stop(struct lane *lane) {
    (void)pthread_mutex_lock(&lane->mutex);
    const bool join = !lane->stopped;
    lane->stopped = true;
    (void)pthread_mutex_unlock(&lane->mutex);
    if (!join)
        return;
    end_compute(lane);
    (void)pthread_join(lane->deadline_thread, NULL);
}

void lane_free(struct lane *lane) {
    if (lane == NULL)
        return;
    lane_stop(lane);
    destroy(lane);
}
