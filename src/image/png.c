/* png.c: decodes PNG with libpng's row interface, within limits. Every error of libpng is an error
 * here, including CRC and "benign" ones. Ancillary chunks are skipped except tRNS, and gAMA and
 * sRGB, which are reported but not applied. Rows are reduced as they arrive, and indices are never
 * expanded; the passes of an interlaced picture are taken pixel by pixel. Thread-safe: all state is
 * in struct decoder. setjmp is in one function whose variables are all reached through a pointer,
 * so a longjmp leaves none of them undefined. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/decoded_rows.h"
#include "image/png_plain.h"
#include "image/png_scan.h"

struct decoder {
    const unsigned char *bytes;
    size_t length, used;
    struct cn_png_header header;
    png_structp png;
    png_infop info;
    const struct cn_picture_limits *limits;
    struct cn_rows rows;
    uint8_t *row;
    double gamma;
    bool out_of_memory;
    char message[128];
    enum cn_status status;
    struct cn_error *error;
};

static void on_error(png_structp png, png_const_charp message) {
    struct decoder *decoder = png_get_error_ptr(png);
    (void)snprintf(decoder->message, sizeof decoder->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static png_voidp on_allocate(png_structp png, png_alloc_size_t size) {
    struct decoder *decoder = png_get_mem_ptr(png);
    void *block = malloc(size);
    if (block == NULL)
        decoder->out_of_memory = true;
    return block;
}

static void on_free(png_structp png, png_voidp block) {
    (void)png;
    free(block);
}

static void on_read(png_structp png, png_bytep target, size_t count) {
    struct decoder *decoder = png_get_io_ptr(png);
    if (count > decoder->length - decoder->used)
        png_error(png, "the data ends too early");
    memcpy(target, decoder->bytes + decoder->used, count);
    decoder->used += count;
}

static void configure(struct decoder *decoder) {
    png_structp png = decoder->png;
    png_set_read_fn(png, decoder, on_read);
    png_set_user_limits(png, (png_uint_32)decoder->header.width,
                        (png_uint_32)decoder->header.height);
    png_set_chunk_cache_max(png, 16);
    /* Chunks need no limit of size: the format bounds PLTE and tRNS, and all other ancillary chunks
     * are skipped unread, so that a long text or profile is no error. */
    png_set_chunk_malloc_max(png, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png, 0);
}

/* The colours of indices, or of grey samples of a few bits; returns their number of channels. */
static int read_colors(struct decoder *decoder, uint8_t colors[256 * 4]) {
    png_colorp palette = NULL;
    png_bytep alphas = NULL;
    png_color_16p clear = NULL;
    int count = 0, alpha_count = 0;
    bool grey = true, opaque = true;
    (void)png_get_tRNS(decoder->png, decoder->info, &alphas, &alpha_count, &clear);
    memset(colors, 0, 256 * 4);
    if (decoder->header.color_type == PNG_COLOR_TYPE_GRAY) {
        count = 1 << decoder->header.depth;
        for (int i = 0; i < count; i++) {
            memset(colors + i * 4, i * 255 / (count - 1), 3);
            colors[i * 4 + 3] = clear != NULL && clear->gray == i ? 0 : 255;
        }
        return clear != NULL ? 2 : 1;
    }
    (void)png_get_PLTE(decoder->png, decoder->info, &palette, &count);
    for (int i = 0; i < count && i < 256; i++) {
        uint8_t *color = colors + i * 4;
        color[0] = palette[i].red;
        color[1] = palette[i].green;
        color[2] = palette[i].blue;
        color[3] = alphas != NULL && i < alpha_count ? alphas[i] : 255;
        grey = grey && color[0] == color[1] && color[0] == color[2];
        opaque = opaque && color[3] == 255;
    }
    return (grey ? 1 : 3) + !opaque;
}

/* Sets libpng's transformations; returns the channels of its rows, or of their colours if they are
 * indices. */
static int set_transformations(struct decoder *decoder, uint8_t colors[256 * 4],
                               bool *ret_indexed) {
    png_structp png = decoder->png;
    const bool keyed = png_get_valid(png, decoder->info, PNG_INFO_tRNS) != 0;
    const int depth = decoder->header.depth;
    /* Grey samples of 8 bits, which most small pictures have, need no table. */
    *ret_indexed =
        decoder->header.color_type == PNG_COLOR_TYPE_PALETTE ||
        (decoder->header.color_type == PNG_COLOR_TYPE_GRAY && depth <= 8 && (depth < 8 || keyed));
    if (*ret_indexed) {
        png_set_packing(png);
        png_read_update_info(png, decoder->info);
        return read_colors(decoder, colors);
    }
    if (keyed)
        png_set_tRNS_to_alpha(png);
    png_set_scale_16(png);
    png_read_update_info(png, decoder->info);
    return png_get_channels(png, decoder->info);
}

/* Adam7: first column, first row, column step, row step; a picture without interlace is one pass.
 */
static const int passes[8][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                 {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}, {0, 0, 1, 1}};

static bool read_pass(struct decoder *decoder, const int pass[4]) {
    for (int y = pass[1]; y < decoder->header.height; y += pass[3]) {
        const int count = (decoder->header.width - pass[0] + pass[2] - 1) / pass[2];
        if (count < 1)
            return true;
        png_read_row(decoder->png, decoder->row, NULL);
        if (!cn_rows_put(&decoder->rows, y, pass[0], pass[2], count, decoder->row)) {
            decoder->status = cn_rows_fail_stopped(decoder->error);
            return false;
        }
    }
    return true;
}

/* Returns false after libpng's longjmp, or with decoder->status set. */
static bool decode(struct decoder *decoder) {
    png_structp png = decoder->png;
    const struct cn_png_header *header = &decoder->header;
    uint8_t colors[256 * 4];
    bool indexed = false;
    if (setjmp(png_jmpbuf(png)))
        return false;
    configure(decoder);
    png_read_info(png, decoder->info);
    if (png_get_gAMA(png, decoder->info, &decoder->gamma) == 0)
        decoder->gamma = 0.0; /* an sRGB chunk sets its own gamma */
    const int channels = set_transformations(decoder, colors, &indexed);
    const size_t row = png_get_rowbytes(png, decoder->info);
    if (png_get_bit_depth(png, decoder->info) != 8 ||
        row != (size_t)header->width * (indexed ? 1 : (size_t)channels))
        png_error(png, "the rows do not have the expected size");
    decoder->row = malloc(row);
    if (decoder->row == NULL) {
        decoder->out_of_memory = true;
        return false;
    }
    decoder->status = cn_rows_begin(&decoder->rows, header->width, header->height, channels, 1,
                                    header->interlaced, decoder->limits, decoder->error);
    if (decoder->status != CN_OK)
        return false;
    if (indexed)
        cn_rows_index(&decoder->rows, colors);
    for (int pass = header->interlaced ? 0 : 7; pass < (header->interlaced ? 7 : 8); pass++)
        if (!read_pass(decoder, passes[pass]))
            return false;
    png_read_end(png, NULL);
    return true;
}

static enum cn_status fail(struct decoder *decoder) {
    if (decoder->status != CN_OK)
        return decoder->status;
    if (decoder->out_of_memory)
        return cn_fail(decoder->error, CN_MEMORY, "no memory for a picture of %d x %d",
                       decoder->header.width, decoder->header.height);
    return cn_fail_at(decoder->error, CN_MALFORMED, NULL, (long long)decoder->used, "PNG: %s",
                      decoder->message);
}

static enum cn_status png_decode(const unsigned char *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error) {
    struct decoder decoder = {.bytes = bytes, .length = length, .limits = limits, .error = error};
    enum cn_status status = cn_png_scan(bytes, length, limits, &decoder.header, error);
    if (status != CN_OK)
        return status;
    if (cn_png_decode_plain(bytes, length, &decoder.header, limits, ret_picture))
        return CN_OK;
    decoder.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning,
                                           &decoder, on_allocate, on_free);
    if (decoder.png != NULL)
        decoder.info = png_create_info_struct(decoder.png);
    if (decoder.info == NULL)
        status = cn_fail(error, CN_MEMORY, "no memory for a PNG decoder");
    else if (!decode(&decoder))
        status = fail(&decoder);
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    free(decoder.row);
    if (status == CN_OK) {
        cn_rows_finish(&decoder.rows, ret_picture);
        ret_picture->gamma = decoder.gamma;
    } else {
        cn_rows_clear(&decoder.rows);
    }
    return status;
}

static bool png_recognize(const unsigned char *bytes, size_t length) {
    return cn_png_recognize(bytes, length);
}

const struct cn_format cn_format_png = {"PNG", png_recognize, png_decode};

enum cn_status cn_png_decode(const void *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error) {
    const struct cn_picture_limits full = cn_format_limits(limits);
    return png_decode(bytes, length, &full, ret_picture, error);
}
