/* test_ranks.c: ranks that train together get the same bits as one process. Here the ranks are
 * threads with mailboxes for messages; tests/integration/test-mpi.py has real processes. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/network.h"
#include "network/gradient_sum.h"
#include "support/networks.h"

enum { MOST = 8, BATCH = 40 };

struct message {
    void *bytes;
    size_t size;
    struct message *next;
};

/* A mailbox for each pair of ranks. */
static struct mailbox { struct message *first, *last; } boxes[MOST][MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;

struct expected {
    int from;
    void *bytes;
    size_t size;
};

struct rank {
    struct cn_ranks ranks;
    struct expected expected[1024];
    size_t expected_count;
    const char *layers;
    size_t count;
    float *gradients, *parameters;
    struct cn_minibatch_result result;
};

static void mail_send(void *data, int to, const void *bytes, size_t size) {
    const struct rank *rank = data;
    struct message *message = calloc(1, sizeof *message);
    message->bytes = malloc(size);
    message->size = size;
    memcpy(message->bytes, bytes, size);
    pthread_mutex_lock(&lock);
    struct mailbox *box = &boxes[rank->ranks.rank][to];
    if (box->last != NULL)
        box->last->next = message;
    else
        box->first = message;
    box->last = message;
    pthread_cond_broadcast(&arrived);
    pthread_mutex_unlock(&lock);
}

static void mail_receive(void *data, int from, void *bytes, size_t size) {
    struct rank *rank = data;
    cr_assert_lt(rank->expected_count, 1024);
    rank->expected[rank->expected_count++] = (struct expected){from, bytes, size};
}

static void mail_progress(void *data) {
    (void)data;
}

static void mail_finish(void *data) {
    struct rank *rank = data;
    for (size_t i = 0; i < rank->expected_count; i++) {
        const struct expected *expected = &rank->expected[i];
        struct mailbox *box = &boxes[expected->from][rank->ranks.rank];
        pthread_mutex_lock(&lock);
        while (box->first == NULL)
            pthread_cond_wait(&arrived, &lock);
        struct message *message = box->first;
        box->first = message->next;
        if (box->first == NULL)
            box->last = NULL;
        pthread_mutex_unlock(&lock);
        cr_assert_eq(message->size, expected->size);
        memcpy(expected->bytes, message->bytes, message->size);
        free(message->bytes);
        free(message);
    }
    rank->expected_count = 0;
}

/* A rank's mini-batch contains only its own samples; the others are NaN. */
static void *rank_run(void *data) {
    struct rank *rank = data;
    struct cn_network *network = test_network(cn_shape_image(12, 12, 1), rank->layers, 5);
    const size_t size = 144, count = rank->count;
    float *images = test_floats(BATCH * size, 0, 1, 1);
    uint16_t labels[BATCH];
    struct cn_gradient_workspace *workspace = NULL;
    size_t first, end;
    for (size_t i = 0; i < BATCH; i++)
        labels[i] = (uint16_t)(i * 7 % 10);
    cr_assert_eq(cn_gradient_workspace_create(network, BATCH, 1, &workspace, NULL), CN_OK);
    if (rank->ranks.count > 1)
        cr_assert_eq(cn_gradient_workspace_share(workspace, network, &rank->ranks, NULL), CN_OK);
    cn_gradient_workspace_samples(workspace, count, &first, &end);
    memset(images, 0xff, first * size * sizeof *images);
    memset(images + end * size, 0xff, (BATCH - end) * size * sizeof *images);
    const struct cn_minibatch batch = {.count = count,
                                       .images = images,
                                       .labels = labels,
                                       .seed = 1,
                                       .step = 2,
                                       .flag = rank->ranks.rank == rank->ranks.count - 1};
    rank->gradients = cn_floats_allocate(network->parameter_count);
    rank->parameters = cn_floats_allocate(network->parameter_count);
    cn_network_gradient(network, workspace, &batch, CN_LOSS_CATEGORICAL_CROSSENTROPY, 0,
                        rank->gradients, &rank->result);
    memcpy(rank->parameters, network->parameters, network->parameter_count * sizeof(float));
    rank->expected[0].size = network->parameter_count;
    cn_gradient_workspace_free(workspace);
    cn_network_free(network);
    free(images);
    return NULL;
}

static struct rank *run_ranks(int ranks, const char *layers, size_t count) {
    struct rank *all = calloc((size_t)ranks, sizeof *all);
    pthread_t threads[MOST];
    for (int r = 0; r < ranks; r++) {
        all[r].ranks = (struct cn_ranks){
            r, ranks, &all[r], mail_send, mail_receive, mail_progress, mail_finish};
        all[r].layers = layers;
        all[r].count = count;
        cr_assert_eq(pthread_create(&threads[r], NULL, rank_run, &all[r]), 0);
    }
    for (int r = 0; r < ranks; r++)
        cr_assert_eq(pthread_join(threads[r], NULL), 0);
    return all;
}

static void free_ranks(struct rank *all, int ranks) {
    for (int r = 0; r < ranks; r++) {
        free(all[r].gradients);
        free(all[r].parameters);
    }
    free(all);
}

Test(ranks, the_same_bits_for_any_number_of_them) {
    /* The second network has parameters for several messages, and layers that need the whole batch.
     */
    static const char *const networks[] = {
        "Conv2D filters=4 kernel_size=3;Flatten;Dense units=10 activation=softmax",
        "Conv2D filters=6 kernel_size=3;BatchNormalization;Activation activation=relu;Conv2D "
        "filters=8 kernel_size=3;BatchNormalization;Dropout rate=0.3;Flatten;Dense units=130;Dense "
        "units=200;Dense units=10 activation=softmax"};
    static const size_t counts[] = {1, 7, 16, 33, 40};
    for (size_t n = 0; n < 2; n++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            struct rank *alone = run_ranks(1, networks[n], counts[c]);
            const size_t bytes = alone->expected[0].size * sizeof(float);
            for (int count = 2; count <= MOST; count = count == 4 ? 8 : count + 1) {
                struct rank *all = run_ranks(count, networks[n], counts[c]);
                for (int r = 0; r < count; r++) {
                    cr_assert_eq(memcmp(all[r].gradients, alone->gradients, bytes), 0,
                                 "network %zu, %zu samples: rank %d of %d", n, counts[c], r, count);
                    cr_assert_eq(memcmp(all[r].parameters, alone->parameters, bytes), 0);
                    cr_assert_eq(all[r].result.loss_sum, alone->result.loss_sum);
                    cr_assert_eq(all[r].result.correct, alone->result.correct);
                    cr_assert(all[r].result.flag, "a flag on one rank is seen by all");
                }
                free_ranks(all, count);
            }
            free_ranks(alone, 1);
        }
}

Test(ranks, each_sample_belongs_to_one_rank) {
    for (size_t count = 1; count <= 300; count++) {
        size_t before = 0, with_samples = 0;
        for (size_t shard = 0; shard < CN_GRADIENT_SHARDS; shard++) {
            const size_t next = cn_gradient_shard_begin(shard + 1, count);
            cr_assert_eq(cn_gradient_shard_begin(0, count), 0);
            cr_assert_geq(next, before);
            with_samples += next > before;
            before = next;
        }
        cr_assert_eq(before, count);
        cr_assert_geq(with_samples, count < 8 ? count : 8, "%zu samples", count);
        cr_assert(count < 128 || with_samples == CN_GRADIENT_SHARDS, "%zu samples", count);
    }
}

Test(ranks, more_than_a_batch_has_parts_are_refused) {
    struct cn_network *network = test_network(cn_shape_vector(4), "Dense units=2", 1);
    struct cn_gradient_workspace *workspace = NULL;
    struct rank last = {.ranks = {CN_RANKS_MAX - 1, CN_RANKS_MAX, &last, mail_send, mail_receive,
                                  mail_progress, mail_finish}};
    struct cn_error error = {0};
    size_t first, end;
    cr_assert_eq(cn_gradient_workspace_create(network, 128, 1, &workspace, NULL), CN_OK);
    cr_assert_eq(cn_gradient_workspace_share(workspace, network, &last.ranks, NULL), CN_OK);
    cn_gradient_workspace_samples(workspace, 128, &first, &end);
    cr_assert(first == 124 && end == 128, "%zu to %zu", first, end);
    last.ranks.count = CN_RANKS_MAX + 1;
    cr_assert_eq(cn_gradient_workspace_share(workspace, network, &last.ranks, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "33 ranks are too many; a mini-batch has 32 parts"), "%s",
                       error.text);
    cn_gradient_workspace_samples(workspace, 128, &first, &end);
    cr_assert(first == 124 && end == 128, "the workspace is as before: %zu to %zu", first, end);
    cn_gradient_workspace_free(workspace);
    cn_network_free(network);
}
