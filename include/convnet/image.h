/* image.h: decodes pictures and turns them into a network's input: the one preprocessing path. */
#ifndef CONVNET_IMAGE_H
#define CONVNET_IMAGE_H

#include <stdint.h>

#include "convnet/shape.h"

CN_DECLARATIONS_BEGIN

/* A decoded picture: 8 bits per sample, row-major, no row padding. channels: 1 grey, 2 grey +
 * alpha, 3 RGB, 4 RGBA. `data` is freed by cn_picture_clear. */
struct cn_picture {
    int width, height, channels;
    uint8_t *data; /* [height, width, channels] */
    double gamma;  /* as stored in the file, 0.45 for sRGB's; 0: not given */
    /* For a picture that was reduced while it was decoded: pixels of the file per side of one of
     * its own (0 counts as 1), and the file's size after EXIF's orientation; 0: not reduced. */
    int reduction, full_width, full_height;
};

/* The limits of a decoder. A 0 stands for the value in cn_picture_default_limits. */
struct cn_picture_limits {
    int max_width,
        max_height;    /* their product limits the pixels; one side may be four times as long */
    size_t max_pixels; /* of this picture, for example by what its sender sent; 0: no such limit */
    size_t max_memory; /* bytes that a decoder may use besides its result */
    int side; /* larger pictures are reduced while they are decoded, by a whole factor, so that no
                 side is longer; 0: never */
    bool (*stop)(void *context); /* called between rows: true ends the decoding; may be NULL */
    void *context;
};
extern const struct cn_picture_limits cn_picture_default_limits; /* 4096 x 4096, 96 MiB, no stop */

/* Decodes a picture of any format that this build has, recognised by its bytes. Samples are reduced
 * to 8 bits, palettes are expanded, EXIF's orientation is applied, and the first frame of an
 * animation is taken; a gamma is reported but not applied. Caller frees with cn_picture_clear.
 * CN_UNSUPPORTED: a picture of another format, which the text names with advice; CN_MALFORMED: not
 * a picture, truncated, corrupt, a bad checksum, or more compressed data than the picture can need
 * (a decompression bomb); CN_LIMIT: larger than `limits`; CN_CANCELED: `stop` returned true;
 * CN_MEMORY. */
enum cn_status cn_picture_decode(const void *bytes, size_t length,
                                 const struct cn_picture_limits *limits,
                                 struct cn_picture *ret_picture, struct cn_error *error);

/* The format of the bytes by their beginning, for example "JPEG", if this build decodes it, else
 * NULL. */
const char *cn_picture_format(const void *bytes, size_t length);

/* True if the bytes begin like a picture, or a document that is shown as one, whether it can be
 * decoded here or not. */
bool cn_picture_recognize(const void *bytes, size_t length);

/* The formats that this build decodes, "PNG, JPEG, ...", for messages. */
const char *cn_picture_formats(void);

/* Decodes a PNG like cn_picture_decode, and no other format. */
enum cn_status cn_png_decode(const void *bytes, size_t length,
                             const struct cn_picture_limits *limits, struct cn_picture *ret_picture,
                             struct cn_error *error);

/* Encodes 8-bit grey or RGB pixels [height, width, channels] as a PNG in a malloc'd block that the
 * caller frees with free(). For tests, exports and the web page. */
enum cn_status cn_png_encode(const uint8_t *pixels, int width, int height, int channels,
                             void **ret_bytes, size_t *ret_length, struct cn_error *error);

void cn_picture_clear(struct cn_picture *picture);

/* ---- Preprocessing ---- */

/* The model file has these parameters as the JSON object "preprocessing". */
enum cn_fit {
    CN_FIT_MNIST = 0, /* a handwritten digit: only the ink, scaled to `box` and centred */
    CN_FIT_STRETCH,   /* the whole picture, scaled to the input without keeping its aspect */
    CN_FIT_CROP,      /* the largest middle part that has the input's aspect */
    CN_FIT_PAD        /* the whole picture with its aspect, centred on black */
};
extern const char *const cn_fit_names[]; /* "mnist", "stretch", "crop", "pad", NULL */

/* The meaning of the network's channels. */
enum cn_channels { CN_CHANNELS_GREY = 0, CN_CHANNELS_RGB, CN_CHANNELS_BGR };
extern const char *const cn_channels_names[]; /* "grey", "rgb", "bgr", NULL */

/* The interpolation that scales a picture. The results are those of PIL (Pillow), within 1 of 255.
 */
enum cn_interpolation {
    CN_INTERPOLATION_AREA = 0, /* PIL's BOX where the picture shrinks, BILINEAR where it grows */
    CN_INTERPOLATION_NEAREST,
    CN_INTERPOLATION_BILINEAR, /* over the area that a pixel covers where it shrinks, as */
    CN_INTERPOLATION_BICUBIC   /* BICUBIC is */
};
extern const char *const cn_interpolation_names[]; /* "area", "nearest", "bilinear", "bicubic" */

enum { CN_CHANNELS_MOST = 3, CN_PREPROCESSING_TEXT = 320 };

/* A sample s from 0 to 255 of channel c becomes (s / scale - mean[c]) / std[c]. */
struct cn_preprocessing {
    enum cn_fit fit;
    int box;     /* mnist: length of the ink's longer side in pixels, 20 for MNIST's 28x28 */
    bool invert; /* mnist: light backgrounds are inverted to MNIST's polarity, ink 255 on 0 */
    enum cn_channels channels;
    enum cn_interpolation interpolation;                 /* not for mnist, which has its own */
    float scale;                                         /* default: 255 */
    float mean[CN_CHANNELS_MOST], std[CN_CHANNELS_MOST]; /* defaults: 0 and 1 */
};

/* The default for any network: the whole picture stretched, samples from 0 to 1, grey for one
 * channel and RGB for three. */
struct cn_preprocessing cn_preprocessing_default(const struct cn_shape *input_shape);

/* The default for digits: the fit of MNIST's makers, box = 20/28 of the smaller side. */
struct cn_preprocessing cn_preprocessing_digits(const struct cn_shape *input_shape);

/* Sets one parameter by its name in the model file. The numbers of a list have colons between them:
 * "mean", "0.485:0.456:0.406"; one number applies to all channels. CN_INVALID names the value and
 * the rule. */
enum cn_status cn_preprocessing_set(struct cn_preprocessing *preprocessing, const char *name,
                                    const char *value, struct cn_error *error);

/* THE parser of every option --preprocessing:
 * "fit=crop,channels=rgb,scale=255,mean=0.485:0.456:0.406,std=0.229:0.224:0.225". Changes the named
 * parameters (fit=mnist also sets box and invert as for digits) and checks the result for this
 * input; *preprocessing is unchanged after a failure. CN_INVALID. */
enum cn_status cn_preprocessing_parse(const char *text, const struct cn_shape *input_shape,
                                      struct cn_preprocessing *preprocessing,
                                      struct cn_error *error);

/* Writes the parameters that differ from the defaults of their fit in that form; returns `text`. */
const char *cn_preprocessing_format(const struct cn_preprocessing *preprocessing,
                                    char text[CN_PREPROCESSING_TEXT]);

/* CN_INVALID unless cn_preprocess can use the parameters for this input. */
enum cn_status cn_preprocessing_check(const struct cn_preprocessing *preprocessing,
                                      const struct cn_shape *input_shape, struct cn_error *error);

/* Normalises images [count, input_shape] in place: samples over 255 (RGB where there are three
 * channels), as datasets and cn_image_from_bytes give them, become the network's input by scale,
 * mean, std and the order of channels. Default parameters change nothing. */
void cn_preprocessing_normalize(const struct cn_preprocessing *preprocessing,
                                const struct cn_shape *input_shape, size_t count, float *images);

/* The same fit without normalisation: samples over 255, in RGB order. */
struct cn_preprocessing
cn_preprocessing_without_normalization(const struct cn_preprocessing *preprocessing);

/* The steps that the preprocessing of one picture has taken. */
struct cn_preprocessing_report {
    bool unchanged;  /* the pixels are the file's */
    bool inverted;   /* the picture was dark on light and was inverted */
    bool uneven;     /* the page was unevenly lit, which was removed */
    bool sheet;      /* the surroundings of the page were cut off */
    int crop[4];     /* the ink's rectangle in the picture: x, y, width, height */
    float scale;     /* target pixels per picture pixel */
    float thickened; /* picture pixels by which thin strokes were widened; negative: narrowed */
    int others;      /* mnist: other parts of the picture that are as large as a digit */
};

/* Turns a picture into one image [input_shape] as the network needs it. With fit mnist a picture
 * that already has the form of MNIST's images is not changed: its samples are used to the bit.
 * ret_report may be NULL. CN_UNUSABLE: a blank picture; CN_MEMORY. */
enum cn_status cn_preprocess(const struct cn_preprocessing *preprocessing,
                             const struct cn_picture *picture, const struct cn_shape *input_shape,
                             float *ret_image, struct cn_preprocessing_report *ret_report,
                             struct cn_error *error);

/* Converts raw samples, 0 background to 255 ink, to floats: value / 255. count = number of samples.
 */
void cn_image_from_bytes(const uint8_t *bytes, size_t count, float *ret_image);

/* The conversion of a picture to an image: by the preprocessing, or from its samples unchanged. */
enum cn_picture_mode {
    CN_PICTURE_AUTO = 0, /* cn_preprocess */
    CN_PICTURE_NONE      /* cn_image_from_picture */
};
extern const char *const cn_picture_mode_names[]; /* "auto", "none", NULL */

/* Uses the picture's samples as they are, only normalised. The picture must have exactly the
 * input's width and height and be opaque. For one channel it must be grey; for three it may be.
 * CN_UNUSABLE says what it is and what it must be; CN_UNSUPPORTED: the input takes no pictures. */
enum cn_status cn_image_from_picture(const struct cn_preprocessing *preprocessing,
                                     const struct cn_picture *picture,
                                     const struct cn_shape *input_shape, float *ret_image,
                                     struct cn_error *error);

/* Makes an image [input_shape] of a picture's bytes by `mode`: decodes with cn_picture_decode,
 * reduced as far as the preprocessing allows unless limits->side says otherwise. ret_report may be
 * NULL. Errors as those of the functions that `mode` names. */
enum cn_status cn_image_decode(enum cn_picture_mode mode,
                               const struct cn_preprocessing *preprocessing,
                               const struct cn_picture_limits *limits, const void *bytes,
                               size_t length, const struct cn_shape *input_shape, float *ret_image,
                               struct cn_preprocessing_report *ret_report, struct cn_error *error);

/* Writes what a network saw as a PNG: an image [input_shape] of 1 or 3 channels with the
 * normalisation undone, rounded to 256 levels. Caller frees *ret_bytes with free(). */
enum cn_status cn_image_to_png(const struct cn_preprocessing *preprocessing, const float *image,
                               const struct cn_shape *input_shape, void **ret_bytes,
                               size_t *ret_length, struct cn_error *error);

CN_DECLARATIONS_END

#endif
