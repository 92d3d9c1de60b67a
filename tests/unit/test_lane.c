#include "serving/lane.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "support/folder.h"
#include "support/networks.h"

enum { MODELS = 2, IN = 16, OUT = 3 };

static struct served_model *models[MODELS];
static struct lane *lane;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static bool at_gate;
static char order[256]; /* the jobs in the order of their ends: the first letter of `data` */
static size_t executed_images, executions;

static void begin(void) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    folder_create(folder);
    folder_join(path, folder, "a.safetensors");
    for (uint64_t i = 0; i < MODELS; i++) {
        struct cn_model *model = NULL;
        struct cn_network *network =
            test_network(cn_shape_image(4, 4, 1), "Flatten; Dense units=3 activation=softmax", i);
        cr_assert_eq(cn_model_create(network, &model, NULL), CN_OK);
        cr_assert_eq(cn_model_write(model, path, NULL), CN_OK);
        cn_model_free(model);
        cr_assert_eq(served_model_load(path, 2, NULL, &models[i], NULL), CN_OK);
        models[i]->image_seconds = 1e-6;
    }
    folder_remove(folder);
    at_gate = false;
    order[0] = '\0';
    executions = executed_images = 0;
}

static void end(void) {
    lane_free(lane);
    for (size_t i = 0; i < MODELS; i++)
        served_model_release(models[i]);
}
TestSuite(lane, .init = begin, .fini = end);

static void executed(void *data, const struct served_model *model, size_t images, double seconds) {
    (void)data;
    (void)model;
    cr_assert_geq(seconds, 0);
    executions++;
    executed_images += images;
}

static void open_lane(size_t queue_images, size_t batch_images) {
    const struct lane_options options = {.queue_images = queue_images,
                                         .batch_images = batch_images,
                                         .threads = 2,
                                         .executed = executed};
    cr_assert_eq(lane_create(&options, &lane, NULL), CN_OK);
}

static void done(struct job *job) {
    (void)pthread_mutex_lock(&mutex);
    const size_t used = strlen(order);
    order[used] = *(const char *)job->data;
    order[used + 1] = '\0';
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

static void wait_for(size_t jobs) {
    (void)pthread_mutex_lock(&mutex);
    while (strlen(order) < jobs)
        (void)pthread_cond_wait(&changed, &mutex);
    (void)pthread_mutex_unlock(&mutex);
}

/* Holds the compute thread until the gate opens; then the job is dropped. */
static bool pass_gate(struct job *job) {
    (void)job;
    (void)pthread_mutex_lock(&mutex);
    at_gate = true;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return true;
}

static struct job blocker;

static void block(void) {
    blocker = (struct job){
        .model = models[0], .count = 1, .abandoned = pass_gate, .done = done, .data = "!"};
    (void)pthread_mutex_lock(&gate);
    cr_assert_eq(lane_submit(lane, &blocker), LANE_ACCEPTED);
    (void)pthread_mutex_lock(&mutex);
    while (!at_gate)
        (void)pthread_cond_wait(&changed, &mutex);
    (void)pthread_mutex_unlock(&mutex);
}

static void unblock(void) {
    (void)pthread_mutex_unlock(&gate);
}

static struct job make_job(size_t model, size_t count, const char *name) {
    return (struct job){.model = models[model],
                        .images = test_floats(count * IN, 0, 1, count),
                        .outputs = calloc(count, OUT * sizeof(float)),
                        .count = count,
                        .done = done,
                        .data = (void *)(uintptr_t)name};
}

static void check_and_free(struct job *job) {
    struct cn_workspace *workspace = NULL;
    float *expected = calloc(job->count, OUT * sizeof(float));
    cr_assert_eq(cn_workspace_create(job->model->plan, &workspace, NULL), CN_OK);
    cn_plan_run(job->model->plan, workspace, job->images, job->count, expected);
    cr_assert_eq(memcmp(job->outputs, expected, job->count * OUT * sizeof(float)), 0);
    cn_workspace_free(workspace);
    free(expected);
    free((void *)(uintptr_t)job->images);
    free(job->outputs);
}

Test(lane, answers_are_those_of_the_plan_however_jobs_are_cut_and_gathered) {
    static const size_t counts[] = {1, 2, 3, 7, 8, 9, 40, 1};
    struct job jobs[sizeof counts / sizeof *counts];
    size_t images = 0;
    open_lane(1000, 8);
    block();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        jobs[i] = make_job(i % MODELS, counts[i], "a");
        images += counts[i];
        cr_assert_eq(lane_submit(lane, &jobs[i]), LANE_ACCEPTED);
    }
    cr_assert_eq(lane_depth(lane), images + 1);
    unblock();
    wait_for(1 + sizeof counts / sizeof *counts);
    cr_assert_eq(lane_depth(lane), 0);
    cr_assert_eq(executed_images, images);
    cr_assert_lt(executions, images);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        cr_assert_eq(jobs[i].outcome, JOB_DONE);
        check_and_free(&jobs[i]);
    }
}

Test(lane, a_full_queue_refuses_at_once) {
    struct job jobs[] = {make_job(0, 6, "a"), make_job(0, 4, "b"), make_job(0, 3, "c")};
    open_lane(10, 8);
    block(); /* one image */
    cr_assert_eq(lane_submit(lane, &jobs[0]), LANE_ACCEPTED);
    cr_assert_eq(lane_submit(lane, &jobs[1]), LANE_FULL);
    cr_assert_eq(lane_submit(lane, &jobs[2]), LANE_ACCEPTED, "what fits is still taken");
    unblock();
    wait_for(3);
    cr_assert_str_eq(order, "!ac");
    for (size_t i = 0; i < 3; i++)
        free((void *)(uintptr_t)jobs[i].images), free(jobs[i].outputs);
}

Test(lane, a_deadline_fires_while_the_compute_thread_is_busy) {
    struct job late = make_job(0, 2, "l"), patient = make_job(0, 2, "p");
    open_lane(100, 8);
    block();
    late.deadline.at = cn_clock_nanoseconds() + 20000000;
    cr_assert_eq(lane_submit(lane, &patient), LANE_ACCEPTED);
    cr_assert_eq(lane_submit(lane, &late), LANE_ACCEPTED);
    wait_for(1); /* the gate is still shut */
    cr_assert_str_eq(order, "l");
    cr_assert_eq(late.outcome, JOB_EXPIRED);
    cr_assert_geq(late.queue_seconds, 0.019);
    cr_assert_eq(lane_depth(lane), 3);
    unblock();
    wait_for(3);
    cr_assert_str_eq(order, "l!p");
    check_and_free(&patient);
    free((void *)(uintptr_t)late.images), free(late.outputs);
}

Test(lane, deadlines_fire_in_their_order) {
    enum { COUNT = 60 };
    struct job jobs[COUNT];
    static char names[COUNT];
    open_lane(1000, 8);
    block();
    const uint64_t now = cn_clock_nanoseconds();
    for (size_t i = 0; i < COUNT; i++) {
        const size_t rank = i * 37 % COUNT;
        names[i] = (char)('A' + rank);
        jobs[i] = make_job(i % MODELS, 1, &names[i]);
        /* Every third deadline is far away, so that the heap is not only emptied from its top. */
        jobs[i].deadline.at = now + 50000000 + rank * 1000000 + (rank % 3 == 0 ? 3600000000000 : 0);
    }
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(lane_submit(lane, &jobs[i]), LANE_ACCEPTED);
    wait_for(COUNT - COUNT / 3);
    char last = 0;
    for (const char *c = order; *c != '\0'; c++) {
        /* Jobs that are found due at the same time are answered in any order. */
        cr_assert_neq((*c - 'A') % 3, 0);
        last = *c > last ? *c : last;
    }
    unblock();
    wait_for(COUNT + 1);
    for (size_t i = 0; i < COUNT; i++)
        free((void *)(uintptr_t)jobs[i].images), free(jobs[i].outputs);
}

static bool always(struct job *job) {
    (void)job;
    return true;
}

Test(lane, what_nobody_waits_for_is_not_computed) {
    struct job dead = make_job(0, 5, "d"), alive = make_job(0, 5, "a");
    open_lane(100, 64);
    block();
    dead.abandoned = always;
    cr_assert_eq(lane_submit(lane, &dead), LANE_ACCEPTED);
    cr_assert_eq(lane_submit(lane, &alive), LANE_ACCEPTED);
    unblock();
    wait_for(3);
    cr_assert_eq(dead.outcome, JOB_DROPPED);
    cr_assert_eq(alive.outcome, JOB_DONE);
    cr_assert_eq(executed_images, 5);
    free((void *)(uintptr_t)dead.images), free(dead.outputs);
    check_and_free(&alive);
}

Test(lane, models_take_turns) {
    struct job jobs[] = {make_job(0, 8, "a"), make_job(0, 8, "b"), make_job(0, 8, "c"),
                         make_job(1, 8, "x"), make_job(1, 8, "y")};
    open_lane(1000, 8);
    block();
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(lane_submit(lane, &jobs[i]), LANE_ACCEPTED);
    unblock();
    wait_for(6);
    cr_assert_str_eq(order, "!axbyc");
    for (size_t i = 0; i < 5; i++)
        check_and_free(&jobs[i]);
}

Test(lane, a_large_job_lets_small_ones_by) {
    struct job large = make_job(0, 64, "L"), small = make_job(0, 2, "s");
    open_lane(1000, 8);
    block();
    cr_assert_eq(lane_submit(lane, &large), LANE_ACCEPTED);
    cr_assert_eq(lane_submit(lane, &small), LANE_ACCEPTED);
    unblock();
    wait_for(3);
    cr_assert_str_eq(order, "!sL");
    cr_assert_geq(large.batches, 8);
    check_and_free(&large);
    check_and_free(&small);
}

Test(lane, a_client_with_many_jobs_has_no_more_than_its_share) {
    struct job jobs[] = {make_job(0, 64, "A"), make_job(0, 64, "B"), make_job(0, 64, "C"),
                         make_job(0, 64, "z")};
    open_lane(1000, 8);
    block();
    for (size_t i = 0; i < 4; i++) {
        jobs[i].client = i < 3 ? 1 : 2;
        cr_assert_eq(lane_submit(lane, &jobs[i]), LANE_ACCEPTED);
    }
    unblock();
    wait_for(5);
    cr_assert_str_eq(order, "!zABC");
    for (size_t i = 0; i < 4; i++)
        check_and_free(&jobs[i]);
}

Test(lane, clients_that_have_used_as_much_are_served_in_their_order) {
    struct job jobs[] = {make_job(0, 8, "a"), make_job(0, 8, "b"), make_job(0, 8, "c")};
    open_lane(1000, 8);
    block();
    for (size_t i = 0; i < 3; i++) {
        jobs[i].client = i + 1;
        cr_assert_eq(lane_submit(lane, &jobs[i]), LANE_ACCEPTED);
    }
    unblock();
    wait_for(4);
    cr_assert_str_eq(order, "!abc");
    for (size_t i = 0; i < 3; i++)
        check_and_free(&jobs[i]);
}

Test(lane, no_client_saves_up_time_while_it_is_away) {
    struct job first = make_job(0, 64, "f"), second = make_job(0, 64, "s"),
               third = make_job(0, 80, "t");
    open_lane(1000, 8);
    first.client = second.client = 1;
    third.client = 2;
    cr_assert_eq(lane_submit(lane, &first), LANE_ACCEPTED);
    wait_for(1);
    block();
    cr_assert_eq(lane_submit(lane, &second), LANE_ACCEPTED);
    cr_assert_eq(lane_submit(lane, &third), LANE_ACCEPTED);
    unblock();
    wait_for(4);
    cr_assert_str_eq(order, "f!st", "the other client was away, and shares the time from now on");
    check_and_free(&first);
    check_and_free(&second);
    check_and_free(&third);
}

static struct job *newcomer;

/* Submits the newcomer when the third batch of this job begins. */
static bool newcomer_comes(struct job *job) {
    if (job->batches == 2)
        cr_assert_eq(lane_submit(lane, newcomer), LANE_ACCEPTED);
    return false;
}

Test(lane, a_clients_share_of_one_model_does_not_depend_on_the_cost_of_another) {
    struct job slow = make_job(0, 64, "s"), quick = make_job(1, 64, "q"),
               late = make_job(1, 16, "l");
    models[0]->image_seconds = 1e-3;
    open_lane(1000, 8);
    block();
    slow.client = 1;
    slow.abandoned = newcomer_comes;
    quick.client = 2;
    late.client = 3;
    newcomer = &late;
    cr_assert_eq(lane_submit(lane, &slow), LANE_ACCEPTED);
    cr_assert_eq(lane_submit(lane, &quick), LANE_ACCEPTED);
    unblock();
    wait_for(4);
    cr_assert_eq(order[1], 'l', "%s: two batches of it come between those of the other", order);
    check_and_free(&slow);
    check_and_free(&quick);
    check_and_free(&late);
}

Test(lane, a_client_that_waits_for_nothing_finds_room_that_others_cannot_fill) {
    static const struct {
        uint64_t client;
        size_t images;
        enum lane_answer answer;
    } rows[] = {{1, 7, LANE_ACCEPTED}, {1, 1, LANE_FULL}, {2, 3, LANE_FULL},
                {2, 2, LANE_ACCEPTED}, {2, 1, LANE_FULL}, {3, 1, LANE_FULL}};
    enum { ROWS = sizeof rows / sizeof *rows };
    struct job jobs[ROWS];
    enum lane_answer answers[ROWS];
    bool room[ROWS];
    size_t accepted = 0;
    open_lane(8, 8);
    block(); /* one image */
    for (size_t i = 0; i < ROWS; i++) {
        jobs[i] = make_job(0, rows[i].images, "a");
        jobs[i].client = rows[i].client;
        room[i] = lane_has_room(lane, rows[i].client, rows[i].images);
        answers[i] = lane_submit(lane, &jobs[i]);
        accepted += answers[i] == LANE_ACCEPTED;
    }
    unblock();
    wait_for(1 + accepted);
    for (size_t i = 0; i < ROWS; i++) {
        cr_assert_eq(answers[i], rows[i].answer, "row %zu", i);
        cr_assert_eq(room[i], rows[i].answer == LANE_ACCEPTED, "row %zu", i);
        free((void *)(uintptr_t)jobs[i].images), free(jobs[i].outputs);
    }
}

Test(lane, a_slow_models_batch_is_as_long_as_a_time_slice) {
    struct job job = make_job(0, 64, "a");
    open_lane(1000, 64);
    models[0]->image_seconds = LANE_TIME_SLICE / 2; /* four images on two threads */
    cr_assert_eq(lane_submit(lane, &job), LANE_ACCEPTED);
    wait_for(1);
    cr_assert_eq(job.batches, 16);
    check_and_free(&job);
}

Test(lane, a_compute_thread_that_does_not_move_is_noticed) {
    open_lane(100, 8);
    cr_assert_not(lane_stalled(lane, 0), "nothing to do is no stall");
    cr_assert(lane_alive(lane, 30000000000));
    block();
    while (!lane_stalled(lane, 1000000))
        ;
    cr_assert_not(lane_alive(lane, 1000000));
    unblock();
    wait_for(1);
    cr_assert(lane_alive(lane, 30000000000));
    cr_assert_not(lane_stalled(lane, 0));
}

Test(lane, stopping_finishes_what_waits) {
    struct job job = make_job(0, 20, "a"), late = make_job(0, 1, "b");
    open_lane(100, 8);
    job.deadline.at = cn_clock_nanoseconds() + 3600000000000;
    cr_assert_eq(lane_submit(lane, &job), LANE_ACCEPTED);
    lane_stop(lane);
    cr_assert_str_eq(order, "a");
    cr_assert_eq(lane_submit(lane, &late), LANE_CLOSED);
    check_and_free(&job);
    free((void *)(uintptr_t)late.images), free(late.outputs);
}
