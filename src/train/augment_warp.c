/* augment_warp.c: shift, rotation, scale, shear and elastic distortion as one look-up per pixel, so
 * that an image is interpolated once. Elastic distortion follows Simard, Steinkraus and Platt 2003,
 * with a cubic B-spline surface over random knots in place of their smoothed random field; it is as
 * smooth for a fraction of the work. Pure. */
#include <math.h>

#include "train/augment.h"

enum { KNOTS = CN_ELASTIC_KNOTS, SPANS = KNOTS - 3, MARGIN = CN_WARP_MARGIN };

/* The root mean square of a cubic B-spline surface over knots of variance 1: the sum over the taps
 * of the mean square weight, 151/315, in each direction. */
static const float surface_deviation = 151.0f / 315.0f;

float cn_warp_aspect(const uint8_t *pixels, const struct cn_shape *shape) {
    int left = shape->dims[1], right = -1, top = -1, bottom = -1;
    for (int y = 0; y < shape->dims[0]; y++)
        for (int x = 0; x < shape->dims[1]; x++)
            for (int c = 0; c < shape->dims[2]; c++)
                if (*pixels++ != 0) {
                    left = x < left ? x : left;
                    right = x > right ? x : right;
                    top = top < 0 ? y : top;
                    bottom = y;
                }
    return right < 0 ? 1 : (float)(right - left + 1) / (float)(bottom - top + 1);
}

/* The factors of width and height for a random change of aspect, in which each ratio is as likely
 * as its inverse, and the longer side keeps its length. */
static void draw_stretch(const struct cn_warp_ranges *ranges, struct cn_random *random,
                         float *ret_x, float *ret_y) {
    const float most = logf(1 + ranges->stretch);
    const float wider = expf(cn_random_uniform(random, -most, most));
    const float aspect = ranges->aspect * wider;
    *ret_y = fmaxf(ranges->aspect, 1) / fmaxf(aspect, 1);
    *ret_x = *ret_y * wider;
}

struct cn_warp cn_warp_draw(const struct cn_warp_ranges *ranges, struct cn_random *random,
                            int height, int width) {
    const float angle = cn_random_uniform(random, -ranges->rotation, ranges->rotation) *
                        0.017453293f; /* degrees to radians */
    float wider = 1, higher = 1;
    if (ranges->stretch > 0)
        draw_stretch(ranges, random, &wider, &higher);
    const float grow_x =
        1 / (wider * (1 + cn_random_uniform(random, -ranges->scale, ranges->scale)));
    const float grow_y =
        1 / (higher * (1 + cn_random_uniform(random, -ranges->scale, ranges->scale)));
    const float shear = cn_random_uniform(random, -ranges->shear, ranges->shear);
    const float shift_x = cn_random_uniform(random, -ranges->shift, ranges->shift);
    const float shift_y = cn_random_uniform(random, -ranges->shift, ranges->shift);
    const float cosine = cosf(angle), sine = sinf(angle);
    const float middle_x = 0.5f * (float)(width - 1), middle_y = 0.5f * (float)(height - 1);
    /* The inverse of scale, shear and rotation about the centre, then the shift. */
    struct cn_warp warp = {.xx = grow_x * (cosine + shear * sine),
                           .xy = grow_x * (sine - shear * cosine),
                           .yx = -grow_y * sine,
                           .yy = grow_y * cosine};
    warp.x0 = middle_x - warp.xx * (middle_x + shift_x) - warp.xy * (middle_y + shift_y);
    warp.y0 = middle_y - warp.yx * (middle_x + shift_x) - warp.yy * (middle_y + shift_y);
    warp.bent = ranges->elastic > 0;
    if (warp.bent) {
        const float strength = cn_random_uniform(random, 0, ranges->elastic) / surface_deviation;
        for (int axis = 0; axis < 2; axis++)
            for (int i = 0; i < KNOTS; i++)
                for (int j = 0; j < KNOTS; j++)
                    warp.bend[axis][i][j] = strength * cn_random_normal(random);
    }
    return warp;
}

/* The first of the four knots that influence `position` (0 to 1 along the image) and their weights.
 */
static int spline_weights(float position, float weights[4]) {
    const float at = fminf(fmaxf(position, 0), 0.99999f) * (float)SPANS;
    const int first = (int)at;
    const float t = at - (float)first, s = 1 - t;
    weights[0] = s * s * s / 6;
    weights[1] = (t * t * (3 * t - 6) + 4) / 6;
    weights[2] = (s * s * (3 * s - 6) + 4) / 6;
    weights[3] = t * t * t / 6;
    return first;
}

/* Reduces the surfaces, for one row of pixels, to curves over the columns' knots. */
static void bend_row(const struct cn_warp *warp, float position, float curves[2][KNOTS]) {
    float weights[4];
    const int first = spline_weights(position, weights);
    for (int axis = 0; axis < 2; axis++)
        for (int j = 0; j < KNOTS; j++) {
            curves[axis][j] = 0;
            for (int k = 0; k < 4; k++)
                curves[axis][j] += weights[k] * warp->bend[axis][first + k][j];
        }
}

void cn_warp_places(const struct cn_warp *warp, int height, int width, int target_height,
                    int target_width, float *places) {
    const float step_y = (float)height / (float)target_height;
    const float step_x = (float)width / (float)target_width;
    float curves[2][KNOTS] = {0}, weights[4];
    for (int i = 0; i < target_height; i++) {
        const float y = ((float)i + 0.5f) * step_y - 0.5f;
        if (warp->bent)
            bend_row(warp, (y + 0.5f) / (float)height, curves);
        for (int j = 0; j < target_width; j++, places += 2) {
            const float x = ((float)j + 0.5f) * step_x - 0.5f;
            places[0] = warp->xx * x + warp->xy * y + warp->x0;
            places[1] = warp->yx * x + warp->yy * y + warp->y0;
            if (!warp->bent)
                continue;
            const int first = spline_weights((x + 0.5f) / (float)width, weights);
            for (int k = 0; k < 4; k++) {
                places[0] += weights[k] * curves[0][first + k];
                places[1] += weights[k] * curves[1][first + k];
            }
        }
    }
}

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

static four cubic_weights(float t) {
    const float s = 1 - t;
    return (four){-0.5f * t * s * s, 1 + t * t * (1.5f * t - 2.5f), 1 + s * s * (1.5f * s - 2.5f),
                  -0.5f * s * t * t};
}

static float clamp(float value, float low, float high) {
    return value < low ? low : value > high ? high : value;
}

void cn_warp_sample(const float *padded, int height, int width, const float *places, size_t count,
                    float *target) {
    const size_t row = (size_t)width + 2 * MARGIN;
    /* Beyond these bounds all taps are background; clamping keeps the look-up inside the padding.
     */
    const float low = -1.0f * (MARGIN - 1), high_x = (float)width, high_y = (float)height;
    for (size_t i = 0; i < count; i++) {
        const float x = clamp(places[2 * i], low, high_x) + MARGIN;
        const float y = clamp(places[2 * i + 1], low, high_y) + MARGIN;
        const int u = (int)x, v = (int)y; /* both positive: this is floor */
        const four across = cubic_weights(x - (float)u), down = cubic_weights(y - (float)v);
        const float *taps = padded + (size_t)(v - 1) * row + (size_t)(u - 1);
        four sum = down[0] * *(const four *)taps;
        sum += down[1] * *(const four *)(taps + row);
        sum += down[2] * *(const four *)(taps + 2 * row);
        sum += down[3] * *(const four *)(taps + 3 * row);
        sum *= across;
        target[i] = clamp(sum[0] + sum[1] + sum[2] + sum[3], 0, 1);
    }
}
