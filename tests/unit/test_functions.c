/* test_functions.c: compares the activation functions of every instruction set of this machine with
 * the C library's in double, over all exponents and both signs. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

enum { EXPONENTS = 255, MANTISSAS = 97, COUNT = 2 * EXPONENTS * MANTISSAS };

/* Floats of every exponent, including zero and subnormal ones, spread over the mantissas. */
static float *all_exponents(void) {
    float *x = malloc(COUNT * sizeof *x), *next = x;
    for (unsigned sign = 0; sign < 2; sign++)
        for (unsigned e = 0; e < EXPONENTS; e++)
            for (unsigned m = 0; m < MANTISSAS; m++) {
                const unsigned bits = sign << 31 | e << 23 | m * 86480u; /* 97 * 86,480 < 2^23 */
                memcpy(next++, &bits, sizeof bits);
            }
    return x;
}

static double unit_of(double value) {
    const double size = fabs(value) < (double)FLT_MIN ? (double)FLT_MIN : fabs(value);
    return exp2(floor(log2(size)) - 23);
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double swish(double x) {
    return x * sigmoid(x);
}

static double gelu(double x) {
    return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

static double elu(double x) {
    return x > 0 ? x : expm1(x);
}

/* A function: its kernel, its definition, and its bound in units of the last place and as a share
 * of |x|.
 */
struct function {
    const char *name;
    size_t offset;
    double (*definition)(double x);
    double units, share;
};

#define AT(member) offsetof(struct cn_function_kernels, member)
static const struct function functions[] = {
    {"exponential", AT(exponential), exp, 2, 0},
    {"sigmoid", AT(sigmoid), sigmoid, 3, 0},
    {"tanh", AT(tanh), tanh, 3, 0},
    {"erf", AT(erf), erf, 3, 0},
    {"softplus", AT(softplus), softplus, 4, 0},
    {"swish", AT(swish), swish, 4, 5e-45},
    {"gelu", AT(gelu), gelu, 4, 2e-7},
    {"elu", AT(elu), elu, 4, 0},
};

typedef void kernel_function(float *y, const float *x, size_t count);

static kernel_function *kernel_of(const struct cn_kernels *kernels, const struct function *f) {
    kernel_function *kernel;
    memcpy(&kernel, (const char *)kernels->functions + f->offset, sizeof kernel);
    return kernel;
}

static void check_function(const struct cn_kernels *kernels, const struct function *f) {
    float *x = all_exponents(), *y = malloc(COUNT * sizeof *y);
    double worst = 0;
    kernel_of(kernels, f)(y, x, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        const double expected = f->definition((double)x[i]);
        if (fabs(expected) > (double)FLT_MAX) {
            cr_assert(y[i] > FLT_MAX || y[i] < -FLT_MAX || fabs(expected) < 3.5e38, "%s: %s(%a)",
                      kernels->name, f->name, (double)x[i]);
            continue;
        }
        const double error = fabs((double)y[i] - expected) - f->share * fabs((double)x[i]);
        worst = fmax(worst, error / unit_of(expected));
        cr_assert(error <= f->units * unit_of(expected), "%s: %s(%a = %g) is %a, not %a: %g units",
                  kernels->name, f->name, (double)x[i], (double)x[i], (double)y[i], expected,
                  error / unit_of(expected));
    }
    cr_log_info("%s: %s: %.2f units", kernels->name, f->name, worst);
    free(x);
    free(y);
}

static void check_ends(const struct cn_kernels *kernels, const struct function *f) {
    const float in[] = {INFINITY, -INFINITY, NAN, 0};
    float out[4], one;
    kernel_of(kernels, f)(out, in, 4);
    cr_assert_eq((double)out[0], f->definition(INFINITY), "%s: %s(inf) is %g", kernels->name,
                 f->name, (double)out[0]);
    cr_assert_float_eq((double)out[1],
                       strchr("sg", f->name[0]) != NULL ? 0 : f->definition(-INFINITY), 1e-37,
                       "%s: %s(-inf) is %g", kernels->name, f->name, (double)out[1]);
    cr_assert(isnan(out[2]), "%s: %s(nan) is %g", kernels->name, f->name, (double)out[2]);
    kernel_of(kernels, f)(&one, &in[3], 1);
    cr_assert_eq(one, out[3], "%s: %s: alone it has other bits", kernels->name, f->name);
}

Test(functions, hold_their_bounds_over_every_exponent) {
    const struct cn_kernels *kernels;
    for (size_t i = 0; (kernels = cn_kernels_at(i)) != NULL; i++)
        for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
            check_function(kernels, &functions[k]);
            check_ends(kernels, &functions[k]);
        }
}
