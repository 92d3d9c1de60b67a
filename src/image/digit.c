/* digit.c: the fit `mnist`: repeats what the makers of MNIST did (LeCun, Cortes and Burges). The
 * ink is cropped, scaled into a box with its aspect kept, and centred by its centre of mass. An
 * image that already has this form is not changed. page.h and ink.h find the ink. Thread-safe. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/digit.h"
#include "image/ink.h"
#include "image/mnist_form.h"
#include "image/page.h"
#include "image/plane.h"
#include "image/sheet.h"
#include "image/strokes.h"
#include "image/surface.h"

static enum cn_status fail_blank(int contrast, struct cn_error *error) {
    return cn_fail(error, CN_UNUSABLE,
                   "the picture is blank: it differs from its page by %d of 255 grey levels at "
                   "most",
                   contrast);
}

static int clamp(long value, int low, int high) {
    return value < low ? low : value > high ? high : (int)value;
}

/* Scales the ink into the box and centres it. */
static enum cn_status fit_plane(const struct cn_preprocessing *preprocessing,
                                struct cn_plane *plane, const struct cn_shape *shape, float *image,
                                struct cn_preprocessing_report *report, struct cn_error *error) {
    const int by = plane->reduction;
    struct cn_page page = {0};
    struct cn_rectangle sheet = {0, 0, 0, 0}, crop = {0, 0, 0, 0};
    struct cn_strokes strokes = {0};
    const bool on_sheet = cn_sheet_isolate(plane, &sheet);
    if (!cn_page_extract_ink(plane, preprocessing->invert, &page))
        return fail_blank(page.contrast, error);
    if (!cn_ink_find_drawing(plane, on_sheet, &crop, &report->others))
        return cn_fail(error, CN_UNUSABLE, "the picture is blank: it holds only lines");
    const enum cn_status status =
        cn_strokes_scale(plane, crop, preprocessing->box, &strokes, error);
    if (status != CN_OK)
        return status;
    report->inverted = page.light;
    report->uneven = page.uneven;
    report->sheet = on_sheet;
    report->scale = strokes.scale / (float)by;
    report->thickened = strokes.thickened * (float)by;
    crop.x += sheet.x;
    crop.y += sheet.y;
    /* The last square of a reduced plane may be incomplete. */
    const int right = clamp((long)(crop.x + crop.width) * by, 1, report->crop[2]);
    const int bottom = clamp((long)(crop.y + crop.height) * by, 1, report->crop[3]);
    memcpy(report->crop,
           (int[4]){crop.x * by, crop.y * by, right - crop.x * by, bottom - crop.y * by},
           sizeof report->crop);
    cn_strokes_place(&strokes, shape, image);
    free(strokes.values);
    return CN_OK;
}

/* Takes the samples of an image in MNIST's form, or of its negative, unchanged. */
static void take_prepared(const struct cn_picture *picture, bool light, float *image) {
    enum { BLOCK = 256 };
    const size_t count = (size_t)picture->width * (size_t)picture->height;
    const size_t channels = (size_t)picture->channels;
    const uint8_t inverting = light ? 255 : 0; /* 255 - sample is sample ^ 255 */
    const bool as_stored = channels == 1 && !light;
    uint8_t ink[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        const size_t length = count - start < BLOCK ? count - start : BLOCK;
        const uint8_t *samples = picture->data + start * channels;
        for (size_t i = 0; i < length && !as_stored; i++)
            ink[i] = samples[i * channels] ^ inverting;
        cn_image_from_bytes(as_stored ? samples : ink, length, image + start);
    }
}

enum cn_status cn_digit_fit(const struct cn_preprocessing *preprocessing,
                            const struct cn_picture *picture, const struct cn_shape *shape,
                            float *image, struct cn_preprocessing_report *report,
                            struct cn_error *error) {
    struct cn_plane plane = {0};
    if (picture->width == shape->dims[1] && picture->height == shape->dims[0] &&
        cn_picture_is_plain(picture)) {
        const struct cn_tone tone =
            cn_tone_measure(picture->data, picture->width, picture->height, picture->channels);
        if ((!tone.light || preprocessing->invert) &&
            cn_mnist_form_holds(picture, &tone, preprocessing->box)) {
            take_prepared(picture, tone.light, image);
            report->unchanged = !tone.light;
            report->inverted = tone.light;
            return CN_OK;
        }
    }
    enum cn_status status = cn_plane_create(picture, CN_SURFACE_SIDE_LIMIT, &plane, error);
    if (status == CN_OK)
        status = fit_plane(preprocessing, &plane, shape, image, report, error);
    cn_plane_clear(&plane);
    return status;
}
