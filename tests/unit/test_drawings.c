/* test_drawings.c: the shipped model reads pictures as people make them, preprocessed in the usual
 * way. The tests draw the pictures themselves, so nothing is tuned to someone's pictures; the
 * number required for each kind of paper is a little less than the measured one. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convnet/dataset.h"
#include "convnet/model.h"
#include "convnet/plan.h"
#include "image/resample.h"
#include "support/drawing.h"
#include "support/encode.h"

enum { COUNT = 300 };

/* Per cent. */
static const int floors[DRAWING_PAPERS] = {
    [DRAWING_PLAIN] = 93,  [DRAWING_TRANSPARENT] = 93, [DRAWING_LIT] = 90,   [DRAWING_SHADOW] = 80,
    [DRAWING_RULED] = 83,  [DRAWING_FRAMED] = 80,      [DRAWING_SHEET] = 90, [DRAWING_BOXED] = 90,
    [DRAWING_GRAINY] = 85, [DRAWING_FAINT] = 95,
};

struct reader {
    struct cn_model *model;
    struct cn_plan *plan;
    struct cn_workspace *workspace;
};

static void reader_open(struct reader *reader) {
    struct cn_error error = {0};
    cr_assert_eq(
        cn_model_read(TEST_DATA_DIR "/../../models/digits.safetensors", &reader->model, &error),
        CN_OK, "%s", error.text);
    cr_assert_eq(cn_plan_create(reader->model->network, &reader->plan, NULL), CN_OK);
    cr_assert_eq(cn_workspace_create(reader->plan, &reader->workspace, NULL), CN_OK);
}

static void reader_close(struct reader *reader) {
    cn_workspace_free(reader->workspace);
    cn_plan_free(reader->plan);
    cn_model_free(reader->model);
}

/* The class and its probability; -1 and 0 if the picture is refused. */
static int classify(const struct reader *reader, const struct cn_picture *picture,
                    float *ret_probability) {
    float image[28 * 28], outputs[10];
    int best = 0;
    if (cn_preprocess(&reader->model->preprocessing, picture, &reader->model->network->input_shape,
                      image, NULL, NULL) != CN_OK) {
        *ret_probability = 0;
        return -1;
    }
    cn_plan_run(reader->plan, reader->workspace, image, 1, outputs);
    for (int i = 1; i < 10; i++)
        best = outputs[i] > outputs[best] ? i : best;
    *ret_probability = outputs[best];
    return best;
}

Test(drawings, are_read) {
    struct reader reader;
    int seen[DRAWING_PAPERS] = {0}, right[DRAWING_PAPERS] = {0};
    reader_open(&reader);
    for (uint64_t seed = 0; seed < COUNT; seed++) {
        struct drawing drawing;
        float probability;
        drawing_make(seed, &drawing);
        seen[drawing.paper]++;
        right[drawing.paper] += classify(&reader, &drawing.picture, &probability) == drawing.label;
        drawing_clear(&drawing);
    }
    for (int paper = 0; paper < DRAWING_PAPERS; paper++)
        cr_expect(right[paper] * 100 >= floors[paper] * seen[paper], "%s: %d of %d",
                  drawing_paper_names[paper], right[paper], seen[paper]);
    reader_close(&reader);
}

enum { NO_FILE = -2 };

/* The class of a file, which is freed; NO_FILE for NULL. */
static int classify_file(const struct reader *reader, void *bytes, size_t length,
                         float *ret_probability) {
    const struct cn_picture_limits limits = {0};
    struct cn_picture picture = {0};
    struct cn_error error = {0};
    if (bytes == NULL)
        return NO_FILE;
    cr_assert_eq(cn_picture_decode(bytes, length, &limits, &picture, &error), CN_OK, "%s",
                 error.text);
    const int class = classify(reader, &picture, ret_probability);
    cn_picture_clear(&picture);
    free(bytes);
    return class;
}

/* JPEG and WebP lose details, which may change the class of a picture that is read with doubt, as
 * many of these hard drawings are. At most one in two hundred of the others may change. */
Test(drawings, have_the_same_class_in_each_format) {
    enum { DRAWINGS = 200 };
    struct reader reader;
    int seen = 0, differ = 0;
    reader_open(&reader);
    for (uint64_t seed = 0; seed < DRAWINGS; seed++) {
        struct drawing drawing;
        void *bytes = NULL;
        size_t length = 0;
        float probability, lossy;
        drawing_make(seed, &drawing);
        const int width = drawing.picture.width, height = drawing.picture.height;
        uint8_t *pixels = drawing.picture.data; /* RGBA, made RGB in place */
        for (size_t i = 0; i < (size_t)width * (size_t)height; i++)
            memmove(pixels + 3 * i, pixels + 4 * i, 3);
        cr_assert_eq(cn_png_encode(pixels, width, height, 3, &bytes, &length, NULL), CN_OK);
        const int class = classify_file(&reader, bytes, length, &probability);
        if (drawing.paper != DRAWING_TRANSPARENT && probability > 0.9F) {
            bytes = encode_jpeg(pixels, width, height, 85, &length);
            const int in_jpeg = classify_file(&reader, bytes, length, &lossy);
            bytes = encode_webp(pixels, width, height, 85, &length);
            const int in_webp = classify_file(&reader, bytes, length, &lossy);
            seen += (in_jpeg != NO_FILE) + (in_webp != NO_FILE);
            differ += (in_jpeg != NO_FILE && in_jpeg != class);
            differ += (in_webp != NO_FILE && in_webp != class);
        }
        drawing_clear(&drawing);
    }
#if defined HAVE_JPEG || defined HAVE_WEBP
    cr_expect_gt(seen, DRAWINGS / 2);
#endif
    cr_expect_leq(differ * 200, seen, "%d of %d change their class", differ, seen);
    reader_close(&reader);
}

/* A ring in black and white, cut out along its ink, which covers more than half of its frame. */
static enum cn_status prepare_ring(int inner, bool light, float *image,
                                   struct cn_preprocessing_report *report) {
    enum { SIDE = 16 };
    const struct cn_shape shape = cn_shape_image(28, 28, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    uint8_t samples[SIDE * SIDE];
    int frame = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int x = i % SIDE, y = i / SIDE;
        const int distance = (2 * x - 15) * (2 * x - 15) + (2 * y - 15) * (2 * y - 15);
        const bool ink = distance > inner * inner && distance < 17 * 17;
        frame += ink && (x == 0 || y == 0 || x == SIDE - 1 || y == SIDE - 1);
        samples[i] = ink != light ? 255 : 0;
    }
    cr_assert_eq(frame, 32); /* of 60 */
    const struct cn_picture picture = {
        .width = SIDE, .height = SIDE, .channels = 1, .data = samples};
    return cn_preprocess(&preprocessing, &picture, &shape, image, report, NULL);
}

Test(drawings, cut_along_their_ink_are_told_from_their_page) {
    /* With a small hole the ink covers more than half of the whole, too. */
    static const int inner[] = {13, 9};
    for (int i = 0; i < 2; i++) {
        float images[2][28 * 28];
        for (int light = 0; light < 2; light++) {
            struct cn_preprocessing_report report;
            cr_assert_eq(prepare_ring(inner[i], light == 1, images[light], &report), CN_OK);
            cr_expect_eq(report.inverted, light == 1);
        }
        cr_expect_eq(memcmp(images[0], images[1], sizeof images[0]), 0);
        cr_expect_lt(images[0][14 * 28 + 14], 0.1F);
    }
}

Test(drawings, dark_corners_are_no_dark_page) {
    const struct cn_shape shape = cn_shape_image(28, 28, 1);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&shape);
    for (int dimming = DRAWING_VIGNETTE_SQUARE; dimming <= DRAWING_VIGNETTE_CONE; dimming++)
        for (uint64_t seed = 0; seed < 12; seed++) {
            /* A cone is no paraboloid at its tip; up to 30 % of dimming it is close to one. */
            const float step = dimming == DRAWING_VIGNETTE_CONE ? 0.0125F : 0.02F;
            const float share = 0.15F + step * (float)seed;
            struct drawing drawing;
            struct cn_preprocessing_report report = {0};
            float image[28 * 28];
            drawing_make_dimmed((enum drawing_dimming)dimming, share, seed, 320, 240, &drawing);
            cr_expect_eq(
                cn_preprocess(&preprocessing, &drawing.picture, &shape, image, &report, NULL),
                CN_OK);
            cr_expect(report.inverted, "kind %d, seed %d: the paper is taken for ink", dimming,
                      (int)seed);
            drawing_clear(&drawing);
        }
}

/* MNIST's digits cut out along their ink and scaled to 16 x 16, as in collections of scanners. */
Test(drawings, grey_scans_that_fill_their_frame) {
    struct cn_dataset *dataset = NULL;
    int wrong = 0, refused = 0;
    cr_assert_eq(
        cn_dataset_read(TEST_DATA_DIR "/mnist-sample", CN_SPLIT_TEST, NULL, NULL, &dataset, NULL),
        CN_OK);
    const struct cn_preprocessing preprocessing = cn_preprocessing_digits(&dataset->shape);
    for (size_t i = 0; i < dataset->count; i++) {
        uint8_t *samples = dataset->images + i * 784, scan[256];
        const struct cn_plane plane = {
            .width = 28, .height = 28, .channels = 1, .samples = samples};
        struct cn_region ink = {28, 28, 0, 0};
        for (int at = 0; at < 784; at++)
            if (samples[at] > 40)
                ink =
                    (struct cn_region){fmin(ink.left, at % 28), fmin(ink.top, at / 28),
                                       fmax(ink.right, at % 28 + 1), fmax(ink.bottom, at / 28 + 1)};
        if (ink.right - ink.left < 8)
            continue; /* a 1 */
        cr_assert_eq(cn_resample(&plane, &ink, CN_INTERPOLATION_BILINEAR, 16, 16, scan, NULL),
                     CN_OK);
        for (int light = 0; light < 2; light++) {
            struct cn_preprocessing_report report = {0};
            float image[784];
            const struct cn_picture picture = {
                .width = 16, .height = 16, .channels = 1, .data = scan};
            for (int at = 0; at < 256 && light == 1; at++)
                scan[at] = (uint8_t)(255 - scan[at]);
            if (cn_preprocess(&preprocessing, &picture, &dataset->shape, image, &report, NULL) !=
                CN_OK)
                refused++;
            else
                wrong += report.inverted != (light == 1);
        }
    }
    cr_expect_leq(wrong * 100, (int)dataset->count * 2, "%d of the wrong polarity", wrong);
    cr_expect_leq(refused * 100, (int)dataset->count, "%d refused", refused);
    cn_dataset_free(dataset);
}

Test(drawings, depend_on_the_seed_alone) {
    struct drawing one, other;
    for (uint64_t seed = 0; seed < DRAWING_PAPERS; seed++) {
        drawing_make(seed, &one);
        drawing_make(seed, &other);
        cr_assert_eq(one.picture.width, other.picture.width);
        cr_assert_eq(memcmp(one.picture.data, other.picture.data,
                            (size_t)one.picture.width * (size_t)one.picture.height * 4),
                     0);
        drawing_clear(&one);
        drawing_clear(&other);
    }
}
