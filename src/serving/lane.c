/* lane.c: the batch lane: its queues, the selection of a batch, the compute thread that runs
 * batches and the thread that answers jobs whose deadline passes. One mutex guards the queues, the
 * deadlines and the clients' accounts; batches are computed without it. */
#include "serving/lane.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/openmp.h"
#include "base/time.h"
#include "serving/accounts.h"

struct lane {
    struct lane_options options;
    pthread_t compute, deadline_thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;          /* wakes the compute thread: work, stop, a probe */
    pthread_cond_t sooner;           /* wakes the deadlines' thread: an earlier deadline, stop */
    pthread_cond_t answered;         /* for lane_alive */
    struct served_model *next_model; /* first in the round-robin of models with waiting jobs */
    struct served_model *last_model; /* and last */
    size_t depth;                    /* images waiting */
    bool stopping, stopped, compute_ended;
    uint64_t moved; /* when a batch last began or ended, or work came to an empty lane */
    bool running;   /* a batch is being computed */
    unsigned probes_asked, probes_answered; /* counts by lane_alive and by the compute thread */
    struct deadlines deadlines;
    uint64_t wake_at; /* when the deadlines' thread wakes up */
    struct accounts accounts;

    /* The compute thread's own. */
    struct job **batch; /* [batch_images]: the jobs of the current batch */
    size_t batch_count;
    float *images, *outputs;        /* [images of a batch, ...]: where several jobs are gathered */
    size_t image_room, output_room; /* floats that they hold */
};

/* ---- Queues: one per model that has jobs, served round-robin. All under the mutex ---- */

/* Appends a job to the model's queue. */
static void queue_append(struct served_model_jobs *jobs, struct job *job) {
    job->previous = jobs->last;
    job->next = NULL;
    *(jobs->last != NULL ? &jobs->last->next : &jobs->first) = job;
    jobs->last = job;
}

static void queue_cut(struct served_model_jobs *jobs, struct job *job) {
    *(job->previous != NULL ? &job->previous->next : &jobs->first) = job->next;
    *(job->next != NULL ? &job->next->previous : &jobs->last) = job->previous;
}

/* Puts the model last in the round-robin. */
static void model_append(struct lane *lane, struct served_model *model) {
    model->jobs.next_model = NULL;
    *(lane->next_model != NULL ? &lane->last_model->jobs.next_model : &lane->next_model) = model;
    lane->last_model = model;
}

/* Removes a model without jobs from the round-robin. */
static void model_cut(struct lane *lane, struct served_model *model) {
    struct served_model *before = NULL;
    for (struct served_model *at = lane->next_model; at != model; at = at->jobs.next_model)
        before = at;
    *(before != NULL ? &before->jobs.next_model : &lane->next_model) = model->jobs.next_model;
    if (lane->last_model == model)
        lane->last_model = before;
    model->jobs.next_model = NULL;
}

static void job_link(struct lane *lane, struct job *job) {
    if (job->model->jobs.first == NULL)
        model_append(lane, job->model);
    queue_append(&job->model->jobs, job);
    lane->depth += job->count;
    accounts_find(&lane->accounts, job->client)->waiting += job->count;
}

/* Removes a job from its model's queue. */
static void job_unlink(struct lane *lane, struct job *job) {
    queue_cut(&job->model->jobs, job);
    lane->depth -= job->count - job->taken;
    accounts_find(&lane->accounts, job->client)->waiting -= job->count;
    if (job->model->jobs.first == NULL)
        model_cut(lane, job->model);
}

/* Moves a job to the end of its model's queue. */
static void job_requeue(struct job *job) {
    queue_cut(&job->model->jobs, job);
    queue_append(&job->model->jobs, job);
}

/* ---- One batch ---- */

/* Starts OpenMP's threads now; they persist. libgomp ends the process when it cannot start one,
 * which must not happen while requests are in flight. */
static void team_start(const struct lane *lane) {
    const int threads = lane->options.threads;
    int started = 0;
    if (threads < 2)
        return;
#pragma omp parallel num_threads(threads) reduction(+ : started)
    started++;
    (void)started;
}

/* Ends a job that the lane no longer refers to. Called without the mutex. */
static void job_finish(struct job *job, enum job_outcome outcome) {
    const uint64_t until =
        job->begun_nanoseconds != 0 ? job->begun_nanoseconds : cn_clock_nanoseconds();
    job->outcome = outcome;
    job->queue_seconds = cn_seconds(until - job->submitted_nanoseconds);
    job->done(job);
}

/* The most images of this model in one batch. */
static size_t batch_largest(const struct lane *lane, const struct served_model *model) {
    const double images = LANE_TIME_SLICE * lane->options.threads / model->image_seconds;
    const size_t most = lane->options.batch_images, least = (size_t)lane->options.threads;
    if (!(images < (double)most))
        return most;
    const size_t count = (size_t)images > least ? (size_t)images : least;
    return count < most ? count : most;
}

/* The account to serve next: of those with jobs in this queue, the one that has used the least.
 * Under the mutex. */
static struct account *account_next(struct lane *lane, const struct served_model_jobs *jobs) {
    struct account *least = accounts_find(&lane->accounts, jobs->first->client);
    for (const struct job *job = jobs->first->next; job != NULL; job = job->next) {
        struct account *account = accounts_find(&lane->accounts, job->client);
        if (account->used < least->used)
            least = account;
    }
    accounts_serve(&lane->accounts, least);
    return least;
}

/* Adds jobs of one account, or of all of them, to a batch that has `count` images and may have
 * `most`; returns the new count. Under the mutex. */
static size_t batch_add(struct lane *lane, const struct served_model_jobs *jobs,
                        const struct account *account, size_t count, size_t most) {
    for (struct job *job = jobs->first; job != NULL && count < most; job = job->next) {
        if (job->running ||
            (account != NULL && accounts_find(&lane->accounts, job->client) != account))
            continue;
        const size_t left = job->count - job->taken;
        /* A small job is not cut, so that its answer needs one batch; a large one is. */
        if (count > 0 && left <= most && left > most - count)
            break;
        job->taking = left < most - count ? left : most - count;
        job->running = true;
        count += job->taking;
        lane->batch[lane->batch_count++] = job;
    }
    return count;
}

/* Moves the next model's jobs for one batch into lane->batch. Under the mutex. */
static void batch_take(struct lane *lane) {
    struct served_model *model = lane->next_model;
    const size_t most = batch_largest(lane, model);
    lane->batch_count = 0;
    const size_t count = batch_add(lane, &model->jobs, account_next(lane, &model->jobs), 0, most);
    (void)batch_add(lane, &model->jobs, NULL, count, most);
    /* The model is put last in the round-robin; its jobs stay this batch's until it ends. */
    model_cut(lane, model);
    model_append(lane, model);
}

/* Makes *buffer hold `needed` floats; it grows to the largest batch of several jobs. */
static bool buffer_grow(float **buffer, size_t *room, size_t needed) {
    if (needed <= *room)
        return true;
    float *grown = cn_floats_allocate(needed);
    if (grown == NULL)
        return false;
    free(*buffer);
    *buffer = grown;
    *room = needed;
    return true;
}

/* Allocates the workspaces and buffers that `model` needs; NULL if memory runs out. */
static struct cn_workspace **batch_prepare(struct lane *lane, struct served_model *model) {
    const size_t first = lane->options.first_slot;
    size_t count = 0;
    for (size_t i = 0; i < lane->batch_count && lane->batch_count > 1; i++)
        count += lane->batch[i]->taking;
    bool good =
        buffer_grow(&lane->images, &lane->image_room, count * cn_plan_input_size(model->plan)) &&
        buffer_grow(&lane->outputs, &lane->output_room, count * cn_plan_output_row(model->plan));
    for (int i = 0; good && i < lane->options.threads; i++)
        good = served_model_workspace(model, first + (size_t)i) != NULL;
    return good ? model->workspaces + first : NULL;
}

/* Ends the job with `outcome`, or returns it to its queue for the next batch. Its client is charged
 * by the model's measured cost, which no other load of the machine changes. */
static void job_leave_batch(struct lane *lane, struct job *job, enum job_outcome outcome) {
    bool ended = true;
    (void)pthread_mutex_lock(&lane->mutex);
    if (outcome == JOB_DONE) {
        accounts_find(&lane->accounts, job->client)->used +=
            (uint64_t)((double)job->taking * job->model->image_seconds * 1e9);
        lane->depth -= job->taking;
        job->taken += job->taking;
        const bool late = job->deadline.at != 0 && cn_clock_nanoseconds() >= job->deadline.at;
        ended = job->taken == job->count || late;
        outcome = job->taken == job->count ? JOB_DONE : JOB_EXPIRED;
    }
    job->taking = 0;
    job->running = false;
    if (ended) {
        deadlines_remove(&lane->deadlines, &job->deadline);
        job_unlink(lane, job);
    } else {
        job_requeue(job);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    if (ended)
        job_finish(job, outcome);
}

/* Ends those jobs of the batch that are late or abandoned; keeps the others. */
static void batch_drop_abandoned(struct lane *lane) {
    const uint64_t now = cn_clock_nanoseconds();
    size_t kept = 0;
    for (size_t i = 0; i < lane->batch_count; i++) {
        struct job *job = lane->batch[i];
        if (job->deadline.at != 0 && now >= job->deadline.at)
            job_leave_batch(lane, job, JOB_EXPIRED);
        else if (job->abandoned != NULL && job->abandoned(job))
            job_leave_batch(lane, job, JOB_DROPPED);
        else
            lane->batch[kept++] = job;
    }
    lane->batch_count = kept;
}

/* Computes the batch: one job in its own buffers; several are gathered, computed together and
 * scattered. */
static size_t batch_compute(struct lane *lane, const struct cn_plan *plan,
                            struct cn_workspace *const *workspaces) {
    const size_t in = cn_plan_input_size(plan), out = cn_plan_output_row(plan);
    size_t count = 0;
    if (lane->batch_count == 1) {
        struct job *job = lane->batch[0];
        cn_plan_run_rows(plan, workspaces, lane->options.threads, job->images + job->taken * in,
                         job->taking, job->outputs + job->taken * out);
        return job->taking;
    }
    for (size_t i = 0; i < lane->batch_count; i++) {
        const struct job *job = lane->batch[i];
        memcpy(lane->images + count * in, job->images + job->taken * in,
               job->taking * in * sizeof(float));
        count += job->taking;
    }
    cn_plan_run_rows(plan, workspaces, lane->options.threads, lane->images, count, lane->outputs);
    count = 0;
    for (size_t i = 0; i < lane->batch_count; i++) {
        struct job *job = lane->batch[i];
        memcpy(job->outputs + job->taken * out, lane->outputs + count * out,
               job->taking * out * sizeof(float));
        count += job->taking;
    }
    return count;
}

/* Computes the batch and ends the jobs that are complete. Called without the mutex. */
static void batch_run(struct lane *lane) {
    batch_drop_abandoned(lane);
    if (lane->batch_count == 0)
        return;
    struct served_model *model = lane->batch[0]->model;
    struct cn_workspace **workspaces = NULL;
    size_t images = lane->batch[0]->taking;
    enum job_outcome outcome = JOB_DONE;
    const uint64_t begun = cn_clock_nanoseconds();
    for (size_t i = 0; i < lane->batch_count; i++)
        if (lane->batch[i]->begun_nanoseconds == 0)
            lane->batch[i]->begun_nanoseconds = begun;
    if ((workspaces = batch_prepare(lane, model)) != NULL)
        images = batch_compute(lane, model->plan, workspaces);
    else
        outcome = JOB_FAILED;
    const double seconds = cn_seconds_since(begun);
    if (outcome == JOB_DONE && lane->options.executed != NULL)
        lane->options.executed(lane->options.data, model, images, seconds);
    for (size_t i = 0; i < lane->batch_count; i++) {
        lane->batch[i]->compute_seconds += seconds;
        lane->batch[i]->batches++;
        job_leave_batch(lane, lane->batch[i], outcome);
    }
}

/* ---- The compute thread ---- */

/* Waits for the batch to fill, `delay` at most; only if a delay is set. Under the mutex. */
static void batch_wait_for_more(struct lane *lane) {
    const uint64_t delay = lane->options.delay_nanoseconds;
    if (delay == 0)
        return;
    const uint64_t until = lane->next_model->jobs.first->submitted_nanoseconds + delay;
    while (!lane->stopping && lane->depth > 0 && lane->depth < lane->options.batch_images &&
           cn_clock_nanoseconds() < until)
        (void)cn_condition_wait(&lane->changed, &lane->mutex, until);
}

/* Answers lane_alive, which asks whether this thread runs. Under the mutex. */
static void probes_answer(struct lane *lane) {
    if (lane->probes_answered == lane->probes_asked)
        return;
    lane->probes_answered = lane->probes_asked;
    (void)pthread_cond_broadcast(&lane->answered);
}

static void *compute_thread(void *data) {
    struct lane *lane = data;
    team_start(lane);
    (void)pthread_mutex_lock(&lane->mutex);
    while (lane->next_model != NULL || !lane->stopping) {
        probes_answer(lane);
        if (lane->next_model == NULL) {
            (void)pthread_cond_wait(&lane->changed, &lane->mutex);
            continue;
        }
        batch_wait_for_more(lane);
        if (lane->next_model == NULL) /* the jobs expired meanwhile */
            continue;
        batch_take(lane);
        lane->moved = cn_clock_nanoseconds();
        lane->running = true;
        (void)pthread_mutex_unlock(&lane->mutex);
        batch_run(lane);
        (void)pthread_mutex_lock(&lane->mutex);
        lane->running = false;
        lane->moved = cn_clock_nanoseconds();
    }
    lane->compute_ended = true;
    (void)pthread_cond_signal(&lane->sooner);
    (void)pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* ---- Deadlines ---- */

/* The job that contains this deadline. */
static struct job *job_of(struct deadline *deadline) {
    return (struct job *)(void *)((char *)deadline - offsetof(struct job, deadline));
}

/* Removes the waiting jobs whose deadline has passed, linked by `next`. A job that is being
 * computed stays, since the compute thread checks its time itself. Under the mutex. */
static struct job *deadlines_take_due(struct lane *lane, uint64_t now) {
    struct job *due = NULL;
    for (struct deadline *at; (at = deadlines_take(&lane->deadlines, now)) != NULL;) {
        struct job *job = job_of(at);
        if (job->running)
            continue;
        job_unlink(lane, job);
        job->next = due;
        due = job;
    }
    return due;
}

/* Answers jobs whose deadline passes. The thread may wake up for deadlines that were removed; it is
 * signaled for an earlier one only. */
static void *deadlines_thread(void *data) {
    struct lane *lane = data;
    (void)pthread_mutex_lock(&lane->mutex);
    while (!lane->compute_ended) {
        struct job *due = deadlines_take_due(lane, cn_clock_nanoseconds());
        if (due == NULL) {
            lane->wake_at = deadlines_next(&lane->deadlines);
            (void)cn_condition_wait(&lane->sooner, &lane->mutex, lane->wake_at);
            continue;
        }
        (void)pthread_mutex_unlock(&lane->mutex);
        for (struct job *next; due != NULL; due = next) {
            next = due->next;
            job_finish(due, JOB_EXPIRED);
        }
        (void)pthread_mutex_lock(&lane->mutex);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* ---- Public functions ---- */

static void locks_init(struct lane *lane) {
    cn_condition_init(&lane->changed);
    cn_condition_init(&lane->sooner);
    cn_condition_init(&lane->answered);
    (void)pthread_mutex_init(&lane->mutex, NULL);
}

static void lane_destroy(struct lane *lane) {
    (void)pthread_cond_destroy(&lane->changed);
    (void)pthread_cond_destroy(&lane->sooner);
    (void)pthread_cond_destroy(&lane->answered);
    (void)pthread_mutex_destroy(&lane->mutex);
    deadlines_clear(&lane->deadlines);
    free(lane->batch);
    free(lane->images);
    free(lane->outputs);
    free(lane);
}

/* Ends the compute thread, and then the deadlines' thread. */
static void compute_end(struct lane *lane) {
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
        return cn_fail(error, CN_MEMORY, "no memory for the batch lane");
    }
    /* LLVM's runtime opens a file at the first call and ends the program if it cannot. So it is
     * called now, before clients can use up the descriptors. */
    (void)omp_get_max_threads();
    lane->options = *options;
    lane->batch = batch;
    lane->wake_at = UINT64_MAX;
    locks_init(lane);
    int failed = pthread_create(&lane->compute, NULL, compute_thread, lane);
    if (failed == 0) {
        failed = pthread_create(&lane->deadline_thread, NULL, deadlines_thread, lane);
        if (failed != 0)
            compute_end(lane);
    }
    if (failed != 0) {
        lane_destroy(lane);
        return cn_fail(error, CN_IO, "cannot start the compute thread: %s", strerror(failed));
    }
    *ret_lane = lane;
    return CN_OK;
}

/* Under the mutex. A job larger than the whole queue is accepted when nothing waits: the request's
 * limit of images has allowed it. */
static bool queue_has_room(struct lane *lane, uint64_t client, size_t images) {
    size_t most = lane->options.queue_images;
    if (accounts_find(&lane->accounts, client)->waiting == 0)
        most += most / 4;
    return lane->depth == 0 || lane->depth + images <= most;
}

enum lane_answer lane_submit(struct lane *lane, struct job *job) {
    enum lane_answer answer = LANE_ACCEPTED;
    (void)pthread_mutex_lock(&lane->mutex);
    job->taken = job->taking = job->batches = 0;
    job->begun_nanoseconds = 0;
    job->running = false;
    job->compute_seconds = 0;
    job->submitted_nanoseconds = cn_clock_nanoseconds();
    if (lane->stopping)
        answer = LANE_CLOSED;
    else if (!queue_has_room(lane, job->client, job->count) ||
             !deadlines_add(&lane->deadlines, &job->deadline))
        answer = LANE_FULL;
    if (answer == LANE_ACCEPTED) {
        if (lane->next_model == NULL && !lane->running)
            lane->moved = job->submitted_nanoseconds;
        job_link(lane, job);
        (void)pthread_cond_signal(&lane->changed);
        if (job->deadline.at != 0 && job->deadline.at < lane->wake_at)
            (void)pthread_cond_signal(&lane->sooner);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return answer;
}

bool lane_has_room(struct lane *lane, uint64_t client, size_t images) {
    (void)pthread_mutex_lock(&lane->mutex);
    const bool room = queue_has_room(lane, client, images);
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
    const bool busy = lane->next_model != NULL || lane->running;
    const bool stalled = busy && cn_clock_nanoseconds() > lane->moved + limit;
    (void)pthread_mutex_unlock(&lane->mutex);
    return stalled;
}

bool lane_alive(struct lane *lane, uint64_t timeout) {
    const uint64_t until = cn_clock_nanoseconds() + timeout;
    bool waiting = true;
    (void)pthread_mutex_lock(&lane->mutex);
    const unsigned probe = ++lane->probes_asked;
    (void)pthread_cond_signal(&lane->changed);
    while (!lane->compute_ended && (int)(lane->probes_answered - probe) < 0 && waiting)
        waiting = cn_condition_wait(&lane->answered, &lane->mutex, until);
    const bool alive = (int)(lane->probes_answered - probe) >= 0;
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
    compute_end(lane);
    (void)pthread_join(lane->deadline_thread, NULL);
}

void lane_free(struct lane *lane) {
    if (lane == NULL)
        return;
    lane_stop(lane);
    lane_destroy(lane);
}
