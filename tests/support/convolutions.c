/* convolutions.c: see convolutions.h. No state. */
#include "support/convolutions.h"

#include <string.h>

#include "base/memory.h"
#include "kernels/kernels.h"

/* kernel, stride, in_channels, out_channels, height, width: odd and even sizes, one and many
 * channels. */
static const int sweep[][8] = {
    {1, 1, 1, 1, 1, 1, 1, 1},    {1, 1, 1, 1, 1, 10, 1, 1},    {4, 4, 1, 1, 1, 32, 28, 28},
    {4, 4, 4, 4, 1, 32, 28, 28}, {3, 3, 1, 1, 32, 32, 12, 12}, {3, 3, 3, 3, 32, 32, 3, 3},
    {3, 3, 1, 1, 3, 5, 7, 9},    {3, 2, 2, 1, 3, 17, 9, 8},    {5, 5, 1, 2, 2, 33, 11, 13},
    {1, 1, 2, 2, 7, 15, 6, 5},   {2, 3, 1, 1, 4, 16, 5, 14},   {3, 3, 1, 1, 16, 64, 4, 16},
    {1, 1, 1, 1, 800, 10, 1, 1}, {1, 7, 1, 1, 5, 48, 1, 20},   {1, 1, 1, 1, 40, 24, 1, 23},
    {3, 3, 2, 2, 8, 16, 7, 13},  {3, 3, 1, 1, 2, 32, 4, 13},   {1, 1, 1, 1, 6, 33, 1, 25},
    {2, 2, 1, 1, 1, 70, 3, 3},   {3, 3, 1, 1, 8, 16, 27, 27},
};

bool test_convolution_at(size_t index, struct cn_conv2d *ret_shape) {
    if (index >= sizeof sweep / sizeof *sweep)
        return false;
    const int *s = sweep[index];
    *ret_shape = (struct cn_conv2d){.in_height = s[6],
                                    .in_width = s[7],
                                    .in_channels = s[4],
                                    .out_height = (s[6] - s[0]) / s[2] + 1,
                                    .out_width = (s[7] - s[1]) / s[3] + 1,
                                    .out_channels = s[5],
                                    .kernel_height = s[0],
                                    .kernel_width = s[1],
                                    .row_stride = s[2],
                                    .column_stride = s[3]};
    return true;
}

struct cn_conv2d test_convolution_by_chance(struct cn_random *random) {
    struct cn_conv2d s = {0};
    do {
        s.groups = cn_random_below(random, 3) == 0 ? 1 + (int)cn_random_below(random, 4) : 1;
        s.in_channels = s.groups * (1 + (int)cn_random_below(random, 70 / (unsigned)s.groups));
        s.out_channels = s.groups * (1 + (int)cn_random_below(random, 70 / (unsigned)s.groups));
        if (cn_random_below(random, 4) == 0) /* depthwise */
            s.groups = s.out_channels = s.in_channels;
        s.in_height = 1 + (int)cn_random_below(random, 14);
        s.in_width = 1 + (int)cn_random_below(random, 40);
        s.kernel_height = 1 + (int)cn_random_below(random, 4);
        s.kernel_width = 1 + (int)cn_random_below(random, 4);
        s.row_stride = 1 + (int)cn_random_below(random, 3);
        s.column_stride = 1 + (int)cn_random_below(random, 3);
        s.row_dilation = 1 + (int)cn_random_below(random, 2);
        s.column_dilation = 1 + (int)cn_random_below(random, 2);
        s.out_height = s.in_height - (s.kernel_height - 1) * s.row_dilation;
        s.out_width = s.in_width - (s.kernel_width - 1) * s.column_dilation;
    } while (s.out_height < 1 || s.out_width < 1);
    s.out_height = (s.out_height - 1) / s.row_stride + 1;
    s.out_width = (s.out_width - 1) / s.column_stride + 1;
    return s;
}

float *test_padded(const float *from, size_t rows, int columns) {
    const size_t stride = (size_t)cn_padded(columns);
    float *to = cn_floats_allocate(rows * stride);
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * stride, from + i * (size_t)columns, (size_t)columns * sizeof *to);
    return to;
}
