/* exact.h: pictures that already are what a network takes. */
#ifndef CONVNET_IMAGE_EXACT_H
#define CONVNET_IMAGE_EXACT_H

#include "convnet/image.h"

/* What the samples of a picture of the input's size say of its page: the median of the outermost
 * ones, and the largest distance from it. */
struct cn_tone {
    int background, contrast;
    bool light; /* the samples are farther below the background than above it */
};

struct cn_tone cn_tone_measure(const uint8_t *samples, int width, int height, int channels);

/* True if the plain picture is one of MNIST's or its negative: a pure page, full contrast, the
 * ink's longer side `box` long (or one less) and its centre of mass in the middle. */
bool cn_exact_is_prepared(const struct cn_picture *picture, const struct cn_tone *tone, int box);

#endif
