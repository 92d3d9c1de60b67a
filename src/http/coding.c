/* coding.c: compresses and decompresses bodies with zlib. The size of the output is limited before
 * it is produced. It reads no headers. No state but the caller's. */
#include "http/coding.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum {
    FREE_BYTES = 1 << 20, /* every body may have this size after decompression */
    MAX_RATIO = 256,      /* deflate can reach 1,032; pictures and numbers stay far below */
    FIRST_BYTES = 65536,
    LEAST_ANSWER = 1400, /* a shorter answer fits in one packet anyway */
    GZIP_LEVEL = 1,      /* the fastest level, since the client waits */
    GZIP_WINDOW = 15 + 16
};

enum http_coding http_coding_of(const char *value) {
    if (value == NULL || *value == '\0' || strcasecmp(value, "identity") == 0)
        return HTTP_CODING_NONE;
    if (strcasecmp(value, "gzip") == 0 || strcasecmp(value, "x-gzip") == 0)
        return HTTP_CODING_GZIP;
    return strcasecmp(value, "deflate") == 0 ? HTTP_CODING_DEFLATE : HTTP_CODING_UNKNOWN;
}

/* A growing buffer of output, which has room for a NUL at its end. */
struct output {
    unsigned char *bytes;
    size_t length, capacity, limit;
};

static bool output_grow(struct output *output) {
    size_t capacity = output->capacity > 0 ? 2 * output->capacity : FIRST_BYTES;
    if (capacity > output->limit)
        capacity = output->limit;
    unsigned char *bytes = realloc(output->bytes, capacity + 1);
    if (bytes == NULL)
        return false;
    output->bytes = bytes;
    output->capacity = capacity;
    return true;
}

/* Inflates all members (a gzip body may have several); returns 0 or the status to answer. */
static unsigned inflate_all(z_stream *stream, bool members, struct output *output) {
    for (;;) {
        if (output->length == output->capacity) {
            if (output->capacity == output->limit) {
                /* The buffer is full at the limit: this is right only if no more output comes. */
                unsigned char none;
                stream->next_out = &none;
                stream->avail_out = 1;
                const int last = inflate(stream, Z_NO_FLUSH);
                if (last == Z_STREAM_END && stream->avail_out == 1 && stream->avail_in == 0)
                    return 0;
                const bool more = stream->avail_out == 0 || last == Z_STREAM_END;
                return more ? 413 : 400;
            }
            if (!output_grow(output))
                return 503;
        }
        const size_t room = output->capacity - output->length;
        stream->next_out = output->bytes + output->length;
        stream->avail_out = (uInt)room;
        const int result = inflate(stream, Z_NO_FLUSH);
        output->length += room - stream->avail_out;
        if (result == Z_STREAM_END) {
            if (stream->avail_in == 0)
                return 0;
            if (!members || inflateReset(stream) != Z_OK)
                return 400;
        } else if (result == Z_MEM_ERROR) {
            return 503;
        } else if (result != Z_OK || (stream->avail_in == 0 && stream->avail_out > 0)) {
            return 400; /* malformed or truncated */
        }
    }
}

unsigned http_coding_inflate(enum http_coding coding, const void *bytes, size_t length,
                             size_t limit, unsigned char **ret_bytes, size_t *ret_length,
                             const char **ret_fault) {
    const size_t ratio = length < SIZE_MAX / MAX_RATIO ? length * MAX_RATIO : SIZE_MAX;
    const size_t fair = ratio > FREE_BYTES ? ratio : FREE_BYTES;
    struct output output = {.limit = limit < fair ? limit : fair};
    z_stream stream = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)length};
    unsigned status = 503;
    if (length > (uInt)-1 || output.limit > (uInt)-1)
        status = 413;
    else if (inflateInit2(&stream, coding == HTTP_CODING_GZIP ? GZIP_WINDOW : 15) == Z_OK) {
        status = inflate_all(&stream, coding == HTTP_CODING_GZIP, &output);
        (void)inflateEnd(&stream);
    }
    if (status == 0) {
        output.bytes[output.length] = '\0';
        *ret_bytes = output.bytes;
        *ret_length = output.length;
        return 0;
    }
    free(output.bytes);
    *ret_fault = status == 400   ? "the compressed body is malformed or truncated"
                 : status == 503 ? "no memory for the body"
                 : limit <= fair ? "the decompressed body is over the limit"
                                 : "the body decompresses to more than 256 times its length";
    return status;
}

/* ---- Answers ---- */

bool http_coding_is_worthwhile(const char *content_type, size_t length) {
    static const char *const types[] = {"application/", "text/", "image/svg"};
    for (size_t i = 0; content_type != NULL && i < sizeof types / sizeof *types; i++)
        if (strncmp(content_type, types[i], strlen(types[i])) == 0)
            return length >= LEAST_ANSWER;
    return false;
}

bool http_coding_accepts_gzip(const char *accept) {
    for (const char *at = accept; at != NULL && *at != '\0';) {
        at += strspn(at, ", \t");
        const size_t length = strcspn(at, ",");
        const size_t name = strcspn(at, ",; \t");
        if (name == 4 && strncasecmp(at, "gzip", 4) == 0) {
            const char *q = memchr(at, '=', length);
            return q == NULL || strspn(q + 1, "0.") < strcspn(q + 1, ", \t;");
        }
        at += length;
    }
    return false;
}

char *http_coding_gzip(const void *bytes, size_t length, size_t *ret_length) {
    z_stream stream = {.next_in = (z_const Bytef *)bytes, .avail_in = (uInt)length};
    const size_t room = length - length / 10;
    if (length > (uInt)-1 ||
        deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    char *packed = malloc(room + 1);
    stream.next_out = (Bytef *)packed;
    stream.avail_out = packed != NULL ? (uInt)room : 0;
    const bool done = packed != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *ret_length = room - stream.avail_out;
    (void)deflateEnd(&stream);
    if (done)
        return packed;
    free(packed);
    return NULL;
}
