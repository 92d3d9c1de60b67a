/* task.c: see task.h. No state; a task is started and finished by the same thread. */
#include "base/task.h"

#include <stddef.h>

static void *task_thread(void *data) {
    const struct cn_task *task = data;
    task->work(task->data);
    return NULL;
}

void cn_task_start(struct cn_task *task, void (*work)(void *data), void *data, bool large) {
    *task = (struct cn_task){.work = work, .data = data};
    pthread_t thread;
    task->started = large && pthread_create(&thread, NULL, task_thread, task) == 0;
    if (task->started)
        task->thread = thread;
}

void cn_task_finish(struct cn_task *task) {
    if (task->started)
        (void)pthread_join(task->thread, NULL);
    else
        task->work(task->data);
}
