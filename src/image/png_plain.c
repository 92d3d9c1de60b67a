/* png_plain.c: see png_plain.h. libdeflate inflates a small picture as a whole in half the time of
 * zlib, and what libpng prepares for each picture costs more than the rest of such a one. Accepts
 * nothing that libpng would not: every checksum is verified, the chunks' order, the exact size of
 * the data and each row's filter. Thread-safe: the only state is a decompressor per thread. */
#include "image/png_plain.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "image/decoded_rows.h"

enum { MOST_BYTES = 65536, CHUNK_HEAD = 8, CHUNK_SUM = 4 };

/* The compressed data, one piece or several that follow each other. */
struct plain_data {
    const unsigned char *bytes;
    unsigned char *joined; /* of several pieces; freed by the caller */
    size_t length;
};

/* Appends a piece; the first stays where it is. */
static bool add_piece(struct plain_data *data, const unsigned char *piece, size_t length,
                      size_t most) {
    if (data->length == 0) {
        data->bytes = piece;
        data->length = length;
        return true;
    }
    if (data->joined == NULL) {
        data->joined = malloc(most);
        if (data->joined == NULL)
            return false;
        memcpy(data->joined, data->bytes, data->length);
        data->bytes = data->joined;
    }
    memcpy(data->joined + data->length, piece, length);
    data->length += length;
    return true;
}

/* Walks over the chunks, whose sizes cn_png_scan has checked. */
static bool collect_data(const unsigned char *bytes, size_t length, struct plain_data *data) {
    bool begun = false;
    for (size_t at = CN_PNG_SIGNATURE;;) {
        const unsigned char *chunk = bytes + at;
        const size_t size = (size_t)cn_number_big(chunk, 4);
        const unsigned char *content = chunk + CHUNK_HEAD;
        if (libdeflate_crc32(0, chunk + 4, size + 4) != cn_number_big(content + size, 4))
            return false;
        if (memcmp(chunk + 4, "IDAT", 4) == 0) {
            begun = true;
            if (!add_piece(data, content, size, length))
                return false;
        } else if (memcmp(chunk + 4, "IEND", 4) == 0) {
            return begun && size == 0;
        } else if (at != CN_PNG_SIGNATURE) { /* the first is IHDR */
            return false;
        }
        at += CHUNK_HEAD + size + CHUNK_SUM;
    }
}

static pthread_key_t decompressor_key;
static bool has_key;

static void free_decompressor(void *decompressor) {
    libdeflate_free_decompressor(decompressor);
}

static void make_key(void) {
    has_key = pthread_key_create(&decompressor_key, free_decompressor) == 0;
}

/* A thread that outlives this library, when it is unloaded, must not call free_decompressor. */
__attribute__((destructor)) static void delete_key(void) {
    if (has_key)
        (void)pthread_key_delete(decompressor_key);
}

/* Each thread has one and keeps it: a new one is cleared, which costs as many instructions as a
 * small picture's data. NULL without memory. */
static struct libdeflate_decompressor *decompressor_of_thread(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_key);
    struct libdeflate_decompressor *own = has_key ? pthread_getspecific(decompressor_key) : NULL;
    if (own != NULL || !has_key)
        return own;
    own = libdeflate_alloc_decompressor();
    if (own != NULL && pthread_setspecific(decompressor_key, own) != 0) {
        libdeflate_free_decompressor(own);
        own = NULL;
    }
    return own;
}

static bool inflate_whole(const struct plain_data *data, unsigned char *raw, size_t size) {
    struct libdeflate_decompressor *decompressor = decompressor_of_thread();
    size_t used = 0;
    const bool whole = decompressor != NULL &&
                       libdeflate_zlib_decompress_ex(decompressor, data->bytes, data->length, raw,
                                                     size, &used, NULL) == LIBDEFLATE_SUCCESS &&
                       used == data->length;
    return whole;
}

/* PNG 9.4: a left, b above, c above left. */
static unsigned char paeth(int a, int b, int c) {
    const int to_a = abs(b - c), to_b = abs(a - c), to_c = abs(a + b - 2 * c);
    return (unsigned char)(to_a <= to_b && to_a <= to_c ? a : to_b <= to_c ? b : c);
}

/* Undoes the filter of a row in place; `above` has been done, zeros for the first one. */
static bool row_unfilter(int filter, unsigned char *row, const unsigned char *above, size_t length,
                         size_t pixel) {
    switch (filter) {
    case 0:
        return true;
    case 1:
        for (size_t i = pixel; i < length; i++)
            row[i] = (unsigned char)(row[i] + row[i - pixel]);
        return true;
    case 2:
        for (size_t i = 0; i < length; i++)
            row[i] = (unsigned char)(row[i] + above[i]);
        return true;
    case 3:
        for (size_t i = 0; i < length; i++)
            row[i] = (unsigned char)(row[i] + ((i < pixel ? 0 : row[i - pixel]) + above[i]) / 2);
        return true;
    case 4:
        for (size_t i = 0; i < length; i++)
            row[i] = (unsigned char)(row[i] + (i < pixel ? above[i]
                                                         : paeth(row[i - pixel], above[i],
                                                                 above[i - pixel])));
        return true;
    default:
        return false;
    }
}

/* `raw` begins with a row of zeros and one byte: each row has its filter before it. */
static bool rows_unpack(unsigned char *raw, const struct cn_png_header *header, size_t pixel,
                        const struct cn_picture_limits *limits, struct cn_picture *ret_picture) {
    const size_t row = (size_t)header->width * pixel;
    struct cn_rows rows;
    bool good = cn_rows_begin(&rows, header->width, header->height, (int)pixel, 1, false, limits,
                              NULL) == CN_OK;
    if (!good)
        return false;
    for (int y = 0; y < header->height && good; y++) {
        unsigned char *now = raw + ((size_t)y + 1) * (row + 1);
        good = row_unfilter(now[0], now + 1, now - row, row, pixel) &&
               cn_rows_put(&rows, y, 0, 1, header->width, now + 1);
    }
    if (good)
        cn_rows_finish(&rows, ret_picture);
    else
        cn_rows_clear(&rows);
    return good;
}

bool cn_png_decode_plain(const unsigned char *bytes, size_t length,
                         const struct cn_png_header *header, const struct cn_picture_limits *limits,
                         struct cn_picture *ret_picture) {
    static const size_t samples[] = {[0] = 1, [2] = 3, [4] = 2, [6] = 4};
    if (header->depth != 8 || header->interlaced || header->color_type == 3 || length > MOST_BYTES)
        return false;
    const size_t pixel = samples[header->color_type], row = (size_t)header->width * pixel + 1;
    if (row > MOST_BYTES || row * (size_t)header->height > MOST_BYTES)
        return false;
    const size_t size = row * (size_t)header->height;
    struct plain_data data = {0};
    unsigned char *raw = malloc(row + size);
    if (raw != NULL)
        memset(raw, 0, row);
    const bool good = raw != NULL && collect_data(bytes, length, &data) &&
                      inflate_whole(&data, raw + row, size) &&
                      rows_unpack(raw, header, pixel, limits, ret_picture);
    free(data.joined);
    free(raw);
    return good;
}

#else
bool cn_png_decode_plain(const unsigned char *bytes, size_t length,
                         const struct cn_png_header *header, const struct cn_picture_limits *limits,
                         struct cn_picture *ret_picture) {
    (void)bytes, (void)length, (void)header, (void)limits, (void)ret_picture;
    return false;
}
#endif
