/* fuzz_png.c: arbitrary bytes as a PNG, and what decodes as a picture for both kinds of network.
 * libFuzzer's entry point; build with -fsanitize=fuzzer,address,undefined.
 */
#include <stdlib.h>

#include "convnet/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_image(const struct cn_picture *picture, int channels) {
    const struct cn_shape shape = cn_shape_image(28, 28, channels);
    const struct cn_preprocessing preprocessing = cn_preprocessing_default(&shape);
    float image[28 * 28 * 3];
    if (cn_preprocess(&preprocessing, picture, &shape, image, NULL, NULL) != CN_OK)
        return;
    for (size_t i = 0; i < cn_shape_size(&shape); i++)
        if (!(image[i] >= 0.0F && image[i] <= 1.0F))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct cn_picture_limits limits = {512, 512};
    struct cn_picture picture = {0};
    if (cn_png_decode(data, size, &limits, &picture, NULL) == CN_OK) {
        check_image(&picture, 1);
        check_image(&picture, 3);
    }
    cn_picture_clear(&picture);
    return 0;
}
