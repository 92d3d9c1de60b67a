/* loss.h: the gradient of a loss by the network's outputs. */
#ifndef CONVNET_NETWORK_LOSS_H
#define CONVNET_NETWORK_LOSS_H

#include "convnet/network.h"

/* dy[class_count] = scale * d loss / d probabilities of one sample; with `fused` by the inputs of
 * the softmax that gave the probabilities (cross-entropy only: probabilities - target). */
void cn_loss_gradient(float *dy, enum cn_loss loss, const float *probabilities, size_t class_count,
                      unsigned label, float label_smoothing, float scale, bool fused);

#endif
