/* gradient_sum.h: adds the shards' gradients in one fixed binary tree.
 *
 * Shard s is leaf CN_GRADIENT_SHARDS + s of a heap whose root is node 1. A node is the sum of its
 * two children, or the only one that has samples. So the bits depend on the batch only, not on
 * which thread or rank has added which nodes. Ranks exchange the sums of whole subtrees, each for a
 * slice of the parameters: as many floats as one copy of the parameters if the number of ranks is a
 * power of two.
 *
 * The parameters are divided into groups of consecutive layers. A group is finished in a shard as
 * soon as the backward pass has left its lowest layer, and is sent while the pass continues. */
#ifndef CONVNET_NETWORK_GRADIENT_SUM_H
#define CONVNET_NETWORK_GRADIENT_SUM_H

#include "convnet/network.h"

struct cn_gradient_sum;

/* For `threads` threads that each use one buffer at a time. ranks: borrowed; NULL: this process
 * alone. */
enum cn_status cn_gradient_sum_create(const struct cn_network *network, int threads,
                                      const struct cn_ranks *ranks,
                                      struct cn_gradient_sum **ret_sum, struct cn_error *error);
void cn_gradient_sum_free(struct cn_gradient_sum *sum); /* accepts NULL */

/* Number of floats in the buffers, for predicting memory. */
size_t cn_gradient_sum_size(const struct cn_network *network, int threads);

/* The first sample of a shard in a batch of `count`. Shards of fewer than four samples cost more
 * than they gain: with small batches some shards are empty, but eight have samples. */
size_t cn_gradient_shard_begin(size_t shard, size_t count);

/* Begins the layers [back_from, back_to) for a batch of `count` samples. has_backward[l]: the
 * backward pass includes layer l. */
void cn_gradient_sum_begin(struct cn_gradient_sum *sum, const struct cn_network *network,
                           const bool *has_backward, size_t back_from, size_t back_to,
                           size_t count);

/* On any thread: [parameter_count] floats for one shard, zero where they belong to these layers. */
float *cn_gradient_sum_take(struct cn_gradient_sum *sum, size_t shard);

/* On any thread: the backward pass of the shard's last samples has left layer l. */
void cn_gradient_sum_layer(struct cn_gradient_sum *sum, size_t shard, size_t l);

/* On the thread that trains, from time to time: sends finished groups. */
void cn_gradient_sum_send(struct cn_gradient_sum *sum);

/* On the thread that trains, after all shards: adds the whole batch's sum to gradients. */
void cn_gradient_sum_end(struct cn_gradient_sum *sum, float *gradients);

#endif
