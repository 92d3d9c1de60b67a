/* utf8.h: checks UTF-8 text. */
#ifndef CONVNET_BASE_UTF8_H
#define CONVNET_BASE_UTF8_H

#include <stddef.h>

/* The number of bytes of the UTF-8 character (RFC 3629) at `text`, which has `left` bytes: 1 to 4.
 * 0 if it is not valid: overlong, a surrogate, above U+10FFFF, truncated, or nothing left. `left`
 * may exceed the length of a string that ends with a NUL: no byte after the NUL is read. */
size_t cn_utf8_length(const char *text, size_t left);

#endif
