/* pooling.h: maxima and means over windows of one image, NHWC; forward: kernels.h. */
#ifndef CONVNET_KERNELS_POOLING_H
#define CONVNET_KERNELS_POOLING_H

/* The window may leave the image at pad_*: what is outside takes no part, neither in the maximum
 * nor in the mean's count (as TensorFlow does). */
struct cn_pooling {
    int in_height, in_width, channels;
    int out_height, out_width;
    int pool_height, pool_width;
    int row_stride, column_stride;
    int pad_top, pad_left;
};

/* dx[in_height, in_width, channels], overwritten. The maximum's: backward.h. */
void cn_average_pooling_backward(float *dx, const float *dy, const struct cn_pooling *shape);

#endif
