/* stream.c: finds where each request of a connection begins and ends, before libmicrohttpd sees it.
 * It removes or refuses everything that libmicrohttpd would interpret in its own way: line ends
 * that are not CRLF, folded lines, chunk extensions, trailers. It neither receives nor answers. No
 * state but the stream's. */
#include "http/stream.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/head.h"

/* Libmicrohttpd gets this in place of a refused head. A refused body ends at the fault. */
static const char refused_head[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
static const char last_chunk[] = "0\r\n\r\n";
static const char end_of_chunk_and_last[] = "\r\n0\r\n\r\n";

enum { SIZE_DIGITS = 16, CHUNK_LINE = 4096, MOST_EMPTY_LINES = 16 };

/* One call's input that is left and its room for output. */
struct run {
    char *in, *out;
    size_t length, room;
    bool stuck; /* it needs more bytes */
};

static void stream_take(struct run *run, size_t count) {
    run->in += count;
    run->length -= count;
}

static void go_to(struct http_stream *stream, enum http_stream_state state) {
    stream->state = state;
    stream->scanned = stream->kept = stream->searched = 0;
    if (state == HTTP_STREAM_HEAD) {
        stream->head = (struct http_head){0};
        stream->begun = false;
        stream->empty_lines = 0;
    }
}

static void stream_copy(struct http_stream *stream, uint64_t count, enum http_stream_state next) {
    stream->state = HTTP_STREAM_COPY;
    stream->left = count;
    stream->next = next;
}

static void say(struct http_stream *stream, const char *text, enum http_stream_state next) {
    stream->state = HTTP_STREAM_TEXT;
    stream->text = text;
    stream->left = strlen(text);
    stream->next = next;
}

static void stream_refuse(struct http_stream *stream, const char *instead) {
    stream->status = stream->head.status;
    stream->fault = stream->head.fault;
    say(stream, instead, HTTP_STREAM_REFUSED);
}

/* Finds the next complete line that ends with CRLF, from stream->scanned on, and its length without
 * the CRLF. False: there is none yet, or head.status tells its fault. */
static bool next_line(struct http_stream *stream, const struct run *run, size_t *ret_length) {
    const char *line = run->in + stream->scanned;
    const char *from = run->in + stream->searched;
    const char *end = memchr(from, '\n', run->length - stream->searched);
    if (end == NULL) {
        stream->searched = run->length;
        return false;
    }
    if (end == line || end[-1] != '\r') {
        http_head_reject(&stream->head, 400, "a line does not end with CRLF");
        return false;
    }
    *ret_length = (size_t)(end - line) - 1;
    stream->searched = (size_t)(end - run->in) + 1;
    return true;
}

/* Finishes the line that next_line found; its first `kept` bytes and its CRLF are kept. */
static void end_line(struct http_stream *stream, const struct run *run, size_t length,
                     size_t kept) {
    if (kept > 0 || length == 0) {
        if (stream->kept != stream->scanned)
            memmove(run->in + stream->kept, run->in + stream->scanned, kept);
        memcpy(run->in + stream->kept + kept, "\r\n", 2);
        stream->kept += kept + 2;
    }
    stream->scanned += length + 2;
}

static void keep_line(struct http_stream *stream, const struct run *run) {
    const size_t most = run->length < HTTP_STREAM_LINE - 1 ? run->length : HTTP_STREAM_LINE - 1;
    size_t length = 0;
    while (length < most && run->in[length] != '\r' && run->in[length] != '\n') {
        stream->line[length] = run->in[length] != '\0' ? run->in[length] : '?';
        length++;
    }
    stream->line[length] = '\0';
}

/* Remembers X-Request-Id from the lines that were sound. */
static void keep_id(struct http_stream *stream, const struct run *run) {
    static const char name[] = "\r\nX-Request-Id:";
    const size_t length = sizeof name - 1;
    for (size_t at = 0; at + length < stream->kept; at++) {
        if (strncasecmp(run->in + at, name, length) != 0)
            continue;
        const char *value = run->in + at + length;
        value += strspn(value, " \t");
        (void)snprintf(stream->id, sizeof stream->id, "%.*s", (int)strcspn(value, "\r"), value);
    }
}

static void refuse_head(struct http_stream *stream, struct run *run) {
    keep_line(stream, run);
    keep_id(stream, run);
    stream->head_refused = true;
    stream_take(run, run->length);
    stream->heads++;
    stream_refuse(stream, refused_head);
}

static void check_head_size(struct http_stream *stream, const struct run *run) {
    const size_t bytes = stream->scanned > 0 ? stream->searched : run->length;
    if (stream->head.fields > stream->limits->fields)
        http_head_reject(&stream->head, 431,
                         "the head has more fields than max-header-fields allows");
    else if (bytes > stream->limits->bytes && !stream->begun)
        http_head_reject(&stream->head, 414, "the request line is larger than max-header allows");
    else if (bytes > stream->limits->bytes)
        http_head_reject(&stream->head, 431, "the head is larger than max-header allows");
}

/* The head is complete: its kept bytes are output, and the body follows. */
static void end_head(struct http_stream *stream, struct run *run) {
    const size_t gap = stream->scanned - stream->kept;
    const struct http_head *head = &stream->head;
    if (gap > 0) {
        memmove(run->in + gap, run->in, stream->kept);
        stream_take(run, gap);
    }
    stream->heads++;
    stream_copy(stream, stream->kept + head->length,
                head->chunked ? HTTP_STREAM_CHUNK : HTTP_STREAM_HEAD);
}

static void read_head(struct http_stream *stream, struct run *run) {
    struct http_head *head = &stream->head;
    size_t length = 0;
    bool whole = false;
    while (!stream->begun && head->status == 0 && run->length >= 2 &&
           memcmp(run->in, "\r\n", 2) == 0) {
        stream_take(run, 2); /* RFC 9112, 2.2: empty lines may precede the request line */
        stream->searched = 0;
        if (++stream->empty_lines > MOST_EMPTY_LINES)
            http_head_reject(head, 400, "more than 16 empty lines precede the request line");
    }
    const bool odd = run->length > 0 && !stream->begun && !http_is_tchar(run->in[0]);
    if (odd && (run->in[0] != '\r' || run->length > 1))
        http_head_reject(head, 400, "the request line does not begin with a method");
    while (head->status == 0 && !whole && next_line(stream, run, &length)) {
        const char *line = run->in + stream->scanned;
        size_t kept = length;
        if (!stream->begun)
            http_head_request_line(head, line, length);
        else if (length > 0)
            kept = http_head_field(head, line, length);
        else
            (void)http_head_end(head);
        whole = stream->begun && length == 0;
        end_line(stream, run, length, kept);
        check_head_size(stream, run);
        stream->begun = true;
    }
    if (head->status == 0 && !whole)
        check_head_size(stream, run);
    if (head->status != 0)
        refuse_head(stream, run);
    else if (whole)
        end_head(stream, run);
    else
        run->stuck = true;
}

/* Parses hexadecimal digits; an extension may follow, which is ignored: RFC 9112, 7.1.1. */
static void read_chunk_size(struct http_head *head, const char *line, size_t length,
                            uint64_t *ret_size) {
    uint64_t size = 0;
    size_t digits = 0;
    for (; digits < length && http_hex_digit(line[digits]) >= 0; digits++) {
        if (size > INT64_MAX >> 4) {
            http_head_reject(head, 413, "a chunk is larger than any body that is accepted");
            return;
        }
        size = size << 4 | (unsigned)http_hex_digit(line[digits]);
    }
    if (digits == 0 || digits > 2 * SIZE_DIGITS)
        http_head_reject(head, 400, "a chunk's size is not a hexadecimal number");
    else if (!http_head_is_extension(line + digits, length - digits))
        http_head_reject(head, 400, "what follows a chunk's size is not an extension");
    if (!http_is_field_content(line, length))
        http_head_reject(head, 400, "a chunk's extension contains a control byte");
    *ret_size = size;
}

/* The size is output without leading zeros and extensions. */
static void read_chunk(struct http_stream *stream, struct run *run) {
    size_t length = 0;
    uint64_t size = 0;
    const bool whole = next_line(stream, run, &length);
    if (whole)
        read_chunk_size(&stream->head, run->in, length, &size);
    if (whole ? length > CHUNK_LINE : run->length > CHUNK_LINE)
        http_head_reject(&stream->head, 400, "the line with a chunk's size is too long");
    if (stream->head.status != 0) {
        stream_refuse(stream, last_chunk);
    } else if (!whole) {
        run->stuck = true;
    } else if (size == 0) {
        stream_take(run, length + 2);
        stream->head.fields = 0;
        go_to(stream, HTTP_STREAM_TRAILER);
    } else {
        char text[SIZE_DIGITS + 3];
        const size_t written =
            (size_t)snprintf(text, sizeof text, "%llx", (unsigned long long)size);
        stream_take(run, length - written);
        memcpy(run->in, text, written);
        go_to(stream, HTTP_STREAM_COPY);
        stream_copy(stream, written + 2 + size, HTTP_STREAM_CHUNK_END);
    }
}

static void read_chunk_end(struct http_stream *stream, struct run *run) {
    if (run->length > 0 && (run->in[0] != '\r' || (run->length > 1 && run->in[1] != '\n'))) {
        http_head_reject(&stream->head, 400, "a chunk does not end with CRLF after its size");
        stream_refuse(stream, end_of_chunk_and_last);
    } else if (run->length < 2) {
        run->stuck = true;
    } else {
        stream_copy(stream, 2, HTTP_STREAM_CHUNK);
    }
}

/* Fields after the last chunk are checked and dropped. They come too late to change anything about
 * the message. */
static void read_trailer(struct http_stream *stream, struct run *run) {
    struct http_head *head = &stream->head;
    size_t length = 0;
    bool whole = false;
    while (head->status == 0 && !whole && next_line(stream, run, &length)) {
        struct http_head field = {0};
        if (length > 0)
            (void)http_head_field(&field, run->in + stream->scanned, length);
        if (field.has_length || field.chunked || field.hosts > 0)
            http_head_reject(&field, 400,
                             "a trailer contains a field that only a header may contain");
        if (field.status != 0)
            http_head_reject(head, field.status, field.fault);
        head->fields += field.fields;
        stream->scanned = stream->searched;
        whole = length == 0;
        check_head_size(stream, run);
    }
    if (head->status == 0 && !whole)
        check_head_size(stream, run);
    if (head->status != 0) {
        stream_refuse(stream, last_chunk);
    } else if (whole) {
        stream_take(run, stream->scanned);
        say(stream, last_chunk, HTTP_STREAM_HEAD);
    } else {
        run->stuck = true;
    }
}

/* Outputs as many of the remaining bytes from `from` as there is room for; returns the number. */
static size_t give(struct http_stream *stream, struct run *run, const char *from,
                   size_t available) {
    size_t count = available < run->room ? available : run->room;
    if (count > stream->left)
        count = (size_t)stream->left;
    memcpy(run->out, from, count);
    run->out += count;
    run->room -= count;
    stream->left -= count;
    run->stuck = count == 0 && stream->left > 0;
    if (stream->left == 0)
        go_to(stream, stream->next);
    return count;
}

size_t http_stream_run(struct http_stream *stream, char *in, size_t length, size_t *ret_taken,
                       char *out, size_t room) {
    struct run run = {.in = in, .out = out, .length = length, .room = room};
    while (!run.stuck) {
        switch (stream->state) {
        case HTTP_STREAM_HEAD:
            read_head(stream, &run);
            break;
        case HTTP_STREAM_COPY:
            stream_take(&run, give(stream, &run, run.in, run.length));
            break;
        case HTTP_STREAM_CHUNK:
            read_chunk(stream, &run);
            break;
        case HTTP_STREAM_CHUNK_END:
            read_chunk_end(stream, &run);
            break;
        case HTTP_STREAM_TRAILER:
            read_trailer(stream, &run);
            break;
        case HTTP_STREAM_TEXT:
            stream->text += give(stream, &run, stream->text, (size_t)stream->left);
            break;
        case HTTP_STREAM_REFUSED:
            stream_take(&run, run.length);
            run.stuck = true;
            break;
        }
    }
    *ret_taken = (size_t)(run.in - in);
    return (size_t)(run.out - out);
}
