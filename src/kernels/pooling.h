/* pooling.h: maxima and means over windows of one image, NHWC. The forward pass is in kernels.h. */
#ifndef CONVNET_KERNELS_POOLING_H
#define CONVNET_KERNELS_POOLING_H

#include <stddef.h>

/* The window may extend beyond the image by pad_*; pixels outside count neither for the maximum nor
 * for the mean (as in TensorFlow). */
struct cn_pooling {
    int in_height, in_width, channels;
    int out_height, out_width;
    int pool_height, pool_width;
    int row_stride, column_stride;
    int pad_top, pad_left;
};

/* Overwrites dx[in_height, in_width, channels]. backward.h has the gradient of the maximum. */
void cn_average_pooling_backward(float *dx, const float *dy, const struct cn_pooling *shape);

/* ---- For the kernels that visit the pixels of a window ---- */

/* The part of a window inside the image: rows [top, bottom), columns [left, right). */
struct cn_pooling_window {
    int top, bottom, left, right;
};

/* The window of output (i, j). */
static inline struct cn_pooling_window cn_pooling_window_at(const struct cn_pooling *shape, int i,
                                                            int j) {
    struct cn_pooling_window window = {i * shape->row_stride - shape->pad_top, 0,
                                       j * shape->column_stride - shape->pad_left, 0};
    window.bottom = window.top + shape->pool_height;
    window.right = window.left + shape->pool_width;
    if (window.top < 0)
        window.top = 0;
    if (window.left < 0)
        window.left = 0;
    if (window.bottom > shape->in_height)
        window.bottom = shape->in_height;
    if (window.right > shape->in_width)
        window.right = shape->in_width;
    return window;
}

/* The offset in floats of input pixel (i, j). */
static inline size_t cn_pooling_offset(const struct cn_pooling *shape, int i, int j) {
    return ((size_t)i * (size_t)shape->in_width + (size_t)j) * (size_t)shape->channels;
}

#endif
