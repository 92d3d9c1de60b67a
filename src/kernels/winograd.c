/* winograd.c: see winograd.h: when it pays, and the weights' transformation. No state. */
#include "kernels/winograd.h"

#include <string.h>

#include "kernels/kernels.h"
#include "kernels/packing.h"

static size_t tiles_of(const struct cn_conv2d *s) {
    const int down = (s->out_height + CN_WINOGRAD_OUT - 1) / CN_WINOGRAD_OUT;
    const int across = (s->out_width + CN_WINOGRAD_OUT - 1) / CN_WINOGRAD_OUT;
    return (size_t)down * (size_t)across;
}

bool cn_winograd_pays(const struct cn_conv2d *s) {
    enum {
        MANY = 32,   /* tiles that share the weights, which are four times as large */
        FEW = 4,     /* and where the weights stay in a cache: */
        PAIRS = 2048 /* of channels per tile */
    };
    const size_t tiles = tiles_of(s), pixels = (size_t)s->out_height * (size_t)s->out_width;
    const size_t pairs = (size_t)s->in_channels * (size_t)s->out_channels;
    return s->kernel_height == 3 && s->kernel_width == 3 && s->row_stride == 1 &&
           s->column_stride == 1 && s->row_dilation <= 1 && s->column_dilation <= 1 &&
           s->groups <= 1 && s->in_channels % CN_LANES == 0 && s->out_channels % CN_LANES == 0 &&
           (tiles >= MANY || (tiles >= FEW && tiles * PAIRS >= pairs)) &&
           2 * pixels >= tiles * CN_WINOGRAD_OUT * CN_WINOGRAD_OUT;
}

struct cn_conv2d cn_winograd_packing(const struct cn_conv2d *shape) {
    struct cn_conv2d packing = *shape;
    packing.kernel_height = packing.kernel_width = CN_WINOGRAD_IN;
    return packing;
}

/* Three taps of CN_LANES channels become six. */
static void transform(double to[CN_WINOGRAD_IN][CN_LANES], double taps[3][CN_LANES]) {
    const double a = 0.75, b = 1.5, near = 2 * a * a * (a * a - b * b),
                 far = 2 * b * b * (b * b - a * a);
    for (int c = 0; c < CN_LANES; c++) {
        const double first = taps[0][c], middle = taps[1][c], last = taps[2][c];
        to[0][c] = first / (a * a * b * b);
        to[1][c] = (first + a * a * last + a * middle) / near;
        to[2][c] = (first + a * a * last - a * middle) / near;
        to[3][c] = (first + b * b * last + b * middle) / far;
        to[4][c] = (first + b * b * last - b * middle) / far;
        to[5][c] = last;
    }
}

void cn_winograd_pack(float *packed, const float *kernel, const float *bias,
                      const struct cn_conv2d *s) {
    const size_t in = (size_t)s->in_channels, out = (size_t)s->out_channels;
    for (size_t c = 0; c < out; c += CN_LANES, packed += CN_WINOGRAD_POINTS * in * CN_LANES)
        for (size_t k = 0; k < in; k++) {
            double columns[3][CN_WINOGRAD_IN][CN_LANES], rows[CN_WINOGRAD_IN][CN_LANES];
            double taps[3][CN_LANES];
            for (size_t j = 0; j < 3; j++) {
                for (size_t i = 0; i < 3; i++)
                    for (size_t l = 0; l < CN_LANES; l++)
                        taps[i][l] = (double)kernel[((i * 3 + j) * in + k) * out + c + l];
                transform(columns[j], taps);
            }
            for (size_t i = 0; i < CN_WINOGRAD_IN; i++) {
                for (size_t j = 0; j < 3; j++)
                    memcpy(taps[j], columns[j][i], sizeof taps[j]);
                transform(rows, taps);
                for (size_t j = 0; j < CN_WINOGRAD_IN; j++)
                    for (size_t l = 0; l < CN_LANES; l++)
                        packed[((i * CN_WINOGRAD_IN + j) * in + k) * CN_LANES + l] =
                            (float)rows[j][l];
            }
        }
    if (bias != NULL)
        memcpy(packed, bias, out * sizeof *bias);
    else
        memset(packed, 0, out * sizeof *packed);
}

size_t cn_winograd_stride(size_t tiles, int channels) {
    return tiles * (size_t)channels + CN_LANES;
}

size_t cn_winograd_scratch_size(const struct cn_conv2d *s) {
    const size_t tiles = tiles_of(s);
    return (size_t)s->out_channels +
           CN_WINOGRAD_POINTS * (cn_winograd_stride(tiles, s->in_channels) +
                                 cn_winograd_stride(tiles, s->out_channels));
}
