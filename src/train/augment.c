/* augment.c: draws the changes of a training image and applies them, with its scratch memory. Each
 * augmenter belongs to one thread. */
#include "train/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct cn_augmenter {
    const struct cn_augmentation *augmentation; /* borrowed */
    struct cn_preprocessing preprocessing;      /* without the normalisation */
    const struct cn_shape *shape;               /* borrowed */
    bool active;
    int largest_height, largest_width; /* of the canvas: the image's size unless it re-renders */
    float *padded;                     /* one channel of the source with its margins */
    float *places;                     /* [largest, 2] */
    float *plane;                      /* [largest] */
    float *scratch;                    /* for the pixel stages */
    uint8_t *pixels;                   /* [largest] */
    const uint8_t *neighbours;         /* [neighbour_count, the image's size]; borrowed */
    size_t neighbour_count;
};

/* At the input's own size a picture might pass the preprocessing unchanged. */
static const float least_factor = 1.25f;

static float most_factor(float strength) {
    return fmaxf(strength, least_factor);
}

bool cn_augmentation_active(const struct cn_augmentation *augmentation) {
    for (int i = 0; i < CN_AUGMENTATIONS; i++)
        if (augmentation->strength[i] > 0 && augmentation->share[i] > 0)
            return true;
    return false;
}

enum cn_status cn_augmenter_create(const struct cn_augmentation *augmentation,
                                   const struct cn_preprocessing *preprocessing,
                                   const struct cn_shape *shape,
                                   struct cn_augmenter **ret_augmenter, struct cn_error *error) {
    const bool rerenders = augmentation->strength[CN_AUGMENT_RERENDER] > 0;
    const int height = shape->dims[0], width = shape->dims[1];
    if (rerenders && shape->dims[2] != 1)
        return cn_fail(error, CN_INVALID,
                       "augmentation rerender needs grey images; these have %d channels",
                       shape->dims[2]);
    if ((augmentation->strength[CN_AUGMENT_ROW] > 0 ||
         augmentation->strength[CN_AUGMENT_SIGN] > 0) &&
        (preprocessing == NULL || preprocessing->fit != CN_FIT_MNIST || shape->dims[2] != 1 ||
         height > CN_ROW_SIDE || width > CN_ROW_SIDE))
        return cn_fail(error, CN_INVALID,
                       "augmentations row and sign need grey digits of at most %d pixels per side, "
                       "prepared with fit mnist",
                       CN_ROW_SIDE);
    struct cn_augmenter *a = calloc(1, sizeof *a);
    if (a == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for an augmentation");
    a->augmentation = augmentation;
    if (preprocessing != NULL)
        a->preprocessing = cn_preprocessing_without_normalization(preprocessing);
    a->shape = shape;
    a->active = cn_augmentation_active(augmentation);
    const float factor = rerenders ? most_factor(augmentation->strength[CN_AUGMENT_RERENDER]) : 1;
    a->largest_height = (int)ceilf((float)height * factor);
    a->largest_width = (int)ceilf((float)width * factor);
    const size_t largest = (size_t)a->largest_height * (size_t)a->largest_width;
    a->padded = cn_floats_allocate((size_t)(height + 2 * CN_WARP_MARGIN) *
                                   (size_t)(width + 2 * CN_WARP_MARGIN));
    a->places = cn_floats_allocate(2 * largest);
    a->plane = cn_floats_allocate(largest);
    a->scratch =
        cn_floats_allocate((size_t)(a->largest_height + 2) * (size_t)(a->largest_width + 2));
    a->pixels = malloc(largest);
    if (a->padded == NULL || a->places == NULL || a->plane == NULL || a->scratch == NULL ||
        a->pixels == NULL) {
        cn_augmenter_free(a);
        return cn_fail(error, CN_MEMORY, "no memory for an augmentation of %zu pixels", largest);
    }
    *ret_augmenter = a;
    return CN_OK;
}

void cn_augmenter_free(struct cn_augmenter *a) {
    if (a == NULL)
        return;
    free(a->padded);
    free(a->places);
    free(a->plane);
    free(a->scratch);
    free(a->pixels);
    free(a);
}

void cn_augmenter_set_neighbours(struct cn_augmenter *a, const uint8_t *images, size_t count) {
    a->neighbours = images;
    a->neighbour_count = count;
}

/* The strength for this image: 0 unless it is in the share that is changed. */
static float draw_strength(const struct cn_augmentation *a, enum cn_augmentation_index which,
                           struct cn_random *random) {
    if (!(a->strength[which] > 0) || cn_random_float(random) >= a->share[which])
        return 0;
    return a->strength[which];
}

/* Copies one channel of `from` into the middle of the padded plane. */
static void load_channel(struct cn_augmenter *a, const uint8_t *from, int channel) {
    const int height = a->shape->dims[0], width = a->shape->dims[1], channels = a->shape->dims[2];
    const size_t row = (size_t)width + 2 * CN_WARP_MARGIN;
    for (int y = 0; y < height; y++) {
        float *to = a->padded + (size_t)(y + CN_WARP_MARGIN) * row + CN_WARP_MARGIN;
        for (int x = 0; x < width; x++)
            to[x] = (float)from[(y * width + x) * channels + channel] / 255.0F;
    }
}

/* Warps the image by way of a larger picture; false if that failed. */
static bool rerender(struct cn_augmenter *a, const struct cn_warp *warp, float most,
                     struct cn_random *random, const uint8_t *from, float *to) {
    const int height = a->shape->dims[0], width = a->shape->dims[1];
    const float factor = cn_random_uniform(random, least_factor, most_factor(most));
    const int canvas_height = (int)((float)height * factor);
    const int canvas_width = (int)((float)width * factor);
    cn_warp_places(warp, height, width, canvas_height, canvas_width, a->places);
    load_channel(a, from, 0);
    cn_warp_sample(a->padded, height, width, a->places,
                   (size_t)canvas_height * (size_t)canvas_width, a->plane);
    const struct cn_canvas canvas = {canvas_height, canvas_width, factor,
                                     a->plane,      a->scratch,   a->pixels};
    return cn_rerender(random, &a->preprocessing, a->shape, &canvas, to);
}

static void warp_channels(struct cn_augmenter *a, const struct cn_warp *warp, const uint8_t *from,
                          float *to) {
    const int height = a->shape->dims[0], width = a->shape->dims[1], channels = a->shape->dims[2];
    const size_t count = (size_t)height * (size_t)width;
    cn_warp_places(warp, height, width, height, width, a->places);
    for (int c = 0; c < channels; c++) {
        load_channel(a, from, c);
        cn_warp_sample(a->padded, height, width, a->places, count, a->plane);
        for (size_t i = 0; i < count; i++)
            to[i * (size_t)channels + (size_t)c] = a->plane[i];
    }
}

/* The changes of the third stage for this image, the same for all channels. */
struct retouch {
    float stroke, blur, noise, contrast, occlusion, brightness, cutout, erasing;
};

static struct retouch draw_retouch(const struct cn_augmentation *a, struct cn_random *random) {
    const float stroke = draw_strength(a, CN_AUGMENT_STROKE, random);
    const float blur = draw_strength(a, CN_AUGMENT_BLUR, random);
    const float noise = draw_strength(a, CN_AUGMENT_NOISE, random);
    const float contrast = draw_strength(a, CN_AUGMENT_CONTRAST, random);
    struct retouch retouch = {.occlusion = draw_strength(a, CN_AUGMENT_OCCLUSION, random)};
    retouch.stroke = cn_random_uniform(random, -stroke, stroke);
    retouch.blur = cn_random_uniform(random, 0, blur);
    retouch.noise = cn_random_uniform(random, 0, noise);
    retouch.contrast = cn_random_uniform(random, -contrast, contrast);
    const float brightness = draw_strength(a, CN_AUGMENT_BRIGHTNESS, random);
    if (brightness > 0)
        retouch.brightness = cn_random_uniform(random, -brightness, brightness);
    retouch.cutout = draw_strength(a, CN_AUGMENT_CUTOUT, random);
    retouch.erasing = draw_strength(a, CN_AUGMENT_ERASING, random);
    return retouch;
}

static void retouch_plane(struct cn_augmenter *a, const struct retouch *retouch,
                          struct cn_random *random, float *plane) {
    const int height = a->shape->dims[0], width = a->shape->dims[1];
    const size_t count = (size_t)height * (size_t)width;
    if (retouch->stroke != 0)
        cn_augment_stroke(retouch->stroke, plane, height, width, a->scratch);
    if (retouch->blur > 0)
        cn_augment_blur(retouch->blur, plane, height, width, a->scratch);
    if (retouch->contrast != 0)
        cn_augment_contrast(retouch->contrast, plane, count);
    if (retouch->noise > 0)
        cn_augment_noise(retouch->noise, random, plane, count);
    if (retouch->occlusion > 0)
        cn_augment_occlusion(retouch->occlusion, random, plane, height, width);
    if (retouch->brightness != 0)
        cn_augment_brightness(retouch->brightness, plane, count);
    if (retouch->cutout > 0)
        cn_augment_cutout(retouch->cutout, random, plane, height, width);
    if (retouch->erasing > 0)
        cn_augment_erasing(retouch->erasing, random, plane, height, width);
}

/* Replaces the image by an outlier, the same in every channel. */
static void become_outlier(struct cn_augmenter *a, struct cn_random *random, const uint8_t *from,
                           float *to) {
    const size_t count = (size_t)a->shape->dims[0] * (size_t)a->shape->dims[1];
    const size_t channels = (size_t)a->shape->dims[2];
    for (size_t i = 0; i < count; i++)
        a->plane[i] = (float)from[i * channels] / 255.0F;
    cn_augment_outlier(random, a->plane, a->shape->dims[0], a->shape->dims[1], a->scratch);
    for (size_t i = 0; i < count * channels; i++)
        to[i] = a->plane[i / channels];
}

static enum cn_row_part become_row(struct cn_augmenter *a, struct cn_random *random,
                                   const uint8_t *from, float *to) {
    const size_t size = cn_shape_size(a->shape);
    const uint32_t count = (uint32_t)a->neighbour_count;
    const uint8_t *left = a->neighbours + cn_random_below(random, count) * size;
    const uint8_t *right = a->neighbours + cn_random_below(random, count) * size;
    return cn_augment_row(random, &a->preprocessing, a->shape,
                          (const uint8_t *const[]){left, from, right}, to);
}

/* Scales both axes of the warp by the same factor around the centre. */
static void zoom(struct cn_warp *warp, float factor, const struct cn_shape *shape) {
    const float x = (float)(shape->dims[1] - 1) / 2, y = (float)(shape->dims[0] - 1) / 2;
    warp->xx *= factor;
    warp->xy *= factor;
    warp->yx *= factor;
    warp->yy *= factor;
    warp->x0 = x + (warp->x0 - x) * factor;
    warp->y0 = y + (warp->y0 - y) * factor;
}

/* Enlarges a random part with the share `area` of the image to the whole. */
static void crop(struct cn_warp *warp, float area, struct cn_random *random,
                 const struct cn_shape *shape) {
    const float side = sqrtf(area);
    zoom(warp, side, shape);
    const float x = (1 - side) * (float)(shape->dims[1] - 1) / 2;
    const float y = (1 - side) * (float)(shape->dims[0] - 1) / 2;
    warp->x0 += cn_random_uniform(random, -x, x);
    warp->y0 += cn_random_uniform(random, -y, y);
}

static void exchange_pixels(float *a, float *b, size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        const float value = a[c];
        a[c] = b[c];
        b[c] = value;
    }
}

static void flip(float *image, const struct cn_shape *shape, bool horizontal, bool vertical) {
    const size_t height = (size_t)shape->dims[0], width = (size_t)shape->dims[1];
    const size_t channels = (size_t)shape->dims[2];
    for (size_t y = 0; horizontal && y < height; y++)
        for (size_t x = 0; x < width / 2; x++)
            exchange_pixels(image + (y * width + x) * channels,
                            image + (y * width + width - 1 - x) * channels, channels);
    for (size_t y = 0; vertical && y < height / 2; y++)
        exchange_pixels(image + y * width * channels, image + (height - 1 - y) * width * channels,
                        width * channels);
}

static void retouch_channels(struct cn_augmenter *a, struct cn_random *random, float *to) {
    const size_t count = (size_t)a->shape->dims[0] * (size_t)a->shape->dims[1];
    const size_t channels = (size_t)a->shape->dims[2];
    const struct retouch retouch = draw_retouch(a->augmentation, random);
    const struct cn_random before = *random; /* so that every channel loses the same pixels */
    for (size_t c = 0; c < channels; c++) {
        *random = before;
        for (size_t i = 0; i < count; i++)
            a->plane[i] = to[i * channels + c];
        retouch_plane(a, &retouch, random, a->plane);
        for (size_t i = 0; i < count; i++)
            to[i * channels + c] = a->plane[i];
    }
}

static struct cn_warp_ranges draw_ranges(const struct cn_augmenter *a, struct cn_random *random,
                                         const uint8_t *from) {
    const struct cn_augmentation *all = a->augmentation;
    struct cn_warp_ranges ranges = {.aspect = 1};
    ranges.shift = draw_strength(all, CN_AUGMENT_SHIFT, random);
    ranges.rotation = draw_strength(all, CN_AUGMENT_ROTATION, random);
    ranges.scale = draw_strength(all, CN_AUGMENT_SCALE, random);
    ranges.shear = draw_strength(all, CN_AUGMENT_SHEAR, random);
    ranges.elastic = draw_strength(all, CN_AUGMENT_ELASTIC, random);
    ranges.stretch = draw_strength(all, CN_AUGMENT_STRETCH, random);
    if (ranges.stretch > 0)
        ranges.aspect = cn_warp_aspect(from, a->shape);
    return ranges;
}

bool cn_augment(struct cn_augmenter *a, struct cn_random *random, const uint8_t *from, float *to) {
    if (!a->active) {
        cn_image_from_bytes(from, cn_shape_size(a->shape), to);
        return true;
    }
    const struct cn_augmentation *all = a->augmentation;
    if (draw_strength(all, CN_AUGMENT_OUTLIER, random) > 0) {
        become_outlier(a, random, from, to);
        return false;
    }
    if (draw_strength(all, CN_AUGMENT_SIGN, random) > 0 &&
        cn_augment_sign(random, &a->preprocessing, a->shape, to))
        return false;
    if (a->neighbour_count > 0 && draw_strength(all, CN_AUGMENT_ROW, random) > 0) {
        const enum cn_row_part part = become_row(a, random, from, to);
        if (part != CN_ROW_NOTHING)
            return part == CN_ROW_DIGIT;
    }
    const struct cn_warp_ranges ranges = draw_ranges(a, random, from);
    const float most = draw_strength(all, CN_AUGMENT_RERENDER, random);
    struct cn_warp warp = cn_warp_draw(&ranges, random, a->shape->dims[0], a->shape->dims[1]);
    const float zoomed = draw_strength(all, CN_AUGMENT_ZOOM, random);
    if (zoomed > 0) /* the warp maps target to source */
        zoom(&warp, 1 / cn_random_uniform(random, 1 - zoomed, 1 + zoomed), a->shape);
    const float cropped = draw_strength(all, CN_AUGMENT_CROP, random);
    if (cropped > 0)
        crop(&warp, cn_random_uniform(random, 1 - cropped, 1), random, a->shape);
    if (most <= 0 || !rerender(a, &warp, most, random, from, to))
        warp_channels(a, &warp, from, to);
    const bool horizontal = draw_strength(all, CN_AUGMENT_FLIP, random) > 0;
    flip(to, a->shape, horizontal, draw_strength(all, CN_AUGMENT_FLIP_VERTICAL, random) > 0);
    retouch_channels(a, random, to);
    return true;
}
