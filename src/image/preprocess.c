/* preprocess.c: the one path from a picture to a network's input. What the makers of MNIST did
 * (LeCun, Cortes and Burges): ink cropped, scaled into a box with its aspect kept, centred by its
 * centre of mass; or, for fit scale and for colour, the whole picture scaled and centred.
 * Decodes nothing and knows no network. Thread-safe.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/exact.h"
#include "image/ink.h"
#include "image/page.h"
#include "image/plane.h"
#include "image/resize.h"
#include "image/sheet.h"
#include "image/strokes.h"
#include "image/surface.h"

const char *const cn_fit_names[] = {"mnist", "scale", NULL};

/* Mean of the pixels that hold ink, of 255; MNIST's is 174. */
static const double usual_ink = 160.0;

struct cn_preprocessing cn_preprocessing_default(const struct cn_shape *input_shape) {
    const int height = input_shape->dims[0], width = input_shape->dims[1];
    const int side = height < width ? height : width;
    const int box = (int)((long long)side * 20 / 28);
    const bool grey = input_shape->dims[2] == 1;
    return (struct cn_preprocessing){grey ? CN_FIT_MNIST : CN_FIT_SCALE, box > 0 ? box : 1, grey};
}

static enum cn_status check(const struct cn_preprocessing *preprocessing,
                            const struct cn_picture *picture, const struct cn_shape *shape,
                            struct cn_error *error) {
    const int smaller = shape->dims[0] < shape->dims[1] ? shape->dims[0] : shape->dims[1];
    if (shape->rank != 3 || (shape->dims[2] != 1 && shape->dims[2] != 3)) {
        char text[CN_SHAPE_TEXT];
        return cn_fail(error, CN_UNSUPPORTED,
                       "the input shape %s takes no pictures; 1 or 3 channels do",
                       cn_shape_format(shape, text));
    }
    if (picture->data == NULL || picture->width < 1 || picture->height < 1 ||
        picture->channels < 1 || picture->channels > 4)
        return cn_fail(error, CN_INVALID, "a picture of %d x %d with %d channels is none",
                       picture->width, picture->height, picture->channels);
    if (preprocessing->fit == CN_FIT_MNIST &&
        (preprocessing->box < 1 || preprocessing->box > smaller))
        return cn_fail(error, CN_INVALID, "preprocessing: box %d is not 1 to %d",
                       preprocessing->box, smaller);
    return CN_OK;
}

static enum cn_status fail_blank(int contrast, struct cn_error *error) {
    return cn_fail(error, CN_UNUSABLE,
                   "the picture is blank: it differs from its page by %d of 255 grey levels at "
                   "most",
                   contrast);
}

static int clamp(long value, int low, int high) {
    return value < low ? low : value > high ? high : (int)value;
}

static void invert(struct cn_plane *plane) {
    const size_t count = (size_t)plane->width * (size_t)plane->height * (size_t)plane->channels;
    for (size_t i = 0; i < count; i++)
        plane->samples[i] = (uint8_t)(255 - plane->samples[i]);
}

/* Rounds to the 256 levels that raw images have. */
static float to_level(double value) {
    return (float)fmin(fmax(round(value), 0.0), 255.0) / 255.0F;
}

/* The whole plane scaled into the input, the rest filled with the page. */
static enum cn_status fit_scale(const struct cn_plane *plane, const struct cn_shape *shape,
                                float *image, struct cn_preprocessing_report *report,
                                struct cn_error *error) {
    const struct cn_rectangle whole = {0, 0, plane->width, plane->height};
    const size_t channels = (size_t)plane->channels;
    const double scale =
        fmin((double)shape->dims[1] / plane->width, (double)shape->dims[0] / plane->height);
    const int width = clamp(lround(plane->width * scale), 1, shape->dims[1]);
    const int height = clamp(lround(plane->height * scale), 1, shape->dims[0]);
    report->scale = (float)scale;
    float *scaled = malloc((size_t)width * (size_t)height * channels * sizeof *scaled);
    if (scaled == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate an image of %d x %d", width, height);
    cn_resize(plane->samples, plane->width, plane->channels, whole, width, height, scaled);
    const int left = (shape->dims[1] - width) / 2, top = (shape->dims[0] - height) / 2;
    for (int y = 0; y < shape->dims[0]; y++) {
        for (int x = 0; x < shape->dims[1]; x++) {
            /* Padding repeats the nearest edge pixel: the page goes on. */
            const size_t from = (size_t)clamp(y - top, 0, height - 1) * (size_t)width +
                                (size_t)clamp(x - left, 0, width - 1);
            for (size_t channel = 0; channel < channels; channel++)
                *image++ = to_level((double)scaled[from * channels + channel]);
        }
    }
    free(scaled);
    return CN_OK;
}

/* What turns scaled ink into MNIST's strength: the strongest pixel to 255, or more where the ink is
 * mostly faint beside it. */
static double find_gain(const float *values, size_t count) {
    double peak = 0.0, sum = 0.0;
    size_t inked = 0;
    for (size_t i = 0; i < count; i++) {
        peak = fmax(peak, (double)values[i]);
        sum += (double)values[i];
        inked += values[i] > 0.0F;
    }
    return inked == 0 ? 0.0 : fmax(255.0 / peak, usual_ink * (double)inked / sum);
}

/* Strokes at full strength, centred by mass. */
static void put_centred(const struct cn_strokes *strokes, const struct cn_shape *shape,
                        float *image) {
    const int width = strokes->width, height = strokes->height;
    const double gain = find_gain(strokes->values, (size_t)width * (size_t)height);
    double x = 0.0, y = 0.0;
    (void)cn_ink_center(strokes->values, height, width, &x, &y);
    const int left = clamp(lround(shape->dims[1] / 2 - x), 0, shape->dims[1] - width);
    const int top = clamp(lround(shape->dims[0] / 2 - y), 0, shape->dims[0] - height);
    memset(image, 0, cn_shape_size(shape) * sizeof *image);
    for (int v = 0; v < height; v++)
        for (int u = 0; u < width; u++)
            image[(size_t)(top + v) * (size_t)shape->dims[1] + (size_t)(left + u)] =
                to_level(gain * (double)strokes->values[(size_t)v * (size_t)width + (size_t)u]);
}

/* The ink found, scaled into the box and centred. */
static enum cn_status fit_mnist(const struct cn_preprocessing *preprocessing,
                                struct cn_plane *plane, const struct cn_shape *shape, float *image,
                                struct cn_preprocessing_report *report, struct cn_error *error) {
    const int by = plane->reduction;
    struct cn_page page = {0};
    struct cn_rectangle sheet = {0, 0, 0, 0}, crop = {0, 0, 0, 0};
    struct cn_strokes strokes = {0};
    const bool on_sheet = cn_sheet_isolate(plane, &sheet);
    if (!cn_page_extract_ink(plane, preprocessing->invert, &page))
        return fail_blank(page.contrast, error);
    if (!cn_ink_find_drawing(plane, on_sheet, &crop))
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
    /* The last square of a reduced plane may be cut. */
    const int right = clamp((long)(crop.x + crop.width) * by, 1, report->crop[2]);
    const int bottom = clamp((long)(crop.y + crop.height) * by, 1, report->crop[3]);
    memcpy(report->crop,
           (int[4]){crop.x * by, crop.y * by, right - crop.x * by, bottom - crop.y * by},
           sizeof report->crop);
    put_centred(&strokes, shape, image);
    free(strokes.values);
    return CN_OK;
}

/* One channel, but for what passes untouched. */
static enum cn_status preprocess_grey(const struct cn_preprocessing *preprocessing,
                                      struct cn_plane *plane, const struct cn_shape *shape,
                                      float *image, struct cn_preprocessing_report *report,
                                      struct cn_error *error) {
    const bool exact = plane->width == shape->dims[1] && plane->height == shape->dims[0];
    if (exact || preprocessing->fit == CN_FIT_SCALE) {
        struct cn_tone tone = cn_tone_measure(plane->samples, plane->width, plane->height, 1);
        tone.light = tone.light && preprocessing->invert;
        const bool as_is = exact && (preprocessing->fit == CN_FIT_SCALE ||
                                     cn_exact_is_prepared(plane, &tone, preprocessing->box));
        if (as_is || preprocessing->fit == CN_FIT_SCALE) {
            report->inverted = tone.light;
            if (tone.contrast < (exact ? 1 : CN_PAGE_LEAST_CONTRAST))
                return fail_blank(tone.contrast, error);
            if (tone.light)
                invert(plane);
            if (!as_is)
                return fit_scale(plane, shape, image, report, error);
            cn_image_from_bytes(plane->samples, cn_shape_size(shape), image);
            return CN_OK;
        }
    }
    return fit_mnist(preprocessing, plane, shape, image, report, error);
}

/* *ret_taken: the picture is plain, of the input's size and MNIST's polarity, and was taken as it
 * is.
 */
static enum cn_status take_untouched(const struct cn_preprocessing *preprocessing,
                                     const struct cn_picture *picture, const struct cn_shape *shape,
                                     float *image, bool *ret_taken, struct cn_error *error) {
    *ret_taken = false;
    if (picture->width != shape->dims[1] || picture->height != shape->dims[0] ||
        shape->dims[2] != 1 || !cn_picture_is_plain(picture))
        return CN_OK;
    const struct cn_tone tone =
        cn_tone_measure(picture->data, picture->width, picture->height, picture->channels);
    if (tone.light && preprocessing->invert)
        return CN_OK;
    if (tone.contrast == 0)
        return fail_blank(0, error);
    *ret_taken = true;
    return cn_image_from_picture(picture, shape, image, error);
}

enum cn_status cn_preprocess(const struct cn_preprocessing *preprocessing,
                             const struct cn_picture *picture, const struct cn_shape *input_shape,
                             float *ret_image, struct cn_preprocessing_report *ret_report,
                             struct cn_error *error) {
    struct cn_preprocessing_report report = {.crop = {0, 0, picture->width, picture->height},
                                             .scale = 1.0F};
    struct cn_plane plane = {0};
    enum cn_status status = check(preprocessing, picture, input_shape, error);
    if (status == CN_OK)
        status = take_untouched(preprocessing, picture, input_shape, ret_image, &report.unchanged,
                                error);
    if (status != CN_OK)
        return status;
    if (!report.unchanged) {
        const bool mnist = preprocessing->fit == CN_FIT_MNIST && input_shape->dims[2] == 1;
        status = cn_plane_create(picture, input_shape->dims[2], mnist ? CN_SURFACE_SIDE_LIMIT : 0,
                                 &plane, error);
        if (status != CN_OK)
            return status;
        if (plane.channels == 1) {
            status = preprocess_grey(preprocessing, &plane, input_shape, ret_image, &report, error);
        } else if (plane.width == input_shape->dims[1] && plane.height == input_shape->dims[0]) {
            cn_image_from_bytes(plane.samples, cn_shape_size(input_shape), ret_image);
            report.unchanged = true;
        } else {
            status = fit_scale(&plane, input_shape, ret_image, &report, error);
        }
        cn_plane_clear(&plane);
    }
    if (status == CN_OK && ret_report != NULL)
        *ret_report = report;
    return status;
}
