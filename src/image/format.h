/* format.h: what a picture format is to the rest: how its bytes begin, and its decoder. */
#ifndef CONVNET_IMAGE_FORMAT_H
#define CONVNET_IMAGE_FORMAT_H

#include "convnet/image.h"

struct cn_format {
    const char *name;
    bool (*recognize)(const unsigned char *bytes, size_t length);
    /* The limits are complete: nothing in them is 0 but `side`. Errors as cn_picture_decode's. */
    enum cn_status (*decode)(const unsigned char *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error);
};

/* One for each file; those of optional libraries are there only if the library is. */
extern const struct cn_format cn_format_png, cn_format_jpeg, cn_format_webp, cn_format_gif,
    cn_format_bmp, cn_format_pnm, cn_format_tiff;

/* CN_OK, or CN_MALFORMED or CN_LIMIT for what no decoder should begin with. */
enum cn_status cn_format_check_size(const char *name, long long width, long long height,
                                    const struct cn_picture_limits *limits, struct cn_error *error);

/* CN_LIMIT if a decoder would need more than that. */
enum cn_status cn_format_check_memory(const char *name, unsigned long long bytes,
                                      const struct cn_picture_limits *limits,
                                      struct cn_error *error);

/* The limits with what is 0 filled in. */
struct cn_picture_limits cn_format_limits(const struct cn_picture_limits *limits);

#endif
