/* image.c: converts between a network's input and its sources: raw samples, a picture used
 * unchanged, an encoded picture by either way, and back to a PNG for people to see. preprocess.c
 * does the preprocessing. Thread-safe. */
#include <math.h>
#include <stdlib.h>

#include "convnet/image.h"
#include "image/surface.h"

const char *const cn_picture_mode_names[] = {"auto", "none", NULL};

enum {
    OPAQUE = 255,
    LARGE_INPUT = 256, /* pixels per side of a large input */
    ENOUGH = 4 /* a decoder delivers at most this many pixels per pixel of a large input, along each
                  side */
};

/* A table of value / 255, since one division per sample would be most of a small image's cost. */
#define ONE(value)     ((float)(value) / 255.0F)
#define FOUR(value)    ONE(value), ONE((value) + 1), ONE((value) + 2), ONE((value) + 3)
#define SIXTEEN(value) FOUR(value), FOUR((value) + 4), FOUR((value) + 8), FOUR((value) + 12)
#define SIXTY_FOUR(value)                                                                          \
    SIXTEEN(value), SIXTEEN((value) + 16), SIXTEEN((value) + 32), SIXTEEN((value) + 48)
static const float levels[256] = {SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128), SIXTY_FOUR(192)};

void cn_image_from_bytes(const uint8_t *bytes, size_t count, float *ret_image) {
    for (size_t i = 0; i < count; i++)
        ret_image[i] = levels[bytes[i]];
}

static bool takes_pictures(const struct cn_shape *shape) {
    return shape->rank == 3 && (shape->dims[2] == 1 || shape->dims[2] == 3);
}

/* NULL, or why the pixels cannot be used unchanged. */
static const char *find_fault(const struct cn_picture *picture, bool grey) {
    const int channels = picture->channels;
    if (channels == 1)
        return NULL;
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = picture->data + i * (size_t)channels;
        if (channels % 2 == 0 && pixel[channels - 1] != OPAQUE)
            return "has transparent pixels";
        if (grey && channels >= 3 && (pixel[0] != pixel[1] || pixel[0] != pixel[2]))
            return "has coloured pixels";
    }
    return NULL;
}

enum cn_status cn_image_from_picture(const struct cn_preprocessing *preprocessing,
                                     const struct cn_picture *picture,
                                     const struct cn_shape *input_shape, float *ret_image,
                                     struct cn_error *error) {
    char text[CN_SHAPE_TEXT];
    if (!takes_pictures(input_shape))
        return cn_fail(error, CN_UNSUPPORTED,
                       "the input shape %s is not that of a picture, which has 1 or 3 channels",
                       cn_shape_format(input_shape, text));
    const int height = input_shape->dims[0], width = input_shape->dims[1];
    const int channels = input_shape->dims[2];
    if (picture->width != width || picture->height != height || picture->reduction > 1)
        return cn_fail(error, CN_UNUSABLE,
                       "the picture is %d x %d pixels; without preprocessing it must be the "
                       "model's %d x %d",
                       picture->reduction > 1 ? picture->full_width : picture->width,
                       picture->reduction > 1 ? picture->full_height : picture->height, width,
                       height);
    const char *fault = find_fault(picture, channels == 1);
    if (fault != NULL)
        return cn_fail(error, CN_UNUSABLE,
                       "the picture %s; without preprocessing it must be opaque%s", fault,
                       channels == 1 ? " and grey" : "");
    const size_t count = (size_t)width * (size_t)height;
    float *to = ret_image;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = picture->data + i * (size_t)picture->channels;
        for (int channel = 0; channel < channels; channel++)
            *to++ = levels[pixel[picture->channels < 3 ? 0 : channel]];
    }
    cn_preprocessing_normalize(preprocessing, input_shape, 1, ret_image);
    return CN_OK;
}

/* The number of pixels per side that are useful to the preprocessing. */
static int useful_side(const struct cn_preprocessing *preprocessing,
                       const struct cn_shape *input_shape) {
    const int height = input_shape->dims[0], width = input_shape->dims[1];
    const int longer = height > width ? height : width;
    if (preprocessing->fit == CN_FIT_MNIST)
        return CN_SURFACE_SIDE_LIMIT;
    return longer > LARGE_INPUT ? longer * ENOUGH : LARGE_INPUT * ENOUGH;
}

enum cn_status cn_image_decode(enum cn_picture_mode mode,
                               const struct cn_preprocessing *preprocessing,
                               const struct cn_picture_limits *limits, const void *bytes,
                               size_t length, const struct cn_shape *input_shape, float *ret_image,
                               struct cn_preprocessing_report *ret_report, struct cn_error *error) {
    struct cn_picture picture = {0};
    struct cn_picture_limits enough = *limits;
    if (enough.side == 0 && input_shape->rank == 3)
        enough.side = useful_side(preprocessing, input_shape);
    enum cn_status status = cn_picture_decode(bytes, length, &enough, &picture, error);
    if (status != CN_OK)
        return status;
    if (mode == CN_PICTURE_AUTO) {
        status = cn_preprocess(preprocessing, &picture, input_shape, ret_image, ret_report, error);
    } else {
        status = cn_image_from_picture(preprocessing, &picture, input_shape, ret_image, error);
        if (status == CN_OK && ret_report != NULL)
            *ret_report = (struct cn_preprocessing_report){
                .unchanged = true, .crop = {0, 0, picture.width, picture.height}, .scale = 1.0F};
    }
    cn_picture_clear(&picture);
    return status;
}

enum cn_status cn_image_to_png(const struct cn_preprocessing *preprocessing, const float *image,
                               const struct cn_shape *input_shape, void **ret_bytes,
                               size_t *ret_length, struct cn_error *error) {
    char text[CN_SHAPE_TEXT];
    if (!takes_pictures(input_shape))
        return cn_fail(error, CN_UNSUPPORTED,
                       "the input shape %s is not that of a picture, which has 1 or 3 channels",
                       cn_shape_format(input_shape, text));
    const size_t count = cn_shape_size(input_shape), channels = (size_t)input_shape->dims[2];
    const bool swapped = preprocessing->channels == CN_CHANNELS_BGR && channels == 3;
    uint8_t *pixels = malloc(count);
    if (pixels == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu samples", count);
    for (size_t i = 0; i < count; i++) { /* a NaN becomes 0 */
        const size_t c = i % channels, to = swapped ? i - c + (2 - c) : i;
        const float sample =
            (image[i] * preprocessing->std[c] + preprocessing->mean[c]) * preprocessing->scale;
        pixels[to] = (uint8_t)lrintf(fminf(fmaxf(sample, 0.0F), 255.0F));
    }
    const enum cn_status status = cn_png_encode(pixels, input_shape->dims[1], input_shape->dims[0],
                                                input_shape->dims[2], ret_bytes, ret_length, error);
    free(pixels);
    return status;
}
