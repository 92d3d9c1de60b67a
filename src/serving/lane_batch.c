/* lane_batch.c: one batch: the jobs that go into it, the computation, their ends. On the compute
 * thread only; the lane's mutex is held where it says so. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "serving/lane_private.h"

void lane_start_team(const struct lane *lane) {
    const int threads = lane->options.threads;
    int started = 0;
    if (threads < 2)
        return;
#pragma omp parallel num_threads(threads) reduction(+ : started)
    started++;
    (void)started;
}

void lane_finish(struct job *job, enum job_outcome outcome) {
    const uint64_t until =
        job->begun_nanoseconds != 0 ? job->begun_nanoseconds : cn_clock_nanoseconds();
    job->outcome = outcome;
    job->queue_seconds = (double)(until - job->submitted_nanoseconds) * 1e-9;
    job->done(job);
}

/* Images of this model in one batch. */
static size_t largest_batch(const struct lane *lane, const struct served_model *model) {
    const double images = LANE_TURN * lane->options.threads / model->image_seconds;
    const size_t most = lane->options.batch_images, least = (size_t)lane->options.threads;
    if (!(images < (double)most))
        return most;
    const size_t count = (size_t)images > least ? (size_t)images : least;
    return count < most ? count : most;
}

void lane_take(struct lane *lane) {
    struct served_model *model = lane->turn;
    const size_t most = largest_batch(lane, model);
    size_t count = 0;
    lane->batch_count = 0;
    for (struct job *job = model->jobs.first, *next; job != NULL && count < most; job = next) {
        next = job->next;
        if (lane->batch_count > 0 && (job->work != NULL || lane->batch[0]->work != NULL))
            break; /* alone */
        const size_t left = job->count - job->taken;
        /* A small job goes in whole, so that its answer needs one batch; a large one is cut. */
        if (count > 0 && left <= most && left > most - count)
            break;
        job->taking = job->work != NULL || left < most - count ? left : most - count;
        job->running = true;
        count += job->taking;
        lane->batch[lane->batch_count++] = job;
    }
    /* The model goes to the end of the line, and its jobs to nobody else meanwhile. */
    lane->turn = model->jobs.next_model;
    model->jobs.next_model = NULL;
    if (lane->turn == NULL)
        lane->turn = model;
    else
        lane->last_turn->jobs.next_model = model;
    lane->last_turn = model;
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

/* Ends or returns the job at the end of what was done for it: `outcome` unless it is to wait for
 * its next batch. */
static void leave(struct lane *lane, struct job *job, enum job_outcome outcome) {
    bool ended = true;
    (void)pthread_mutex_lock(&lane->mutex);
    if (outcome == JOB_DONE) {
        lane->depth -= job->taking;
        job->taken += job->taking;
        const bool late =
            job->deadline_nanoseconds != 0 && cn_clock_nanoseconds() >= job->deadline_nanoseconds;
        ended = job->taken == job->count || late;
        outcome = job->taken == job->count ? JOB_DONE : JOB_EXPIRED;
    }
    job->taking = 0;
    job->running = false;
    if (ended) {
        lane_deadline_remove(lane, job);
        lane_unlink(lane, job);
    } else {
        lane_requeue(job);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    if (ended)
        lane_finish(job, outcome);
}

/* Answers the jobs of the batch that are late or that nobody waits for; keeps the others. */
static void drop_unwanted(struct lane *lane) {
    const uint64_t now = cn_clock_nanoseconds();
    size_t kept = 0;
    for (size_t i = 0; i < lane->batch_count; i++) {
        struct job *job = lane->batch[i];
        if (job->deadline_nanoseconds != 0 && now >= job->deadline_nanoseconds)
            leave(lane, job, JOB_EXPIRED);
        else if (job->wanted != NULL && !job->wanted(job))
            leave(lane, job, JOB_DROPPED);
        else
            lane->batch[kept++] = job;
    }
    lane->batch_count = kept;
}

/* One job from its own buffers, several gathered, computed side by side and scattered. */
static size_t compute(struct lane *lane, const struct cn_plan *plan,
                      struct cn_workspace *const *workspaces) {
    const size_t in = cn_plan_input_size(plan), out = cn_plan_output_size(plan);
    size_t count = 0;
    if (lane->batch_count == 1) {
        struct job *job = lane->batch[0];
        cn_plan_run_parallel(plan, workspaces, lane->options.threads, job->images + job->taken * in,
                             job->taking, job->outputs + job->taken * out);
        return job->taking;
    }
    for (size_t i = 0; i < lane->batch_count; i++) {
        const struct job *job = lane->batch[i];
        memcpy(lane->images + count * in, job->images + job->taken * in,
               job->taking * in * sizeof(float));
        count += job->taking;
    }
    cn_plan_run_parallel(plan, workspaces, lane->options.threads, lane->images, count,
                         lane->outputs);
    count = 0;
    for (size_t i = 0; i < lane->batch_count; i++) {
        struct job *job = lane->batch[i];
        memcpy(job->outputs + job->taken * out, lane->outputs + count * out,
               job->taking * out * sizeof(float));
        count += job->taking;
    }
    return count;
}

void lane_run(struct lane *lane) {
    drop_unwanted(lane);
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
    if (lane->batch[0]->work != NULL)
        lane->batch[0]->work(lane->batch[0]);
    else if ((workspaces = prepare(lane, model)) != NULL)
        images = compute(lane, model->plan, workspaces);
    else
        outcome = JOB_FAILED;
    const double seconds = (double)(cn_clock_nanoseconds() - begun) * 1e-9;
    if (outcome == JOB_DONE && lane->options.executed != NULL)
        lane->options.executed(lane->options.data, model, images, seconds);
    for (size_t i = 0; i < lane->batch_count; i++) {
        lane->batch[i]->compute_seconds += seconds;
        lane->batch[i]->batches++;
        leave(lane, lane->batch[i], outcome);
    }
}
