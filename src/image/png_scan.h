/* png_scan.h: checks a PNG's chunks before libpng reads it and before memory is allocated. */
#ifndef CONVNET_IMAGE_PNG_SCAN_H
#define CONVNET_IMAGE_PNG_SCAN_H

#include "image/format.h"

enum { CN_PNG_SIGNATURE = 8 };

/* IHDR's fields, each checked against the PNG specification's table. */
struct cn_png_header {
    int width, height, depth, color_type;
    bool interlaced;
};

bool cn_png_recognize(const void *bytes, size_t length);

/* Walks the chunks once, in time linear in their number. CN_MALFORMED: no signature, a chunk that
 * runs past the end, a bad IHDR, no IEND, or IDAT chunks with more or less data than this picture
 * can need (both kinds of decompression bombs); CN_LIMIT: wider or higher than `limits`. */
enum cn_status cn_png_scan(const unsigned char *bytes, size_t length,
                           const struct cn_picture_limits *limits, struct cn_png_header *ret_header,
                           struct cn_error *error);

#endif
