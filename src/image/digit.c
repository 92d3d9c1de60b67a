/* digit.c: the fit `mnist`: repeats what the makers of MNIST did (LeCun, Cortes and Burges). The
 * ink is cropped, scaled into a box with its aspect kept, and centred by its centre of mass. An
 * image that already has this form is not changed. page.h and ink.h find the ink. Thread-safe. */
#include "image/digit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/ink.h"
#include "image/page.h"
#include "image/plane.h"
#include "image/sheet.h"
#include "image/strokes.h"
#include "image/surface.h"

/* ---- Does a picture have the form already? ---- */

/* The page of a picture that has the input's size: the median of the outermost samples, and the
 * largest distance of any sample from it. */
struct tone {
    int background, contrast;
    bool light; /* the samples are farther below the background than above it */
};

struct range {
    uint8_t low, high;
};

static inline void widen(struct range *range, const uint8_t *samples, size_t count, size_t step) {
    uint8_t low = range->low, high = range->high;
    for (size_t i = 0; i < count; i += step) {
        low = samples[i] < low ? samples[i] : low;
        high = samples[i] > high ? samples[i] : high;
    }
    *range = (struct range){low, high};
}

/* Finds the darkest and the lightest sample. */
static struct range find_range(const uint8_t *samples, size_t count, size_t step) {
    enum { BLOCK = 64 }; /* constant, so that the compiler vectorises blocks of grey samples */
    const size_t block = BLOCK * step;
    struct range range = {255, 0};
    size_t start = 0;
    /* Most pictures reach both ends of the range early, and then the rest need not be read. */
    for (; start + block <= count && (range.low > 0 || range.high < 255); start += block) {
        if (step == 1)
            widen(&range, samples + start, BLOCK, 1);
        else
            widen(&range, samples + start, block, step);
    }
    if (range.low > 0 || range.high < 255)
        widen(&range, samples + start, count - start, step);
    return range;
}

static struct tone measure_tone(const uint8_t *samples, int width, int height, int channels) {
    const size_t row = (size_t)width * (size_t)channels, count = row * (size_t)height;
    uint16_t histogram[256] = {0}, total = 0, below = 0;
    int background = 0;
    /* A page with more samples than the counters can hold is sampled. */
    const int step = (width + height) / 16384 + 1;
    for (int x = 0; x < width; x += step) {
        histogram[samples[(size_t)x * (size_t)channels]]++;
        histogram[samples[count - row + (size_t)x * (size_t)channels]]++;
        total = (uint16_t)(total + 2);
    }
    for (int y = 1; y < height - 1; y += step) {
        histogram[samples[(size_t)y * row]]++;
        histogram[samples[(size_t)(y + 1) * row - (size_t)channels]]++;
        total = (uint16_t)(total + 2);
    }
    const struct range range = find_range(samples, count, (size_t)channels);
    while ((below + histogram[background]) * 2 <= total)
        below = (uint16_t)(below + histogram[background++]);
    const int darker = background - range.low, lighter = range.high - background;
    return (struct tone){background, darker > lighter ? darker : lighter, darker > lighter};
}

/* Where a picture's ink is, and how much there is. */
struct ink {
    int left, right, top, bottom; /* of its outermost pixels; right -1: there is none */
    uint64_t mass, x_sum, y_sum;
};

enum { STRIPE = 32 /* columns that are added up at once: a constant, so that vectors do it */ };

static uint32_t add_row(const uint8_t row[static STRIPE], uint8_t page,
                        uint32_t columns[static STRIPE]) {
    uint32_t sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t x = 0; x < STRIPE; x++) {
        const uint32_t value = row[x] ^ page;
        columns[x] += value;
        sum += value;
    }
    return sum;
}

static void add_stripe(const struct cn_picture *picture, int start, uint8_t page, struct ink *ink) {
    const size_t step = (size_t)picture->channels, row = (size_t)picture->width * step;
    const int end = picture->width - start < STRIPE ? picture->width : start + STRIPE;
    const size_t width = (size_t)(end - start);
    const uint8_t *samples = picture->data + (size_t)start * step;
    uint32_t columns[STRIPE] = {0};
    uint8_t stripe[STRIPE];
    memset(stripe, page, sizeof stripe);
    for (int y = 0; y < picture->height; y++, samples += row) {
        if (step == 1)
            memcpy(stripe, samples, width);
        for (size_t x = 0; x < width && step > 1; x++)
            stripe[x] = samples[x * step];
        const uint32_t sum = add_row(stripe, page, columns);
        if (sum == 0)
            continue;
        ink->top = y < ink->top ? y : ink->top;
        ink->bottom = y > ink->bottom ? y : ink->bottom;
        ink->y_sum += sum * (uint64_t)y;
    }
    for (int x = start; x < end; x++) {
        const uint32_t sum = columns[x - start];
        if (sum == 0)
            continue;
        ink->left = x < ink->left ? x : ink->left;
        ink->right = x;
        ink->mass += sum;
        ink->x_sum += sum * (uint64_t)x;
    }
}

/* True if the plain picture has the form of MNIST's images or their negatives: a uniform page, full
 * contrast, ink whose longer side is `box` pixels (or one less), and a centre of mass in the
 * middle. */
static bool has_mnist_form(const struct cn_picture *picture, const struct tone *tone, int box) {
    const int width = picture->width, height = picture->height;
    const uint8_t page = tone->light ? 255 : 0; /* ink is sample ^ page */
    struct ink ink = {.left = width, .right = -1, .top = height, .bottom = -1};
    if (tone->background != page || tone->contrast < 250)
        return false;
    for (int x = 0; x < width; x += STRIPE)
        add_stripe(picture, x, page, &ink);
    /* MNIST's 70,000 images: longer side 19 or 20, centre within 0.52 of pixel (14, 14). */
    const int across = ink.right - ink.left + 1, down = ink.bottom - ink.top + 1;
    const int side = across > down ? across : down;
    return side >= box - 1 && side <= box &&
           fabs((double)ink.x_sum / (double)ink.mass - width / 2) < 0.6 &&
           fabs((double)ink.y_sum / (double)ink.mass - height / 2) < 0.6;
}

static enum cn_status fail_blank(int contrast, struct cn_error *error) {
    return cn_fail(error, CN_UNUSABLE,
                   "the picture is blank: ink differs from its page by %d of 255 grey levels or "
                   "more, and by more than the page's grain; here the largest difference is %d",
                   CN_PAGE_LEAST_CONTRAST, contrast);
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
        return cn_fail(error, CN_UNUSABLE, "the picture is blank: its ink is only lines or specks");
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
        const struct tone tone =
            measure_tone(picture->data, picture->width, picture->height, picture->channels);
        if ((!tone.light || preprocessing->invert) &&
            has_mnist_form(picture, &tone, preprocessing->box)) {
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
