/* test_resample.c: whole pictures are scaled to a network's input as Pillow scales them. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "convnet/image.h"

enum { MOST = 9 * 7 * 3 };

/* Numbers that Pillow computed; tests/golden/make-resample.py wrote them. */
static const struct {
    int width, height, to_width, to_height;
    enum cn_fit fit;
    enum cn_interpolation interpolation;
    uint8_t expected[MOST];
} cases[] = {
#include "../golden/resample.inc"
};

static struct cn_picture computed(int width, int height) {
    struct cn_picture picture = {.width = width,
                                 .height = height,
                                 .channels = 3,
                                 .data = malloc((size_t)(width * height * 3))};
    uint8_t *sample = picture.data;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                *sample++ = (uint8_t)((x * x * 7 + y * 31 + x * y * (c + 3) + c * 50) % 256);
    return picture;
}

Test(resample, as_pillow_within_1_of_255) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_picture picture = computed(cases[i].width, cases[i].height);
        const struct cn_shape shape = cn_shape_image(cases[i].to_height, cases[i].to_width, 3);
        struct cn_preprocessing preprocessing = cn_preprocessing_default(&shape);
        float image[MOST];
        preprocessing.fit = cases[i].fit;
        preprocessing.interpolation = cases[i].interpolation;
        cr_assert_eq(cn_preprocess(&preprocessing, &picture, &shape, image, NULL, NULL), CN_OK);
        for (size_t k = 0; k < cn_shape_size(&shape); k++) {
            const float sample = image[k] * 255.0F;
            cr_assert_leq(abs((int)sample - cases[i].expected[k]), 1,
                          "case %zu, sample %zu: %g; Pillow has %d", i, k, (double)sample,
                          cases[i].expected[k]);
        }
        free(picture.data);
    }
}
