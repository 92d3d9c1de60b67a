/* bmp.c: decodes Windows bitmaps of 1, 4, 8, 16, 24 and 32 bits per pixel, with or without bit
 * fields, top-down or bottom-up. Run-length encoding is refused. Each row is checked to be inside
 * the file before it is read. Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include "image/decoded_rows.h"

enum {
    FILE_HEADER = 14,
    CORE_HEADER = 12, /* of OS/2's format */
    INFO_HEADER = 40,
    ALPHA_HEADER = 56, /* headers of this length and above have an alpha field */
    RGB = 0,
    FIELDS = 3,
    ALPHA_FIELDS = 6
};

struct bitmap {
    const unsigned char *bytes;
    size_t length, data, stride;
    int width, height, bits;
    bool upward; /* rows are stored from bottom to top */
    uint32_t masks[4];
    size_t colors, color_size, color_count; /* of the palette */
};

static uint32_t read_u16(const unsigned char *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static uint32_t read_u32(const unsigned char *b) {
    return read_u16(b) | read_u16(b + 2) << 16;
}

static enum cn_status fail_short(const struct bitmap *bitmap, struct cn_error *error) {
    return cn_fail(error, CN_MALFORMED, "BMP: ends after %zu bytes, before its last row",
                   bitmap->length);
}

/* Reads which bits are red, green, blue and alpha. */
static enum cn_status read_masks(struct bitmap *bitmap, uint32_t header, uint32_t compression,
                                 struct cn_error *error) {
    const size_t at = FILE_HEADER + INFO_HEADER;
    const bool alpha = header >= ALPHA_HEADER || compression == ALPHA_FIELDS;
    if (compression == RGB) {
        static const uint32_t usual[2][3] = {{0x7C00, 0x3E0, 0x1F}, {0xFF0000, 0xFF00, 0xFF}};
        memcpy(bitmap->masks, usual[bitmap->bits != 16], sizeof usual[0]);
        return CN_OK;
    }
    if ((compression != FIELDS && compression != ALPHA_FIELDS) || bitmap->bits < 16)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the picture is a BMP with compression %u, which is not supported: save it "
                       "as PNG and send that",
                       (unsigned)compression);
    if (bitmap->length < at + 16)
        return fail_short(bitmap, error);
    for (size_t i = 0; i < (alpha ? 4 : 3); i++)
        bitmap->masks[i] = read_u32(bitmap->bytes + at + 4 * i);
    return CN_OK;
}

static enum cn_status read_header(struct bitmap *bitmap, const struct cn_picture_limits *limits,
                                  struct cn_error *error) {
    const unsigned char *bytes = bitmap->bytes, *info = bytes + FILE_HEADER;
    const uint32_t header = bitmap->length >= FILE_HEADER + 4 ? read_u32(info) : 0;
    const bool core = header == CORE_HEADER;
    if ((!core && header < INFO_HEADER) || header > bitmap->length - FILE_HEADER)
        return cn_fail(error, CN_MALFORMED, "BMP: %u is not the length of a header",
                       (unsigned)header);
    const int32_t rows = core ? (int32_t)read_u16(info + 6) : (int32_t)read_u32(info + 8);
    const long long width = core ? (long long)read_u16(info + 4) : (int32_t)read_u32(info + 4);
    const long long height = rows < 0 ? -(long long)rows : rows;
    const uint32_t bits = read_u16(info + (core ? 10 : 14));
    enum cn_status status = cn_format_check_size("BMP", width, height, limits, error);
    if (status != CN_OK)
        return status;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
        return cn_fail(error, CN_MALFORMED, "BMP: %u is not a valid number of bits per pixel",
                       (unsigned)bits);
    bitmap->width = (int)width;
    bitmap->height = (int)height;
    bitmap->bits = (int)bits;
    bitmap->upward = rows > 0;
    bitmap->data = read_u32(bytes + 10);
    bitmap->stride = ((size_t)width * bits + 31) / 32 * 4;
    bitmap->colors = FILE_HEADER + header;
    bitmap->color_size = core ? 3 : 4;
    const uint32_t named = core ? 0 : read_u32(info + 32);
    bitmap->color_count = bits > 8 ? 0 : named > 0 && named < 1U << bits ? named : 1U << bits;
    status = core ? read_masks(bitmap, header, RGB, error)
                  : read_masks(bitmap, header, read_u32(info + 16), error);
    if (status != CN_OK)
        return status;
    if (bitmap->data > bitmap->length ||
        (bitmap->length - bitmap->data) / bitmap->stride < (size_t)bitmap->height ||
        (bits <= 8 && bitmap->colors + bitmap->color_count * bitmap->color_size > bitmap->length))
        return fail_short(bitmap, error);
    return CN_OK;
}

static int read_colors(const struct bitmap *bitmap, uint8_t colors[256 * 4]) {
    bool grey = true;
    memset(colors, 0, 256 * 4);
    for (size_t i = 0; i < 256; i++) {
        uint8_t *color = colors + i * 4;
        color[3] = 255;
        if (i >= bitmap->color_count)
            continue;
        const unsigned char *from = bitmap->bytes + bitmap->colors + i * bitmap->color_size;
        color[0] = from[2];
        color[1] = from[1];
        color[2] = from[0];
        grey = grey && color[0] == color[1] && color[0] == color[2];
    }
    return grey ? 1 : 3;
}

/* The bits of `mask`, scaled to 0 to 255. */
static uint8_t field(uint32_t value, uint32_t mask) {
    if (mask == 0)
        return 0;
    const int shift = __builtin_ctz(mask);
    return (uint8_t)((uint64_t)((value & mask) >> shift) * 255 / (mask >> shift));
}

/* Unpacks one row to indices or colours. */
static void unpack(const struct bitmap *bitmap, const unsigned char *row, int channels,
                   uint8_t *pixels) {
    const int bits = bitmap->bits;
    for (int x = 0; x < bitmap->width; x++) {
        if (bits <= 8) {
            const int at = x * bits;
            pixels[x] = (uint8_t)(row[at / 8] >> (8 - bits - at % 8) & ((1 << bits) - 1));
            continue;
        }
        const unsigned char *from = row + (size_t)x * (size_t)bits / 8;
        const uint32_t value = bits == 16   ? read_u16(from)
                               : bits == 24 ? read_u16(from) | (uint32_t)from[2] << 16
                                            : read_u32(from);
        for (int c = 0; c < channels; c++)
            pixels[x * channels + c] = field(value, bitmap->masks[c]);
    }
}

static enum cn_status bmp_decode(const unsigned char *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error) {
    struct bitmap bitmap = {.bytes = bytes, .length = length};
    struct cn_rows rows = {0};
    uint8_t colors[256 * 4];
    enum cn_status status = read_header(&bitmap, limits, error);
    if (status != CN_OK)
        return status;
    const int channels = bitmap.bits <= 8       ? read_colors(&bitmap, colors)
                         : bitmap.masks[3] != 0 ? 4
                                                : 3;
    uint8_t *pixels = malloc((size_t)bitmap.width * 4);
    status = pixels != NULL ? cn_rows_begin(&rows, bitmap.width, bitmap.height, channels, 1, false,
                                            limits, error)
                            : cn_fail(error, CN_MEMORY, "BMP: no memory for a row");
    if (status == CN_OK && bitmap.bits <= 8)
        cn_rows_index(&rows, colors);
    for (int y = 0; status == CN_OK && y < bitmap.height; y++) {
        const int row = bitmap.upward ? bitmap.height - 1 - y : y;
        unpack(&bitmap, bytes + bitmap.data + (size_t)row * bitmap.stride, channels, pixels);
        if (!cn_rows_put(&rows, y, 0, 1, bitmap.width, pixels))
            status = cn_rows_fail_stopped(error);
    }
    free(pixels);
    if (status == CN_OK)
        cn_rows_finish(&rows, ret_picture);
    else
        cn_rows_clear(&rows);
    return status;
}

static bool bmp_recognize(const unsigned char *bytes, size_t length) {
    /* Many texts begin with "BM"; a bitmap also has a valid header length. */
    if (length < FILE_HEADER + 4 || memcmp(bytes, "BM", 2) != 0)
        return false;
    const uint32_t header = read_u32(bytes + FILE_HEADER);
    return header == CORE_HEADER || (header >= INFO_HEADER && header <= 124);
}

const struct cn_format cn_format_bmp = {"BMP", bmp_recognize, bmp_decode};
