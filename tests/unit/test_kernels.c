/* test_kernels.c: compares the vector kernels of every instruction set of this machine with the
 * oracle. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "convnet/plan.h"
#include "kernels/activate.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"
#include "kernels/pooling.h"
#include "kernels/winograd.h"
#include "support/convolutions.h"
#include "support/naive.h"
#include "support/networks.h"

static size_t weights_of_output(const struct cn_conv2d *s) {
    return (size_t)(s->kernel_height * s->kernel_width *
                    (s->in_channels / (s->groups > 1 ? s->groups : 1)));
}

static void check_forward(const struct cn_kernels *kernels, const struct cn_conv2d *s, bool relu) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = weights_of_output(s);
    const size_t out = (size_t)(s->out_height * s->out_width * s->out_channels);
    float *x = test_floats(in, -1, 1, 1), *b = test_floats((size_t)s->out_channels, -1, 1, 2);
    float *w = test_floats(rows * (size_t)s->out_channels, -1, 1, 3);
    float *packed = cn_floats_allocate(cn_conv2d_packed_size(s));
    const float *bias = packed + cn_conv2d_kernel_size(s);
    cn_conv2d_pack(packed, w, b, s);
    float *y = malloc((out + 1) * sizeof *y);
    double *expected = malloc(out * sizeof *expected);
    y[out] = 42;
    naive_conv2d(expected, x, w, b, s, relu);
    kernels->conv2d(y, x, packed, bias, s, relu);
    for (size_t i = 0; i < out; i++)
        cr_assert_float_eq((double)y[i], expected[i], 1e-5 * sqrt((double)rows),
                           "%s: output %zu is %g, not %g", kernels->name, i, (double)y[i],
                           expected[i]);
    cr_assert_eq(y[out], 42.0f, "%s wrote past the end", kernels->name);
    free(x);
    free(b);
    free(w);
    free(packed);
    free(y);
    free(expected);
}

/* The maximum of each 2 x 2 outputs of a convolution; an odd row or column at the end is included
 * or dropped. */
static void check_pooled(const struct cn_kernels *kernels, const struct cn_conv2d *s, bool keep) {
    const int height = (s->out_height + keep) / 2, width = (s->out_width + keep) / 2;
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = weights_of_output(s);
    const size_t channels = (size_t)s->out_channels;
    const size_t out = (size_t)(s->out_height * s->out_width) * channels;
    const size_t pooled_out = (size_t)(height * width) * channels;
    float *x = test_floats(in, -1, 1, 1), *b = test_floats(channels, -1, 1, 2);
    float *w = test_floats(rows * channels, -1, 1, 3);
    float *packed = cn_floats_allocate(cn_conv2d_packed_size(s));
    const float *bias = packed + cn_conv2d_kernel_size(s);
    cn_conv2d_pack(packed, w, b, s);
    float *y = malloc((pooled_out + 1) * sizeof *y);
    double *all = malloc(out * sizeof *all);
    y[pooled_out] = 42;
    naive_conv2d(all, x, w, b, s, true);
    kernels->conv2d_max_pooled(y, x, packed, bias, s, true, height, width);
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++)
            for (size_t c = 0; c < channels; c++) {
                double largest = -1;
                for (int r = 2 * i; r < 2 * i + 2 && r < s->out_height; r++)
                    for (int k = 2 * j; k < 2 * j + 2 && k < s->out_width; k++)
                        largest = fmax(largest, all[(size_t)(r * s->out_width + k) * channels + c]);
                cr_assert_float_eq((double)y[(size_t)(i * width + j) * channels + c], largest,
                                   1e-5 * sqrt((double)rows), "%s: pooled %d, %d, %zu",
                                   kernels->name, i, j, c);
            }
    cr_assert_eq(y[pooled_out], 42.0f, "%s wrote past the end", kernels->name);
    free(x);
    free(b);
    free(w);
    free(packed);
    free(y);
    free(all);
}

Test(kernels, every_instruction_set_agrees_with_the_definition) {
    size_t tables = 0;
    struct cn_conv2d shape;
    for (const struct cn_kernels *k; (k = cn_kernels_at(tables)) != NULL; tables++)
        for (size_t i = 0; test_convolution_at(i, &shape); i++) {
            check_forward(k, &shape, false);
            check_forward(k, &shape, true);
            check_pooled(k, &shape, false);
            check_pooled(k, &shape, true);
        }
    cr_assert_geq(tables, 1);
}

Test(kernels, any_geometry_agrees_with_the_definition) {
    struct cn_random random = cn_random_stream(13, 0, 0, 0);
    for (int i = 0; i < 160; i++) {
        const struct cn_conv2d shape = test_convolution_by_chance(&random);
        const struct cn_kernels *k;
        for (size_t table = 0; (k = cn_kernels_at(table)) != NULL; table++) {
            check_forward(k, &shape, i % 2 == 0);
            if (!cn_conv2d_is_depthwise(&shape)) /* the plan pools these outputs separately */
                check_pooled(k, &shape, i % 4 < 2);
        }
    }
}

/* A depthwise convolution that leaves out its border gives the bits of one whose border is stored
 * as zeros. */
static void check_border(const struct cn_kernels *kernels) {
    struct cn_random random = cn_random_stream(14, 0, 0, 0);
    for (int i = 0; i < 200; i++) {
        struct cn_conv2d padded = test_convolution_by_chance(&random);
        padded.groups = padded.out_channels = padded.in_channels = 2 + i % 40;
        padded.kernel_width = i % 2 == 0 ? 3 : 5;
        padded.column_stride = 1 + i % 3 % 2;
        padded.column_dilation = 1;
        padded.in_width += padded.kernel_width;
        padded.out_width = (padded.in_width - padded.kernel_width) / padded.column_stride + 1;
        struct cn_conv2d s = padded;
        const int bottom = (int)cn_random_below(&random, (unsigned)s.in_height);
        const int right = (int)cn_random_below(&random, (unsigned)s.in_width);
        s.border_top = (int)cn_random_below(&random, (unsigned)(s.in_height - bottom));
        s.border_left = (int)cn_random_below(&random, (unsigned)(s.in_width - right));
        s.in_height -= bottom + s.border_top;
        s.in_width -= right + s.border_left;
        const size_t channels = (size_t)s.in_channels, row = (size_t)s.in_width * channels;
        const size_t pixels = (size_t)padded.in_height * (size_t)padded.in_width;
        const size_t out = (size_t)s.out_height * (size_t)s.out_width * channels;
        float *x = test_floats((size_t)s.in_height * row, -1, 1, 1);
        float *all = calloc(pixels * channels, sizeof *all);
        float *packed = test_floats(cn_conv2d_packed_size(&s), -1, 1, 2);
        float *y = calloc(out, sizeof *y), *expected = calloc(out, sizeof *y);
        for (int k = 0; k < s.in_height; k++)
            memcpy(all + ((size_t)(k + s.border_top) * (size_t)padded.in_width +
                          (size_t)s.border_left) *
                             channels,
                   x + (size_t)k * row, row * sizeof *x);
        const float *b = packed + cn_conv2d_kernel_size(&s);
        kernels->conv2d(expected, all, packed, b, &padded, false);
        kernels->conv2d(y, x, packed, b, &s, false);
        cr_assert_eq(memcmp(y, expected, out * sizeof *y), 0, "%s: %d x %d, border %d, %d",
                     kernels->name, s.in_height, s.in_width, s.border_top, s.border_left);
        free(x);
        free(all);
        free(packed);
        free(y);
        free(expected);
    }
}

/* The input pixels of a window's rows are more than an int counts. */
static void check_high_window(const struct cn_kernels *kernels) {
    enum { WIDTH = 1 << 20, HEIGHT = 1 << 12 };
    const struct cn_conv2d s = {.in_height = 1,
                                .in_width = WIDTH,
                                .in_channels = 2,
                                .out_height = 1,
                                .out_width = WIDTH,
                                .out_channels = 2,
                                .kernel_height = HEIGHT,
                                .kernel_width = 3,
                                .row_stride = 1,
                                .column_stride = 1,
                                .groups = 2,
                                .border_top = HEIGHT / 2,
                                .border_left = 1};
    float *x = test_floats((size_t)WIDTH * 2, 1, 1, 1), *y = cn_floats_allocate((size_t)WIDTH * 2);
    float *packed = test_floats(cn_conv2d_packed_size(&s), 1, 1, 2);
    kernels->conv2d(y, x, packed, packed + cn_conv2d_kernel_size(&s), &s, false);
    cr_assert_eq(y[0], 3.0f); /* the bias and two products */
    cr_assert_eq(y[2], 4.0f);
    free(x);
    free(y);
    free(packed);
}

/* Calls `check` with each table of kernels that this machine can run. */
static void with_each_table(void (*check)(const struct cn_kernels *kernels)) {
    const struct cn_kernels *kernels;
    for (size_t i = 0; (kernels = cn_kernels_at(i)) != NULL; i++)
        check(kernels);
}

/* The pixels of a line, like the images of a Dense, each have the bits that they have alone, with
 * all tiles. */
static void check_product(const struct cn_kernels *kernels) {
    enum { IN = 37, OUT = 150, MOST = 60 };
    struct cn_conv2d s = {.in_height = 1,
                          .in_width = 1,
                          .in_channels = IN,
                          .out_height = 1,
                          .out_width = 1,
                          .out_channels = OUT,
                          .kernel_height = 1,
                          .kernel_width = 1,
                          .row_stride = 1,
                          .column_stride = 1};
    float *x = test_floats(IN * MOST, -1, 1, 1), *w = test_floats(IN * OUT, -1, 1, 2);
    float *packed = cn_floats_allocate(cn_conv2d_packed_size(&s)), *alone = malloc(MOST * OUT * 4);
    float *y = malloc(MOST * OUT * 4);
    cn_conv2d_pack(packed, w, NULL, &s);
    for (int i = 0; i < MOST; i++)
        kernels->conv2d(alone + i * OUT, x + i * IN, packed, packed + cn_conv2d_kernel_size(&s), &s,
                        false);
    for (int count = 2; count <= MOST; count++) {
        s.in_width = s.out_width = count;
        kernels->conv2d(y, x, packed, packed + cn_conv2d_kernel_size(&s), &s, false);
        cr_assert_eq(memcmp(y, alone, (size_t)count * OUT * sizeof *y), 0, "%s: %d pixels",
                     kernels->name, count);
    }
    free(x);
    free(w);
    free(packed);
    free(alone);
    free(y);
}

Test(kernels, product_gives_a_pixel_the_same_bits_in_any_line) {
    with_each_table(check_product);
}

Test(kernels, a_border_that_is_left_out_changes_no_bit) {
    with_each_table(check_border);
}

Test(kernels, a_depthwise_window_may_be_high_and_its_picture_wide) {
    with_each_table(check_high_window);
}

static void check_dense(const struct cn_kernels *kernels) {
    static const struct cn_dense shapes[] = {{1, 1},    {16, 10}, {32, 10}, {800, 10},
                                             {33, 128}, {17, 7},  {100, 3}, {5, 13}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const size_t in = (size_t)shapes[i].in, out = (size_t)shapes[i].out, count = 7;
        float *x = test_floats(count * in, -1, 1, 1), *w = test_floats(in * out, -1, 1, 2);
        float *b = test_floats(out, -1, 1, 3), *y = malloc((count * out + 1) * sizeof *y);
        float *packed = cn_floats_allocate((size_t)cn_padded(shapes[i].in) * out);
        for (size_t k = 0; k < in; k++)
            for (size_t o = 0; o < out; o++)
                packed[(k / CN_LANES * out + o) * CN_LANES + k % CN_LANES] = w[k * out + o];
        y[count * out] = 42;
        kernels->dense(y, x, packed, b, &shapes[i], count, false);
        for (size_t n = 0; n < count; n++)
            for (size_t o = 0; o < out; o++) {
                double sum = (double)b[o];
                for (size_t k = 0; k < in; k++)
                    sum += (double)x[n * in + k] * (double)w[k * out + o];
                cr_assert_float_eq((double)y[n * out + o], sum, 1e-5 * sqrt((double)in),
                                   "%s: %zu to %zu", kernels->name, in, out);
            }
        cr_assert_eq(y[count * out], 42.0f, "%s wrote past the end", kernels->name);
        float *alone = malloc(out * sizeof *alone);
        kernels->dense(alone, x + (count - 3) * in, packed, b, &shapes[i], 1, true);
        for (size_t o = 0; o < out; o++) {
            const float linear = y[(count - 3) * out + o];
            cr_assert_eq(alone[o], linear > 0 ? linear : 0.0f, "the batch changed a bit");
        }
        free(x);
        free(w);
        free(b);
        free(y);
        free(packed);
        free(alone);
    }
}

Test(kernels, dense_gives_an_image_the_same_bits_in_any_batch) {
    with_each_table(check_dense);
}

Test(kernels, environment_lowers_the_instruction_set) {
    cr_assert_eq(setenv("CONVNET_ISA", "portable", 1), 0);
    cr_assert_str_eq(cn_instruction_set(), "portable");
}

static void check_softmax(const struct cn_kernels *kernels) {
    float rows[3][4] = {{1e30f, -1e30f, 0, 3}, {-88, -89, -90, -91}, {5, 5, 5, 5}};
    kernels->softmax(rows[0], 3, 4);
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += (double)rows[i][k];
        cr_assert_float_eq(sum, 1, 1e-6);
    }
    cr_assert_eq(rows[0][0], 1.0f);
    cr_assert_eq(rows[2][1], 0.25f);
    for (int width = 1; width < 70; width += 3) {
        float *z = test_floats((size_t)width, -20, 20, (uint64_t)width);
        double expected[70], sum = 0;
        float largest = z[0];
        for (int k = 1; k < width; k++)
            largest = z[k] > largest ? z[k] : largest;
        for (int k = 0; k < width; k++) /* the difference as the definition rounds it */
            sum += expected[k] = exp((double)(z[k] - largest));
        kernels->softmax(z, 1, width);
        for (int k = 0; k < width; k++)
            cr_assert_float_eq((double)z[k] / (expected[k] / sum), 1, 3e-7, "%s: %d of %d",
                               kernels->name, k, width);
        free(z);
    }
}

Test(kernels, softmax_of_extremes_sums_to_one) {
    with_each_table(check_softmax);
}

static void check_pooling(const struct cn_kernels *kernels) {
    enum { CHANNELS = 37 }; /* complete vectors and a partial one */
    const struct cn_pooling shape = {3, 3, CHANNELS, 2, 2, 2, 2, 2, 2, 0, 0};
    float x[9 * CHANNELS], most[4 * CHANNELS], mean[4 * CHANNELS];
    for (int i = 0; i < 9 * CHANNELS; i++)
        x[i] = (float)(-1 - i / CHANNELS) - (float)(i % CHANNELS);
    kernels->max_pooling(most, x, &shape);
    kernels->average_pooling(mean, x, &shape);
    for (int c = 0; c < CHANNELS; c++) {
        const float shift = (float)c;
        cr_assert_eq(most[c], -1 - shift);
        cr_assert_eq(most[CHANNELS + c], -3 - shift);
        cr_assert_eq(most[3 * CHANNELS + c], -9 - shift,
                     "padding must not win over a negative maximum");
        cr_assert_eq(mean[c], -3 - shift);
        cr_assert_eq(mean[CHANNELS + c], -4.5f - shift, "padding must not count in the mean");
    }
}

Test(kernels, pooling_ignores_what_is_outside) {
    with_each_table(check_pooling);
}

static void check_scale_shift(const struct cn_kernels *kernels) {
    enum { CHANNELS = 19, ROWS = 3 };
    float *x = test_floats(ROWS * CHANNELS, -1, 1, 1), *scale = test_floats(CHANNELS, -2, 2, 2);
    float *shift = test_floats(CHANNELS, -1, 1, 3), y[ROWS * CHANNELS];
    kernels->scale_shift(y, x, scale, shift, ROWS, CHANNELS);
    for (int i = 0; i < ROWS * CHANNELS; i++)
        cr_assert_float_eq((double)y[i],
                           (double)x[i] * (double)scale[i % CHANNELS] + (double)shift[i % CHANNELS],
                           1e-6);
    free(x);
    free(scale);
    free(shift);
}

Test(kernels, scale_and_shift_are_each_channel_s_own) {
    with_each_table(check_scale_shift);
}

/* A 3 x 3 convolution of CHANNELS to 48 channels by Winograd's algorithm, and by the definition. */
struct winograd_case {
    struct cn_conv2d shape;
    float *x, *b, *packed, *scratch;
    double *expected;
};

static struct winograd_case winograd_case_of(int height, int width, int channels) {
    struct winograd_case c = {.shape = {.in_height = height + 2,
                                        .in_width = width + 2,
                                        .in_channels = channels,
                                        .out_height = height,
                                        .out_width = width,
                                        .out_channels = 48,
                                        .kernel_height = 3,
                                        .kernel_width = 3,
                                        .row_stride = 1,
                                        .column_stride = 1,
                                        .ceiling = width % 2 == 0 ? 0 : 6}};
    const size_t rows = weights_of_output(&c.shape);
    c.x = test_floats((size_t)(c.shape.in_height * c.shape.in_width * channels), -1, 1, 1);
    c.b = test_floats(48, -1, 1, 2);
    float *w = test_floats(rows * 48, -1, 1, 3);
    c.packed = cn_floats_allocate(cn_conv2d_packed_size(&c.shape));
    const size_t scratch_size = cn_winograd_scratch_size(&c.shape);
    c.scratch = cn_floats_allocate(scratch_size + 1);
    c.scratch[scratch_size] = 42;
    c.expected = malloc((size_t)(height * width * 48) * sizeof *c.expected);
    cn_conv2d_pack(c.packed, w, c.b, &c.shape);
    naive_conv2d(c.expected, c.x, w, c.b, &c.shape, true);
    for (int i = 0; c.shape.ceiling > 0 && i < height * width * 48; i++)
        c.expected[i] = fmin(c.expected[i], (double)c.shape.ceiling);
    free(w);
    return c;
}

static void winograd_case_free(struct winograd_case *c) {
    free(c->x);
    free(c->b);
    free(c->packed);
    free(c->scratch);
    free(c->expected);
}

static void winograd_run(const struct cn_kernels *kernels, const struct winograd_case *c, float *y,
                         const float *x, const struct cn_conv2d *shape, bool pooled, int height,
                         int width) {
    kernels->winograd(y, x, c->packed, c->packed + cn_conv2d_kernel_size(&c->shape), shape, true,
                      pooled, height, width, c->scratch);
}

/* The bound is that of the direct kernels. */
static void check_winograd(const struct cn_kernels *kernels, int height, int width, int channels) {
    struct winograd_case c = winograd_case_of(height, width, channels);
    const size_t row = (size_t)width * 48, out = (size_t)height * row;
    const double bound = 1e-5 * sqrt((double)weights_of_output(&c.shape));
    float *y = malloc((out + 1) * sizeof *y), *part = malloc((out + 1) * sizeof *part);
    y[out] = 42;
    winograd_run(kernels, &c, y, c.x, &c.shape, false, height, width);
    for (size_t i = 0; i < out; i++)
        cr_assert_float_eq((double)y[i], c.expected[i], bound, "%s: %d x %d: %zu is %g, not %g",
                           kernels->name, height, width, i, (double)y[i], c.expected[i]);
    cr_assert_eq(y[out], 42.0f, "%s wrote past the end", kernels->name);
    cr_assert_eq(c.scratch[cn_winograd_scratch_size(&c.shape)], 42.0f,
                 "%s wrote past the end of its scratch", kernels->name);
    for (int first = 0; first < height; first += 4) { /* bands give the same bits */
        struct cn_conv2d band = c.shape;
        band.out_height = height - first < 4 ? height - first : 4;
        band.in_height = band.out_height + 2;
        winograd_run(kernels, &c, part, c.x + first * band.in_width * channels, &band, false,
                     band.out_height, width);
        cr_assert_arr_eq(part, y + (size_t)first * row,
                         (size_t)band.out_height * row * sizeof *part, "%s: %d x %d, band at %d",
                         kernels->name, height, width, first);
    }
    for (int keep = 0; keep < 2; keep++) { /* the maxima are those of the outputs */
        const int down = (height + keep) / 2, across = (width + keep) / 2;
        const size_t end = (size_t)(down * across * 48);
        part[end] = 42;
        winograd_run(kernels, &c, part, c.x, &c.shape, true, down, across);
        cr_assert_eq(part[end], 42.0f, "%s wrote past the maxima's end", kernels->name);
        for (int i = 0; i < down; i++)
            for (int j = 0; j < across; j++)
                for (int o = 0; o < 48; o++) {
                    float largest = 0;
                    for (int r = 2 * i; r < 2 * i + 2 && r < height; r++)
                        for (int k = 2 * j; k < 2 * j + 2 && k < width; k++)
                            largest = fmaxf(largest, y[((size_t)(r * width + k)) * 48 + (size_t)o]);
                    cr_assert_float_eq(part[(i * across + j) * 48 + o], largest, (float)bound,
                                       "%s: maximum %d, %d, %d", kernels->name, i, j, o);
                }
    }
    winograd_case_free(&c);
    free(y);
    free(part);
}

static void check_winograd_sizes(const struct cn_kernels *kernels) {
    for (int height = 1; height <= 13; height += 3)
        for (int width = 1; width <= 30; width += height % 2 + 1)
            check_winograd(kernels, height, width, width % 5 == 0 ? 144 : width % 2 == 0 ? 32 : 80);
}

/* Small images do not pay for the weights' transformation; a row of tiles is all in scratch, so
 * wide ones are left to the definition. */
Test(kernels, winograd_is_for_middling_sizes) {
    const struct {
        int height, width;
        bool pays;
    } cases[] = {{7, 7, false}, {14, 14, true}, {56, 56, true}, {4, 4096, true}, {4, 4097, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct winograd_case c = winograd_case_of(cases[i].height, 1, 64);
        c.shape.out_width = cases[i].width;
        cr_assert_eq(cn_winograd_pays(&c.shape), cases[i].pays, "%d x %d", cases[i].height,
                     cases[i].width);
        winograd_case_free(&c);
    }
}

Test(kernels, winograd_agrees_with_the_definition) {
    with_each_table(check_winograd_sizes);
}

/* True if `at` is one of the `length` numbers from `first` on. */
static bool is_within(int at, int first, int length) {
    return at >= first && at < first + length;
}

/* How an output may differ from that without an infinity or NaN at input (row, column). */
static bool is_spread(float value, float clean, int i, int j, int row, int column) {
    const int top = i / CN_WINOGRAD_OUT * CN_WINOGRAD_OUT;
    const int left = j / CN_WINOGRAD_OUT * CN_WINOGRAD_OUT;
    if (is_within(row, i, 3) && is_within(column, j, 3))
        return !isfinite(value);
    if (is_within(row, top, CN_WINOGRAD_IN) && is_within(column, left, CN_WINOGRAD_IN))
        return isnan(value) || value == clean;
    return memcmp(&value, &clean, sizeof value) == 0;
}

/* Counts the outputs of a band that are not as is_spread says. */
static int count_strays(const struct cn_kernels *kernels, const struct winograd_case *c,
                        const float *clean, int first, int rows, int row, int column) {
    const int width = c->shape.out_width, channels = c->shape.out_channels;
    struct cn_conv2d band = c->shape;
    float *y = malloc((size_t)(rows * width * channels) * sizeof *y);
    int strays = 0;
    band.out_height = rows;
    band.in_height = rows + 2;
    kernels->winograd(y, c->x + first * band.in_width * band.in_channels, c->packed,
                      c->packed + cn_conv2d_kernel_size(&c->shape), &band, false, false, rows,
                      width, c->scratch);
    for (int i = first; i < first + rows; i++)
        for (int j = 0; j < width; j++)
            for (int o = 0; o < channels; o++)
                strays += !is_spread(y[((i - first) * width + j) * channels + o],
                                     clean[(i * width + j) * channels + o], i, j, row, column);
    free(y);
    return strays;
}

static void check_winograd_spread(const struct cn_kernels *kernels) {
    enum { HEIGHT = 10, WIDTH = 14, CHANNELS = 32 };
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    struct winograd_case c = winograd_case_of(HEIGHT, WIDTH, CHANNELS);
    float *clean = malloc(sizeof *clean * HEIGHT * WIDTH * 48);
    kernels->winograd(clean, c.x, c.packed, c.packed + cn_conv2d_kernel_size(&c.shape), &c.shape,
                      false, false, HEIGHT, WIDTH, c.scratch);
    for (int at = 0; at < c.shape.in_height * c.shape.in_width; at++) {
        const int row = at / c.shape.in_width, column = at % c.shape.in_width;
        float *input = c.x + at * CHANNELS + at % CHANNELS;
        const float before = *input;
        *input = bad[at % 3];
        int strays = count_strays(kernels, &c, clean, 0, HEIGHT, row, column);
        cr_assert_eq(strays, 0, "%s: %g at %d, %d: %d outputs", kernels->name, (double)bad[at % 3],
                     row, column, strays);
        for (int first = 0; first < HEIGHT; first += 4)
            strays += count_strays(kernels, &c, clean, first,
                                   HEIGHT - first < 4 ? HEIGHT - first : 4, row, column);
        cr_assert_eq(strays, 0, "%s: %g at %d, %d: %d outputs in bands", kernels->name,
                     (double)bad[at % 3], row, column, strays);
        *input = before;
    }
    winograd_case_free(&c);
    free(clean);
}

Test(kernels, winograd_spreads_what_is_not_finite_in_its_tiles_only) {
    with_each_table(check_winograd_spread);
}
