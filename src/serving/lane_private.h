/* lane_private.h: what lane.c, lane_batch.c and lane_deadlines.c share. */
#ifndef CONVNET_SERVING_LANE_PRIVATE_H
#define CONVNET_SERVING_LANE_PRIVATE_H

#include <pthread.h>

#include "serving/lane.h"

struct lane {
    struct lane_options options;
    pthread_t compute, deadline_thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;  /* for the compute thread: work, stop, a ping */
    pthread_cond_t sooner;   /* for the deadlines' thread: an earlier deadline, stop */
    pthread_cond_t answered; /* for lane_alive */
    struct served_model *turn,
        *last_turn; /* models with waiting jobs: whose turn it is, the last */
    size_t depth;   /* images waiting */
    bool stopping, stopped, compute_ended;
    uint64_t moved;        /* when a batch began or ended, or work came to an empty lane */
    bool running;          /* a batch */
    unsigned pings, pongs; /* asked, answered */
    struct job **heap;     /* jobs with a deadline, the earliest first */
    size_t heap_count, heap_capacity;
    uint64_t wake_at; /* until when the deadlines' thread sleeps */

    /* The compute thread's own. */
    struct job **batch; /* [batch_images]: the jobs of the batch that runs */
    size_t batch_count;
    float *images, *outputs;        /* [batch_images, ...]: several jobs side by side */
    size_t image_room, output_room; /* floats of one image and output that they have room for */
};

/* ---- lane.c: the queues, all under the mutex ---- */

/* Takes a job out of its model's queue. */
void lane_unlink(struct lane *lane, struct job *job);

/* Moves it behind the model's other jobs. */
void lane_requeue(struct job *job);

/* ---- lane_batch.c, on the compute thread ---- */

/* Starts OpenMP's threads: they stay. libgomp ends the process when it cannot start one, which must
 * not happen with requests in flight. */
void lane_start_team(const struct lane *lane);

/* Under the mutex: the next model's jobs for one batch, into lane->batch. */
void lane_take(struct lane *lane);

/* Without the mutex: computes what was taken and ends the jobs that are complete. */
void lane_run(struct lane *lane);

/* ---- lane_deadlines.c ---- */

/* Under the mutex. False without memory. */
bool lane_deadline_add(struct lane *lane, struct job *job);
void lane_deadline_remove(struct lane *lane, struct job *job);

/* The thread that answers jobs whose deadline passes. */
void *lane_deadlines(void *lane);

/* Ends a job that nothing refers to any more; without the mutex. */
void lane_finish(struct job *job, enum job_outcome outcome);

#endif
