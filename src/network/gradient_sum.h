/* gradient_sum.h: the shards' gradients, added in one fixed binary tree.
 *
 * Shard s is leaf CN_GRADIENT_SHARDS + s of a heap whose root is node 1. A node is the sum of its
 * two children, or the one of them that has samples. So the bits depend on nothing but the batch:
 * not on which thread, nor on which rank, has added what. Ranks exchange the sums of whole
 * subtrees, each for a slice of the parameters: as many floats as one copy of the parameters where
 * their number is a power of two.
 *
 * The parameters are cut into groups of consecutive layers. A group is done in a shard as soon as
 * the backward pass has gone through its lowest layer, and is sent while the pass goes on.
 */
#ifndef CONVNET_NETWORK_GRADIENT_SUM_H
#define CONVNET_NETWORK_GRADIENT_SUM_H

#include "convnet/network.h"

struct cn_gradient_sum;

/* For `threads` threads that each take one buffer at a time. ranks: borrowed, NULL for this process
 * alone. */
enum cn_status cn_gradient_sum_create(const struct cn_network *network, int threads,
                                      const struct cn_ranks *ranks,
                                      struct cn_gradient_sum **ret_sum, struct cn_error *error);
void cn_gradient_sum_free(struct cn_gradient_sum *sum); /* accepts NULL */

/* Floats of the buffers, for the forecast of memory. */
size_t cn_gradient_sum_size(const struct cn_network *network, int threads);

/* Sample of a batch of `count` at which a shard begins. Shards of fewer than four samples cost more
 * than they give: small batches leave some of the shards empty, but have eight with samples. */
size_t cn_gradient_shard_begin(size_t shard, size_t count);

/* Begins the layers [back_from, back_to) over a batch of `count` samples. has_backward[l]: the pass
 * goes back through layer l. */
void cn_gradient_sum_begin(struct cn_gradient_sum *sum, const struct cn_network *network,
                           const bool *has_backward, size_t back_from, size_t back_to,
                           size_t count);

/* Any thread: [parameter_count] zeros, as far as the begun layers own them, for one shard. */
float *cn_gradient_sum_take(struct cn_gradient_sum *sum, size_t shard);

/* Any thread: the shard's last samples have gone back through layer l. */
void cn_gradient_sum_layer(struct cn_gradient_sum *sum, size_t shard, size_t l);

/* The thread that trains, now and then: sends what is done. */
void cn_gradient_sum_send(struct cn_gradient_sum *sum);

/* The thread that trains, after all shards: adds the whole batch's sum to gradients. */
void cn_gradient_sum_end(struct cn_gradient_sum *sum, float *gradients);

#endif
