/* coding.h: Content-Encoding: compressed requests and compressed answers (RFC 9110, 8.4). */
#ifndef CONVNET_HTTP_CODING_H
#define CONVNET_HTTP_CODING_H

#include <stdbool.h>
#include <stddef.h>

enum http_coding {
    HTTP_CODING_NONE = 0,
    HTTP_CODING_GZIP,
    HTTP_CODING_DEFLATE,
    HTTP_CODING_UNKNOWN
};

/* Parses a Content-Encoding header (NULL: none). One coding is accepted, not a list. */
enum http_coding http_coding_of(const char *value);

/* Inflates a whole body (deflate: in zlib's format). The result may have 1 MiB, or 256 times the
 * body's length if that is more, and never more than `limit`. Returns 0 and a malloc'd buffer of
 * `*ret_length` bytes with a NUL after them, which the caller frees with free(); or the status to
 * answer, 400, 413 or 503, with *ret_fault set to a constant sentence. */
unsigned http_coding_inflate(enum http_coding coding, const void *bytes, size_t length,
                             size_t limit, unsigned char **ret_bytes, size_t *ret_length,
                             const char **ret_fault);

/* True if an answer of this type and length may be compressed; it then depends on the request's
 * Accept-Encoding. */
bool http_coding_is_worthwhile(const char *content_type, size_t length);

/* True if an Accept-Encoding header (NULL: none) accepts gzip. */
bool http_coding_accepts_gzip(const char *accept_encoding);

/* Compresses to gzip, malloc'd; NULL if that saves less than a tenth, or if memory runs out. */
char *http_coding_gzip(const void *bytes, size_t length, size_t *ret_length);

#endif
