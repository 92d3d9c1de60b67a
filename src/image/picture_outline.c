/* picture_outline.c: see picture_outline.h. Walks each format's own structure without decoding. The
 * size tells what a picture will cost. The end serves a client that sends two pictures in one file:
 * it is told so, instead of getting the answer for the first. The decoders check the rest. No
 * state; thread-safe. */
#include "image/picture_outline.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* Walks chunks of length, type, data and checksum, up to IEND. */
static size_t png_end(const unsigned char *b, size_t length) {
    for (size_t at = 8; length - at >= 12;) {
        const uint64_t size = cn_number_big(b + at, 4);
        if (size > length - at - 12)
            break;
        if (memcmp(b + at + 4, "IEND", 4) == 0)
            return at + 12 + (size_t)size;
        at += 12 + (size_t)size;
    }
    return length;
}

/* Walks segments up to EOI. In the coded data between them 0xff is followed by 0 or a restart
 * marker. */
static size_t jpeg_end(const unsigned char *b, size_t length) {
    for (size_t at = 2; at + 1 < length;) {
        if (b[at] != 0xff || b[at + 1] == 0 || b[at + 1] == 0xff ||
            (b[at + 1] >= 0xd0 && b[at + 1] <= 0xd7)) {
            const size_t from = at + 1 + (b[at] == 0xff && b[at + 1] != 0xff);
            const unsigned char *next = memchr(b + from, 0xff, length - from);
            at = next != NULL ? (size_t)(next - b) : length;
            continue;
        }
        if (b[at + 1] == 0xd9)
            return at + 2;
        const size_t size = length - at >= 4 ? (size_t)cn_number_big(b + at + 2, 2) : length;
        if (size > length - at - 2 ||
            (b[at + 1] == 0xe2 && size >= 6 && memcmp(b + at + 4, "MPF", 4) == 0))
            break;
        at += 2 + size;
    }
    return length;
}

static size_t gif_blocks(const unsigned char *b, size_t length, size_t at) {
    while (at < length && b[at] != 0)
        at += 1 + (size_t)b[at];
    return at + 1;
}

static size_t gif_table(unsigned char flags) {
    return (flags & 0x80) != 0 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

/* Walks extensions and images up to the trailer. */
static size_t gif_end(const unsigned char *b, size_t length) {
    size_t at = length > 13 ? 13 + gif_table(b[10]) : length;
    while (at < length && b[at] != 0x3b) {
        if (b[at] == 0x21)
            at = gif_blocks(b, length, at + 2);
        else if (b[at] == 0x2c && length - at > 11)
            at = gif_blocks(b, length, at + 11 + gif_table(b[at + 9]));
        else
            return length;
    }
    return at < length ? at + 1 : length;
}

static const unsigned char *pnm_blank(const unsigned char *b, const unsigned char *end) {
    while (b < end && (strchr(" \t\r\n\v\f", *b) != NULL || *b == '#')) {
        if (*b == '#')
            while (b < end && *b != '\n')
                b++;
        else
            b++;
    }
    return b;
}

/* Reads width, height and largest value, which is 1 in a bitmap; returns where they end. */
static const unsigned char *pnm_header(const unsigned char *b, size_t length,
                                       uint64_t numbers[static 3]) {
    const unsigned char *at = b + 2, *const end = b + length;
    numbers[2] = 1;
    for (int i = 0; i < (b[1] == '1' || b[1] == '4' ? 2 : 3); i++) {
        at = pnm_blank(at, end);
        for (numbers[i] = 0; at < end && *at >= '0' && *at <= '9'; at++)
            numbers[i] = numbers[i] < 1 << 20 ? 10 * numbers[i] + (uint64_t)(*at - '0') : 1 << 20;
    }
    return at;
}

/* The header gives the size; the samples of a text are counted. */
static size_t pnm_end(const unsigned char *b, size_t length) {
    const unsigned char *const end = b + length;
    const bool bits = b[1] == '1' || b[1] == '4', text = b[1] <= '3';
    uint64_t numbers[3];
    const unsigned char *at = pnm_header(b, length, numbers);
    const uint64_t row = numbers[0] * (b[1] == '3' || b[1] == '6' ? 3 : 1);
    uint64_t left = row * numbers[1];
    if (!text) {
        const uint64_t size =
            b[1] == '4' ? (row + 7) / 8 * numbers[1] : left * (numbers[2] > 255 ? 2 : 1);
        return at < end && size < (uint64_t)(end - at - 1) ? (size_t)(at - b) + 1 + (size_t)size
                                                           : length;
    }
    while (left > 0 && (at = pnm_blank(at, end)) < end && *at >= '0' && *at <= '9') {
        do {
            at++;
        } while (!bits && at < end && *at >= '0' && *at <= '9');
        left--;
    }
    return left == 0 ? (size_t)(pnm_blank(at, end) - b) : length;
}

/* The last byte that a directory of a TIFF refers to: its own, its entries' values, its strips or
 * tiles. */
static size_t tiff_end(const unsigned char *b, size_t length) {
    static const unsigned char sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8};
    uint64_t (*const number)(const unsigned char *, int) =
        b[0] == 'M' ? cn_number_big : cn_number_little;
    uint64_t end = 8, at = length >= 8 ? number(b + 4, 4) : 0;
    if (length < 8 || number(b + 2, 2) != 42)
        return length;
    for (int pages = 0; at != 0 && pages < 1000; pages++) {
        if (at > length - 2 || number(b + at, 2) * 12 + 6 > length - at)
            return length;
        const unsigned char *entry = b + at + 2, *places = NULL, *counts = NULL;
        const uint64_t entries = number(b + at, 2);
        uint64_t strips = 0, place_size = 0, count_size = 0;
        for (uint64_t i = 0; i < entries; i++, entry += 12) {
            const uint64_t tag = number(entry, 2), type = number(entry + 2, 2);
            const uint64_t size = type < sizeof sizes ? sizes[type] : 0;
            const uint64_t count = number(entry + 4, 4), whole = size * count;
            const uint64_t value = whole <= 4 ? (uint64_t)(entry + 8 - b) : number(entry + 8, 4);
            if (value > length || whole > length - value)
                return length;
            end = value + whole > end ? value + whole : end;
            if (tag == 273 || tag == 324) {
                places = b + value;
                place_size = size;
                strips = count;
            }
            if (tag == 279 || tag == 325) {
                counts = b + value;
                count_size = size;
                strips = strips < count || strips == 0 ? strips : count;
            }
        }
        const bool sized =
            (place_size == 2 || place_size == 4) && (count_size == 2 || count_size == 4);
        for (uint64_t i = 0; places != NULL && counts != NULL && sized && i < strips; i++) {
            const unsigned char *count = counts + i * count_size, *place = places + i * place_size;
            if (count + count_size > b + length)
                return length;
            const uint64_t last = number(place, (int)place_size) + number(count, (int)count_size);
            end = last > end ? last : end;
        }
        end = at + 6 + entries * 12 > end ? at + 6 + entries * 12 : end;
        at = number(b + at + 2 + entries * 12, 4);
    }
    return end < length ? (size_t)end : length;
}

static size_t at_most(uint64_t end, size_t length) {
    return end < length ? (size_t)end : length;
}

/* ---- Sizes ---- */

/* The frame header of a JPEG. */
static uint64_t jpeg_pixels(const unsigned char *b, size_t length) {
    for (size_t at = 2; at < length && length - at >= 9 && b[at] == 0xff;) {
        const unsigned char marker = b[at + 1];
        const size_t size = (size_t)cn_number_big(b + at + 2, 2);
        if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)
            return cn_number_big(b + at + 5, 2) * cn_number_big(b + at + 7, 2);
        if (marker == 0xff || size + 2 > length - at)
            at += marker == 0xff ? 1 : length - at;
        else
            at += 2 + size;
    }
    return 0;
}

/* The canvas of an extended file, or the frame of a simple one. */
static uint64_t webp_pixels(const unsigned char *b, size_t length) {
    if (length < 30)
        return 0;
    if (memcmp(b + 12, "VP8X", 4) == 0)
        return (cn_number_little(b + 24, 3) + 1) * (cn_number_little(b + 27, 3) + 1);
    if (memcmp(b + 12, "VP8L", 4) == 0)
        return ((cn_number_little(b + 21, 4) & 0x3fff) + 1) *
               ((cn_number_little(b + 21, 4) >> 14 & 0x3fff) + 1);
    return (cn_number_little(b + 26, 2) & 0x3fff) * (cn_number_little(b + 28, 2) & 0x3fff);
}

static uint64_t bmp_pixels(const unsigned char *b, size_t length) {
    if (length < 26)
        return 0;
    if (cn_number_little(b + 14, 4) == 12)
        return cn_number_little(b + 18, 2) * cn_number_little(b + 20, 2);
    const int64_t height = (int32_t)cn_number_little(b + 22, 4);
    return cn_number_little(b + 18, 4) * (uint64_t)(height < 0 ? -height : height);
}

/* The entries of width and height in the first directory of a TIFF or a BigTIFF. */
static uint64_t tiff_pixels(const unsigned char *b, size_t length) {
    uint64_t (*const number)(const unsigned char *, int) =
        b[0] == 'M' ? cn_number_big : cn_number_little;
    const bool large = number(b + 2, 2) == 43;
    const int word = large ? 8 : 4, counter = large ? 8 : 2;
    const size_t entry_size = large ? 20 : 12;
    const uint64_t at = number(b + (large ? 8 : 4), word);
    uint64_t sides[2] = {0, 0};
    if (at > length - (size_t)counter)
        return 0;
    const uint64_t most = (length - at - (size_t)counter) / entry_size;
    const uint64_t entries = number(b + at, counter);
    const unsigned char *entry = b + at + counter;
    for (uint64_t i = 0; i < entries && i < most; i++, entry += entry_size) {
        const uint64_t tag = number(entry, 2), type = number(entry + 2, 2);
        const int size = type == 1 ? 1 : type == 3 ? 2 : type == 16 ? word : 4;
        if ((tag == 256 || tag == 257) && sides[tag - 256] == 0)
            sides[tag - 256] = number(entry + 4 + word, size);
    }
    return sides[0] <= UINT32_MAX && sides[1] <= UINT32_MAX ? sides[0] * sides[1] : UINT64_MAX;
}

size_t cn_picture_pixels(const void *bytes, size_t length) {
    const unsigned char *b = bytes;
    uint64_t pixels = 0, numbers[3];
    if (length >= 3 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6') {
        (void)pnm_header(b, length, numbers);
        pixels = numbers[0] * numbers[1];
    } else if (length < 16) {
        return 0;
    } else if (length >= 24 && memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0) {
        pixels = cn_number_big(b + 16, 4) * cn_number_big(b + 20, 4);
    } else if (b[0] == 0xff && b[1] == 0xd8) {
        pixels = jpeg_pixels(b, length);
    } else if (memcmp(b, "GIF8", 4) == 0) {
        pixels = cn_number_little(b + 6, 2) * cn_number_little(b + 8, 2);
    } else if (memcmp(b, "RIFF", 4) == 0) {
        pixels = webp_pixels(b, length);
    } else if (memcmp(b, "BM", 2) == 0) {
        pixels = bmp_pixels(b, length);
    } else if (memcmp(b, "II", 2) == 0 || memcmp(b, "MM", 2) == 0) {
        pixels = tiff_pixels(b, length);
    }
    return pixels < SIZE_MAX ? (size_t)pixels : SIZE_MAX;
}

/* ---- The end ---- */

size_t cn_picture_end(const void *bytes, size_t length) {
    const unsigned char *b = bytes;
    if (length < 16)
        return length;
    if (memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0)
        return png_end(b, length);
    if (b[0] == 0xff && b[1] == 0xd8)
        return jpeg_end(b, length);
    if (memcmp(b, "GIF8", 4) == 0)
        return gif_end(b, length);
    if (memcmp(b, "RIFF", 4) == 0)
        return at_most(8 + cn_number_little(b + 4, 4) + (cn_number_little(b + 4, 4) & 1), length);
    if (memcmp(b, "BM", 2) == 0)
        return cn_number_little(b + 2, 4) > 26 ? at_most(cn_number_little(b + 2, 4), length)
                                               : length;
    if (b[0] == 'P' && b[1] >= '1' && b[1] <= '6')
        return pnm_end(b, length);
    if (memcmp(b, "II*", 4) == 0 || memcmp(b, "MM\0*", 4) == 0)
        return tiff_end(b, length);
    return length;
}
