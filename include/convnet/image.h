/* image.h: from a picture's bytes to the floats that a network sees: the one preprocessing path. */
#ifndef CONVNET_IMAGE_H
#define CONVNET_IMAGE_H

#include <stdint.h>

#include "convnet/shape.h"

CN_DECLARATIONS_BEGIN

/* A decoded picture: 8 bits a sample, row-major, no row padding. channels: 1 grey, 2 grey + alpha,
 * 3 RGB, 4 RGBA. `data` is freed by cn_picture_clear. */
struct cn_picture {
    int width, height, channels;
    uint8_t *data; /* [height, width, channels] */
    double gamma;  /* what the file says of its samples, 0.45 for sRGB's; 0: nothing */
    /* A picture that was reduced while it was decoded: pixels of the file a side of one of its own
     * (0 counts as 1), and the file's size, turned upright; 0: it is as it was. */
    int reduction, full_width, full_height;
};

/* What a decoder may spend on a picture. 0 stands for what cn_picture_default_limits has. */
struct cn_picture_limits {
    int max_width,
        max_height;    /* their product limits the pixels; a side may be four times as long */
    size_t max_memory; /* bytes that a decoder may need besides its result */
    int side; /* larger pictures are reduced, while they are decoded, by a whole factor so that no
               * side is longer; 0: never */
    bool (*stop)(void *context); /* looked at between rows: true ends the decoding; may be NULL */
    void *context;
};
extern const struct cn_picture_limits cn_picture_default_limits; /* 4096 x 4096, 96 MiB, no stop */

/* Decodes a picture of any format that this build has; the bytes say which. Samples are reduced to
 * 8 bits, palettes expanded, EXIF's orientation is applied, of an animation the first frame is
 * taken; a gamma is reported and not applied. Caller frees with cn_picture_clear. CN_UNSUPPORTED: a
 * picture of another format, which the text names with what to do; CN_MALFORMED: no picture,
 * truncated, corrupt, bad checksum, or more compressed data than the picture can need (a
 * decompression bomb); CN_LIMIT: larger than `limits`; CN_CANCELED: `stop` said so; CN_MEMORY. */
enum cn_status cn_picture_decode(const void *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error);

/* The format that the bytes begin as, "JPEG", if this build decodes it, else NULL. */
const char *cn_picture_format(const void *bytes, size_t length);

/* True if the bytes begin as a picture or a document that is shown as one, decoded here or not. */
bool cn_picture_recognize(const void *bytes, size_t length);

/* The formats that this build decodes, "PNG, JPEG, ...": for messages. */
const char *cn_picture_formats(void);

/* Decodes a PNG: cn_picture_decode for that format alone. */
enum cn_status cn_png_decode(const void *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error);

/* Encodes 8-bit grey or RGB pixels [height, width, channels] as a PNG into a malloc'd block that
 * the caller frees with free(). For tests, exports and pages. */
enum cn_status cn_png_encode(const uint8_t *pixels, int width, int height, int channels,
                             void **ret_bytes, size_t *ret_length, struct cn_error *error);

void cn_picture_clear(struct cn_picture *picture);

/* ---- Preprocessing ---- */

/* Its parameters live in the model file, as the JSON object "preprocessing". */
enum cn_fit {
    CN_FIT_MNIST = 0, /* read as a handwritten digit: the ink alone, scaled to `box`, centred */
    CN_FIT_STRETCH,   /* the whole picture scaled to the input, whatever its aspect */
    CN_FIT_CROP,      /* its largest middle part of the input's aspect */
    CN_FIT_PAD        /* the whole picture, its aspect kept, in the middle of black */
};
extern const char *const cn_fit_names[]; /* "mnist", "stretch", "crop", "pad", NULL */

/* What the network's channels are. */
enum cn_channels { CN_CHANNELS_GREY = 0, CN_CHANNELS_RGB, CN_CHANNELS_BGR };
extern const char *const cn_channels_names[]; /* "grey", "rgb", "bgr", NULL */

/* How a picture is scaled; each is what PIL (Pillow) makes of it, within 1 of 255. */
enum cn_interpolation {
    CN_INTERPOLATION_AREA = 0, /* PIL's BOX where it shrinks, BILINEAR where it grows */
    CN_INTERPOLATION_NEAREST,
    CN_INTERPOLATION_BILINEAR, /* over the area that a pixel covers where it shrinks, as */
    CN_INTERPOLATION_BICUBIC   /* BICUBIC is */
};
extern const char *const cn_interpolation_names[]; /* "area", "nearest", "bilinear", "bicubic" */

enum { CN_CHANNELS_MOST = 3, CN_PREPROCESSING_TEXT = 320 };

/* A sample s from 0 to 255 of channel c becomes (s / scale - mean[c]) / std[c]. */
struct cn_preprocessing {
    enum cn_fit fit;
    int box;     /* mnist: pixels of the longer side of the ink, 20 for MNIST's 28x28 */
    bool invert; /* mnist: light backgrounds are turned into MNIST's polarity, ink 255 on 0 */
    enum cn_channels channels;
    enum cn_interpolation interpolation;                 /* not of mnist, which has its own */
    float scale;                                         /* 255 */
    float mean[CN_CHANNELS_MOST], std[CN_CHANNELS_MOST]; /* 0 and 1 */
};

/* For a network that nothing is known of: the whole picture stretched, samples from 0 to 1; grey
 * for one channel, RGB for three. */
struct cn_preprocessing cn_preprocessing_default(const struct cn_shape *input_shape);

/* For a reader of digits: what MNIST's makers did, box = 20/28 of the smaller side. */
struct cn_preprocessing cn_preprocessing_digits(const struct cn_shape *input_shape);

/* Sets one parameter by its name in the model file; a list is written with colons:
 * "mean", "0.485:0.456:0.406"; one number counts for all channels. CN_INVALID names the value and
 * the rule. */
enum cn_status cn_preprocessing_set(struct cn_preprocessing *preprocessing, const char *name,
                                    const char *value, struct cn_error *error);

/* THE parser of what people write, for every option --preprocessing:
 * "fit=crop,channels=rgb,scale=255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225". Changes what the
 * text names (fit=mnist also sets box and invert as for digits) and checks the result for this
 * input; *preprocessing is untouched on failure. CN_INVALID. */
enum cn_status cn_preprocessing_parse(const char *text, const struct cn_shape *input_shape,
                                      struct cn_preprocessing *preprocessing,
                                      struct cn_error *error);

/* The same text of all that is not the default for its fit; returns `text`. */
const char *cn_preprocessing_format(const struct cn_preprocessing *preprocessing,
                                    char text[CN_PREPROCESSING_TEXT]);

/* CN_INVALID unless cn_preprocess can use the parameters for this input. */
enum cn_status cn_preprocessing_check(const struct cn_preprocessing *preprocessing,
                                      const struct cn_shape *input_shape, struct cn_error *error);

/* Images [count, input_shape] of samples over 255 (RGB where there are three channels), as datasets
 * and cn_image_from_bytes give them, become the network's input: scale, mean, std and the order of
 * channels. In place; where those are the defaults it changes nothing. */
void cn_preprocessing_normalize(const struct cn_preprocessing *preprocessing,
                                const struct cn_shape *input_shape, size_t count, float *images);

/* The same fit without the normalisation: samples over 255, in RGB order. */
struct cn_preprocessing
cn_preprocessing_without_normalization(const struct cn_preprocessing *preprocessing);

/* What was done to one picture. */
struct cn_preprocessing_report {
    bool unchanged;  /* the pixels went through untouched */
    bool inverted;   /* the picture was dark on light */
    bool uneven;     /* its page was unevenly lit, and has been evened */
    bool sheet;      /* it also showed what its page lies on, and that has been left out */
    int crop[4];     /* where the ink is: x, y, width, height in the picture */
    float scale;     /* target pixels per picture pixel */
    float thickened; /* picture pixels by which thin strokes were widened, thick narrowed (< 0) */
    int others;      /* mnist: parts of the picture as large as a digit that are not this one */
};

/* Turns a picture into one image [input_shape], as the network takes it.
 * With fit mnist a picture that already is what MNIST's makers made passes untouched: its samples
 * are taken to the bit. ret_report may be NULL. CN_UNUSABLE: a blank picture; CN_MEMORY. */
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

/* The picture's samples as they are, normalised alone. It must have exactly the
 * input's width and height and be opaque, and grey where the input has one channel; for three, grey
 * will do too. CN_UNUSABLE names what it is and what it must be; CN_UNSUPPORTED: the input takes no
 * pictures. */
enum cn_status cn_image_from_picture(const struct cn_preprocessing *preprocessing,
                                     const struct cn_picture *picture,
                                     const struct cn_shape *input_shape, float *ret_image,
                                     struct cn_error *error);

/* A picture's bytes to an image [input_shape], by `mode`: cn_picture_decode, reduced as far as the
 * preprocessing allows unless limits->side says otherwise, and what the mode names.
 * ret_report may be NULL. Errors as theirs. */
enum cn_status cn_image_decode(enum cn_picture_mode mode,
                               const struct cn_preprocessing *preprocessing,
                               const struct cn_picture_limits *limits, const void *bytes,
                               size_t length, const struct cn_shape *input_shape, float *ret_image,
                               struct cn_preprocessing_report *ret_report, struct cn_error *error);

/* What a network saw, as a PNG: an image [input_shape] of 1 or 3 channels, its normalisation
 * undone, rounded to 256 levels. Caller frees *ret_bytes with free(). */
enum cn_status cn_image_to_png(const struct cn_preprocessing *preprocessing, const float *image,
                               const struct cn_shape *input_shape, void **ret_bytes,
                               size_t *ret_length, struct cn_error *error);

CN_DECLARATIONS_END

#endif
