/* fuzz_picture.c: any bytes as a picture of any format, decoded at full size and reduced, and
 * preprocessed for both kinds of network in every way. libFuzzer's entry point; build with
 * -fsanitize=fuzzer,address,undefined, seed with tests/data/pictures and tests/data/pngs. */
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
        crop[0] + crop[2] > picture->full_width || crop[1] + crop[3] > picture->full_height ||
        !(report->scale > 0.0F))
        abort();
}

static void check_picture(const struct cn_picture *picture, int channels) {
    const struct cn_shape shape = cn_shape_image(28, 28, channels);
    float image[28 * 28 * 3];
    for (int fit = channels == 1 ? CN_FIT_MNIST : CN_FIT_STRETCH; fit <= CN_FIT_PAD; fit++)
        for (int interpolation = 0; interpolation <= CN_INTERPOLATION_BICUBIC; interpolation++) {
            struct cn_preprocessing preprocessing = cn_preprocessing_default(&shape);
            struct cn_preprocessing_report report = {0};
            preprocessing.fit = (enum cn_fit)fit;
            preprocessing.invert = fit == CN_FIT_MNIST && interpolation % 2 == 0;
            preprocessing.interpolation = (enum cn_interpolation)interpolation;
            if (cn_preprocess(&preprocessing, picture, &shape, image, &report, NULL) != CN_OK)
                continue;
            check_image(image, &shape);
            check_report(&report, picture);
        }
    const struct cn_preprocessing usual = cn_preprocessing_default(&shape);
    if (cn_image_from_picture(&usual, picture, &shape, image, NULL) == CN_OK)
        check_image(image, &shape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int side = 0; side <= 24; side += 24) {
        const struct cn_picture_limits limits = {
            .max_width = 1024, .max_height = 1024, .max_memory = 16 << 20, .side = side};
        struct cn_picture picture = {0};
        (void)cn_picture_recognize(data, size);
        if (cn_picture_decode(data, size, &limits, &picture, NULL) != CN_OK)
            continue;
        check_picture(&picture, 1);
        check_picture(&picture, 3);
        cn_picture_clear(&picture);
    }
    return 0;
}
