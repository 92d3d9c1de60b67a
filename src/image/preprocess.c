/* preprocess.c: the one path from a picture to a network's input: the fit of a digit (digit.c), or
 * of the whole picture or its middle by scaling; then the normalisation. It decodes nothing and
 * knows no network. Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/digit.h"
#include "image/plane.h"
#include "image/resample.h"

static enum cn_status preprocess_check(const struct cn_preprocessing *preprocessing,
                                       const struct cn_picture *picture,
                                       const struct cn_shape *shape, struct cn_error *error) {
    if (shape->rank != 3 || (shape->dims[2] != 1 && shape->dims[2] != 3)) {
        char text[CN_SHAPE_TEXT];
        return cn_fail(error, CN_UNSUPPORTED,
                       "the input shape %s is not that of a picture, which has 1 or 3 channels",
                       cn_shape_format(shape, text));
    }
    if (picture->data == NULL || picture->width < 1 || picture->height < 1 ||
        picture->channels < 1 || picture->channels > 4)
        return cn_fail(error, CN_INVALID, "a picture of %d x %d with %d channels is not valid",
                       picture->width, picture->height, picture->channels);
    return cn_preprocessing_check(preprocessing, shape, error);
}

/* The part of a picture that is used, and the rectangle of the input that it fills; the rest of the
 * input is black. The formulas are those of PIL's ImageOps.fit and ImageOps.pad. */
struct placing {
    struct cn_region from;
    int left, top, width, height;
};

static struct placing place(enum cn_fit fit, double width, double height, int to_width,
                            int to_height) {
    const double aspect = width / height, to_aspect = (double)to_width / to_height;
    struct placing placing = {{0.0, 0.0, width, height}, 0, 0, to_width, to_height};
    if (fit == CN_FIT_CROP && aspect > to_aspect) {
        placing.from.left = (width - to_aspect * height) * 0.5;
        placing.from.right = placing.from.left + to_aspect * height;
    } else if (fit == CN_FIT_CROP && aspect < to_aspect) {
        placing.from.top = (height - width / to_aspect) * 0.5;
        placing.from.bottom = placing.from.top + width / to_aspect;
    } else if (fit == CN_FIT_PAD && aspect > to_aspect) {
        placing.height = (int)fmax(rint(height / width * to_width), 1.0);
    } else if (fit == CN_FIT_PAD && aspect < to_aspect) {
        placing.width = (int)fmax(rint(width / height * to_height), 1.0);
    }
    placing.left = (int)rint((to_width - placing.width) * 0.5);
    placing.top = (int)rint((to_height - placing.height) * 0.5);
    return placing;
}

/* Reports the placing in pixels of the file; a pixel of the picture is `by` of these per side. */
static void report_placing(const struct placing *placing, double by,
                           struct cn_preprocessing_report *report) {
    const struct cn_region *from = &placing->from;
    report->crop[0] = (int)(from->left * by);
    report->crop[1] = (int)(from->top * by);
    report->crop[2] = (int)lrint((from->right - from->left) * by);
    report->crop[3] = (int)lrint((from->bottom - from->top) * by);
    report->scale = (float)(placing->width / ((from->right - from->left) * by));
}

/* Fits the whole picture or its middle, as levels from 0 to 1. */
static enum cn_status fit_whole(const struct cn_preprocessing *preprocessing,
                                const struct cn_picture *picture, const struct cn_shape *shape,
                                float *image, struct cn_preprocessing_report *report,
                                struct cn_error *error) {
    const int height = shape->dims[0], width = shape->dims[1];
    const size_t channels = (size_t)shape->dims[2];
    const double by = picture->reduction > 1 ? picture->reduction : 1.0;
    const struct placing placing =
        place(preprocessing->fit, by > 1.0 ? picture->full_width / by : picture->width,
              by > 1.0 ? picture->full_height / by : picture->height, width, height);
    const size_t row = (size_t)placing.width * channels;
    struct cn_plane plane = {0};
    uint8_t *scaled = malloc(row * (size_t)placing.height);
    enum cn_status status =
        scaled != NULL
            ? cn_plane_create_as_seen(picture, shape->dims[2], &plane, error)
            : cn_fail(error, CN_MEMORY, "no memory for an image of %d x %d", width, height);
    if (status == CN_OK)
        status = cn_resample(&plane, &placing.from, preprocessing->interpolation, placing.width,
                             placing.height, scaled, error);
    if (status == CN_OK) {
        memset(image, 0, cn_shape_size(shape) * sizeof *image);
        for (int y = 0; y < placing.height; y++)
            cn_image_from_bytes(
                scaled + (size_t)y * row, row,
                image +
                    ((size_t)(placing.top + y) * (size_t)width + (size_t)placing.left) * channels);
        report_placing(&placing, by, report);
        report->unchanged = by == 1.0 && picture->width == width && picture->height == height;
    }
    cn_plane_clear(&plane);
    free(scaled);
    return status;
}

enum cn_status cn_preprocess(const struct cn_preprocessing *preprocessing,
                             const struct cn_picture *picture, const struct cn_shape *input_shape,
                             float *ret_image, struct cn_preprocessing_report *ret_report,
                             struct cn_error *error) {
    const bool reduced = picture->reduction > 1;
    struct cn_preprocessing_report report = {
        .crop = {0, 0, reduced ? picture->full_width : picture->width,
                 reduced ? picture->full_height : picture->height},
        .scale = 1.0F};
    enum cn_status status = preprocess_check(preprocessing, picture, input_shape, error);
    if (status == CN_OK)
        status = (preprocessing->fit == CN_FIT_MNIST ? cn_digit_fit : fit_whole)(
            preprocessing, picture, input_shape, ret_image, &report, error);
    if (status != CN_OK)
        return status;
    cn_preprocessing_normalize(preprocessing, input_shape, 1, ret_image);
    if (ret_report != NULL)
        *ret_report = report;
    return CN_OK;
}
