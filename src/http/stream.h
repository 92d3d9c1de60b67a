/* stream.h: what a connection's client sends, cut into requests: heads, bodies, chunks. Between the
 * socket and libmicrohttpd, which gets what this has understood, and nothing else. */
#ifndef CONVNET_HTTP_STREAM_H
#define CONVNET_HTTP_STREAM_H

#include "http/head.h"

struct http_stream_limits {
    size_t bytes, fields; /* of a head, the first line included; of the trailers of chunks */
};

/* Room for what is told of a refused head. */
enum { HTTP_STREAM_LINE = 96, HTTP_STREAM_ID = 132 };

struct http_stream {
    const struct http_stream_limits *limits;
    enum http_stream_state {
        HTTP_STREAM_HEAD = 0, /* a head, or the empty lines before it */
        HTTP_STREAM_COPY,     /* `left` bytes go through, then `next` */
        HTTP_STREAM_CHUNK,    /* the line with a chunk's size */
        HTTP_STREAM_CHUNK_END,
        HTTP_STREAM_TRAILER,
        HTTP_STREAM_TEXT,   /* `left` bytes of `text` come out, then `next` */
        HTTP_STREAM_REFUSED /* nothing comes out any more */
    } state,
        next;
    struct http_head head;
    /* Of the head's or trailer's bytes that are there, from its first on: those of whole lines, of
     * these what goes on to libmicrohttpd, and where no line's end has been found yet. */
    size_t scanned, kept, searched;
    bool begun; /* the request line has been read */
    uint64_t left;
    const char *text;
    size_t heads; /* that came out */
    /* Why the last head that came out, or its body, is refused; 0: it is not. */
    unsigned status;
    const char *fault;
    bool head_refused; /* the head itself, of which a sound one is the stand-in */
    /* Of a refused head the first bytes, and its X-Request-Id if that came before the fault. */
    char line[HTTP_STREAM_LINE], id[HTTP_STREAM_ID];
};

/* Takes bytes from `in`, which it may change, and puts what comes out into `out`. Returns the
 * number that came out, and of those taken in *ret_taken. What is not taken is to be given again,
 * at the beginning, with more after it. A head that breaks a rule comes out as one that is sound,
 * and `status` tells it apart; a body that does ends there. */
size_t http_stream_run(struct http_stream *stream, char *in, size_t length, size_t *ret_taken,
                       char *out, size_t room);

#endif
