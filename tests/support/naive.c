/* naive.c: see naive.h. No state. */
#include "support/naive.h"

#include <string.h>

/* Calls `visit` for every product of the convolution: output o, input i, weight w. */
static void each_product(const struct cn_conv2d *s, void *data,
                         void (*visit)(void *data, size_t output, size_t input, size_t weight)) {
    const int groups = s->groups > 1 ? s->groups : 1;
    const int down = s->row_dilation > 1 ? s->row_dilation : 1;
    const int right = s->column_dilation > 1 ? s->column_dilation : 1;
    const int depth = s->in_channels / groups, filters = s->out_channels / groups;
    for (int r = 0; r < s->out_height; r++)
        for (int c = 0; c < s->out_width; c++)
            for (int o = 0; o < s->out_channels; o++)
                for (int i = 0; i < s->kernel_height; i++)
                    for (int j = 0; j < s->kernel_width; j++)
                        for (int k = 0; k < depth; k++)
                            visit(
                                data, (size_t)((r * s->out_width + c) * s->out_channels + o),
                                (size_t)(((r * s->row_stride + i * down) * s->in_width +
                                          c * s->column_stride + j * right) *
                                             s->in_channels +
                                         o / filters * depth + k),
                                (size_t)(((i * s->kernel_width + j) * depth + k) * s->out_channels +
                                         o));
}

struct arrays {
    double *to;
    const float *x, *other;
};

static void add_to_output(void *data, size_t output, size_t input, size_t weight) {
    const struct arrays *a = data;
    a->to[output] += (double)a->x[input] * (double)a->other[weight];
}

static void add_to_weight(void *data, size_t output, size_t input, size_t weight) {
    const struct arrays *a = data;
    a->to[weight] += (double)a->x[input] * (double)a->other[output];
}

static void add_to_input(void *data, size_t output, size_t input, size_t weight) {
    const struct arrays *a = data;
    a->to[input] += (double)a->x[weight] * (double)a->other[output];
}

void naive_conv2d(double *y, const float *x, const float *w, const float *b,
                  const struct cn_conv2d *s, bool relu) {
    const size_t count = (size_t)(s->out_height * s->out_width * s->out_channels);
    struct arrays arrays = {y, x, w};
    for (size_t i = 0; i < count; i++)
        y[i] = (double)b[i % (size_t)s->out_channels];
    each_product(s, &arrays, add_to_output);
    for (size_t i = 0; relu && i < count; i++)
        y[i] = y[i] > 0 ? y[i] : 0;
}

void naive_conv2d_kernel_gradient(double *dw, const float *x, const float *dz,
                                  const struct cn_conv2d *s) {
    struct arrays arrays = {dw, x, dz};
    memset(dw, 0,
           (size_t)(s->kernel_height * s->kernel_width * s->in_channels * s->out_channels) *
               sizeof *dw);
    each_product(s, &arrays, add_to_weight);
}

void naive_conv2d_input_gradient(double *dx, const float *w, const float *dz,
                                 const struct cn_conv2d *s) {
    struct arrays arrays = {dx, w, dz};
    memset(dx, 0, (size_t)(s->in_height * s->in_width * s->in_channels) * sizeof *dx);
    each_product(s, &arrays, add_to_input);
}
