/* activity_penalty.h: Keras's activity_regularizer in an evaluation. */
#ifndef CONVNET_TRAIN_ACTIVITY_PENALTY_H
#define CONVNET_TRAIN_ACTIVITY_PENALTY_H

#include "convnet/network.h"

struct cn_activity_penalty;

/* *ret_penalty is NULL if the network has no such regularizer. Caller frees with
 * cn_activity_penalty_free. CN_MEMORY, and the errors of a plan. */
enum cn_status cn_activity_penalty_create(const struct cn_network *network, int threads,
                                          struct cn_activity_penalty **ret_penalty,
                                          struct cn_error *error);

/* Writes penalties[count], what each of the images [count, input] adds to the loss. */
void cn_activity_penalty_measure(struct cn_activity_penalty *penalty, const float *images,
                                 size_t count, double *penalties);

/* The memory that it has; accepts NULL. */
size_t cn_activity_penalty_bytes(const struct cn_activity_penalty *penalty);

/* Accepts NULL. */
void cn_activity_penalty_free(struct cn_activity_penalty *penalty);

#endif
