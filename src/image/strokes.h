/* strokes.h: scales a drawing into a small box so that thin strokes stay visible. */
#ifndef CONVNET_IMAGE_STROKES_H
#define CONVNET_IMAGE_STROKES_H

#include "convnet/status.h"
#include "image/plane.h"
#include "image/resize.h"

/* The scaled drawing. */
struct cn_strokes {
    int width, height; /* target pixels, at most `box` */
    float *values;     /* [height, width], 0 to 255; caller frees */
    float scale;       /* target pixels per plane sample */
    float thickened;   /* plane samples by which strokes were widened */
};

/* Scales the ink in `crop` so that its longer side is `box` target pixels, with area averages where
 * it shrinks. Strokes thinner than MNIST's thinnest are first widened to that, equally in all
 * directions. CN_MEMORY. */
enum cn_status cn_strokes_scale(const struct cn_plane *plane, struct cn_rectangle crop, int box,
                                struct cn_strokes *ret_strokes, struct cn_error *error);

/* Places the strokes at full strength on `image` [shape, one channel], centred by their mass and
 * rounded to the levels of raw images. */
void cn_strokes_place(const struct cn_strokes *strokes, const struct cn_shape *shape, float *image);

/* Replaces every sample of [height, width] by the largest within `diameter` / 2 of it. `runs` is
 * scratch memory of as many bytes. */
void cn_strokes_dilate(const uint8_t *samples, int width, int height, int diameter, uint8_t *runs,
                       uint8_t *ret_samples);

#endif
