/* winograd.c: see winograd.h: when it pays, and the room that it needs. No state. */
#include "kernels/winograd.h"

static size_t tiles_along(int length) {
    return ((size_t)length + CN_WINOGRAD_OUT - 1) / CN_WINOGRAD_OUT;
}

static size_t tiles_of(const struct cn_conv2d *s) {
    return tiles_along(s->out_height) * tiles_along(s->out_width);
}

bool cn_winograd_pays(const struct cn_conv2d *s) {
    /* Times in multiply-adds: */
    const double weights = 400, /* to transform the window of a pair of channels */
        ends = 200; /* to transform a tile of one input channel or of one output channel */
    const double most_share = 0.9;   /* of the definition's time, for each pair of channels */
    const size_t most_across = 1024; /* tiles of a row, all of which are in scratch */
    const double tiles = (double)tiles_of(s), in = s->in_channels, out = s->out_channels;
    return s->kernel_height == 3 && s->kernel_width == 3 && s->row_stride == 1 &&
           s->column_stride == 1 && s->row_dilation <= 1 && s->column_dilation <= 1 &&
           s->groups <= 1 && s->in_channels % CN_LANES == 0 && s->out_channels % CN_LANES == 0 &&
           tiles_along(s->out_width) <= most_across &&
           tiles * CN_WINOGRAD_POINTS + weights + tiles * ends * (1 / in + 1 / out) <
               most_share * 9 * s->out_height * s->out_width;
}

size_t cn_winograd_band(const struct cn_conv2d *s) {
    enum {
        LEAST = 64,   /* tiles that share the transformed weights */
        INPUTS = 8192 /* input channels of all tiles together that stay in a cache */
    };
    const size_t across = tiles_along(s->out_width);
    const size_t fits = INPUTS / (size_t)s->in_channels, tiles = fits > LEAST ? fits : LEAST;
    return tiles > across ? tiles / across : 1;
}

struct cn_winograd_room cn_winograd_room_of(const struct cn_conv2d *s) {
    const size_t tiles = tiles_of(s), in = (size_t)s->in_channels;
    const size_t depth = in < CN_WINOGRAD_DEPTH ? in : CN_WINOGRAD_DEPTH;
    return (struct cn_winograd_room){.tiles = tiles,
                                     .slices = (in + CN_WINOGRAD_DEPTH - 1) / CN_WINOGRAD_DEPTH,
                                     .inputs = tiles * in + CN_LANES,
                                     .weights = depth * CN_LANES + CN_LANES,
                                     .outputs = tiles * CN_WINOGRAD_CHANNELS + CN_LANES};
}

size_t cn_winograd_scratch_size(const struct cn_conv2d *s) {
    const struct cn_winograd_room room = cn_winograd_room_of(s);
    return CN_WINOGRAD_CHANNELS +
           CN_WINOGRAD_POINTS *
               (room.inputs + room.weights * CN_WINOGRAD_PANELS + room.slices * room.outputs);
}
