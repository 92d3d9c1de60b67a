/* task.h: work that is done by a thread of its own while the caller does other things, if a thread
 * can be had. */
#ifndef CONVNET_BASE_TASK_H
#define CONVNET_BASE_TASK_H

#include <pthread.h>
#include <stdbool.h>

struct cn_task {
    void (*work)(void *data);
    void *data;
    pthread_t thread;
    bool started;
};

/* Begins work(data) at once if it is `large`, and a thread can be had; else cn_task_finish does it.
 * `task` and `data` must exist until then. */
void cn_task_start(struct cn_task *task, void (*work)(void *data), void *data, bool large);

/* Returns when the work has been done. */
void cn_task_finish(struct cn_task *task);

#endif
