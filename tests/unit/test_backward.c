/* test_backward.c: the backward kernels of every instruction set of this machine against their
 * definitions. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/backward.h"
#include "kernels/kernels.h"
#include "support/convolutions.h"
#include "support/naive.h"
#include "support/networks.h"

static void check_kernel_gradient(const struct cn_kernels *kernels, const struct cn_conv2d *s) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = (size_t)(s->kernel_height * s->kernel_width * s->in_channels);
    const size_t pixels = (size_t)(s->out_height * s->out_width);
    const size_t channels = (size_t)s->out_channels, stride = (size_t)cn_padded(s->out_channels);
    float *x = test_floats(in, -1, 1, 1), *dz = test_floats(pixels * channels, -1, 1, 2);
    float *dz_padded = test_padded(dz, pixels, s->out_channels);
    float *dw = cn_floats_allocate(rows * stride);
    double *expected = malloc(rows * channels * sizeof *expected);
    naive_conv2d_kernel_gradient(expected, x, dz, s);
    for (int twice = 1; twice <= 2; twice++) { /* it adds */
        kernels->backward->conv2d_kernel_gradient(dw, x, dz_padded, s);
        for (size_t i = 0; i < rows * channels; i++)
            cr_assert_float_eq((double)dw[i / channels * stride + i % channels],
                               twice * expected[i], 2e-5 * sqrt((double)pixels), "%s: weight %zu",
                               kernels->name, i);
    }
    free(x);
    free(dz);
    free(dz_padded);
    free(dw);
    free(expected);
}

/* The kernel in the order that conv2d_input_gradient takes. Caller frees with free(). */
static float *turned(const float *w, const struct cn_conv2d *s) {
    const int depth = s->kernel_width * s->in_channels;
    const size_t stride = (size_t)cn_padded(depth), channels = (size_t)s->out_channels;
    float *to = cn_floats_allocate((size_t)s->kernel_height * channels * stride);
    for (size_t i = 0; i < (size_t)s->kernel_height; i++)
        for (size_t k = 0; k < (size_t)depth; k++)
            for (size_t o = 0; o < channels; o++)
                to[(i * channels + o) * stride + k] = w[(i * (size_t)depth + k) * channels + o];
    return to;
}

static void check_input_gradient(const struct cn_kernels *kernels, const struct cn_conv2d *s) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = (size_t)(s->kernel_height * s->kernel_width * s->in_channels);
    const size_t pixels = (size_t)(s->out_height * s->out_width);
    const size_t channels = (size_t)s->out_channels;
    float *w = test_floats(rows * channels, -1, 1, 1), *back = turned(w, s);
    float *dz = test_floats(pixels * channels, -1, 1, 2);
    float *dz_padded = test_padded(dz, pixels, s->out_channels);
    float *dx = calloc(in + 1, sizeof *dx);
    double *expected = malloc(in * sizeof *expected);
    naive_conv2d_input_gradient(expected, w, dz, s);
    dx[in] = 42;
    for (int twice = 1; twice <= 2; twice++) { /* it adds */
        kernels->backward->conv2d_input_gradient(dx, dz_padded, back, s);
        for (size_t i = 0; i < in; i++)
            cr_assert_float_eq((double)dx[i], twice * expected[i], 2e-5 * sqrt((double)rows),
                               "%s: input %zu is %g, not %g", kernels->name, i, (double)dx[i],
                               twice * expected[i]);
    }
    cr_assert_eq(dx[in], 42.0f, "%s wrote past the end", kernels->name);
    free(w);
    free(back);
    free(dz);
    free(dz_padded);
    free(dx);
    free(expected);
}

static void each_instruction_set(void (*check)(const struct cn_kernels *)) {
    size_t tables = 0;
    for (const struct cn_kernels *k; (k = cn_kernels_at(tables)) != NULL; tables++)
        check(k);
    cr_assert_geq(tables, 1);
}

static void check_convolutions(const struct cn_kernels *kernels) {
    struct cn_conv2d shape;
    for (size_t i = 0; test_convolution_at(i, &shape); i++) {
        check_kernel_gradient(kernels, &shape);
        check_input_gradient(kernels, &shape);
    }
}

Test(backward, convolutions_agree_with_the_definition) {
    each_instruction_set(check_convolutions);
}

/* Numbers of channels around the length of each vector. */
static const size_t channel_counts[] = {1, 3, 4, 8, 10, 16, 20, 32, 33, 48};
enum { CHANNEL_COUNTS = sizeof channel_counts / sizeof *channel_counts };

static void check_relu(const struct cn_kernels *kernels) {
    for (size_t t = 0; t < CHANNEL_COUNTS; t++) {
        const size_t channels = channel_counts[t], pixels = 7, count = channels * pixels;
        const size_t stride = (size_t)cn_padded((int)channels);
        float *dy = test_floats(count, -1, 1, 1), *y = test_floats(count, -1, 1, 2);
        float *dz = cn_floats_allocate(pixels * stride), *db = cn_floats_allocate(channels);
        y[0] = 0;
        kernels->backward->relu_gradient(dz, db, dy, y, pixels, channels);
        for (size_t c = 0; c < channels; c++) {
            double sum = 0;
            for (size_t p = 0; p < pixels; p++) {
                const float expected = y[p * channels + c] > 0 ? dy[p * channels + c] : 0;
                cr_assert_eq(dz[p * stride + c], expected, "%s: %zu of %zu channels", kernels->name,
                             c, channels);
                sum += (double)expected;
            }
            cr_assert_float_eq((double)db[c], sum, 1e-5);
        }
        for (size_t c = channels; c < stride; c++)
            cr_assert_eq(dz[c], 0.0f, "padding stays");
        float *sums = test_floats(channels, 0, 0, 1);
        kernels->backward->add_rows(sums, dz, pixels, channels, stride);
        for (size_t c = 0; c < channels; c++)
            cr_assert_float_eq((double)sums[c], (double)db[c], 1e-5);
        free(dy);
        free(y);
        free(dz);
        free(db);
        free(sums);
    }
}

Test(backward, relu_passes_what_was_positive) {
    each_instruction_set(check_relu);
}

/* The definition, channel by channel. */
static void expected_pooling(float *dx, const float *dy, const float *x,
                             const struct cn_pooling *s) {
    for (int c = 0; c < s->channels; c++)
        for (int o = 0; o < s->out_height * s->out_width; o++) {
            int best = -1;
            for (int w = 0; w < s->pool_height * s->pool_width; w++) {
                const int i = o / s->out_width * s->row_stride - s->pad_top + w / s->pool_width;
                const int j = o % s->out_width * s->column_stride - s->pad_left + w % s->pool_width;
                const int at = (i * s->in_width + j) * s->channels + c;
                if (i >= 0 && j >= 0 && i < s->in_height && j < s->in_width &&
                    (best < 0 || x[at] > x[best]))
                    best = at;
            }
            dx[best] += dy[o * s->channels + c];
        }
}

static void check_pooling(const struct cn_kernels *kernels) {
    for (size_t t = 0; t < CHANNEL_COUNTS; t++) {
        const int channels = (int)channel_counts[t];
        const struct cn_pooling shapes[] = {
            {6, 7, channels, 3, 3, 2, 2, 2, 2, 0, 0},  /* with a column that no window covers */
            {5, 5, channels, 3, 3, 2, 2, 2, 2, 0, 0},  /* with windows that reach beyond the
                                                        * image */
            {7, 5, channels, 4, 3, 3, 3, 2, 2, 1, 1}}; /* overlapping, padded */
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            const struct cn_pooling *s = &shapes[i];
            const size_t in = (size_t)(s->in_height * s->in_width * channels);
            const size_t out = (size_t)(s->out_height * s->out_width * channels);
            float *x = test_floats(in, -1, 1, i + 1), *dy = test_floats(out, -1, 1, 9);
            float *y = cn_floats_allocate(out), *dx = test_floats(in, 5, 6, 3);
            float *expected = cn_floats_allocate(in);
            for (size_t k = 0; k < in; k++)
                x[k] = roundf(2 * x[k]); /* with many equal values */
            kernels->max_pooling(y, x, s);
            expected_pooling(expected, dy, x, s);
            kernels->backward->max_pooling(dx, dy, x, y, s);
            for (size_t k = 0; k < in; k++)
                cr_assert_float_eq((double)dx[k], (double)expected[k], 1e-5,
                                   "%s: shape %zu, %d channels, input %zu", kernels->name, i,
                                   channels, k);
            free(x);
            free(dy);
            free(y);
            free(dx);
            free(expected);
        }
    }
}

Test(backward, the_first_of_equal_maxima_takes_the_gradient) {
    each_instruction_set(check_pooling);
}
