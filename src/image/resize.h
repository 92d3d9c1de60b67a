/* resize.h: scales a rectangle of 8-bit samples into a rectangle of floats. */
#ifndef CONVNET_IMAGE_RESIZE_H
#define CONVNET_IMAGE_RESIZE_H

#include <stddef.h>
#include <stdint.h>

/* A rectangle of pixels. */
struct cn_rectangle {
    int x, y, width, height;
};

/* Writes `crop` of samples [?, stride] as floats 0..255, scaled to ret_pixels [height, width]. An
 * axis that shrinks is averaged over each target pixel's area; an axis that grows is interpolated
 * linearly between pixel centres. */
void cn_resize(const uint8_t *samples, int stride, struct cn_rectangle crop, int width, int height,
               float *ret_pixels);

#endif
