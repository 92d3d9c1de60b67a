/* plane.h: a picture without alpha and with as many channels as the network takes. */
#ifndef CONVNET_IMAGE_PLANE_H
#define CONVNET_IMAGE_PLANE_H

#include "convnet/image.h"

struct cn_plane {
    int width, height, channels; /* channels: 1 or 3 */
    bool plain;                  /* the picture was grey in every pixel and opaque */
    uint8_t *samples;            /* [height, width, channels]; freed by cn_plane_clear */
};

/* Luminance (Rec. 601 weights, grey exact) or RGB of `picture` laid over white or black paper.
 * Caller frees with cn_plane_clear. CN_UNUSABLE: nothing but transparent pixels. */
enum cn_status cn_plane_create(const struct cn_picture *picture, int channels,
                               struct cn_plane *ret_plane, struct cn_error *error);

void cn_plane_clear(struct cn_plane *plane);

#endif
