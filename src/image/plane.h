/* plane.h: a picture without alpha and with as many channels as the network takes. */
#ifndef CONVNET_IMAGE_PLANE_H
#define CONVNET_IMAGE_PLANE_H

#include "convnet/image.h"

struct cn_plane {
    int width, height, channels; /* channels: 1 or 3 */
    int reduction;               /* of the file's pixels a side of one sample */
    uint8_t *samples;            /* [height, width, channels]; freed by cn_plane_clear */
};

/* True if every pixel is grey and opaque. */
bool cn_picture_is_plain(const struct cn_picture *picture);

/* Brightness of `picture` laid over white or black paper, for whoever looks for ink: luminance in
 * linear light (Rec. 709 weights), written with the square law that stands for sRGB's curve, so
 * that grey samples stay exactly what they are. A drawing whose colour is as bright as its page is
 * told apart by its colour: its page is then white. Where `side_limit` is not 0 and the picture is
 * larger, squares of pixels are averaged so that it is not. Caller frees with cn_plane_clear.
 * CN_UNUSABLE: nothing but transparent pixels; CN_MEMORY. */
enum cn_status cn_plane_create(const struct cn_picture *picture, int side_limit,
                               struct cn_plane *ret_plane, struct cn_error *error);

/* The picture as it is, over such paper: RGB for 3 channels, grey for 1. The same errors. */
enum cn_status cn_plane_create_as_seen(const struct cn_picture *picture, int channels,
                                       struct cn_plane *ret_plane, struct cn_error *error);

void cn_plane_clear(struct cn_plane *plane);

#endif
