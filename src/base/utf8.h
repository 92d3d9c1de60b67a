/* utf8.h: what text from outside consists of. */
#ifndef CONVNET_BASE_UTF8_H
#define CONVNET_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 character (RFC 3629) at `text`, which has `left` bytes: 1 to 4, or 0 if there
 * is none: overlong, a surrogate, above U+10FFFF, cut short, or nothing left. Of a string ended by
 * a NUL more bytes may be promised than it has: it reads none beyond the NUL. */
size_t cn_utf8_length(const char *text, size_t left);

#endif
