/* loss.h: the target of a sample, and a loss and its gradient against it. */
#ifndef CONVNET_NETWORK_LOSS_H
#define CONVNET_NETWORK_LOSS_H

#include "convnet/network.h"

/* target[class_count]: what cn_loss_value compares with: onehot * (1 - s) + s / class_count; all
 * alike for CN_LABEL_NONE. */
void cn_loss_target(float *target, size_t class_count, unsigned label, float label_smoothing);

/* The loss of `probabilities` against any target; both [class_count]. */
double cn_loss_against(enum cn_loss loss, const float *probabilities, const float *target,
                       size_t class_count);

/* In: dy[class_count], the target. Out: scale * d loss / d probabilities of one sample; with
 * `fused` by the inputs of the softmax that gave the probabilities (cross-entropy only:
 * probabilities - target, for a target that sums to 1). */
void cn_loss_gradient(float *dy, enum cn_loss loss, const float *probabilities, size_t class_count,
                      float scale, bool fused);

#endif
