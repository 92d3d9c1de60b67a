/* preparer.h: threads that decode and prepare what is not small, so that no thread that reads
 * connections and no other client waits for it.
 *
 * A preparation is cut into steps, a picture each. The next step goes to the client that has used
 * the least processor time, and of its preparations to the one that has: a request of a hundred
 * large pictures holds nobody up for longer than one of them takes. Between steps, and within a
 * step by whoever asks preparer_must_stop (decoders do, between rows), the deadline, the client's
 * presence and a shutdown are looked at. The threads run at a lower priority than those that
 * answer.
 */
#ifndef CONVNET_SERVING_PREPARER_H
#define CONVNET_SERVING_PREPARER_H

#include <stdatomic.h>

#include "convnet/status.h"
#include "serving/deadlines.h"

enum preparation_outcome {
    PREPARATION_DONE = 0,
    PREPARATION_EXPIRED,  /* its deadline passed */
    PREPARATION_DROPPED,  /* nobody wants the answer any more */
    PREPARATION_CANCELED, /* preparer_cancel */
    PREPARATION_REFUSED   /* what a submitter may note when it was not taken */
};

struct preparer;

/* One request's. The submitter owns it and keeps it until `done`. */
struct preparation {
    uint64_t client; /* whose processor time it uses; any number */
    struct deadline deadline;
    /* One step, on one of the threads; false after the last one. */
    bool (*step)(struct preparation *preparation);
    /* True if nobody waits for the answer any more; from any of the threads. May be NULL. */
    bool (*abandoned)(struct preparation *preparation);
    /* Exactly once, on one of the preparer's threads; must not block. */
    void (*done)(struct preparation *preparation);
    void *data;
    /* Written by the preparer before `done`. */
    enum preparation_outcome outcome;
    double seconds; /* of processor time */
    /* The preparer's own. */
    struct preparer *preparer;
    uint64_t used, looked_at; /* nanoseconds: processor time; when `abandoned` was asked last */
    bool running;
    struct preparation *next;
};

/* CN_INVALID: no threads; CN_MEMORY; CN_IO: a thread cannot be started. */
enum cn_status preparer_create(int threads, struct preparer **ret_preparer, struct cn_error *error);

/* Never blocks. True: `done` will be called; false, when it was stopped or without memory: not. */
bool preparer_submit(struct preparer *preparer, struct preparation *preparation);

/* From within a step: true if it is to end, whatever it has done; its result is not used. */
bool preparer_must_stop(struct preparation *preparation);

/* Ends all preparations, at the next look, as CANCELED; later ones too. */
void preparer_cancel(struct preparer *preparer);

/* True if there is work, and for `limit` nanoseconds none has moved: no step began or ended and
 * nobody asked preparer_must_stop. */
bool preparer_stalled(struct preparer *preparer, uint64_t limit);

/* Preparations there are now. */
size_t preparer_depth(struct preparer *preparer);

/* Refuses what is new, finishes what is there and ends the threads. Accepts NULL. */
void preparer_free(struct preparer *preparer);

#endif
