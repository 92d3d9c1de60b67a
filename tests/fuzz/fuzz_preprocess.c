/* fuzz_preprocess.c: any pixels as a picture of any small size, preprocessed with each option. A
 * fuzzer of PNG files would not reach this code, because a mutation breaks a PNG's checksums.
 * libFuzzer's entry point; build with -fsanitize=fuzzer,address,undefined. */
#include <stdlib.h>

#include "convnet/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 7, MOST = 700 };

static void check(const struct cn_picture *picture, const uint8_t *data, int channels) {
    const struct cn_shape shape = cn_shape_image(28, 28, channels);
    struct cn_preprocessing preprocessing = cn_preprocessing_default(&shape);
    preprocessing.fit = channels == 1 ? (enum cn_fit)(data[0] >> 4 & 3)
                                      : (enum cn_fit)(CN_FIT_STRETCH + (data[0] >> 4) % 3);
    preprocessing.interpolation = (enum cn_interpolation)(data[0] >> 6);
    preprocessing.box = data[1] % 28 + 1;
    preprocessing.invert = preprocessing.fit == CN_FIT_MNIST && (data[0] >> 1 & 1);
    struct cn_preprocessing_report report = {0};
    float image[28 * 28 * 3];
    if (cn_preprocess(&preprocessing, picture, &shape, image, &report, NULL) != CN_OK)
        return;
    for (size_t i = 0; i < cn_shape_size(&shape); i++)
        if (!(image[i] >= 0.0F && image[i] <= 1.0F))
            abort();
    const int *crop = report.crop;
    if (crop[0] < 0 || crop[1] < 0 || crop[2] < 1 || crop[3] < 1 ||
        crop[0] + crop[2] > picture->width || crop[1] + crop[3] > picture->height ||
        !(report.scale > 0.0F))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size <= HEADER)
        return 0;
    struct cn_picture picture = {.width = (data[2] << 8 | data[3]) % MOST + 1,
                                 .height = (data[4] << 8 | data[5]) % MOST + 1,
                                 .channels = (data[0] >> 2) & 3,
                                 .gamma = data[6] / 100.0};
    picture.channels++;
    const size_t count = (size_t)picture.width * (size_t)picture.height * (size_t)picture.channels;
    picture.data = malloc(count);
    if (picture.data == NULL)
        return 0;
    for (size_t i = 0; i < count; i++)
        picture.data[i] = data[HEADER + i % (size - HEADER)];
    check(&picture, data, 1);
    check(&picture, data, 3);
    free(picture.data);
    return 0;
}
