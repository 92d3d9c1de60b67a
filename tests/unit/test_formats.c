/* test_formats.c: one picture in every format that people send, and files that are no supported
 * picture. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "convnet/image.h"
#include "image/picture_outline.h"

enum { WIDTH = 40, HEIGHT = 24 };

/* What each format preserves of the picture that tests/data/pictures/make-pictures.py writes. */
static const struct form {
    const char *file, *format;
    bool grey, lossless;
} forms[] = {
#ifdef HAVE_JPEG
    {"baseline.jpg", "JPEG", false, false}, {"progressive.jpg", "JPEG", false, false},
    {"grey.jpg", "JPEG", true, false},      {"cmyk.jpg", "JPEG", false, false},
    {"turned-2.jpg", "JPEG", false, false}, {"turned-3.jpg", "JPEG", false, false},
    {"turned-4.jpg", "JPEG", false, false}, {"turned-5.jpg", "JPEG", false, false},
    {"turned-6.jpg", "JPEG", false, false}, {"turned-7.jpg", "JPEG", false, false},
    {"turned-8.jpg", "JPEG", false, false},
#endif
#ifdef HAVE_WEBP
    {"lossless.webp", "WebP", false, true}, {"lossy.webp", "WebP", false, false},
#endif
#ifdef HAVE_GIF
    {"plain.gif", "GIF", false, true},      {"interlaced.gif", "GIF", false, true},
#endif
#ifdef HAVE_TIFF
    {"plain.tif", "TIFF", false, true},     {"lzw.tif", "TIFF", false, true},
    {"grey.tif", "TIFF", true, true},
#endif
    {"plain.bmp", "BMP", false, true},      {"palette.bmp", "BMP", false, true},
    {"alpha.bmp", "BMP", false, true},      {"plain.ppm", "PNM", false, true},
    {"text.ppm", "PNM", false, true},       {"grey.pgm", "PNM", true, true},
};
enum { FORMS = sizeof forms / sizeof *forms };

static void load(const char *file, unsigned char **bytes, size_t *length) {
    char path[400];
    struct cn_error error = {0};
    (void)snprintf(path, sizeof path, "%s/pictures/%s", TEST_DATA_DIR, file);
    cr_assert_eq(cn_file_read(path, 1 << 20, bytes, length, &error), CN_OK, "%s", error.text);
}

/* Sample c of pixel (x, y); for a grey picture its grey value. */
static int sample(const struct cn_picture *picture, int x, int y, int c) {
    return picture
        ->data[(y * picture->width + x) * picture->channels + (picture->channels < 3 ? 0 : c)];
}

/* Each quarter has its own colour, at any reduction. */
static void check_quarters(const struct form *form, const struct cn_picture *picture) {
    static const int colors[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    static const int greys[4] = {76, 150, 29, 255};
    for (int quarter = 0; quarter < 4; quarter++) {
        const int x = picture->width * (quarter % 2 * 2 + 1) / 4;
        const int y = picture->height * (quarter / 2 * 2 + 1) / 4;
        for (int c = 0; c < 3; c++) {
            const int expected = form->grey ? greys[quarter] : colors[quarter][c];
            cr_assert_leq(abs(sample(picture, x, y, c) - expected), form->lossless ? 1 : 12,
                          "%s: channel %d of quarter %d is %d, not %d", form->file, c, quarter,
                          sample(picture, x, y, c), expected);
        }
    }
}

Test(formats, one_picture_in_every_form) {
    for (size_t i = 0; i < FORMS; i++) {
        unsigned char *bytes = NULL;
        size_t length = 0;
        struct cn_picture picture = {0};
        struct cn_error error = {0};
        load(forms[i].file, &bytes, &length);
        cr_assert_str_eq(cn_picture_format(bytes, length), forms[i].format);
        cr_assert_eq(cn_picture_decode(bytes, length, &cn_picture_default_limits, &picture, &error),
                     CN_OK, "%s: %s", forms[i].file, error.text);
        cr_assert(picture.width == WIDTH && picture.height == HEIGHT, "%s: %d x %d", forms[i].file,
                  picture.width, picture.height);
        check_quarters(&forms[i], &picture);
        if (forms[i].lossless)
            cr_assert_leq(sample(&picture, 3, 2, 0), 1, "%s: the black pixel", forms[i].file);
        cn_picture_clear(&picture);
        free(bytes);
    }
}

/* A file that is cut still states its size, until the cut is within its header. */
Test(formats, the_header_states_the_pixels) {
    for (size_t i = 0; i < FORMS; i++) {
        unsigned char *bytes = NULL;
        size_t length = 0;
        load(forms[i].file, &bytes, &length);
        cr_assert_eq(cn_picture_pixels(bytes, length), WIDTH * HEIGHT, "%s: %zu", forms[i].file,
                     cn_picture_pixels(bytes, length));
        for (size_t cut = 0; cut < length; cut++) {
            unsigned char *part = malloc(cut > 0 ? cut : 1); /* a sanitizer sees its end */
            memcpy(part, bytes, cut);
            const size_t pixels = cn_picture_pixels(part, cut);
            free(part);
            cr_assert(pixels == 0 || pixels == WIDTH * HEIGHT || forms[i].format[1] == 'N',
                      "%s up to byte %zu: %zu", forms[i].file, cut, pixels);
        }
        free(bytes);
    }
    cr_assert_eq(cn_picture_pixels("P4 3 5 ", 7), 15);
    /* The width has a type of 8 bytes, but its field has 4: the reader must not read the next
     * entry. */
    static const char tiff[] = "II*\0\x08\0\0\0\2\0"
                               "\0\1\x10\0\1\0\0\0\3\0\0\0"
                               "\1\1\4\0\1\0\0\0\5\0\0";
    cr_assert_eq(cn_picture_pixels(tiff, sizeof tiff), 15);
    cr_assert_eq(cn_picture_pixels("no picture, and long enough", 27), 0);
}

/* The directory ends with the file. A SHORT uses half of its field, and 8 bytes do not fit. */
Test(formats, a_tiff_s_entries_are_read_up_to_their_end) {
    static const unsigned char tiff[] = {
        'I', 'I', 42,  0,  8, 0, 0, 0, 2, 0,             /* two entries */
        0,   1,   3,   0,  1, 0, 0, 0, 7, 0, 0xff, 0xff, /* width 7 */
        1,   1,   16,  0,  1, 0, 0, 0, 5, 0, 0,    0,    /* height 5 */
        255, 255, 255, 255};                             /* no part of the file */
    cr_assert_eq(cn_picture_pixels(tiff, sizeof tiff - 4), 35);
}

Test(formats, a_limit_of_pixels) {
    for (size_t i = 0; i < FORMS; i++) {
        struct cn_picture_limits limits = {.max_pixels = WIDTH * HEIGHT};
        unsigned char *bytes = NULL;
        size_t length = 0;
        struct cn_picture picture = {0};
        struct cn_error error = {0};
        load(forms[i].file, &bytes, &length);
        cr_assert_eq(cn_picture_decode(bytes, length, &limits, &picture, &error), CN_OK, "%s: %s",
                     forms[i].file, error.text);
        cn_picture_clear(&picture);
        limits.max_pixels--;
        cr_assert_eq(cn_picture_decode(bytes, length, &limits, &picture, &error), CN_LIMIT, "%s",
                     forms[i].file);
        cr_assert_not_null(strstr(error.text, "limit is 959 pixels"), "%s", error.text);
        free(bytes);
    }
}

Test(formats, a_bitmap_of_one_bit) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct cn_picture picture = {0};
    load("bits.pbm", &bytes, &length);
    cr_assert_eq(cn_picture_decode(bytes, length, &cn_picture_default_limits, &picture, NULL),
                 CN_OK);
    cr_assert(sample(&picture, 5, 5, 0) == 0 && sample(&picture, 35, 20, 0) == 255);
    cn_picture_clear(&picture);
    free(bytes);
}

Test(formats, reduced_while_decoded) {
    for (size_t i = 0; i < FORMS; i++)
        for (int side = 5; side <= 39; side += 2) {
            const struct cn_picture_limits limits = {.side = side};
            unsigned char *bytes = NULL;
            size_t length = 0;
            struct cn_picture picture = {0};
            load(forms[i].file, &bytes, &length);
            cr_assert_eq(cn_picture_decode(bytes, length, &limits, &picture, NULL), CN_OK);
            cr_assert(picture.width <= side && picture.height <= side && picture.reduction > 1,
                      "%s: %d x %d for a side of %d", forms[i].file, picture.width, picture.height,
                      side);
            cr_assert(picture.full_width == WIDTH && picture.full_height == HEIGHT);
            cr_assert_geq(picture.width * picture.reduction, WIDTH);
            if (picture.width >= 8)
                check_quarters(&forms[i], &picture);
            cn_picture_clear(&picture);
            free(bytes);
        }
}

static bool stop_at_once(void *context) {
    ++*(int *)context;
    return true;
}

Test(formats, decoding_stops_when_asked) {
    for (size_t i = 0; i < FORMS; i++) {
        int asked = 0;
        const struct cn_picture_limits limits = {.stop = stop_at_once, .context = &asked};
        unsigned char *bytes = NULL;
        size_t length = 0;
        struct cn_picture picture = {0};
        struct cn_error error = {0};
        load(forms[i].file, &bytes, &length);
        cr_assert_eq(cn_picture_decode(bytes, length, &limits, &picture, &error), CN_CANCELED,
                     "%s: %s", forms[i].file, error.text);
        cr_assert_eq(asked, 1);
        cr_assert_null(picture.data);
        free(bytes);
    }
}

Test(formats, limits_of_size_and_memory) {
    for (size_t i = 0; i < FORMS; i++) {
        const struct cn_picture_limits small = {.max_width = 30, .max_height = 30};
        unsigned char *bytes = NULL;
        size_t length = 0;
        struct cn_picture picture = {0};
        struct cn_error error = {0};
        load(forms[i].file, &bytes, &length);
        cr_assert_eq(cn_picture_decode(bytes, length, &small, &picture, &error), CN_LIMIT, "%s",
                     forms[i].file);
        cr_assert_not_null(strstr(error.text, "the limit is the number of pixels of 30 x 30"), "%s",
                           error.text);
        free(bytes);
    }
#ifdef HAVE_JPEG
    const struct cn_picture_limits poor = {.max_memory = 1000};
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct cn_picture picture = {0};
    load("progressive.jpg", &bytes, &length);
    cr_assert_eq(cn_picture_decode(bytes, length, &poor, &picture, NULL), CN_LIMIT);
    free(bytes);
#endif
}

#ifdef HAVE_JPEG
/* At an eighth a progressive picture consists of the means of its blocks, like a baseline one. */
Test(formats, progressive_and_baseline_are_alike_at_an_eighth) {
    static const char *const names[] = {"baseline.jpg", "progressive.jpg"};
    const struct cn_picture_limits eighth = {.side = 2};
    struct cn_picture pictures[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        unsigned char *bytes = NULL;
        size_t length = 0;
        struct cn_error error = {0};
        load(names[i], &bytes, &length);
        cr_assert_eq(cn_picture_decode(bytes, length, &eighth, &pictures[i], &error), CN_OK,
                     "%s: %s", names[i], error.text);
        free(bytes);
    }
    const int count = pictures[0].width * pictures[0].height * pictures[0].channels;
    cr_assert_eq(count, pictures[1].width * pictures[1].height * pictures[1].channels);
    for (int i = 0; i < count; i++)
        cr_expect(abs(pictures[0].data[i] - pictures[1].data[i]) <= 4, "sample %d: %d and %d", i,
                  pictures[0].data[i], pictures[1].data[i]);
    cn_picture_clear(&pictures[0]);
    cn_picture_clear(&pictures[1]);
}
#endif

/* No cut or damaged file causes a crash; a file that is cut well before its end is refused. */
Test(formats, cut_and_damaged) {
    for (size_t i = 0; i < FORMS; i++) {
        unsigned char *bytes = NULL;
        size_t length = 0;
        load(forms[i].file, &bytes, &length);
        for (size_t cut = 0; cut < length; cut += length / 150 + 1) {
            struct cn_picture picture = {0};
            unsigned char *part = malloc(cut + 1); /* a block of exact size, so that sanitizers
                                                    * detect a read past its end */
            memcpy(part, bytes, cut);
            const enum cn_status status =
                cn_picture_decode(part, cut, &cn_picture_default_limits, &picture, NULL);
            cr_assert(status != CN_OK || cut * 10 > length * 8, "%s: %zu of %zu bytes decode",
                      forms[i].file, cut, length);
            cn_picture_clear(&picture);
            free(part);
        }
        for (size_t at = 0; at < length; at += length / 150 + 1) {
            struct cn_picture picture = {0};
            bytes[at] ^= 0x5A;
            (void)cn_picture_decode(bytes, length, &cn_picture_default_limits, &picture, NULL);
            cn_picture_clear(&picture);
            bytes[at] ^= 0x5A;
        }
        free(bytes);
    }
}

Test(formats, what_is_not_read_is_named) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *words;
    } cases[] = {
        {"\0\0\0\x18"
         "ftypheic\0\0\0\0",
         16, "HEIC"},
        {"\0\0\0\x18"
         "ftypmif1\0\0\0\0",
         16, "HEIF"},
        {"\0\0\0\x18"
         "ftypavif\0\0\0\0",
         16, "AVIF"},
        {"\0\0\0\x18"
         "ftypisom\0\0\0\0",
         16, "film"},
        {"%PDF-1.7\n", 9, "pdftoppm"},
        {"<svg xmlns=", 11, "SVG"},
        {"<?xml version=\"1.0\"?>\n<!-- x -->\n<svg ", 38, "rsvg-convert"},
        {"8BPS\0\x01", 6, "Photoshop"},
        {"\0\0\0\x0cJXL \r\n\x87\n", 12, "JPEG XL"},
        {"hello, world", 12, "not a picture in one of the formats PNG"},
        {"", 0, "not a picture"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cn_picture picture = {0};
        struct cn_error error = {0};
        cr_assert_eq(cn_picture_decode(cases[i].bytes, cases[i].length, &cn_picture_default_limits,
                                       &picture, &error),
                     i < 9 ? CN_UNSUPPORTED : CN_MALFORMED);
        cr_assert_not_null(strstr(error.text, cases[i].words), "%s", error.text);
        cr_assert_eq(cn_picture_recognize(cases[i].bytes, cases[i].length), i < 9);
        cr_assert_null(cn_picture_format(cases[i].bytes, cases[i].length));
    }
}
