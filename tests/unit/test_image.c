/* test_image.c: images from raw samples, from pictures without preprocessing and from PNGs, and
 * images written as PNG. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/image.h"

enum { SIDE = 6, PIXELS = SIDE * SIDE };

static const struct cn_shape grey = {3, {SIDE, SIDE, 1}}, colour = {3, {SIDE, SIDE, 3}};

/* Each sample has another value; alpha, if there is one, is opaque. The caller frees data. */
static struct cn_picture varied(int width, int height, int channels) {
    const size_t count = (size_t)width * (size_t)height;
    struct cn_picture picture = {.width = width,
                                 .height = height,
                                 .channels = channels,
                                 .data = malloc(count * (size_t)channels)};
    for (size_t i = 0; i < count * (size_t)channels; i++) {
        const size_t channel = i % (size_t)channels, pixel = i / (size_t)channels;
        const bool alpha = channels % 2 == 0 && channel + 1 == (size_t)channels;
        picture.data[i] = alpha ? 255 : (uint8_t)(pixel * 7);
    }
    return picture;
}

Test(image, pictures_as_they_are) {
    const struct cn_preprocessing digits = cn_preprocessing_digits(&grey);
    const struct cn_preprocessing usual = cn_preprocessing_default(&colour);
    for (int channels = 1; channels <= 4; channels++) {
        struct cn_picture picture = varied(SIDE, SIDE, channels);
        float image[PIXELS], three[PIXELS * 3], expected[PIXELS];
        uint8_t samples[PIXELS];
        for (int i = 0; i < PIXELS; i++)
            samples[i] = (uint8_t)(i * 7);
        cn_image_from_bytes(samples, PIXELS, expected);
        cr_assert_eq(cn_image_from_picture(&digits, &picture, &grey, image, NULL), CN_OK);
        cr_assert_eq(memcmp(image, expected, sizeof image), 0, "%d channels", channels);
        cr_assert_eq(cn_image_from_picture(&usual, &picture, &colour, three, NULL), CN_OK);
        for (int i = 0; i < PIXELS * 3; i++)
            cr_assert_eq(three[i], expected[i / 3]);
        free(picture.data);
    }
}

Test(image, what_is_not_as_it_must_be) {
    const struct cn_preprocessing digits = cn_preprocessing_digits(&grey);
    const struct cn_preprocessing usual = cn_preprocessing_default(&colour);
    const struct cn_shape vector = cn_shape_vector(PIXELS);
    static const struct {
        int width, channels, at;
        const char *words;
        enum cn_status for_grey, for_colour;
    } cases[] = {
        {SIDE + 1, 1, -1, "7 x 6 pixels", CN_UNUSABLE, CN_UNUSABLE},
        {SIDE, 4, 3, "transparent", CN_UNUSABLE, CN_UNUSABLE},
        {SIDE, 2, PIXELS * 2 - 1, "transparent", CN_UNUSABLE, CN_UNUSABLE},
        {SIDE, 3, PIXELS * 3 - 1, "coloured", CN_UNUSABLE, CN_OK},
        {SIDE, 3, 0, "coloured", CN_UNUSABLE, CN_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cn_picture picture = varied(cases[i].width, SIDE, cases[i].channels);
        float image[PIXELS * 3] = {7.0F};
        struct cn_error error = {0};
        if (cases[i].at >= 0)
            picture.data[cases[i].at] ^= 1;
        cr_assert_eq(cn_image_from_picture(&digits, &picture, &grey, image, &error),
                     cases[i].for_grey);
        cr_assert_not_null(strstr(error.text, cases[i].words), "%s", error.text);
        cr_assert_eq(image[0], 7.0F, "the output was touched on failure");
        cr_assert_eq(cn_image_from_picture(&usual, &picture, &colour, image, NULL),
                     cases[i].for_colour);
        cr_assert_eq(cn_image_from_picture(&digits, &picture, &vector, image, NULL),
                     CN_UNSUPPORTED);
        free(picture.data);
    }
}

Test(image, to_png_and_back) {
    const struct cn_shape *const shapes[] = {&grey, &colour};
    for (size_t s = 0; s < 2; s++) {
        const struct cn_preprocessing preprocessing = cn_preprocessing_default(shapes[s]);
        const size_t count = cn_shape_size(shapes[s]);
        uint8_t samples[PIXELS * 3];
        float image[PIXELS * 3], back[PIXELS * 3];
        struct cn_preprocessing_report report = {0};
        void *png = NULL;
        size_t length = 0;
        for (size_t i = 0; i < count; i++)
            samples[i] = (uint8_t)(i * 2);
        cn_image_from_bytes(samples, count, image);
        cr_assert_eq(cn_image_to_png(&preprocessing, image, shapes[s], &png, &length, NULL), CN_OK);
        cr_assert_eq(cn_image_decode(CN_PICTURE_NONE, &preprocessing, &cn_picture_default_limits,
                                     png, length, shapes[s], back, &report, NULL),
                     CN_OK);
        cr_assert_eq(memcmp(image, back, count * sizeof *image), 0);
        cr_assert(report.unchanged && report.crop[2] == SIDE && report.scale == 1.0F);
        cr_assert_eq(cn_image_decode(CN_PICTURE_NONE, &preprocessing, &cn_picture_default_limits,
                                     png, length - 1, shapes[s], back, NULL, NULL),
                     CN_MALFORMED);
        free(png);
    }
    const struct cn_shape vector = cn_shape_vector(PIXELS);
    const struct cn_preprocessing digits = cn_preprocessing_digits(&grey);
    float image[PIXELS] = {0};
    void *png = NULL;
    size_t length = 0;
    cr_assert_eq(cn_image_to_png(&digits, image, &vector, &png, &length, NULL), CN_UNSUPPORTED);
}
