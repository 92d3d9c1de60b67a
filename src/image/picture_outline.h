/* picture_outline.h: what a picture's bytes tell about it without decoding: its size, and where it
 * ends. */
#ifndef CONVNET_IMAGE_PICTURE_OUTLINE_H
#define CONVNET_IMAGE_PICTURE_OUTLINE_H

#include <stddef.h>

/* The number of pixels that the header of the picture states, for every format that any build
 * decodes; 0 if the header is not found. Hostile bytes may state any number. */
size_t cn_picture_pixels(const void *bytes, size_t length);

/* The offset after the first picture, by the marks of its format. `length` if the bytes do not
 * tell, or if the format allows further pictures after the first (a JPEG with an index of several,
 * as phones write). */
size_t cn_picture_end(const void *bytes, size_t length);

#endif
