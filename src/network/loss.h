/* loss.h: the target of a sample, and the loss and its gradient for a target. */
#ifndef CONVNET_NETWORK_LOSS_H
#define CONVNET_NETWORK_LOSS_H

#include "convnet/network.h"

/* Fills in target[class_count], which cn_loss_value compares with the outputs. CN_LABEL_NONE: equal
 * for all classes, or all 0 for binary losses. */
void cn_loss_target(float *target, enum cn_loss loss, size_t class_count, unsigned label,
                    float label_smoothing);

/* The target of an image that is mixed of two: `share` of the target of `label` and the rest of
 * that of `other`. */
void cn_loss_mixed_target(float *target, enum cn_loss loss, size_t class_count, unsigned label,
                          unsigned other, float share, float label_smoothing);

/* The loss of `outputs` for any target; both [class_count]. */
double cn_loss_against(enum cn_loss loss, const float *outputs, const float *target,
                       size_t class_count);

/* The activation that can be included in the loss's derivative, which is then output - target. */
enum cn_activation cn_loss_fuses_with(enum cn_loss loss);

/* In: dy[class_count], the target. Out: scale * d loss / d outputs of one sample; with `fused` the
 * derivative with respect to the inputs of the final activation (for a target with the sum 1). */
void cn_loss_gradient(float *dy, enum cn_loss loss, const float *outputs, size_t class_count,
                      float scale, bool fused);

#endif
