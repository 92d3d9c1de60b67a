/* explain_tiles.c: draws a layer's feature maps or its kernel as one grey PNG with one tile per map
 * or filter. Pure. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/explain.h"

enum { LARGEST_ZOOM = 16, TARGET_TILE = 48, GAP_GREY = 64 };

/* A grid of `rows` x `columns` tiles of `height` x `width` values; only the first `count` tiles
 * exist. The index of value (y, x) of tile (row, column) is the sum of each coordinate times its
 * step. */
struct mosaic {
    size_t height, width, rows, columns, count;
    size_t step_y, step_x, step_row, step_column;
};

/* [height, width, channels]: one tile per channel, in a square grid that is filled row by row. */
static struct mosaic mosaic_square(size_t height, size_t width, size_t channels) {
    size_t columns = 1;
    while (columns * columns < channels)
        columns++;
    return (struct mosaic){height,   width,    (channels + columns - 1) / columns,
                           columns,  channels, width * channels,
                           channels, columns,  1};
}

/* [height, width]: a single tile. */
static struct mosaic mosaic_matrix(size_t height, size_t width) {
    return (struct mosaic){height, width, 1, 1, 1, width, 1, 0, 0};
}

static struct mosaic mosaic_of_maps(const struct cn_shape *shape) {
    const int *dims = shape->dims;
    return shape->rank == 1 ? mosaic_matrix(1, (size_t)dims[0])
                            : mosaic_square((size_t)dims[0], (size_t)dims[1], (size_t)dims[2]);
}

/* A convolution's kernel: one column of tiles per filter, one row per input channel. */
static struct mosaic mosaic_of_kernel(const struct cn_tensor_spec *kernel) {
    const size_t d[] = {(size_t)kernel->dims[0], (size_t)kernel->dims[1], (size_t)kernel->dims[2],
                        (size_t)kernel->dims[3]};
    if (kernel->rank == 1)
        return mosaic_matrix(1, d[0]);
    if (kernel->rank == 2)
        return mosaic_matrix(d[0], d[1]);
    if (d[2] == 1)
        return mosaic_square(d[0], d[1], d[3]);
    return (struct mosaic){d[0],        d[1], d[2], d[3], d[2] * d[3], d[1] * d[2] * d[3],
                           d[2] * d[3], d[3], 1};
}

/* How values become grey levels. Maps: the layer's minimum is black, its maximum white. Kernels:
 * zero is middle grey. */
struct tone {
    float offset, scale;
};

static struct tone tone_of(struct explain_range range, bool is_signed) {
    const float largest = fmaxf(fabsf(range.minimum), fabsf(range.maximum));
    const float span = range.maximum - range.minimum;
    if (is_signed)
        return (struct tone){128, largest > 0 ? 127 / largest : 0};
    const float scale = span > 0 ? 255 / span : 0;
    return (struct tone){-range.minimum * scale, scale};
}

static uint8_t grey_of(struct tone tone, float value) {
    const float grey = value * tone.scale + tone.offset + 0.5f;
    return grey >= 0 && grey < 255 ? (uint8_t)grey : grey >= 255 ? 255 : 0;
}

/* Draws one tile at `to`; a row of the sheet has `stride` bytes. */
static void tile_draw(uint8_t *to, size_t stride, const struct mosaic *m, size_t zoom,
                      const float *values, struct tone tone) {
    for (size_t y = 0; y < m->height * zoom; y++)
        for (size_t x = 0; x < m->width * zoom; x++)
            to[y * stride + x] = grey_of(tone, values[y / zoom * m->step_y + x / zoom * m->step_x]);
}

static size_t zoom_of(const struct mosaic *m, int requested) {
    const size_t side = m->height > m->width ? m->height : m->width;
    const size_t zoom = requested > 0 ? (size_t)requested : TARGET_TILE / side;
    return zoom < 1 ? 1 : zoom > LARGEST_ZOOM ? LARGEST_ZOOM : zoom;
}

/* The size of the whole picture in pixels: the tiles, with a line around each if there are several.
 */
struct sheet {
    size_t zoom, gap, tile_width, tile_height, width, height;
};

static struct sheet sheet_of(const struct mosaic *m, int requested_zoom) {
    struct sheet sheet = {.zoom = zoom_of(m, requested_zoom), .gap = m->count > 1 ? 1 : 0};
    sheet.tile_width = m->width * sheet.zoom + sheet.gap;
    sheet.tile_height = m->height * sheet.zoom + sheet.gap;
    sheet.width = m->columns * sheet.tile_width + sheet.gap;
    sheet.height = m->rows * sheet.tile_height + sheet.gap;
    return sheet;
}

static struct mosaic mosaic_of(const struct explain_options *options,
                               const struct cn_layer *layer) {
    return options->filters ? mosaic_of_kernel(&layer->tensors[0])
                            : mosaic_of_maps(&layer->output_shape);
}

enum cn_status explain_tiles_check(const struct explain_options *options,
                                   const struct cn_network *network, struct cn_error *error) {
    const struct cn_layer *layer = &network->layers[options->layer];
    if (options->filters && layer->tensor_count == 0)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) has no filters", layer->name,
                       cn_layer_type_name(layer->type));
    const struct mosaic mosaic = mosaic_of(options, layer);
    const struct sheet sheet = sheet_of(&mosaic, options->zoom);
    if (sheet.width * sheet.height <= EXPLAIN_MAX_BYTES)
        return CN_OK;
    return cn_fail(error, CN_LIMIT,
                   "the picture would have %zu x %zu pixels; the limit is %d pixels%s", sheet.width,
                   sheet.height, EXPLAIN_MAX_BYTES,
                   sheet.zoom > 1 ? "; a smaller zoom may fit" : "");
}

void explain_tiles(const struct prediction *prediction, struct cn_text *text) {
    const struct explanation *explanation = prediction->protocol_state;
    const struct explain_options *options = &explanation->options;
    const struct cn_network *network = prediction->model->model->network;
    const struct cn_layer *layer = &network->layers[options->layer];
    const float *values = options->filters ? network->parameters + layer->parameter_offset
                                           : cn_trace_output(explanation->trace, options->layer);
    const struct mosaic m = mosaic_of(options, layer);
    const struct sheet sheet = sheet_of(&m, options->zoom);
    const struct tone tone =
        tone_of(explain_range_of(values, m.height * m.width * m.count), options->filters);
    void *png = NULL;
    size_t length = 0;
    uint8_t *pixels = malloc(sheet.width * sheet.height);
    text->failed |= pixels == NULL;
    if (pixels == NULL)
        return;
    memset(pixels, GAP_GREY, sheet.width * sheet.height);
    for (size_t tile = 0; tile < m.count; tile++) {
        const size_t row = tile / m.columns, column = tile % m.columns;
        tile_draw(pixels + (row * sheet.tile_height + sheet.gap) * sheet.width +
                      column * sheet.tile_width + sheet.gap,
                  sheet.width, &m, sheet.zoom, values + row * m.step_row + column * m.step_column,
                  tone);
    }
    if (cn_png_encode(pixels, (int)sheet.width, (int)sheet.height, 1, &png, &length, NULL) == CN_OK)
        cn_text_add_bytes(text, png, length);
    else
        text->failed = true;
    free(png);
    free(pixels);
}
