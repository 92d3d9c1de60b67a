/* pnm.c: decodes Netpbm's portable formats: bitmaps, greys and colours (P1 to P6), as text and
 * binary, with samples of 1 or 2 bytes. Of several pictures in a file the first is used.
 * Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include "image/decoded_rows.h"

enum { MOST_VALUE = 65535 };

/* The bytes and the position of the reader. */
struct text {
    const unsigned char *bytes;
    size_t length, at;
};

struct header {
    int kind; /* 1 to 6 */
    int width, height, channels, most;
};

static bool is_blank(int byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Skips white space and comments; false at the end. */
static bool skip(struct text *text) {
    for (; text->at < text->length; text->at++) {
        const unsigned char byte = text->bytes[text->at];
        if (byte == '#')
            while (text->at < text->length && text->bytes[text->at] != '\n')
                text->at++;
        else if (!is_blank(byte))
            return true;
    }
    return false;
}

/* Reads an unsigned number up to `most`, of a single digit in a bitmap; -1: there is none. */
static long read_number(struct text *text, long most, bool one_digit) {
    long value = -1;
    if (!skip(text))
        return -1;
    while (text->at < text->length && text->bytes[text->at] >= '0' &&
           text->bytes[text->at] <= '9') {
        value = (value < 0 ? 0 : value) * 10 + (text->bytes[text->at++] - '0');
        if (value > most)
            return -1;
        if (one_digit)
            break;
    }
    return value;
}

static enum cn_status read_header(struct text *text, const struct cn_picture_limits *limits,
                                  struct header *ret_header, struct cn_error *error) {
    struct header header = {.kind = text->bytes[1] - '0', .most = 1};
    text->at = 2;
    const long width = read_number(text, INT32_MAX, false);
    const long height = read_number(text, INT32_MAX, false);
    header.channels = header.kind % 3 == 0 ? 3 : 1;
    if (header.kind % 3 != 1)
        header.most = (int)read_number(text, MOST_VALUE, false);
    if (width < 0 || height < 0 || header.most < 1)
        return cn_fail(
            error, CN_MALFORMED,
            "PNM: width, height and largest value must be numbers, the last from 1 to %d",
            MOST_VALUE);
    const enum cn_status status = cn_format_check_size("PNM", width, height, limits, error);
    header.width = (int)width;
    header.height = (int)height;
    text->at++; /* the single blank before the samples */
    if (status == CN_OK)
        *ret_header = header;
    return status;
}

/* Reads one row of P1 to P3; false if it is missing. */
static bool read_text_row(struct text *text, const struct header *header, uint8_t *samples) {
    const int count = header->width * header->channels;
    for (int i = 0; i < count; i++) {
        const long value = read_number(text, header->most, header->kind == 1);
        if (value < 0)
            return false;
        samples[i] = (uint8_t)(header->kind == 1 ? (value == 0) * 255 : value * 255 / header->most);
    }
    return true;
}

/* Reads one row of P4 to P6. */
static bool read_row(struct text *text, const struct header *header, uint8_t *samples) {
    const size_t count = (size_t)header->width * (size_t)header->channels;
    const size_t bytes = header->kind == 4    ? (count + 7) / 8
                         : header->most > 255 ? count * 2
                                              : count;
    if (text->at > text->length || text->length - text->at < bytes)
        return false;
    const unsigned char *from = text->bytes + text->at;
    for (size_t i = 0; i < count; i++) {
        const int value = header->kind == 4    ? !(from[i / 8] >> (7 - i % 8) & 1)
                          : header->most > 255 ? from[2 * i] << 8 | from[2 * i + 1]
                                               : from[i];
        samples[i] = (uint8_t)(value >= header->most ? 255 : value * 255 / header->most);
    }
    text->at += bytes;
    return true;
}

static enum cn_status read_rows(struct text *text, const struct header *header, uint8_t *samples,
                                struct cn_rows *rows, struct cn_error *error) {
    for (int y = 0; y < header->height; y++) {
        if (!(header->kind < 4 ? read_text_row : read_row)(text, header, samples))
            return cn_fail_at(
                error, CN_MALFORMED, NULL, (long long)text->at,
                "PNM: row %d of %d is truncated or has a sample that is not from 0 to %d", y + 1,
                header->height, header->most);
        if (!cn_rows_put(rows, y, 0, 1, header->width, samples))
            return cn_rows_fail_stopped(error);
    }
    return CN_OK;
}

static enum cn_status pnm_decode(const unsigned char *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error) {
    struct text text = {bytes, length, 0};
    struct header header = {0};
    struct cn_rows rows = {0};
    enum cn_status status = read_header(&text, limits, &header, error);
    if (status != CN_OK)
        return status;
    uint8_t *samples = malloc((size_t)header.width * (size_t)header.channels);
    status = samples != NULL ? cn_rows_begin(&rows, header.width, header.height, header.channels, 1,
                                             false, limits, error)
                             : cn_fail(error, CN_MEMORY, "PNM: no memory for a row");
    if (status == CN_OK)
        status = read_rows(&text, &header, samples, &rows, error);
    free(samples);
    if (status == CN_OK)
        cn_rows_finish(&rows, ret_picture);
    else
        cn_rows_clear(&rows);
    return status;
}

static bool pnm_recognize(const unsigned char *bytes, size_t length) {
    return length >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
           (is_blank(bytes[2]) || bytes[2] == '#');
}

const struct cn_format cn_format_pnm = {"PNM", pnm_recognize, pnm_decode};
