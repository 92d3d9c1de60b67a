/* pooling.h: maxima and means over windows of one image, NHWC. The forward pass is in kernels.h. */
#ifndef CONVNET_KERNELS_POOLING_H
#define CONVNET_KERNELS_POOLING_H

/* The window may extend beyond the image by pad_*; pixels outside count neither for the maximum nor
 * for the mean (as in TensorFlow). */
struct cn_pooling {
    int in_height, in_width, channels;
    int out_height, out_width;
    int pool_height, pool_width;
    int row_stride, column_stride;
    int pad_top, pad_left;
};

/* Overwrites dx[in_height, in_width, channels]. The maximum's gradient is in backward.h. */
void cn_average_pooling_backward(float *dx, const float *dy, const struct cn_pooling *shape);

#endif
