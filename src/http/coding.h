/* coding.h: Content-Encoding: compressed bodies in, compressed answers out (RFC 9110, 8.4). */
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

/* What a Content-Encoding header (NULL: none) says. One coding is taken, not a list of them. */
enum http_coding http_coding_of(const char *value);

/* Inflates a whole body (deflate: with zlib's wrapper). Beyond a mebibyte a body may not become
 * more than 256 times as long, and never longer than `limit`. Returns 0 and a malloc'd buffer with
 * a NUL behind `*ret_length` bytes, which the caller frees with free(); or the status to answer,
 * 400, 413 or 503, with *ret_fault set to a constant sentence. */
unsigned http_coding_inflate(enum http_coding coding, const void *bytes, size_t length,
                             size_t limit, unsigned char **ret_bytes, size_t *ret_length,
                             const char **ret_fault);

/* True if an answer of this type and length may be worth compressing: then what is sent depends on
 * the request's Accept-Encoding. */
bool http_coding_is_worthwhile(const char *content_type, size_t length);

/* True if an Accept-Encoding header (NULL: none) asks for gzip. */
bool http_coding_accepts_gzip(const char *accept_encoding);

/* The bytes as gzip, malloc'd, or NULL when that is not shorter by a tenth or there is no memory.
 */
char *http_coding_gzip(const void *bytes, size_t length, size_t *ret_length);

#endif
