/* encode.c: see encode.h. No state. libjpeg's own error handler ends the test program. */
#include "support/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_JPEG
#include <jpeglib.h>
#endif
#ifdef HAVE_WEBP
#include <webp/encode.h>
#endif

uint8_t *encode_jpeg(const uint8_t *pixels, int width, int height, int quality,
                     size_t *ret_length) {
#ifdef HAVE_JPEG
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long length = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &length);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < height; y++) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)y * (size_t)width * 3);
        (void)jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    *ret_length = length;
    return bytes;
#else
    (void)pixels, (void)width, (void)height, (void)quality;
    *ret_length = 0;
    return NULL;
#endif
}

uint8_t *encode_webp(const uint8_t *pixels, int width, int height, int quality,
                     size_t *ret_length) {
#ifdef HAVE_WEBP
    uint8_t *bytes = NULL;
    *ret_length = WebPEncodeRGB(pixels, width, height, width * 3, (float)quality, &bytes);
    if (*ret_length == 0)
        return NULL;
    uint8_t *copy = malloc(*ret_length); /* WebP's own is freed by WebPFree only */
    if (copy != NULL)
        memcpy(copy, bytes, *ret_length);
    WebPFree(bytes);
    return copy;
#else
    (void)pixels, (void)width, (void)height, (void)quality;
    *ret_length = 0;
    return NULL;
#endif
}
