/* picture.c: see picture.h. Preprocessing itself is the library's cn_preprocess. No state; runs on
 * the exchange's HTTP thread. */
#include "api/picture.h"

#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "model/outputs.h"

/* An estimate for pictures other than PNG and JPEG, for the budget of work. */
enum { PIXELS_PER_BYTE = 16 };

enum cn_status picture_options_read(const struct http_exchange *exchange,
                                    struct picture_options *ret_options, struct cn_error *error) {
    const char *mode = http_query(exchange, "preprocess"), *image = http_query(exchange, "image");
    const int index = mode != NULL ? cn_name_index(cn_picture_mode_names, mode) : 0;
    char names[64];
    if (index < 0)
        return cn_fail(error, CN_INVALID, "preprocess is \"%.64s\"; it must be one of %s", mode,
                       cn_name_list(cn_picture_mode_names, names, sizeof names));
    if (image != NULL && strcmp(image, "png") != 0)
        return cn_fail(error, CN_INVALID, "image is \"%.64s\"; it must be png", image);
    *ret_options = (struct picture_options){(enum cn_picture_mode)index, image != NULL};
    return CN_OK;
}

static size_t big_endian(const unsigned char *bytes, int count) {
    size_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Pixels according to a JPEG's frame header; 0: no header found. */
static size_t jpeg_pixels(const unsigned char *b, size_t length) {
    for (size_t at = 2; length - at >= 9 && at < length && b[at] == 0xff;) {
        const unsigned char marker = b[at + 1];
        const bool frame =
            marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        const size_t size = big_endian(b + at + 2, 2);
        if (frame)
            return big_endian(b + at + 5, 2) * big_endian(b + at + 7, 2);
        if (marker == 0xff || size + 2 > length - at)
            at += marker == 0xff ? 1 : length - at;
        else
            at += 2 + size;
    }
    return 0;
}

size_t picture_pixels(const void *bytes, size_t length, const struct cn_picture_limits *limits) {
    const unsigned char *b = bytes;
    const size_t most = (size_t)limits->max_width * (size_t)limits->max_height;
    size_t pixels = 0;
    if (length >= 24 && memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0)
        pixels =
            big_endian(b + 16, 4) < most ? big_endian(b + 16, 4) * big_endian(b + 20, 4) : most;
    else if (length >= 24 && b[0] == 0xff && b[1] == 0xd8)
        pixels = jpeg_pixels(b, length);
    else
        pixels = length < most / PIXELS_PER_BYTE ? length * PIXELS_PER_BYTE : most;
    return pixels < most ? pixels : most; /* the decoder refuses a larger one */
}

enum cn_status picture_read(const struct cn_model *model, const struct cn_picture_limits *limits,
                            const struct picture_options *options, const void *bytes, size_t length,
                            float *ret_image, struct picture_report *ret_report,
                            struct cn_error *error) {
    struct picture_report report = {.is_picture = true};
    const enum cn_status status =
        cn_image_decode(options->mode, &model->preprocessing, limits, bytes, length,
                        &model->network->input_shape, ret_image, &report.done, error);
    if (status == CN_OK && ret_report != NULL)
        *ret_report = report;
    return status;
}

static void add_image(struct cn_text *text, const struct cn_model *model, const float *image) {
    void *png = NULL;
    size_t length = 0;
    if (cn_image_to_png(&model->preprocessing, image, &model->network->input_shape, &png, &length,
                        NULL) == CN_OK)
        cn_json_add_base64(text, "image", png, length);
    else
        text->failed = true;
    free(png);
}

void picture_render(struct cn_text *text, const struct picture_options *options,
                    const struct picture_report *report, const struct cn_model *model,
                    const float *image) {
    if (report->is_picture)
        cn_report_add_json(text, &report->done);
    if (options->return_image)
        add_image(text, model, image);
}
