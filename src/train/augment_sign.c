/* augment_sign.c: signs that are no digit, made of strokes between the points of a grid, as most
 * letters are. Some come out like a digit; they are few. Thread-safe: no state but the caller's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/strokes.h"
#include "train/augment.h"

enum { SIDE = 48, GRID = 3, MOST_STROKES = 5, STEPS = 48 };

struct point {
    float x, y;
};

/* A point of the grid, not exactly there. */
static struct point draw_point(struct cn_random *random, float aspect) {
    const float across = (float)cn_random_below(random, GRID) / (GRID - 1) - 0.5f;
    const float down = (float)cn_random_below(random, GRID) / (GRID - 1) - 0.5f;
    const float width = 36 * fminf(aspect, 1), height = 36 / fmaxf(aspect, 1);
    const float off_x = cn_random_uniform(random, -1.5f, 1.5f);
    const float off_y = cn_random_uniform(random, -1.5f, 1.5f);
    return (struct point){SIDE / 2.0f + width * across + off_x,
                          SIDE / 2.0f + height * down + off_y};
}

static void draw_dot(struct point at, float radius, uint8_t samples[SIDE * SIDE]) {
    for (int y = (int)(at.y - radius - 1); y <= (int)(at.y + radius + 1); y++)
        for (int x = (int)(at.x - radius - 1); x <= (int)(at.x + radius + 1); x++) {
            if (x < 0 || y < 0 || x >= SIDE || y >= SIDE)
                continue;
            const float ink = radius + 0.5f - hypotf((float)x - at.x, (float)y - at.y);
            const uint8_t level = (uint8_t)(255 * cn_augment_clip(ink));
            uint8_t *sample = &samples[y * SIDE + x];
            *sample = level > *sample ? level : *sample;
        }
}

/* A quadratic curve; straight if `middle` lies between its ends. */
static void draw_curve(struct point from, struct point middle, struct point to, float radius,
                       uint8_t samples[SIDE * SIDE]) {
    for (int step = 0; step <= STEPS; step++) {
        const float t = (float)step / STEPS, s = 1 - t;
        draw_dot((struct point){s * s * from.x + 2 * s * t * middle.x + t * t * to.x,
                                s * s * from.y + 2 * s * t * middle.y + t * t * to.y},
                 radius, samples);
    }
}

static void draw_strokes(struct cn_random *random, uint8_t samples[SIDE * SIDE]) {
    const int count = 2 + (int)cn_random_below(random, MOST_STROKES - 1);
    const float radius = cn_random_uniform(random, 1.2f, 3.5f);
    const float aspect = cn_random_uniform(random, 0.5f, 1.2f);
    struct point end = draw_point(random, aspect);
    for (int stroke = 0; stroke < count; stroke++) {
        /* Half of the strokes begin where the last one ends. */
        const struct point from =
            cn_random_below(random, 2) == 0 ? end : draw_point(random, aspect);
        struct point to = draw_point(random, aspect);
        while (hypotf(to.x - from.x, to.y - from.y) < 8)
            to = draw_point(random, aspect);
        struct point middle = {(from.x + to.x) / 2, (from.y + to.y) / 2};
        if (cn_random_below(random, 3) == 0) {
            middle.x += cn_random_uniform(random, -24, 24);
            middle.y += cn_random_uniform(random, -24, 24);
        }
        draw_curve(from, middle, to, radius, samples);
        end = to;
    }
}

/* The smallest rectangle around the ink. */
static struct cn_rectangle find_ink(const uint8_t samples[SIDE * SIDE]) {
    int left = SIDE, right = 0, top = SIDE, bottom = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        if (samples[i] == 0)
            continue;
        const int x = i % SIDE, y = i / SIDE;
        left = x < left ? x : left;
        right = x > right ? x : right;
        top = y < top ? y : top;
        bottom = y > bottom ? y : bottom;
    }
    return (struct cn_rectangle){left, top, right - left + 1, bottom - top + 1};
}

bool cn_augment_sign(struct cn_random *random, const struct cn_preprocessing *preprocessing,
                     const struct cn_shape *shape, float *to) {
    uint8_t samples[SIDE * SIDE];
    const struct cn_plane plane = {SIDE, SIDE, 1, 1, samples};
    struct cn_strokes strokes = {0};
    struct cn_rectangle crop;
    do { /* strokes that lie on one another look like a 1 */
        memset(samples, 0, sizeof samples);
        draw_strokes(random, samples);
        crop = find_ink(samples);
    } while (crop.width * 3 < crop.height);
    if (cn_strokes_scale(&plane, crop, preprocessing->box, &strokes, NULL) != CN_OK)
        return false;
    cn_strokes_place(&strokes, shape, to);
    free(strokes.values);
    return true;
}
