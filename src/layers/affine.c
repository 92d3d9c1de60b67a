/* affine.c: a convolution with bias and activation, in training and in inference. If each input
 * belongs to one window only (Dense, 1x1 convolutions, windows as large as their input), several
 * images are computed as one matrix product: their pixels become one row. No state. */
#include <string.h>

#include "base/memory.h"
#include "kernels/activate.h"
#include "kernels/backward.h"
#include "kernels/bytes.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "kernels/winograd.h"
#include "layers/affine.h"

/* ---- Geometry ---- */

static size_t window_size(const struct cn_conv2d *s) {
    return (size_t)s->kernel_height * (size_t)s->kernel_width;
}

static size_t output_pixels(const struct cn_conv2d *s) {
    return (size_t)s->out_height * (size_t)s->out_width;
}

static size_t padded_input_size(const struct cn_conv2d *s) {
    return (size_t)s->in_height * (size_t)s->in_width * (size_t)s->in_channels;
}

static size_t input_size(const struct cn_affine *a) {
    return (size_t)a->height * (size_t)a->width * (size_t)a->shape.in_channels;
}

static size_t padded(int n) {
    return (size_t)cn_padded(n);
}

static bool needs_padding(const struct cn_affine *a) {
    return a->shape.in_height != a->height || a->shape.in_width != a->width;
}

static bool is_matrix(const struct cn_affine *a) {
    const struct cn_conv2d *s = &a->shape;
    return !needs_padding(a) && s->groups <= 1 &&
           (size_t)s->in_height * (size_t)s->in_width == output_pixels(s) * window_size(s) &&
           (window_size(s) == 1 || output_pixels(s) == 1);
}

/* The geometry of a group of `count` samples. */
static struct cn_conv2d group_shape(const struct cn_affine *a, size_t count) {
    const struct cn_conv2d *s = &a->shape;
    if (!is_matrix(a))
        return *s;
    const int pixels = (int)(count * output_pixels(s));
    return (struct cn_conv2d){.in_height = 1,
                              .in_width = pixels,
                              .in_channels = (int)window_size(s) * s->in_channels,
                              .out_height = 1,
                              .out_width = pixels,
                              .out_channels = s->out_channels,
                              .kernel_height = 1,
                              .kernel_width = 1,
                              .row_stride = 1,
                              .column_stride = 1,
                              .ceiling = s->ceiling};
}

/* The representation of a value's numbers: floats or bytes. */
struct affine_numbers {
    size_t size; /* bytes of one */
    int zero;    /* what each byte of a zero is */
};
static const struct affine_numbers floats = {sizeof(float), 0};

/* Copies the rows from `first` to before `end` of the input with its border to `to`. x has the
 * input's rows from `x_first` on. */
static void pad_rows(const struct cn_affine *a, struct affine_numbers n, const char *x, int x_first,
                     int first, int end, char *to) {
    const size_t pixel = (size_t)a->shape.in_channels * n.size;
    const size_t from = (size_t)a->width * pixel, row = (size_t)a->shape.in_width * pixel;
    const size_t before = (size_t)a->pad_left * pixel, after = row - from - before;
    for (int i = first - a->pad_top; i < end - a->pad_top; i++, to += row) {
        if (i < 0 || i >= a->height) {
            memset(to, n.zero, row);
            continue;
        }
        memset(to, n.zero, before);
        memcpy(to + before, x + (size_t)(i - x_first) * from, from);
        memset(to + before + from, n.zero, after);
    }
}

const float *cn_affine_pad(const struct cn_affine *a, const float *x, float *scratch) {
    if (!needs_padding(a))
        return x;
    pad_rows(a, floats, (const char *)x, 0, 0, a->shape.in_height, (char *)scratch);
    return scratch;
}

/* ---- Inference ---- */

/* The images of one layer and their buffers, and the share of the work. */
struct affine_run {
    const struct cn_affine *affine;
    const struct cn_pooling *pooling; /* of the maxima that are taken too; NULL: none */
    const float *packed;
    const struct cn_requantize *finish; /* NULL: floats to floats */
    struct affine_numbers in, out;
    const char *x;
    char *y, *scratch;
    int x_first, y_first;  /* the rows with which x and y begin */
    int channel, channels; /* the output channels to compute: how many from which on; 0: all */
    size_t count, part, parts;
};

/* The number of rows of the padded input for this many rows of the output. */
static int rows_under(const struct cn_conv2d *s, int out_rows) {
    const int down = s->row_dilation > 1 ? s->row_dilation : 1;
    return (out_rows - 1) * s->row_stride + (s->kernel_height - 1) * down + 1;
}

/* True if the layer is computed by Winograd's algorithm, which is one of floats. */
static bool is_winograd(const struct cn_affine *a, struct affine_numbers in) {
    return in.size == sizeof(float) && cn_winograd_pays(&a->shape);
}

/* Bands of whole rows of tiles, as even as can be. */
static int winograd_band_rows(const struct cn_affine *a, size_t parts) {
    enum { SIDE = CN_WINOGRAD_OUT };
    const size_t down = ((size_t)a->shape.out_height + SIDE - 1) / SIDE;
    const size_t share = (down + parts - 1) / parts, most = cn_winograd_band(&a->shape);
    const size_t rows = most < share ? most : share;
    const size_t bands = (down + rows - 1) / rows;
    return (int)((down + bands - 1) / bands) * SIDE;
}

/* True if the kernel leaves out the border itself, so that no copy with the border is needed. */
static bool leaves_out_border(const struct cn_affine *a, struct affine_numbers in) {
    return in.size == sizeof(float) && cn_conv2d_takes_border(&a->shape);
}

/* True if bands of the input are copied, with the border. */
static bool copies_bands(const struct cn_affine *a, struct affine_numbers in) {
    return needs_padding(a) && !leaves_out_border(a, in);
}

/* The number of output rows that are computed at a time, an even number or all. Their input, with
 * its border, stays in the cache from the copy to the product, and there is enough work for all
 * parts. */
static int band_rows(const struct cn_affine *a, struct affine_numbers in, size_t parts) {
    enum { BAND_BYTES = 1 << 17 };
    const struct cn_conv2d *s = &a->shape;
    const size_t row =
        (size_t)s->row_stride * (size_t)s->in_width * (size_t)s->in_channels * in.size;
    const size_t share = ((size_t)s->out_height + parts - 1) / parts;
    if (is_winograd(a, in))
        return winograd_band_rows(a, parts);
    size_t rows = copies_bands(a, in) ? BAND_BYTES / row : (size_t)s->out_height;
    rows = (rows < share ? rows : share) + 1;
    rows -= rows % 2;
    return rows < 2 ? 2 : rows < (size_t)s->out_height ? (int)rows : s->out_height;
}

/* Floats of room for a band of the input with its border. */
static size_t border_floats(const struct cn_affine *affine, struct affine_numbers in) {
    const struct cn_conv2d *s = &affine->shape;
    const size_t rows = (size_t)rows_under(s, band_rows(affine, in, 1));
    const size_t bytes = rows * (size_t)s->in_width * (size_t)s->in_channels * in.size;
    return copies_bands(affine, in)
               ? cn_floats_aligned((bytes + CN_BYTES_SLACK) / sizeof(float) + 1)
               : 0;
}

static size_t affine_scratch_floats(const struct cn_affine *affine, struct affine_numbers in) {
    struct cn_conv2d band = affine->shape;
    band.out_height = band_rows(affine, in, 1);
    return border_floats(affine, in) +
           (is_winograd(affine, in) ? cn_winograd_scratch_size(&band) : 0);
}

/* Calls the kernel; `height` and `width` are those of the output after pooling. */
static void affine_kernel(const struct affine_run *run, char *y, const char *x,
                          const struct cn_conv2d *s, int height, int width) {
    const bool relu = run->affine->activation == CN_ACTIVATION_RELU;
    const bool pooled = run->pooling != NULL;
    const size_t kernel = cn_conv2d_kernel_size(&run->affine->shape),
                 channel = (size_t)run->channel;
    const float *from = (const float *)(const void *)x, *b = run->packed + kernel + channel;
    const float *w = run->packed + kernel / padded(s->out_channels) * channel;
    float *to = (float *)(void *)y + channel;
    if (is_winograd(run->affine, run->in))
        cn_kernels()->winograd(to, from, w, b, s, relu, pooled, height, width,
                               (float *)(void *)run->scratch + border_floats(run->affine, run->in));
    else if (run->finish == NULL && pooled)
        cn_kernels()->conv2d_max_pooled(to, from, w, b, s, relu, height, width);
    else if (run->finish == NULL)
        cn_kernels()->conv2d(to, from, w, b, s, relu);
    else if (pooled)
        cn_bytes_kernels()->conv2d_max_pooled(y, (const uint8_t *)x, w, s, run->finish, height,
                                              width);
    else
        cn_bytes_kernels()->conv2d(y, (const uint8_t *)x, w, s, run->finish);
    if (!relu && run->out.size == sizeof(float) && run->channels == 0)
        cn_activation_forward(to, (size_t)height * (size_t)width, (size_t)s->out_channels,
                              run->affine->activation);
}

/* Computes the output rows from `first` to before `end` of one image, before pooling. */
static void affine_band(const struct affine_run *run, size_t image, int first, int end) {
    const struct cn_affine *a = run->affine;
    struct cn_conv2d s = a->shape;
    const char *x = run->x + image * input_size(a) * run->in.size;
    const int top = first * s.row_stride;
    int rows = end - first, width = s.out_width;
    s.channels = run->channels;
    s.out_height = rows;
    s.in_height = rows_under(&s, rows);
    if (copies_bands(a, run->in)) {
        pad_rows(a, run->in, x, run->x_first, top, top + s.in_height, run->scratch);
        x = run->scratch;
    } else if (leaves_out_border(a, run->in)) {
        s.in_height = a->height - run->x_first;
        s.in_width = a->width;
        s.border_top = a->pad_top + run->x_first - top;
        s.border_left = a->pad_left;
    } else {
        x += (size_t)(top - run->x_first) * (size_t)s.in_width * (size_t)s.in_channels *
             run->in.size;
    }
    int height = a->shape.out_height, line = first;
    if (run->pooling != NULL) {
        const int left = run->pooling->out_height - first / 2;
        rows = (rows + 1) / 2 < left ? (rows + 1) / 2 : left;
        height = run->pooling->out_height, line = first / 2, width = run->pooling->out_width;
    }
    const size_t at = (image * (size_t)height + (size_t)(line - run->y_first)) * (size_t)width;
    if (rows > 0) /* not below the last window of the maxima */
        affine_kernel(run, run->y + at * (size_t)s.out_channels * run->out.size, x, &s, rows,
                      width);
}

/* Computes a share of the output rows `rows` of each image, before pooling. */
static void affine_bands(const struct affine_run *run, struct cn_rows rows) {
    const int band = band_rows(run->affine, run->in, run->parts);
    size_t band_index = 0;
    for (size_t image = 0; image < run->count; image++)
        for (int i = rows.first; i < rows.end; i += band, band_index++)
            if (band_index % run->parts == run->part)
                affine_band(run, image, i, rows.end - i < band ? rows.end : i + band);
}

enum { LINES = 24 }; /* fill the kernel's tiles */

/* Computes a share of the rows of one matrix product. */
static void affine_lines(const struct affine_run *run) {
    const struct cn_conv2d one = group_shape(run->affine, 1);
    const size_t lines = run->count * output_pixels(&one);
    size_t share = (lines + run->parts - 1) / run->parts;
    share = (share + LINES - 1) / LINES * LINES;
    const size_t first = run->part * share;
    if (first >= lines)
        return;
    struct cn_conv2d s = one;
    s.in_width = s.out_width = (int)(lines - first < share ? lines - first : share);
    s.channels = run->channels;
    affine_kernel(run, run->y + first * (size_t)s.out_channels * run->out.size,
                  run->x + first * (size_t)s.in_channels * run->in.size, &s, 1, s.out_width);
}

/* True if the layer is one matrix product. For bytes, whose weights are in words of four, the rows
 * of a window are adjacent if they are whole words. */
static bool is_product(const struct affine_run *run) {
    const struct cn_conv2d *s = &run->affine->shape;
    return run->pooling == NULL && is_matrix(run->affine) &&
           (run->finish == NULL || s->kernel_height == 1 ||
            s->kernel_width * s->in_channels % 4 == 0);
}

/* The largest share of `count` things that one of the parts gets. */
static double largest_share(size_t count, size_t parts) {
    return (double)((count + parts - 1) / parts) / (double)count;
}

/* The number of output channels that a part computes if the parts divide them: whole tiles of the
 * kernel. */
static size_t channels_per_part(const struct affine_run *run) {
    const size_t channels = (size_t)run->affine->shape.out_channels;
    const size_t unit = channels >= 2 * CN_LANES * run->parts ? 2 * CN_LANES : CN_LANES;
    const size_t units = (channels + unit - 1) / unit;
    return (units + run->parts - 1) / run->parts * unit;
}

/* True if the parts divide the output channels, not the rows: the work is then more even, or each
 * part has fewer numbers to read. */
static bool divides_channels(const struct affine_run *run) {
    enum { FEW_TILES = 64 }; /* of Winograd's; transforming the weights takes longer than these */
    const struct cn_affine *a = run->affine;
    const size_t rows = (size_t)a->shape.out_height, pixels = run->count * output_pixels(&a->shape);
    const double share = (double)channels_per_part(run) / (double)a->shape.out_channels;
    if (run->parts == 1 || run->finish != NULL || a->shape.groups > 1 || share >= 1)
        return false;
    if (is_product(run))
        return (size_t)a->shape.out_channels > pixels ||
               share < largest_share((pixels + LINES - 1) / LINES, run->parts);
    const size_t band = (size_t)band_rows(a, run->in, run->parts);
    if (is_winograd(a, run->in) &&
        pixels < FEW_TILES * CN_WINOGRAD_OUT * CN_WINOGRAD_OUT * run->parts)
        return true;
    return share < largest_share(run->count * ((rows + band - 1) / band), run->parts);
}

static void affine_run(const struct affine_run *run) {
    struct affine_run own = *run;
    if (divides_channels(run)) {
        const size_t share = channels_per_part(run), first = run->part * share;
        const size_t all = (size_t)run->affine->shape.out_channels;
        if (first >= all)
            return;
        own.channel = (int)first;
        own.channels = (int)(all - first < share ? all - first : share);
        own.part = 0;
        own.parts = 1;
    }
    if (is_product(run))
        affine_lines(&own);
    else
        affine_bands(&own, (struct cn_rows){0, run->affine->shape.out_height});
}

unsigned long long cn_affine_macs(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    const struct cn_conv2d *s = &affine.shape;
    return (unsigned long long)output_pixels(s) * window_size(s) *
           (unsigned long long)(s->in_channels / (s->groups > 1 ? s->groups : 1)) *
           (unsigned long long)s->out_channels;
}

void cn_affine_prepare(struct cn_step *step) {
    struct cn_affine *a = &step->affine;
    *a = step->layer.type->affine(&step->layer);
    a->shape.ceiling = step->ceiling;
    a->pad_top += step->border.top;
    a->pad_left += step->border.left;
    a->height -= step->border.top + step->border.bottom;
    a->width -= step->border.left + step->border.right;
    step->has_end = step->inference->infer_end != NULL && a->activation != CN_ACTIVATION_LINEAR &&
                    a->activation != CN_ACTIVATION_RELU;
    /* A band of Winograd's algorithm needs more rows than one of several steps has. */
    step->by_rows = step->inference->infer_rows != NULL && !is_winograd(a, floats);
}

/* One image of floats. */
static struct affine_run run_of(const struct cn_step *step, const float *x, float *y,
                                float *scratch) {
    return (struct affine_run){.affine = &step->affine,
                               .pooling = step->pooled ? &step->pooling : NULL,
                               .packed = step->packed,
                               .in = floats,
                               .out = floats,
                               .x = (const char *)x,
                               .y = (char *)y,
                               .scratch = (char *)scratch,
                               .count = 1,
                               .parts = 1};
}

void cn_affine_infer_part(const struct cn_step *step, const float *const *inputs, size_t count,
                          float *y, float *scratch, size_t part, size_t parts) {
    struct affine_run run = run_of(step, inputs[0], y, scratch);
    run.count = count;
    run.part = part;
    run.parts = parts;
    affine_run(&run);
}

void cn_affine_infer(const struct cn_step *step, const float *const *inputs, size_t count, float *y,
                     float *scratch) {
    cn_affine_infer_part(step, inputs, count, y, scratch, 0, 1);
}

/* An activation over all channels waits for them, if they were divided. */
void cn_affine_infer_end(const struct cn_step *step, size_t count, float *y, size_t parts) {
    const struct cn_affine *a = &step->affine;
    struct affine_run run = run_of(step, NULL, y, NULL);
    run.count = count;
    run.parts = parts;
    const size_t channels = (size_t)a->shape.out_channels;
    if (divides_channels(&run)) /* the output is smaller than the convolution's after maxima */
        cn_activation_forward(y, count * cn_shape_size(&step->layer.output_shape) / channels,
                              channels, a->activation);
}

/* The rows before pooling that these rows of the output have. */
static struct cn_rows unpooled(const struct cn_step *step, struct cn_rows out) {
    const int height = step->affine.shape.out_height;
    if (step->pooled)
        out = (struct cn_rows){2 * out.first, 2 * out.end < height ? 2 * out.end : height};
    return out;
}

void cn_affine_infer_rows(const struct cn_step *step, const float *x, int x_first, float *y,
                          struct cn_rows out, float *scratch) {
    struct affine_run run = run_of(step, x, y, scratch);
    run.x_first = x_first;
    run.y_first = out.first;
    affine_bands(&run, unpooled(step, out));
}

struct cn_rows cn_affine_rows_under(const struct cn_step *step, struct cn_rows out) {
    const struct cn_affine *a = &step->affine;
    const struct cn_rows rows = unpooled(step, out);
    const int top = rows.first * a->shape.row_stride - a->pad_top;
    return (struct cn_rows){top, top + rows_under(&a->shape, rows.end - rows.first)};
}

const char *cn_affine_kernel(const struct cn_step *step) {
    if (cn_conv2d_is_depthwise(&step->affine.shape))
        return "depthwise";
    if (is_winograd(&step->affine, floats))
        return step->pooled ? "Winograd, maxima" : "Winograd";
    if (step->pooled)
        return "tiles, maxima";
    return is_matrix(&step->affine) ? "product" : "tiles";
}

/* Accepts adjacent 2 x 2 maxima if nothing but ReLU comes between, which may be applied before or
 * after them. */
bool cn_affine_absorb_maxima(struct cn_step *step, const struct cn_pooling *pooling) {
    const bool twos = pooling->pool_height == 2 && pooling->pool_width == 2 &&
                      pooling->row_stride == 2 && pooling->column_stride == 2 &&
                      pooling->pad_top == 0 && pooling->pad_left == 0;
    const enum cn_activation activation = step->affine.activation;
    if (!twos || step->pooled || step->affine.shape.groups > 1 ||
        (activation != CN_ACTIVATION_LINEAR && activation != CN_ACTIVATION_RELU))
        return false;
    step->pooling = *pooling;
    step->pooled = true;
    return true;
}

size_t cn_affine_packed_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return cn_conv2d_packed_size(&affine.shape);
}

/* The bias among the layer's own parameters; NULL: none. */
static const float *bias_of(const struct cn_affine *a, const float *parameters) {
    const struct cn_conv2d *s = &a->shape;
    return a->use_bias
               ? parameters + window_size(s) *
                                  (size_t)(s->in_channels / (s->groups > 1 ? s->groups : 1)) *
                                  (size_t)s->out_channels
               : NULL;
}

void cn_affine_pack(const struct cn_layer *layer, const float *parameters, float *packed) {
    const struct cn_affine affine = layer->type->affine(layer);
    cn_conv2d_pack(packed, parameters, bias_of(&affine, parameters), &affine.shape);
}

size_t cn_affine_scratch_size(const struct cn_step *step) {
    return affine_scratch_floats(&step->affine, floats);
}

void cn_affine_fold(const struct cn_layer *layer, float *packed, const float *scale,
                    const float *shift) {
    const struct cn_affine affine = layer->type->affine(layer);
    cn_conv2d_fold(packed, &affine.shape, scale, shift);
}

/* ---- Inference on bytes ---- */

static bool affine_takes(const struct cn_layer *layer, const struct cn_byte_range *in,
                         struct cn_byte_range out) {
    const struct cn_affine a = layer->type->affine(layer);
    const int groups = a.shape.groups > 1 ? a.shape.groups : 1;
    const bool plain = a.activation == CN_ACTIVATION_LINEAR || a.activation == CN_ACTIVATION_RELU;
    (void)in;
    return (out.scale == 0 || plain) &&
           window_size(&a.shape) * (size_t)(a.shape.in_channels / groups) <= CN_BYTES_DEPTH;
}

static size_t affine_bytes_packed_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return cn_bytes_packed_size(&affine.shape);
}

static void affine_bytes_pack(const struct cn_step *step, const float *parameters,
                              const float *scales, float *packed) {
    const struct cn_affine *a = &step->affine;
    cn_bytes_pack(packed, parameters, bias_of(a, parameters), scales, &a->shape, step->bytes.in[0],
                  step->bytes.out);
}

static size_t affine_bytes_scratch_size(const struct cn_step *step) {
    return affine_scratch_floats(&step->affine, (struct affine_numbers){1, 0});
}

static void affine_bytes_fold(const struct cn_layer *layer, float *packed, const float *scale,
                              const float *shift) {
    const struct cn_affine affine = layer->type->affine(layer);
    (void)shift; /* zero: nothing but a temperature is folded into a quantized layer */
    cn_bytes_scale(packed, &affine.shape, scale);
}

static void affine_bytes_infer_part(const struct cn_step *step, const float *const *inputs,
                                    size_t count, float *y, float *scratch, size_t part,
                                    size_t parts) {
    const struct cn_requantize finish =
        cn_requantize_to(step->bytes.out, step->affine.activation == CN_ACTIVATION_RELU);
    affine_run(&(struct affine_run){.affine = &step->affine,
                                    .pooling = step->pooled ? &step->pooling : NULL,
                                    .packed = step->packed,
                                    .finish = &finish,
                                    .in = {1, step->bytes.in[0].zero},
                                    .out = {finish.floats ? sizeof(float) : 1, 0},
                                    .x = (const char *)inputs[0],
                                    .y = (char *)y,
                                    .scratch = (char *)scratch,
                                    .count = count,
                                    .part = part,
                                    .parts = parts});
}

static void affine_bytes_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                               float *y, float *scratch) {
    affine_bytes_infer_part(step, inputs, count, y, scratch, 0, 1);
}

static const char *affine_bytes_kernel(const struct cn_step *step) {
    if (cn_conv2d_is_depthwise(&step->affine.shape))
        return "depthwise, bytes";
    return step->pooled ? "tiles, maxima, bytes" : "tiles, bytes";
}

#define AFFINE_BYTES                                                                               \
    .prepare = cn_affine_prepare, .infer = affine_bytes_infer,                                     \
    .infer_part = affine_bytes_infer_part, .kernel = affine_bytes_kernel,                          \
    .packed_size = affine_bytes_packed_size, .pack_bytes = affine_bytes_pack,                      \
    .scratch_size = affine_bytes_scratch_size, .fold = affine_bytes_fold, .takes = affine_takes

const struct cn_layer_inference cn_affine_bytes = {AFFINE_BYTES};
const struct cn_layer_inference cn_convolution_bytes = {
    AFFINE_BYTES, .absorb_maxima = cn_affine_absorb_maxima, .takes_border = true};

/* ---- Training ---- */

enum { GROUP_PIXELS = 64 }; /* rows of a matrix product that make a call worthwhile */

/* The number of samples per call of the kernels. */
static size_t group_size(const struct cn_affine *a) {
    const size_t pixels = output_pixels(&a->shape);
    return is_matrix(a) ? (GROUP_PIXELS + pixels - 1) / pixels : 1;
}

/* Offsets into the packed parameters: forward kernel | bias | kernel of the input's gradient. */
struct packed_parts {
    size_t bias, back, end;
};

static struct packed_parts packed_parts_of(const struct cn_affine *a) {
    const struct cn_conv2d s = group_shape(a, 1);
    struct packed_parts parts;
    parts.bias = cn_conv2d_kernel_size(&s);
    parts.back = cn_conv2d_packed_size(&s);
    parts.end = parts.back + (size_t)s.kernel_height * (size_t)s.out_channels *
                                 padded(s.kernel_width * s.in_channels);
    return parts;
}

static size_t affine_training_packed_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return packed_parts_of(&affine).end;
}

/* back[out_channels, padded(depth)] from w[depth, out_channels], one kernel row. */
static void transpose(float *back, const float *w, size_t depth, size_t channels) {
    const size_t row = padded((int)depth);
    memset(back, 0, channels * row * sizeof *back);
    for (size_t k = 0; k < depth; k++)
        for (size_t o = 0; o < channels; o++)
            back[o * row + k] = w[k * channels + o];
}

static void affine_training_pack(const struct cn_layer *layer, const float *parameters,
                                 float *packed) {
    const struct cn_affine affine = layer->type->affine(layer);
    const struct cn_conv2d s = group_shape(&affine, 1);
    const size_t channels = (size_t)s.out_channels;
    const size_t depth = (size_t)s.kernel_width * (size_t)s.in_channels;
    cn_conv2d_pack(packed, parameters, bias_of(&affine, parameters), &s);
    for (size_t i = 0; i < (size_t)s.kernel_height; i++)
        transpose(packed + packed_parts_of(&affine).back + i * channels * padded((int)depth),
                  parameters + i * depth * channels, depth, channels);
}

/* True if the rows of dw are the gradients' own rows, which then need no padding. */
static bool is_even(const struct cn_affine *a) {
    return a->shape.out_channels % CN_LANES == 0;
}

/* Scratch: padded x | dz | dw | db | padded dx; dw and db unless is_even. */
struct scratch_parts {
    size_t dz, dw, db, dx, end;
};

static struct scratch_parts scratch_parts_of(const struct cn_affine *a) {
    const struct cn_conv2d s = group_shape(a, group_size(a));
    const size_t border = needs_padding(a) ? cn_floats_aligned(padded_input_size(&s)) : 0;
    struct scratch_parts parts = {.dz = border};
    parts.dw = parts.dz + output_pixels(&s) * padded(s.out_channels);
    parts.db = parts.dw + window_size(&s) * (size_t)s.in_channels * padded(s.out_channels);
    parts.dx = parts.db + padded(s.out_channels);
    if (is_even(a))
        parts.db = parts.dx = parts.dw;
    parts.end = parts.dx + border;
    return parts;
}

static size_t affine_training_scratch_size(const struct cn_layer *layer) {
    const struct cn_affine affine = layer->type->affine(layer);
    return scratch_parts_of(&affine).end;
}

static void affine_forward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_affine a = layer->type->affine(layer);
    const size_t group = group_size(&a), out = cn_shape_size(&layer->output_shape);
    const bool relu = a.activation == CN_ACTIVATION_RELU;
    for (size_t n = 0; n < pass->count; n += group) {
        const size_t count = pass->count - n < group ? pass->count - n : group;
        const struct cn_conv2d s = group_shape(&a, count);
        float *y = pass->y + n * out;
        cn_kernels()->conv2d(y, cn_affine_pad(&a, pass->x + n * input_size(&a), pass->scratch),
                             pass->packed, pass->packed + packed_parts_of(&a).bias, &s, relu);
        if (!relu)
            cn_activation_forward(y, output_pixels(&s), (size_t)s.out_channels, a.activation);
    }
}

/* Computes dz from dy through the activation and adds dz to the bias's gradient. Returns dz, which
 * is a separate buffer, or dy if they are equal. */
static const float *activation_gradient(const struct cn_affine *a, const struct cn_conv2d *s,
                                        bool dy_is_dz, const float *dy, const float *y, float *dz,
                                        float *db) {
    const struct cn_backward_kernels *kernels = cn_kernels()->backward;
    const size_t pixels = output_pixels(s), channels = (size_t)s->out_channels;
    const size_t stride = padded(s->out_channels);
    const enum cn_activation activation = dy_is_dz ? CN_ACTIVATION_LINEAR : a->activation;
    if (activation == CN_ACTIVATION_RELU && a->use_bias) {
        kernels->relu_gradient(dz, db, dy, y, pixels, channels);
        return dz;
    }
    const bool same = activation == CN_ACTIVATION_LINEAR && stride == channels;
    if (!same)
        cn_activation_backward(dz, stride, dy, y, pixels, channels, activation);
    if (a->use_bias)
        kernels->add_rows(db, same ? dy : dz, pixels, channels, stride);
    return same ? dy : dz;
}

/* Computes dx of one group from its dz; `border` has room for dx with its padding. */
static void input_gradient(const struct cn_affine *a, const struct cn_conv2d *s, const float *back,
                           const float *dz, float *border, float *dx) {
    float *to = needs_padding(a) ? border : dx;
    memset(to, 0, padded_input_size(s) * sizeof *to);
    cn_kernels()->backward->conv2d_input_gradient(to, dz, back, s);
    if (!needs_padding(a))
        return;
    const size_t channels = (size_t)s->in_channels, row = (size_t)a->width * channels;
    for (int i = 0; i < a->height; i++)
        memcpy(dx + (size_t)i * row,
               border + ((size_t)(i + a->pad_top) * (size_t)s->in_width + (size_t)a->pad_left) *
                            channels,
               row * sizeof *dx);
}

/* Adds dw and db, whose rows are padded, to the layer's gradients. */
static void add_gradients(const struct cn_affine *a, const float *dw, float *gradients) {
    const size_t channels = (size_t)a->shape.out_channels, stride = padded(a->shape.out_channels);
    const size_t rows = window_size(&a->shape) * (size_t)a->shape.in_channels + a->use_bias;
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < channels; c++)
            gradients[i * channels + c] += dw[i * stride + c];
}

static void affine_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const struct cn_affine a = layer->type->affine(layer);
    const struct scratch_parts parts = scratch_parts_of(&a);
    const size_t group = group_size(&a), in = input_size(&a);
    const size_t out = cn_shape_size(&layer->output_shape);
    const size_t rows = window_size(&a.shape) * (size_t)a.shape.in_channels;
    float *dw = is_even(&a) ? pass->gradients : pass->scratch + parts.dw;
    float *db = is_even(&a) ? dw + rows * (size_t)a.shape.out_channels : pass->scratch + parts.db;
    if (!is_even(&a)) /* also dz, for the columns of its padding */
        memset(pass->scratch + parts.dz, 0, (parts.dx - parts.dz) * sizeof *dw);
    for (size_t n = 0; n < pass->count; n += group) {
        const size_t count = pass->count - n < group ? pass->count - n : group;
        const struct cn_conv2d s = group_shape(&a, count);
        const float *dz = activation_gradient(&a, &s, pass->dy_is_dz, pass->dy + n * out,
                                              pass->y + n * out, pass->scratch + parts.dz, db);
        const float *x = cn_affine_pad(&a, pass->x + n * in, pass->scratch);
        cn_kernels()->backward->conv2d_kernel_gradient(dw, x, dz, &s);
        if (pass->dx != NULL)
            input_gradient(&a, &s, pass->packed + packed_parts_of(&a).back, dz,
                           pass->scratch + parts.dx, pass->dx + n * in);
    }
    if (!is_even(&a))
        add_gradients(&a, dw, pass->gradients);
}

const struct cn_layer_training cn_affine_training = {.forward = affine_forward,
                                                     .backward = affine_backward,
                                                     .packed_size = affine_training_packed_size,
                                                     .pack = affine_training_pack,
                                                     .scratch_size = affine_training_scratch_size};
