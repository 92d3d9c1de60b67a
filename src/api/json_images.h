/* json_images.h: one image in JSON, in the form that every protocol accepts: numbers, nested or
 * not, or a base64 string. Each protocol chooses its keys and what its numbers mean. */
#ifndef CONVNET_API_JSON_IMAGES_H
#define CONVNET_API_JSON_IMAGES_H

#include "api/predict.h"
#include "json/scan.h"

enum { JSON_TENSOR_RANK = 8 };

/* Numbers in nested lists. All numbers are at one depth, and lists of one depth have one length. */
struct json_tensor {
    float *values; /* the first `room` numbers */
    size_t room, count;
    size_t rank, most_rank; /* most_rank is at most JSON_TENSOR_RANK */
    int64_t dims[JSON_TENSOR_RANK];
    bool uneven; /* set when lists differ in depth or length, or are too deep */
};

/* Reads a tensor after its '['. `tensor` is zeroed except for values, room and most_rank. */
enum cn_status json_tensor_read(struct json_scan *scan, struct json_tensor *tensor);

/* Adds one image of numbers, after its '['. Its lists have the model's shape, with or without a
 * single channel, or it is one flat list. The numbers are stored as they are written;
 * json_image_scale changes their range. */
enum cn_status json_image_read(struct json_scan *scan, struct prediction *prediction);

/* Scales the image's numbers, from 0 to `range` (1 or 255), to the network's input. Range 0 means
 * 255 if a number is above 1, else 1. With `whole`, numbers up to 255 must be whole. */
enum cn_status json_image_scale(struct prediction *prediction, size_t image, float range,
                                bool whole, struct cn_error *error);

/* Adds the picture, or the raw image, that a base64 string encodes. */
enum cn_status json_picture_read(struct json_scan *scan, struct prediction *prediction);

#endif
