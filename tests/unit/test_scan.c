#include "json/scan.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static struct cn_error error;

static struct json_scan scan_of(const char *text) {
    error = (struct cn_error){0};
    return (struct json_scan){text, text, strlen(text), &error};
}

/* The bits must be those of strtof, and the text must be read to its end. */
static bool is_exact(const char *text) {
    struct json_scan scan = scan_of(text);
    const float expected = strtof(text, NULL);
    float value = -1;
    if (cn_json_number(&scan, &value) != CN_OK || *scan.at != '\0')
        return false;
    return memcmp(&value, &expected, sizeof value) == 0;
}

static bool is_refused(const char *text) {
    struct json_scan scan = scan_of(text);
    float value = -1;
    return cn_json_number(&scan, &value) == CN_MALFORMED && error.text[0] != '\0';
}

Test(json_scan, numbers) {
    static const char *const good[] = {"0",
                                       "-0",
                                       "7",
                                       "255",
                                       "0.5",
                                       "1e3",
                                       "1E+3",
                                       "25e-1",
                                       "0.1",
                                       "1e400",
                                       "-1e400",
                                       "1e-400",
                                       "0.00392156862745098",
                                       "0.98823529411764710",
                                       "3.4028235e38",
                                       "1.17549435e-38",
                                       "1e-45",
                                       "123456789012345678901234567890",
                                       "0.000000000000000000000000000000000000000000001",
                                       "16777217",
                                       "16777217.0000000000000000000000001",
                                       "9007199791611905",
                                       "0e99999999999",
                                       "8388608.5",
                                       "8388609.5",
                                       "1.00000017881393432617187499",
                                       "1.00000017881393432617187500",
                                       "1.00000017881393432617187501",
                                       "18014398509481984",
                                       "999999999999999999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(is_exact(good[i]), "%s", good[i]);
    static const char *const bad[] = {"",    "-",   "+1",  ".5", "1.", "1e",       "1e+",
                                      "NaN", "nan", "inf", "x",  "-a", "Infinity", "\"1\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(is_refused(bad[i]), "%s", bad[i]);
}

/* Any float with any number of digits must be read as strtof reads it. */
Test(json_scan, random_numbers) {
    struct cn_random random = cn_random_stream(7, 0, 0, 0);
    char text[64];
    for (int i = 0; i < 200000; i++) {
        const uint32_t bits = (uint32_t)cn_random_bits(&random);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0)
            value = cn_random_float(&random);
        if (!isfinite(value))
            continue;
        (void)snprintf(text, sizeof text, "%.*g", 1 + i % 20, (double)value);
        cr_assert(is_exact(text), "%s", text);
        (void)snprintf(text, sizeof text, "%.*f", i % 12, fmod((double)value, 300));
        cr_assert(is_exact(text), "%s", text);
    }
}

/* Decimals exactly between two floats, and slightly above and below. */
Test(json_scan, middles) {
    struct cn_random random = cn_random_stream(8, 0, 0, 0);
    char text[64];
    for (int i = 0; i < 20000; i++) {
        const float value = cn_random_float(&random);
        const double middle = ((double)value + (double)nextafterf(value, 2)) / 2;
        for (int k = 17; k < 26; k++) {
            (void)snprintf(text, sizeof text, "%.*g", k, middle);
            cr_assert(is_exact(text), "%s", text);
        }
    }
}

Test(json_scan, integers) {
    int64_t value = 0;
    struct json_scan scan = scan_of(" -12 ");
    cr_assert_eq(cn_json_integer(&scan, "a dimension", &value), CN_OK);
    cr_assert_eq(value, -12);
    scan = scan_of("9223372036854775807");
    cr_assert_eq(cn_json_integer(&scan, "a dimension", &value), CN_OK);
    cr_assert_eq(value, INT64_MAX);
    static const char *const bad[] = {"9223372036854775808",    "1.0", "1e2", "\"3\"", "true",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        scan = scan_of(bad[i]);
        cr_assert_eq(cn_json_integer(&scan, "a dimension", &value), CN_MALFORMED, "%s", bad[i]);
        cr_assert_not_null(strstr(error.text, "a dimension"));
    }
}

static bool skips(const char *text) {
    struct json_scan scan = scan_of(text);
    return cn_json_skip(&scan) == CN_OK && cn_json_end(&scan) == CN_OK;
}

Test(json_scan, values_that_are_skipped) {
    static const char *const good[] = {"1",
                                       "\"a\\u00e9\\n\"",
                                       "[]",
                                       "{}",
                                       "true",
                                       "[1, [2, {}], \"]\"]",
                                       "{\"a\" : {\"b\":[null]}}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(skips(good[i]), "%s", good[i]);
    static const char *const bad[] = {"",      "[",         "[1,]",       "[1 2]",       "{\"a\"}",
                                      "{a:1}", "{\"a\":}",  "\"\\x\"",    "\"\\u12g4\"", "\"\n\"",
                                      "[1]]",  "nul",       "{\"a\":1,}", "\"abc",       "'a'",
                                      "[1}",   "\"\\u12\"", "\"a\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(skips(bad[i]), "%s", bad[i]);
}

Test(json_scan, depth) {
    enum { MANY = 250000 };
    char *text = malloc(2 * MANY + 1);
    cr_assert_not_null(text);
    memset(text, '[', MANY);
    memset(text + MANY, ']', MANY);
    text[2 * MANY] = '\0';
    cr_assert_not(skips(text));
    cr_assert_eq(error.status, CN_MALFORMED);
    cr_assert_not_null(strstr(error.text, "32 levels deep"), "%s", error.text);
    text[MANY + JSON_MAX_DEPTH] = '\0';
    cr_assert(skips(text + MANY - JSON_MAX_DEPTH));
    free(text);
}

static struct json_string string_of(const char *text) {
    return (struct json_string){text, strlen(text)};
}

Test(json_scan, escapes) {
    char text[64];
    size_t length = cn_json_unescape(string_of("a\\/b\\\\\\\"\\n\\u0041\\u00e9\\u20ac"), text);
    text[length] = '\0';
    cr_assert_str_eq(text, "a/b\\\"\nA\xc3\xa9\xe2\x82\xac");
    length = cn_json_unescape(string_of("\\ud83d\\ude00\\ud83dx\\ude00"), text);
    text[length] = '\0';
    cr_assert_str_eq(text, "\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd");
}

static bool is_string(const char *bytes, const char *text) {
    return cn_json_is((struct json_string){bytes, strlen(bytes)}, text);
}

Test(json_scan, a_name_is_the_same_in_each_spelling) {
    cr_assert(is_string("images", "images"));
    cr_assert(is_string("\\u0069mages", "images"));
    cr_assert(is_string("\\u0069\\u006d\\u0061\\u0067\\u0065\\u0073", "images"));
    cr_assert(is_string("a\\/b", "a/b"));
    cr_assert_not(is_string("\\u0069mage", "images"));
    cr_assert_not(is_string("\\u0049mages", "images"));
    cr_assert_not(is_string("images\\u0000", "images"));
    char bytes[2 * CN_JSON_NAME + 1] = "", longest[CN_JSON_NAME / 6 + 1] = "";
    for (size_t i = 0; i + 1 < sizeof longest; i++) {
        memcpy(bytes + 6 * i, "\\u0061", 7);
        longest[i] = 'a';
    }
    cr_assert(is_string(bytes, longest));
    memset(bytes, '\\', sizeof bytes - 1);
    bytes[sizeof bytes - 1] = '\0';
    cr_assert_not(is_string(bytes, "images"));
}

Test(json_scan, utf8) {
    cr_assert(cn_json_is_utf8(string_of("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    static const char *const bad[] = {"\xc3",
                                      "\x80",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(cn_json_is_utf8(string_of(bad[i])), "%zu", i);
    /* A UTF-8 sequence that is cut by the end of the string. */
    cr_assert_not(cn_json_is_utf8((struct json_string){"\xc3\xa9", 1}));
}

static bool decodes(const char *text, const char *expected) {
    uint8_t *bytes = NULL;
    size_t length = 0;
    const enum cn_status status = cn_json_base64(string_of(text), &bytes, &length, &error);
    const bool same =
        status == CN_OK && length == strlen(expected) && memcmp(bytes, expected, length) == 0;
    free(bytes);
    return same;
}

Test(json_scan, base64) {
    cr_assert(decodes("", ""));
    cr_assert(decodes("TWFu", "Man"));
    cr_assert(decodes("TWE=", "Ma"));
    cr_assert(decodes("TW\\nFu", "Man"));
    cr_assert(decodes("Pz8\\/", "???"));
    cr_assert(decodes("Pj4\\u002B", ">>>"));
    cr_assert(decodes("data:image/png;base64,TWFu", "Man"));
    cr_assert(decodes("TWE", "Ma"), "without its padding");
    cr_assert(decodes("TQ", "M"));
    cr_assert(decodes("TQ=", "M"));
    cr_assert(decodes("TWE\\n", "Ma"));
    cr_assert(decodes("Pz8_Pj4-", "?\?\?>>>"), "the alphabet of URLs");
    cr_assert_not(decodes("T", ""), "a digit alone is not a byte");
    cr_assert_not(decodes("TR", "M"), "bits are left");
    cr_assert_not(decodes("TQ===", "M"));
    cr_assert_not(decodes("TWFu\\u0000", "Man"));
    cr_assert_not(decodes("TW.u", "Man"));
    cr_assert_not(decodes("TWE=TWE=", "MaMa"));
    cr_assert_not(decodes("data:,", "x"));
}
