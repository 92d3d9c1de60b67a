/* lane.h: the batch lane: a bounded queue counted in images and the compute thread that empties it.
 *
 * The compute thread takes what waits (work-conserving; it never waits for a batch to fill unless a
 * delay is set), runs it through OpenMP over the images and calls each job's `done`. It is the only
 * thread of the daemon that enters OpenMP regions. Models take turns, a batch each; a batch is at
 * most so many images as the model computes in LANE_TURN, so that a large job of a slow model holds
 * nobody up for longer; after its turn it lets the model's other jobs by. A second thread answers
 * jobs whose deadline passes while they wait; what is being computed then is answered at the end of
 * its batch. Both threads sleep without a timer while the lane is empty.
 */
#ifndef CONVNET_SERVING_LANE_H
#define CONVNET_SERVING_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serving/deadlines.h"
#include "serving/served_model.h"

/* A batch computes for about so long at most, but at least an image for each thread: seconds. */
#define LANE_TURN 0.02

enum job_outcome {
    JOB_DONE = 0,
    JOB_EXPIRED, /* its deadline passed before all was computed */
    JOB_DROPPED, /* nobody wants the answer any more */
    JOB_FAILED,  /* no memory for the model's workspaces */
    /* What a submitter may note when the lane did not take the job. */
    JOB_REFUSED_FULL,
    JOB_REFUSED_CLOSED
};

/* One request's images. The submitter owns it and its buffers and keeps both until `done`. */
struct job {
    struct served_model *model; /* borrowed: the submitter holds a reference */
    const float *images;        /* [count, input] */
    float *outputs;             /* [count, output], written by the lane */
    size_t count;
    struct deadline deadline;
    /* NULL: the images through the model's plan. Else this, alone, on the compute thread. */
    void (*work)(struct job *job);
    /* True if nobody waits for the answer any more: asked before each batch, on the compute
     * thread. May be NULL. */
    bool (*abandoned)(struct job *job);
    /* Exactly once, on one of the lane's threads; must not block. */
    void (*done)(struct job *job);
    void *data;
    /* Written by the lane before `done`. */
    enum job_outcome outcome;
    double queue_seconds, compute_seconds; /* until its first batch began; in its batches */
    size_t batches;                        /* executions that it took part in */
    /* The lane's own. */
    uint64_t submitted_nanoseconds, begun_nanoseconds;
    size_t taken, taking; /* images handed to batches so far, and to the one that runs */
    bool running;         /* in that one */
    struct job *previous, *next;
};

struct lane_options {
    size_t queue_images;        /* refuse beyond this many waiting images */
    size_t batch_images;        /* images in one batch execution at most; larger jobs are cut */
    uint64_t delay_nanoseconds; /* wait so long for a batch to fill; 0: never wait */
    int threads;                /* OpenMP threads; they use the models' slots */
    size_t first_slot;          /* ... from this one on */
    /* After each batch execution, on the compute thread; may be NULL. */
    void (*executed)(void *data, const struct served_model *model, size_t images, double seconds);
    void *data;
};

enum lane_answer { LANE_ACCEPTED = 0, LANE_FULL, LANE_CLOSED };

struct lane;

enum cn_status lane_create(const struct lane_options *options, struct lane **ret_lane,
                           struct cn_error *error);

/* Never blocks. After LANE_ACCEPTED `done` will be called; after another answer it will not. */
enum lane_answer lane_submit(struct lane *lane, struct job *job);

/* False if so many images would be refused now. */
bool lane_has_room(struct lane *lane, size_t images);

/* Images waiting now. */
size_t lane_depth(struct lane *lane);

/* True if there is work, and none of it has moved for `limit` nanoseconds. */
bool lane_stalled(struct lane *lane, uint64_t limit);

/* True if the compute thread shows itself within `timeout` nanoseconds: between two batches, or
 * woken up for it. Blocking. */
bool lane_alive(struct lane *lane, uint64_t timeout);

/* Refuses new jobs, finishes what waits, ends the threads. */
void lane_stop(struct lane *lane);
void lane_free(struct lane *lane); /* accepts NULL; stops first */

#endif
