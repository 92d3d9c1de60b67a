/* picture.c: see picture.h. Preprocessing itself is the library's cn_preprocess. No state; runs on
 * the exchange's HTTP thread. */
#include "api/picture.h"

#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "image/picture_outline.h"
#include "model/outputs.h"

enum {
    UNKNOWN_PIXELS = 1 << 20, /* assumed for a picture whose header is not understood */
    FREE_PIXELS = 1 << 20,
    FREE_INPUTS = 16, /* pixels of a picture with four times the side of the model's input */
    /* Deflate packs up to 1032 bytes in one, which are 8256 pixels of a PNG with 1 bit per pixel;
       pictures with as few bytes are empty pages. */
    PIXELS_PER_BYTE = 8192
};

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

size_t picture_pixels(const void *bytes, size_t length, const struct cn_picture_limits *limits) {
    const size_t most = (size_t)limits->max_width * (size_t)limits->max_height;
    const size_t pixels = cn_picture_pixels(bytes, length);
    if (pixels == 0)
        return cn_picture_format(bytes, length) == NULL ? 0
               : most < UNKNOWN_PIXELS                  ? most
                                                        : UNKNOWN_PIXELS;
    return pixels <= most ? pixels : 0;
}

size_t picture_allowance(const struct cn_model *model, size_t sent) {
    const size_t useful = FREE_INPUTS * cn_shape_size(&model->network->input_shape);
    const size_t free_pixels = useful > FREE_PIXELS ? useful : FREE_PIXELS;
    return sent < (SIZE_MAX - free_pixels) / PIXELS_PER_BYTE ? free_pixels + sent * PIXELS_PER_BYTE
                                                             : SIZE_MAX;
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
