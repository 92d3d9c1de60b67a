/* format.h: the interface of picture formats: how a file begins, and its decoder. */
#ifndef CONVNET_IMAGE_FORMAT_H
#define CONVNET_IMAGE_FORMAT_H

#include "convnet/image.h"

struct cn_format {
    const char *name;
    bool (*recognize)(const unsigned char *bytes, size_t length);
    /* All limits have been filled in except `side`, which may be 0. Errors as cn_picture_decode's.
     */
    enum cn_status (*decode)(const unsigned char *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error);
};

/* One per file; those that need an optional library exist only if it is there. */
extern const struct cn_format cn_format_png, cn_format_jpeg, cn_format_webp, cn_format_gif,
    cn_format_bmp, cn_format_pnm, cn_format_tiff;

/* CN_OK, or CN_MALFORMED or CN_LIMIT for sizes that no decoder should start with. */
enum cn_status cn_format_check_size(const char *name, long long width, long long height,
                                    const struct cn_picture_limits *limits, struct cn_error *error);

/* CN_LIMIT if a decoder would need more memory than allowed. */
enum cn_status cn_format_check_memory(const char *name, unsigned long long bytes,
                                      const struct cn_picture_limits *limits,
                                      struct cn_error *error);

/* The limits, with defaults for those that are 0. */
struct cn_picture_limits cn_format_limits(const struct cn_picture_limits *limits);

#endif
