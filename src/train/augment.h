/* augment.h: a random affine change of a training image. */
#ifndef CONVNET_TRAIN_AUGMENT_H
#define CONVNET_TRAIN_AUGMENT_H

#include "base/random.h"
#include "convnet/trainer.h"

/* True unless every range is zero. */
bool cn_augmentation_active(const struct cn_augmentation *augmentation);

/* Draws one change from `random` and writes to[height, width, channels] = from changed, in [0, 1]:
 * bilinear, what lies outside is background. */
void cn_augment(const struct cn_augmentation *augmentation, struct cn_random *random,
                const struct cn_shape *shape, const uint8_t *from, float *to);

#endif
