/* encode.h: pictures as files in the formats of cameras and web pages, for tests. */
#ifndef TESTS_SUPPORT_ENCODE_H
#define TESTS_SUPPORT_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* Encodes RGB pixels [height, width, 3]; `quality` is the library's, from 0 to 100. Returns the
 * bytes, which the caller frees with free(), or NULL if the library fails or this build lacks it.
 */
uint8_t *encode_jpeg(const uint8_t *pixels, int width, int height, int quality, size_t *ret_length);
uint8_t *encode_webp(const uint8_t *pixels, int width, int height, int quality, size_t *ret_length);

#endif
