/* test_preprocess.c: pictures of all sizes, colours and polarities become a network's input. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "convnet/dataset.h"
#include "convnet/image.h"
#include "image/resize.h"
#include "image/strokes.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE };

static struct cn_dataset *mnist(void) {
    struct cn_dataset *dataset = NULL;
    struct cn_error error = {0};
    cr_assert_eq(
        cn_dataset_read(TEST_DATA_DIR "/mnist-sample", CN_SPLIT_TEST, NULL, NULL, &dataset, &error),
        CN_OK, "%s", error.text);
    return dataset;
}

/* A picture with one value everywhere; the caller frees data. */
static struct cn_picture blank(int width, int height, int channels, uint8_t value) {
    const size_t size = (size_t)width * (size_t)height * (size_t)channels;
    struct cn_picture picture = {
        .width = width, .height = height, .channels = channels, .data = malloc(size)};
    memset(picture.data, value, size);
    return picture;
}

static void fill(struct cn_picture *picture, int x, int y, int width, int height,
                 const uint8_t *pixel) {
    for (int v = y; v < y + height; v++)
        for (int u = x; u < x + width; u++)
            memcpy(picture->data + (v * picture->width + u) * picture->channels, pixel,
                   (size_t)picture->channels);
}

static enum cn_status run(const struct cn_picture *picture, int channels, float *image,
                          struct cn_preprocessing_report *report, struct cn_error *error) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, channels);
    const struct cn_preprocessing preprocessing =
        channels == 1 ? cn_preprocessing_digits(&shape) : cn_preprocessing_default(&shape);
    return cn_preprocess(&preprocessing, picture, &shape, image, report, error);
}

/* The box of all pixels above one half: left, top, right, bottom. */
static void find_box(const float *image, int box[4]) {
    box[0] = box[1] = SIDE;
    box[2] = box[3] = -1;
    for (int i = 0; i < PIXELS; i++) {
        const int x = i % SIDE, y = i / SIDE;
        if (image[i] <= 0.5F)
            continue;
        box[0] = x < box[0] ? x : box[0];
        box[1] = y < box[1] ? y : box[1];
        box[2] = x > box[2] ? x : box[2];
        box[3] = y > box[3] ? y : box[3];
    }
}

Test(preprocess, defaults) {
    struct cn_shape shape = cn_shape_image(28, 28, 1);
    struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    cr_assert(preprocessing.fit == CN_FIT_MNIST && preprocessing.box == 20 && preprocessing.invert);
    preprocessing = cn_preprocessing_default(&shape);
    cr_assert(preprocessing.fit == CN_FIT_STRETCH && !preprocessing.invert &&
              preprocessing.channels == CN_CHANNELS_GREY);
    shape = cn_shape_image(32, 40, 3);
    preprocessing = cn_preprocessing_default(&shape);
    cr_assert(preprocessing.fit == CN_FIT_STRETCH && preprocessing.channels == CN_CHANNELS_RGB);
}

Test(preprocess, mnist_images_pass_to_the_bit) {
    struct cn_dataset *dataset = mnist();
    for (size_t i = 0; i < dataset->count; i++) {
        float image[PIXELS], raw[PIXELS];
        uint8_t rgb[PIXELS * 3];
        struct cn_preprocessing_report report = {0};
        uint8_t *bytes = dataset->images + i * PIXELS;
        struct cn_picture picture = {.width = SIDE, .height = SIDE, .channels = 1, .data = bytes};
        cn_image_from_bytes(bytes, PIXELS, raw);
        cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
        cr_assert(report.unchanged && !report.inverted);
        cr_assert_eq(memcmp(image, raw, sizeof raw), 0, "image %zu", i);
        for (size_t at = 0; at < PIXELS * 3; at++)
            rgb[at] = bytes[at / 3];
        picture = (struct cn_picture){.width = SIDE, .height = SIDE, .channels = 3, .data = rgb};
        cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
        cr_assert(report.unchanged);
        cr_assert_eq(memcmp(image, raw, sizeof raw), 0, "grey RGB image %zu", i);
    }
    cn_dataset_free(dataset);
}

Test(preprocess, inverse_mnist_images_give_mnist_bits) {
    struct cn_dataset *dataset = mnist();
    for (size_t i = 0; i < dataset->count; i++) {
        float image[PIXELS], raw[PIXELS];
        uint8_t inverse[PIXELS];
        struct cn_preprocessing_report report = {0};
        for (size_t at = 0; at < PIXELS; at++)
            inverse[at] = (uint8_t)(255 - dataset->images[i * PIXELS + at]);
        const struct cn_picture picture = {
            .width = SIDE, .height = SIDE, .channels = 1, .data = inverse};
        cn_image_from_bytes(dataset->images + i * PIXELS, PIXELS, raw);
        cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
        cr_assert(report.inverted && !report.unchanged);
        cr_assert_eq(memcmp(image, raw, sizeof raw), 0, "image %zu", i);
    }
    cn_dataset_free(dataset);
}

/* The mean distance between MNIST images and their enlarged light or dark copies after
 * preprocessing. */
Test(preprocess, enlarged_mnist_comes_back) {
    struct cn_dataset *dataset = mnist();
    double total = 0.0;
    for (size_t i = 0; i < dataset->count; i++) {
        const uint8_t *bytes = dataset->images + i * PIXELS;
        const bool light = i % 2 == 1;
        struct cn_picture picture = blank(300, 400, 1, light ? 240 : 10);
        float image[PIXELS];
        double sum = 0.0;
        struct cn_preprocessing_report report = {0};
        for (int y = 0; y < 280; y++)
            for (int x = 0; x < 280; x++) {
                const int ink = bytes[y / 10 * SIDE + x / 10] * 220 / 255;
                picture.data[(y + 100) * 300 + x + 5] = (uint8_t)(light ? 240 - ink : 10 + ink);
            }
        cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
        cr_assert_eq(report.inverted, light);
        for (int at = 0; at < PIXELS; at++)
            sum += fabs((double)image[at] - bytes[at] / 255.0);
        total += sum / PIXELS;
        free(picture.data);
    }
    const double mean = total / (double)dataset->count;
    cn_dataset_free(dataset);
    cr_assert_lt(mean, 0.012, "mean difference %g", mean);
}

Test(preprocess, aspect_is_kept) {
    static const int sizes[][2] = {{200, 40}, {40, 200}, {160, 160}, {10, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int width = sizes[i][0], height = sizes[i][1];
        struct cn_picture picture = blank(500, 300, 3, 255);
        float image[PIXELS];
        int box[4];
        fill(&picture, 30, 20, width, height, (const uint8_t[3]){20, 20, 120});
        cr_assert_eq(run(&picture, 1, image, NULL, NULL), CN_OK);
        find_box(image, box);
        const int longer = width > height ? width : height;
        cr_assert_eq(box[2] - box[0] + 1, (int)lround(20.0 * width / longer));
        cr_assert_eq(box[3] - box[1] + 1, (int)lround(20.0 * height / longer));
        /* The centre of mass is at pixel (14, 14), as in MNIST. */
        cr_assert_leq(abs(box[0] + box[2] - 28), 1);
        cr_assert_leq(abs(box[1] + box[3] - 28), 1);
        free(picture.data);
    }
}

Test(preprocess, transparent_drawings) {
    static const uint8_t inks[] = {0, 255, 60};
    for (size_t i = 0; i < sizeof inks; i++) {
        struct cn_picture drawing = blank(100, 100, 4, 0);
        struct cn_picture grey = blank(100, 100, 2, 0);
        float image[PIXELS], other[PIXELS];
        int box[4];
        fill(&drawing, 40, 20, 10, 60, (const uint8_t[4]){inks[i], inks[i], inks[i], 255});
        fill(&grey, 40, 20, 10, 60, (const uint8_t[2]){inks[i], 255});
        cr_assert_eq(run(&drawing, 1, image, NULL, NULL), CN_OK);
        cr_assert_eq(run(&grey, 1, other, NULL, NULL), CN_OK);
        cr_assert_eq(memcmp(image, other, sizeof image), 0);
        find_box(image, box);
        cr_assert_eq(box[3] - box[1] + 1, 20, "ink %u", (unsigned)inks[i]);
        cr_assert_leq(box[2] - box[0] + 1, 4);
        cr_assert_eq(image[0], 0.0F);
        free(drawing.data);
        free(grey.data);
    }
}

Test(preprocess, opaque_page_with_transparent_corners) {
    struct cn_picture picture = blank(100, 100, 4, 255);
    float image[PIXELS];
    int box[4];
    for (int corner = 0; corner < 4; corner++)
        fill(&picture, corner % 2 * 90, corner / 2 * 90, 10, 10, (const uint8_t[4]){0, 0, 0, 0});
    fill(&picture, 45, 30, 8, 40, (const uint8_t[4]){0, 0, 0, 255});
    cr_assert_eq(run(&picture, 1, image, NULL, NULL), CN_OK);
    find_box(image, box);
    cr_assert_eq(box[2] - box[0] + 1, 4); /* the stroke, not the corners */
    free(picture.data);
}

Test(preprocess, thin_strokes_stay_strong) {
    /* One pixel in 1,000. */
    struct cn_picture picture = blank(1000, 1000, 1, 255);
    float image[PIXELS], column = 0.0F;
    fill(&picture, 300, 100, 1, 800, (const uint8_t[1]){0});
    fill(&picture, 300, 100, 300, 1, (const uint8_t[1]){0});
    cr_assert_eq(run(&picture, 1, image, NULL, NULL), CN_OK);
    for (int x = 0; x < SIDE; x++)
        column += image[14 * SIDE + x];
    cr_assert(column > 1.5F && column < 3.5F, "the stroke is %g pixels wide", (double)column);
    free(picture.data);
}

Test(preprocess, specks_are_ignored) {
    struct cn_picture clean = blank(200, 200, 1, 250), dirty = blank(200, 200, 1, 250);
    float image[PIXELS], other[PIXELS];
    fill(&clean, 80, 60, 20, 80, (const uint8_t[1]){10});
    fill(&dirty, 80, 60, 20, 80, (const uint8_t[1]){10});
    fill(&dirty, 190, 5, 2, 2, (const uint8_t[1]){10});
    fill(&dirty, 3, 150, 100, 1, (const uint8_t[1]){220}); /* faint */
    cr_assert_eq(run(&clean, 1, image, NULL, NULL), CN_OK);
    cr_assert_eq(run(&dirty, 1, other, NULL, NULL), CN_OK);
    cr_assert_eq(memcmp(image, other, sizeof image), 0);
    free(clean.data);
    free(dirty.data);
}

/* A stroke of `ink` on `page`. */
static struct cn_picture stroke_on(const uint8_t page[3], const uint8_t ink[3]) {
    struct cn_picture picture = blank(120, 120, 3, 0);
    fill(&picture, 0, 0, 120, 120, page);
    fill(&picture, 50, 20, 12, 80, ink);
    return picture;
}

Test(preprocess, coloured_pens_that_are_as_bright_as_their_page) {
    static const uint8_t colors[][2][3] = {
        {{255, 255, 255}, {255, 250, 0}}, /* yellow on white */
        {{255, 0, 0}, {0, 140, 0}},       /* green on red, of the same luminance */
        {{0, 0, 0}, {0, 0, 120}},         /* blue on black */
        {{255, 255, 255}, {0, 0, 255}},   /* and a blue pen */
    };
    for (size_t i = 0; i < sizeof colors / sizeof colors[0]; i++) {
        struct cn_picture picture = stroke_on(colors[i][0], colors[i][1]);
        float image[PIXELS];
        int box[4];
        struct cn_error error = {0};
        cr_assert_eq(run(&picture, 1, image, NULL, &error), CN_OK, "%zu: %s", i, error.text);
        find_box(image, box);
        cr_assert_eq(box[3] - box[1] + 1, 20, "colour %zu", i);
        cr_assert_leq(box[2] - box[0] + 1, 4, "colour %zu", i);
        free(picture.data);
    }
}

Test(preprocess, light_falls_off_and_ink_does_not) {
    struct cn_picture picture = blank(300, 240, 1, 0);
    float image[PIXELS];
    int box[4];
    struct cn_preprocessing_report report = {0};
    /* The dark side of the page is darker than the ink on its light side. */
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 300; x++) {
            const bool ink = (x >= 60 && x < 72 && y >= 60 && y < 180) ||
                             (x >= 60 && x < 180 && y >= 168 && y < 180);
            picture.data[y * 300 + x] = (uint8_t)((250 - x * 170 / 300) * (ink ? 4 : 10) / 10);
        }
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    cr_assert(report.inverted && report.uneven);
    cr_assert_leq(abs(report.crop[0] - 60), 2);
    cr_assert_leq(abs(report.crop[1] - 60), 2);
    cr_assert_leq(abs(report.crop[2] - 120), 4);
    cr_assert_leq(abs(report.crop[3] - 120), 4);
    find_box(image, box);
    cr_assert(box[2] - box[0] >= 18 && box[3] - box[1] >= 18);
    free(picture.data);
}

/* Light that falls on the page's middle may weigh more than a thin drawing, however strong. */
Test(preprocess, a_lit_middle_is_no_drawing) {
    for (int glow = 10; glow <= 26; glow += 8) {
        struct cn_picture picture = blank(120, 120, 1, 0);
        float image[PIXELS];
        struct cn_preprocessing_report report = {0};
        for (int y = 0; y < 120; y++)
            for (int x = 0; x < 120; x++) {
                const double away = hypot(x - 60, y - 50);
                const bool ink = fabs(hypot(x - 60, y - 60) - 20) < 1.5;
                picture.data[y * 120 + x] =
                    (uint8_t)(165 + glow * exp(-away * away / 1800) - (ink ? 60 : 0));
            }
        cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
        cr_assert(report.inverted, "glow %d", glow);
        cr_assert(abs(report.crop[0] - 39) <= 2 && abs(report.crop[2] - 43) <= 4, "glow %d: %d, %d",
                  glow, report.crop[0], report.crop[2]);
        free(picture.data);
    }
}

Test(preprocess, grain_is_no_ink) {
    unsigned state = 1;
    for (int grain = 2; grain <= 16; grain *= 2) {
        struct cn_picture picture = blank(200, 150, 1, 0);
        float image[PIXELS];
        struct cn_error error = {0};
        for (int y = 0; y < 150; y++)
            for (int x = 0; x < 200; x++) {
                int noise = 0;
                for (int i = 0; i < 4; i++) { /* approximately normal */
                    state = state * 1664525U + 1013904223U;
                    noise += (int)(state >> 16 & 255) - 128;
                }
                picture.data[y * 200 + x] = (uint8_t)(200 - x / 4 + noise * grain / 256);
            }
        cr_assert_eq(run(&picture, 1, image, NULL, &error), CN_UNUSABLE, "grain %d", grain);
        cr_assert_not_null(strstr(error.text, "blank"), "%s", error.text);
        free(picture.data);
    }
}

Test(preprocess, lines_and_edges_are_no_ink) {
    struct cn_picture picture = blank(300, 240, 1, 250);
    float image[PIXELS];
    struct cn_preprocessing_report report = {0};
    for (int y = 20; y < 240; y += 40)
        fill(&picture, 0, y, 300, 2, (const uint8_t[1]){150});
    fill(&picture, 0, 0, 300, 6, (const uint8_t[1]){20});     /* the edge of a table */
    fill(&picture, 120, 70, 14, 100, (const uint8_t[1]){30}); /* across two lines */
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    cr_assert_leq(abs(report.crop[0] - 120), 1);
    cr_assert_leq(abs(report.crop[1] - 70), 3);
    cr_assert_leq(abs(report.crop[2] - 14), 2);
    cr_assert_leq(abs(report.crop[3] - 100), 6);
    free(picture.data);
}

/* A rectangle rotated by `turn` about its centre. */
static void fill_turned(struct cn_picture *picture, double x, double y, double width, double height,
                        double turn, uint8_t value) {
    for (int v = 0; v < picture->height; v++)
        for (int u = 0; u < picture->width; u++) {
            const double dx = u - x, dy = v - y;
            if (fabs(cos(turn) * dx + sin(turn) * dy) <= width / 2 &&
                fabs(cos(turn) * dy - sin(turn) * dx) <= height / 2)
                picture->data[v * picture->width + u] = value;
        }
}

static void expect_crop(const struct cn_preprocessing_report *report, int x, int y, int width,
                        int height, const char *what) {
    const int expected[4] = {x, y, width, height};
    for (int i = 0; i < 4; i++)
        cr_expect_leq(abs(report->crop[i] - expected[i]), 3, "%s: crop %d, %d, %d, %d", what,
                      report->crop[0], report->crop[1], report->crop[2], report->crop[3]);
}

/* A sheet askew on a table, with or without a stroke. */
static struct cn_picture sheet_on(uint8_t table, uint8_t sheet, int ink) {
    struct cn_picture picture = blank(320, 240, 1, table);
    fill_turned(&picture, 170, 115, 200, 150, 0.1, sheet);
    if (ink >= 0)
        fill(&picture, 190, 90, 10, 60, (const uint8_t[1]){(uint8_t)ink});
    return picture;
}

Test(preprocess, a_table_is_not_the_sheet_on_it) {
    static const struct {
        const char *name;
        uint8_t table, sheet, ink;
    } rows[] = {
        {"paper on a dark table", 40, 230, 30},
        {"paper on a grey table", 150, 240, 20},
        {"a black canvas in a white window", 250, 0, 255},
        {"a white canvas in a black window", 10, 255, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cn_picture picture = sheet_on(rows[i].table, rows[i].sheet, rows[i].ink);
        struct cn_preprocessing_report report = {0};
        struct cn_error error = {0};
        float image[PIXELS];
        cr_assert_eq(run(&picture, 1, image, &report, &error), CN_OK, "%s: %s", rows[i].name,
                     error.text);
        expect_crop(&report, 190, 90, 10, 60, rows[i].name);
        cr_expect(report.sheet && report.inverted == (rows[i].sheet > rows[i].ink), "%s",
                  rows[i].name);
        free(picture.data);
    }
}

Test(preprocess, a_sheet_with_nothing_on_it_is_blank) {
    struct cn_picture picture = sheet_on(60, 230, -1);
    struct cn_error error = {0};
    float image[PIXELS];
    cr_assert_eq(run(&picture, 1, image, NULL, &error), CN_UNUSABLE);
    cr_assert_not_null(strstr(error.text, "blank"), "%s", error.text);
    free(picture.data);
}

Test(preprocess, a_shadow_does_not_end_the_sheet) {
    /* The edge of the shadow is straight, too, but the stroke continues beyond it. */
    struct cn_picture picture = blank(320, 240, 1, 0);
    struct cn_preprocessing_report report = {0};
    float image[PIXELS];
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 320; x++) {
            const bool ink = x >= 150 && x < 162 && y >= 60 && y < 190;
            const double light = 0.5 + 0.5 * fmin(fmax((y - 100) / 20.0, 0.0), 1.0);
            picture.data[y * 320 + x] = (uint8_t)((ink ? 40 : 220) * light + (x * 7 + y * 5) % 6);
        }
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    cr_assert(report.uneven && !report.sheet);
    cr_expect_leq(report.crop[2], 22, "%d", report.crop[2]);
    cr_expect(report.crop[1] == 60 && report.crop[3] == 130, "%d, %d", report.crop[1],
              report.crop[3]);
    free(picture.data);
}

/* A box of thin lines around (x, y). */
static void draw_box(struct cn_picture *picture, int x, int y, int width, int height) {
    const uint8_t ink[1] = {60};
    fill(picture, x, y, width, 2, ink);
    fill(picture, x, y + height - 2, width, 2, ink);
    fill(picture, x, y, 2, height, ink);
    fill(picture, x + width - 2, y, 2, height, ink);
}

Test(preprocess, boxes_are_no_ink) {
    struct cn_preprocessing_report report = {0};
    float image[PIXELS];
    struct cn_picture apart = blank(300, 240, 1, 250), across = blank(300, 240, 1, 250);
    struct cn_picture cells = blank(300, 240, 1, 250), empty = blank(300, 240, 1, 250);
    struct cn_error error = {0};
    const uint8_t ink[1] = {20};
    draw_box(&apart, 60, 40, 150, 160);
    fill(&apart, 130, 70, 12, 90, ink);
    cr_assert_eq(run(&apart, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 130, 70, 12, 90, "apart from the box");
    draw_box(&across, 60, 40, 150, 160);
    fill(&across, 130, 70, 12, 150, ink);
    cr_assert_eq(run(&across, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 130, 70, 12, 150, "across the box's line");
    for (int i = 0; i < 3; i++)
        draw_box(&cells, 30 + 80 * i, 80, 82, 90);
    fill(&cells, 145, 95, 10, 60, ink);
    cr_assert_eq(run(&cells, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 145, 95, 10, 60, "in the second of three boxes");
    draw_box(&empty, 100, 60, 80, 120);
    cr_assert_eq(run(&empty, 1, image, &report, &error), CN_UNUSABLE);
    cr_assert_not_null(strstr(error.text, "only lines"), "%s", error.text);
    free(apart.data);
    free(across.data);
    free(cells.data);
    free(empty.data);
}

Test(preprocess, a_circle_is_no_ink_and_a_0_is) {
    struct cn_picture picture = blank(240, 240, 1, 250);
    struct cn_preprocessing_report report = {0};
    float image[PIXELS];
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 240; x++)
            if (fabs(hypot(x - 120, y - 120) - 90) < 2)
                picture.data[y * 240 + x] = 60;
    fill(&picture, 119, 118, 4, 4, (const uint8_t[1]){60}); /* a speck */
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 29, 29, 183, 183, "an 0 with a dot");
    fill(&picture, 114, 80, 10, 80, (const uint8_t[1]){20});
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 114, 80, 10, 80, "a 1 with a circle");
    free(picture.data);
}

Test(preprocess, a_1_from_top_to_bottom_is_no_line) {
    struct cn_picture picture = blank(100, 200, 1, 250);
    struct cn_preprocessing_report report = {0};
    float image[PIXELS];
    fill(&picture, 48, 0, 4, 200, (const uint8_t[1]){20});
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 48, 0, 4, 200, "a 1");
    free(picture.data);
}

/* The number of other parts for upright strokes of 20 x 100 samples at these places of a sheet of
 * 400 x 200. */
static int count_others(const int *places, size_t count) {
    float image[PIXELS];
    struct cn_preprocessing_report report;
    struct cn_picture sheet = blank(400, 200, 1, 240);
    for (size_t i = 0; i < count; i++)
        fill(&sheet, places[i], 50, 20, 100, (const uint8_t[]){30});
    cr_assert_eq(run(&sheet, 1, image, &report, NULL), CN_OK);
    cn_picture_clear(&sheet);
    return report.others;
}

Test(preprocess, other_digits_are_counted) {
    cr_assert_eq(count_others((const int[]){190}, 1), 0);
    cr_assert_eq(count_others((const int[]){100, 300}, 2), 1);
    cr_assert_eq(count_others((const int[]){60, 180, 330}, 3), 2);
    /* At the first distance two strokes count as two digits, at the second they may be parts of
     * one. */
    cr_assert_eq(count_others((const int[]){150, 200}, 2), 1);
    cr_assert_eq(count_others((const int[]){180, 208}, 2), 0);
}

Test(preprocess, a_shadow_is_neither_ink_nor_a_drawing) {
    /* A stroke on a sheet that is in the shade above a slanting edge: mostly lit, and mostly dark.
     */
    for (int at = 150; at <= 450; at += 100) {
        float image[PIXELS];
        struct cn_preprocessing_report report;
        struct cn_error error = {0};
        struct cn_picture sheet = blank(640, 480, 1, 220);
        fill(&sheet, 300, 120, 24, 240, (const uint8_t[]){40});
        for (int i = 0; i < 640 * 480; i++)
            if (i % 640 + 2 * (i / 640) < 2 * at)
                sheet.data[i] = (uint8_t)(sheet.data[i] * 2 / 5);
        cr_assert_eq(run(&sheet, 1, image, &report, &error), CN_OK, "%d: %s", at, error.text);
        cr_expect(report.inverted, "the edge at %d", at);
        cr_expect(report.crop[0] >= 290 && report.crop[2] <= 44 && report.crop[3] <= 260,
                  "the edge at %d: the ink is %d x %d at %d, %d", at, report.crop[2],
                  report.crop[3], report.crop[0], report.crop[1]);
        cn_picture_clear(&sheet);
    }
}

Test(preprocess, ink_is_found_in_much_grain) {
    struct cn_picture picture = blank(240, 240, 1, 0);
    struct cn_preprocessing_report report = {0};
    struct cn_error error = {0};
    float image[PIXELS];
    unsigned state = 1;
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 240; x++) {
            const bool ink = x >= 100 && x < 116 && y >= 60 && y < 180;
            int noise = 0;
            for (int i = 0; i < 4; i++) { /* approximately normal, 25 grey levels */
                state = state * 1664525U + 1013904223U;
                noise += (int)(state >> 16 & 255) - 128;
            }
            picture.data[y * 240 + x] = (uint8_t)((ink ? 70 : 170) + noise * 25 / 148);
        }
    cr_assert_eq(run(&picture, 1, image, &report, &error), CN_OK, "%s", error.text);
    expect_crop(&report, 99, 59, 18, 122, "grainy");
    free(picture.data);
}

Test(preprocess, a_thick_faint_stroke_is_no_shadow) {
    /* The stroke is as wide as a quarter of the side, and lighter than shadows. */
    struct cn_picture picture = blank(48, 48, 1, 0);
    struct cn_preprocessing_report report = {0};
    float image[PIXELS];
    for (int y = 0; y < 48; y++)
        for (int x = 0; x < 48; x++) {
            const bool ink = x >= 18 && x < 30 && y >= 8 && y < 40;
            picture.data[y * 48 + x] = (uint8_t)((ink ? 170 : 210) - (x * 7 + y * 5) % 8);
        }
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    expect_crop(&report, 18, 8, 12, 32, "faint");
    free(picture.data);
}

Test(preprocess, gamma_is_heeded) {
    /* The same page and ink in two files: linear samples, and sRGB samples. */
    struct cn_picture coded = blank(60, 60, 1, 188), linear = blank(60, 60, 1, 130);
    float image[PIXELS], other[PIXELS];
    linear.gamma = 1.0;
    coded.gamma = 0.45455;
    for (int i = 0; i < 40; i++) { /* 188 is 130 / 255 of the light; the others are half and a
                                    * quarter of it */
        fill(&coded, 20, 10 + i, 8, 1, (const uint8_t[1]){i < 20 ? 137 : 100});
        fill(&linear, 20, 10 + i, 8, 1, (const uint8_t[1]){i < 20 ? 65 : 33});
    }
    cr_assert_eq(run(&coded, 1, image, NULL, NULL), CN_OK);
    cr_assert_eq(run(&linear, 1, other, NULL, NULL), CN_OK);
    for (int i = 0; i < PIXELS; i++)
        cr_assert_float_eq(image[i], other[i], 0.04F);
    linear.gamma = 0.0;
    cr_assert_eq(run(&linear, 1, other, NULL, NULL), CN_OK);
    cr_assert_neq(memcmp(image, other, sizeof image), 0);
    free(coded.data);
    free(linear.data);
}

Test(preprocess, a_large_picture_is_reduced_and_its_crop_is_its_own) {
    struct cn_picture picture = blank(3001, 2003, 3, 255);
    float image[PIXELS];
    int box[4];
    struct cn_preprocessing_report report = {0};
    fill(&picture, 1000, 400, 150, 1200, (const uint8_t[3]){0, 0, 0});
    cr_assert_eq(run(&picture, 1, image, &report, NULL), CN_OK);
    cr_assert_leq(abs(report.crop[0] - 1000), 5);
    cr_assert_leq(abs(report.crop[1] - 400), 5);
    cr_assert_leq(abs(report.crop[2] - 150), 10);
    cr_assert_leq(abs(report.crop[3] - 1200), 10);
    cr_assert_float_eq(report.scale, 20.0F / 1200, 0.0005F);
    find_box(image, box);
    cr_assert_eq(box[3] - box[1] + 1, 20);
    free(picture.data);
}

Test(preprocess, blank_pictures) {
    static const struct {
        int side, channels;
        uint8_t value;
    } cases[] = {{100, 1, 0}, {100, 1, 255}, {28, 1, 0}, {28, 3, 255}, {50, 4, 0}, {28, 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cn_picture picture =
            blank(cases[i].side, cases[i].side, cases[i].channels, cases[i].value);
        float image[PIXELS] = {7.0F};
        struct cn_error error = {0};
        cr_assert_eq(run(&picture, 1, image, NULL, &error), CN_UNUSABLE);
        cr_assert_not_null(strstr(error.text, "blank"), "%s", error.text);
        cr_assert_eq(image[0], 7.0F, "the output was touched on failure");
        free(picture.data);
    }
}

Test(preprocess, without_inversion_light_is_ink) {
    const struct cn_shape shape = cn_shape_image(SIDE, SIDE, 1);
    struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    struct cn_picture picture = blank(SIDE, SIDE, 1, 200);
    float image[PIXELS];
    struct cn_preprocessing_report report = {0};
    fill(&picture, 10, 10, 4, 8, (const uint8_t[1]){255});
    fill(&picture, 20, 20, 4, 4, (const uint8_t[1]){0});
    preprocessing.invert = false;
    cr_assert_eq(cn_preprocess(&preprocessing, &picture, &shape, image, &report, NULL), CN_OK);
    cr_assert(!report.inverted);
    cr_assert(report.crop[0] == 10 && report.crop[1] == 10 && report.crop[3] == 8);
    free(picture.data);
}

Test(preprocess, colour_is_stretched) {
    struct cn_picture picture = blank(56, 28, 3, 0);
    float image[PIXELS * 3];
    struct cn_preprocessing_report report = {0};
    fill(&picture, 0, 0, 56, 28, (const uint8_t[3]){10, 100, 200});
    cr_assert_eq(run(&picture, 3, image, &report, NULL), CN_OK);
    for (size_t i = 0; i < PIXELS; i++)
        cr_assert(image[i * 3] == 10.0F / 255.0F && image[i * 3 + 1] == 100.0F / 255.0F &&
                  image[i * 3 + 2] == 200.0F / 255.0F);
    cr_assert_float_eq(report.scale, 0.5F, 1e-6F);
    picture.width = SIDE; /* the same bytes as 28 x 56, then exactly the input's size */
    picture.height = SIDE;
    cr_assert_eq(run(&picture, 3, image, &report, NULL), CN_OK);
    cr_assert(report.unchanged);
    free(picture.data);
}

Test(preprocess, refuses_what_takes_no_picture) {
    struct cn_picture picture = blank(10, 10, 1, 0);
    const struct cn_shape vector = cn_shape_vector(784), deep = cn_shape_image(28, 28, 2);
    const struct cn_shape shape = cn_shape_image(28, 28, 1);
    struct cn_preprocessing wide = cn_preprocessing_digits(&shape);
    float image[PIXELS * 2];
    struct cn_error error = {0};
    wide.box = 29;
    cr_assert_eq(cn_preprocess(&wide, &picture, &vector, image, NULL, NULL), CN_UNSUPPORTED);
    cr_assert_eq(cn_preprocess(&wide, &picture, &deep, image, NULL, NULL), CN_UNSUPPORTED);
    cr_assert_eq(cn_preprocess(&wide, &picture, &shape, image, NULL, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "29"), "%s", error.text);
    free(picture.data);
}

Test(preprocess, resize_keeps_the_mean) {
    /* Shrinking averages exactly, also by fractions of a pixel. */
    uint8_t samples[30 * 30];
    double sum = 0.0;
    for (int i = 0; i < 900; i++) {
        samples[i] = (uint8_t)(i * 89);
        sum += samples[i];
    }
    for (int side = 1; side <= 30; side++) {
        float small[900];
        double mean = 0.0;
        cn_resize(samples, 30, (struct cn_rectangle){0, 0, 30, 30}, side, side, small);
        for (int i = 0; i < side * side; i++)
            mean += (double)small[i];
        cr_assert_float_eq(mean / (side * side), sum / 900, 1e-3, "side %d", side);
    }
    /* Enlarging interpolates between the centres of pixels. */
    float row[4];
    cn_resize((const uint8_t[2]){0, 100}, 2, (struct cn_rectangle){0, 0, 2, 1}, 4, 1, row);
    cr_assert(row[0] == 0.0F && row[1] == 25.0F && row[2] == 75.0F && row[3] == 100.0F);
}

/* The share that source sample `at` has in a target sample, along one axis. */
static double resize_share(int target, int target_length, int at, int source_length) {
    const double ratio = (double)source_length / target_length;
    if (ratio >= 1) {
        const double begin = fmax(target * ratio, at), end = fmin((target + 1) * ratio, at + 1);
        return fmax(end - begin, 0) / ratio;
    }
    const double centre = fmin(fmax((target + 0.5) * ratio - 0.5, 0), source_length - 1);
    return fmax(1 - fabs(centre - at), 0);
}

/* Targets of one to three of the blocks of columns that are computed together. */
Test(preprocess, resize_agrees_with_the_definition) {
    enum { WIDTH = 190, HEIGHT = 40 };
    static const struct {
        struct cn_rectangle crop;
        int width, height;
    } cases[] = {
        {{3, 5, 170, 30}, 300, 7},  {{3, 5, 170, 30}, 129, 70}, {{7, 0, 40, 33}, 140, 90},
        {{0, 1, 190, 39}, 128, 39}, {{189, 39, 1, 1}, 131, 3},  {{11, 8, 50, 3}, 50, 11},
        {{2, 3, 23, 31}, 257, 5},   {{4, 2, 60, 2}, 200, 3},
    };
    static uint8_t samples[WIDTH * HEIGHT];
    struct cn_random random = cn_random_stream(5, 0, 0, 0);
    for (size_t i = 0; i < sizeof samples; i++)
        samples[i] = (uint8_t)cn_random_below(&random, 256);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct cn_rectangle crop = cases[i].crop;
        const int width = cases[i].width, height = cases[i].height;
        float *pixels = malloc((size_t)(width * height) * sizeof *pixels);
        cn_resize(samples, WIDTH, crop, width, height, pixels);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                double expected = 0;
                for (int v = 0; v < crop.height; v++) {
                    const double share = resize_share(y, height, v, crop.height);
                    for (int u = 0; share > 0 && u < crop.width; u++)
                        expected += share * resize_share(x, width, u, crop.width) *
                                    samples[(crop.y + v) * WIDTH + crop.x + u];
                }
                cr_assert_float_eq((double)pixels[y * width + x], expected, 1e-3,
                                   "case %zu at %d, %d", i, x, y);
            }
        free(pixels);
    }
}

Test(preprocess, dilation_is_the_largest_within_a_disc) {
    enum { WIDTH = 40, HEIGHT = 30 };
    uint8_t samples[WIDTH * HEIGHT], dilated[WIDTH * HEIGHT], runs[WIDTH * HEIGHT];
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        samples[i] = (uint8_t)(i % 97 == 0 ? i % 251 : 0);
    for (int radius = 0; radius < 12; radius++) {
        cn_strokes_dilate(samples, WIDTH, HEIGHT, 2 * radius + 1, runs, dilated);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                uint8_t most = 0;
                for (int i = 0; i < WIDTH * HEIGHT; i++) {
                    const int u = i % WIDTH - x, v = i / WIDTH - y;
                    if (u * u + v * v <= radius * (radius + 1) && samples[i] > most)
                        most = samples[i];
                }
                cr_assert_eq(dilated[y * WIDTH + x], most, "radius %d at %d, %d", radius, x, y);
            }
        }
    }
}
