/* loader.c: see loader.h. One mutex guards the queue. The thread reads and probes models without
 * the mutex, and sleeps without a timer when the queue is empty. */
#include "serving/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"

struct loader {
    struct registry *registry;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct loader_job *first, **last; /* FIFO */
    struct loader_job *running;       /* NULL: none, or its submitter no longer waits */
    bool stopping, ended, joined;
};

static void job_run(struct registry *registry, struct loader_job *job) {
    switch (job->action) {
    case LOADER_RELOAD:
        job->status = registry_reload(registry, &job->result, &job->error);
        break;
    case LOADER_LOAD:
        job->status = registry_load(registry, job->name, &job->result, &job->error);
        break;
    case LOADER_UNLOAD:
        job->status = registry_unload(registry, job->name, &job->error);
        break;
    }
}

static void cancel(struct loader_job *job) {
    job->error = (struct cn_error){0};
    job->result = (struct registry_result){0};
    job->status = cn_fail(&job->error, CN_CANCELED, "the server is shutting down");
    job->done(job);
}

/* Runs one job. Called under the mutex, which is released meanwhile. The work uses a copy of the
 * job, since a submitter that was told to stop waiting may have freed it. */
static void do_job(struct loader *loader, struct loader_job *job) {
    struct loader_job copy = *job;
    copy.error = (struct cn_error){0};
    copy.result = (struct registry_result){0};
    loader->running = job;
    (void)pthread_mutex_unlock(&loader->mutex);
    job_run(loader->registry, &copy);
    (void)pthread_mutex_lock(&loader->mutex);
    if (loader->running != job)
        return;
    loader->running = NULL;
    (void)pthread_mutex_unlock(&loader->mutex);
    *job = copy;
    job->done(job);
    (void)pthread_mutex_lock(&loader->mutex);
}

static void *loader_thread(void *data) {
    struct loader *loader = data;
    (void)pthread_mutex_lock(&loader->mutex);
    while (loader->first != NULL || !loader->stopping) {
        struct loader_job *job = loader->first;
        if (job == NULL) {
            (void)pthread_cond_wait(&loader->changed, &loader->mutex);
            continue;
        }
        loader->first = job->next;
        if (loader->first == NULL)
            loader->last = &loader->first;
        if (!loader->stopping) {
            do_job(loader, job);
            continue;
        }
        (void)pthread_mutex_unlock(&loader->mutex);
        cancel(job);
        (void)pthread_mutex_lock(&loader->mutex);
    }
    loader->ended = true;
    (void)pthread_cond_broadcast(&loader->changed);
    (void)pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

enum cn_status loader_create(struct registry *registry, struct loader **ret_loader,
                             struct cn_error *error) {
    struct loader *loader = calloc(1, sizeof *loader);
    if (loader == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for the loader");
    loader->registry = registry;
    loader->last = &loader->first;
    cn_condition_init(&loader->changed);
    (void)pthread_mutex_init(&loader->mutex, NULL);
    const int failed = pthread_create(&loader->thread, NULL, loader_thread, loader);
    if (failed != 0) {
        loader->joined = true;
        loader_free(loader);
        return cn_fail(error, CN_IO, "cannot start the thread that reads models: %s",
                       strerror(failed));
    }
    *ret_loader = loader;
    return CN_OK;
}

bool loader_submit(struct loader *loader, struct loader_job *job) {
    (void)pthread_mutex_lock(&loader->mutex);
    const bool taken = !loader->stopping;
    if (taken) {
        job->next = NULL;
        *loader->last = job;
        loader->last = &job->next;
        (void)pthread_cond_broadcast(&loader->changed);
    }
    (void)pthread_mutex_unlock(&loader->mutex);
    return taken;
}

/* Tells all submitters that they need not wait any longer. Called under the mutex, which is
 * released meanwhile. */
static void cancel_all(struct loader *loader) {
    struct loader_job *running = loader->running, *waiting = loader->first;
    loader->running = NULL;
    loader->first = NULL;
    loader->last = &loader->first;
    (void)pthread_mutex_unlock(&loader->mutex);
    if (running != NULL)
        cancel(running);
    while (waiting != NULL) {
        struct loader_job *job = waiting;
        waiting = job->next;
        cancel(job);
    }
    (void)pthread_mutex_lock(&loader->mutex);
}

bool loader_stop(struct loader *loader, uint64_t timeout) {
    const uint64_t until = cn_clock_nanoseconds() + timeout;
    (void)pthread_mutex_lock(&loader->mutex);
    loader->stopping = true;
    (void)pthread_cond_broadcast(&loader->changed);
    bool waiting = true;
    while (!loader->ended && waiting)
        waiting = cn_condition_wait(&loader->changed, &loader->mutex, until);
    const bool ended = loader->ended;
    if (!ended)
        cancel_all(loader);
    (void)pthread_mutex_unlock(&loader->mutex);
    if (ended && !loader->joined) {
        (void)pthread_join(loader->thread, NULL);
        loader->joined = true;
    }
    return ended;
}

void loader_free(struct loader *loader) {
    if (loader == NULL)
        return;
    (void)pthread_cond_destroy(&loader->changed);
    (void)pthread_mutex_destroy(&loader->mutex);
    free(loader);
}
