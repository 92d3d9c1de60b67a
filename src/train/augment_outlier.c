/* augment_outlier.c: makes pictures of no class, with which a network learns to have a low
 * confidence (outlier exposure: Hendrycks, Mazeika and Dietterich 2019). They depend on the seed
 * and the training images only. Pure. */
#include <math.h>
#include <string.h>

#include "train/augment.h"

/* Smooth random values between -1 and 1: an interpolated grid. */
struct field {
    int knots;
    float values[9][9];
};

static struct field draw_field(struct cn_random *random) {
    struct field field = {.knots = 3 + (int)cn_random_below(random, 6)};
    for (int i = 0; i <= field.knots; i++)
        for (int j = 0; j <= field.knots; j++)
            field.values[i][j] = cn_random_uniform(random, -1, 1);
    return field;
}

static float field_at(const struct field *field, float y, float x) {
    const float v = y * (float)(field->knots - 1), u = x * (float)(field->knots - 1);
    const int i = (int)v, j = (int)u;
    const float down = v - (float)i, across = u - (float)j;
    const float upper = field->values[i][j] * (1 - across) + field->values[i][j + 1] * across;
    const float lower =
        field->values[i + 1][j] * (1 - across) + field->values[i + 1][j + 1] * across;
    return upper * (1 - down) + lower * down;
}

/* The image that is replaced. */
struct view {
    int height, width;
    float *values;
};

/* Noise, from fine to coarse. */
static void noise(const struct view *to, struct cn_random *random, float *scratch) {
    const size_t count = (size_t)to->height * (size_t)to->width;
    const float level = cn_random_uniform(random, 0, 0.8f),
                strength = cn_random_uniform(random, 0.2f, 1);
    for (size_t i = 0; i < count; i++)
        to->values[i] = cn_augment_clip(level + strength * cn_random_uniform(random, -1, 1));
    cn_augment_blur(cn_random_uniform(random, 0, 1.5f), to->values, to->height, to->width, scratch);
}

/* Filled shapes with soft or hard edges and an uneven inside. */
static void blobs(const struct view *to, struct cn_random *random, float *scratch) {
    const struct field shape = draw_field(random), inside = draw_field(random);
    const float level = cn_random_uniform(random, -0.5f, 0.3f);
    const float steepness = cn_random_uniform(random, 2, 12),
                grain = cn_random_uniform(random, 0, 0.2f);
    const float unevenness = cn_random_uniform(random, 0, 0.5f);
    const bool symmetric = cn_random_below(random, 2) == 0; /* as most man-made things are */
    (void)scratch;
    for (int i = 0; i < to->height; i++)
        for (int j = 0; j < to->width; j++) {
            const float y = (float)i / (float)to->height, at = (float)j / (float)to->width;
            const float x = symmetric && at > 0.5f ? 1 - at : at;
            const float ink = cn_augment_clip(0.5f + steepness * (field_at(&shape, y, x) - level));
            const float tone = 1 - unevenness * (0.5f + 0.5f * field_at(&inside, y, x));
            to->values[i * to->width + j] =
                cn_augment_clip(ink * (tone + grain * cn_random_uniform(random, -1, 1)));
        }
}

/* A wandering pen: quadratic curves from point to point. */
static void scribble(const struct view *to, struct cn_random *random, float *scratch) {
    const float radius = cn_random_uniform(random, 0.5f, 1.6f);
    const int curves = 3 + (int)cn_random_below(random, 5);
    float point[6];
    memset(to->values, 0, (size_t)to->height * (size_t)to->width * sizeof *to->values);
    (void)scratch;
    for (int k = 0; k < 6; k++)
        point[k] =
            cn_random_uniform(random, 0.1f, 0.9f) * (float)(k % 2 == 0 ? to->width : to->height);
    for (int c = 0; c < curves; c++) {
        for (int step = 0; step <= 32; step++) {
            const float t = (float)step / 32, s = 1 - t;
            const float x = s * s * point[0] + 2 * s * t * point[2] + t * t * point[4];
            const float y = s * s * point[1] + 2 * s * t * point[3] + t * t * point[5];
            for (int i = (int)(y - 2); i <= (int)(y + 2); i++)
                for (int j = (int)(x - 2); j <= (int)(x + 2); j++) {
                    if (i < 0 || j < 0 || i >= to->height || j >= to->width)
                        continue;
                    float *value = &to->values[i * to->width + j];
                    const float distance = hypotf((float)j - x, (float)i - y);
                    *value = fmaxf(*value, cn_augment_clip(radius + 0.5f - distance));
                }
        }
        memmove(point, point + 4, 2 * sizeof *point);
        for (int k = 2; k < 6; k++)
            point[k] = cn_random_uniform(random, 0.1f, 0.9f) *
                       (float)(k % 2 == 0 ? to->width : to->height);
    }
}

/* The image's own tiles in another order. */
static void shuffled(const struct view *to, struct cn_random *random, float *scratch) {
    const int side = cn_random_below(random, 2) == 0 ? 2 : 4; /* tiles */
    const int tile_height = to->height / side, tile_width = to->width / side;
    uint32_t order[16];
    for (uint32_t i = 0; i < 16; i++)
        order[i] = i;
    cn_random_shuffle(random, order, (size_t)(side * side));
    if (order[0] == 0) { /* the result must differ from the image */
        order[0] = order[1];
        order[1] = 0;
    }
    memcpy(scratch, to->values, (size_t)to->height * (size_t)to->width * sizeof *scratch);
    for (int tile = 0; tile < side * side; tile++) {
        const int from = (int)order[tile];
        for (int i = 0; i < tile_height; i++)
            memcpy(to->values + (tile / side * tile_height + i) * to->width +
                       tile % side * tile_width,
                   scratch + (from / side * tile_height + i) * to->width + from % side * tile_width,
                   (size_t)tile_width * sizeof *scratch);
    }
}

/* The image as a light object in a dark frame. */
static void inverted(const struct view *to, struct cn_random *random, float *scratch) {
    const int frame = (int)cn_random_below(random, (uint32_t)(to->width / 6 + 1));
    const float tone = cn_random_uniform(random, 0.3f, 1);
    (void)scratch;
    for (int i = 0; i < to->height; i++)
        for (int j = 0; j < to->width; j++) {
            float *value = &to->values[i * to->width + j];
            const bool outside =
                i < frame || j < frame || i >= to->height - frame || j >= to->width - frame;
            *value = outside ? 0 : tone * (1 - *value);
        }
}

void cn_augment_outlier(struct cn_random *random, float *plane, int height, int width,
                        float *scratch) {
    static void (*const kinds[])(const struct view *, struct cn_random *,
                                 float *) = {noise, blobs, blobs, scribble, shuffled, inverted};
    const struct view to = {height, width, plane};
    kinds[cn_random_below(random, sizeof kinds / sizeof *kinds)](&to, random, scratch);
}
