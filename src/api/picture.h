/* picture.h: a picture of a request's, for every route that takes one: the query's options, the
 * image, what was done, and the image back. */
#ifndef CONVNET_API_PICTURE_H
#define CONVNET_API_PICTURE_H

#include "http/exchange.h"
#include "json/write.h"

/* What a client may ask of its pictures. Zero-initialised: the defaults. */
struct picture_options {
    enum cn_picture_mode mode; /* ?preprocess=auto|none */
    bool return_image;         /* ?image=png: the answer holds the image that the network saw */
};

/* One image and where it came from. */
struct picture_report {
    bool is_picture; /* raw images and numbers have no report */
    struct cn_preprocessing_report done;
};

/* The query's options; CN_INVALID names a value and those that there are. */
enum cn_status picture_options_read(const struct http_exchange *exchange,
                                    struct picture_options *ret_options, struct cn_error *error);

/* Pixels of the picture as a PNG's or JPEG's header says, of other formats about as many as so many
 * bytes hold; at most as many as a picture may have. Nothing is decoded. */
size_t picture_pixels(const void *bytes, size_t length, const struct cn_picture_limits *limits);

/* A picture's bytes to the model's input: ret_image [the model's input shape]; ret_report may be
 * NULL. Errors as cn_image_decode's; a blank picture is CN_UNUSABLE, which http_reply_failure
 * answers with 422. */
enum cn_status picture_read(const struct cn_model *model, const struct cn_picture_limits *limits,
                            const struct picture_options *options, const void *bytes, size_t length,
                            float *ret_image, struct picture_report *ret_report,
                            struct cn_error *error);

/* Appends `,"preprocessing":{...}` for a picture and `,"image":"<base64 PNG>"` if it was asked for:
 * members of a JSON object that already has one. */
void picture_render(struct cn_text *text, const struct picture_options *options,
                    const struct picture_report *report, const struct cn_model *model,
                    const float *image);

#endif
