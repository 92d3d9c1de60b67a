/* png_plain.h: a short way through the PNGs that most small pictures are. */
#ifndef CONVNET_IMAGE_PNG_PLAIN_H
#define CONVNET_IMAGE_PNG_PLAIN_H

#include "image/png_scan.h"

/* Decodes a PNG of samples of 8 bits without a palette, not interlaced, of few bytes, with no chunk
 * but IHDR, IDAT and IEND. False: it is another one, or something is wrong with it; libpng has to
 * say what. `bytes` have passed cn_png_scan, whose header it is; the limits are complete. */
bool cn_png_decode_plain(const unsigned char *bytes, size_t length,
                         const struct cn_png_header *header, const struct cn_picture_limits *limits,
                         struct cn_picture *ret_picture);

#endif
