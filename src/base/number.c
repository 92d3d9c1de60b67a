/* number.c: floats as shortest decimals, bytes as numbers.
 *
 * Tries 7 digits first and then more or fewer: testing a candidate takes one multiplication and one
 * comparison in double arithmetic. Cases that double precision cannot decide (subnormals,
 * candidates next to the midpoint of two floats) are left to printf and strtof. Thread-safe. */
#include "base/number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 9, USUAL_DIGITS = 7 };

/* d.ddd x 10^exponent: `digits` has `count` decimal digits. */
struct decimal {
    uint32_t digits;
    int count, exponent;
};

static const double powers[] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31,
    1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47,
};

static const uint32_t integer_powers[] = {1,      10,      100,      1000,      10000,
                                          100000, 1000000, 10000000, 100000000, 1000000000};

/* value x 10^power, with an error of an ulp or two. */
static double power_scale(double value, int power) {
    return power >= 0 ? value * powers[power] : value / powers[-power];
}

/* floor(log10(value)), or one less just below a power of ten. */
static int decimal_exponent(double value) {
    int binary;
    (void)frexp(value, &binary); /* value in [2^(binary-1), 2^binary) */
    int exponent = (int)floor((binary - 1) * 0.30102999566398120);
    return power_scale(value, -exponent) >= 10 ? exponent + 1 : exponent;
}

enum verdict { SAME, DIFFERENT, UNDECIDED };

/* Finds the decimal of `count` digits nearest to `value`, and whether it reads back as the same
 * float. */
static enum verdict try_digits(double value, int exponent, int count, struct decimal *ret) {
    int power = count - 1 - exponent;
    uint32_t digits = (uint32_t)(power_scale(value, power) + 0.5);
    double back = power_scale((double)digits, -power);
    uint64_t bits;
    memcpy(&bits, &back, sizeof bits);
    /* The 29 bits that a float lacks. Near their midpoint an error of an ulp can change the
     * rounding. */
    int64_t from_half = (int64_t)(bits & 0x1fffffff) - 0x10000000;
    if (from_half >= -4 && from_half <= 4) {
        return UNDECIDED;
    }
    if ((float)back != (float)value) {
        return DIFFERENT;
    }
    *ret = (struct decimal){digits, count, exponent};
    if (digits >= integer_powers[count]) { /* 9.99... became 10.0 */
        ret->digits = digits / 10;
        ret->exponent++;
    }
    return SAME;
}

static bool shortest_fast(double value, struct decimal *ret) {
    if (value < (double)FLT_MIN || value > (double)FLT_MAX / 2) {
        return false;
    }
    int exponent = decimal_exponent(value);
    int count = USUAL_DIGITS;
    enum verdict verdict = try_digits(value, exponent, count, ret);
    if (verdict == SAME) { /* tries fewer digits until one fails */
        while (count > 1 && (verdict = try_digits(value, exponent, --count, ret)) == SAME) {
        }
        return verdict != UNDECIDED;
    }
    while (verdict == DIFFERENT && count < MAX_DIGITS) {
        verdict = try_digits(value, exponent, ++count, ret);
    }
    return verdict == SAME;
}

static void shortest_slow(float value, struct decimal *ret) {
    char text[32];
    for (int count = 1; count <= MAX_DIGITS; count++) {
        (void)snprintf(text, sizeof text, "%.*e", count - 1, (double)value);
        if (count == MAX_DIGITS || strtof(text, NULL) == value) {
            *ret = (struct decimal){0, count, atoi(strchr(text, 'e') + 1)};
            break;
        }
    }
    for (const char *c = text; *c != 'e'; c++) { /* some locales use a comma as the point */
        if (*c >= '0' && *c <= '9') {
            ret->digits = ret->digits * 10 + (uint32_t)(*c - '0');
        }
    }
}

/* Writes digits[0..count), with a point after the first `whole` of them (0 < whole). */
static char *write_digits(char *text, const char *digits, int count, int whole) {
    for (int i = 0; i < count || i < whole; i++) {
        if (i == whole) {
            *text++ = '.';
        }
        *text++ = i < count ? digits[i] : '0';
    }
    return text;
}

static char *write_exponent(char *text, int exponent) {
    *text++ = 'e';
    if (exponent < 0) {
        *text++ = '-';
        exponent = -exponent;
    }
    if (exponent >= 10) {
        *text++ = (char)('0' + exponent / 10);
    }
    *text++ = (char)('0' + exponent % 10);
    return text;
}

size_t cn_float_format(char text[static CN_FLOAT_TEXT], float value) {
    if (!isfinite(value)) {
        memcpy(text, "null", sizeof "null");
        return sizeof "null" - 1;
    }
    char *end = text;
    if (signbit(value)) {
        *end++ = '-';
        value = -value;
    }
    struct decimal decimal = {0, 1, 0};
    if (value > 0 && !shortest_fast((double)value, &decimal)) {
        shortest_slow(value, &decimal);
    }
    while (decimal.count > 1 && decimal.digits % 10 == 0) {
        decimal.digits /= 10;
        decimal.count--;
    }
    char digits[MAX_DIGITS];
    for (int i = decimal.count; i-- > 0; decimal.digits /= 10) {
        digits[i] = (char)('0' + decimal.digits % 10);
    }
    if (decimal.exponent >= MAX_DIGITS || decimal.exponent < -4) {
        end = write_digits(end, digits, decimal.count, 1);
        end = write_exponent(end, decimal.exponent);
    } else if (decimal.exponent >= 0) {
        end = write_digits(end, digits, decimal.count, decimal.exponent + 1);
    } else {
        *end++ = '0';
        *end++ = '.';
        for (int i = -1; i > decimal.exponent; i--) {
            *end++ = '0';
        }
        end = write_digits(end, digits, decimal.count, decimal.count);
    }
    *end = '\0';
    return (size_t)(end - text);
}

uint64_t cn_number_little(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    while (count-- > 0)
        value = value << 8 | bytes[count];
    return value;
}

uint64_t cn_number_big(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

float cn_number_half(uint16_t half) {
    const int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    float value = exponent == 0    ? ldexpf((float)fraction, -24)
                  : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                   : ldexpf((float)(fraction | 0x400), exponent - 25);
    return (half & 0x8000) != 0 ? -value : value;
}

float cn_number_brain(uint16_t brain) {
    const uint32_t bits = (uint32_t)brain << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int cn_number_compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
