/* stream.h: cuts the bytes of a connection into requests: heads, bodies, chunks. It stands between
 * the socket and libmicrohttpd, which gets only what was understood here. */
#ifndef CONVNET_HTTP_STREAM_H
#define CONVNET_HTTP_STREAM_H

#include "http/head.h"

struct http_stream_limits {
    size_t bytes, fields; /* of a head with its request line, and of the trailers of chunks */
};

/* Room for what the log says about a refused head. */
enum { HTTP_STREAM_LINE = 96, HTTP_STREAM_ID = 132 };

struct http_stream {
    const struct http_stream_limits *limits;
    enum http_stream_state {
        HTTP_STREAM_HEAD = 0, /* a head, or the empty lines before it */
        HTTP_STREAM_COPY,     /* `left` bytes are copied, then `next` */
        HTTP_STREAM_CHUNK,    /* the line with the size of a chunk */
        HTTP_STREAM_CHUNK_END,
        HTTP_STREAM_TRAILER,
        HTTP_STREAM_TEXT,   /* `left` bytes of `text` are output, then `next` */
        HTTP_STREAM_REFUSED /* no more output */
    } state,
        next;
    struct http_head head;
    /* Offsets in the bytes of the head or trailer: the end of its complete lines, the end of those
     * of their bytes that are kept for libmicrohttpd, and how far the search for the next line end
     * has come. */
    size_t scanned, kept, searched;
    bool begun;           /* the request line has been read */
    unsigned empty_lines; /* that came before it */
    uint64_t left;
    const char *text;
    size_t heads; /* number of heads that were output */
    /* Why the last head that was output, or its body, is refused; 0: it is not. */
    unsigned status;
    const char *fault;
    bool head_refused; /* the head itself is refused, and the output is a substitute */
    /* The first bytes of a refused head, and its X-Request-Id if that precedes the fault. */
    char line[HTTP_STREAM_LINE], id[HTTP_STREAM_ID];
};

/* Reads bytes from `in`, which it may change, and writes output to `out`. Returns the number of
 * bytes written, and in *ret_taken of those read. Bytes that were not read must be passed again, at
 * the beginning, with more after them. A head that breaks a rule is replaced by a sound one and
 * recognised by `status`; a body that breaks a rule ends there. */
size_t http_stream_run(struct http_stream *stream, char *in, size_t length, size_t *ret_taken,
                       char *out, size_t room);

#endif
