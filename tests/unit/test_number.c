/* test_number.c: compares floats as shortest decimals with printf and strtof. */
#include "base/number.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

/* Digits from the first nonzero one to the last nonzero one. */
static int significant_digits(const char *text) {
    int count = 0, trailing = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '1' && *text <= '9') {
            count += trailing + 1;
            trailing = 0;
        } else if (*text == '0' && count > 0) {
            trailing++;
        }
    }
    return count;
}

/* The oracle: the first precision of printf whose text gives the same float. */
static int shortest_digits(float value) {
    char text[32];
    for (int digits = 1;; digits++) {
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (strtof(text, NULL) == value) {
            return significant_digits(text);
        }
    }
}

static void expect_shortest(float value) {
    char text[CN_FLOAT_TEXT];
    memset(text, 'x', sizeof text);
    size_t length = cn_float_format(text, value);
    cr_assert_lt(length, sizeof text, "%a", (double)value);
    cr_assert_eq(strlen(text), length);
    cr_assert_eq(strspn(text, "0123456789.e-"), length, "%s", text);
    char *end;
    float back = strtof(text, &end);
    cr_assert(*end == '\0' && memcmp(&back, &value, sizeof value) == 0, "%a gave %s", (double)value,
              text);
    cr_assert_eq(significant_digits(text), shortest_digits(fabsf(value)), "%a gave %s",
                 (double)value, text);
}

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

Test(number, known_texts) {
    static const struct {
        float value;
        const char *text;
    } rows[] = {
        {0.0f, "0"},
        {-0.0f, "-0"},
        {1.0f, "1"},
        {0.1f, "0.1"},
        {-0.3f, "-0.3"},
        {100.0f, "100"},
        {12.5f, "12.5"},
        {0.001f, "0.001"},
        {0.99999994f, "0.99999994"},
        {0.00012f, "0.00012"},
        {0.000012f, "1.2e-5"},
        {16777216.0f, "16777216"},
        {123456789.0f, "123456790"},
        {1e9f, "1e9"},
        {FLT_MAX, "3.4028235e38"},
        {-FLT_MIN, "-1.1754944e-38"},
        {1e-45f, "1e-45"},
        {INFINITY, "null"},
        {NAN, "null"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[CN_FLOAT_TEXT];
        cr_expect_eq(cn_float_format(text, rows[i].value), strlen(rows[i].text));
        cr_expect_str_eq(text, rows[i].text);
    }
}

Test(number, random_bit_patterns_round_trip_and_are_shortest) {
    struct cn_random random = cn_random_stream(1, 0, 0, 0);
    for (int i = 0; i < 100000; i++) {
        float value = float_of_bits((uint32_t)cn_random_bits(&random));
        if (isfinite(value)) {
            expect_shortest(value);
        }
    }
}

Test(number, probabilities_round_trip_and_are_shortest) {
    struct cn_random random = cn_random_stream(2, 0, 0, 0);
    for (int i = 0; i < 100000; i++) {
        expect_shortest(expf(cn_random_uniform(&random, -60, 0)));
        expect_shortest(cn_random_float(&random));
    }
}

Test(number, edges_of_binades_and_decades) {
    for (uint32_t exponent = 0; exponent < 255; exponent++) {
        for (uint32_t mantissa = 0; mantissa < 3; mantissa++) {
            expect_shortest(float_of_bits(exponent << 23 | mantissa));
            expect_shortest(float_of_bits(exponent << 23 | (0x7fffff - mantissa)));
        }
    }
    for (int power = -45; power <= 38; power++) {
        float value =
            strtof((char[]){'1', 'e', power < 0 ? '-' : '+', (char)('0' + abs(power) / 10),
                            (char)('0' + abs(power) % 10), '\0'},
                   NULL);
        expect_shortest(value);
        expect_shortest(nextafterf(value, 0));
        expect_shortest(nextafterf(value, FLT_MAX));
    }
}

Test(number, bytes_are_read_in_both_orders) {
    const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 0x88};
    cr_assert_eq(cn_number_little(bytes, 3), 0x030201);
    cr_assert_eq(cn_number_big(bytes, 3), 0x010203);
    cr_assert_eq(cn_number_little(bytes, 8), 0x8807060504030201);
    cr_assert_eq(cn_number_big(bytes, 8), 0x0102030405060788);
}

Test(number, half_floats_have_their_values) {
    cr_assert_eq(cn_number_half(0x3c00), 1.0f);
    cr_assert_eq(cn_number_half(0xc000), -2.0f);
    cr_assert_eq(cn_number_half(0x0001), 0x1p-24f, "the smallest subnormal number");
    cr_assert_eq(cn_number_half(0x7bff), 65504.0f);
    cr_assert(signbit(cn_number_half(0x8000)));
    cr_assert_eq(cn_number_half(0xfc00), -INFINITY);
    cr_assert(isnan(cn_number_half(0x7e00)));
    cr_assert_eq(cn_number_brain(0xbf80), -1.0f);
}
