/* jpeg.c: decodes JPEGs with libjpeg-turbo: baseline and progressive, grey, YCbCr, RGB, CMYK and
 * YCCK. A picture that is needed smaller is decoded at a half, a quarter or an eighth, which costs
 * little more than reading its bits; at an eighth, the details of a progressive picture are not
 * even read. EXIF's orientation is applied. Thread-safe: all state is in struct decoder. setjmp is
 * in one function whose variables are all reached through a pointer, so a longjmp leaves none of
 * them undefined. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "image/decoded_rows.h"
#include "image/orientation.h"

enum {
    MOST_SCANS = 200,     /* of a progressive picture; encoders write about ten */
    MOST_DENOMINATOR = 8, /* the smallest scale of libjpeg */
    EXIF_PREFIX = 6,      /* "Exif" and two zeros */
    MARKER_LIMIT = 0xFFFF,
    COEFFICIENT_BYTES = 2
};

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf out;
    const struct cn_picture_limits *limits;
    struct cn_rows rows;
    uint8_t *row, *colors; /* as libjpeg delivers it; converted to RGB, for CMYK */
    int orientation;
    char message[JMSG_LENGTH_MAX];
    enum cn_status status;
    struct cn_error *error;
};

static void on_error(j_common_ptr jpeg) {
    struct decoder *decoder = jpeg->client_data;
    (*jpeg->err->format_message)(jpeg, decoder->message);
    if (decoder->status == CN_OK)
        decoder->status = jpeg->err->msg_code == JERR_OUT_OF_MEMORY
                              ? cn_fail(decoder->error, CN_MEMORY, "JPEG: no memory")
                              : cn_fail(decoder->error, CN_MALFORMED, "JPEG: %s", decoder->message);
    longjmp(decoder->out, 1);
}

/* Missing data would become grey, so it is an error; other warnings are harmless. */
static void on_message(j_common_ptr jpeg, int level) {
    const int code = jpeg->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
        on_error(jpeg);
}

static void on_progress(j_common_ptr jpeg) {
    struct decoder *decoder = jpeg->client_data;
    const struct cn_picture_limits *limits = decoder->limits;
    if (decoder->jpeg.input_scan_number > MOST_SCANS)
        decoder->status = cn_fail(decoder->error, CN_LIMIT, "JPEG: more than %d scans", MOST_SCANS);
    else if (limits->stop != NULL && limits->stop(limits->context))
        decoder->status = cn_rows_fail_stopped(decoder->error);
    if (decoder->status != CN_OK)
        longjmp(decoder->out, 1);
}

/* The EXIF orientation in the stored markers. */
static int find_orientation(const struct jpeg_decompress_struct *jpeg) {
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker != NULL; marker = marker->next)
        if (marker->data_length > EXIF_PREFIX && memcmp(marker->data, "Exif\0\0", EXIF_PREFIX) == 0)
            return cn_orientation_read(marker->data + EXIF_PREFIX,
                                       marker->data_length - EXIF_PREFIX);
    return 1;
}

/* The coarsest reduction that keeps three quarters of the pixels that the caller uses. */
static unsigned choose_denominator(const struct jpeg_decompress_struct *jpeg, int side) {
    const unsigned longer =
        jpeg->image_width > jpeg->image_height ? jpeg->image_width : jpeg->image_height;
    unsigned denominator = MOST_DENOMINATOR;
    while (denominator > 1 && (side == 0 || longer / denominator * 4 < (unsigned)side * 3))
        denominator /= 2;
    return denominator;
}

/* Checks the memory for all coefficients, which libjpeg keeps for a picture of several scans. */
static enum cn_status check_memory(struct decoder *decoder) {
    const struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    unsigned long long bytes = 0;
    for (int i = 0; i < jpeg->num_components; i++)
        bytes += (unsigned long long)jpeg->comp_info[i].width_in_blocks *
                 jpeg->comp_info[i].height_in_blocks * DCTSIZE2 * COEFFICIENT_BYTES;
    return jpeg_has_multiple_scans(&decoder->jpeg)
               ? cn_format_check_memory("JPEG", bytes, decoder->limits, decoder->error)
               : CN_OK;
}

static void choose_colors(struct jpeg_decompress_struct *jpeg) {
    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
        jpeg->out_color_space = JCS_GRAYSCALE;
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        jpeg->out_color_space = JCS_CMYK;
        break;
    default:
        jpeg->out_color_space = JCS_RGB;
        break;
    }
}

/* Adobe's files store the light that passes a plate, others the ink on it. */
static const uint8_t *to_rgb(struct decoder *decoder) {
    const bool light = decoder->jpeg.saw_Adobe_marker;
    const uint8_t *from = decoder->row;
    uint8_t *to = decoder->colors;
    for (JDIMENSION x = 0; x < decoder->jpeg.output_width; x++, from += 4, to += 3) {
        const int black = light ? from[3] : 255 - from[3];
        for (int c = 0; c < 3; c++)
            to[c] = (uint8_t)((light ? from[c] : 255 - from[c]) * black / 255);
    }
    return decoder->colors;
}

/* True if the mean of every block has arrived, except for its last bit at most. */
static bool has_means(const struct jpeg_decompress_struct *jpeg) {
    for (int i = 0; i < jpeg->num_components; i++)
        if (jpeg->coef_bits[i][0] < 0 || jpeg->coef_bits[i][0] > 1)
            return false;
    return true;
}

/* For a progressive picture at an eighth, which has one pixel per block: reads scans until the
 * means of the blocks are there. The details that follow are most of the file, and are not read. */
static void read_means(struct jpeg_decompress_struct *jpeg) {
    int event = JPEG_ROW_COMPLETED;
    while (event != JPEG_REACHED_EOI && (event != JPEG_SCAN_COMPLETED || !has_means(jpeg)))
        event = jpeg_consume_input(jpeg);
    (void)jpeg_start_output(jpeg, jpeg->input_scan_number);
}

/* Returns false after a longjmp, or with decoder->status set. */
static bool decode(struct decoder *decoder, const unsigned char *bytes, size_t length) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    if (setjmp(decoder->out))
        return false;
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, bytes, (unsigned long)length);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, MARKER_LIMIT);
    (void)jpeg_read_header(jpeg, TRUE);
    decoder->orientation = find_orientation(jpeg);
    decoder->status = cn_format_check_size("JPEG", jpeg->image_width, jpeg->image_height,
                                           decoder->limits, decoder->error);
    if (decoder->status == CN_OK)
        decoder->status = check_memory(decoder);
    if (decoder->status != CN_OK)
        return false;
    choose_colors(jpeg);
    jpeg->scale_num = 1;
    jpeg->scale_denom = choose_denominator(jpeg, decoder->limits->side);
    if (jpeg->scale_denom > 1)
        jpeg->do_fancy_upsampling = FALSE;
    decoder->progress.progress_monitor = on_progress;
    jpeg->progress = &decoder->progress;
    const bool coarse = jpeg->progressive_mode && jpeg->scale_denom == MOST_DENOMINATOR;
    jpeg->buffered_image = coarse;
    jpeg->do_block_smoothing = FALSE;
    (void)jpeg_start_decompress(jpeg);
    if (coarse)
        read_means(jpeg);
    const bool cmyk = jpeg->out_color_space == JCS_CMYK;
    decoder->row = malloc((size_t)jpeg->output_width * (size_t)jpeg->output_components);
    decoder->colors = malloc((size_t)jpeg->output_width * 3);
    if (decoder->row == NULL || decoder->colors == NULL) {
        decoder->status = cn_fail(decoder->error, CN_MEMORY, "JPEG: no memory for a row");
        return false;
    }
    decoder->status = cn_rows_begin(&decoder->rows, (int)jpeg->image_width, (int)jpeg->image_height,
                                    cmyk ? 3 : jpeg->output_components, (int)jpeg->scale_denom,
                                    false, decoder->limits, decoder->error);
    if (decoder->status != CN_OK)
        return false;
    while (jpeg->output_scanline < jpeg->output_height) {
        const int y = (int)jpeg->output_scanline;
        (void)jpeg_read_scanlines(jpeg, &decoder->row, 1);
        if (!cn_rows_put(&decoder->rows, y, 0, 1, (int)jpeg->output_width,
                         cmyk ? to_rgb(decoder) : decoder->row)) {
            decoder->status = cn_rows_fail_stopped(decoder->error);
            return false;
        }
    }
    if (!coarse)
        (void)jpeg_finish_decompress(jpeg);
    return true;
}

static enum cn_status jpeg_decode(const unsigned char *bytes, size_t length,
                                  const struct cn_picture_limits *limits,
                                  struct cn_picture *ret_picture, struct cn_error *error) {
    struct decoder *decoder = calloc(1, sizeof *decoder);
    struct cn_picture picture = {0};
    struct cn_error local = {0};
    if (decoder == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for a JPEG decoder");
    decoder->limits = limits;
    decoder->error = &local;
    decoder->jpeg.err = jpeg_std_error(&decoder->errors);
    decoder->jpeg.client_data = decoder;
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    const bool decoded = decode(decoder, bytes, length);
    enum cn_status status = decoder->status;
    jpeg_destroy_decompress(&decoder->jpeg);
    if (decoded) {
        cn_rows_finish(&decoder->rows, &picture);
        status = cn_orientation_apply(decoder->orientation, &picture, &local);
    }
    cn_rows_clear(&decoder->rows);
    free(decoder->row);
    free(decoder->colors);
    free(decoder);
    if (status == CN_OK) {
        *ret_picture = picture;
        return CN_OK;
    }
    cn_picture_clear(&picture);
    return cn_fail(error, status, "%s", local.text);
}

static bool jpeg_recognize(const unsigned char *bytes, size_t length) {
    return length >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

const struct cn_format cn_format_jpeg = {"JPEG", jpeg_recognize, jpeg_decode};
