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

/* One thing to do. The submitter owns it and keeps it until `done`. */
struct loader_job {
    enum loader_action action;
    char name[SERVED_MODEL_NAME];
    /* Exactly once, on the loader's thread or on that of loader_stop. */
    void (*done)(struct loader_job *job);
    void *data;
    /* Written before `done`. */
    enum cn_status status; /* CN_CANCELED: the loader stopped before its turn came, or its end */
    struct cn_error error;
    struct registry_result result;
    struct loader_job *next; /* the loader's own */
};

struct loader;

enum cn_status loader_create(struct registry *registry, struct loader **ret_loader,
                             struct cn_error *error);

/* Never blocks; jobs are done one by one in their order. False when the loader has stopped: `done`
 * will not be called. */
bool loader_submit(struct loader *loader, struct loader_job *job);

/* Takes no more jobs, cancels those that wait and lets the one that runs end, for `timeout`
 * nanoseconds at most. False if it still runs then, as with a disk that hangs: nobody is left
 * waiting for it (it too was canceled, whatever comes of it), but neither the loader nor the
 * registry may be freed. May be called again. */
bool loader_stop(struct loader *loader, uint64_t timeout);
void loader_free(struct loader *loader); /* accepts NULL; after a loader_stop that was true */

#endif
