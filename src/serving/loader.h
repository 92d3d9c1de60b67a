/* loader.h: the thread that reads models, so that no other thread waits for a disk. */
#ifndef CONVNET_SERVING_LOADER_H
#define CONVNET_SERVING_LOADER_H

#include <stdint.h>

#include "serving/registry.h"

enum loader_action {
    LOADER_RELOAD = 0, /* registry_reload */
    LOADER_LOAD,       /* registry_load of `name` */
    LOADER_UNLOAD      /* registry_unload of `name` */
};

/* One job. The submitter owns it and keeps it until `done`. */
struct loader_job {
    enum loader_action action;
    char name[SERVED_MODEL_NAME];
    /* Called exactly once, on the loader's thread or on that of loader_stop. */
    void (*done)(struct loader_job *job);
    void *data;
    /* Written before `done` is called. */
    enum cn_status status; /* CN_CANCELED: the loader stopped before the job ran or ended */
    struct cn_error error;
    struct registry_result result;
    struct loader_job *next; /* internal to the loader */
};

struct loader;

enum cn_status loader_create(struct registry *registry, struct loader **ret_loader,
                             struct cn_error *error);

/* Never blocks; jobs run one by one in their order. False when the loader has stopped: `done` will
 * not be called. */
bool loader_submit(struct loader *loader, struct loader_job *job);

/* Accepts no more jobs, cancels those that wait and lets the current one end, for `timeout`
 * nanoseconds at most. False if it still runs then, for example on a disk that hangs: it was
 * reported as canceled, so nobody waits for it, but neither the loader nor the registry may be
 * freed. May be called again. */
bool loader_stop(struct loader *loader, uint64_t timeout);
void loader_free(struct loader *loader); /* accepts NULL; only after loader_stop returned true */

#endif
