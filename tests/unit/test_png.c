/* test_png.c: every kind of PNG, compared with files of an independent encoder, then hostile files.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "base/file.h"
#include "convnet/image.h"

#define PNGS TEST_DATA_DIR "/pngs/"

/* The bytes of a PNG under construction. */
struct bytes {
    unsigned char *data;
    size_t length;
};

static void append(struct bytes *bytes, const void *data, size_t length) {
    bytes->data = realloc(bytes->data, bytes->length + length + 1);
    cr_assert_not_null(bytes->data);
    if (length > 0)
        memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void append_u32(struct bytes *bytes, uint32_t value) {
    const unsigned char big[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                  (unsigned char)(value >> 8), (unsigned char)value};
    append(bytes, big, 4);
}

static void append_chunk(struct bytes *bytes, const char *type, const void *data, size_t length) {
    append_u32(bytes, (uint32_t)length);
    const size_t start = bytes->length;
    append(bytes, type, 4);
    append(bytes, data, length);
    append_u32(bytes, (uint32_t)crc32(0, bytes->data + start, (uInt)(length + 4)));
}

static struct bytes begin_grey(uint32_t width, uint32_t height) {
    struct bytes bytes = {0}, header = {0};
    append(&bytes, "\x89PNG\r\n\x1a\n", 8);
    append_u32(&header, width);
    append_u32(&header, height);
    append(&header, "\x08\0\0\0\0", 5);
    append_chunk(&bytes, "IHDR", header.data, header.length);
    free(header.data);
    return bytes;
}

/* zlib data that expand to `count` zero bytes. */
static struct bytes deflate_zeros(size_t count) {
    uLongf length = compressBound(count);
    unsigned char *zeros = calloc(1, count), *packed = malloc(length);
    cr_assert_eq(compress2(packed, &length, zeros, count, 9), Z_OK);
    free(zeros);
    return (struct bytes){packed, length};
}

static enum cn_status decode(const void *data, size_t length, struct cn_error *error) {
    struct cn_picture picture = {0};
    /* A copy of exact size, so that sanitizers detect a read past its end. */
    void *copy = malloc(length > 0 ? length : 1);
    if (length > 0)
        memcpy(copy, data, length);
    const enum cn_status status =
        cn_png_decode(copy, length, &cn_picture_default_limits, &picture, error);
    if (status != CN_OK)
        cr_assert_null(picture.data, "the output was touched on failure");
    cn_picture_clear(&picture);
    free(copy);
    return status;
}

Test(png, every_legal_kind) {
    FILE *expected = fopen(PNGS "expected.txt", "r");
    cr_assert_not_null(expected);
    char name[64];
    int width, height, channels, files = 0;
    while (fscanf(expected, "%63s %d %d %d ", name, &width, &height, &channels) == 4) {
        struct cn_error error = {0};
        struct cn_picture picture = {0};
        unsigned char *bytes = NULL;
        size_t length = 0;
        char path[512];
        (void)snprintf(path, sizeof path, PNGS "%s", name);
        cr_assert_eq(cn_file_read(path, 1 << 20, &bytes, &length, &error), CN_OK);
        cr_assert_eq(cn_png_decode(bytes, length, &cn_picture_default_limits, &picture, &error),
                     CN_OK, "%s: %s", name, error.text);
        cr_assert(picture.width == width && picture.height == height);
        cr_assert_eq(picture.channels, channels, "%s: %d channels", name, picture.channels);
        for (int i = 0; i < width * height * channels; i++) {
            unsigned value = 0;
            cr_assert_eq(fscanf(expected, "%2x", &value), 1);
            cr_assert_eq(picture.data[i], value, "%s: sample %d is %u, not %u", name, i,
                         (unsigned)picture.data[i], value);
        }
        cn_picture_clear(&picture);
        free(bytes);
        files++;
    }
    (void)fclose(expected);
    cr_assert_eq(files, 52);
}

static void load(const char *name, unsigned char **ret_bytes, size_t *ret_length) {
    char path[512];
    struct cn_error error = {0};
    (void)snprintf(path, sizeof path, PNGS "%s", name);
    cr_assert_eq(cn_file_read(path, 1 << 20, ret_bytes, ret_length, &error), CN_OK);
}

Test(png, truncated_at_every_byte) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    load("c6-d16-adam7.png", &bytes, &length);
    for (size_t cut = 0; cut < length; cut++) {
        struct cn_error error = {0};
        cr_assert_eq(decode(bytes, cut, &error), CN_MALFORMED, "%zu bytes decoded", cut);
        cr_assert(error.text[0] != '\0');
    }
    free(bytes);
}

Test(png, every_byte_damaged) {
    static const char *const names[] = {"c3-d04-trns-adam7.png", "c0-d01.png", "c2-d16-trns.png"};
    for (size_t i = 0; i < 3; i++) {
        unsigned char *bytes = NULL;
        size_t length = 0;
        load(names[i], &bytes, &length);
        for (size_t at = 0; at < length; at++) {
            for (int bit = 0; bit < 8; bit++) {
                bytes[at] ^= (unsigned char)(1 << bit);
                struct cn_error error = {0};
                cr_assert_neq(decode(bytes, length, &error), CN_OK,
                              "%s: byte %zu bit %d makes no difference", names[i], at, bit);
                bytes[at] ^= (unsigned char)(1 << bit);
            }
        }
        free(bytes);
    }
}

Test(png, not_a_png) {
    struct cn_error error = {0};
    cr_assert_eq(decode("", 0, &error), CN_MALFORMED);
    cr_assert_not_null(strstr(error.text, "signature"));
    cr_assert_eq(decode("GIF89a not a png at all", 23, NULL), CN_MALFORMED);
    cr_assert(!cn_picture_recognize("\x89PNG\r\n\x1a", 7));
    cr_assert(cn_picture_recognize("\x89PNG\r\n\x1a\n", 8));
}

Test(png, size_limits) {
    const uint8_t pixels[6] = {0, 50, 100, 150, 200, 250};
    const struct cn_picture_limits limits = {.max_width = 3, .max_height = 1};
    struct cn_picture picture = {0};
    struct cn_error error = {0};
    void *bytes = NULL;
    size_t length = 0;
    cr_assert_eq(cn_png_encode(pixels, 3, 2, 1, &bytes, &length, &error), CN_OK);
    cr_assert_eq(cn_png_decode(bytes, length, &limits, &picture, &error), CN_LIMIT);
    cr_assert_not_null(strstr(error.text, "3 x 2"), "%s", error.text);
    free(bytes);
}

Test(png, large_claim_small_file) {
    /* 82 bytes that ask for 16 MiB of pixels. */
    struct bytes bytes = begin_grey(4096, 4096), packed = deflate_zeros(100);
    struct cn_error error = {0};
    append_chunk(&bytes, "IDAT", packed.data, packed.length);
    append_chunk(&bytes, "IEND", NULL, 0);
    cr_assert_lt(bytes.length, 100);
    cr_assert_eq(decode(bytes.data, bytes.length, &error), CN_MALFORMED);
    cr_assert_not_null(strstr(error.text, "cannot hold"), "%s", error.text);
    free(packed.data);
    free(bytes.data);
}

Test(png, trailing_idat_bomb) {
    struct bytes bytes = begin_grey(32, 32), packed = deflate_zeros(32 * 33);
    struct bytes bomb = deflate_zeros(256 << 20);
    struct cn_error error = {0};
    append_chunk(&bytes, "IDAT", packed.data, packed.length);
    append_chunk(&bytes, "IDAT", bomb.data, bomb.length);
    append_chunk(&bytes, "IEND", NULL, 0);
    struct timespec before, after;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    cr_assert_eq(decode(bytes.data, bytes.length, &error), CN_MALFORMED);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    cr_assert_not_null(strstr(error.text, "at most"), "%s", error.text);
    cr_assert_lt((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000,
                 50);
    free(packed.data);
    free(bomb.data);
    free(bytes.data);
}

Test(png, extra_data_inside_the_idat) {
    struct bytes bytes = begin_grey(8, 8), packed = deflate_zeros(5000);
    append_chunk(&bytes, "IDAT", packed.data, packed.length);
    append_chunk(&bytes, "IEND", NULL, 0);
    cr_assert_eq(decode(bytes.data, bytes.length, NULL), CN_MALFORMED);
    free(packed.data);
    free(bytes.data);
}

Test(png, ancillary_chunks_cost_nothing) {
    /* A text chunk of 300 kB and 3,000 small ones are skipped; they are neither refused nor kept.
     */
    struct bytes bytes = begin_grey(4, 4), packed = deflate_zeros(4 * 5);
    struct cn_error error = {0};
    char *text = calloc(1, 300000);
    memset(text, 'a', 300000);
    text[7] = '\0';
    append_chunk(&bytes, "tEXt", text, 300000);
    for (int i = 0; i < 3000; i++)
        append_chunk(&bytes, "zTXt", text, 12);
    append_chunk(&bytes, "IDAT", packed.data, packed.length);
    append_chunk(&bytes, "IEND", NULL, 0);
    cr_assert_eq(decode(bytes.data, bytes.length, &error), CN_OK, "%s", error.text);
    free(text);
    free(packed.data);
    free(bytes.data);
}

Test(png, bad_headers) {
    static const struct {
        unsigned char at, value; /* in IHDR's data */
        const char *reason;
    } cases[] = {{3, 0, "size"},    {0, 0x80, "size"},      {8, 3, "depth"},
                 {9, 1, "colour"},  {9, 7, "colour"},       {10, 1, "compression"},
                 {11, 2, "filter"}, {12, 2, "interlacing"}, {8, 255, "depth"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes bytes = begin_grey(4, 4), packed = deflate_zeros(20);
        struct cn_error error = {0};
        bytes.data[16 + cases[i].at] = cases[i].value;
        append_chunk(&bytes, "IDAT", packed.data, packed.length);
        append_chunk(&bytes, "IEND", NULL, 0);
        cr_assert_eq(decode(bytes.data, bytes.length, &error), CN_MALFORMED);
        cr_assert_not_null(strstr(error.text, cases[i].reason), "%s", error.text);
        free(packed.data);
        free(bytes.data);
    }
}

Test(png, encodes_what_it_decodes) {
    uint8_t pixels[7 * 5 * 3];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (int channels = 1; channels <= 3; channels += 2) {
        struct cn_picture picture = {0};
        void *bytes = NULL;
        size_t length = 0;
        cr_assert_eq(cn_png_encode(pixels, 7, 5, channels, &bytes, &length, NULL), CN_OK);
        cr_assert_eq(cn_png_decode(bytes, length, &cn_picture_default_limits, &picture, NULL),
                     CN_OK);
        cr_assert(picture.width == 7 && picture.height == 5 && picture.channels == channels);
        cr_assert_eq(memcmp(picture.data, pixels, (size_t)(35 * channels)), 0);
        cn_picture_clear(&picture);
        free(bytes);
    }
}

Test(png, encoder_refuses) {
    const uint8_t pixel[4] = {0};
    void *bytes = NULL;
    size_t length = 0;
    struct cn_error error = {0};
    cr_assert_eq(cn_png_encode(pixel, 0, 1, 1, &bytes, &length, &error), CN_INVALID);
    cr_assert_eq(cn_png_encode(pixel, 1, 1, 4, &bytes, &length, NULL), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "0 x 1"));
    cr_assert_null(bytes);
}

/* ---- The fast decoder of small pictures ---- */

static uint32_t next_random(uint32_t *state) {
    *state = *state * 1664525U + 1013904223U;
    return *state >> 16;
}

/* A PNG of random samples and filters, with its data in `pieces` IDATs; with a comment libpng
 * decodes it. */
static struct bytes make_small(const unsigned char *raw, size_t size, int width, int height,
                               unsigned char color_type, int pieces, bool comment) {
    const unsigned char rest[5] = {8, color_type, 0, 0, 0};
    struct bytes bytes = {0}, header = {0};
    uLongf length = compressBound(size);
    unsigned char *packed = malloc(length);
    cr_assert_eq(compress2(packed, &length, raw, size, 6), Z_OK);
    append(&bytes, "\x89PNG\r\n\x1a\n", 8);
    append_u32(&header, (uint32_t)width);
    append_u32(&header, (uint32_t)height);
    append(&header, rest, sizeof rest);
    append_chunk(&bytes, "IHDR", header.data, header.length);
    if (comment)
        append_chunk(&bytes, "tEXt", "Comment\0x", 9);
    for (int i = 0; i < pieces; i++) {
        const size_t from = length * (size_t)i / (size_t)pieces;
        append_chunk(&bytes, "IDAT", packed + from,
                     length * (size_t)(i + 1) / (size_t)pieces - from);
    }
    append_chunk(&bytes, "IEND", NULL, 0);
    free(header.data);
    free(packed);
    return bytes;
}

static bool same_picture(const struct bytes *a, const struct bytes *b) {
    struct cn_picture first = {0}, second = {0};
    const enum cn_status status =
        cn_png_decode(a->data, a->length, &cn_picture_default_limits, &first, NULL);
    const enum cn_status other =
        cn_png_decode(b->data, b->length, &cn_picture_default_limits, &second, NULL);
    const size_t size = (size_t)first.width * (size_t)first.height * (size_t)first.channels;
    const bool same =
        status == other &&
        (status != CN_OK || (first.width == second.width && first.height == second.height &&
                             first.channels == second.channels && first.gamma == second.gamma &&
                             memcmp(first.data, second.data, size) == 0));
    cn_picture_clear(&first);
    cn_picture_clear(&second);
    return same;
}

Test(png, the_short_way_gives_what_libpng_gives) {
    static const unsigned char color_types[] = {0, 2, 4, 6};
    static const int samples[] = {1, 3, 2, 4}, sizes[][2] = {{1, 1}, {28, 28}, {31, 5}, {2, 90}};
    uint32_t state = 7;
    for (size_t i = 0; i < 4 * 4 * 8; i++) {
        const size_t type = i % 4;
        const int width = sizes[i / 4 % 4][0], height = sizes[i / 4 % 4][1];
        const size_t row = (size_t)(width * samples[type]) + 1, size = row * (size_t)height;
        unsigned char *raw = malloc(size);
        for (size_t at = 0; at < size; at++)
            raw[at] = (unsigned char)(at % row == 0 ? next_random(&state) % 5
                                                    : next_random(&state) & 0xe3);
        if (i / 16 == 7) /* a filter that does not exist */
            raw[row * (size_t)(height / 2)] = 5;
        struct bytes small =
            make_small(raw, size, width, height, color_types[type], (int)(i / 16 % 3) + 1, false);
        struct bytes whole = make_small(raw, size, width, height, color_types[type], 1, true);
        cr_expect(same_picture(&small, &whole), "picture %zu", i);
        free(small.data);
        free(whole.data);
        free(raw);
    }
}

/* Damaged data with correct checksums: both decoders refuse the same files and read the same
 * samples. */
Test(png, the_short_way_refuses_what_libpng_refuses) {
    unsigned char raw[29 * 28];
    uint32_t state = 9;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (unsigned char)(i % 29 == 0 ? 0 : next_random(&state) & 3);
    struct bytes small = make_small(raw, sizeof raw, 28, 28, 0, 1, false);
    struct bytes whole = make_small(raw, sizeof raw, 28, 28, 0, 1, true);
    const size_t idat = 8 + 25, comment = 21; /* the bytes before the data, and the comment chunk */
    const size_t length = small.length - idat - 12 - 12;
    for (size_t at = 0; at < length * 8; at++) {
        unsigned char *bytes[2] = {small.data + idat, whole.data + idat + comment};
        for (int i = 0; i < 2; i++) {
            bytes[i][8 + at / 8] ^= (unsigned char)(1 << at % 8);
            const uint32_t sum = (uint32_t)crc32(0, bytes[i] + 4, (uInt)length + 4);
            for (int b = 0; b < 4; b++)
                bytes[i][8 + length + (size_t)b] = (unsigned char)(sum >> (24 - 8 * b));
        }
        cr_expect(same_picture(&small, &whole), "bit %zu of the data", at);
        for (int i = 0; i < 2; i++)
            bytes[i][8 + at / 8] ^= (unsigned char)(1 << at % 8);
    }
    free(small.data);
    free(whole.data);
}
