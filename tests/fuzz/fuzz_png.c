/* fuzz_png.c: well-formed PNG files made from the input, so that the decoder itself is reached:
 * header, palette, transparency and pixels are any bytes, but lengths, checksums and compression
 * are right. Occasionally one of these is wrong. */
#include <zlib.h>

#include "convnet/image.h"
#include "fuzz/fuzz.h"

enum { MOST = 1 << 17 };

struct png {
    uint8_t bytes[MOST];
    size_t length;
};

static void put_number(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put_chunk(struct png *png, const char *type, const uint8_t *data, size_t length,
                      uint32_t damage) {
    if (png->length + length + 12 > MOST)
        return;
    uint8_t *at = png->bytes + png->length;
    put_number(at, (uint32_t)length);
    memcpy(at + 4, type, 4);
    memcpy(at + 8, data, length);
    put_number(at + 8 + length, (uint32_t)crc32(0, at + 4, (uInt)length + 4) ^ damage);
    png->length += length + 12;
}

static size_t take(const uint8_t **bytes, size_t *left, size_t expected, const uint8_t **ret) {
    const size_t taken = expected < *left ? expected : *left;
    *ret = *bytes;
    *bytes += taken;
    *left -= taken;
    return taken;
}

/* header: width, height, kind, palette entries, transparency bytes, interlace and faults, cuts */
static void make_png(struct png *png, const uint8_t *bytes, size_t left) {
    static const uint8_t kinds[][2] = {{0, 1},  {0, 2}, {0, 4},  {0, 8}, {0, 16}, {2, 8},
                                       {2, 16}, {3, 1}, {3, 2},  {3, 4}, {3, 8},  {4, 8},
                                       {4, 16}, {6, 8}, {6, 16}, {5, 3}};
    static uint8_t packed[MOST];
    const uint8_t *header, *part;
    uint8_t first[13] = {0};
    if (take(&bytes, &left, 8, &header) < 8)
        return;
    const uint8_t *kind = kinds[header[2] % 16], faults = header[5];
    memcpy(png->bytes, "\x89PNG\r\n\x1a\n", png->length = 8);
    put_number(first, (uint32_t)header[0] + (header[6] == 1 ? 4000 : 0));
    put_number(first + 4, (uint32_t)header[1] + (header[6] == 2 ? 4000 : 0));
    first[8] = kind[1];
    first[9] = kind[0];
    first[12] = faults & 1;
    put_chunk(png, "IHDR", first, sizeof first, (faults & 0xf0) == 0x10);
    size_t size = take(&bytes, &left, 3u * header[3], &part);
    if (size > 0)
        put_chunk(png, "PLTE", part, size - size % 3, (faults & 0xf0) == 0x20);
    size = take(&bytes, &left, header[4], &part);
    if (size > 0)
        put_chunk(png, "tRNS", part, size, 0);
    uLongf length = sizeof packed;
    /* Pixels: the rest of the input, repeated up to the largest size of a picture. */
    static uint8_t pixels[1 << 16];
    size_t filled = 0;
    const size_t expected = header[7] % 2 == 0 ? sizeof pixels : left;
    while (left > 0 && filled < expected && filled < sizeof pixels) {
        const size_t more = left < sizeof pixels - filled ? left : sizeof pixels - filled;
        memcpy(pixels + filled, bytes, more);
        filled += more;
    }
    if (compress2(packed, &length, pixels, filled, 1) != Z_OK)
        return;
    const size_t cut = length / (1 + header[7] % 5u);
    put_chunk(png, "IDAT", packed, cut, 0);
    put_chunk(png, "IDAT", packed + cut, length - cut, (faults & 0xf0) == 0x30);
    if ((faults & 0xf0) != 0x40)
        put_chunk(png, "IEND", packed, 0, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct png png;
    png.length = 0;
    make_png(&png, bytes, length);
    for (int side = 0; side <= 28; side += 28) {
        const struct cn_picture_limits limits = {
            .max_width = 1024, .max_height = 1024, .max_memory = 16 << 20, .side = side};
        struct cn_picture picture = {0};
        struct cn_error error = {0};
        const enum cn_status status =
            cn_picture_decode(png.bytes, png.length, &limits, &picture, &error);
        fuzz_check(status, &error, status == CN_OK);
        if (status == CN_OK)
            cn_picture_clear(&picture);
    }
    return 0;
}
