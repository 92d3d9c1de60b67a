/* picture_end.h: where a picture ends in bytes that may hold more. */
#ifndef CONVNET_IMAGE_PICTURE_END_H
#define CONVNET_IMAGE_PICTURE_END_H

#include <stddef.h>

/* The place behind the first picture, by its format's own marks; `length` where its bytes do not
 * say so, or where the format puts further pictures behind its first one (a JPEG with an index of
 * several, as phones write). */
size_t cn_picture_end(const void *bytes, size_t length);

#endif
