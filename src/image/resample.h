/* resample.h: scales 8-bit pictures as PIL (Pillow) does. */
#ifndef CONVNET_IMAGE_RESAMPLE_H
#define CONVNET_IMAGE_RESAMPLE_H

#include "image/plane.h"

/* A rectangle with real coordinates; (0, 0) is the corner of the picture's first pixel. */
struct cn_region {
    double left, top, right, bottom;
};

/* Scales `region` of `plane` into ret_samples [height, width, plane->channels]: first along x, then
 * along y, each rounded, with the weights of PIL's Image.resize(box=region). The region lies within
 * the plane and is not empty. CN_MEMORY. */
enum cn_status cn_resample(const struct cn_plane *plane, const struct cn_region *region,
                           enum cn_interpolation interpolation, int width, int height,
                           uint8_t *ret_samples, struct cn_error *error);

#endif
