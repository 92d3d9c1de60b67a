#include "serving/preparer.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "base/budget.h"
#include "base/time.h"

static struct preparer *preparer;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static char order[256];
static size_t steps, ended;

static void begin(void) {
    cr_assert_eq(preparer_create(1, &preparer, NULL), CN_OK);
}

static void end(void) {
    preparer_free(preparer);
}
TestSuite(preparer, .init = begin, .fini = end);

struct work {
    struct preparation preparation;
    const char *name;
    int left;     /* steps */
    bool endless; /* a step ends only if it must */
};

/* Uses processor time, and records whose step it was. */
static bool step(struct preparation *preparation) {
    struct work *work = preparation->data;
    const uint64_t until = cn_clock_thread_nanoseconds() + 2 * CN_MILLISECOND;
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    (void)pthread_mutex_lock(&mutex);
    order[strlen(order)] = *work->name;
    steps++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
    while (cn_clock_thread_nanoseconds() < until)
        continue;
    while (work->endless && !preparer_must_stop(preparation))
        continue;
    return --work->left > 0;
}

static void done(struct preparation *preparation) {
    (void)preparation;
    (void)pthread_mutex_lock(&mutex);
    ended++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

static void wait_until(const size_t *counter, size_t value) {
    (void)pthread_mutex_lock(&mutex);
    while (*counter < value)
        (void)pthread_cond_wait(&changed, &mutex);
    (void)pthread_mutex_unlock(&mutex);
}

static void submit(struct work *work, uint64_t client, const char *name, int count) {
    work->preparation.client = client;
    work->preparation.step = step;
    work->preparation.done = done;
    work->preparation.data = work;
    work->name = name;
    work->left = count;
    cr_assert(preparer_submit(preparer, &work->preparation));
}

Test(preparer, a_client_with_little_work_does_not_wait_for_one_with_much) {
    static struct work greedy[3], modest;
    (void)pthread_mutex_lock(&gate);
    for (int i = 0; i < 3; i++)
        submit(&greedy[i], 1, "g", 5);
    submit(&modest, 2, "m", 1);
    (void)pthread_mutex_unlock(&gate);
    wait_until(&ended, 4);
    cr_assert_eq(strlen(order), 16);
    cr_assert_lt(strchr(order, 'm') - order, 3, "its turn comes at once: %s", order);
    cr_assert_eq(modest.preparation.outcome, PREPARATION_DONE);
    cr_assert_gt(modest.preparation.seconds, 0);
}

Test(preparer, a_deadline_holds_for_what_waits_and_what_runs) {
    static struct work running = {.endless = true}, waiting;
    const uint64_t at = cn_clock_nanoseconds() + 30 * CN_MILLISECOND;
    running.preparation.deadline.at = at + 100 * CN_MILLISECOND;
    submit(&running, 1, "r", 9);
    wait_until(&steps, 1);
    waiting.preparation.deadline.at = at;
    submit(&waiting, 2, "w", 1);
    wait_until(&ended, 1);
    cr_assert_eq(waiting.preparation.outcome, PREPARATION_EXPIRED);
    wait_until(&ended, 2);
    cr_assert_eq(running.preparation.outcome, PREPARATION_EXPIRED);
    cr_assert_str_eq(order, "r", "what has expired is not begun");
}

static bool always(struct preparation *preparation) {
    (void)preparation;
    return true;
}

Test(preparer, who_has_gone_and_a_shutdown_end_a_step) {
    static struct work gone = {.endless = true}, other = {.endless = true}, third;
    gone.preparation.abandoned = always;
    submit(&gone, 1, "g", 9);
    wait_until(&ended, 1);
    cr_assert_eq(gone.preparation.outcome, PREPARATION_DROPPED);
    submit(&other, 1, "o", 9);
    submit(&third, 1, "t", 9);
    wait_until(&steps, 2);
    cr_assert_not(preparer_stalled(preparer, 10 * CN_SECOND), "it asks whether it must stop");
    preparer_cancel(preparer);
    wait_until(&ended, 3);
    cr_assert_eq(other.preparation.outcome, PREPARATION_CANCELED);
    cr_assert_eq(third.preparation.outcome, PREPARATION_CANCELED);
    cr_assert_eq(preparer_depth(preparer), 0);
}

Test(preparer, a_step_that_hangs_is_noticed) {
    static struct work work;
    cr_assert_not(preparer_stalled(preparer, 0), "nothing to do is no hang");
    (void)pthread_mutex_lock(&gate);
    submit(&work, 1, "w", 1);
    const uint64_t until = cn_clock_nanoseconds() + 5 * CN_SECOND;
    while (!preparer_stalled(preparer, 20 * CN_MILLISECOND))
        cr_assert_lt(cn_clock_nanoseconds(), until);
    (void)pthread_mutex_unlock(&gate);
    wait_until(&ended, 1);
}

Test(budget, takes_up_to_its_limit_and_never_wraps) {
    struct cn_budget budget = {.limit = 100};
    cr_assert(cn_budget_take(&budget, 60));
    cr_assert_not(cn_budget_take(&budget, 41));
    cr_assert_not(cn_budget_take(&budget, SIZE_MAX));
    cr_assert(cn_budget_take(&budget, 40));
    cn_budget_give(&budget, 100);
    cr_assert_eq(budget.used, 0);
    cr_assert_eq(cn_budget_take_peak(&budget), 100);
    cr_assert_eq(cn_budget_take_peak(&budget), 0);
    cr_assert_geq(cn_budget_default(), (size_t)32 << 20);
    cr_assert_leq(cn_budget_default(), (size_t)512 << 20);
}
