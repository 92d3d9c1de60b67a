/* digit.h: brings a picture of a handwritten digit into MNIST's form. */
#ifndef CONVNET_IMAGE_DIGIT_H
#define CONVNET_IMAGE_DIGIT_H

#include "convnet/image.h"

/* The fit `mnist`: writes `image` [shape, one channel] as levels from 0 to 1, not normalised;
 * *report says what was done. The arguments have been checked. CN_UNUSABLE: a blank picture;
 * CN_MEMORY. */
enum cn_status cn_digit_fit(const struct cn_preprocessing *preprocessing,
                            const struct cn_picture *picture, const struct cn_shape *shape,
                            float *image, struct cn_preprocessing_report *report,
                            struct cn_error *error);

#endif
