/* conv2d.h: the geometry of a convolution, shared by its kernels. */
#ifndef CONVNET_KERNELS_CONV2D_H
#define CONVNET_KERNELS_CONV2D_H

#include <stdbool.h>
#include <stddef.h>

/* One image, NHWC, already padded: in_* are the sizes of the padded input, and windows do not reach
 * beyond it, unless there is a border. */
struct cn_conv2d {
    int in_height, in_width, in_channels;
    int out_height, out_width, out_channels;
    int kernel_height, kernel_width;
    int row_stride, column_stride;
    int row_dilation, column_dilation; /* pixels between two taps of the window; 0 is 1 */
    int groups;    /* of in and out channels, each of which is a convolution of its own; 0 means
                    * 1 */
    int channels;  /* the first of out_channels that are computed, if there is one group; 0: all */
    float ceiling; /* upper limit of the outputs, after ReLU; 0: no limit */
    /* Rows and columns of zeros before the input that are not stored: windows may then reach past
     * all four sides, where their products are left out. Negative: the input begins with rows that
     * no window reads. Only for floats, and shapes that cn_conv2d_takes_border. */
    int border_top, border_left;
};

/* The output channels to compute, of all groups. */
static inline int cn_conv2d_channels(const struct cn_conv2d *shape) {
    return shape->channels > 0 ? shape->channels : shape->out_channels;
}

/* Each channel has a window of its own and gives one output channel. */
static inline bool cn_conv2d_is_depthwise(const struct cn_conv2d *shape) {
    return shape->groups > 1 && shape->groups == shape->in_channels &&
           shape->in_channels == shape->out_channels;
}

/* Its windows slide: neighbouring outputs share the columns that are loaded. */
static inline bool cn_conv2d_takes_border(const struct cn_conv2d *shape) {
    return cn_conv2d_is_depthwise(shape) && shape->column_dilation <= 1 &&
           shape->column_stride <= 2 && (shape->kernel_width == 3 || shape->kernel_width == 5);
}

#endif
