/* test_augment.c: each augmentation does what its name says; lists of augmentations are parsed and
 * printed. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/augment.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE };

/* A ring with a bar through it, 20 pixels high, in the middle. */
static void draw(uint8_t image[static PIXELS]) {
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const double dx = x - 13.5, dy = y - 13.5, distance = fabs(hypot(dx, dy) - 8);
            const bool bar = fabs(dx) < 1.5 && fabs(dy) < 9;
            image[y * SIDE + x] = bar || distance < 1 ? 255 : distance < 2 ? 128 : 0;
        }
}

static struct cn_augmentation parsed(const char *list) {
    struct cn_augmentation augmentation;
    struct cn_error error = {0};
    cr_assert_eq(cn_augmentation_parse(list, &augmentation, &error), CN_OK, "%s", error.text);
    return augmentation;
}

/* `list` applied to the drawing with stream `seed`. */
static void augment(const char *list, uint64_t seed, float to[static PIXELS]) {
    const struct cn_augmentation augmentation = parsed(list);
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    struct cn_random random = cn_random_stream(seed, 1, 2, 3);
    struct cn_augmenter *augmenter = NULL;
    uint8_t image[PIXELS];
    draw(image);
    cr_assert_eq(cn_augmenter_create(&augmentation, &preprocessing, &shape, &augmenter, NULL),
                 CN_OK);
    cn_augmenter_set_neighbours(augmenter, image, 1);
    (void)cn_augment(augmenter, &random, image, to);
    cn_augmenter_free(augmenter);
}

static void plain(float to[static PIXELS]) {
    uint8_t image[PIXELS];
    draw(image);
    cn_image_from_bytes(image, PIXELS, to);
}

static double mass(const float *image) {
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += (double)image[i];
    return sum;
}

/* The centre of mass along x (axis 0) or y. */
static double center(const float *image, int axis) {
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += (double)image[i] * (axis == 0 ? i % SIDE : i / SIDE);
    return sum / mass(image);
}

/* The root mean square distance of the ink from its centre. */
static double spread(const float *image) {
    const double x = center(image, 0), y = center(image, 1);
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += (double)image[i] * (pow(i % SIDE - x, 2) + pow(i / SIDE - y, 2));
    return sqrt(sum / mass(image));
}

static double difference(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += pow((double)(a[i] - b[i]), 2);
    return sqrt(sum / PIXELS);
}

Test(augment, without_any_the_image_stays_to_the_bit) {
    float before[PIXELS], after[PIXELS];
    plain(before);
    augment("none", 1, after);
    cr_assert_eq(memcmp(before, after, sizeof before), 0);
    augment("shift=2@0,noise=0", 1, after);
    cr_assert_eq(memcmp(before, after, sizeof before), 0);
}

Test(augment, a_stream_gives_one_image_and_another_stream_another) {
    float a[PIXELS], b[PIXELS];
    for (int i = 0; i < CN_AUGMENTATIONS; i++) {
        char list[64];
        if (i == CN_AUGMENT_FLIP || i == CN_AUGMENT_FLIP_VERTICAL)
            continue; /* the drawing is symmetric; these have a test of their own */
        if (i == CN_AUGMENT_MIXUP || i == CN_AUGMENT_CUTMIX)
            continue; /* these need a second image and have a test of their own */
        (void)snprintf(list, sizeof list, "%s=%s", cn_augmentation_types[i].name,
                       i == CN_AUGMENT_ROTATION                              ? "30"
                       : i == CN_AUGMENT_OCCLUSION || i == CN_AUGMENT_CUTOUT ? "12"
                                                                             : "0.5");
        int unlike = 0;
        for (uint64_t seed = 0; seed < 20; seed++) {
            augment(list, seed, a);
            augment(list, seed, b);
            cr_assert_eq(memcmp(a, b, sizeof a), 0, "%s", list);
            augment(list, seed + 1, b);
            unlike += memcmp(a, b, sizeof a) != 0;
            for (int k = 0; k < PIXELS; k++)
                cr_assert(a[k] >= 0 && a[k] <= 1, "%s gives %g", list, (double)a[k]);
        }
        cr_assert_gt(unlike, 10, "%s", list);
    }
}

Test(augment, shift_moves_up_to_its_pixels_and_keeps_the_ink) {
    float before[PIXELS], after[PIXELS];
    double farthest = 0;
    plain(before);
    for (uint64_t seed = 0; seed < 50; seed++) {
        augment("shift=2", seed, after);
        for (int axis = 0; axis < 2; axis++) {
            const double moved = fabs(center(after, axis) - center(before, axis));
            farthest = fmax(farthest, moved);
            cr_assert_leq(moved, 2.05);
        }
        cr_assert_float_eq(mass(after), mass(before), 0.02 * mass(before));
    }
    cr_assert_gt(farthest, 1.5);
}

Test(augment, scale_spreads_the_ink_and_rotation_does_not) {
    float before[PIXELS], after[PIXELS];
    double least = 2, most = 0;
    plain(before);
    for (uint64_t seed = 0; seed < 50; seed++) {
        augment("scale=0.2", seed, after);
        const double ratio = spread(after) / spread(before);
        cr_assert(ratio > 0.78 && ratio < 1.22, "%g", ratio);
        least = fmin(least, ratio);
        most = fmax(most, ratio);
        augment("rotation=45", seed, after);
        cr_assert_float_eq(spread(after), spread(before), 0.01 * spread(before));
        cr_assert_float_eq(mass(after), mass(before), 0.02 * mass(before));
    }
    cr_assert(least < 0.9 && most > 1.1);
}

Test(augment, stretch_changes_the_aspect_and_keeps_the_longer_side) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    uint8_t image[PIXELS] = {0};
    cr_assert_float_eq((double)cn_warp_aspect(image, &shape), 1, 0);
    for (int y = 4; y < 24; y++) /* 10 wide, 20 high */
        memset(image + y * SIDE + 9, 255, 10);
    cr_assert_float_eq((double)cn_warp_aspect(image, &shape), 0.5, 0);
    const struct cn_warp_ranges ranges = {.stretch = 3, .aspect = 0.5f};
    double narrowest = 1, widest = 1;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct cn_random random = cn_random_stream(seed, 0, 0, 0);
        const struct cn_warp warp = cn_warp_draw(&ranges, &random, SIDE, SIDE);
        const double width = 10 / (double)warp.xx, height = 20 / (double)warp.yy;
        cr_assert_float_eq(fmax(width, height), 20, 1e-3);
        cr_assert(warp.xy == 0 && warp.yx == 0);
        narrowest = fmin(narrowest, width / height);
        widest = fmax(widest, width / height);
    }
    cr_assert(narrowest >= 0.125 - 1e-4 && narrowest < 0.15, "%g", narrowest);
    cr_assert(widest <= 2 + 1e-4 && widest > 1.7, "%g", widest);
}

Test(augment, shear_slides_rows_along_x_only) {
    const struct cn_warp_ranges ranges = {.shear = 0.3f};
    float places[2 * PIXELS];
    double most = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct cn_random random = cn_random_stream(seed, 0, 0, 0);
        const struct cn_warp warp = cn_warp_draw(&ranges, &random, SIDE, SIDE);
        cn_warp_places(&warp, SIDE, SIDE, SIDE, SIDE, places);
        const double slide = (double)(places[2 * 19 * SIDE] - places[2 * 8 * SIDE]) / 11;
        most = fmax(most, fabs(slide));
        cr_assert_leq(fabs(slide), 0.3001);
        cr_assert_float_eq((double)places[2 * 8 * SIDE + 1], 8, 1e-4);
    }
    cr_assert_gt(most, 0.25);
}

Test(augment, elastic_bends_about_as_far_as_it_says) {
    const struct cn_warp_ranges ranges = {.elastic = 1.5f};
    float places[2 * PIXELS];
    double squares = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct cn_random random = cn_random_stream(seed, 0, 0, 0);
        const struct cn_warp warp = cn_warp_draw(&ranges, &random, SIDE, SIDE);
        cn_warp_places(&warp, SIDE, SIDE, SIDE, SIDE, places);
        for (int i = 0; i < PIXELS; i++) {
            squares += pow((double)places[2 * i] - i % SIDE, 2);
            /* Smooth: the offsets of neighbouring pixels differ little. */
            if (i % SIDE > 0)
                cr_assert_lt(fabs((double)(places[2 * i] - places[2 * i - 2]) - 1), 2.5);
        }
    }
    /* The strength is uniform in 0 to x: its mean square is x^2 / 3. */
    cr_assert_float_eq(sqrt(squares / 200 / PIXELS), 1.5 / sqrt(3), 0.12);
}

Test(augment, stroke_grows_and_shrinks_but_never_takes_most_of_the_ink) {
    float thin[PIXELS], same[PIXELS], wide[PIXELS], scratch[30 * 30];
    plain(same);
    plain(thin);
    plain(wide);
    cn_augment_stroke(0.5f, wide, SIDE, SIDE, scratch);
    cn_augment_stroke(-0.5f, thin, SIDE, SIDE, scratch);
    cr_assert_gt(mass(wide), 1.15 * mass(same));
    cr_assert_lt(mass(thin), 0.85 * mass(same));
    cn_augment_stroke(-3, thin, SIDE, SIDE, scratch);
    cr_assert_gt(mass(thin), 0.24 * mass(same));
    plain(thin);
    cn_augment_stroke(-3, thin, SIDE, SIDE, scratch);
    cr_assert_float_eq(mass(thin), 0.5 * mass(same), 1e-3 * mass(same));
}

Test(augment, blur_has_its_variance) {
    float image[PIXELS] = {0}, scratch[30 * 30];
    image[14 * SIDE + 14] = 1;
    cn_augment_blur(1.2f, image, SIDE, SIDE, scratch);
    cr_assert_float_eq(mass(image), 1, 1e-5);
    cr_assert_float_eq(spread(image), 1.2 * sqrt(2), 1e-3);
}

Test(augment, noise_has_its_deviation) {
    float image[10000];
    double sum = 0, squares = 0;
    struct cn_random random = cn_random_stream(1, 0, 0, 0);
    for (int i = 0; i < 10000; i++)
        image[i] = 0.5f;
    cn_augment_noise(0.1f, &random, image, 10000);
    for (int i = 0; i < 10000; i++) {
        sum += (double)image[i] - 0.5;
        squares += pow((double)image[i] - 0.5, 2);
    }
    cr_assert_float_eq(sum / 10000, 0, 0.004);
    cr_assert_float_eq(sqrt(squares / 10000), 0.1, 0.003);
}

Test(augment, contrast_bends_between_fixed_ends) {
    float image[] = {0, 0.25f, 0.5f, 1};
    cn_augment_contrast(0.5f, image, 4);
    const float expected[] = {0, 0.25f + 0.5f * 0.1875f, 0.625f, 1};
    for (int i = 0; i < 4; i++)
        cr_assert_float_eq((double)image[i], (double)expected[i], 1e-6);
}

Test(augment, occlusion_loses_one_square_of_at_most_its_side) {
    float before[PIXELS], after[PIXELS];
    bool lost_to_page = false, lost_to_ink = false;
    plain(before);
    for (uint64_t seed = 0; seed < 60; seed++) {
        int left = SIDE, right = -1, top = SIDE, bottom = -1;
        augment("occlusion=6", seed, after);
        for (int i = 0; i < PIXELS; i++) {
            if (after[i] == before[i])
                continue;
            left = i % SIDE < left ? i % SIDE : left;
            right = i % SIDE > right ? i % SIDE : right;
            top = i / SIDE < top ? i / SIDE : top;
            bottom = i / SIDE > bottom ? i / SIDE : bottom;
            lost_to_page |= after[i] == 0;
            lost_to_ink |= after[i] == 1;
        }
        cr_assert(right - left < 6 && bottom - top < 6);
    }
    cr_assert(lost_to_page && lost_to_ink);
}

Test(augment, rerendering_goes_through_the_preprocessing) {
    float before[PIXELS], after[PIXELS];
    double least = 1e9, most = 0;
    plain(before);
    for (uint64_t seed = 0; seed < 40; seed++) {
        int left = SIDE, right = -1, top = SIDE, bottom = -1;
        augment("shift=3,rerender=3", seed, after);
        for (int i = 0; i < PIXELS; i++) {
            cr_assert_float_eq((double)after[i] * 255, round((double)after[i] * 255), 1e-3);
            if (after[i] <= 0)
                continue;
            left = i % SIDE < left ? i % SIDE : left;
            right = i % SIDE > right ? i % SIDE : right;
            top = i / SIDE < top ? i / SIDE : top;
            bottom = i / SIDE > bottom ? i / SIDE : bottom;
        }
        const int width = right - left + 1, height = bottom - top + 1;
        cr_assert((width > height ? width : height) <= 20, "cropped into the box of 20");
        cr_assert(fabs(center(after, 0) - 14) < 1 && fabs(center(after, 1) - 14) < 1);
        least = fmin(least, mass(after));
        most = fmax(most, mass(after));
    }
    cr_assert_gt(most, 1.2 * least, "pens differ");
}

Test(augment, rerendering_of_colours_is_refused) {
    const struct cn_augmentation augmentation = parsed("rerender=2");
    const struct cn_shape shape = cn_shape_image(8, 8, 3);
    const struct cn_preprocessing preprocessing = cn_preprocessing_default(&shape);
    struct cn_augmenter *augmenter = NULL;
    struct cn_error error = {0};
    cr_assert_eq(cn_augmenter_create(&augmentation, &preprocessing, &shape, &augmenter, &error),
                 CN_INVALID);
    cr_assert_not_null(strstr(error.text, "3 channels"), "%s", error.text);
}

Test(augment, an_outlier_is_another_picture_and_says_so) {
    const struct cn_augmentation augmentation = parsed("outlier=1@0.5,shift=1");
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    struct cn_augmenter *augmenter = NULL;
    uint8_t image[PIXELS];
    float before[PIXELS], after[PIXELS];
    int outliers = 0;
    draw(image);
    plain(before);
    cr_assert_eq(cn_augmenter_create(&augmentation, NULL, &shape, &augmenter, NULL), CN_OK);
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct cn_random random = cn_random_stream(seed, 1, 2, 3);
        if (cn_augment(augmenter, &random, image, after)) {
            cr_assert_lt(difference(before, after), 0.3);
            continue;
        }
        outliers++;
        cr_assert_gt(difference(before, after), 0.1, "stream %d", (int)seed);
    }
    cr_assert(outliers > 70 && outliers < 130, "%d of 200", outliers);
    cn_augmenter_free(augmenter);
}

/* A ring, or a bar that is as high. */
static void draw_digit(bool ring, uint8_t image[static PIXELS]) {
    for (int i = 0; i < PIXELS; i++) {
        const int x = i % SIDE, y = i / SIDE;
        const double distance = hypot(x - 13.5, y - 13.5);
        const bool ink = ring ? fabs(distance - 8) < 1.6 : abs(x - 14) < 2 && abs(y - 14) < 10;
        image[i] = ink ? 255 : 0;
    }
}

/* The columns and the rows between the outermost pixels with ink. */
static void measure_ink(const float image[static PIXELS], int *ret_width, int *ret_height) {
    int left = SIDE, right = -1, top = SIDE, bottom = -1;
    for (int i = 0; i < PIXELS; i++) {
        if (image[i] == 0)
            continue;
        left = i % SIDE < left ? i % SIDE : left;
        right = i % SIDE > right ? i % SIDE : right;
        top = i / SIDE < top ? i / SIDE : top;
        bottom = i / SIDE;
    }
    *ret_width = right - left + 1;
    *ret_height = bottom - top + 1;
}

/* True if the first or the last column of the ink is as high as the ink: a bar, not a ring. */
static bool ends_with_bar(const float image[static PIXELS]) {
    int counts[SIDE] = {0}, first = SIDE, last = 0, width, height;
    measure_ink(image, &width, &height);
    for (int i = 0; i < PIXELS; i++) {
        counts[i % SIDE] += image[i] > 0;
        if (image[i] > 0) {
            first = i % SIDE < first ? i % SIDE : first;
            last = i % SIDE > last ? i % SIDE : last;
        }
    }
    return (counts[first] > counts[first + 1] ? counts[first] : counts[first + 1]) * 10 >
               height * 8 ||
           (counts[last] > counts[last - 1] ? counts[last] : counts[last - 1]) * 10 > height * 8;
}

Test(augment, a_part_of_a_row_keeps_its_class_if_it_is_the_digit) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    const struct cn_augmentation augmentation = parsed("row=1");
    struct cn_augmenter *augmenter = NULL;
    uint8_t images[2 * PIXELS];
    float to[PIXELS];
    int kept = 0, none = 0, wide = 0;
    draw_digit(true, images);
    draw_digit(true, images + PIXELS);
    cr_assert_eq(cn_augmenter_create(&augmentation, &preprocessing, &shape, &augmenter, NULL),
                 CN_OK);
    cn_augmenter_set_neighbours(augmenter, images, 2);
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct cn_random random = cn_random_stream(seed, 1, 2, 3);
        int width, height;
        const bool digit = cn_augment(augmenter, &random, images, to);
        measure_ink(to, &width, &height);
        cr_assert(width <= 20 && height <= 20, "%d x %d", width, height);
        if (digit) {
            kept++;
            cr_assert(width * 10 > height * 7 && width * 10 < height * 14, "stream %d: %d x %d",
                      (int)seed, width, height);
        } else {
            none++;
            wide += width * 2 > height * 3; /* two rings */
            cr_assert(width * 5 > height * 6 || height * 5 > width * 6,
                      "stream %d: %d x %d is a whole ring", (int)seed, width, height);
        }
    }
    cn_augmenter_free(augmenter);
    cr_assert(kept > 60 && none > 60 && wide > 30, "%d kept, %d of no class, %d wide", kept, none,
              wide);
}

Test(augment, a_narrow_neighbour_is_no_small_part_of_the_digit) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    uint8_t ring[PIXELS], bar[PIXELS];
    float to[PIXELS];
    int kept = 0, bars = 0;
    draw_digit(true, ring);
    draw_digit(false, bar);
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct cn_random random = cn_random_stream(seed, 1, 2, 3);
        if (cn_augment_row(&random, &preprocessing, &shape,
                           (const uint8_t *const[]){bar, ring, bar}, to) == CN_ROW_DIGIT) {
            kept++;
            bars += ends_with_bar(to);
        }
    }
    /* A fifth of a bar may remain, which is as high as all of it. */
    cr_assert(kept > 60 && bars * 5 < kept, "%d of %d have a bar", bars, kept);
}

Test(augment, a_sign_has_no_class_and_is_fitted) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    float last[PIXELS] = {0}, to[PIXELS];
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct cn_random random = cn_random_stream(seed, 1, 2, 3);
        int width, height;
        cr_assert(cn_augment_sign(&random, &preprocessing, &shape, to));
        measure_ink(to, &width, &height);
        cr_assert_eq(width > height ? width : height, 20);
        cr_assert(width * 4 > height, "%d x %d is a 1", width, height);
        cr_assert_gt(difference(last, to), 0.02);
        memcpy(last, to, sizeof last);
    }
}

Test(augment, an_image_that_became_a_sign_has_no_class) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    const struct cn_augmentation augmentation = parsed("sign=1@0.5");
    struct cn_augmenter *augmenter = NULL;
    uint8_t ring[PIXELS];
    float as_it_is[PIXELS], to[PIXELS];
    int signs = 0;
    draw_digit(true, ring);
    for (int i = 0; i < PIXELS; i++)
        as_it_is[i] = (float)ring[i] / 255;
    cr_assert_eq(cn_augmenter_create(&augmentation, &preprocessing, &shape, &augmenter, NULL),
                 CN_OK);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct cn_random random = cn_random_stream(seed, 1, 2, 3);
        const bool kept = cn_augment(augmenter, &random, ring, to);
        cr_assert_eq(kept, difference(as_it_is, to) == 0);
        signs += !kept;
    }
    cr_assert(signs > 25 && signs < 75, "%d signs", signs);
    cn_augmenter_free(augmenter);
}

/* Numbers are drawn in one order whatever the compiler: C leaves that of initializers open. */
Test(augment, draws_have_one_order) {
    static const struct {
        const char *list;
        double mass, x, y;
    } expected[] = {{"sign=1", 108.7757, 13.88445, 13.97518},
                    {"row=1", 136.0639, 14.10496, 13.87684},
                    {"rerender=3", 194.5196, 14.09009, 14.19124}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        double means[3] = {0};
        for (uint64_t seed = 0; seed < 20; seed++) {
            float to[PIXELS];
            augment(expected[i].list, seed, to);
            means[0] += mass(to) / 20;
            means[1] += center(to, 0) / 20;
            means[2] += center(to, 1) / 20;
        }
        cr_assert(fabs(means[0] - expected[i].mass) < 1e-2 &&
                      fabs(means[1] - expected[i].x) < 1e-3 &&
                      fabs(means[2] - expected[i].y) < 1e-3,
                  "%s: %.4f %.5f %.5f", expected[i].list, means[0], means[1], means[2]);
    }
}

/* Digits of one column, which overlap: all ink stays in the row. */
Test(augment, a_row_of_the_narrowest_digits) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    uint8_t line[PIXELS] = {0};
    float to[PIXELS];
    int parts = 0;
    for (int y = 0; y < SIDE; y++)
        line[y * SIDE + SIDE / 2] = 255;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct cn_random random = cn_random_stream(seed, 1, 2, 3);
        int width, height;
        if (cn_augment_row(&random, &preprocessing, &shape,
                           (const uint8_t *const[]){line, line, line}, to) == CN_ROW_NOTHING)
            continue;
        parts++;
        measure_ink(to, &width, &height);
        cr_assert(width < 10 && height == 20, "stream %d: %d x %d", (int)seed, width, height);
    }
    cr_assert_gt(parts, 100);
}

Test(augment, rows_and_signs_need_digits) {
    const struct cn_shape shape = cn_shape_image(8, 8, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_default(&shape);
    struct cn_augmenter *augmenter = NULL;
    for (int i = 0; i < 2; i++) {
        const struct cn_augmentation augmentation = parsed(i == 0 ? "row=1" : "sign=1@0.1");
        struct cn_error error = {0};
        cr_assert_eq(cn_augmenter_create(&augmentation, &preprocessing, &shape, &augmenter, &error),
                     CN_INVALID);
        cr_assert_not_null(strstr(error.text, "fit mnist"), "%s", error.text);
    }
}

Test(augment, channels_move_together) {
    const struct cn_augmentation augmentation = parsed("shift=2,elastic=1,occlusion=3,stroke=0.5");
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 2);
    struct cn_augmenter *augmenter = NULL;
    struct cn_random random = cn_random_stream(1, 2, 3, 4);
    uint8_t one[PIXELS], two[2 * PIXELS];
    float to[2 * PIXELS];
    draw(one);
    for (int i = 0; i < 2 * PIXELS; i++)
        two[i] = one[i / 2];
    cr_assert_eq(cn_augmenter_create(&augmentation, NULL, &shape, &augmenter, NULL), CN_OK);
    cr_assert(cn_augment(augmenter, &random, two, to));
    for (int i = 0; i < PIXELS; i++)
        cr_assert_eq(to[2 * i], to[2 * i + 1]);
    cn_augmenter_free(augmenter);
}

Test(augment, the_share_is_the_share_of_the_images) {
    float before[PIXELS], after[PIXELS];
    int changed = 0;
    plain(before);
    for (uint64_t seed = 0; seed < 400; seed++) {
        augment("noise=0.2@0.3", seed, after);
        changed += memcmp(before, after, sizeof before) != 0;
    }
    cr_assert(changed > 85 && changed < 155, "%d of 400", changed);
}

Test(augment, lists_read_and_print) {
    char text[CN_AUGMENTATION_TEXT];
    const struct {
        const char *list, *printed;
    } good[] = {
        {"none", "none"},
        {"shift=2", "shift=2"},
        {"rotation=10,shift=1.5@0.25", "shift=1.5@0.25,rotation=10"},
        {"shift=1,shift=3", "shift=3"},
        {"shift=0,noise=0.1@0", "none"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct cn_augmentation augmentation = parsed(good[i].list);
        cr_assert_str_eq(cn_augmentation_format(&augmentation, text), good[i].printed);
    }
    struct cn_augmentation preset = parsed("handwriting,shift=0,elastic=3@0.5");
    cr_assert_eq(preset.strength[CN_AUGMENT_SHIFT], 0);
    cr_assert_eq(preset.strength[CN_AUGMENT_ELASTIC], 3);
    cr_assert_eq(preset.share[CN_AUGMENT_ELASTIC], 0.5f);
    preset = parsed("handwriting");
    for (int i = 0; i < CN_AUGMENTATIONS;
         i++) /* the augmentations after the outliers are for photographs */
        cr_assert_eq(preset.strength[i] > 0 && preset.share[i] > 0, i <= CN_AUGMENT_OUTLIER, "%s",
                     cn_augmentation_types[i].name);
    const struct cn_augmentation again = parsed(cn_augmentation_format(&preset, text));
    cr_assert_eq(memcmp(&preset, &again, sizeof again), 0);
}

Test(augment, bad_lists_are_quoted) {
    const struct {
        const char *list, *named;
    } bad[] = {
        {"", "\"\""},
        {"shift", "\"shift\""},
        {"shift=", "\"shift=\""},
        {"shift=2,", "\"\""},
        {"warp=2", "\"warp=2\""},
        {",shift=2", "\"\""},
        {"shift=2x", "2x"},
        {"shift=-1", "\"shift=-1"},
        {"shift=1@", "\"shift=1@\""},
        {"shift=nan", "nan"},
        {"rotation=181", "180"},
        {"noise=0.1@1.5", "share of 1.5"},
        {"handwriting=1", "handwriting=1"},
        {"shift=1,handwriting", "handwriting"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct cn_augmentation augmentation = {0};
        struct cn_error error = {0};
        cr_assert_eq(cn_augmentation_parse(bad[i].list, &augmentation, &error), CN_INVALID, "%s",
                     bad[i].list);
        cr_assert_not_null(strstr(error.text, bad[i].named), "%s: %s", bad[i].list, error.text);
    }
}

/* A slope, 4 x + y, with `channels` equal channels, changed by the list. */
static void change_slope(const char *list, int channels, float *to) {
    const struct cn_augmentation augmentation = parsed(list);
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, channels);
    struct cn_random random = cn_random_stream(1, 1, 2, 3);
    struct cn_augmenter *augmenter = NULL;
    uint8_t image[PIXELS * 3];
    for (int i = 0; i < PIXELS * channels; i++)
        image[i] = (uint8_t)(4 * (i / channels % SIDE) + i / channels / SIDE + i % channels);
    cr_assert_eq(cn_augmenter_create(&augmentation, NULL, &shape, &augmenter, NULL), CN_OK);
    (void)cn_augment(augmenter, &random, image, to);
    cn_augmenter_free(augmenter);
}

Test(augment, flips_exchange_the_sides) {
    float to[PIXELS * 3];
    for (int channels = 1; channels <= 3; channels += 2)
        for (int way = 0; way < 2; way++) {
            change_slope(way == 0 ? "flip=1" : "flip-vertical=1", channels, to);
            for (int i = 0; i < PIXELS * channels; i++) {
                const int x = i / channels % SIDE, y = i / channels / SIDE;
                const int value = way == 0 ? 4 * (SIDE - 1 - x) + y : 4 * x + SIDE - 1 - y;
                cr_assert_float_eq((double)to[i], (value + i % channels) / 255.0, 1e-5);
            }
        }
}

Test(augment, brightness_is_added_and_cut) {
    float to[PIXELS];
    change_slope("brightness=0.9", 1, to);
    const float added = to[PIXELS - 1] - 135 / 255.0f; /* the brightest pixel */
    cr_assert_gt(fabsf(added), 1e-3f);
    for (int i = 0; i < PIXELS; i++) {
        const float was = (float)(4 * (i % SIDE) + i / SIDE) / 255;
        if (to[PIXELS - 1] > 0 && to[PIXELS - 1] < 1)
            cr_assert_float_eq((double)to[i], fmin(fmax((double)(was + added), 0), 1), 1e-5);
        cr_assert(to[i] >= 0 && to[i] <= 1);
    }
}

Test(augment, zoom_keeps_the_middle_and_the_aspect) {
    float image[PIXELS], to[PIXELS];
    double least = 99, most = 0;
    plain(image);
    for (uint64_t seed = 0; seed < 40; seed++) {
        augment("zoom=0.3", seed, to);
        cr_assert_float_eq(center(to, 0), center(image, 0), 0.3);
        cr_assert_float_eq(center(to, 1), center(image, 1), 0.3);
        least = fmin(least, spread(to) / spread(image));
        most = fmax(most, spread(to) / spread(image));
    }
    cr_assert(least > 0.65 && least < 0.85 && most > 1.15 && most < 1.35, "%g to %g", least, most);
}

Test(augment, photos_is_a_preset) {
    const struct cn_augmentation a = parsed("photos,flip=1@0.25");
    cr_assert_eq(a.share[CN_AUGMENT_FLIP], 0.25f);
    cr_assert_gt(a.strength[CN_AUGMENT_ZOOM], 0);
    cr_assert_eq(a.strength[CN_AUGMENT_STROKE], 0);
}

/* ---- Missing pieces, and two images in one ---- */

Test(augment, cutout_leaves_a_square_of_nothing) {
    float before[PIXELS], after[PIXELS];
    plain(before);
    int most = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        int lost = 0;
        augment("cutout=8", seed, after);
        for (int i = 0; i < PIXELS; i++) {
            cr_assert(after[i] == 0 || fabsf(after[i] - before[i]) < 1e-6f, "it adds nothing");
            lost += after[i] == 0 && before[i] > 0;
        }
        cr_assert_leq(lost, 64);
        most = lost > most ? lost : most;
    }
    cr_assert_gt(most, 8);
}

Test(augment, erasing_fills_a_rectangle_of_its_share_with_noise) {
    float before[PIXELS], after[PIXELS];
    plain(before);
    for (uint64_t seed = 0; seed < 20; seed++) {
        int changed = 0, left = SIDE, right = 0, top = SIDE, bottom = 0;
        augment("erasing=0.3", seed, after);
        for (int i = 0; i < PIXELS; i++) {
            cr_assert(after[i] >= 0 && after[i] <= 1);
            if (fabsf(after[i] - before[i]) < 1e-6f)
                continue;
            changed++;
            left = i % SIDE < left ? i % SIDE : left;
            right = i % SIDE >= right ? i % SIDE + 1 : right;
            top = i / SIDE < top ? i / SIDE : top;
            bottom = i / SIDE >= bottom ? i / SIDE + 1 : bottom;
        }
        cr_assert_gt(changed, 0);
        cr_assert_leq(changed, (int)(0.3 * PIXELS) + 1);
        cr_assert_geq(changed + 4, (right - left) * (bottom - top), "all of the rectangle");
    }
}

Test(augment, crop_enlarges_a_piece) {
    float before[PIXELS], after[PIXELS];
    plain(before);
    double larger = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        augment("crop=0.4", seed, after);
        larger += mass(after) > mass(before) * 1.02;
    }
    cr_assert_gt(larger, 10, "most pieces show more ink: %g of 20", larger);
}

Test(augment, mixtures_keep_the_share_that_they_say) {
    const struct cn_shape shape = cn_shape_image(20, 30, 1);
    for (int list = 0; list < 2; list++) {
        const struct cn_augmentation a = parsed(list == 0 ? "mixup=0.4" : "cutmix=1");
        double sum = 0;
        for (uint64_t seed = 0; seed < 200; seed++) {
            struct cn_random random = cn_random_stream(seed, 4, 5, 6);
            float image[600], other[600];
            double kept = 0;
            for (int i = 0; i < 600; i++) {
                image[i] = 1;
                other[i] = 0;
            }
            const enum cn_mix how = cn_mix_draw(&a, &random);
            cr_assert_eq(how, list == 0 ? CN_MIX_UP : CN_MIX_CUT);
            const float share = cn_mix(how, &a, &random, other, &shape, image);
            for (int i = 0; i < 600; i++)
                kept += (double)image[i] / 600;
            cr_assert(fabs(kept - (double)share) < 1e-4, "%g of the image for a share of %g", kept,
                      (double)share);
            sum += (double)share;
        }
        cr_assert(sum > 80 && sum < 160, "the mean share is %g", sum / 200);
    }
}
