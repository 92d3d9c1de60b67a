/* formats.c: THE list of picture formats, and the formats that are not decoded, each with advice
 * for the user. The bytes decide, never a file's name. Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include "image/format.h"
#include "image/picture_outline.h"

const struct cn_picture_limits cn_picture_default_limits = {
    .max_width = 4096, .max_height = 4096, .max_memory = (size_t)96 << 20};

enum { LONGEST_SHARE = 4, SNIFF = 512 };

static const struct cn_format *const formats[] = {
    &cn_format_png,
#ifdef HAVE_JPEG
    &cn_format_jpeg,
#endif
#ifdef HAVE_WEBP
    &cn_format_webp,
#endif
#ifdef HAVE_GIF
    &cn_format_gif,
#endif
    &cn_format_bmp,  &cn_format_pnm,
#ifdef HAVE_TIFF
    &cn_format_tiff,
#endif
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* The formats that are not decoded: recognised by `bytes` at offset `at`. */
static const struct foreign {
    size_t at, length;
    const char *bytes, *name, *advice;
} foreigners[] = {
#define SEND  "save or export it as JPEG or PNG and send that"
#define BUILD "this program was built without it; send a PNG"
    {4, 8, "ftypheic", "HEIC", SEND " (an iPhone: Settings, Camera, Formats, Most Compatible)"},
    {4, 8, "ftypheix", "HEIC", SEND " (an iPhone: Settings, Camera, Formats, Most Compatible)"},
    {4, 7, "ftyphev", "HEIC", SEND},
    {4, 8, "ftypmif1", "HEIF", SEND " (an iPhone: Settings, Camera, Formats, Most Compatible)"},
    {4, 8, "ftypmsf1", "HEIF", SEND},
    {4, 7, "ftypavi", "AVIF", SEND},
    {4, 4, "ftyp", "a film or a picture of the MP4 family", SEND},
    {0, 5, "%PDF-", "PDF", "turn the page into a PNG first: pdftoppm -png -r 150 FILE.pdf page"},
    {0, 4, "%!PS", "PostScript", "turn the page into a PNG first"},
    {0, 4, "8BPS", "a Photoshop file", SEND},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", SEND},
    {0, 8, "\0\0\0\x0cjP  ", "JPEG 2000", SEND},
    {0, 4, "qoif", "QOI", SEND},
    {0, 3, "\xff\xd8\xff", "JPEG", BUILD},
    {8, 4, "WEBP", "WebP", BUILD},
    {0, 4, "GIF8", "GIF", BUILD},
    {0, 4, "II*\0", "TIFF", BUILD},
    {0, 4, "MM\0*", "TIFF", BUILD},
    {0, 4, "II+\0", "BigTIFF", BUILD},
    {0, 4, "MM\0+", "BigTIFF", BUILD},
#undef BUILD
};

static const struct foreign svg = {
    0, 4, "<svg", "SVG",
    "it is a vector drawing: rsvg-convert FILE.svg > FILE.png turns it "
    "into a PNG"};

/* True for XML whose first element is svg, after white space, declarations and comments. */
static bool is_svg(const unsigned char *bytes, size_t length) {
    char head[SNIFF + 1] = {0};
    memcpy(head, bytes, length < SNIFF ? length : SNIFF);
    const size_t blank = strspn(head, " \t\r\n\xef\xbb\xbf");
    return head[blank] == '<' && strstr(head, "<svg") != NULL;
}

static const struct foreign *find_foreign(const unsigned char *bytes, size_t length) {
    for (size_t i = 0; i < sizeof foreigners / sizeof *foreigners; i++)
        if (length >= foreigners[i].at + foreigners[i].length &&
            memcmp(bytes + foreigners[i].at, foreigners[i].bytes, foreigners[i].length) == 0)
            return &foreigners[i];
    return is_svg(bytes, length) ? &svg : NULL;
}

static const struct cn_format *find_format(const void *bytes, size_t length) {
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i]->recognize(bytes, length))
            return formats[i];
    return NULL;
}

/* True if another picture begins where the first one ends. */
static bool holds_another(const unsigned char *bytes, size_t length) {
    const size_t end = cn_picture_end(bytes, length);
    return end < length && find_format(bytes + end, length - end) != NULL;
}

const char *cn_picture_format(const void *bytes, size_t length) {
    const struct cn_format *format = find_format(bytes, length);
    return format != NULL ? format->name : NULL;
}

bool cn_picture_recognize(const void *bytes, size_t length) {
    return find_format(bytes, length) != NULL || find_foreign(bytes, length) != NULL;
}

const char *cn_picture_formats(void) {
    return "PNG"
#ifdef HAVE_JPEG
           ", JPEG"
#endif
#ifdef HAVE_WEBP
           ", WebP"
#endif
#ifdef HAVE_GIF
           ", GIF"
#endif
#ifdef HAVE_TIFF
           ", TIFF"
#endif
           ", BMP, PNM";
}

struct cn_picture_limits cn_format_limits(const struct cn_picture_limits *limits) {
    struct cn_picture_limits full = *limits;
    if (full.max_width == 0)
        full.max_width = cn_picture_default_limits.max_width;
    if (full.max_height == 0)
        full.max_height = cn_picture_default_limits.max_height;
    if (full.max_memory == 0)
        full.max_memory = cn_picture_default_limits.max_memory;
    return full;
}

enum cn_status cn_picture_decode(const void *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error) {
    const struct cn_picture_limits full = cn_format_limits(limits);
    const struct cn_format *format = find_format(bytes, length);
    const struct foreign *foreign = format == NULL ? find_foreign(bytes, length) : NULL;
    if (format != NULL && holds_another(bytes, length))
        return cn_fail(error, CN_INVALID,
                       "a second picture begins after the first one, at byte %zu of %zu: send each "
                       "by itself, or all in a form, a zip or a tar",
                       cn_picture_end(bytes, length), length);
    if (format != NULL)
        return format->decode(bytes, length, &full, ret_picture, error);
    if (foreign != NULL)
        return cn_fail(error, CN_UNSUPPORTED, "the picture is %s, which is not supported: %s",
                       foreign->name, foreign->advice);
    return cn_fail(error, CN_MALFORMED, "the %zu bytes are not a picture in one of the formats %s",
                   length, cn_picture_formats());
}

enum cn_status cn_format_check_size(const char *name, long long width, long long height,
                                    const struct cn_picture_limits *limits,
                                    struct cn_error *error) {
    const long long most = (long long)limits->max_width * limits->max_height;
    if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX)
        return cn_fail(error, CN_MALFORMED, "%s: the size %lld x %lld is not 1 to 2147483647", name,
                       width, height);
    if (width > (long long)limits->max_width * LONGEST_SHARE ||
        height > (long long)limits->max_height * LONGEST_SHARE || width * height > most)
        return cn_fail(
            error, CN_LIMIT,
            "the picture is %lld x %lld pixels; the limit is the number of pixels of %d x %d",
            width, height, limits->max_width, limits->max_height);
    if (limits->max_pixels > 0 && (unsigned long long)(width * height) > limits->max_pixels)
        return cn_fail(error, CN_LIMIT,
                       "the picture is %lld x %lld pixels; for its bytes the limit is %zu pixels",
                       width, height, limits->max_pixels);
    return CN_OK;
}

enum cn_status cn_format_check_memory(const char *name, unsigned long long bytes,
                                      const struct cn_picture_limits *limits,
                                      struct cn_error *error) {
    if (bytes > limits->max_memory)
        return cn_fail(error, CN_LIMIT,
                       "%s: decoding the picture takes %llu bytes of memory; the limit is %zu",
                       name, bytes, limits->max_memory);
    return CN_OK;
}

void cn_picture_clear(struct cn_picture *picture) {
    if (picture == NULL)
        return;
    free(picture->data);
    *picture = (struct cn_picture){0};
}
