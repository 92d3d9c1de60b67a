/* augment_mix.c: mixes two images. Pure. */
#include <math.h>
#include <string.h>

#include "train/augment.h"

static float draw_share(float alpha, struct cn_random *random) {
    for (;;) { /* Jöhnk 1964: accepts at least half of the draws, since alpha is at most 1 */
        const float x = powf(cn_random_float(random), 1 / alpha);
        const float y = powf(cn_random_float(random), 1 / alpha);
        if (x + y <= 1 && x + y > 0)
            return x / (x + y);
    }
}

/* The part of a piece of `size` around a random centre that lies within `whole`. */
static void draw_piece(float size, int whole, struct cn_random *random, int *ret_begin,
                       int *ret_end) {
    const float middle = cn_random_uniform(random, 0, (float)whole);
    const int begin = (int)lrintf(middle - size / 2), end = (int)lrintf(middle + size / 2);
    *ret_begin = begin < 0 ? 0 : begin;
    *ret_end = end > whole ? whole : end;
}

static float paste(float share, struct cn_random *random, const float *other,
                   const struct cn_shape *shape, float *image) {
    const int height = shape->dims[0], width = shape->dims[1];
    const size_t channels = (size_t)shape->dims[2];
    const float side = sqrtf(1 - share);
    int top, bottom, left, right;
    draw_piece(side * (float)height, height, random, &top, &bottom);
    draw_piece(side * (float)width, width, random, &left, &right);
    if (right <= left || bottom <= top)
        return 1;
    for (int y = top; y < bottom; y++) {
        const size_t at = ((size_t)y * (size_t)width + (size_t)left) * channels;
        memcpy(image + at, other + at, (size_t)(right - left) * channels * sizeof *image);
    }
    return 1 - (float)((bottom - top) * (right - left)) / (float)(height * width);
}

static bool is_drawn(const struct cn_augmentation *a, enum cn_augmentation_index which,
                     struct cn_random *random) {
    return a->strength[which] > 0 && cn_random_float(random) < a->share[which];
}

enum cn_mix cn_mix_draw(const struct cn_augmentation *augmentation, struct cn_random *random) {
    if (is_drawn(augmentation, CN_AUGMENT_MIXUP, random))
        return CN_MIX_UP;
    return is_drawn(augmentation, CN_AUGMENT_CUTMIX, random) ? CN_MIX_CUT : CN_MIX_NONE;
}

float cn_mix(enum cn_mix how, const struct cn_augmentation *augmentation, struct cn_random *random,
             const float *other, const struct cn_shape *shape, float *image) {
    const size_t count = cn_shape_size(shape);
    if (how == CN_MIX_NONE)
        return 1;
    const float share = draw_share(
        augmentation->strength[how == CN_MIX_UP ? CN_AUGMENT_MIXUP : CN_AUGMENT_CUTMIX], random);
    if (how == CN_MIX_CUT)
        return paste(share, random, other, shape, image);
    for (size_t i = 0; i < count; i++)
        image[i] = share * image[i] + (1 - share) * other[i];
    return share;
}
