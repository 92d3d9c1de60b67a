/* polarity.h: whether a drawing is dark on a light page or light on a dark one. */
#ifndef CONVNET_IMAGE_POLARITY_H
#define CONVNET_IMAGE_POLARITY_H

#include "image/plane.h"

/* True if the lighter side of a one-channel plane, no side longer than CN_SURFACE_SIDE_LIMIT, is
 * the page. levels: how many pixels have each level. The frame decides, unless it has no single
 * level, nearly all else is on one side of it, or it is a shadow. */
bool cn_polarity_is_light(const struct cn_plane *plane, const size_t levels[256]);

#endif
