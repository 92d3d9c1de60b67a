/* preparer.c: see preparer.h. It knows nothing about pictures. One mutex guards the list of waiting
 * preparations and the clients' accounts; steps run without it. */
#include "serving/preparer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/time.h"
#include "serving/accounts.h"

enum { NICENESS = 5 };

/* The time between two checks of the client's presence within a step. */
static const uint64_t look_interval = 10 * CN_MILLISECOND;

struct preparer {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* wakes the threads: work, stop */
    pthread_cond_t sooner;  /* wakes the deadlines' thread: an earlier deadline, stop */
    struct preparation *waiting;
    size_t depth; /* preparations that wait or run */
    struct deadlines deadlines;
    uint64_t wake_at; /* when the deadlines' thread wakes up */
    struct accounts accounts;
    bool stopping;
    atomic_bool canceling;
    _Atomic uint64_t moved;
    pthread_t deadlines_thread, *threads;
    size_t thread_count;
    bool watched;
};

/* ---- Under the mutex ---- */

static void waiting_append(struct preparer *preparer, struct preparation *p) {
    struct preparation **end = &preparer->waiting;
    while (*end != NULL)
        end = &(*end)->next;
    p->next = NULL;
    *end = p;
}

static void waiting_remove(struct preparer *preparer, struct preparation *p) {
    struct preparation **at = &preparer->waiting;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

/* The next preparation: of the client that has used the least time, the one that has used the
 * least. */
static struct preparation *waiting_take(struct preparer *preparer) {
    struct preparation *best = NULL;
    struct account *least = NULL;
    for (struct preparation *p = preparer->waiting; p != NULL; p = p->next) {
        struct account *account = accounts_find(&preparer->accounts, p->client);
        if (best != NULL && (account->used > least->used ||
                             (account->used == least->used && p->used >= best->used)))
            continue;
        best = p;
        least = account;
    }
    waiting_remove(preparer, best);
    accounts_serve(&preparer->accounts, least);
    best->running = true;
    return best;
}

/* Forgets the preparation, except for the call of its `done`. */
static void preparation_unlink(struct preparer *preparer, struct preparation *p) {
    deadlines_remove(&preparer->deadlines, &p->deadline);
    preparer->depth--;
}

/* ---- A step ---- */

/* PREPARATION_DONE if it may continue; else why it must end. */
static enum preparation_outcome preparation_check(const struct preparer *preparer,
                                                  struct preparation *p, uint64_t now) {
    if (preparer->canceling)
        return PREPARATION_CANCELED;
    if (p->deadline.at != 0 && now >= p->deadline.at)
        return PREPARATION_EXPIRED;
    if (p->abandoned != NULL && now - p->looked_at >= look_interval) {
        p->looked_at = now;
        if (p->abandoned(p))
            return PREPARATION_DROPPED;
    }
    return PREPARATION_DONE;
}

bool preparer_must_stop(struct preparation *p) {
    const uint64_t now = cn_clock_nanoseconds();
    p->preparer->moved = now;
    if (p->outcome == PREPARATION_DONE)
        p->outcome = preparation_check(p->preparer, p, now);
    return p->outcome != PREPARATION_DONE;
}

/* False when it is complete or must end: `outcome` says which. */
static bool preparation_step(struct preparer *preparer, struct preparation *p) {
    const uint64_t now = cn_clock_nanoseconds();
    if (p->used == 0) /* the client has just sent it, so it is there */
        p->looked_at = now;
    p->outcome = preparation_check(preparer, p, now);
    const bool more = p->outcome == PREPARATION_DONE && p->step(p);
    return more && p->outcome == PREPARATION_DONE;
}

static void preparation_finish(struct preparation *p) {
    p->seconds = cn_seconds(p->used);
    p->done(p);
}

static void *preparer_thread(void *data) {
    struct preparer *preparer = data;
    /* On Linux this concerns this thread alone. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS);
    (void)pthread_mutex_lock(&preparer->mutex);
    while (preparer->waiting != NULL || !preparer->stopping) {
        if (preparer->waiting == NULL) {
            (void)pthread_cond_wait(&preparer->changed, &preparer->mutex);
            continue;
        }
        struct preparation *p = waiting_take(preparer);
        preparer->moved = cn_clock_nanoseconds();
        (void)pthread_mutex_unlock(&preparer->mutex);
        const uint64_t begun = cn_clock_thread_nanoseconds();
        const bool more = preparation_step(preparer, p);
        const uint64_t used = cn_clock_thread_nanoseconds() - begun;
        (void)pthread_mutex_lock(&preparer->mutex);
        preparer->moved = cn_clock_nanoseconds();
        accounts_find(&preparer->accounts, p->client)->used += used;
        p->used += used;
        p->running = false;
        if (more) {
            waiting_append(preparer, p);
            continue;
        }
        preparation_unlink(preparer, p);
        (void)pthread_mutex_unlock(&preparer->mutex);
        preparation_finish(p);
        (void)pthread_mutex_lock(&preparer->mutex);
    }
    (void)pthread_mutex_unlock(&preparer->mutex);
    return NULL;
}

/* ---- Waiting preparations that must end ---- */

static struct preparation *preparation_of(struct deadline *deadline) {
    return (struct preparation *)(void *)((char *)deadline -
                                          offsetof(struct preparation, deadline));
}

/* Ends waiting preparations that are due. Called under the mutex, which is released meanwhile. A
 * running one checks by itself. */
static bool end_due(struct preparer *preparer) {
    struct deadline *at = deadlines_take(&preparer->deadlines, cn_clock_nanoseconds());
    if (at == NULL)
        return false;
    struct preparation *p = preparation_of(at);
    if (p->running)
        return true;
    waiting_remove(preparer, p);
    preparation_unlink(preparer, p);
    (void)pthread_mutex_unlock(&preparer->mutex);
    p->outcome = PREPARATION_EXPIRED;
    preparation_finish(p);
    (void)pthread_mutex_lock(&preparer->mutex);
    return true;
}

static void *preparer_deadlines_thread(void *data) {
    struct preparer *preparer = data;
    (void)pthread_mutex_lock(&preparer->mutex);
    while (!preparer->stopping || preparer->depth > 0) {
        if (end_due(preparer))
            continue;
        preparer->wake_at = deadlines_next(&preparer->deadlines);
        if (preparer->stopping && preparer->wake_at == UINT64_MAX)
            break;
        (void)cn_condition_wait(&preparer->sooner, &preparer->mutex, preparer->wake_at);
    }
    (void)pthread_mutex_unlock(&preparer->mutex);
    return NULL;
}

/* ---- Public functions ---- */

static void preparer_stop(struct preparer *preparer) {
    (void)pthread_mutex_lock(&preparer->mutex);
    preparer->stopping = true;
    (void)pthread_cond_broadcast(&preparer->changed);
    (void)pthread_cond_broadcast(&preparer->sooner);
    (void)pthread_mutex_unlock(&preparer->mutex);
    for (size_t i = 0; i < preparer->thread_count; i++)
        (void)pthread_join(preparer->threads[i], NULL);
    if (!preparer->watched)
        return;
    (void)pthread_mutex_lock(&preparer->mutex); /* the last one may have ended meanwhile */
    (void)pthread_cond_broadcast(&preparer->sooner);
    (void)pthread_mutex_unlock(&preparer->mutex);
    (void)pthread_join(preparer->deadlines_thread, NULL);
}

void preparer_free(struct preparer *preparer) {
    if (preparer == NULL)
        return;
    preparer_stop(preparer);
    (void)pthread_cond_destroy(&preparer->changed);
    (void)pthread_cond_destroy(&preparer->sooner);
    (void)pthread_mutex_destroy(&preparer->mutex);
    deadlines_clear(&preparer->deadlines);
    free(preparer->threads);
    free(preparer);
}

enum cn_status preparer_create(int threads, struct preparer **ret_preparer,
                               struct cn_error *error) {
    struct preparer *preparer = calloc(1, sizeof *preparer);
    if (threads < 1 || preparer == NULL) {
        free(preparer);
        return threads < 1
                   ? cn_fail(error, CN_INVALID, "a preparer needs threads; it has %d", threads)
                   : cn_fail(error, CN_MEMORY, "no memory for the preparer");
    }
    (void)pthread_mutex_init(&preparer->mutex, NULL);
    cn_condition_init(&preparer->changed);
    cn_condition_init(&preparer->sooner);
    preparer->wake_at = UINT64_MAX;
    preparer->threads = calloc((size_t)threads, sizeof *preparer->threads);
    int failed = preparer->threads == NULL ? ENOMEM
                                           : pthread_create(&preparer->deadlines_thread, NULL,
                                                            preparer_deadlines_thread, preparer);
    preparer->watched = failed == 0;
    for (int i = 0; i < threads && failed == 0; i++) {
        failed = pthread_create(&preparer->threads[i], NULL, preparer_thread, preparer);
        preparer->thread_count += failed == 0;
    }
    if (failed != 0) {
        preparer_free(preparer);
        return cn_fail(error, CN_IO, "cannot start the preparing threads: %s", strerror(failed));
    }
    *ret_preparer = preparer;
    return CN_OK;
}

bool preparer_submit(struct preparer *preparer, struct preparation *p) {
    (void)pthread_mutex_lock(&preparer->mutex);
    p->preparer = preparer;
    p->outcome = PREPARATION_DONE;
    p->used = 0;
    p->looked_at = cn_clock_nanoseconds();
    p->running = false;
    const bool taken = !preparer->stopping && deadlines_add(&preparer->deadlines, &p->deadline);
    if (taken) {
        if (preparer->depth++ == 0)
            preparer->moved = cn_clock_nanoseconds();
        waiting_append(preparer, p);
        (void)pthread_cond_signal(&preparer->changed);
        if (p->deadline.at != 0 && p->deadline.at < preparer->wake_at)
            (void)pthread_cond_signal(&preparer->sooner);
    }
    (void)pthread_mutex_unlock(&preparer->mutex);
    return taken;
}

void preparer_cancel(struct preparer *preparer) {
    preparer->canceling = true;
}

bool preparer_stalled(struct preparer *preparer, uint64_t limit) {
    return preparer_depth(preparer) > 0 && cn_clock_nanoseconds() > preparer->moved + limit;
}

size_t preparer_depth(struct preparer *preparer) {
    (void)pthread_mutex_lock(&preparer->mutex);
    const size_t depth = preparer->depth;
    (void)pthread_mutex_unlock(&preparer->mutex);
    return depth;
}
