/* json_images.h: an image in JSON, as every protocol takes it: numbers, nested or not, or a string
 * of base64. A protocol names its keys and says what its numbers mean.
 */
#ifndef CONVNET_API_JSON_IMAGES_H
#define CONVNET_API_JSON_IMAGES_H

#include "api/predict.h"
#include "json/scan.h"

enum { JSON_TENSOR_RANK = 8 };

/* Numbers in lists of lists: all at one depth, lists of one depth equally long. */
struct json_tensor {
    float *values; /* the first `room` numbers */
    size_t room, count;
    size_t rank, most_rank; /* most_rank is at most JSON_TENSOR_RANK */
    int64_t dims[JSON_TENSOR_RANK];
    bool uneven; /* why it failed: another depth or length than before, or too deep */
};

/* Reads the tensor behind its '['; zero but for values, room and most_rank. */
enum cn_status json_tensor_read(struct json_scan *scan, struct json_tensor *tensor);

/* Adds one image of numbers, behind its '[': of the model's shape, without or with the channels
 * where there is one, or a flat list. Its numbers are as they were written: see json_image_scale.
 */
enum cn_status json_image_read(struct json_scan *scan, struct prediction *prediction);

/* Makes the image's numbers the network's input: samples from 0 to `range` (1 or 255), or if that
 * is 0 to 255 where one is above 1; `whole`: those up to 255 are whole numbers. */
enum cn_status json_image_scale(struct prediction *prediction, size_t image, float range,
                                bool whole, struct cn_error *error);

/* Adds the picture, or the raw image, of a base64 string. */
enum cn_status json_picture_read(struct json_scan *scan, struct prediction *prediction);

#endif
