/* test_elementwise.c: compares the elementwise kernels of every instruction set of this machine
 * with their definitions in double. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/elementwise.h"
#include "kernels/kernels.h"
#include "support/networks.h"

static void each_instruction_set(void (*check)(const struct cn_elementwise_kernels *,
                                               const char *name)) {
    size_t tables = 0;
    for (const struct cn_kernels *k; (k = cn_kernels_at(tables)) != NULL; tables++)
        check(k->elementwise, k->name);
    cr_assert_geq(tables, 1);
}

/* Numbers of channels around the length of each vector. */
static const size_t channel_counts[] = {1, 3, 8, 10, 15, 16, 17, 24, 32, 33, 64};
enum { CHANNEL_COUNTS = sizeof channel_counts / sizeof *channel_counts, ROWS = 11 };

static void check_relu(const struct cn_elementwise_kernels *kernels, const char *name) {
    float *x = test_floats(67, -1, 1, 1), *dy = test_floats(67, -1, 1, 2), y[67], dx[67];
    x[5] = 0;
    kernels->relu(y, x, 67);
    kernels->relu_gradient(dx, dy, y, 67);
    for (size_t i = 0; i < 67; i++) {
        cr_assert_eq(y[i], x[i] > 0 ? x[i] : 0, "%s", name);
        cr_assert_eq(dx[i], x[i] > 0 ? dy[i] : 0, "%s", name);
    }
    free(x);
    free(dy);
}

Test(elementwise, relu_and_its_gradient) {
    each_instruction_set(check_relu);
}

static void check_dropout(const struct cn_elementwise_kernels *kernels, const char *name) {
    enum { COUNT = 100003 };
    float *from = test_floats(COUNT, 1, 2, 1), *to = malloc(COUNT * sizeof *to);
    float *other = malloc(COUNT * sizeof *other), *portable = malloc(COUNT * sizeof *portable);
    const uint64_t key = 0x123456789abcdef0u;
    size_t zeros = 0, same = 0, pairs = 0;
    kernels->dropout(to, from, 0.3f, key, COUNT);
    kernels->dropout(other, from, 0.3f, key ^ UINT64_C(0x100000000), COUNT);
    cn_kernels_portable.elementwise->dropout(portable, from, 0.3f, key, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert(to[i] == 0 || to[i] == from[i] * (1 / 0.7f), "%s", name);
        zeros += to[i] == 0;
        same += (to[i] == 0) == (other[i] == 0);
        pairs += i > 0 && to[i] == 0 && to[i - 1] == 0;
    }
    cr_assert_float_eq((double)zeros / COUNT, 0.3, 0.01, "%s: %zu", name, zeros);
    cr_assert_float_eq((double)pairs / COUNT, 0.09, 0.01, "neighbours are independent");
    cr_assert_float_eq((double)same / COUNT, 0.58, 0.01, "and so are keys: %zu", same);
    cr_assert_eq(memcmp(to, portable, COUNT * sizeof *to), 0, "%s drops others", name);
    free(from);
    free(to);
    free(other);
    free(portable);
}

Test(elementwise, dropout_drops_its_share_and_the_same_everywhere) {
    each_instruction_set(check_dropout);
}

struct moments {
    double mean, squares, slope, product;
};

/* The sums of channel c of x and dy[ROWS, channels]; the product has the distances from `around`.
 */
static struct moments moments_of(const float *x, const float *dy, float around, size_t channels,
                                 size_t c) {
    struct moments m = {0};
    for (size_t i = 0; i < ROWS; i++) {
        const double slope = (double)dy[i * channels + c];
        m.mean += (double)x[i * channels + c] / ROWS;
        m.slope += slope;
        m.product += slope * ((double)x[i * channels + c] - (double)around);
    }
    for (size_t i = 0; i < ROWS; i++) {
        const double d = (double)x[i * channels + c] - m.mean;
        m.squares += d * d;
    }
    return m;
}

static void check_sums(const struct cn_elementwise_kernels *kernels, const char *name) {
    for (size_t t = 0; t < CHANNEL_COUNTS; t++) {
        const size_t channels = channel_counts[t];
        float *x = test_floats(ROWS * channels, 99, 101, 1); /* far from zero, so that
                                                              * cancellation shows */
        float *dy = test_floats(ROWS * channels, -1, 1, 2);
        float mean[64], squares[64], slope[64], product[64];
        kernels->moments(mean, squares, x, ROWS, channels);
        kernels->slope_sums(slope, product, dy, x, mean, ROWS, channels);
        for (size_t c = 0; c < channels; c++) {
            const struct moments m = moments_of(x, dy, mean[c], channels, c);
            cr_assert_float_eq((double)mean[c], m.mean, 1e-4, "%s, %zu channels", name, channels);
            cr_assert_float_eq((double)squares[c], m.squares, 1e-4 * m.squares, "%s, %zu channels",
                               name, channels);
            cr_assert_float_eq((double)slope[c], m.slope, 1e-5);
            cr_assert_float_eq((double)product[c], m.product, 1e-4);
        }
        free(x);
        free(dy);
    }
}

Test(elementwise, moments_and_sums_by_channel) {
    each_instruction_set(check_sums);
}

static void check_normalize(const struct cn_elementwise_kernels *kernels, const char *name) {
    for (size_t t = 0; t < CHANNEL_COUNTS; t++) {
        const size_t channels = channel_counts[t], count = ROWS * channels;
        float *x = test_floats(count, -1, 1, 1), *dy = test_floats(count, -1, 1, 2);
        float *mean = test_floats(channels, -1, 1, 3),
              *factors = test_floats(3 * channels, -1, 1, 4);
        float *y = test_floats(count + 1, 9, 9.5f, 5), *dx = test_floats(count + 1, 9, 9.5f, 6);
        const float after = y[count];
        kernels->normalize(y, x, mean, factors, factors + channels, ROWS, channels);
        kernels->normalize_gradient(dx, dy, x, mean, factors, ROWS, channels);
        for (size_t i = 0; i < count; i++) {
            const size_t c = i % channels;
            const double d = (double)x[i] - (double)mean[c];
            const double f[] = {(double)factors[c], (double)factors[channels + c],
                                (double)factors[2 * channels + c]};
            cr_assert_float_eq((double)y[i], d * f[0] + f[1], 1e-6, "%s, %zu channels", name,
                               channels);
            cr_assert_float_eq((double)dx[i], (double)dy[i] * f[0] - f[1] - d * f[2], 1e-6,
                               "%s, %zu channels", name, channels);
        }
        cr_assert_eq(y[count], after, "%s wrote past the end", name);
        free(x);
        free(dy);
        free(mean);
        free(factors);
        free(y);
        free(dx);
    }
}

Test(elementwise, normalization_and_its_gradient) {
    each_instruction_set(check_normalize);
}

static void check_add(const struct cn_elementwise_kernels *kernels, const char *name) {
    enum { COUNT = 2503 };
    float *sum = test_floats(COUNT, -1, 1, 1), *addend = test_floats(COUNT, -1, 1, 2);
    float *before = malloc(COUNT * sizeof *before);
    memcpy(before, sum, COUNT * sizeof *before);
    kernels->add(sum, addend, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(sum[i], before[i] + addend[i], "%s", name);
    free(sum);
    free(addend);
    free(before);
}

Test(elementwise, arrays_are_added) {
    each_instruction_set(check_add);
}

/* test_optimizer.c has the formulas; here every instruction set is compared with the portable one.
 */
static void check_optimizers(const struct cn_elementwise_kernels *kernels, const char *name) {
    enum { COUNT = 37 };
    const struct cn_elementwise_kernels *expected = cn_kernels_portable.elementwise;
    float *g = test_floats(COUNT, -1, 1, 1), *p = test_floats(COUNT, -1, 1, 2);
    float *q = test_floats(COUNT, -1, 1, 2), *m = test_floats(COUNT, 0, 1, 3);
    float *n = test_floats(COUNT, 0, 1, 3), *v = test_floats(COUNT, 0, 1, 4);
    float *w = test_floats(COUNT, 0, 1, 4);
    kernels->sgd(p, m, g, 0.9f, true, 0.1f, COUNT);
    expected->sgd(q, n, g, 0.9f, true, 0.1f, COUNT);
    kernels->adam(p, m, v, g, 0.9f, 0.999f, 1e-7f, 0.1f, COUNT);
    expected->adam(q, n, w, g, 0.9f, 0.999f, 1e-7f, 0.1f, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_float_eq((double)p[i], (double)q[i], 1e-5, "%s", name);
        cr_assert_float_eq((double)m[i], (double)n[i], 1e-6, "%s", name);
        cr_assert_float_eq((double)v[i], (double)w[i], 1e-6, "%s", name);
    }
    free(g);
    free(p);
    free(q);
    free(m);
    free(n);
    free(v);
    free(w);
}

Test(elementwise, optimizers_agree_between_instruction_sets) {
    each_instruction_set(check_optimizers);
}
