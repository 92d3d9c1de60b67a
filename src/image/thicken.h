/* thicken.h: widens the strokes of a grey plane. */
#ifndef CONVNET_IMAGE_THICKEN_H
#define CONVNET_IMAGE_THICKEN_H

#include "convnet/status.h"
#include "image/plane.h"

/* Every sample of the one-channel plane becomes the largest of the (by + 1) x (by + 1) samples
 * around it (van Herk 1992: three comparisons a sample, whatever `by` is). by = 0: unchanged. */
enum cn_status cn_thicken(struct cn_plane *plane, int by, struct cn_error *error);

#endif
