/* elementwise.h: vectorised arithmetic of training other than convolutions, one table per
 * instruction set; part of struct cn_kernels. Output arrays must not overlap inputs. */
#ifndef CONVNET_KERNELS_ELEMENTWISE_H
#define CONVNET_KERNELS_ELEMENTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cn_elementwise_kernels {
    /* y[count] = max(0, x[count]). */
    void (*relu)(float *y, const float *x, size_t count);
    /* dx[count] = dy[count] where y[count] > 0, else 0. */
    void (*relu_gradient)(float *dx, const float *dy, const float *y, size_t count);

    /* to[i] = 0 with probability `rate`, else from[i] / (1 - rate). The choice is a hash of (key,
     * i), the same for every instruction set. */
    void (*dropout)(float *to, const float *from, float rate, uint64_t key, size_t count);

    /* mean[channels] of the rows of x[rows, channels], and the sum of the squared differences from
     * the mean. */
    void (*moments)(float *mean, float *squares, const float *x, size_t rows, size_t channels);
    /* y[rows, channels] = (x - mean[channels]) * scale[channels] + shift[channels]. */
    void (*normalize)(float *y, const float *x, const float *mean, const float *scale,
                      const float *shift, size_t rows, size_t channels);
    /* sum[channels] of the rows of dy[rows, channels], and of dy * (x - mean[channels]). */
    void (*slope_sums)(float *sum, float *product, const float *dy, const float *x,
                       const float *mean, size_t rows, size_t channels);
    /* dx[rows, channels] = dy * factors[0, channels] - factors[1, channels]
     *                      - (x - mean[channels]) * factors[2, channels]. */
    void (*normalize_gradient)(float *dx, const float *dy, const float *x, const float *mean,
                               const float *factors, size_t rows, size_t channels);

    /* sum[count] += addend[count]. */
    void (*add)(float *sum, const float *addend, size_t count);

    /* Keras's updates of parameters[count]; see cn_optimizer_step. */
    void (*sgd)(float *parameters, float *velocity, const float *gradients, float momentum,
                bool nesterov, float rate, size_t count);
    void (*adam)(float *parameters, float *mean, float *square, const float *gradients,
                 float beta_1, float beta_2, float epsilon, float rate, size_t count);
};

#endif
