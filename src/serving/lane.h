/* lane.h: the batch lane: a bounded queue counted in images, and the compute thread that empties
 * it.
 *
 * The compute thread takes the jobs that wait (it never waits for a batch to fill unless a delay is
 * set), runs them through OpenMP over the images and calls each job's `done`. It is the only thread
 * of the daemon that enters OpenMP regions. Models are served round-robin, one batch each. A batch
 * has at most as many images as the model computes in LANE_TIME_SLICE, so that a large job of a
 * slow model delays no other model for longer; after each batch it also moves behind the other jobs
 * of its own model. A batch takes first the jobs of the client that has used the least processor
 * time. A second thread answers jobs whose deadline passes while they wait; a job that is being
 * computed is answered at the end of its batch. Both threads sleep without a timer while the lane
 * is empty. */
#ifndef CONVNET_SERVING_LANE_H
#define CONVNET_SERVING_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serving/deadline_heap.h"
#include "serving/served_model.h"

/* The target duration of a batch in seconds; a batch has at least one image per thread. */
#define LANE_TIME_SLICE 0.02

enum job_outcome {
    JOB_DONE = 0,
    JOB_EXPIRED, /* its deadline passed before it was complete */
    JOB_DROPPED, /* the client no longer waits */
    JOB_FAILED,  /* no memory for the model's workspaces */
    /* A submitter may store this when the lane did not accept the job. */
    JOB_REFUSED_FULL,
    JOB_REFUSED_CLOSED
};

/* The images of one request. The submitter owns it and its buffers, and keeps both until `done`. */
struct job {
    struct served_model *model; /* borrowed; the submitter holds a reference */
    const float *images;        /* [count, input] */
    float *outputs;             /* [count, output], written by the lane */
    size_t count;
    uint64_t client; /* whose processor time is used; any number */
    struct deadline deadline;
    /* True if the client no longer waits. Called before each batch on the compute thread. May be
     * NULL. */
    bool (*abandoned)(struct job *job);
    /* Called exactly once, on one of the lane's threads; must not block. */
    void (*done)(struct job *job);
    void *data;
    /* Written by the lane before it calls `done`. */
    enum job_outcome outcome;
    double queue_seconds, compute_seconds; /* until its first batch began; within its batches */
    size_t batches;                        /* batch executions that it was part of */
    /* Internal to the lane. */
    uint64_t submitted_nanoseconds, begun_nanoseconds;
    size_t taken, taking; /* images in batches so far, and in the current one */
    bool running;         /* is in the current batch */
    struct job *previous, *next;
};

struct lane_options {
    /* Jobs beyond this number of waiting images are refused. For the first job of a client the
     * limit is a quarter higher, so that clients with many jobs leave room for it. */
    size_t queue_images;
    size_t batch_images;        /* most images per batch; larger jobs are cut */
    uint64_t delay_nanoseconds; /* how long to wait for a batch to fill; 0: not at all */
    int threads;                /* OpenMP threads; each uses one workspace slot of a model */
    size_t first_slot;          /* the slot of the first of these threads */
    /* Called after each batch on the compute thread; may be NULL. */
    void (*executed)(void *data, const struct served_model *model, size_t images, double seconds);
    void *data;
};

enum lane_answer { LANE_ACCEPTED = 0, LANE_FULL, LANE_CLOSED };

struct lane;

enum cn_status lane_create(const struct lane_options *options, struct lane **ret_lane,
                           struct cn_error *error);

/* Never blocks. `done` will be called after LANE_ACCEPTED, and not after any other answer. */
enum lane_answer lane_submit(struct lane *lane, struct job *job);

/* False if this many images of the client would be refused now. */
bool lane_has_room(struct lane *lane, uint64_t client, size_t images);

/* Number of images that wait now. */
size_t lane_depth(struct lane *lane);

/* True if there is work and no batch has begun or ended for `limit` nanoseconds. */
bool lane_stalled(struct lane *lane, uint64_t limit);

/* True if the compute thread responds within `timeout` nanoseconds, between two batches or from its
 * sleep. Blocking. */
bool lane_alive(struct lane *lane, uint64_t timeout);

/* Refuses new jobs, finishes the waiting ones and ends the threads. */
void lane_stop(struct lane *lane);
void lane_free(struct lane *lane); /* accepts NULL; stops first */

#endif
