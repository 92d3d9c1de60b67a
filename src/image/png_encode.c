/* png_encode.c: writes 8-bit grey or RGB pixels as PNG in memory, for tests, exports and the web
 * page. No palettes, alpha or metadata. Thread-safe. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/image.h"

struct encoder {
    png_structp png;
    png_infop info;
    unsigned char *bytes;
    size_t length, capacity;
};

static void on_error(png_structp png, png_const_charp message) {
    (void)message;
    png_longjmp(png, 1);
}

static void on_write(png_structp png, png_bytep bytes, size_t count) {
    struct encoder *encoder = png_get_io_ptr(png);
    if (count > encoder->capacity - encoder->length) {
        const size_t capacity = (encoder->length + count) * 2;
        unsigned char *grown = realloc(encoder->bytes, capacity);
        if (grown == NULL)
            png_error(png, "out of memory");
        encoder->bytes = grown;
        encoder->capacity = capacity;
    }
    memcpy(encoder->bytes + encoder->length, bytes, count);
    encoder->length += count;
}

static void on_flush(png_structp png) {
    (void)png;
}

/* Returns false after libpng's longjmp; everything that changes is behind the pointer. */
static bool encode(struct encoder *encoder, const uint8_t *pixels, int width, int height,
                   int channels) {
    png_structp png = encoder->png;
    if (setjmp(png_jmpbuf(png)))
        return false;
    png_set_write_fn(png, encoder, on_write, on_flush);
    png_set_IHDR(png, encoder->info, (png_uint_32)width, (png_uint_32)height, 8,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, encoder->info);
    for (int y = 0; y < height; y++)
        png_write_row(png, pixels + (size_t)y * (size_t)width * (size_t)channels);
    png_write_end(png, encoder->info);
    return true;
}

enum cn_status cn_png_encode(const uint8_t *pixels, int width, int height, int channels,
                             void **ret_bytes, size_t *ret_length, struct cn_error *error) {
    struct encoder encoder = {0};
    enum cn_status status = CN_OK;
    if (width < 1 || height < 1 || width > 1 << 20 || height > 1 << 20 ||
        (channels != 1 && channels != 3))
        return cn_fail(error, CN_INVALID,
                       "cannot encode %d x %d pixels of %d channels; 1 to 1048576 pixels per side, "
                       "and 1 or 3 channels, are possible",
                       width, height, channels);
    encoder.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_error, NULL);
    if (encoder.png != NULL)
        encoder.info = png_create_info_struct(encoder.png);
    if (encoder.info == NULL || !encode(&encoder, pixels, width, height, channels))
        status = cn_fail(error, CN_MEMORY, "cannot encode a PNG of %d x %d", width, height);
    png_destroy_write_struct(&encoder.png, &encoder.info);
    if (status == CN_OK) {
        *ret_bytes = encoder.bytes;
        *ret_length = encoder.length;
        encoder.bytes = NULL;
    }
    free(encoder.bytes);
    return status;
}
