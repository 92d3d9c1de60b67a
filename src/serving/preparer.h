/* preparer.h: threads that decode and prepare larger inputs, so that neither a thread that reads
 * connections nor another client waits for that.
 *
 * A preparation is cut into steps of one picture each. The next step is given to the client that
 * has used the least processor time, and to that preparation of it which has used the least: a
 * request of a hundred large pictures delays others by one picture's time at most. The deadline,
 * the client's presence and a shutdown are checked between steps, and within a step whenever it
 * calls preparer_must_stop (decoders do between rows). The threads have a lower priority than those
 * that answer. */
#ifndef CONVNET_SERVING_PREPARER_H
#define CONVNET_SERVING_PREPARER_H

#include "base/atomics.h"
#include "convnet/status.h"
#include "serving/deadline_heap.h"

enum preparation_outcome {
    PREPARATION_DONE = 0,
    PREPARATION_EXPIRED,  /* its deadline passed */
    PREPARATION_DROPPED,  /* the client no longer waits */
    PREPARATION_CANCELED, /* by preparer_cancel */
    PREPARATION_REFUSED   /* a submitter may store this when the preparer did not accept it */
};

struct preparer;

/* The preparation of one request. The submitter owns it and keeps it until `done`. */
struct preparation {
    uint64_t client; /* whose processor time is used; any number */
    struct deadline deadline;
    /* Runs one step on one of the threads; false after the last one. */
    bool (*step)(struct preparation *preparation);
    /* True if the client no longer waits. Called on any of the threads. May be NULL. */
    bool (*abandoned)(struct preparation *preparation);
    /* Called exactly once, on one of the preparer's threads; must not block. */
    void (*done)(struct preparation *preparation);
    void *data;
    /* Written by the preparer before it calls `done`. */
    enum preparation_outcome outcome;
    double seconds; /* of processor time */
    /* Internal to the preparer. */
    struct preparer *preparer;
    uint64_t used, looked_at; /* processor time in nanoseconds; when `abandoned` was last called */
    bool running;
    struct preparation *next;
};

/* CN_INVALID: no threads; CN_MEMORY; CN_IO: a thread cannot be started. */
enum cn_status preparer_create(int threads, struct preparer **ret_preparer, struct cn_error *error);

/* Never blocks. True: `done` will be called. False: it will not, since the preparer was stopped or
 * there is no memory. */
bool preparer_submit(struct preparer *preparer, struct preparation *preparation);

/* Called from within a step: true if the step must end; its result is then not used. */
bool preparer_must_stop(struct preparation *preparation);

/* Ends all present and future preparations as CANCELED at their next check. */
void preparer_cancel(struct preparer *preparer);

/* True if there is work, and for `limit` nanoseconds no step began or ended and none called
 * preparer_must_stop. */
bool preparer_stalled(struct preparer *preparer, uint64_t limit);

/* Number of preparations that wait or run. */
size_t preparer_depth(struct preparer *preparer);

/* Refuses new preparations, finishes the present ones and ends the threads. Accepts NULL. */
void preparer_free(struct preparer *preparer);

#endif
