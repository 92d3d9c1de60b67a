/* test_bytes.c: compares the kernels of bytes of every instruction set of this machine with their
 * definition, bit for bit: integers, one product and one rounding. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/random.h"
#include "kernels/bytes.h"
#include "support/convolutions.h"
#include "support/naive.h"

static const struct cn_byte_range input_range = {.scale = 0.02f, .zero = 77};

/* One convolution of bytes with all its arrays. */
struct problem {
    struct cn_conv2d shape;
    size_t in, out, channels;
    uint8_t *x;
    float *packed, *scales;
    double *sums; /* exact sums; times the scales of input and channel they are the outputs */
};

/* The size in whole pages of `count` bytes and of the bytes that kernels may read after them. */
static size_t guarded_size(size_t count) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (count + CN_BYTES_SLACK + page - 1) / page * page;
}

/* A block of `count` bytes and CN_BYTES_SLACK more; a read beyond them ends the process. Caller
 * frees with free_guarded. */
static uint8_t *bytes_by_chance(struct cn_random *random, size_t count) {
    const size_t size = guarded_size(count), page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages =
        mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)pages, MAP_FAILED);
    cr_assert_eq(mprotect(pages + size, page, PROT_NONE), 0);
    uint8_t *bytes = pages + size - count - CN_BYTES_SLACK;
    for (size_t i = 0; i < count + CN_BYTES_SLACK; i++)
        bytes[i] = (uint8_t)cn_random_below(random, 256);
    return bytes;
}

static void free_guarded(uint8_t *bytes, size_t count) {
    const size_t size = guarded_size(count), page = (size_t)sysconf(_SC_PAGESIZE);
    (void)munmap(bytes + count + CN_BYTES_SLACK - size, size + page);
}

/* `extreme`: uses the largest inputs and weights, which would make a 16-bit sum overflow. */
static struct problem make(struct cn_random *random, const struct cn_conv2d *s,
                           struct cn_byte_range out, bool extreme) {
    const size_t in = (size_t)(s->in_height * s->in_width * s->in_channels);
    const size_t groups = s->groups > 1 ? (size_t)s->groups : 1;
    const size_t rows =
        (size_t)(s->kernel_height * s->kernel_width) * ((size_t)s->in_channels / groups);
    const size_t channels = (size_t)s->out_channels;
    const size_t outputs = (size_t)(s->out_height * s->out_width) * channels;
    struct problem p = {.shape = *s, .in = in, .out = outputs, .channels = channels};
    p.x = bytes_by_chance(random, in);
    p.scales = malloc(channels * sizeof *p.scales);
    p.packed = cn_floats_allocate(cn_bytes_packed_size(s));
    p.sums = malloc(outputs * sizeof *p.sums);
    float *whole = malloc(rows * channels * sizeof *whole), *b = malloc(channels * sizeof *b);
    float *w = malloc(rows * channels * sizeof *w), *bias = malloc(channels * sizeof *bias);
    float *x = malloc(in * sizeof *x);
    for (size_t c = 0; c < channels; c++) {
        p.scales[c] = cn_random_uniform(random, 1e-4f, 1e-2f);
        b[c] = (float)cn_random_below(random, 20000) - 10000;
        bias[c] = b[c] * (p.scales[c] * input_range.scale);
    }
    for (size_t i = 0; i < rows * channels; i++) {
        whole[i] = extreme ? (i / channels % 5 == 4 ? -CN_QUANTIZED_WEIGHT : CN_QUANTIZED_WEIGHT)
                           : (float)cn_random_below(random, 2 * CN_QUANTIZED_WEIGHT + 1) -
                                 CN_QUANTIZED_WEIGHT;
        w[i] = whole[i] * p.scales[i % channels];
    }
    for (size_t i = 0; i < in; i++) {
        p.x[i] = extreme ? 255 : p.x[i];
        x[i] = (float)(p.x[i] - input_range.zero);
    }
    cn_bytes_pack(p.packed, w, bias, p.scales, s, input_range, out);
    naive_conv2d(p.sums, x, whole, b, s, false);
    free(whole);
    free(w);
    free(b);
    free(bias);
    free(x);
    return p;
}

static void clear(struct problem *p) {
    free_guarded(p->x, p->in);
    free(p->packed);
    free(p->scales);
    free(p->sums);
}

/* The output that the definition gives for a sum of channel c. */
static float finished(const struct problem *p, double sum, size_t c, struct cn_byte_range out,
                      bool relu) {
    const float unit = input_range.scale * p->scales[c];
    const float scale = out.scale > 0 ? unit / out.scale : unit;
    const float value = (float)sum * scale;
    const struct cn_requantize to = cn_requantize_to(out, relu);
    const float kept = fminf(fmaxf(value, to.least), to.most);
    return to.floats ? kept : rintf(kept) + (float)out.zero;
}

static float output_at(const void *y, size_t i, bool floats) {
    return floats ? ((const float *)y)[i] : (float)((const uint8_t *)y)[i];
}

static void check_forward(const struct cn_bytes_kernels *kernels, const struct problem *p,
                          struct cn_byte_range out, bool relu) {
    const struct cn_requantize to = cn_requantize_to(out, relu);
    unsigned char *y = malloc((p->out + 1) * sizeof(float));
    const size_t end = p->out * (to.floats ? sizeof(float) : 1);
    y[end] = 42;
    kernels->conv2d(y, p->x, p->packed, &p->shape, &to);
    for (size_t i = 0; i < p->out; i++) {
        const float expected = finished(p, p->sums[i], i % p->channels, out, relu);
        cr_assert_eq(output_at(y, i, to.floats), expected, "%s: output %zu is %g, not %g",
                     kernels->name, i, (double)output_at(y, i, to.floats), (double)expected);
    }
    cr_assert_eq(y[end], 42, "%s wrote past the end", kernels->name);
    free(y);
}

static void check_pooled(const struct cn_bytes_kernels *kernels, const struct problem *p,
                         struct cn_byte_range out, bool keep) {
    const struct cn_conv2d *s = &p->shape;
    const int height = (s->out_height + keep) / 2, width = (s->out_width + keep) / 2;
    const struct cn_requantize to = cn_requantize_to(out, true);
    const size_t count = (size_t)(height * width) * p->channels;
    unsigned char *y = malloc((count + 1) * sizeof(float));
    const size_t end = count * (to.floats ? sizeof(float) : 1);
    y[end] = 42;
    kernels->conv2d_max_pooled(y, p->x, p->packed, s, &to, height, width);
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++)
            for (size_t c = 0; c < p->channels; c++) {
                double largest = -INFINITY;
                for (int r = 2 * i; r < 2 * i + 2 && r < s->out_height; r++)
                    for (int k = 2 * j; k < 2 * j + 2 && k < s->out_width; k++)
                        largest = fmax(largest,
                                       p->sums[(size_t)(r * s->out_width + k) * p->channels + c]);
                cr_assert_eq(output_at(y, (size_t)(i * width + j) * p->channels + c, to.floats),
                             finished(p, largest, c, out, true), "%s: pooled %d, %d, %zu",
                             kernels->name, i, j, c);
            }
    cr_assert_eq(y[end], 42, "%s wrote past the end", kernels->name);
    free(y);
}

static void check_shape(struct cn_random *random, const struct cn_conv2d *shape, int turn) {
    const struct cn_byte_range outs[] = {{0.05f, 0}, {0.08f, 128}, {0, 0}};
    const struct cn_byte_range out = outs[turn % 3];
    struct problem p = make(random, shape, out, turn % 5 == 0);
    const struct cn_bytes_kernels *kernels;
    for (size_t i = 0; (kernels = cn_bytes_kernels_at(i)) != NULL; i++) {
        check_forward(kernels, &p, out, turn % 2 == 0);
        if (!cn_conv2d_is_depthwise(shape))
            check_pooled(kernels, &p, out, turn % 4 < 2);
    }
    clear(&p);
}

Test(bytes, convolutions_of_every_instruction_set_have_the_bits_of_the_definition) {
    struct cn_random random = cn_random_stream(8, 0, 0, 0);
    struct cn_conv2d shape;
    for (size_t i = 0; test_convolution_at(i, &shape); i++)
        for (int turn = 0; turn < 6; turn++)
            check_shape(&random, &shape, turn);
}

Test(bytes, any_geometry_has_the_bits_of_the_definition) {
    struct cn_random random = cn_random_stream(9, 0, 0, 0);
    for (int i = 0; i < 160; i++) {
        const struct cn_conv2d shape = test_convolution_by_chance(&random);
        check_shape(&random, &shape, i);
    }
}

Test(bytes, long_sums_of_the_largest_numbers_do_not_overflow) {
    struct cn_random random = cn_random_stream(10, 0, 0, 0);
    const struct cn_conv2d shape = {.in_height = 1,
                                    .in_width = 2,
                                    .in_channels = CN_BYTES_DEPTH,
                                    .out_height = 1,
                                    .out_width = 2,
                                    .out_channels = 3,
                                    .kernel_height = 1,
                                    .kernel_width = 1,
                                    .row_stride = 1,
                                    .column_stride = 1};
    const struct cn_byte_range out = {0, 0};
    struct problem p = make(&random, &shape, out, true);
    const struct cn_bytes_kernels *kernels;
    for (size_t i = 0; (kernels = cn_bytes_kernels_at(i)) != NULL; i++)
        check_forward(kernels, &p, out, false);
    clear(&p);
}

/* ---- Kernels that are no convolutions ---- */

static void check_elements(const struct cn_bytes_kernels *kernels, size_t count) {
    struct cn_random random = cn_random_stream(11, count, 0, 0);
    uint8_t *a = bytes_by_chance(&random, count), *b = bytes_by_chance(&random, count);
    uint8_t *y = malloc(count + 1);
    float *floats = malloc((count + 1) * sizeof *floats);
    const struct cn_byte_range in[] = {{0.03f, 11}, {0.07f, 200}}, out = {0.06f, 90};
    y[count] = 42;
    kernels->add(y, a, b, count, in, out);
    for (size_t i = 0; i < count; i++) {
        const float first = (float)(a[i] - 11) * (in[0].scale / out.scale);
        const float second = (float)(b[i] - 200) * (in[1].scale / out.scale);
        const float sum = first + second;
        cr_assert_eq((float)y[i], rintf(fminf(fmaxf(sum, -90), 165)) + 90, "%s: sum %zu",
                     kernels->name, i);
    }
    cr_assert_eq(y[count], 42, "%s wrote past the end", kernels->name);
    floats[count] = 42;
    kernels->dequantize(floats, a, count, in[0]);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(floats[i], (float)(a[i] - 11) * in[0].scale);
    cr_assert_eq(floats[count], 42.0f, "%s wrote past the end", kernels->name);
    kernels->quantize(y, floats, count, in[0]);
    cr_assert_eq(memcmp(y, a, count), 0, "%s: there and back", kernels->name);
    cr_assert_eq(y[count], 42, "%s wrote past the end", kernels->name);
    free_guarded(a, count);
    free_guarded(b, count);
    free(y);
    free(floats);
}

Test(bytes, sums_and_conversions_have_the_bits_of_the_definition) {
    const struct cn_bytes_kernels *kernels;
    for (size_t i = 0; (kernels = cn_bytes_kernels_at(i)) != NULL; i++)
        for (size_t count = 1; count < 70; count++)
            check_elements(kernels, count);
}

Test(bytes, what_is_out_of_range_or_no_number_is_the_nearest_byte) {
    const float x[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0, 0.5f};
    const uint8_t expected[] = {0, 255, 0, 255, 0, 10, 11};
    const struct cn_bytes_kernels *kernels;
    for (size_t i = 0; (kernels = cn_bytes_kernels_at(i)) != NULL; i++) {
        uint8_t y[sizeof expected];
        kernels->quantize(y, x, sizeof y, (struct cn_byte_range){0.4f, 10});
        cr_assert_eq(memcmp(y, expected, sizeof y), 0, "%s", kernels->name);
    }
}

static void check_pooling(const struct cn_bytes_kernels *kernels, const struct cn_pooling *s) {
    struct cn_random random = cn_random_stream(12, (uint64_t)s->channels, 0, 0);
    const size_t in = (size_t)(s->in_height * s->in_width * s->channels);
    const size_t out = (size_t)(s->out_height * s->out_width * s->channels);
    const struct cn_byte_range from = {0.03f, 60}, to = {0.025f, 50};
    uint8_t *x = bytes_by_chance(&random, in), *most = malloc(out + 1), *mean = malloc(out + 1);
    most[out] = mean[out] = 42;
    kernels->max_pooling(most, x, s);
    kernels->average_pooling(mean, x, s, from, to);
    for (int i = 0; i < s->out_height; i++)
        for (int j = 0; j < s->out_width; j++)
            for (int c = 0; c < s->channels; c++) {
                int largest = 0, sum = 0, count = 0;
                for (int r = 0; r < s->pool_height; r++)
                    for (int k = 0; k < s->pool_width; k++) {
                        const int row = i * s->row_stride - s->pad_top + r;
                        const int column = j * s->column_stride - s->pad_left + k;
                        if (row < 0 || row >= s->in_height || column < 0 || column >= s->in_width)
                            continue;
                        const int value = x[(row * s->in_width + column) * s->channels + c];
                        largest = value > largest ? value : largest;
                        sum += value - from.zero;
                        count++;
                    }
                const size_t at = (size_t)((i * s->out_width + j) * s->channels + c);
                const float value = (float)sum * (from.scale / to.scale / (float)count);
                cr_assert_eq(most[at], largest, "%s: largest %zu", kernels->name, at);
                cr_assert_eq((float)mean[at],
                             rintf(fminf(fmaxf(value, (float)-to.zero), (float)(255 - to.zero))) +
                                 (float)to.zero,
                             "%s: mean %zu", kernels->name, at);
            }
    cr_assert(most[out] == 42 && mean[out] == 42, "%s wrote past the end", kernels->name);
    free_guarded(x, in);
    free(most);
    free(mean);
}

Test(bytes, poolings_have_the_bits_of_the_definition) {
    const struct cn_bytes_kernels *kernels;
    for (size_t i = 0; (kernels = cn_bytes_kernels_at(i)) != NULL; i++)
        for (int channels = 1; channels < 40; channels += 3) {
            check_pooling(kernels, &(struct cn_pooling){7, 9, channels, 4, 5, 3, 3, 2, 2, 1, 1});
            check_pooling(kernels, &(struct cn_pooling){7, 7, channels, 1, 1, 7, 7, 1, 1, 0, 0});
        }
}
