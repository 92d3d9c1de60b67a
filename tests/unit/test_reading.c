/* test_reading.c: rows of digits, composed of digits from the sample of MNIST's test set. */
#include "convnet/reading.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/dataset.h"
#include "reading/candidates.h"
#include "reading/glyphs.h"
#include "reading/pieces.h"

#define SAMPLE TEST_DATA_DIR "/mnist-sample"

enum { SIDE = 28 };

static struct cn_model *model;
static struct cn_plan *plan;
static struct cn_workspace *workspace;
static struct cn_dataset *data;

static void begin(void) {
    struct cn_error error = {0};
    cr_assert_eq(cn_model_read(TEST_DATA_DIR "/../../models/digits.safetensors", &model, &error),
                 CN_OK, "%s", error.text);
    cr_assert_eq(cn_plan_create(model->network, &plan, &error), CN_OK);
    cr_assert_eq(cn_workspace_create(plan, &workspace, &error), CN_OK);
    cr_assert_eq(cn_dataset_read(SAMPLE, CN_SPLIT_TEST, NULL, NULL, &data, &error), CN_OK, "%s",
                 error.text);
}

static void end(void) {
    cn_dataset_free(data);
    cn_workspace_free(workspace);
    cn_plan_free(plan);
    cn_model_free(model);
}
TestSuite(reading, .init = begin, .fini = end);

/* Dark ink on paper. */
struct sheet {
    struct cn_picture picture;
};

static struct sheet sheet_of(int width, int height, uint8_t paper) {
    struct sheet sheet = {{.width = width, .height = height, .channels = 1}};
    sheet.picture.data = malloc((size_t)width * (size_t)height);
    cr_assert_not_null(sheet.picture.data);
    memset(sheet.picture.data, paper, (size_t)width * (size_t)height);
    return sheet;
}

/* Draws sample `index` at twice its size with its upper left corner at (x, y). */
static void put_digit(struct sheet *sheet, size_t index, int x, int y) {
    const uint8_t *samples = data->images + index * SIDE * SIDE;
    for (int v = 0; v < 2 * SIDE; v++)
        for (int u = 0; u < 2 * SIDE; u++) {
            uint8_t *pixel = &sheet->picture.data[(y + v) * sheet->picture.width + x + u];
            const int ink = *pixel - samples[v / 2 * SIDE + u / 2];
            *pixel = (uint8_t)(ink < 0 ? 0 : ink);
        }
}

static void put_box(struct sheet *sheet, int x, int y, int width, int height, uint8_t level) {
    for (int v = y; v < y + height; v++)
        for (int u = x; u < x + width; u++)
            sheet->picture.data[v * sheet->picture.width + u] = level;
}

static struct cn_reading *read_sheet(const struct sheet *sheet,
                                     const struct cn_reading_options *options) {
    struct cn_error error = {0};
    struct cn_reading *reading = NULL;
    cr_assert_eq(cn_read(model, plan, workspace, &sheet->picture, options, &reading, &error), CN_OK,
                 "%s", error.text);
    return reading;
}

static void check_text(const struct cn_reading *reading, size_t line, const char *expected) {
    cr_assert_gt(reading->count, line, "%zu lines", reading->count);
    cr_assert_str_eq(reading->lines[line].text, expected);
}

/* The labels of `count` samples, beginning with `first`. */
static void labels_of(size_t first, size_t count, char *text) {
    for (size_t i = 0; i < count; i++)
        text[i] = (char)('0' + data->labels[first + i]);
    text[count] = '\0';
}

Test(reading, reads_two_rows_and_says_where_they_are) {
    char first[8], second[8];
    struct sheet sheet = sheet_of(400, 240, 235);
    for (size_t i = 0; i < 6; i++) {
        put_digit(&sheet, i, 20 + (int)i * 58, 30);
        put_digit(&sheet, 10 + i, 20 + (int)i * 58, 150);
    }
    labels_of(0, 6, first);
    labels_of(10, 6, second);
    const struct cn_reading_options options = {0};
    struct cn_reading *reading = read_sheet(&sheet, &options);
    cr_assert_eq(reading->count, 2);
    cr_assert(reading->inverted);
    check_text(reading, 0, first);
    check_text(reading, 1, second);
    for (size_t l = 0; l < 2; l++)
        for (size_t s = 0; s < 6; s++) {
            const struct cn_reading_symbol *symbol = &reading->lines[l].symbols[s];
            const int left = 20 + (int)s * 58, top = l == 0 ? 30 : 150;
            cr_assert(symbol->box[0] >= left && symbol->box[0] + symbol->box[2] <= left + 56);
            cr_assert(symbol->box[1] >= top && symbol->box[1] + symbol->box[3] <= top + 56);
            cr_assert_gt(symbol->probabilities[symbol->class_index], 0.5f);
        }
    cn_reading_free(reading);
    cn_picture_clear(&sheet.picture);
}

Test(reading, a_light_row_on_dark_is_read_as_well) {
    char expected[8];
    struct sheet sheet = sheet_of(330, 90, 235);
    for (size_t i = 0; i < 5; i++)
        put_digit(&sheet, 20 + i, 20 + (int)i * 58, 17);
    for (int i = 0; i < 330 * 90; i++)
        sheet.picture.data[i] = (uint8_t)(255 - sheet.picture.data[i]);
    labels_of(20, 5, expected);
    const struct cn_reading_options options = {0};
    struct cn_reading *reading = read_sheet(&sheet, &options);
    check_text(reading, 0, expected);
    cr_assert_not(reading->inverted);
    cn_reading_free(reading);
    cn_picture_clear(&sheet.picture);
}

Test(reading, marks_are_separators_when_asked_for) {
    char digits[8], expected[16];
    struct sheet sheet = sheet_of(460, 120, 240);
    for (size_t i = 0; i < 4; i++)
        put_digit(&sheet, i, 20 + (int)i * 62 + (i >= 2 ? 60 : 0), 30);
    put_box(&sheet, 160, 56, 22, 5, 20); /* a minus sign between the second and the third digit */
    labels_of(0, 4, digits);
    (void)snprintf(expected, sizeof expected, "%.2s-%s", digits, digits + 2);
    struct cn_reading_options options = {.separators = true};
    struct cn_reading *reading = read_sheet(&sheet, &options);
    check_text(reading, 0, expected);
    cn_reading_free(reading);
    options.separators = false;
    reading = read_sheet(&sheet, &options);
    check_text(reading, 0, digits);
    cn_reading_free(reading);
    options = (struct cn_reading_options){.pattern = "dd/dd"};
    reading = read_sheet(&sheet, &options);
    expected[2] = '/';
    check_text(reading, 0, expected);
    cn_reading_free(reading);
    cn_picture_clear(&sheet.picture);
}

Test(reading, length_and_lines_narrow_what_is_read) {
    char expected[8];
    struct sheet sheet = sheet_of(400, 240, 235);
    for (size_t i = 0; i < 6; i++)
        put_digit(&sheet, i, 20 + (int)i * 58, 30);
    for (size_t i = 0; i < 3; i++)
        put_digit(&sheet, 10 + i, 20 + (int)i * 58, 150);
    struct cn_reading_options options = {.lines = 1};
    struct cn_reading *reading = read_sheet(&sheet, &options);
    labels_of(0, 6, expected);
    cr_assert_eq(reading->count, 1);
    check_text(reading, 0, expected);
    cn_reading_free(reading);
    options = (struct cn_reading_options){.length = 6};
    reading = read_sheet(&sheet, &options);
    for (size_t l = 0; l < reading->count; l++)
        cr_assert_eq(reading->lines[l].count, 6);
    check_text(reading, 0, expected);
    cn_reading_free(reading);
    cn_picture_clear(&sheet.picture);
}

Test(reading, digits_that_touch_are_cut) {
    char expected[8];
    struct sheet sheet = sheet_of(240, 110, 235);
    for (size_t i = 0; i < 3; i++)
        put_digit(&sheet, i, 20 + (int)i * 58, 27);
    put_box(&sheet, 60, 60, 120, 3, 30); /* a bridge from the first to the last digit */
    labels_of(0, 3, expected);
    const struct cn_reading_options options = {.length = 3};
    struct cn_reading *reading = read_sheet(&sheet, &options);
    cr_assert_eq(reading->count, 1);
    cr_assert_eq(strlen(reading->lines[0].text), 3);
    cn_reading_free(reading);
    cn_picture_clear(&sheet.picture);
}

/* The column nearest to `column` at which a cut through the only glyph crosses its row `row`.
 * Clears the plane. */
static int find_nearest_cut(struct cn_plane *plane, int row, int column) {
    struct cn_pieces pieces = {0};
    struct cn_text_lines lines = {0};
    struct cn_glyphs glyphs = {0};
    int nearest = plane->width;
    cr_assert_eq(cn_pieces_find(plane, &pieces, NULL), CN_OK);
    cr_assert_eq(cn_text_lines_find(&pieces, &lines, NULL), CN_OK);
    cr_assert_eq(lines.count, 1);
    cr_assert_eq(cn_glyphs_make(plane, &pieces, &lines.lines[0], &glyphs, NULL), CN_OK);
    cr_assert_eq(cn_glyph_cut(&glyphs, 0, NULL), CN_OK);
    const struct cn_glyph *glyph = &glyphs.glyphs[0];
    const int height = glyph->bottom - glyph->top + 1;
    for (size_t k = 0; k < glyph->cut_count; k++) {
        const int x = glyph->cuts[(int)k * height + row];
        nearest = abs(x - column) < abs(nearest - column) ? x : nearest;
    }
    cn_glyphs_clear(&glyphs);
    cn_text_lines_clear(&lines);
    cn_pieces_clear(&pieces);
    cn_plane_clear(plane);
    return nearest;
}

/* A thin upright 1 beside a digit that reaches it with one stroke. */
Test(reading, a_thin_digit_is_cut_off_its_neighbour) {
    enum { WIDTH = 100, HEIGHT = 80, TOP = 20, TALL = 40, BAR = 30, THICK = 4, STEM = 54 };
    struct cn_plane plane = {.width = WIDTH, .height = HEIGHT, .channels = 1, .reduction = 1};
    plane.samples = calloc(WIDTH, HEIGHT);
    cr_assert_not_null(plane.samples);
    for (int y = TOP; y < TOP + TALL; y++)
        for (int x = BAR; x < STEM + THICK; x++) {
            const bool upright = x < BAR + THICK || x >= STEM;
            if (upright || (y >= TOP + 8 && y < TOP + 8 + THICK))
                plane.samples[y * WIDTH + x] = 255;
        }
    const int nearest = find_nearest_cut(&plane, 8 + THICK / 2, BAR + THICK);
    cr_assert_leq(abs(nearest - (BAR + THICK)), 1, "the nearest cut is at %d", nearest);
}

/* Four uprights. The bridge between the two in the middle is thicker than those beside it. */
Test(reading, a_cheap_cut_does_not_hide_its_neighbour) {
    enum { WIDTH = 100, HEIGHT = 80, TOP = 20, TALL = 40, LEFT = 24, GAP = 36, RIGHT = 50 };
    struct cn_plane plane = {.width = WIDTH, .height = HEIGHT, .channels = 1, .reduction = 1};
    plane.samples = calloc(WIDTH, HEIGHT);
    cr_assert_not_null(plane.samples);
    for (int y = TOP; y < TOP + TALL; y++)
        for (int x = LEFT; x < RIGHT; x++) {
            const bool middle = x >= GAP && x < GAP + 3;
            const bool gap =
                middle || (x >= GAP - 6 && x < GAP - 3) || (x >= GAP + 6 && x < GAP + 9);
            if (!gap || abs(y - TOP - TALL / 2) < (middle ? 4 : 1))
                plane.samples[y * WIDTH + x] = 255;
        }
    const int nearest = find_nearest_cut(&plane, TALL / 2, GAP + 1);
    cr_assert_leq(abs(nearest - (GAP + 1)), 1, "the nearest cut is at %d", nearest);
}

/* Sixteen uprights on one bar. */
Test(reading, a_wide_glyph_is_cut_between_all_of_its_digits) {
    enum { WIDTH = 400, HEIGHT = 80, TOP = 20, TALL = 40, LEFT = 30, APART = 20, THICK = 4 };
    for (int gap = 1; gap < 16; gap++) {
        struct cn_plane plane = {.width = WIDTH, .height = HEIGHT, .channels = 1, .reduction = 1};
        plane.samples = calloc(WIDTH, HEIGHT);
        cr_assert_not_null(plane.samples);
        for (int y = TOP; y < TOP + TALL; y++)
            for (int x = LEFT; x < LEFT + 15 * APART + THICK; x++)
                if ((x - LEFT) % APART < THICK || (y >= TOP + 8 && y < TOP + 8 + THICK))
                    plane.samples[y * WIDTH + x] = 255;
        const int middle = LEFT + gap * APART - (APART - THICK) / 2;
        const int nearest = find_nearest_cut(&plane, TALL / 2, middle);
        cr_assert_leq(abs(nearest - middle), (APART - THICK) / 2,
                      "gap %d: the nearest cut is at %d", gap, nearest);
    }
}

Test(reading, an_empty_sheet_has_no_lines_and_grain_no_end) {
    struct sheet sheet = sheet_of(300, 200, 230);
    const struct cn_reading_options options = {0};
    struct cn_reading *reading = read_sheet(&sheet, &options);
    cr_assert_eq(reading->count, 0);
    cn_reading_free(reading);
    /* Noise is refused or read as some text; it neither crashes nor takes long. */
    struct cn_error error = {0};
    srand(1);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 300 * 200; i++)
            sheet.picture.data[i] =
                (uint8_t)(rand() % (round % 2 == 0 ? 256 : 2) * (round % 2 == 0 ? 1 : 255));
        reading = NULL;
        const enum cn_status status =
            cn_read(model, plan, workspace, &sheet.picture, &options, &reading, &error);
        cr_assert(status == CN_OK || status == CN_LIMIT, "%s", error.text);
        cn_reading_free(reading);
    }
    cn_picture_clear(&sheet.picture);
}

static bool stop_after(void *context) {
    return --*(int *)context < 0;
}

/* Squares in rows, which touch nothing, could be 1,600 digits. */
Test(reading, the_parts_of_a_picture_are_limited_and_reading_stops) {
    enum { WHOLE = 640, PARTS = 100 };
    struct sheet sheet = sheet_of(WHOLE, WHOLE, 255);
    struct cn_reading_options options = {.most_parts = PARTS};
    struct cn_reading *reading = NULL;
    struct cn_error error = {0};
    for (int i = 0; i < 1600; i++)
        put_box(&sheet, i % 40 * 16, i / 40 * 16, 11, 11, 0);
    cr_assert_eq(cn_read(model, plan, workspace, &sheet.picture, &options, &reading, &error),
                 CN_LIMIT);
    cr_assert_str_eq(error.text, "the picture has more than 100 parts that may be digits");
    int left = PARTS / 2;
    options.stop = stop_after;
    options.context = &left;
    cr_assert_eq(cn_read(model, plan, workspace, &sheet.picture, &options, &reading, &error),
                 CN_CANCELED);
    cr_assert_eq(left, -1, "it is asked once for each part, and no more after it stops");
    cr_assert_null(reading);
    cn_picture_clear(&sheet.picture);
}

Test(reading, options_are_checked) {
    struct cn_error error = {0};
    const struct {
        struct cn_reading_options options;
        const char *words;
    } bad[] = {{{.length = -1}, "length -1"},
               {{.length = 1000}, "length 1000"},
               {{.lines = 1000}, "lines 1000"},
               {{.pattern = "--"}, "has no d"},
               {{.pattern = "d\n"}, "0x0a"},
               {{.pattern = "dd", .length = 2}, "pattern"},
               {{.pattern = "dd", .separators = true}, "pattern"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error = (struct cn_error){0};
        cr_assert_eq(cn_reading_options_check(&bad[i].options, &error), CN_INVALID);
        cr_assert_not_null(strstr(error.text, bad[i].words), "%s", error.text);
    }
}

Test(reading, pieces_are_joined_ink_and_grain_is_none) {
    uint8_t samples[5 * 12] = {0};
    const struct cn_plane plane = {.width = 12, .height = 5, .channels = 1, .samples = samples};
    struct cn_pieces pieces = {0};
    struct cn_error error = {0};
    for (int y = 1; y < 4; y++) {
        samples[y * 12 + 1 + y] = 255; /* a diagonal, */
        samples[y * 12 + 2 + y] = 255;
        samples[y * 12 + 9] = 200; /* a stroke, */
        samples[y * 12 + 10] = 30; /* its soft edge, */
    }
    samples[0] = 255; /* a speck */
    cr_assert_eq(cn_pieces_find(&plane, &pieces, &error), CN_OK, "%s", error.text);
    cr_assert_eq(pieces.count, 1, "%zu", pieces.count); /* three samples are grain */
    cr_assert_eq(pieces.pieces[0].left, 2);
    cr_assert_eq(pieces.pieces[0].right, 5);
    cr_assert_eq(pieces.owner[0], -1);
    cn_pieces_clear(&pieces);
    samples[0 * 12 + 9] = samples[4 * 12 + 9] = 200;
    cr_assert_eq(cn_pieces_find(&plane, &pieces, &error), CN_OK);
    cr_assert_eq(pieces.count, 2);
    cr_assert_eq(pieces.owner[2 * 12 + 10], pieces.owner[2 * 12 + 9]);
    cn_pieces_clear(&pieces);
}

Test(reading, the_best_path_counts_digits_and_knows_the_second_best) {
    /* Two atoms, read as one digit or as two. */
    const struct cn_candidate candidates[] = {
        {.first = 0, .last = 0, .class_index = 1, .score = -0.3},
        {.first = 0, .last = 1, .class_index = 8, .score = -0.5},
        {.first = 1, .last = 1, .class_index = 2, .score = -0.4}};
    size_t path[3], count = 0;
    double margin = 0;
    cr_assert_eq(cn_candidates_best_path(candidates, 3, 2, 0, path, &count, &margin, NULL), CN_OK);
    cr_assert_eq(count, 1);
    cr_assert_eq(path[0], 1);
    cr_assert(fabs(margin - 0.2) < 1e-9, "%g", margin);
    cr_assert_eq(cn_candidates_best_path(candidates, 3, 2, 2, path, &count, &margin, NULL), CN_OK);
    cr_assert_eq(count, 2);
    cr_assert_eq(path[0], 0);
    cr_assert_eq(path[1], 2);
    cr_assert_eq(cn_candidates_best_path(candidates, 3, 2, 3, path, &count, &margin, NULL), CN_OK);
    cr_assert_eq(count, 0, "two atoms are no three digits");
}
