/* augment.h: random changes of a training image; what the files augment*.c share.
 *
 * An image is changed in three stages: where its pixels come from (augment_warp.c), the way through
 * a picture and the preprocessing (augment_rerender.c), the pixels' values (augment_pixels.c).
 * Which stages and how strongly is drawn from the caller's stream, so that an image's change
 * depends on nothing but that stream.
 */
#ifndef CONVNET_TRAIN_AUGMENT_H
#define CONVNET_TRAIN_AUGMENT_H

#include "base/random.h"
#include "convnet/trainer.h"

/* ---- All stages: one thread's scratch and what is to be done ---- */

struct cn_augmenter;

/* Borrows the three until cn_augmenter_free. CN_INVALID: rerender of an input that is no grey
 * picture. */
enum cn_status cn_augmenter_create(const struct cn_augmentation *augmentation,
                                   const struct cn_preprocessing *preprocessing,
                                   const struct cn_shape *shape,
                                   struct cn_augmenter **ret_augmenter, struct cn_error *error);
void cn_augmenter_free(struct cn_augmenter *augmenter); /* accepts NULL */

/* Draws one change from `random` and writes to[height, width, channels] = from changed, in [0, 1].
 * Without any augmentation: exactly cn_image_from_bytes. Allocates only when it re-renders.
 * False if the image became an outlier: it is of no class any more. */
bool cn_augment(struct cn_augmenter *augmenter, struct cn_random *random, const uint8_t *from,
                float *to);

/* ---- Stage 1: where each pixel comes from ---- */

enum { CN_ELASTIC_KNOTS = 7 }; /* a side: four spans over the image and the splines' ends */

/* A target pixel at (x, y) of the source's frame, pixel centres on whole numbers, comes from
 * (xx x + xy y + x0, yx x + yy y + y0) + the spline surfaces `bend` of x and y. */
struct cn_warp {
    float xx, xy, x0, yx, yy, y0;
    bool bent;
    float bend[2][CN_ELASTIC_KNOTS][CN_ELASTIC_KNOTS]; /* pixels; x, then y */
};

/* The ranges of one warp, as in the table of augmentations; 0 leaves that part out. */
struct cn_warp_ranges {
    float shift, rotation, scale, shear, elastic, stretch;
    float aspect; /* width over height of what is to be stretched; only stretch asks for it */
};

/* Width over height of the bounding box of what is not 0 in pixels[height, width, channels]; 1
 * where there is nothing. */
float cn_warp_aspect(const uint8_t *pixels, const struct cn_shape *shape);

/* Draws a warp of height x width pixels. */
struct cn_warp cn_warp_draw(const struct cn_warp_ranges *ranges, struct cn_random *random,
                            int height, int width);

/* places[target_height, target_width, 2]: the (x, y) of the source that each target pixel comes
 * from, the target being the same frame cut finer or coarser. */
void cn_warp_places(const struct cn_warp *warp, int height, int width, int target_height,
                    int target_width, float *places);

enum { CN_WARP_MARGIN = 3 }; /* background around a padded source, so that no look-up leaves it */

/* target[count] = the source at places[count, 2] by cubic convolution (Keys 1981, a = -1/2), cut to
 * [0, 1]. padded: [height + 2 margins, width + 2 margins]; what lies outside is background, 0. */
void cn_warp_sample(const float *padded, int height, int width, const float *places, size_t count,
                    float *target);

/* ---- Stage 2: through a picture ---- */

/* A picture being painted, `factor` times as large as the input. */
struct cn_canvas {
    int height, width;
    float factor;
    float *plane;    /* [height, width]: ink in [0, 1], then the picture; overwritten */
    float *scratch;  /* (height + 2) * (width + 2) */
    uint8_t *pixels; /* [height, width] */
};

/* Draws the pen, the paper and the light, paints the canvas's ink with them and prepares that
 * picture: to[shape]. False, and `to` is not written, when nothing is left to see. */
bool cn_rerender(struct cn_random *random, const struct cn_preprocessing *preprocessing,
                 const struct cn_shape *shape, const struct cn_canvas *canvas, float *to);

/* ---- Stage 3: values, in place, plane[height, width] in [0, 1] ---- */

/* scratch: (height + 2) * (width + 2) floats. */

/* Strokes `pixels` wider on each side, or thinner where negative; fractions blend. Never thins away
 * more than half of the ink. */
void cn_augment_stroke(float pixels, float *plane, int height, int width, float *scratch);

/* Gaussian blur of standard deviation `pixels`, as binomial passes of that variance. */
void cn_augment_blur(float pixels, float *plane, int height, int width, float *scratch);

/* Adds noise of standard deviation `amount`, close to normal. */
void cn_augment_noise(float amount, struct cn_random *random, float *plane, size_t count);

/* Bends the tone curve by `amount` of -1 to 1, black and full ink fixed: v + amount v (1 - v). */
void cn_augment_contrast(float amount, float *plane, size_t count);

/* Adds `amount` to every value, cut to [0, 1]. */
void cn_augment_brightness(float amount, float *plane, size_t count);

/* A square of at most `side` pixels, somewhere, is lost to the page or to ink. */
void cn_augment_occlusion(float side, struct cn_random *random, float *plane, int height,
                          int width);

/* A square of `side` pixels becomes background; it may reach over the edge (DeVries and Taylor
 * 2017). */
void cn_augment_cutout(float side, struct cn_random *random, float *plane, int height, int width);

/* A rectangle of 0.02 to `most` of the area, between 0.3 and 3.3 times as high as wide, becomes
 * uniform noise (Zhong et al. 2020). */
void cn_augment_erasing(float most, struct cn_random *random, float *plane, int height, int width);

/* ---- Two images in one: what the trainer does behind all stages ---- */

enum cn_mix { CN_MIX_NONE = 0, CN_MIX_UP, CN_MIX_CUT };

/* Draws whether this image is mixed with another, and how. */
enum cn_mix cn_mix_draw(const struct cn_augmentation *augmentation, struct cn_random *random);

/* Draws the first image's share by Beta(x, x) of the augmentation's strength x and mixes `other`
 * into image[shape]: blended (mixup, Zhang et al. 2018), or a rectangle of the rest of the area
 * (cutmix, Yun et al. 2019), which is cut at the edges. Returns the share that `image` has kept. */
float cn_mix(enum cn_mix how, const struct cn_augmentation *augmentation, struct cn_random *random,
             const float *other, const struct cn_shape *shape, float *image);

/* ---- In place of all stages ---- */

/* Replaces plane[height, width] by a picture of no class, made of random numbers or of the plane's
 * own pieces. scratch: (height + 2) * (width + 2). */
void cn_augment_outlier(struct cn_random *random, float *plane, int height, int width,
                        float *scratch);

#endif
