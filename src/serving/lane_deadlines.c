/* lane_deadlines.c: answers waiting jobs at their deadline: a heap of deadlines and the thread that
 * sleeps until the earliest. Computes nothing. The heap is guarded by the lane's mutex. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "serving/lane_private.h"

static void place(struct lane *lane, size_t i, struct job *job) {
    lane->heap[i] = job;
    job->deadline_place = i + 1;
}

static void rise(struct lane *lane, size_t i, struct job *job) {
    while (i > 0 && lane->heap[(i - 1) / 2]->deadline_nanoseconds > job->deadline_nanoseconds) {
        place(lane, i, lane->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(lane, i, job);
}

static void sink(struct lane *lane, size_t i, struct job *job) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < lane->heap_count &&
            lane->heap[child + 1]->deadline_nanoseconds < lane->heap[child]->deadline_nanoseconds)
            child++;
        if (child >= lane->heap_count ||
            lane->heap[child]->deadline_nanoseconds >= job->deadline_nanoseconds)
            break;
        place(lane, i, lane->heap[child]);
        i = child;
    }
    place(lane, i, job);
}

bool lane_deadline_add(struct lane *lane, struct job *job) {
    if (job->deadline_nanoseconds == 0)
        return true;
    if (lane->heap_count == lane->heap_capacity) {
        const size_t capacity = 2 * lane->heap_capacity + 64;
        struct job **heap = realloc(lane->heap, capacity * sizeof(struct job *));
        if (heap == NULL)
            return false;
        lane->heap = heap;
        lane->heap_capacity = capacity;
    }
    rise(lane, lane->heap_count++, job);
    /* The thread may sleep past deadlines that went away; it is woken for an earlier one only. */
    if (job->deadline_nanoseconds < lane->wake_at)
        (void)pthread_cond_signal(&lane->sooner);
    return true;
}

void lane_deadline_remove(struct lane *lane, struct job *job) {
    if (job->deadline_place == 0)
        return;
    const size_t i = job->deadline_place - 1;
    struct job *last = lane->heap[--lane->heap_count];
    job->deadline_place = 0;
    if (last == job)
        return;
    if (i > 0 && lane->heap[(i - 1) / 2]->deadline_nanoseconds > last->deadline_nanoseconds)
        rise(lane, i, last);
    else
        sink(lane, i, last);
}

/* Under the mutex: waiting jobs that are due, linked by `next`. One that is being computed stays
 * with the compute thread, which looks at the time itself. */
static struct job *take_due(struct lane *lane, uint64_t now) {
    struct job *due = NULL;
    while (lane->heap_count > 0 && lane->heap[0]->deadline_nanoseconds <= now) {
        struct job *job = lane->heap[0];
        lane_deadline_remove(lane, job);
        if (job->running)
            continue;
        lane_unlink(lane, job);
        job->next = due;
        due = job;
    }
    return due;
}

void *lane_deadlines(void *data) {
    struct lane *lane = data;
    (void)pthread_mutex_lock(&lane->mutex);
    while (!lane->compute_ended) {
        struct job *due = take_due(lane, cn_clock_nanoseconds());
        if (due != NULL) {
            (void)pthread_mutex_unlock(&lane->mutex);
            for (struct job *next; due != NULL; due = next) {
                next = due->next;
                lane_finish(due, JOB_EXPIRED);
            }
            (void)pthread_mutex_lock(&lane->mutex);
            continue;
        }
        lane->wake_at = lane->heap_count > 0 ? lane->heap[0]->deadline_nanoseconds : UINT64_MAX;
        const struct timespec limit = {(time_t)(lane->wake_at / 1000000000u),
                                       (long)(lane->wake_at % 1000000000u)};
        if (lane->heap_count > 0)
            (void)pthread_cond_timedwait(&lane->sooner, &lane->mutex, &limit);
        else
            (void)pthread_cond_wait(&lane->sooner, &lane->mutex);
    }
    (void)pthread_mutex_unlock(&lane->mutex);
    return NULL;
}
