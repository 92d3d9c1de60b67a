/* plane.h: a picture without alpha and with as many channels as the network needs. */
#ifndef CONVNET_IMAGE_PLANE_H
#define CONVNET_IMAGE_PLANE_H

#include "convnet/image.h"

struct cn_plane {
    int width, height, channels; /* channels: 1 or 3 */
    int reduction;               /* pixels of the file per side of a sample */
    uint8_t *samples;            /* [height, width, channels]; freed by cn_plane_clear */
};

/* True if every pixel is grey and opaque. */
bool cn_picture_is_plain(const struct cn_picture *picture);

/* The brightness of `picture` over white or black paper, for finding ink: luminance in linear light
 * (Rec. 709 weights), with a square law as an approximation of sRGB's curve, so that grey samples
 * stay exactly what they are. A drawing as bright as its page is recognised by its colour; its page
 * is then white. If `side_limit` is not 0, squares of pixels are averaged until no side is longer.
 * Caller frees with cn_plane_clear. CN_UNUSABLE: all pixels are transparent; CN_MEMORY. */
enum cn_status cn_plane_create(const struct cn_picture *picture, int side_limit,
                               struct cn_plane *ret_plane, struct cn_error *error);

/* The picture unchanged, over such paper: RGB for 3 channels, grey for 1. The same errors. */
enum cn_status cn_plane_create_as_seen(const struct cn_picture *picture, int channels,
                                       struct cn_plane *ret_plane, struct cn_error *error);

void cn_plane_clear(struct cn_plane *plane);

#endif
