/* tiff.c: decodes the first picture of a TIFF with libtiff's RGBA interface, which handles all
 * kinds of samples, a strip or a row of tiles at a time. Thread-safe: libtiff's messages go to
 * functions of the handle. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "image/decoded_rows.h"
#include "image/orientation.h"

enum { CHANNELS = 4 };

struct decoder {
    const unsigned char *bytes;
    size_t length, at;
    TIFF *tiff;
    uint32_t width, height, tile_width, band; /* band: rows of a strip or a tile */
    uint16_t orientation;
    bool tiled;
    uint32_t *raster; /* [band, tile_width]: packed RGBA, the lowest row first */
    uint8_t *strip;   /* [band, width, CHANNELS] */
    char message[160];
};

static tmsize_t on_read(thandle_t handle, void *target, tmsize_t count) {
    struct decoder *decoder = handle;
    const size_t left = decoder->at < decoder->length ? decoder->length - decoder->at : 0;
    const size_t given = (size_t)count < left ? (size_t)count : left;
    memcpy(target, decoder->bytes + decoder->at, given);
    decoder->at += given;
    return (tmsize_t)given;
}

static tmsize_t on_write(thandle_t handle, void *source, tmsize_t count) {
    (void)handle;
    (void)source;
    (void)count;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    struct decoder *decoder = handle;
    const toff_t base = whence == SEEK_CUR   ? (toff_t)decoder->at
                        : whence == SEEK_END ? (toff_t)decoder->length
                                             : 0;
    decoder->at = (size_t)(base + offset);
    return base + offset;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    const struct decoder *decoder = handle;
    return (toff_t)decoder->length;
}

static int on_message(TIFF *tiff, void *data, const char *module, const char *format,
                      va_list arguments) __attribute__((format(printf, 4, 0)));
static int on_message(TIFF *tiff, void *data, const char *module, const char *format,
                      va_list arguments) {
    struct decoder *decoder = data;
    (void)tiff;
    (void)module;
    if (decoder->message[0] == '\0')
        (void)vsnprintf(decoder->message, sizeof decoder->message, format, arguments);
    return 1;
}

static int on_warning(TIFF *tiff, void *data, const char *module, const char *format,
                      va_list arguments) __attribute__((format(printf, 4, 0)));
static int on_warning(TIFF *tiff, void *data, const char *module, const char *format,
                      va_list arguments) {
    (void)tiff;
    (void)data;
    (void)module;
    (void)format;
    (void)arguments;
    return 1;
}

static enum cn_status fail(const struct decoder *decoder, struct cn_error *error) {
    return cn_fail(error, CN_MALFORMED, "TIFF: %s",
                   decoder->message[0] != '\0' ? decoder->message : "the data are corrupt");
}

static enum cn_status open_tiff(struct decoder *decoder, const struct cn_picture_limits *limits,
                                struct cn_error *error) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return cn_fail(error, CN_MEMORY, "TIFF: no memory");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)limits->max_memory);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_message, decoder);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, decoder);
    decoder->tiff = TIFFClientOpenExt("picture", "rm", decoder, on_read, on_write, on_seek,
                                      on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return decoder->tiff != NULL ? CN_OK : fail(decoder, error);
}

/* Reads the sizes and allocates a strip. */
static enum cn_status tiff_prepare(struct decoder *decoder, const struct cn_picture_limits *limits,
                                   struct cn_error *error) {
    TIFF *tiff = decoder->tiff;
    if (TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &decoder->width) != 1 ||
        TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &decoder->height) != 1)
        return cn_fail(error, CN_MALFORMED, "TIFF: the width or the height is missing");
    enum cn_status status =
        cn_format_check_size("TIFF", decoder->width, decoder->height, limits, error);
    if (status != CN_OK)
        return status;
    /* The RGBA interface would apply the orientation within each strip. */
    if (TIFFGetField(tiff, TIFFTAG_ORIENTATION, &decoder->orientation) == 1)
        (void)TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    decoder->tiled = TIFFIsTiled(tiff) != 0;
    decoder->tile_width = decoder->width;
    if (decoder->tiled && (TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &decoder->tile_width) != 1 ||
                           TIFFGetField(tiff, TIFFTAG_TILELENGTH, &decoder->band) != 1))
        return cn_fail(error, CN_MALFORMED, "TIFF: the size of the tiles is missing");
    if (!decoder->tiled)
        (void)TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &decoder->band);
    if (!decoder->tiled && decoder->band > decoder->height)
        decoder->band = decoder->height;
    if (decoder->band == 0 || decoder->tile_width == 0)
        return cn_fail(error, CN_MALFORMED, "TIFF: the strips or tiles are empty");
    status = cn_format_check_memory("TIFF",
                                    ((unsigned long long)decoder->tile_width + decoder->width) *
                                        decoder->band * CHANNELS,
                                    limits, error);
    if (status != CN_OK)
        return status;
    decoder->raster = calloc((size_t)decoder->tile_width * decoder->band, sizeof *decoder->raster);
    decoder->strip = calloc((size_t)decoder->width * decoder->band, CHANNELS);
    if (decoder->raster == NULL || decoder->strip == NULL)
        return cn_fail(error, CN_MEMORY, "TIFF: no memory for %u rows", (unsigned)decoder->band);
    return CN_OK;
}

/* Copies `rows` rows of the raster into the strip from column `left` on, in top-down order. */
static void copy_raster(struct decoder *decoder, uint32_t left, uint32_t rows) {
    const uint32_t width =
        decoder->width - left < decoder->tile_width ? decoder->width - left : decoder->tile_width;
    for (uint32_t y = 0; y < rows; y++) {
        const uint32_t *from = decoder->raster + (size_t)(rows - 1 - y) * decoder->tile_width;
        uint8_t *to = decoder->strip + ((size_t)y * decoder->width + left) * CHANNELS;
        for (uint32_t x = 0; x < width; x++, to += CHANNELS) {
            to[0] = (uint8_t)TIFFGetR(from[x]);
            to[1] = (uint8_t)TIFFGetG(from[x]);
            to[2] = (uint8_t)TIFFGetB(from[x]);
            to[3] = (uint8_t)TIFFGetA(from[x]);
        }
    }
}

/* Reads the rows from `top` on into the strip; returns their number, 0 after a failure. */
static uint32_t read_band(struct decoder *decoder, uint32_t top) {
    const uint32_t left = decoder->height - top;
    const uint32_t rows = left < decoder->band ? left : decoder->band;
    if (!decoder->tiled) {
        if (TIFFReadRGBAStripExt(decoder->tiff, top, decoder->raster, 1) != 1)
            return 0;
        copy_raster(decoder, 0, rows);
        return rows;
    }
    for (uint32_t x = 0; x < decoder->width; x += decoder->tile_width) {
        if (TIFFReadRGBATileExt(decoder->tiff, x, top, decoder->raster, 1) != 1)
            return 0;
        copy_raster(decoder, x, decoder->band); /* tiles have all their rows */
    }
    return rows;
}

/* libtiff multiplies colours by alpha, if there is any. */
static void undo_alpha(uint8_t *pixels, uint32_t count) {
    for (uint32_t i = 0; i < count; i++, pixels += CHANNELS)
        for (int c = 0; c < 3 && pixels[3] > 0 && pixels[3] < 255; c++) {
            const int value = pixels[c] * 255 / pixels[3];
            pixels[c] = (uint8_t)(value > 255 ? 255 : value);
        }
}

static enum cn_status read_rows(struct decoder *decoder, struct cn_rows *rows,
                                struct cn_error *error) {
    for (uint32_t top = 0, count = 0; top < decoder->height; top += count) {
        count = read_band(decoder, top);
        if (count == 0)
            return fail(decoder, error);
        for (uint32_t y = 0; y < count; y++) {
            uint8_t *row = decoder->strip + (size_t)y * decoder->width * CHANNELS;
            undo_alpha(row, decoder->width);
            if (!cn_rows_put(rows, (int)(top + y), 0, 1, (int)decoder->width, row))
                return cn_rows_fail_stopped(error);
        }
    }
    return CN_OK;
}

static enum cn_status tiff_decode(const unsigned char *bytes, size_t length,
                                  const struct cn_picture_limits *limits,
                                  struct cn_picture *ret_picture, struct cn_error *error) {
    struct decoder decoder = {.bytes = bytes, .length = length};
    struct cn_picture picture = {0};
    struct cn_rows rows = {0};
    enum cn_status status = open_tiff(&decoder, limits, error);
    if (status == CN_OK)
        status = tiff_prepare(&decoder, limits, error);
    if (status == CN_OK)
        status = cn_rows_begin(&rows, (int)decoder.width, (int)decoder.height, CHANNELS, 1, false,
                               limits, error);
    if (status == CN_OK)
        status = read_rows(&decoder, &rows, error);
    if (status == CN_OK) {
        cn_rows_finish(&rows, &picture);
        status = cn_orientation_apply(decoder.orientation, &picture, error);
    }
    if (status == CN_OK)
        *ret_picture = picture;
    else
        cn_picture_clear(&picture);
    cn_rows_clear(&rows);
    free(decoder.raster);
    free(decoder.strip);
    if (decoder.tiff != NULL)
        TIFFClose(decoder.tiff);
    return status;
}

static bool tiff_recognize(const unsigned char *bytes, size_t length) {
    return length >= 8 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0 ||
                           memcmp(bytes, "II+\0", 4) == 0 || memcmp(bytes, "MM\0+", 4) == 0);
}

const struct cn_format cn_format_tiff = {"TIFF", tiff_recognize, tiff_decode};
