/* functions.h: the functions of activations over arrays, one table per instruction set; part of
 * struct cn_kernels. y[count] = f(x[count]); y may be x. NaN stays NaN. */
#ifndef CONVNET_KERNELS_FUNCTIONS_H
#define CONVNET_KERNELS_FUNCTIONS_H

#include <stddef.h>

/* The error bounds, for every float and instruction set, in units in the last place of the result
 * if it is a normal number. */
struct cn_function_kernels {
    void (*exponential)(float *y, const float *x, size_t count); /* 2 */
    void (*sigmoid)(float *y, const float *x, size_t count);     /* 3 */
    void (*tanh)(float *y, const float *x, size_t count);        /* 3 */
    void (*erf)(float *y, const float *x, size_t count);         /* 3 */
    void (*softplus)(float *y, const float *x, size_t count);    /* 4; log(1 + exp(x)) */
    void (*swish)(float *y, const float *x, size_t count); /* 4; x sigmoid(x) with its subnormals */
    void (*gelu)(float *y, const float *x, size_t count);  /* x/2 (1 + erf(x / sqrt 2)): 2e-7 |x| */
    void (*elu)(float *y, const float *x, size_t count);   /* 4; x, or exp(x) - 1 if x <= 0 */
};

/* Functions of a few instructions. y may be x. */
struct cn_unary_kernels {
    /* The least for what is no number; a `most` below the least wins. */
    void (*clip)(float *y, const float *x, size_t count, float least, float most);
    void (*line)(float *y, const float *x, size_t count, float slope, float shift);
    void (*leaky_relu)(float *y, const float *x, size_t count, float slope);
    /* slope * x + shift, from 0 to 1. */
    void (*hard_sigmoid)(float *y, const float *x, size_t count, float slope, float shift);
    void (*hard_swish)(float *y, const float *x, size_t count); /* x hard_sigmoid(x; 1/6, 1/2) */
    void (*square_root)(float *y, const float *x, size_t count);
    void (*product)(float *y, const float *x, const float *factor, size_t count);
};

#endif
