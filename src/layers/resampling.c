/* resampling.c: Keras's ZeroPadding, Cropping, UpSampling and Resizing over one or two axes: each
 * pixel of the output is a weighted sum of at most two rows and two columns of the input, or zero.
 * No state. */
#include <math.h>
#include <string.h>

#include "layers/window.h"

enum resample_op { RESAMPLE_PAD, RESAMPLE_CROP, RESAMPLE_SCALE, RESAMPLE_SIZE };
enum { NEAREST, BILINEAR };
static const char *const interpolation_names[] = {"nearest", "bilinear", NULL};

struct resample_config {
    enum resample_op op; /* set by the type, not by a key */
    int axes;            /* set by the type, not by a key */
    int sides[4];        /* for padding and cropping */
    int size[2];         /* factors, or the new height and width */
    int interpolation;
};

#define OP(operation, count, ...)                                                                  \
    { .op = operation, .axes = count, __VA_ARGS__ }
static const struct resample_config padding2d_defaults = OP(RESAMPLE_PAD, 2, .sides = {1, 1, 1, 1});
static const struct resample_config padding1d_defaults = OP(RESAMPLE_PAD, 1, .sides = {0, 0, 1, 1});
static const struct resample_config cropping2d_defaults = OP(RESAMPLE_CROP, 2, .size = {0});
static const struct resample_config cropping1d_defaults =
    OP(RESAMPLE_CROP, 1, .sides = {0, 0, 1, 1});
static const struct resample_config scale2d_defaults = OP(RESAMPLE_SCALE, 2, .size = {2, 2});
static const struct resample_config scale1d_defaults = OP(RESAMPLE_SCALE, 1, .size = {1, 2});
static const struct resample_config resizing_defaults =
    OP(RESAMPLE_SIZE, 2, .interpolation = BILINEAR);

#define AT(member) offsetof(struct resample_config, member)
#define SIDES(name, kind)                                                                          \
    { name, kind, AT(sides), false, false, 0, 1 << 16, NULL }
#define INTERPOLATION                                                                              \
    { "interpolation", CN_FIELD_ENUM, AT(interpolation), false, false, 0, 0, interpolation_names }
static const struct cn_field padding2d_fields[] = {SIDES("padding", CN_FIELD_INT_SIDES)};
static const struct cn_field padding1d_fields[] = {SIDES("padding", CN_FIELD_INT_ENDS)};
static const struct cn_field cropping2d_fields[] = {SIDES("cropping", CN_FIELD_INT_SIDES)};
static const struct cn_field cropping1d_fields[] = {SIDES("cropping", CN_FIELD_INT_ENDS)};
static const struct cn_field scale2d_fields[] = {
    {"size", CN_FIELD_INT_PAIR, AT(size), false, false, 1, 1 << 12, NULL}, INTERPOLATION};
static const struct cn_field scale1d_fields[] = {
    {"size", CN_FIELD_INT_WIDTH, AT(size), false, false, 1, 1 << 12, NULL}};
static const struct cn_field resizing_fields[] = {
    {"height", CN_FIELD_INT, AT(size[0]), true, false, 1, 1 << 16, NULL},
    {"width", CN_FIELD_INT, AT(size[1]), true, false, 1, 1 << 16, NULL},
    INTERPOLATION};

static const struct resample_config *config_of(const struct cn_layer *layer) {
    return (const struct resample_config *)(const void *)layer->config;
}

/* One axis: its length before and after. */
struct axis {
    int in, out, before; /* before: zeros of padding, or cropped pixels (negative) */
    bool scaled, bilinear;
};

static void axes_of(const struct cn_layer *layer, const struct cn_shape *image,
                    struct axis axes[2]) {
    const struct resample_config *c = config_of(layer);
    for (int i = 0; i < 2; i++) {
        const int before = c->sides[2 * i], after = c->sides[2 * i + 1], in = image->dims[i];
        axes[i] = (struct axis){.in = in, .bilinear = c->interpolation == BILINEAR};
        axes[i].scaled = c->op == RESAMPLE_SCALE || c->op == RESAMPLE_SIZE;
        if (c->op == RESAMPLE_PAD || c->op == RESAMPLE_CROP) {
            axes[i].before = c->op == RESAMPLE_PAD ? before : -before;
            axes[i].out = c->op == RESAMPLE_PAD ? in + before + after : in - before - after;
        } else if (c->op == RESAMPLE_SIZE) {
            axes[i].out = c->size[i];
        } else {
            const long long out = (long long)in * c->size[i];
            axes[i].out = out > CN_SHAPE_MAX_ELEMENTS ? CN_SHAPE_MAX_ELEMENTS + 1 : (int)out;
        }
    }
}

static enum cn_status resample_build(struct cn_layer *layer, struct cn_error *error) {
    struct cn_shape image;
    struct axis axes[2];
    char text[CN_SHAPE_TEXT];
    const enum cn_status status = cn_layer_image(layer, config_of(layer)->axes, &image, error);
    if (status != CN_OK)
        return status;
    axes_of(layer, &image, axes);
    if (axes[0].out < 1 || axes[1].out < 1)
        return cn_fail(error, CN_INVALID, "layer \"%s\" (%s) leaves nothing of its input %s",
                       layer->name, layer->type->class_name,
                       cn_shape_format(&layer->input_shape, text));
    layer->output_shape =
        cn_axes_shape(config_of(layer)->axes, axes[0].out, axes[1].out, image.dims[2]);
    return CN_OK;
}

/* The input pixels of output pixel `at`; returns how many. Scaling is TensorFlow's, whose pixels
 * have their centres at halves. */
static int taps_of(const struct axis *axis, int at, int pixels[2], float weights[2]) {
    weights[0] = 1;
    pixels[0] = at - axis->before;
    if (!axis->scaled)
        return pixels[0] >= 0 && pixels[0] < axis->in ? 1 : 0;
    const double place = (at + 0.5) * axis->in / axis->out - (axis->bilinear ? 0.5 : 0);
    pixels[0] = (int)floor(place);
    if (!axis->bilinear) {
        pixels[0] = pixels[0] < axis->in ? pixels[0] : axis->in - 1;
        return 1;
    }
    weights[1] = (float)(place - pixels[0]);
    weights[0] = 1 - weights[1];
    pixels[1] = pixels[0] + 1 < axis->in ? pixels[0] + 1 : axis->in - 1;
    pixels[0] = pixels[0] > 0 ? pixels[0] : 0;
    return 2;
}

/* Adds weight * from to `to`, pixel by pixel: forward from x to y, back from y's gradient to x's.
 */
static void resample_sample(const struct cn_layer *layer, const float *from, float *to, bool back) {
    struct cn_shape image;
    struct axis axes[2];
    int rows[2], columns[2];
    float row_weights[2], column_weights[2];
    (void)cn_layer_image(layer, config_of(layer)->axes, &image, NULL);
    axes_of(layer, &image, axes);
    const size_t channels = (size_t)image.dims[2];
    for (int i = 0; i < axes[0].out; i++) {
        const int down = taps_of(&axes[0], i, rows, row_weights);
        for (int j = 0; j < axes[1].out; j++) {
            const size_t out = ((size_t)i * (size_t)axes[1].out + (size_t)j) * channels;
            const int right = taps_of(&axes[1], j, columns, column_weights);
            if (down * right == 1 && !back) { /* one pixel as it is */
                const size_t in = (size_t)rows[0] * (size_t)axes[1].in + (size_t)columns[0];
                memcpy(to + out, from + in * channels, channels * sizeof *to);
                continue;
            }
            for (int a = 0; a < down; a++)
                for (int b = 0; b < right; b++) {
                    const size_t in =
                        ((size_t)rows[a] * (size_t)axes[1].in + (size_t)columns[b]) * channels;
                    const float weight = row_weights[a] * column_weights[b];
                    const float *source = from + (back ? out : in);
                    float *sum = to + (back ? in : out);
                    for (size_t c = 0; c < channels; c++)
                        sum[c] += weight * source[c];
                }
        }
    }
}

static void resample_infer(const struct cn_step *step, const float *const *inputs, size_t count,
                           float *y, float *scratch) {
    const struct cn_layer *layer = &step->layer;
    const float *x = inputs[0];
    (void)scratch;
    const size_t in = cn_shape_size(&layer->input_shape), out = cn_shape_size(&layer->output_shape);
    memset(y, 0, count * out * sizeof *y);
    for (size_t n = 0; n < count; n++)
        resample_sample(layer, x + n * in, y + n * out, false);
}

static void resample_backward(const struct cn_layer *layer, const struct cn_pass *pass) {
    const size_t in = cn_shape_size(&layer->input_shape), out = cn_shape_size(&layer->output_shape);
    if (pass->dx == NULL)
        return;
    memset(pass->dx, 0, pass->count * in * sizeof *pass->dx);
    for (size_t n = 0; n < pass->count; n++)
        resample_sample(layer, pass->dy + n * out, pass->dx + n * in, true);
}

/* On bytes: padding and cropping, which only move pixels. */
static bool resample_takes(const struct cn_layer *layer, const struct cn_byte_range *in,
                           struct cn_byte_range out) {
    const enum resample_op op = config_of(layer)->op;
    return (op == RESAMPLE_PAD || op == RESAMPLE_CROP) && in->scale == out.scale &&
           in->zero == out.zero;
}

static void resample_bytes_infer(const struct cn_step *step, const float *const *inputs,
                                 size_t count, float *y, float *scratch) {
    struct cn_shape image;
    struct axis axes[2];
    (void)scratch;
    (void)cn_layer_image(&step->layer, config_of(&step->layer)->axes, &image, NULL);
    axes_of(&step->layer, &image, axes);
    const size_t pixel = (size_t)image.dims[2], row = (size_t)axes[1].in * pixel;
    const int zeros = axes[1].before > 0 ? axes[1].before : 0, skipped = zeros - axes[1].before;
    const int kept =
        axes[1].in - skipped < axes[1].out - zeros ? axes[1].in - skipped : axes[1].out - zeros;
    const uint8_t *x = (const uint8_t *)inputs[0];
    uint8_t *to = (uint8_t *)y;
    for (size_t n = 0; n < count; n++, x += (size_t)axes[0].in * row)
        for (int i = 0; i < axes[0].out; i++, to += (size_t)axes[1].out * pixel) {
            const int from = i - axes[0].before;
            memset(to, step->bytes.out.zero, (size_t)axes[1].out * pixel);
            if (from >= 0 && from < axes[0].in)
                memcpy(to + (size_t)zeros * pixel, x + (size_t)from * row + (size_t)skipped * pixel,
                       (size_t)kept * pixel);
        }
}

static const char *resample_bytes_kernel(const struct cn_step *step) {
    (void)step;
    return "bytes";
}

static const struct cn_layer_inference resample_bytes = {.infer = resample_bytes_infer,
                                                         .kernel = resample_bytes_kernel,
                                                         .takes = resample_takes,
                                                         .one_range = true};

static const struct cn_layer_training resample_training = {.backward = resample_backward};
/* The border of padding; negative values, which no layer accepts, for other types. */
static struct cn_border resample_border(const struct cn_layer *layer) {
    const int *sides = config_of(layer)->sides;
    return config_of(layer)->op == RESAMPLE_PAD
               ? (struct cn_border){sides[0], sides[1], sides[2], sides[3]}
               : (struct cn_border){-1, -1, -1, -1};
}

static const struct cn_layer_inference resample_inference = {
    .infer = resample_infer, .border = resample_border, .bytes = &resample_bytes};

#define RESAMPLE(prefix)                                                                           \
    CN_LAYER_KEYS(prefix##_defaults, prefix##_fields),                                             \
        .build = resample_build, .training = &resample_training, .inference = &resample_inference

const struct cn_layer_type cn_zero_padding2d_type = {
    .class_name = "ZeroPadding2D", .onnx = "Pad", RESAMPLE(padding2d)};
const struct cn_layer_type cn_zero_padding1d_type = {.class_name = "ZeroPadding1D",
                                                     RESAMPLE(padding1d)};
const struct cn_layer_type cn_cropping2d_type = {.class_name = "Cropping2D", RESAMPLE(cropping2d)};
const struct cn_layer_type cn_cropping1d_type = {.class_name = "Cropping1D", RESAMPLE(cropping1d)};
const struct cn_layer_type cn_up_sampling2d_type = {
    .class_name = "UpSampling2D", .onnx = "Resize Upsample", RESAMPLE(scale2d)};
const struct cn_layer_type cn_up_sampling1d_type = {.class_name = "UpSampling1D",
                                                    RESAMPLE(scale1d)};
const struct cn_layer_type cn_resizing_type = {.class_name = "Resizing", RESAMPLE(resizing)};
