/* pooling.c: see pooling.h. No state. */
#include <stddef.h>
#include <string.h>

#include "kernels/pooling.h"

/* The part of a window that lies in the image. */
struct window {
    int top, bottom, left, right;
};

static struct window window_at(const struct cn_pooling *shape, int i, int j) {
    struct window window = {i * shape->row_stride - shape->pad_top, 0,
                            j * shape->column_stride - shape->pad_left, 0};
    window.bottom = window.top + shape->pool_height;
    window.right = window.left + shape->pool_width;
    if (window.top < 0)
        window.top = 0;
    if (window.left < 0)
        window.left = 0;
    if (window.bottom > shape->in_height)
        window.bottom = shape->in_height;
    if (window.right > shape->in_width)
        window.right = shape->in_width;
    return window;
}

static size_t offset(const struct cn_pooling *shape, int i, int j) {
    return ((size_t)i * (size_t)shape->in_width + (size_t)j) * (size_t)shape->channels;
}

void cn_max_pooling_forward(float *y, const float *x, const struct cn_pooling *shape) {
    const size_t channels = (size_t)shape->channels;
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, y += channels) {
            const struct window w = window_at(shape, i, j);
            memcpy(y, x + offset(shape, w.top, w.left), channels * sizeof *y);
            for (int r = w.top; r < w.bottom; r++)
                for (int s = w.left; s < w.right; s++) {
                    const float *in = x + offset(shape, r, s);
                    for (size_t c = 0; c < channels; c++)
                        y[c] = in[c] > y[c] ? in[c] : y[c];
                }
        }
}

void cn_average_pooling_forward(float *y, const float *x, const struct cn_pooling *shape) {
    const size_t channels = (size_t)shape->channels;
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, y += channels) {
            const struct window w = window_at(shape, i, j);
            const float count = (float)((w.bottom - w.top) * (w.right - w.left));
            memset(y, 0, channels * sizeof *y);
            for (int r = w.top; r < w.bottom; r++)
                for (int s = w.left; s < w.right; s++) {
                    const float *in = x + offset(shape, r, s);
                    for (size_t c = 0; c < channels; c++)
                        y[c] += in[c];
                }
            for (size_t c = 0; c < channels; c++)
                y[c] /= count;
        }
}

/* Gives dy[c] to the first position of the window that holds the maximum. */
static void route_to_maximum(float *dx, const float *dy, const float *x, const float *y,
                             const struct cn_pooling *shape, const struct window *w) {
    for (int c = 0; c < shape->channels; c++)
        for (int r = w->top; r < w->bottom; r++)
            for (int s = w->left; s < w->right; s++)
                if (x[offset(shape, r, s) + (size_t)c] == y[c]) {
                    dx[offset(shape, r, s) + (size_t)c] += dy[c];
                    r = w->bottom;
                    break;
                }
}

void cn_max_pooling_backward(float *dx, const float *dy, const float *x, const float *y,
                             const struct cn_pooling *shape) {
    const size_t channels = (size_t)shape->channels;
    memset(dx, 0, offset(shape, shape->in_height, 0) * sizeof *dx);
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, y += channels, dy += channels) {
            const struct window w = window_at(shape, i, j);
            route_to_maximum(dx, dy, x, y, shape, &w);
        }
}

void cn_average_pooling_backward(float *dx, const float *dy, const struct cn_pooling *shape) {
    const size_t channels = (size_t)shape->channels;
    memset(dx, 0, offset(shape, shape->in_height, 0) * sizeof *dx);
    for (int i = 0; i < shape->out_height; i++)
        for (int j = 0; j < shape->out_width; j++, dy += channels) {
            const struct window w = window_at(shape, i, j);
            const float count = (float)((w.bottom - w.top) * (w.right - w.left));
            for (int r = w.top; r < w.bottom; r++)
                for (int s = w.left; s < w.right; s++) {
                    float *out = dx + offset(shape, r, s);
                    for (size_t c = 0; c < channels; c++)
                        out[c] += dy[c] / count;
                }
        }
}
