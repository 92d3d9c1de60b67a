/* webp.c: decodes WebP with libwebp, which also scales the picture down. Animations are refused.
 * EXIF's orientation is applied. Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>

#include "base/number.h"
#include "image/decoded_rows.h"
#include "image/orientation.h"

enum { LOSSLESS = 2, PIECE = 1 << 16, RIFF_HEADER = 12, CHUNK_HEADER = 8, EXIF_PREFIX = 6 };

/* The orientation in the container's EXIF chunk, which follows the picture. */
static int find_orientation(const unsigned char *bytes, size_t length) {
    for (size_t at = RIFF_HEADER; at + CHUNK_HEADER <= length;) {
        const size_t size = (size_t)cn_number_little(bytes + at + 4, 4);
        const size_t rest = length - at - CHUNK_HEADER;
        const unsigned char *data = bytes + at + CHUNK_HEADER;
        if (size > rest)
            break;
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            const bool prefixed = size > EXIF_PREFIX && memcmp(data, "Exif\0\0", EXIF_PREFIX) == 0;
            return cn_orientation_read(data + (prefixed ? EXIF_PREFIX : 0),
                                       size - (prefixed ? EXIF_PREFIX : 0));
        }
        at += CHUNK_HEADER + size + size % 2;
    }
    return 1;
}

/* Passes the bytes piece by piece, so that the caller can stop in between. */
static enum cn_status feed(WebPIDecoder *decoder, const unsigned char *bytes, size_t length,
                           const struct cn_picture_limits *limits, struct cn_error *error) {
    VP8StatusCode code = VP8_STATUS_SUSPENDED;
    for (size_t given = 0; code == VP8_STATUS_SUSPENDED && given < length;) {
        given = length - given > PIECE ? given + PIECE : length;
        if (limits->stop != NULL && limits->stop(limits->context))
            return cn_rows_fail_stopped(error);
        code = WebPIUpdate(decoder, bytes, given);
    }
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return cn_fail(error, CN_MEMORY, "WebP: no memory");
    if (code != VP8_STATUS_OK)
        return cn_fail(error, CN_MALFORMED, "WebP: the data %s",
                       code == VP8_STATUS_SUSPENDED ? "end too early" : "are corrupt");
    return CN_OK;
}

/* Refuses files that cannot or should not be decoded. */
static enum cn_status webp_check(const WebPBitstreamFeatures *features,
                                 const struct cn_picture_limits *limits, struct cn_error *error) {
    const unsigned long long pixels =
        (unsigned long long)features->width * (unsigned long long)features->height;
    enum cn_status status =
        cn_format_check_size("WebP", features->width, features->height, limits, error);
    if (status == CN_OK && features->has_animation)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the picture is an animated WebP, which is not supported: send one picture "
                       "of it");
    if (status == CN_OK)
        status = cn_format_check_memory("WebP", features->format == LOSSLESS ? pixels * 4 : pixels,
                                        limits, error);
    return status;
}

static enum cn_status webp_decode(const unsigned char *bytes, size_t length,
                                  const struct cn_picture_limits *limits,
                                  struct cn_picture *ret_picture, struct cn_error *error) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config) ||
        WebPGetFeatures(bytes, length, &config.input) != VP8_STATUS_OK)
        return cn_fail(error, CN_MALFORMED, "WebP: the header is corrupt or ends too early");
    enum cn_status status = webp_check(&config.input, limits, error);
    if (status != CN_OK)
        return status;
    const int width = config.input.width, height = config.input.height;
    const int longer = width > height ? width : height, side = limits->side;
    const int by = side > 0 && longer > side ? (longer + side - 1) / side : 1;
    struct cn_picture picture = {.width = (width + by - 1) / by,
                                 .height = (height + by - 1) / by,
                                 .channels = config.input.has_alpha ? 4 : 3,
                                 .reduction = by,
                                 .full_width = width,
                                 .full_height = height};
    const size_t row = (size_t)picture.width * (size_t)picture.channels;
    picture.data = calloc((size_t)picture.height, row);
    config.options.use_scaling = by > 1;
    config.options.scaled_width = picture.width;
    config.options.scaled_height = picture.height;
    config.output.colorspace = config.input.has_alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = picture.data;
    config.output.u.RGBA.stride = (int)row;
    config.output.u.RGBA.size = row * (size_t)picture.height;
    WebPIDecoder *decoder = picture.data != NULL ? WebPIDecode(NULL, 0, &config) : NULL;
    if (decoder == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for a picture of %d x %d", picture.width,
                         picture.height);
    else
        status = feed(decoder, bytes, length, limits, error);
    WebPIDelete(decoder);
    WebPFreeDecBuffer(&config.output);
    if (status == CN_OK)
        status = cn_orientation_apply(find_orientation(bytes, length), &picture, error);
    if (status == CN_OK)
        *ret_picture = picture;
    else
        cn_picture_clear(&picture);
    return status;
}

static bool webp_recognize(const unsigned char *bytes, size_t length) {
    return length >= RIFF_HEADER && memcmp(bytes, "RIFF", 4) == 0 &&
           memcmp(bytes + 8, "WEBP", 4) == 0;
}

const struct cn_format cn_format_webp = {"WebP", webp_recognize, webp_decode};
