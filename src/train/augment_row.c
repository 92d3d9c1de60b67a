/* augment_row.c: what a reader of rows cuts out of touching digits (src/reading): a digit with a
 * little of its neighbours, which keeps its class, and two digits or a part of one, which have no
 * class. They come from the training images, and are fitted as the reader fits its candidates.
 * Thread-safe: no state but the caller's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/strokes.h"
#include "train/augment.h"

enum {
    INKED = 60,     /* of 255: the ink by which a digit's width is measured */
    LEAST_WIDTH = 9 /* pixels: half of a narrower digit is still that digit */
};

/* Shares of a digit's ink in a part of the row. The part has the class of the middle digit if it
 * has at least `least_own` of it and at most `most_foreign` of each neighbour. It has no class with
 * less than `too_little` of it or more than `too_much` of a neighbour. Parts between these are not
 * used. */
static const double least_own = 0.85, most_foreign = 0.2, too_little = 0.7, too_much = 0.5;

/* The columns of an image that have ink. */
struct extent {
    int left, right;
};

static struct extent find_extent(const uint8_t *pixels, int height, int width) {
    struct extent extent = {width, -1};
    for (int i = 0; i < height * width; i++)
        if (pixels[i] > INKED) {
            const int x = i % width;
            extent.left = x < extent.left ? x : extent.left;
            extent.right = x > extent.right ? x : extent.right;
        }
    return extent;
}

/* Three images side by side, so close that they touch. */
struct row {
    int height, width;
    uint8_t *samples;        /* [height, width] */
    struct extent digits[3]; /* where each is */
    int shifts[3];           /* rows from the top */
};

static bool row_compose(struct cn_random *random, const uint8_t *const images[3], int height,
                        int width, struct row *row) {
    int end = 1;
    memset(row->samples, 0, (size_t)row->height * (size_t)row->width);
    for (int d = 0; d < 3; d++) {
        const struct extent extent = find_extent(images[d], height, width);
        if (extent.right < extent.left)
            return false;
        const int gap = d > 0 ? 1 - (int)cn_random_below(random, 4) : 0;
        const int x = end + gap > 0 ? end + gap : 0;       /* digits may have a single column */
        const int shift = (int)cn_random_below(random, 3); /* of 0 to 2 rows */
        row->digits[d] = (struct extent){x, x + extent.right - extent.left};
        row->shifts[d] = shift;
        end = row->digits[d].right + 1;
        for (int y = 0; y < height; y++)
            for (int from = extent.left; from <= extent.right; from++) {
                uint8_t *to = row->samples + (y + shift) * row->width + x + from - extent.left;
                const uint8_t ink = images[d][y * width + from];
                *to = ink > *to ? ink : *to;
            }
    }
    return true;
}

/* Two leaning cuts; what is between them remains. */
struct cuts {
    float left, right, left_lean, right_lean; /* columns in the row's middle, and per row */
};

static bool is_inside(const struct row *row, const struct cuts *cuts, int x, int y) {
    const float down = (float)y - (float)row->height / 2;
    return (float)x >= cuts->left + cuts->left_lean * down &&
           (float)x <= cuts->right + cuts->right_lean * down;
}

/* Removes the other ink; *ret_rest is the smallest rectangle around the rest. False: hardly
 * anything remains. */
static bool row_cut(const struct row *row, const struct cuts *cuts, struct cn_rectangle *ret_rest) {
    int x0 = row->width, x1 = -1, y0 = row->height, y1 = -1;
    for (int y = 0; y < row->height; y++)
        for (int x = 0; x < row->width; x++) {
            uint8_t *sample = &row->samples[y * row->width + x];
            if (!is_inside(row, cuts, x, y))
                *sample = 0;
            if (*sample == 0)
                continue;
            x0 = x < x0 ? x : x0;
            x1 = x > x1 ? x : x1;
            y0 = y < y0 ? y : y0;
            y1 = y > y1 ? y : y1;
        }
    *ret_rest = (struct cn_rectangle){x0, y0, x1 - x0 + 1, y1 - y0 + 1};
    return x1 >= x0 && ret_rest->height * 3 >= row->height;
}

/* The share of a digit's ink that remains. */
static double row_share(const struct row *row, const struct cuts *cuts, int digit,
                        const uint8_t *image, int height, int width) {
    const int shift = row->digits[digit].left - find_extent(image, height, width).left;
    double inside = 0, all = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            all += image[y * width + x];
            if (is_inside(row, cuts, x + shift, y + row->shifts[digit]))
                inside += image[y * width + x];
        }
    return inside / all;
}

static enum cn_row_part row_class(const struct row *row, const struct cuts *cuts,
                                  const uint8_t *const images[3], int height, int width) {
    const double own = row_share(row, cuts, 1, images[1], height, width);
    const double foreign = fmax(row_share(row, cuts, 0, images[0], height, width),
                                row_share(row, cuts, 2, images[2], height, width));
    if (own >= least_own && foreign <= most_foreign)
        return CN_ROW_DIGIT;
    return (own > 0 && own < too_little) || foreign > too_much ? CN_ROW_NO_CLASS : CN_ROW_NOTHING;
}

static struct cuts draw_cuts(struct cn_random *random, const struct row *row) {
    const struct extent *middle = &row->digits[1];
    const int width = middle->right - middle->left + 1;
    const uint32_t kind = cn_random_below(random, 10);
    struct cuts cuts;
    cuts.left = (float)middle->left + cn_random_uniform(random, -2, 1);
    cuts.right = (float)middle->right + cn_random_uniform(random, -1, 2);
    cuts.left_lean = cn_random_uniform(random, -0.25f, 0.25f);
    cuts.right_lean = cn_random_uniform(random, -0.25f, 0.25f);
    if (kind < 4)
        return cuts;
    if (kind < 7 || width < LEAST_WIDTH) { /* two digits */
        if (cn_random_below(random, 2) == 0)
            cuts.left = (float)row->digits[0].left;
        else
            cuts.right = (float)row->digits[2].right;
        return cuts;
    }
    const float cut = (float)middle->left + (float)width * cn_random_uniform(random, 0.35f, 0.65f);
    const bool begins = cn_random_below(random, 2) == 0; /* the part before the cut remains */
    const bool joined = cn_random_below(random, 2) == 0; /* with the digit beside it */
    if (begins)
        cuts.right = cut;
    else
        cuts.left = cut;
    if (joined && begins)
        cuts.left = (float)row->digits[0].left;
    else if (joined)
        cuts.right = (float)row->digits[2].right;
    return cuts;
}

enum cn_row_part cn_augment_row(struct cn_random *random,
                                const struct cn_preprocessing *preprocessing,
                                const struct cn_shape *shape, const uint8_t *const images[3],
                                float *to) {
    const int height = shape->dims[0], width = shape->dims[1];
    uint8_t samples[(CN_ROW_SIDE + 2) * (3 * CN_ROW_SIDE + 6)];
    struct row row = {.height = height + 2, .width = 3 * width + 6, .samples = samples};
    struct cn_rectangle rest;
    struct cn_strokes strokes = {0};
    if (!row_compose(random, images, height, width, &row))
        return CN_ROW_NOTHING;
    const struct cuts cuts = draw_cuts(random, &row);
    const enum cn_row_part part = row_class(&row, &cuts, images, height, width);
    const struct cn_plane plane = {row.width, row.height, 1, 1, samples};
    if (part == CN_ROW_NOTHING || !row_cut(&row, &cuts, &rest) ||
        cn_strokes_scale(&plane, rest, preprocessing->box, &strokes, NULL) != CN_OK)
        return CN_ROW_NOTHING;
    cn_strokes_place(&strokes, shape, to);
    free(strokes.values);
    return part;
}
