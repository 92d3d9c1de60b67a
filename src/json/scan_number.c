/* scan_number.c: JSON's numbers. Most samples have few digits: one integer and one division in
 * double arithmetic, which is exact enough to be rounded once more, read those; strtof reads the
 * rest. The process never sets a locale, so the decimal point is a point. No state. */
#include <stdlib.h>
#include <string.h>

#include "json/scan.h"

enum { EXACT_POWER = 22, MAX_EXPONENT = 100000, FAST_DIGITS = 18 };

/* Powers of ten that a double holds exactly. */
static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A number as written: (-) mantissa x 10^exponent. */
struct decimal {
    bool negative, whole; /* whole: has neither point nor exponent */
    uint64_t mantissa;
    int digits; /* of the mantissa without leading zeros; above FAST_DIGITS it is not kept */
    int exponent;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *read_digits(const char *p, struct decimal *d, bool fraction) {
    for (; is_digit(*p); p++) {
        if (d->digits < FAST_DIGITS)
            d->mantissa = 10 * d->mantissa + (uint64_t)(*p - '0');
        d->digits += d->mantissa > 0;
        d->exponent -= fraction && d->exponent > -MAX_EXPONENT;
    }
    return p;
}

/* Parses RFC 8259's grammar; NULL for a syntax error. */
static const char *read_decimal(const char *p, struct decimal *d) {
    *d = (struct decimal){.negative = *p == '-', .whole = true};
    p += d->negative;
    if (!is_digit(*p))
        return NULL;
    p = *p == '0' ? p + 1 : read_digits(p, d, false);
    if (*p == '.') {
        d->whole = false;
        if (!is_digit(p[1]))
            return NULL;
        p = read_digits(p + 1, d, true);
    }
    if (*p == 'e' || *p == 'E') {
        d->whole = false;
        const bool minus = p[1] == '-';
        p += 1 + (minus || p[1] == '+');
        if (!is_digit(*p))
            return NULL;
        int exponent = 0;
        for (; is_digit(*p); p++)
            exponent = exponent < MAX_EXPONENT ? 10 * exponent + (*p - '0') : exponent;
        d->exponent += minus ? -exponent : exponent;
    }
    return p;
}

/* True if double arithmetic gives the float nearest to the decimal. Mantissa and power are exact,
 * so their quotient is the nearest double. Rounding that to float can be wrong only at the midpoint
 * of two floats, or for subnormal floats. */
static bool is_exact(const struct decimal *d, float *ret_value) {
    if (d->digits > FAST_DIGITS || d->mantissa >= (uint64_t)1 << 53 || d->exponent > EXACT_POWER ||
        d->exponent < -EXACT_POWER)
        return false;
    const double magnitude = (double)d->mantissa;
    const double value =
        d->exponent < 0 ? magnitude / powers[-d->exponent] : magnitude * powers[d->exponent];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != 0 && (value < 1e-30 || value > 1e30 || (bits & 0x1fffffff) == 0x10000000))
        return false;
    *ret_value = d->negative ? -(float)value : (float)value;
    return true;
}

enum cn_status cn_json_number(struct json_scan *s, float *ret_value) {
    struct decimal decimal;
    (void)cn_json_peek(s);
    const char *end = read_decimal(s->at, &decimal);
    if (end == NULL)
        return cn_json_fail(s, "a number");
    if (!is_exact(&decimal, ret_value))
        *ret_value = strtof(s->at, NULL);
    s->at = end;
    return CN_OK;
}

enum cn_status cn_json_integer(struct json_scan *s, const char *expected, int64_t *ret_value) {
    struct decimal decimal;
    (void)cn_json_peek(s);
    const char *end = read_decimal(s->at, &decimal);
    if (end == NULL || !decimal.whole)
        return cn_json_fail(s, expected);
    uint64_t magnitude = 0;
    bool fits = true;
    for (const char *p = s->at + decimal.negative; p < end; p++)
        fits = fits && !__builtin_mul_overflow(magnitude, 10, &magnitude) &&
               !__builtin_add_overflow(magnitude, (uint64_t)(*p - '0'), &magnitude);
    if (!fits || magnitude > INT64_MAX)
        return cn_json_fail(s, expected);
    *ret_value = decimal.negative ? -(int64_t)magnitude : (int64_t)magnitude;
    s->at = end;
    return CN_OK;
}
