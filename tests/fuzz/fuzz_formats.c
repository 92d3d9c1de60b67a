/* fuzz_formats.c: pictures with the magic bytes of a format, so that each decoder is reached: the
 * first byte of the input chooses the format, the second how much smaller the picture is requested.
 */
#include "convnet/image.h"
#include "fuzz/fuzz.h"
#include "image/picture_outline.h"

static const struct {
    const char *bytes;
    size_t length;
} beginnings[] = {
    {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16},
    {"GIF89a", 6},
    {"BM", 2},
    {"P4\n", 3},
    {"P5\n", 3},
    {"P6\n", 3},
    {"\xff\xd8\xff", 3},
    {"RIFF\x40\0\0\0WEBPVP8 ", 16},
    {"RIFF\x40\0\0\0WEBPVP8L", 16},
    {"RIFF\x40\0\0\0WEBPVP8X", 16},
    {"II*\0", 4},
    {"MM\0*", 4},
    {"", 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    if (length < 2 || length > 1 << 16)
        return 0;
    const size_t kind = bytes[0] % (sizeof beginnings / sizeof *beginnings);
    const size_t begun = beginnings[kind].length, size = begun + length - 2;
    struct cn_picture_limits limits = {
        .max_width = 512, .max_height = 512, .max_memory = 8 << 20, .side = bytes[1] % 64};
    struct cn_picture picture = {0};
    struct cn_error error = {0};
    uint8_t *file = malloc(size > 0 ? size : 1); /* a block of exact size, so that sanitizers
                                                  * detect a read past its end */
    if (file == NULL)
        return 0;
    if (begun > 0)
        memcpy(file, beginnings[kind].bytes, begun);
    memcpy(file + begun, bytes + 2, length - 2);
    (void)cn_picture_recognize(file, size);
    limits.max_pixels = cn_picture_pixels(file, size);
    const enum cn_status status = cn_picture_decode(file, size, &limits, &picture, &error);
    fuzz_check(status, &error, status == CN_OK);
    if (status == CN_OK)
        cn_picture_clear(&picture);
    free(file);
    return 0;
}
