/* loss.h: the target of a sample, and a loss and its gradient against it. */
#ifndef CONVNET_NETWORK_LOSS_H
#define CONVNET_NETWORK_LOSS_H

#include "convnet/network.h"

/* target[class_count]: what cn_loss_value compares with. CN_LABEL_NONE: all alike, or all 0 for the
 * binary losses. */
void cn_loss_target(float *target, enum cn_loss loss, size_t class_count, unsigned label,
                    float label_smoothing);

/* share of the target of `label` and the rest of that of `other`, of an image made of two. */
void cn_loss_mixed_target(float *target, enum cn_loss loss, size_t class_count, unsigned label,
                          unsigned other, float share, float label_smoothing);

/* The loss of `outputs` against any target; both [class_count]. */
double cn_loss_against(enum cn_loss loss, const float *outputs, const float *target,
                       size_t class_count);

/* The activation whose derivative the loss can take into its own, which is then output - target. */
enum cn_activation cn_loss_fuses_with(enum cn_loss loss);

/* In: dy[class_count], the target. Out: scale * d loss / d outputs of one sample; with `fused` by
 * the inputs of the activation that gave the outputs (for a target that sums to 1). */
void cn_loss_gradient(float *dy, enum cn_loss loss, const float *outputs, size_t class_count,
                      float scale, bool fused);

#endif
