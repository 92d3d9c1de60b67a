/* head.h: checks the lines of a request's head, exactly as they came, against RFC 9110 and RFC
 * 9112. Pure functions on bytes, so that they can be tested without a server. */
#ifndef CONVNET_HTTP_HEAD_H
#define CONVNET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The framing that a head declares; `status` is the answer to its first fault, or 0. */
struct http_head {
    unsigned status;
    const char *fault; /* a constant sentence */
    bool version_1_1;  /* HTTP/1.1 or a later minor version, which is treated as 1.1 */
    bool has_length, chunked;
    uint64_t length; /* of the body, when has_length */
    size_t fields;
    unsigned hosts, types; /* number of Host fields and of Content-Type fields */
};

/* Checks the request line. All lines here are without their CRLF, and may hold any byte. */
void http_head_request_line(struct http_head *head, const char *line, size_t length);

/* Checks one field line, in the message's order. Returns how many of its bytes the server needs:
 * trailing white space and cookies are not needed. */
size_t http_head_field(struct http_head *head, const char *line, size_t length);

/* Checks what depends on the whole head. Returns `status`. */
unsigned http_head_end(struct http_head *head);

/* True if what follows the size of a chunk is nothing, or its extensions: RFC 9112, 7.1.1. */
bool http_head_is_extension(const char *text, size_t length);

/* Records a fault, unless one is recorded already. */
void http_head_reject(struct http_head *head, unsigned status, const char *fault);

/* The value of a hexadecimal digit, or -1. */
int http_hex_digit(char c);

/* True for RFC 9110's tchar: the characters of methods and names. */
bool http_is_tchar(char c);

/* True if no byte of a field's line is a control byte other than the tab. */
bool http_is_field_content(const char *text, size_t length);

#endif
