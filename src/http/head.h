/* head.h: the lines of a request's head, as they came: are they exactly what RFC 9110 and RFC 9112
 * allow? Pure checks on bytes, so that they can be tested without a server. */
#ifndef CONVNET_HTTP_HEAD_H
#define CONVNET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the head says about the message; `status` is the answer to its first fault, 0 if none. */
struct http_head {
    unsigned status;
    const char *fault; /* a constant sentence */
    bool version_1_1;  /* HTTP/1.1 or a later minor version, which is read as 1.1 */
    bool has_length, chunked;
    uint64_t length; /* of the body, when has_length */
    size_t fields;
    unsigned hosts; /* fields of this name */
};

/* Checks the request line; like all lines here without its CRLF, and it may hold any byte. */
void http_head_request_line(struct http_head *head, const char *line, size_t length);

/* Checks one field's line, in the order of the message. Returns how many of its bytes the server
 * needs: white space at the end is none of the value, and nothing here reads cookies. */
size_t http_head_field(struct http_head *head, const char *line, size_t length);

/* Checks what only the whole head can tell. Returns `status`. */
unsigned http_head_end(struct http_head *head);

/* Notes a fault, unless there is one already. */
void http_head_reject(struct http_head *head, unsigned status, const char *fault);

/* True for RFC 9110's tchar, of which methods and names are made. */
bool http_is_tchar(char c);

/* True if no byte of a field's line is a control byte other than the tab. */
bool http_is_field_content(const char *text, size_t length);

#endif
