/* plane.c: alpha and colour are resolved here, before anything looks for ink. A drawing on a
 * transparent page needs a page of the other brightness: white under dark ink, black under light.
 * Thread-safe.
 */
#include <stdlib.h>

#include "image/plane.h"

enum { WHITE = 255, OPAQUE = 255, VARIED = 96 };

static int luminance(const uint8_t *pixel, int channels) {
    if (channels < 3)
        return pixel[0];
    return (299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2] + 500) / 1000;
}

/* What the opaque pixels say of the page under the others. */
struct survey {
    bool grey, opaque, empty;
    int paper;
};

static struct survey survey_picture(const struct cn_picture *picture) {
    const int channels = picture->channels;
    const bool has_alpha = channels % 2 == 0;
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    struct survey survey = {.grey = true, .opaque = true};
    uint64_t cover = 0, sum = 0;
    size_t solid = 0;
    int low = 255, high = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = picture->data + i * (size_t)channels;
        const unsigned alpha = has_alpha ? pixel[channels - 1] : OPAQUE;
        const int value = luminance(pixel, channels);
        cover += alpha;
        sum += alpha * (unsigned)value;
        if (channels >= 3 && (pixel[0] != pixel[1] || pixel[0] != pixel[2]))
            survey.grey = false;
        if (alpha != OPAQUE)
            survey.opaque = false;
        if (alpha >= 128) {
            solid++;
            low = value < low ? value : low;
            high = value > high ? value : high;
        }
    }
    survey.empty = cover == 0;
    const bool bright = cover > 0 && sum >= 128 * cover;
    /* Mostly opaque and varied: the page itself is in the picture (rounded corners, say) and the
     * transparent rest goes on with it. Otherwise the opaque pixels are the ink. */
    const bool page_inside = solid > count / 2 && high - low > VARIED;
    survey.paper = bright == page_inside ? WHITE : 0;
    return survey;
}

enum cn_status cn_plane_create(const struct cn_picture *picture, int channels,
                               struct cn_plane *ret_plane, struct cn_error *error) {
    const struct survey survey = survey_picture(picture);
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    const bool has_alpha = picture->channels % 2 == 0;
    if (survey.empty)
        return cn_fail(error, CN_UNUSABLE, "the picture is blank: every pixel is transparent");
    uint8_t *samples = malloc(count * (size_t)channels);
    if (samples == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate %d x %d pixels", picture->width,
                       picture->height);
    uint8_t *target = samples;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = picture->data + i * (size_t)picture->channels;
        const int alpha = has_alpha ? pixel[picture->channels - 1] : OPAQUE;
        for (int channel = 0; channel < channels; channel++) {
            const int value = channels == 1 ? luminance(pixel, picture->channels)
                                            : pixel[picture->channels < 3 ? 0 : channel];
            *target++ = (uint8_t)((value * alpha + survey.paper * (OPAQUE - alpha) + 127) / OPAQUE);
        }
    }
    *ret_plane = (struct cn_plane){picture->width, picture->height, channels,
                                   survey.grey && survey.opaque, samples};
    return CN_OK;
}

void cn_plane_clear(struct cn_plane *plane) {
    free(plane->samples);
    *plane = (struct cn_plane){0};
}
