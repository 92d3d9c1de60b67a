/* augment.h: random changes of a training image; shared by the files augment*.c.
 *
 * An image is changed in three stages: the positions of its pixels (augment_warp.c), a larger
 * picture that is preprocessed (augment_rerender.c), and the pixels' values (augment_pixels.c). The
 * stages and their strengths are drawn from the caller's random stream, and depend on nothing else.
 */
#ifndef CONVNET_TRAIN_AUGMENT_H
#define CONVNET_TRAIN_AUGMENT_H

#include "base/random.h"
#include "convnet/trainer.h"

/* ---- All stages: the scratch memory of one thread and the options ---- */

struct cn_augmenter;

/* Borrows the three until cn_augmenter_free. CN_INVALID: `rerender` for an input that is not a grey
 * picture; `row` or `sign` for one that is not a grey picture of fit mnist. */
enum cn_status cn_augmenter_create(const struct cn_augmentation *augmentation,
                                   const struct cn_preprocessing *preprocessing,
                                   const struct cn_shape *shape,
                                   struct cn_augmenter **ret_augmenter, struct cn_error *error);
void cn_augmenter_free(struct cn_augmenter *augmenter); /* accepts NULL */

/* Lends the images[count, height, width, channels] from which `row` takes an image's neighbours. */
void cn_augmenter_set_neighbours(struct cn_augmenter *augmenter, const uint8_t *images,
                                 size_t count);

/* Draws one change from `random` and writes the changed image to[height, width, channels], in [0,
 * 1]. Without augmentations it is exactly cn_image_from_bytes. Allocates only for `rerender`,
 * `row` and `sign`. False if the image has no class any more: it became an outlier, a sign, or
 * a part of a row that is not one digit. */
bool cn_augment(struct cn_augmenter *augmenter, struct cn_random *random, const uint8_t *from,
                float *to);

/* ---- Stage 1: the positions of the pixels ---- */

enum { CN_ELASTIC_KNOTS = 7 }; /* per side: four spans over the image, and the splines' ends */

/* A target pixel at (x, y) of the source's frame, with pixel centres at whole numbers, comes from
 * (xx x + xy y + x0, yx x + yy y + y0) + the spline surfaces `bend` of x and y. */
struct cn_warp {
    float xx, xy, x0, yx, yy, y0;
    bool bent;
    float bend[2][CN_ELASTIC_KNOTS][CN_ELASTIC_KNOTS]; /* in pixels; x, then y */
};

/* The ranges of one warp, as in the table of augmentations; 0 disables that part. */
struct cn_warp_ranges {
    float shift, rotation, scale, shear, elastic, stretch;
    float aspect; /* width over height of the drawing; used by stretch only */
};

/* Width over height of the bounding box of the nonzero pixels[height, width, channels]; 1 if all
 * are zero. */
float cn_warp_aspect(const uint8_t *pixels, const struct cn_shape *shape);

/* Draws a warp of height x width pixels. */
struct cn_warp cn_warp_draw(const struct cn_warp_ranges *ranges, struct cn_random *random,
                            int height, int width);

/* Writes places[target_height, target_width, 2]: the (x, y) in the source from which each target
 * pixel comes. The target is the same frame with another number of pixels. */
void cn_warp_places(const struct cn_warp *warp, int height, int width, int target_height,
                    int target_width, float *places);

enum {
    CN_WARP_MARGIN = 3
}; /* background around a padded source, so that every look-up is inside */

/* target[count] = the source at places[count, 2] by cubic convolution (Keys 1981, a = -1/2),
 * clipped to [0, 1]. padded: [height + 2 margins, width + 2 margins]; outside is background, 0. */
void cn_warp_sample(const float *padded, int height, int width, const float *places, size_t count,
                    float *target);

/* ---- Stage 2: a larger picture, preprocessed ---- */

/* A picture that is painted, `factor` times as large as the input. */
struct cn_canvas {
    int height, width;
    float factor;
    float *plane;    /* [height, width]: ink in [0, 1], then the picture; overwritten */
    float *scratch;  /* (height + 2) * (width + 2) */
    uint8_t *pixels; /* [height, width] */
};

/* Draws pen, paper and light at random, paints the canvas's ink with them and preprocesses that
 * picture: to[shape]. False, with `to` unchanged, if nothing remains visible. */
bool cn_rerender(struct cn_random *random, const struct cn_preprocessing *preprocessing,
                 const struct cn_shape *shape, const struct cn_canvas *canvas, float *to);

/* ---- Stage 3: values, in place, plane[height, width] in [0, 1] ---- */

/* scratch: (height + 2) * (width + 2) floats. */

static inline float cn_augment_clip(float value) {
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

/* Widens strokes by `pixels` on each side, or narrows them if negative; fractions blend. Never
 * removes more than half of the ink. */
void cn_augment_stroke(float pixels, float *plane, int height, int width, float *scratch);

/* Gaussian blur of standard deviation `pixels`, as binomial passes of that variance. */
void cn_augment_blur(float pixels, float *plane, int height, int width, float *scratch);

/* Adds noise of standard deviation `amount`, close to normal. */
void cn_augment_noise(float amount, struct cn_random *random, float *plane, size_t count);

/* Bends the tone curve by `amount` of -1 to 1, black and full ink fixed: v + amount v (1 - v). */
void cn_augment_contrast(float amount, float *plane, size_t count);

/* Adds `amount` to every value, cut to [0, 1]. */
void cn_augment_brightness(float amount, float *plane, size_t count);

/* Replaces a square of at most `side` pixels at a random place by page or ink. */
void cn_augment_occlusion(float side, struct cn_random *random, float *plane, int height,
                          int width);

/* Replaces a square of `side` pixels, which may extend beyond the edge, by background (DeVries and
 * Taylor 2017). */
void cn_augment_cutout(float side, struct cn_random *random, float *plane, int height, int width);

/* Replaces a rectangle of 0.02 to `most` of the area, 0.3 to 3.3 times as high as wide, by uniform
 * noise (Zhong et al. 2020). */
void cn_augment_erasing(float most, struct cn_random *random, float *plane, int height, int width);

/* ---- Two images in one: done by the trainer after all stages ---- */

enum cn_mix { CN_MIX_NONE = 0, CN_MIX_UP, CN_MIX_CUT };

/* Draws whether this image is mixed with another, and how. */
enum cn_mix cn_mix_draw(const struct cn_augmentation *augmentation, struct cn_random *random);

/* Draws the first image's share by Beta(x, x) of the augmentation's strength x and mixes `other`
 * into image[shape]: blended (mixup, Zhang et al. 2018), or with a rectangle of the other share of
 * the area (cutmix, Yun et al. 2019), which is cut at the edges. Returns the share that remains of
 * `image`. */
float cn_mix(enum cn_mix how, const struct cn_augmentation *augmentation, struct cn_random *random,
             const float *other, const struct cn_shape *shape, float *image);

/* ---- Instead of all stages ---- */

/* The result for the middle image of a row: unchanged; a digit with a little of its neighbours; a
 * part of a digit, or two digits, which have no class. */
enum { CN_ROW_SIDE = 64 }; /* most pixels per side of an image in a row */
enum cn_row_part { CN_ROW_NOTHING = 0, CN_ROW_DIGIT, CN_ROW_NO_CLASS };

/* Sets the three images [shape, one channel] side by side so that they touch, cuts a part out, and
 * fits it (fit mnist) to to[shape]. Allocates. */
enum cn_row_part cn_augment_row(struct cn_random *random,
                                const struct cn_preprocessing *preprocessing,
                                const struct cn_shape *shape, const uint8_t *const images[3],
                                float *to);

/* A sign of two to five strokes, straight or bent, between the points of a grid, as letters have
 * them; fitted to to[shape] as cn_augment_row does. False: no memory. Of no class. */
bool cn_augment_sign(struct cn_random *random, const struct cn_preprocessing *preprocessing,
                     const struct cn_shape *shape, float *to);

/* Replaces plane[height, width] by a picture of no class, made of random numbers or of the plane's
 * own parts. scratch: (height + 2) * (width + 2). */
void cn_augment_outlier(struct cn_random *random, float *plane, int height, int width,
                        float *scratch);

#endif
