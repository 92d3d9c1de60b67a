/* test_kernels.c: the vector kernels of every instruction set of this machine against the oracle.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "kernels/activation.h"
#include "kernels/backward.h"
#include "kernels/kernels.h"
#include "kernels/pooling.h"
#include "support/naive.h"
#include "support/networks.h"

/* kernel, stride, in_channels, out_channels, height, width: odd and even, one and many. */
static const int sweep[][8] = {
    {1, 1, 1, 1, 1, 1, 1, 1},    {1, 1, 1, 1, 1, 10, 1, 1},    {4, 4, 1, 1, 1, 32, 28, 28},
    {4, 4, 4, 4, 1, 32, 28, 28}, {3, 3, 1, 1, 32, 32, 12, 12}, {3, 3, 3, 3, 32, 32, 3, 3},
    {3, 3, 1, 1, 3, 5, 7, 9},    {3, 2, 2, 1, 3, 17, 9, 8},    {5, 5, 1, 2, 2, 33, 11, 13},
    {1, 1, 2, 2, 7, 15, 6, 5},   {2, 3, 1, 1, 4, 16, 5, 14},   {3, 3, 1, 1, 16, 64, 4, 16},
    {1, 1, 1, 1, 800, 10, 1, 1}, {1, 7, 1, 1, 5, 48, 1, 20},
};

static struct cn_conv2d shape_at(size_t i) {
    const int *s = sweep[i];
    return (struct cn_conv2d){.in_height = s[6],
                              .in_width = s[7],
                              .in_channels = s[4],
                              .out_height = (s[6] - s[0]) / s[2] + 1,
                              .out_width = (s[7] - s[1]) / s[3] + 1,
                              .out_channels = s[5],
                              .kernel_height = s[0],
                              .kernel_width = s[1],
                              .row_stride = s[2],
                              .column_stride = s[3]};
}

/* [rows, columns] with each row padded to the kernels' stride. */
static float *padded(const float *from, size_t rows, int columns) {
    const size_t stride = (size_t)cn_padded(columns);
    float *to = cn_floats_allocate(rows * stride);
    for (size_t i = 0; i < rows; i++)
        memcpy(to + i * stride, from + i * (size_t)columns, (size_t)columns * sizeof *to);
    return to;
}

static void check_forward(const struct cn_kernels *kernels, const struct cn_conv2d *s, bool relu) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = (size_t)(s->kernel_height * s->kernel_width * s->in_channels);
    const size_t out = (size_t)(s->out_height * s->out_width * s->out_channels);
    float *x = test_floats(in, -1, 1, 1), *b = test_floats((size_t)s->out_channels, -1, 1, 2);
    float *w = test_floats(rows * (size_t)s->out_channels, -1, 1, 3);
    float *packed = padded(w, rows, s->out_channels), *bias = padded(b, 1, s->out_channels);
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
    free(bias);
    free(y);
    free(expected);
}

static void check_gradient(const struct cn_kernels *kernels, const struct cn_conv2d *s) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = (size_t)(s->kernel_height * s->kernel_width * s->in_channels);
    const size_t pixels = (size_t)(s->out_height * s->out_width);
    const size_t channels = (size_t)s->out_channels, stride = (size_t)cn_padded(s->out_channels);
    float *x = test_floats(in, -1, 1, 1), *dz = test_floats(pixels * channels, -1, 1, 2);
    float *dz_padded = padded(dz, pixels, s->out_channels);
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

Test(kernels, every_instruction_set_agrees_with_the_definition) {
    size_t tables = 0;
    for (const struct cn_kernels *k; (k = cn_kernels_at(tables)) != NULL; tables++)
        for (size_t i = 0; i < sizeof sweep / sizeof *sweep; i++) {
            const struct cn_conv2d shape = shape_at(i);
            check_forward(k, &shape, false);
            check_forward(k, &shape, true);
            check_gradient(k, &shape);
        }
    cr_assert_geq(tables, 1);
}

Test(kernels, environment_lowers_the_instruction_set) {
    cr_assert_eq(setenv("CONVNET_ISA", "portable", 1), 0);
    cr_assert_str_eq(cn_instruction_set(), "portable");
}

Test(kernels, softmax_of_extremes_sums_to_one) {
    float rows[3][4] = {{1e30f, -1e30f, 0, 3}, {-88, -89, -90, -91}, {5, 5, 5, 5}};
    cn_activation_forward(rows[0], 3, 4, CN_ACTIVATION_SOFTMAX);
    for (int i = 0; i < 3; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += (double)rows[i][k];
        cr_assert_float_eq(sum, 1, 1e-6);
    }
    cr_assert_eq(rows[0][0], 1.0f);
    cr_assert_eq(rows[2][1], 0.25f);
}

Test(kernels, pooling_ignores_what_is_outside) {
    const float x[9] = {-1, -2, -3, -4, -5, -6, -7, -8, -9};
    const struct cn_pooling shape = {3, 3, 1, 2, 2, 2, 2, 2, 2, 0, 0};
    float y[4];
    cn_max_pooling_forward(y, x, &shape);
    cr_assert_eq(y[0], -1.0f);
    cr_assert_eq(y[1], -3.0f);
    cr_assert_eq(y[3], -9.0f, "padding must not win over a negative maximum");
    cn_average_pooling_forward(y, x, &shape);
    cr_assert_eq(y[0], -3.0f);
    cr_assert_eq(y[1], -4.5f, "padding must not count in the mean");
}

Test(kernels, the_first_of_equal_maxima_takes_the_gradient) {
    const float x[4] = {2, 2, 2, 2}, y[1] = {2}, dy[1] = {3};
    const struct cn_pooling shape = {2, 2, 1, 1, 1, 2, 2, 2, 2, 0, 0};
    float dx[4];
    cn_max_pooling_backward(dx, dy, x, y, &shape);
    cr_assert_eq(dx[0], 3.0f);
    cr_assert_eq(dx[1] + dx[2] + dx[3], 0.0f);
}
