/* preprocess.c: the one path from a picture to a network's input. What the makers of MNIST did
 * (LeCun, Cortes and Burges): ink cropped, scaled into a box with its aspect kept, centred by its
 * centre of mass; or, for fit scale and for colour, the whole picture scaled and centred.
 * Decodes nothing and knows no network. Thread-safe.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"
#include "image/plane.h"
#include "image/resize.h"
#include "image/thicken.h"

const char *const cn_fit_names[] = {"mnist", "scale", NULL};

enum { LEAST_CONTRAST = 12 /* grey levels; less is a blank page with grain */ };

/* Strokes narrower than this many target pixels are widened to it; half of MNIST's strokes have
 * 2.7 to 3.6. */
static const double least_stroke = 2.4;

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

/* Width and height of `crop` scaled so that it just fits a frame. */
static double fit_into(struct cn_rectangle crop, int frame_width, int frame_height, int *ret_width,
                       int *ret_height) {
    const double scale = fmin((double)frame_width / crop.width, (double)frame_height / crop.height);
    const int width = (int)lround(crop.width * scale), height = (int)lround(crop.height * scale);
    *ret_width = width < 1 ? 1 : width > frame_width ? frame_width : width;
    *ret_height = height < 1 ? 1 : height > frame_height ? frame_height : height;
    return scale;
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

/* An already prepared image but for its polarity: ink in MNIST's place and size on a pure page. */
static bool is_prepared(const struct cn_preprocessing *preprocessing, const struct cn_plane *plane,
                        const struct cn_tone *tone) {
    int left = plane->width, right = -1, top = -1, bottom = -1;
    double mass = 0.0, x_sum = 0.0, y_sum = 0.0;
    if (tone->background != 255 || tone->contrast < 250)
        return false;
    for (int y = 0; y < plane->height; y++) {
        for (int x = 0; x < plane->width; x++) {
            const int ink = 255 - plane->samples[(size_t)y * (size_t)plane->width + (size_t)x];
            if (ink == 0)
                continue;
            left = x < left ? x : left;
            right = x > right ? x : right;
            top = top < 0 ? y : top;
            bottom = y;
            mass += ink;
            x_sum += (double)ink * x;
            y_sum += (double)ink * y;
        }
    }
    /* MNIST's 70,000 images: longer side 19 or 20, centre within 0.52 of pixel (14, 14). */
    const int side = right - left > bottom - top ? right - left + 1 : bottom - top + 1;
    return side >= preprocessing->box - 1 && side <= preprocessing->box &&
           fabs(x_sum / mass - plane->width / 2) < 0.6 &&
           fabs(y_sum / mass - plane->height / 2) < 0.6;
}

/* The whole plane scaled into the input, the rest filled with the page. */
static enum cn_status fit_scale(const struct cn_plane *plane, const struct cn_shape *shape,
                                float *image, struct cn_preprocessing_report *report,
                                struct cn_error *error) {
    const struct cn_rectangle whole = {0, 0, plane->width, plane->height};
    const size_t channels = (size_t)plane->channels;
    int width, height;
    report->scale = (float)fit_into(whole, shape->dims[1], shape->dims[0], &width, &height);
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

/* Finds the ink and prepares its strokes; *ret_crop is where it lies. */
static enum cn_status prepare_ink(const struct cn_preprocessing *preprocessing,
                                  struct cn_plane *plane, const struct cn_tone *tone,
                                  struct cn_rectangle *ret_crop, float *ret_thickened,
                                  struct cn_error *error) {
    struct cn_rectangle crop;
    cn_ink_extract(plane, tone);
    cn_ink_drop_specks(plane);
    if (!cn_ink_bounds(plane, &crop))
        return cn_fail(error, CN_UNUSABLE, "the picture is blank: it holds no ink");
    /* Widening by k also makes the ink's longer side k longer: solve for the wanted width. */
    const int longer = crop.width > crop.height ? crop.width : crop.height;
    const double missing =
        least_stroke * longer - cn_ink_stroke_width(plane, crop) * preprocessing->box;
    if (missing > 0.0 && preprocessing->box > least_stroke) {
        const long by = lround(missing / (preprocessing->box - least_stroke));
        const enum cn_status status = cn_thicken(plane, clamp(by, 0, longer), error);
        if (status != CN_OK)
            return status;
        *ret_thickened = (float)clamp(by, 0, longer);
        (void)cn_ink_bounds(plane, &crop);
    }
    *ret_crop = crop;
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

/* The ink scaled into the box, stretched to full strength and centred by mass. */
static enum cn_status fit_mnist(const struct cn_preprocessing *preprocessing,
                                struct cn_plane *plane, const struct cn_tone *tone,
                                const struct cn_shape *shape, float *image,
                                struct cn_preprocessing_report *report, struct cn_error *error) {
    struct cn_rectangle crop = {0, 0, 0, 0};
    int width, height;
    double x = 0.0, y = 0.0;
    enum cn_status status =
        prepare_ink(preprocessing, plane, tone, &crop, &report->thickened, error);
    if (status != CN_OK)
        return status;
    report->scale = (float)fit_into(crop, preprocessing->box, preprocessing->box, &width, &height);
    memcpy(report->crop, (int[4]){crop.x, crop.y, crop.width, crop.height}, sizeof report->crop);
    const size_t count = (size_t)width * (size_t)height;
    float *scaled = malloc(count * sizeof *scaled);
    if (scaled == NULL)
        return cn_fail(error, CN_MEMORY, "cannot allocate an image of %d x %d", width, height);
    cn_resize(plane->samples, plane->width, 1, crop, width, height, scaled);
    const double gain = find_gain(scaled, count);
    (void)cn_ink_center(scaled, height, width, &x, &y);
    const int left = clamp(lround(shape->dims[1] / 2 - x), 0, shape->dims[1] - width);
    const int top = clamp(lround(shape->dims[0] / 2 - y), 0, shape->dims[0] - height);
    memset(image, 0, cn_shape_size(shape) * sizeof *image);
    for (int v = 0; v < height; v++)
        for (int u = 0; u < width; u++)
            image[(size_t)(top + v) * (size_t)shape->dims[1] + (size_t)(left + u)] =
                to_level(gain * (double)scaled[(size_t)v * (size_t)width + (size_t)u]);
    free(scaled);
    return CN_OK;
}

/* One channel: polarity first, then the way through. */
static enum cn_status preprocess_grey(const struct cn_preprocessing *preprocessing,
                                      struct cn_plane *plane, const struct cn_shape *shape,
                                      float *image, struct cn_preprocessing_report *report,
                                      struct cn_error *error) {
    const bool exact = plane->width == shape->dims[1] && plane->height == shape->dims[0];
    struct cn_tone tone = cn_tone_measure(plane);
    if (!preprocessing->invert && tone.light)
        tone.light = false;
    if (tone.contrast == 0 || (!exact && tone.contrast < LEAST_CONTRAST))
        return cn_fail(error, CN_UNUSABLE,
                       "the picture is blank: it differs from its page by %d of "
                       "255 grey levels at most",
                       tone.contrast);
    report->inverted = tone.light;
    const bool as_is = exact && (preprocessing->fit == CN_FIT_SCALE || !tone.light ||
                                 is_prepared(preprocessing, plane, &tone));
    if (!as_is && preprocessing->fit == CN_FIT_MNIST)
        return fit_mnist(preprocessing, plane, &tone, shape, image, report, error);
    if (tone.light)
        invert(plane);
    if (!as_is)
        return fit_scale(plane, shape, image, report, error);
    cn_image_from_bytes(plane->samples, cn_shape_size(shape), image);
    report->unchanged = plane->plain && !tone.light;
    return CN_OK;
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
        status = cn_plane_create(picture, input_shape->dims[2], &plane, error);
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
    if (status == CN_OK && ret_report != NULL)
        *ret_report = report;
    cn_plane_clear(&plane);
    return status;
}
