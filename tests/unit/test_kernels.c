/* test_kernels.c: the vector kernels of every instruction set of this machine against the oracle.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "convnet/plan.h"
#include "kernels/activation.h"
#include "kernels/kernels.h"
#include "kernels/pooling.h"
#include "support/convolutions.h"
#include "support/naive.h"
#include "support/networks.h"

static void check_forward(const struct cn_kernels *kernels, const struct cn_conv2d *s, bool relu) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t rows = (size_t)(s->kernel_height * s->kernel_width * s->in_channels);
    const size_t out = (size_t)(s->out_height * s->out_width * s->out_channels);
    float *x = test_floats(in, -1, 1, 1), *b = test_floats((size_t)s->out_channels, -1, 1, 2);
    float *w = test_floats(rows * (size_t)s->out_channels, -1, 1, 3);
    float *packed = test_padded(w, rows, s->out_channels),
          *bias = test_padded(b, 1, s->out_channels);
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

Test(kernels, every_instruction_set_agrees_with_the_definition) {
    size_t tables = 0;
    struct cn_conv2d shape;
    for (const struct cn_kernels *k; (k = cn_kernels_at(tables)) != NULL; tables++)
        for (size_t i = 0; test_convolution_at(i, &shape); i++) {
            check_forward(k, &shape, false);
            check_forward(k, &shape, true);
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
