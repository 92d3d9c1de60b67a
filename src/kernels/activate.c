/* activate.c: see activate.h. No state. */
#include <string.h>

#include "kernels/activate.h"
#include "kernels/kernels.h"

const char *const cn_activation_names[] = {"linear", "relu", "sigmoid", "tanh", "softmax", NULL};

void cn_activation_forward(float *y, size_t rows, size_t width, enum cn_activation activation) {
    const size_t count = rows * width;
    switch (activation) {
    case CN_ACTIVATION_LINEAR:
        break;
    case CN_ACTIVATION_RELU:
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
        break;
    case CN_ACTIVATION_SIGMOID:
        cn_kernels()->functions->sigmoid(y, y, count);
        break;
    case CN_ACTIVATION_TANH:
        cn_kernels()->functions->tanh(y, y, count);
        break;
    case CN_ACTIVATION_SOFTMAX:
        cn_kernels()->softmax(y, rows, (int)width);
        break;
    }
}

static void backward_row(float *dz, const float *dy, const float *y, size_t width,
                         enum cn_activation activation) {
    double dot = 0;
    switch (activation) {
    case CN_ACTIVATION_LINEAR:
        memcpy(dz, dy, width * sizeof *dz);
        break;
    case CN_ACTIVATION_RELU:
        for (size_t i = 0; i < width; i++)
            dz[i] = y[i] > 0 ? dy[i] : 0;
        break;
    case CN_ACTIVATION_SIGMOID:
        for (size_t i = 0; i < width; i++)
            dz[i] = dy[i] * y[i] * (1 - y[i]);
        break;
    case CN_ACTIVATION_TANH:
        for (size_t i = 0; i < width; i++)
            dz[i] = dy[i] * (1 - y[i] * y[i]);
        break;
    case CN_ACTIVATION_SOFTMAX: /* dz = y * (dy - sum(dy * y)) */
        for (size_t i = 0; i < width; i++)
            dot += (double)dy[i] * (double)y[i];
        for (size_t i = 0; i < width; i++)
            dz[i] = y[i] * (dy[i] - (float)dot);
        break;
    }
}

void cn_activation_backward(float *dz, size_t stride, const float *dy, const float *y, size_t rows,
                            size_t width, enum cn_activation activation) {
    for (size_t i = 0; i < rows; i++, dz += stride, dy += width, y += width) {
        backward_row(dz, dy, y, width, activation);
        for (size_t k = width; k < stride; k++)
            dz[k] = 0;
    }
}
