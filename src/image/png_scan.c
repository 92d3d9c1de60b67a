/* png_scan.c: walks a PNG's chunks before libpng decodes it. It reads sizes only; libpng checks and
 * decompresses. It refuses files whose cost is out of proportion to their picture: IDAT data after
 * the image's end, and large dimensions without the data to fill them. Thread-safe, allocates
 * nothing. */
#include <string.h>
#include <zlib.h>

#include "base/number.h"
#include "image/png_scan.h"

enum {
    CHUNK_OVERHEAD = 12, /* length, type, CRC */
    IHDR_LENGTH = 13,
    IDAT_SLACK = 4096,   /* what encoders add: small blocks, flushes, zlib's header */
    DEFLATE_RATIO = 1032 /* RFC 1951: 258 bytes from 2 bits, at best */
};

static const unsigned char signature[CN_PNG_SIGNATURE] = {137, 'P', 'N', 'G', 13, 10, 26, 10};

bool cn_png_recognize(const void *bytes, size_t length) {
    return length >= sizeof signature && memcmp(bytes, signature, sizeof signature) == 0;
}

/* Samples per pixel of each legal colour type, and its legal depths as a bit set; PNG 2.3 table 1.
 */
static const struct {
    uint32_t depths;
    int samples;
} color_types[7] = {
    [0] = {1U << 1 | 1U << 2 | 1U << 4 | 1U << 8 | 1U << 16, 1},
    [2] = {1U << 8 | 1U << 16, 3},
    [3] = {1U << 1 | 1U << 2 | 1U << 4 | 1U << 8, 1},
    [4] = {1U << 8 | 1U << 16, 2},
    [6] = {1U << 8 | 1U << 16, 4},
};

static enum cn_status read_header(const unsigned char *data, const struct cn_picture_limits *limits,
                                  struct cn_png_header *ret_header, struct cn_error *error) {
    const uint32_t width = (uint32_t)cn_number_big(data, 4),
                   height = (uint32_t)cn_number_big(data + 4, 4);
    const unsigned depth = data[8], color_type = data[9];
    if (color_type >= 7 || depth > 16 || !(color_types[color_type].depths >> depth & 1U))
        return cn_fail(error, CN_MALFORMED, "PNG: colour type %u with depth %u is not valid",
                       color_type, depth);
    if (data[10] != 0 || data[11] != 0 || data[12] > 1)
        return cn_fail(error, CN_MALFORMED,
                       "PNG: compression %u, filter %u or interlacing %u is not valid", data[10],
                       data[11], data[12]);
    const enum cn_status status = cn_format_check_size("PNG", width, height, limits, error);
    if (status != CN_OK)
        return status;
    ret_header->width = (int)width;
    ret_header->height = (int)height;
    ret_header->depth = (int)depth;
    ret_header->color_type = (int)color_type;
    ret_header->interlaced = data[12] == 1;
    return CN_OK;
}

/* Bytes of the filtered rows of a pass that takes every dx-th column from x and every dy-th row
 * from y. */
static uint64_t pass_size(const struct cn_png_header *header, int x, int y, int dx, int dy) {
    const int columns = (header->width - x + dx - 1) / dx;
    const int rows = (header->height - y + dy - 1) / dy;
    const int bits = header->depth * color_types[header->color_type].samples;
    if (columns <= 0 || rows <= 0)
        return 0;
    return (uint64_t)rows * (((uint64_t)columns * (uint64_t)bits + 7) / 8 + 1);
}

/* The number of bytes that the IDAT data must inflate to. */
static uint64_t raw_size(const struct cn_png_header *header) {
    /* Adam7: first column, first row, column step, row step. */
    static const int passes[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                     {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    uint64_t size = 0;
    if (!header->interlaced)
        return pass_size(header, 0, 0, 1, 1);
    for (size_t i = 0; i < 7; i++)
        size += pass_size(header, passes[i][0], passes[i][1], passes[i][2], passes[i][3]);
    return size;
}

static enum cn_status check_data(const struct cn_png_header *header, uint64_t idat_size,
                                 struct cn_error *error) {
    const uint64_t raw = raw_size(header);
    const uint64_t most = deflateBound(NULL, (uLong)raw) + IDAT_SLACK;
    if (idat_size > most)
        return cn_fail(
            error, CN_MALFORMED, "PNG: %llu bytes of IDAT; a picture of %d x %d needs at most %llu",
            (unsigned long long)idat_size, header->width, header->height, (unsigned long long)most);
    if (idat_size < raw / DEFLATE_RATIO)
        return cn_fail(error, CN_MALFORMED,
                       "PNG: %llu bytes of IDAT cannot hold a picture of %d x %d",
                       (unsigned long long)idat_size, header->width, header->height);
    return CN_OK;
}

enum cn_status cn_png_scan(const unsigned char *bytes, size_t length,
                           const struct cn_picture_limits *limits, struct cn_png_header *ret_header,
                           struct cn_error *error) {
    struct cn_png_header header = {0};
    uint64_t idat_size = 0;
    size_t at = CN_PNG_SIGNATURE;
    if (!cn_png_recognize(bytes, length))
        return cn_fail(error, CN_MALFORMED, "not a PNG: the signature is missing");
    for (;;) {
        if (length - at < CHUNK_OVERHEAD)
            return cn_fail_at(error, CN_MALFORMED, NULL, (long long)at,
                              "PNG: ends after %zu bytes, before its IEND chunk", length);
        const unsigned char *chunk = bytes + at;
        const uint32_t size = (uint32_t)cn_number_big(chunk, 4);
        if (size > length - at - CHUNK_OVERHEAD)
            return cn_fail_at(error, CN_MALFORMED, NULL, (long long)at,
                              "PNG: a chunk of %u bytes runs past the end at byte %zu",
                              (unsigned)size, length);
        if (at == CN_PNG_SIGNATURE) {
            if (memcmp(chunk + 4, "IHDR", 4) != 0 || size != IHDR_LENGTH)
                return cn_fail_at(error, CN_MALFORMED, NULL, (long long)at,
                                  "PNG: the first chunk is not an IHDR of 13 bytes");
            const enum cn_status status = read_header(chunk + 8, limits, &header, error);
            if (status != CN_OK)
                return status;
        } else if (memcmp(chunk + 4, "IDAT", 4) == 0) {
            idat_size += size;
        } else if (memcmp(chunk + 4, "IEND", 4) == 0) {
            break;
        }
        at += (size_t)size + CHUNK_OVERHEAD;
    }
    const enum cn_status status = check_data(&header, idat_size, error);
    if (status == CN_OK)
        *ret_header = header;
    return status;
}
