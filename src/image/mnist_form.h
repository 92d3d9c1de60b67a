/* mnist_form.h: recognises pictures that already have the form a network needs. */
#ifndef CONVNET_IMAGE_MNIST_FORM_H
#define CONVNET_IMAGE_MNIST_FORM_H

#include "convnet/image.h"

/* The page of a picture of the input's size: the median of the outermost samples, and the largest
 * distance of a sample from it. */
struct cn_tone {
    int background, contrast;
    bool light; /* the samples are farther below the background than above it */
};

struct cn_tone cn_tone_measure(const uint8_t *samples, int width, int height, int channels);

/* True if the plain picture has the form of MNIST's images or their negatives: a uniform page, full
 * contrast, ink whose longer side is `box` pixels (or one less), and a centre of mass in the
 * middle. */
bool cn_mnist_form_holds(const struct cn_picture *picture, const struct cn_tone *tone, int box);

#endif
