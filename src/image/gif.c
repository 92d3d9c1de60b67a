/* gif.c: decodes the first frame of a GIF with giflib, row by row. Parts of the screen outside the
 * frame are transparent. Thread-safe. */
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "image/decoded_rows.h"

struct source {
    const unsigned char *bytes;
    size_t length, used;
};

static int on_read(GifFileType *gif, GifByteType *target, int count) {
    struct source *source = gif->UserData;
    const size_t left = source->length - source->used;
    const size_t given = (size_t)count < left ? (size_t)count : left;
    memcpy(target, source->bytes + source->used, given);
    source->used += given;
    return (int)given;
}

static enum cn_status fail_malformed(int code, struct cn_error *error) {
    const char *text = GifErrorString(code);
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM)
        return cn_fail(error, CN_MEMORY, "GIF: no memory");
    return cn_fail(error, CN_MALFORMED, "GIF: %s", text != NULL ? text : "the data are corrupt");
}

/* Reads the blocks before the first frame; *ret_clear: the transparent index, or -1. */
static enum cn_status find_frame(GifFileType *gif, int *ret_clear, struct cn_error *error) {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    *ret_clear = NO_TRANSPARENT_COLOR;
    for (;;) {
        if (DGifGetRecordType(gif, &type) == GIF_ERROR)
            return fail_malformed(gif->Error, error);
        if (type == IMAGE_DESC_RECORD_TYPE)
            return CN_OK;
        if (type == TERMINATE_RECORD_TYPE)
            return cn_fail(error, CN_MALFORMED, "GIF: the file contains no picture");
        GifByteType *extension = NULL;
        GraphicsControlBlock control;
        int code = 0;
        if (DGifGetExtension(gif, &code, &extension) == GIF_ERROR)
            return fail_malformed(gif->Error, error);
        if (code == GRAPHICS_EXT_FUNC_CODE && extension != NULL &&
            DGifExtensionToGCB(extension[0], extension + 1, &control) == GIF_OK)
            *ret_clear = control.TransparentColor;
        while (extension != NULL)
            if (DGifGetExtensionNext(gif, &extension) == GIF_ERROR)
                return fail_malformed(gif->Error, error);
    }
}

/* Reads the RGBA of each index; returns the number of channels that they need. */
static int read_colors(const GifFileType *gif, int clear, bool covered, uint8_t colors[256 * 4]) {
    const ColorMapObject *map = gif->Image.ColorMap != NULL ? gif->Image.ColorMap : gif->SColorMap;
    bool grey = true;
    memset(colors, 0, 256 * 4);
    for (int i = 0; i < 256; i++) {
        uint8_t *color = colors + i * 4;
        color[3] = i == clear ? 0 : 255;
        if (map == NULL || i >= map->ColorCount)
            continue;
        color[0] = map->Colors[i].Red;
        color[1] = map->Colors[i].Green;
        color[2] = map->Colors[i].Blue;
        grey = grey && color[0] == color[1] && color[0] == color[2];
    }
    return (grey ? 1 : 3) + (!covered || clear != NO_TRANSPARENT_COLOR);
}

/* Expands a row of indices to pixels of the screen's width. */
static void expand(const GifFileType *gif, const uint8_t *colors, int channels,
                   const uint8_t *indices, uint8_t *pixels) {
    memset(pixels, 0, (size_t)gif->SWidth * (size_t)channels);
    for (int x = 0; x < gif->Image.Width; x++) {
        uint8_t *to = pixels + (size_t)(gif->Image.Left + x) * (size_t)channels;
        const uint8_t *color = colors + (size_t)indices[x] * 4;
        memcpy(to, color, channels < 3 ? 1 : 3);
        to[channels - 1] = color[3];
    }
}

/* The first row and the row step of each pass of an interlaced frame, and of the single pass of
 * another. */
static const int passes[][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}, {0, 1}};

static enum cn_status read_rows(GifFileType *gif, struct cn_rows *rows, const uint8_t *colors,
                                bool covered, uint8_t *scratch, struct cn_error *error) {
    const GifImageDesc *frame = &gif->Image;
    uint8_t *pixels = scratch + gif->SWidth;
    const int first = frame->Interlace ? 0 : 4, end = frame->Interlace ? 4 : 5;
    if (covered)
        cn_rows_index(rows, colors);
    else
        memset(pixels, 0, (size_t)gif->SWidth * 4);
    for (int y = 0; y < gif->SHeight && !covered; y++) /* rows outside the frame */
        if ((y < frame->Top || y >= frame->Top + frame->Height) &&
            !cn_rows_put(rows, y, 0, 1, gif->SWidth, pixels))
            return cn_rows_fail_stopped(error);
    for (int pass = first; pass < end; pass++)
        for (int y = passes[pass][0]; y < frame->Height; y += passes[pass][1]) {
            if (DGifGetLine(gif, scratch, frame->Width) == GIF_ERROR)
                return fail_malformed(gif->Error, error);
            if (!covered)
                expand(gif, colors, rows->picture.channels, scratch, pixels);
            if (!cn_rows_put(rows, frame->Top + y, 0, 1, gif->SWidth, covered ? scratch : pixels))
                return cn_rows_fail_stopped(error);
        }
    return CN_OK;
}

static enum cn_status read_frame(GifFileType *gif, const struct cn_picture_limits *limits,
                                 struct cn_rows *rows, struct cn_error *error) {
    uint8_t colors[256 * 4];
    int clear = NO_TRANSPARENT_COLOR;
    enum cn_status status = cn_format_check_size("GIF", gif->SWidth, gif->SHeight, limits, error);
    if (status == CN_OK)
        status = find_frame(gif, &clear, error);
    if (status != CN_OK)
        return status;
    if (DGifGetImageDesc(gif) == GIF_ERROR)
        return fail_malformed(gif->Error, error);
    const GifImageDesc *frame = &gif->Image;
    if (frame->Left < 0 || frame->Top < 0 || frame->Width < 1 || frame->Height < 1 ||
        frame->Left + frame->Width > gif->SWidth || frame->Top + frame->Height > gif->SHeight)
        return cn_fail(error, CN_MALFORMED,
                       "GIF: the frame of %d x %d at %d, %d is not within the screen of %d x %d",
                       frame->Width, frame->Height, frame->Left, frame->Top, gif->SWidth,
                       gif->SHeight);
    const bool covered = frame->Width == gif->SWidth && frame->Height == gif->SHeight;
    const int channels = read_colors(gif, clear, covered, colors);
    uint8_t *scratch = malloc((size_t)gif->SWidth * 5);
    if (scratch == NULL)
        return cn_fail(error, CN_MEMORY, "GIF: no memory for a row");
    status = cn_rows_begin(rows, gif->SWidth, gif->SHeight, channels, 1,
                           frame->Interlace || !covered, limits, error);
    if (status == CN_OK)
        status = read_rows(gif, rows, colors, covered, scratch, error);
    free(scratch);
    return status;
}

static enum cn_status gif_decode(const unsigned char *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error) {
    struct source source = {bytes, length, 0};
    struct cn_rows rows = {0};
    int code = 0;
    GifFileType *gif = DGifOpen(&source, on_read, &code);
    if (gif == NULL)
        return fail_malformed(code, error);
    const enum cn_status status = read_frame(gif, limits, &rows, error);
    (void)DGifCloseFile(gif, &code);
    if (status == CN_OK)
        cn_rows_finish(&rows, ret_picture);
    else
        cn_rows_clear(&rows);
    return status;
}

static bool gif_recognize(const unsigned char *bytes, size_t length) {
    return length >= 6 && (memcmp(bytes, "GIF87a", 6) == 0 || memcmp(bytes, "GIF89a", 6) == 0);
}

const struct cn_format cn_format_gif = {"GIF", gif_recognize, gif_decode};
