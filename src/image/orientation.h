/* orientation.h: which way up a picture is, as cameras write it (EXIF 2.3, tag 274). */
#ifndef CONVNET_IMAGE_ORIENTATION_H
#define CONVNET_IMAGE_ORIENTATION_H

#include "convnet/image.h"

/* 1 to 8 from an EXIF block (a TIFF header and its first directory); 1, upright, if it does not
 * say.
 */
int cn_orientation_read(const unsigned char *bytes, size_t length);

/* Turns the picture upright. CN_MEMORY; the picture is then as it was. */
enum cn_status cn_orientation_apply(int orientation, struct cn_picture *picture,
                                    struct cn_error *error);

#endif
