#include "serving/loader.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "support/folder.h"
#include "support/networks.h"

static char folder[FOLDER_PATH], path[FOLDER_PATH];
static struct registry *registry;
static struct loader *loader;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t ended, reports, arrived;
static struct registry_options options;

static void count(size_t *counter) {
    (void)pthread_mutex_lock(&mutex);
    (*counter)++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

/* Holds the loader's thread in the middle of a reload, like a disk that hangs. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

static void report(void *data, const struct registry_event *event) {
    (void)data, (void)event;
    count(&reports);
    (void)pthread_mutex_lock(&disk);
    (void)pthread_mutex_unlock(&disk);
}

static void begin(void) {
    struct cn_model *model = NULL;
    folder_create(folder);
    folder_join(path, folder, "a.safetensors");
    struct cn_network *network =
        test_network(cn_shape_image(4, 4, 1), "Flatten; Dense units=3 activation=softmax", 1);
    cr_assert_eq(cn_model_create(network, &model, NULL), CN_OK);
    cr_assert_eq(cn_model_write(model, path, NULL), CN_OK);
    cn_model_free(model);
    options = (struct registry_options){.folder = folder, .slots = 1, .report = report};
    cr_assert_eq(registry_create(&options, &registry, NULL), CN_OK);
    cr_assert_eq(loader_create(registry, &loader, NULL), CN_OK);
    ended = reports = arrived = 0;
}
static void end(void) {
    cr_assert(loader_stop(loader, 30000000000));
    loader_free(loader);
    registry_free(registry);
    folder_remove(folder);
}
TestSuite(loader, .init = begin, .fini = end);

static void done(struct loader_job *job) {
    (void)job;
    count(&ended);
}

static void wait_for(const size_t *counter, size_t count) {
    (void)pthread_mutex_lock(&mutex);
    while (*counter < count)
        (void)pthread_cond_wait(&changed, &mutex);
    (void)pthread_mutex_unlock(&mutex);
}

Test(loader, jobs_are_done_in_their_order) {
    struct loader_job jobs[] = {{.action = LOADER_UNLOAD, .name = "a", .done = done},
                                {.action = LOADER_UNLOAD, .name = "x", .done = done},
                                {.action = LOADER_RELOAD, .done = done},
                                {.action = LOADER_LOAD, .name = "a", .done = done}};
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        cr_assert(loader_submit(loader, &jobs[i]));
    wait_for(&ended, 4);
    cr_assert_eq(jobs[0].status, CN_OK);
    cr_assert_eq(jobs[1].status, CN_INVALID);
    cr_assert_str_eq(jobs[1].error.text, "there is no model 'x'");
    cr_assert_eq(jobs[2].status, CN_OK);
    cr_assert_eq(jobs[2].result.unchanged, 1, "unloaded models stay so");
    cr_assert_eq(jobs[3].status, CN_OK);
    cr_assert_eq(jobs[3].result.loaded, 1);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void done_at_the_gate(struct loader_job *job) {
    count(&arrived);
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    done(job);
}

Test(loader, stopping_cancels_what_waits_and_waits_for_what_runs) {
    struct loader_job running = {.action = LOADER_RELOAD, .done = done_at_the_gate};
    struct loader_job waiting = {.action = LOADER_RELOAD, .done = done}, late = waiting;
    (void)pthread_mutex_lock(&gate);
    cr_assert(loader_submit(loader, &running));
    cr_assert(loader_submit(loader, &waiting));
    wait_for(&arrived, 1);
    cr_assert_not(loader_stop(loader, 1000000), "the first job is held at the gate");
    cr_assert_not(loader_submit(loader, &late));
    (void)pthread_mutex_unlock(&gate);
    cr_assert(loader_stop(loader, 30000000000));
    cr_assert_eq(ended, 2);
    cr_assert_eq(waiting.status, CN_CANCELED);
}

Test(loader, what_hangs_is_given_up) {
    struct loader_job running = {.action = LOADER_UNLOAD, .name = "a", .done = done};
    struct loader_job waiting = {.action = LOADER_RELOAD, .done = done};
    (void)pthread_mutex_lock(&disk);
    cr_assert(loader_submit(loader, &running));
    cr_assert(loader_submit(loader, &waiting));
    wait_for(&reports, 1);
    cr_assert_not(loader_stop(loader, 1000000));
    cr_assert_eq(ended, 2, "both are told before loader_stop returns");
    cr_assert_eq(running.status, CN_CANCELED);
    cr_assert_str_eq(running.error.text, "the server is shutting down");
    cr_assert_eq(waiting.status, CN_CANCELED);
    /* From here on the loader must not write to the jobs. */
    memset(&running, 0xff, sizeof running);
    const struct loader_job gone = running;
    (void)pthread_mutex_unlock(&disk);
    cr_assert(loader_stop(loader, 30000000000));
    cr_assert_eq(ended, 2);
    cr_assert_eq(memcmp(&running, &gone, sizeof gone), 0);
}
