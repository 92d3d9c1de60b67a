/* fuzz_png.c: arbitrary bytes as a PNG, and what decodes as a picture for both kinds of network, by
 * every way that there is to take it. libFuzzer's entry point; build with
 * -fsanitize=fuzzer,address,undefined.
 */
#include <stdlib.h>

#include "convnet/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_image(const float *image, const struct cn_shape *shape) {
    for (size_t i = 0; i < cn_shape_size(shape); i++)
        if (!(image[i] >= 0.0F && image[i] <= 1.0F))
            abort();
}

static void check_report(const struct cn_preprocessing_report *report,
                         const struct cn_picture *picture) {
    const int *crop = report->crop;
    if (crop[0] < 0 || crop[1] < 0 || crop[2] < 1 || crop[3] < 1 ||
        crop[0] + crop[2] > picture->width || crop[1] + crop[3] > picture->height ||
        !(report->scale > 0.0F))
        abort();
}

static void check_picture(const struct cn_picture *picture, int channels) {
    const struct cn_shape shape = cn_shape_image(28, 28, channels);
    float image[28 * 28 * 3];
    for (int fit = CN_FIT_MNIST; fit <= CN_FIT_SCALE; fit++) {
        for (int invert = 0; invert < 2; invert++) {
            const struct cn_preprocessing preprocessing = {(enum cn_fit)fit, 20, invert};
            struct cn_preprocessing_report report = {0};
            if (cn_preprocess(&preprocessing, picture, &shape, image, &report, NULL) != CN_OK)
                continue;
            check_image(image, &shape);
            check_report(&report, picture);
        }
    }
    if (cn_image_from_picture(picture, &shape, image, NULL) == CN_OK)
        check_image(image, &shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct cn_picture_limits limits = {1024, 1024};
    struct cn_picture picture = {0};
    if (cn_png_decode(data, size, &limits, &picture, NULL) != CN_OK)
        return 0;
    check_picture(&picture, 1);
    check_picture(&picture, 3);
    cn_picture_clear(&picture);
    return 0;
}
