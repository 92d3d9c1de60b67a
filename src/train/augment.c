/* augment.c: see augment.h. No state but the caller's stream. */
#include "train/augment.h"

#include <math.h>

bool cn_augmentation_active(const struct cn_augmentation *a) {
    return a->shift != 0 || a->rotation != 0 || a->scale != 0 || a->shear != 0;
}

static float sample(const struct cn_shape *shape, const uint8_t *from, int y, int x, int c) {
    const int height = shape->dims[0], width = shape->dims[1], channels = shape->dims[2];
    if (y < 0 || x < 0 || y >= height || x >= width)
        return 0;
    return (float)from[(y * width + x) * channels + c];
}

/* Each target pixel looks up where it came from: the inverse of scale, shear and rotation about the
 * centre, then the shift. */
struct lookup {
    float xx, xy, yx, yy, x0, y0;
};

static struct lookup draw(const struct cn_augmentation *a, struct cn_random *random,
                          const struct cn_shape *shape) {
    const float turn = cn_random_uniform(random, -a->rotation, a->rotation) * 0.017453293f;
    const float grow_x = 1 / (1 + cn_random_uniform(random, -a->scale, a->scale));
    const float grow_y = 1 / (1 + cn_random_uniform(random, -a->scale, a->scale));
    const float shear = cn_random_uniform(random, -a->shear, a->shear);
    const float shift_x = cn_random_uniform(random, -a->shift, a->shift);
    const float shift_y = cn_random_uniform(random, -a->shift, a->shift);
    const float cosine = cosf(turn), sine = sinf(turn);
    const float middle_x = 0.5f * (float)(shape->dims[1] - 1);
    const float middle_y = 0.5f * (float)(shape->dims[0] - 1);
    struct lookup l = {.xx = grow_x * (cosine + shear * sine),
                       .xy = grow_x * (sine - shear * cosine),
                       .yx = -grow_y * sine,
                       .yy = grow_y * cosine};
    l.x0 = middle_x - l.xx * (middle_x + shift_x) - l.xy * (middle_y + shift_y);
    l.y0 = middle_y - l.yx * (middle_x + shift_x) - l.yy * (middle_y + shift_y);
    return l;
}

void cn_augment(const struct cn_augmentation *augmentation, struct cn_random *random,
                const struct cn_shape *shape, const uint8_t *from, float *to) {
    const struct lookup l = draw(augmentation, random, shape);
    for (int i = 0; i < shape->dims[0]; i++)
        for (int j = 0; j < shape->dims[1]; j++) {
            const float x = l.xx * (float)j + l.xy * (float)i + l.x0;
            const float y = l.yx * (float)j + l.yy * (float)i + l.y0;
            const float left = floorf(x), top = floorf(y);
            const float fx = x - left, fy = y - top;
            const int u = (int)left, v = (int)top;
            for (int c = 0; c < shape->dims[2]; c++) {
                const float upper =
                    sample(shape, from, v, u, c) * (1 - fx) + sample(shape, from, v, u + 1, c) * fx;
                const float lower = sample(shape, from, v + 1, u, c) * (1 - fx) +
                                    sample(shape, from, v + 1, u + 1, c) * fx;
                *to++ = (upper * (1 - fy) + lower * fy) / 255.0f;
            }
        }
}
