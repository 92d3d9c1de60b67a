/* packing.c: see packing.h. The layout is described at conv2d in kernels.h. No state. */
#include "kernels/packing.h"

#include <string.h>

#include "kernels/kernels.h"

/* The sizes that are the same for all groups. */
struct group_sizes {
    size_t groups, rows, channels, padded; /* rows: of the reduction */
};

static struct group_sizes sizes_of(const struct cn_conv2d *s) {
    /* Depthwise channels are adjacent, like those of one group. */
    const int windows = s->groups > 1 ? s->groups : 1;
    const int groups = cn_conv2d_is_depthwise(s) ? 1 : windows;
    return (struct group_sizes){.groups = (size_t)groups,
                                .rows = (size_t)s->kernel_height * (size_t)s->kernel_width *
                                        (size_t)(s->in_channels / windows),
                                .channels = (size_t)(s->out_channels / groups),
                                .padded = (size_t)cn_padded(s->out_channels / groups)};
}

size_t cn_conv2d_kernel_size(const struct cn_conv2d *shape) {
    const struct group_sizes sizes = sizes_of(shape);
    return sizes.groups * sizes.rows * sizes.padded;
}

size_t cn_conv2d_packed_size(const struct cn_conv2d *shape) {
    const struct group_sizes sizes = sizes_of(shape);
    return sizes.groups * (sizes.rows + 1) * sizes.padded;
}

void cn_conv2d_pack(float *packed, const float *kernel, const float *bias,
                    const struct cn_conv2d *shape) {
    enum { BLOCK = 32 }; /* rows that stay in the cache while all channels are copied */
    const struct group_sizes sizes = sizes_of(shape);
    const size_t all = sizes.groups * sizes.channels;
    for (size_t g = 0; g < sizes.groups; g++)
        for (size_t first = 0; first < sizes.rows; first += BLOCK)
            for (size_t c = 0; c < sizes.channels; c += CN_LANES) {
                const size_t end = sizes.rows - first < BLOCK ? sizes.rows : first + BLOCK;
                const size_t left = sizes.channels - c, count = left < CN_LANES ? left : CN_LANES;
                const float *from = kernel + first * all + g * sizes.channels + c;
                float *to = packed + (g * sizes.padded + c) * sizes.rows + first * CN_LANES;
                for (size_t row = first; row < end; row++, to += CN_LANES, from += all) {
                    memcpy(to, from, count * sizeof *to);
                    memset(to + count, 0, (CN_LANES - count) * sizeof *to);
                }
            }
    float *to = packed + sizes.groups * sizes.rows * sizes.padded;
    memset(to, 0, sizes.groups * sizes.padded * sizeof *to);
    for (size_t g = 0; bias != NULL && g < sizes.groups; g++)
        memcpy(to + g * sizes.padded, bias + g * sizes.channels, sizes.channels * sizeof *to);
}

void cn_conv2d_pack_transposed(float *packed, const float *kernel, const struct cn_conv2d *shape) {
    const struct group_sizes sizes = sizes_of(shape);
    float *to = packed;
    for (size_t c = 0; c < sizes.padded; c += CN_LANES)
        for (size_t row = 0; row < sizes.rows; row++, to += CN_LANES)
            for (size_t i = 0; i < CN_LANES; i++)
                to[i] = c + i < sizes.channels ? kernel[(c + i) * sizes.rows + row] : 0;
    memset(to, 0, sizes.padded * sizeof *to);
}

void cn_conv2d_fold(float *packed, const struct cn_conv2d *shape, const float *scale,
                    const float *shift) {
    const struct group_sizes sizes = sizes_of(shape);
    float *bias = packed + sizes.groups * sizes.rows * sizes.padded;
    for (size_t g = 0; g < sizes.groups; g++, scale += sizes.channels, shift += sizes.channels)
        for (size_t c = 0; c < sizes.channels; c++) {
            float *panel = packed + (g * sizes.padded + c / CN_LANES * CN_LANES) * sizes.rows;
            float *sum = bias + g * sizes.padded + c;
            for (size_t row = 0; row < sizes.rows; row++)
                panel[row * CN_LANES + c % CN_LANES] *= scale[c];
            *sum = *sum * scale[c] + shift[c];
        }
}
