/* lane.h: the batch lane: a bounded queue counted in images and the compute thread that empties it.
 *
 * The compute thread takes what waits (work-conserving; it never waits for a batch to fill unless a
 * delay is set), runs it through OpenMP over the images and calls each job's `done`. It is the only
 * thread of the daemon that enters OpenMP regions.
 */
#ifndef CONVNET_BATCH_LANE_H
#define CONVNET_BATCH_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "batch/served_model.h"

enum job_outcome {
    JOB_DONE = 0,
    JOB_EXPIRED, /* its deadline passed before the work began or ended */
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
    uint64_t deadline_nanoseconds; /* cn_clock_nanoseconds; 0: none */
    void (*done)(struct job *job); /* on the compute thread, exactly once; must not block */
    void *data;
    /* Written by the lane before `done`. */
    enum job_outcome outcome;
    double queue_seconds, compute_seconds;
    /* The lane's own. */
    uint64_t submitted_nanoseconds;
    struct job *next;
};

struct lane_options {
    size_t queue_images;        /* refuse beyond this many waiting images */
    size_t batch_images;        /* images in one batch execution at most; larger jobs are cut */
    uint64_t delay_nanoseconds; /* wait so long for a batch to fill; 0: never wait */
    int threads;                /* OpenMP threads; they use the models' slots */
    size_t first_slot;          /* ... from this one on */
};

enum lane_answer { LANE_ACCEPTED = 0, LANE_FULL, LANE_CLOSED };

struct lane;

enum cn_status lane_create(const struct lane_options *options, struct lane **ret_lane,
                           struct cn_error *error);

/* Never blocks. After LANE_ACCEPTED `done` will be called; after another answer it will not. */
enum lane_answer lane_submit(struct lane *lane, struct job *job);

/* Images waiting now. */
size_t lane_depth(struct lane *lane);

/* Refuses new jobs, finishes what waits, ends the thread. */
void lane_stop(struct lane *lane);
void lane_free(struct lane *lane); /* accepts NULL; stops first */

#endif
