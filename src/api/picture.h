/* picture.h: pictures of a request, for every route that takes them: the options in the query, the
 * network's input, and the report of the preprocessing. */
#ifndef CONVNET_API_PICTURE_H
#define CONVNET_API_PICTURE_H

#include "http/exchange.h"
#include "json/write.h"

/* A client's options for its pictures. All zero: the defaults. */
struct picture_options {
    enum cn_picture_mode mode; /* ?preprocess=auto|none */
    bool return_image;         /* ?image=png: the answer contains the image that the network saw */
};

/* The source of one image, and the preprocessing's report. */
struct picture_report {
    bool is_picture; /* raw images and numbers have no report */
    struct cn_preprocessing_report done;
};

/* Reads the query's options. CN_INVALID names the bad value and the allowed ones. */
enum cn_status picture_options_read(const struct http_exchange *exchange,
                                    struct picture_options *ret_options, struct cn_error *error);

/* The pixels for which the picture's decoder will have to work, by its header: 0 for one that it
 * refuses at once. Decodes nothing. */
size_t picture_pixels(const void *bytes, size_t length, const struct cn_picture_limits *limits);

/* The most pixels that the pictures of a request may have together, if its body has `sent` bytes
 * before decompression. A model can use a certain number of pixels, which is always allowed. Beyond
 * it the allowance grows with the bytes, at the rate of a black-and-white PNG: pictures that are
 * compressed more (twice, for example) do not buy more decoding time per byte sent. */
size_t picture_allowance(const struct cn_model *model, size_t sent);

/* Decodes and preprocesses a picture into ret_image [the model's input shape]; ret_report may be
 * NULL. Errors as cn_image_decode's; a blank picture is CN_UNUSABLE, which http_reply_failure
 * answers with 422. */
enum cn_status picture_read(const struct cn_model *model, const struct cn_picture_limits *limits,
                            const struct picture_options *options, const void *bytes, size_t length,
                            float *ret_image, struct picture_report *ret_report,
                            struct cn_error *error);

/* Appends `,"preprocessing":{...}` for a picture, and `,"image":"<base64 PNG>"` if the client asked
 * for it, to a JSON object that already has a member. */
void picture_render(struct cn_text *text, const struct picture_options *options,
                    const struct picture_report *report, const struct cn_model *model,
                    const float *image);

#endif
