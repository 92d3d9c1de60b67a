/* image.h: from a picture's bytes to the floats that a network sees: the one preprocessing path. */
#ifndef CONVNET_IMAGE_H
#define CONVNET_IMAGE_H

#include <stdint.h>

#include "convnet/shape.h"

/* A decoded picture: 8 bits a sample, row-major, no row padding. channels: 1 grey, 2 grey + alpha,
 * 3 RGB, 4 RGBA. `data` is freed by cn_picture_clear. */
struct cn_picture {
    int width, height, channels;
    uint8_t *data; /* [height, width, channels] */
    double gamma;  /* what the file says of its samples, 0.45 for sRGB's; 0: nothing */
};

struct cn_picture_limits {
    int max_width, max_height; /* pixels; cn_picture_default_limits: 4096 x 4096 */
};
extern const struct cn_picture_limits cn_picture_default_limits;

/* Decodes a PNG of any legal colour type, depth and interlacing; 16-bit samples are reduced to 8,
 * palettes expanded, tRNS becomes alpha. gAMA and sRGB are reported and not applied. Caller frees
 * with cn_picture_clear. CN_MALFORMED: not a PNG, truncated, corrupt, bad CRC, or more compressed
 * data than the picture can need (a decompression bomb); CN_LIMIT: larger than `limits`; CN_MEMORY.
 */
enum cn_status cn_png_decode(const void *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error);

/* True if the bytes begin with the PNG signature. */
bool cn_png_recognize(const void *bytes, size_t length);

/* Encodes 8-bit grey or RGB pixels [height, width, channels] as a PNG into a malloc'd block that
 * the caller frees with free(). For tests, exports and pages. */
enum cn_status cn_png_encode(const uint8_t *pixels, int width, int height, int channels,
                             void **ret_bytes, size_t *ret_length, struct cn_error *error);

void cn_picture_clear(struct cn_picture *picture);

/* ---- Preprocessing ---- */

/* Its parameters live in the model file, as the JSON object "preprocessing". */
enum cn_fit {
    CN_FIT_MNIST = 0, /* crop to the ink, scale its longer side to `box`, centre by mass */
    CN_FIT_SCALE      /* scale the whole picture into the input, aspect kept, centred */
};
extern const char *const cn_fit_names[]; /* "mnist", "scale", NULL */

struct cn_preprocessing {
    enum cn_fit fit;
    int box;     /* pixels of the longer side of the ink: 20 for MNIST's 28x28 */
    bool invert; /* light backgrounds are inverted to MNIST's polarity, ink 255 on 0 */
};

/* What MNIST's makers did, for an input of this shape: fit mnist with box = 20/28 of the smaller
 * side for one channel; fit scale, no inversion, for three channels. */
struct cn_preprocessing cn_preprocessing_default(const struct cn_shape *input_shape);

/* What was done to one picture. */
struct cn_preprocessing_report {
    bool unchanged;  /* the pixels went through untouched */
    bool inverted;   /* the picture was dark on light */
    bool uneven;     /* its page was unevenly lit, and has been evened */
    bool sheet;      /* it also showed what its page lies on, and that has been left out */
    int crop[4];     /* where the ink is: x, y, width, height in the picture */
    float scale;     /* target pixels per picture pixel */
    float thickened; /* picture pixels by which thin strokes were widened, thick narrowed (< 0) */
};

/* Turns a picture into one image [input_shape] of floats in [0, 1].
 * A picture of exactly the input's size, grey, opaque, with a dark background passes through
 * untouched: the result equals cn_image_from_bytes of its samples, to the bit.
 * ret_report may be NULL. CN_UNUSABLE: a blank picture; CN_MEMORY. */
enum cn_status cn_preprocess(const struct cn_preprocessing *preprocessing,
                             const struct cn_picture *picture, const struct cn_shape *input_shape,
                             float *ret_image, struct cn_preprocessing_report *ret_report,
                             struct cn_error *error);

/* Raw samples, 0 background to 255 ink, to floats: value / 255. count = number of samples. */
void cn_image_from_bytes(const uint8_t *bytes, size_t count, float *ret_image);

/* How a picture becomes an image: as a person's picture, or as the samples it holds. */
enum cn_picture_mode {
    CN_PICTURE_AUTO = 0, /* cn_preprocess */
    CN_PICTURE_NONE      /* cn_image_from_picture */
};
extern const char *const cn_picture_mode_names[]; /* "auto", "none", NULL */

/* The picture's samples as they are, as cn_image_from_bytes takes them. It must have exactly the
 * input's width and height and be opaque, and grey where the input has one channel; for three, grey
 * will do too. CN_UNUSABLE names what it is and what it must be; CN_UNSUPPORTED: the input takes no
 * pictures. */
enum cn_status cn_image_from_picture(const struct cn_picture *picture,
                                     const struct cn_shape *input_shape, float *ret_image,
                                     struct cn_error *error);

/* A PNG's bytes to an image [input_shape], by `mode`: cn_png_decode and what the mode names.
 * ret_report may be NULL. Errors as theirs. */
enum cn_status cn_image_from_png(enum cn_picture_mode mode,
                                 const struct cn_preprocessing *preprocessing,
                                 const struct cn_picture_limits *limits, const void *bytes,
                                 size_t length, const struct cn_shape *input_shape,
                                 float *ret_image, struct cn_preprocessing_report *ret_report,
                                 struct cn_error *error);

/* What a network saw, as a PNG: an image [input_shape] of 1 or 3 channels in [0, 1], rounded to 256
 * levels. Caller frees *ret_bytes with free(). */
enum cn_status cn_image_to_png(const float *image, const struct cn_shape *input_shape,
                               void **ret_bytes, size_t *ret_length, struct cn_error *error);

#endif
