/* picture_end.h: finds where a picture ends in bytes that may contain more. */
#ifndef CONVNET_IMAGE_PICTURE_END_H
#define CONVNET_IMAGE_PICTURE_END_H

#include <stddef.h>

/* The offset after the first picture, by the marks of its format. `length` if the bytes do not
 * tell, or if the format allows further pictures after the first (a JPEG with an index of several,
 * as phones write). */
size_t cn_picture_end(const void *bytes, size_t length);

#endif
