/* orientation.h: a picture's orientation as cameras store it (EXIF 2.3, tag 274). */
#ifndef CONVNET_IMAGE_ORIENTATION_H
#define CONVNET_IMAGE_ORIENTATION_H

#include "convnet/image.h"

/* The orientation, 1 to 8, in an EXIF block (a TIFF header and its first directory); 1, upright, if
 * there is none. */
int cn_orientation_read(const unsigned char *bytes, size_t length);

/* Makes the picture upright. CN_MEMORY: the picture is unchanged. */
enum cn_status cn_orientation_apply(int orientation, struct cn_picture *picture,
                                    struct cn_error *error);

#endif
