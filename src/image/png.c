/* png.c: decodes PNG bytes with libpng's row interface, under limits. Every error of libpng, CRC
 * and "benign" ones included, is an error here. Ancillary chunks are skipped except tRNS, and gAMA
 * and sRGB, which are reported and not applied: samples are as they are stored. Thread-safe: all
 * state is in struct decoder. setjmp lives in one function whose variables are all reached through
 * a pointer, so a longjmp leaves none of them undefined.
 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/png_scan.h"

const struct cn_picture_limits cn_picture_default_limits = {4096, 4096};

struct decoder {
    const unsigned char *bytes;
    size_t length, used;
    struct cn_png_header header;
    png_structp png;
    png_infop info;
    struct cn_picture picture;
    bool out_of_memory;
    char message[128];
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
    /* No chunk that is kept can be large: PLTE and tRNS are bounded by the format, and all other
     * ancillary chunks are skipped unread, so that a long text or profile is no error. */
    png_set_chunk_malloc_max(png, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png, 0);
}

/* Returns false after libpng's longjmp. */
static bool decode(struct decoder *decoder) {
    png_structp png = decoder->png;
    if (setjmp(png_jmpbuf(png)))
        return false;
    configure(decoder);
    png_read_info(png, decoder->info);
    if (png_get_gAMA(png, decoder->info, &decoder->picture.gamma) == 0)
        decoder->picture.gamma = 0.0; /* an sRGB chunk counts as a gAMA of its own gamma */
    png_set_expand(png);
    png_set_scale_16(png);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, decoder->info);

    const size_t row = png_get_rowbytes(png, decoder->info);
    decoder->picture.width = decoder->header.width;
    decoder->picture.height = decoder->header.height;
    decoder->picture.channels = png_get_channels(png, decoder->info);
    if (png_get_bit_depth(png, decoder->info) != 8 ||
        row != (size_t)decoder->picture.width * (size_t)decoder->picture.channels)
        png_error(png, "the rows do not have the expected size");
    decoder->picture.data = calloc((size_t)decoder->picture.height, row);
    if (decoder->picture.data == NULL) {
        decoder->out_of_memory = true;
        return false;
    }
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < decoder->picture.height; y++)
            png_read_row(png, decoder->picture.data + (size_t)y * row, NULL);
    png_read_end(png, NULL);
    return true;
}

enum cn_status cn_png_decode(const void *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error) {
    struct decoder decoder = {.bytes = bytes, .length = length};
    enum cn_status status = cn_png_scan(bytes, length, limits, &decoder.header, error);
    if (status != CN_OK)
        return status;
    decoder.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning,
                                           &decoder, on_allocate, on_free);
    if (decoder.png != NULL)
        decoder.info = png_create_info_struct(decoder.png);
    if (decoder.info == NULL)
        status = cn_fail(error, CN_MEMORY, "cannot allocate a PNG decoder");
    else if (!decode(&decoder))
        status = decoder.out_of_memory
                     ? cn_fail(error, CN_MEMORY, "cannot allocate a picture of %d x %d",
                               decoder.header.width, decoder.header.height)
                     : cn_fail_at(error, CN_MALFORMED, NULL, (long long)decoder.used, "PNG: %s",
                                  decoder.message);
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    if (status == CN_OK)
        *ret_picture = decoder.picture;
    else
        cn_picture_clear(&decoder.picture);
    return status;
}

void cn_picture_clear(struct cn_picture *picture) {
    if (picture == NULL)
        return;
    free(picture->data);
    *picture = (struct cn_picture){0};
}
