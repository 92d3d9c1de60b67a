/* framing.h: is a request's head exactly what RFC 9110 and RFC 9112 allow? Pure checks on strings,
 * so that they can be tested without a server. */
#ifndef CONVNET_HTTP_FRAMING_H
#define CONVNET_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the head says about the message; `status` is the answer to its first fault, 0 if none. */
struct http_framing {
    unsigned status;
    const char *fault; /* a constant sentence */
    bool version_1_1;  /* HTTP/1.1 or a later minor version, which is read as 1.1 */
    bool has_length, chunked;
    uint64_t length; /* of the body, when has_length */
    bool expects_continue;
    /* Own. */
    unsigned hosts, lengths, encodings;
    const char *next; /* where the next name must begin; NULL: positions are not checked */
};

/* Begins with the request line. With `positions`, `version` and all names and values of the calls
 * that follow must lie in one block as libmicrohttpd 0.9.75 leaves it: each line's CRLF turned into
 * two NULs, the colon into one. A gap then shows a folded line, a hidden NUL or a bare LF. */
void http_framing_begin(struct http_framing *framing, const char *method, const char *version,
                        bool positions);

/* Checks one header field, in the order of the message. */
void http_framing_header(struct http_framing *framing, const char *name, const char *value);

/* Checks the head as a whole. `end` is one past the empty line (unused without positions).
 * Returns `status`. */
unsigned http_framing_end(struct http_framing *framing, const char *end);

/* True for a non-empty string of RFC 9110's tchar. */
bool http_is_token(const char *text);

#endif
