/* gradient_sum.c: see gradient_sum.h. The thread that completes the second child of a node adds the
 * two into the left one's buffer and frees the right one's. One lock guards what threads share;
 * additions and messages are made without it. */
#include "network/gradient_sum.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "layers/layer_type.h"

enum { SHARDS = CN_GRADIENT_SHARDS, NODES = 2 * SHARDS, LEVELS = 6 };
_Static_assert(1 << (LEVELS - 1) == SHARDS, "a whole binary tree");

/* The least floats per message. */
enum { GROUP_FLOATS = 16 * 1024 };

/* A range of the parameters; `lowest`: the pass has finished the range after this layer. */
struct group {
    size_t offset, size, lowest;
    int roots; /* subtrees of this rank that are not complete yet */
};

struct cn_gradient_sum {
    const struct cn_ranks *ranks; /* NULL: this process alone */
    pthread_mutex_t lock;         /* guards what threads share */
    size_t stride;                /* floats per buffer */
    size_t first_shard, end_shard;
    int buffer_count, free_count;
    float *buffers; /* [buffer_count, stride] */
    int *free_list; /* [buffer_count] */
    int buffer_of[SHARDS];
    size_t count; /* samples of the batch */
    size_t group_count, group_capacity, sent;
    struct group *groups; /* [group_capacity] */
    bool *ready;          /* [group_capacity, NODES]: the node waits for its sibling */
    size_t merged[NODES]; /* number of groups that are added, per node */
    size_t *lowest;       /* [layers], scratch for making the groups */
    float *inbox;         /* the other ranks' subtrees, for this rank's slices */
    float *whole;         /* [stride], the sum over all ranks */
};

size_t cn_gradient_shard_begin(size_t shard, size_t count) {
    const size_t least = count / 8 < 1 ? 1 : count / 8 > 4 ? 4 : count / 8;
    return shard == SHARDS ? count : shard * count / SHARDS / least * least;
}

static size_t first_shard_of(const struct cn_ranks *ranks, int rank) {
    return (size_t)rank * SHARDS / (ranks != NULL ? (size_t)ranks->count : 1);
}

/* ---- Nodes ---- */

static void shards_below(size_t node, size_t *ret_first, size_t *ret_end) {
    size_t shards = 1;
    while (node < SHARDS) {
        node *= 2;
        shards *= 2;
    }
    *ret_first = node - SHARDS;
    *ret_end = node - SHARDS + shards;
}

static bool is_empty(const struct cn_gradient_sum *sum, size_t node) {
    size_t first, end;
    shards_below(node, &first, &end);
    return cn_gradient_shard_begin(first, sum->count) == cn_gradient_shard_begin(end, sum->count);
}

static bool within(size_t node, size_t first_shard, size_t end_shard) {
    size_t first, end;
    shards_below(node, &first, &end);
    return first >= first_shard && end <= end_shard;
}

/* True for the largest subtrees that this rank adds alone. */
static bool is_root_of(const struct cn_gradient_sum *sum, int rank, size_t node) {
    const size_t first = first_shard_of(sum->ranks, rank);
    const size_t end = first_shard_of(sum->ranks, rank + 1);
    return within(node, first, end) && (node == 1 || !within(node / 2, first, end));
}

/* A node's sum is in the buffer of its first shard with samples. */
static float *buffer_at(const struct cn_gradient_sum *sum, size_t node) {
    size_t first, end;
    shards_below(node, &first, &end);
    while (is_empty(sum, SHARDS + first))
        first++;
    return sum->buffers + (size_t)sum->buffer_of[first] * sum->stride;
}

static void release(struct cn_gradient_sum *sum, size_t node) {
    sum->free_list[sum->free_count++] =
        (int)((size_t)(buffer_at(sum, node) - sum->buffers) / sum->stride);
}

/* ---- Memory ---- */

/* Each started shard leaves at most one waiting node per level, and so does the next one. */
static int buffers_needed(int threads, size_t shards) {
    const size_t most = (size_t)threads + ((size_t)threads + 1) * (LEVELS - 1);
    return (int)(most < shards ? most : shards);
}

size_t cn_gradient_sum_size(const struct cn_network *network, int threads) {
    return (size_t)buffers_needed(threads, SHARDS) * cn_floats_aligned(network->parameter_count);
}

/* Floats for the subtrees of all other ranks: a slice of every group each. */
static size_t inbox_size(const struct cn_gradient_sum *sum, size_t layers) {
    size_t blocks = 0;
    for (int r = 0; r < sum->ranks->count; r++)
        for (size_t node = 1; node < NODES && r != sum->ranks->rank; node++)
            blocks += is_root_of(sum, r, node);
    return blocks * (sum->stride / (size_t)sum->ranks->count + (layers + 2) * CN_FLOATS_LINE);
}

enum cn_status cn_gradient_sum_create(const struct cn_network *network, int threads,
                                      const struct cn_ranks *ranks,
                                      struct cn_gradient_sum **ret_sum, struct cn_error *error) {
    struct cn_gradient_sum *sum = calloc(1, sizeof *sum);
    if (sum == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate the sum of gradients");
    const int rank = ranks != NULL ? ranks->rank : 0;
    (void)pthread_mutex_init(&sum->lock, NULL);
    sum->ranks = ranks;
    sum->stride = cn_floats_aligned(network->parameter_count);
    sum->first_shard = first_shard_of(ranks, rank);
    sum->end_shard = first_shard_of(ranks, rank + 1);
    sum->buffer_count = buffers_needed(threads, sum->end_shard - sum->first_shard);
    sum->group_capacity = network->layer_count;
    sum->buffers = cn_floats_allocate((size_t)sum->buffer_count * sum->stride);
    sum->free_list = calloc((size_t)sum->buffer_count, sizeof *sum->free_list);
    sum->groups = calloc(sum->group_capacity, sizeof *sum->groups);
    sum->ready = calloc(sum->group_capacity * NODES, sizeof *sum->ready);
    sum->lowest = calloc(network->layer_count, sizeof *sum->lowest);
    bool whole = sum->buffers != NULL && sum->free_list != NULL && sum->groups != NULL &&
                 sum->ready != NULL && sum->lowest != NULL;
    if (ranks != NULL) {
        sum->inbox = cn_floats_allocate(inbox_size(sum, network->layer_count));
        sum->whole = cn_floats_allocate(sum->stride);
        whole = whole && sum->inbox != NULL && sum->whole != NULL;
    }
    if (!whole) {
        cn_gradient_sum_free(sum);
        return cn_fail(error, CN_MEMORY, "cannot allocate %d sums of %zu gradients",
                       buffers_needed(threads, SHARDS), network->parameter_count);
    }
    *ret_sum = sum;
    return CN_OK;
}

void cn_gradient_sum_free(struct cn_gradient_sum *sum) {
    if (sum == NULL)
        return;
    free(sum->buffers);
    free(sum->free_list);
    free(sum->groups);
    free(sum->ready);
    free(sum->lowest);
    free(sum->inbox);
    free(sum->whole);
    (void)pthread_mutex_destroy(&sum->lock);
    free(sum);
}

/* ---- Groups ---- */

static size_t owner_of(const struct cn_network *network, size_t l) {
    return network->layers[l].shares > 0 ? network->layers[l].shares - 1 : l;
}

/* The parameters to which a layer's backward pass adds; none if it is frozen, has no parameters or
 * computes its gradient from the whole batch's sums. */
static size_t range_of(const struct cn_network *network, size_t l) {
    const struct cn_layer *layer = &network->layers[l];
    return layer->frozen || cn_layer_stops(layer)
               ? 0
               : network->layers[owner_of(network, l)].parameter_count;
}

static void add_range(struct cn_gradient_sum *sum, size_t offset, size_t size, size_t lowest) {
    struct group *last = sum->group_count > 0 ? &sum->groups[sum->group_count - 1] : NULL;
    if (last != NULL && last->size < GROUP_FLOATS && offset + size == last->offset) {
        last->offset = offset;
        last->size += size;
        last->lowest = lowest;
    } else {
        sum->groups[sum->group_count++] = (struct group){offset, size, lowest, 0};
    }
}

void cn_gradient_sum_begin(struct cn_gradient_sum *sum, const struct cn_network *network,
                           const bool *has_backward, size_t back_from, size_t back_to,
                           size_t count) {
    int roots = 0;
    sum->count = count;
    sum->group_count = sum->sent = 0;
    for (size_t l = back_to;
         l-- > back_from;) /* the lowest layer that uses each layer's parameters */
        if (has_backward[l])
            sum->lowest[owner_of(network, l)] = l;
    for (size_t l = back_to; l-- > back_from;) {
        const size_t owner = owner_of(network, l), size = range_of(network, l);
        if (has_backward[l] && size > 0 && sum->lowest[owner] == l)
            add_range(sum, network->layers[owner].parameter_offset, size, l);
    }
    const int rank = sum->ranks != NULL ? sum->ranks->rank : 0;
    for (size_t node = 1; node < NODES; node++)
        roots += is_root_of(sum, rank, node) && !is_empty(sum, node);
    for (size_t g = 0; g < sum->group_count; g++)
        sum->groups[g].roots = roots;
    memset(sum->ready, 0, sum->group_count * NODES * sizeof *sum->ready);
    memset(sum->merged, 0, sizeof sum->merged);
    sum->free_count = sum->buffer_count;
    for (int i = 0; i < sum->buffer_count; i++)
        sum->free_list[i] = i;
}

float *cn_gradient_sum_take(struct cn_gradient_sum *sum, size_t shard) {
    int index;
    if (sum->group_count == 0) /* without a backward part there is nothing to add */
        return sum->buffers;
    (void)pthread_mutex_lock(&sum->lock);
    index = sum->free_list[--sum->free_count];
    sum->buffer_of[shard] = index;
    (void)pthread_mutex_unlock(&sum->lock);
    float *buffer = sum->buffers + (size_t)index * sum->stride;
    for (size_t g = 0; g < sum->group_count; g++)
        memset(buffer + sum->groups[g].offset, 0, sum->groups[g].size * sizeof *buffer);
    return buffer;
}

/* Called when group g of `node` is complete: adds it to its sibling's, and so on up the tree. */
static void tree_reduce(struct cn_gradient_sum *sum, size_t g, size_t node) {
    struct group *group = &sum->groups[g];
    const int rank = sum->ranks != NULL ? sum->ranks->rank : 0;
    while (!is_root_of(sum, rank, node)) {
        const size_t sibling = node ^ 1, left = node & ~(size_t)1, parent = node / 2;
        bool both = true;
        if (!is_empty(sum, sibling)) {
            (void)pthread_mutex_lock(&sum->lock);
            both = sum->ready[g * NODES + sibling];
            sum->ready[g * NODES + node] = true;
            (void)pthread_mutex_unlock(&sum->lock);
            if (!both)
                return;
            cn_kernels()->elementwise->add(buffer_at(sum, left) + group->offset,
                                           buffer_at(sum, left + 1) + group->offset, group->size);
            (void)pthread_mutex_lock(&sum->lock);
            if (++sum->merged[parent] == sum->group_count)
                release(sum, left + 1);
            (void)pthread_mutex_unlock(&sum->lock);
        }
        node = parent;
    }
    (void)pthread_mutex_lock(&sum->lock);
    group->roots--;
    (void)pthread_mutex_unlock(&sum->lock);
}

void cn_gradient_sum_layer(struct cn_gradient_sum *sum, size_t shard, size_t l) {
    for (size_t g = 0; g < sum->group_count; g++)
        if (sum->groups[g].lowest == l)
            tree_reduce(sum, g, SHARDS + shard);
}

/* ---- Ranks ---- */

/* The part of a group that a rank adds for all ranks. */
static size_t slice_begin(const struct cn_gradient_sum *sum, const struct group *group, int rank) {
    const size_t begin = cn_floats_aligned(group->size * (size_t)rank / (size_t)sum->ranks->count);
    return group->offset + (begin < group->size ? begin : group->size);
}

static size_t slice_size(const struct cn_gradient_sum *sum, const struct group *group, int rank) {
    return slice_begin(sum, group, rank + 1) - slice_begin(sum, group, rank);
}

/* Sends each rank its slice of this rank's subtrees, and begins to receive the others'. */
static size_t exchange_subtrees(const struct cn_gradient_sum *sum, const struct group *group,
                                float *inbox) {
    const struct cn_ranks *ranks = sum->ranks;
    const size_t mine = slice_size(sum, group, ranks->rank);
    size_t used = 0;
    for (size_t node = 1; node < NODES; node++)
        for (int r = 0; r < ranks->count; r++) {
            if (!is_root_of(sum, r, node) || is_empty(sum, node))
                continue;
            if (r != ranks->rank) {
                if (mine > 0)
                    ranks->receive(ranks->data, r, inbox + used, mine * sizeof *inbox);
                used += mine;
                continue;
            }
            for (int to = 0; to < ranks->count; to++)
                if (to != r && slice_size(sum, group, to) > 0)
                    ranks->send(ranks->data, to, buffer_at(sum, node) + slice_begin(sum, group, to),
                                slice_size(sum, group, to) * sizeof *inbox);
        }
    return used;
}

/* The offset of group g in the inbox. */
static float *inbox_of(const struct cn_gradient_sum *sum, size_t g) {
    size_t blocks = 0, before = 0;
    for (size_t node = 1; node < NODES; node++)
        for (int r = 0; r < sum->ranks->count; r++)
            blocks += r != sum->ranks->rank && is_root_of(sum, r, node) && !is_empty(sum, node);
    for (size_t i = 0; i < g; i++)
        before += slice_size(sum, &sum->groups[i], sum->ranks->rank);
    return sum->inbox + blocks * before;
}

void cn_gradient_sum_send(struct cn_gradient_sum *sum) {
    if (sum->ranks == NULL)
        return;
    while (sum->sent < sum->group_count) {
        struct group *group = &sum->groups[sum->sent];
        (void)pthread_mutex_lock(&sum->lock);
        const int roots = group->roots;
        (void)pthread_mutex_unlock(&sum->lock);
        if (roots > 0)
            break;
        (void)exchange_subtrees(sum, group, inbox_of(sum, sum->sent));
        sum->sent++;
    }
    sum->ranks->progress(sum->ranks->data);
}

/* Adds all ranks' subtrees for this rank's slice of a group. */
static void add_slice(struct cn_gradient_sum *sum, size_t g) {
    const struct group *group = &sum->groups[g];
    const int rank = sum->ranks->rank;
    const size_t begin = slice_begin(sum, group, rank), size = slice_size(sum, group, rank);
    float *at[NODES] = {NULL}, *inbox = inbox_of(sum, g);
    for (size_t node = 1; node < NODES; node++)
        for (int r = 0; r < sum->ranks->count; r++)
            if (is_root_of(sum, r, node) && !is_empty(sum, node)) {
                at[node] = r == rank ? buffer_at(sum, node) + begin : inbox;
                inbox += r == rank ? 0 : size;
            }
    for (size_t node = SHARDS - 1; node >= 1; node--) {
        float *left = at[2 * node], *right = at[2 * node + 1];
        if (left != NULL && right != NULL)
            cn_kernels()->elementwise->add(left, right, size);
        if (at[node] == NULL)
            at[node] = left != NULL ? left : right;
    }
    memcpy(sum->whole + begin, at[1], size * sizeof *sum->whole);
}

static void gather_slices(const struct cn_gradient_sum *sum) {
    const struct cn_ranks *ranks = sum->ranks;
    for (size_t g = 0; g < sum->group_count; g++)
        for (int r = 0; r < ranks->count; r++) {
            const struct group *group = &sum->groups[g];
            const size_t theirs = slice_size(sum, group, r) * sizeof(float);
            const size_t mine = slice_size(sum, group, ranks->rank) * sizeof(float);
            if (r == ranks->rank)
                continue;
            if (theirs > 0)
                ranks->receive(ranks->data, r, sum->whole + slice_begin(sum, group, r), theirs);
            if (mine > 0)
                ranks->send(ranks->data, r, sum->whole + slice_begin(sum, group, ranks->rank),
                            mine);
        }
    ranks->finish(ranks->data);
}

void cn_gradient_sum_end(struct cn_gradient_sum *sum, float *gradients) {
    const float *whole = sum->whole;
    if (sum->group_count == 0)
        return;
    if (sum->ranks != NULL) {
        cn_gradient_sum_send(sum);
        sum->ranks->finish(sum->ranks->data);
        for (size_t g = 0; g < sum->group_count; g++)
            add_slice(sum, g);
        gather_slices(sum);
    } else {
        whole = buffer_at(sum, 1);
    }
    for (size_t g = 0; g < sum->group_count; g++)
        cn_kernels()->elementwise->add(gradients + sum->groups[g].offset,
                                       whole + sum->groups[g].offset, sum->groups[g].size);
}
