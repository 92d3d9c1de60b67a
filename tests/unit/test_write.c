/* test_write.c: writing JSON (commas, escapes, numbers), CSV fields, and without memory. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/write.h"

static void expect(struct cn_text *text, const char *expected) {
    cr_expect_str_eq(cn_text_string(text), expected);
    free(text->bytes);
}

Test(write, puts_commas_where_they_belong) {
    struct cn_text text = {0};
    const int box[] = {0, 7, 28};
    cn_json_open(&text, NULL, '{');
    cn_json_open(&text, "empty", '[');
    cn_json_close(&text, ']');
    cn_json_open(&text, "list", '[');
    for (size_t i = 1; i <= 2; i++) {
        cn_json_open(&text, NULL, '{');
        cn_json_add_size(&text, "i", i);
        cn_json_add_size_string(&text, "s", i);
        cn_json_close(&text, '}');
    }
    cn_json_close(&text, ']');
    cn_json_add_bool(&text, "yes", true);
    cn_json_add_bool(&text, "no", false);
    cn_json_add_null(&text, "nothing");
    cn_json_add_integers(&text, "box", box, 3);
    cn_json_add_integers(&text, "none", box, 0);
    cn_json_close(&text, '}');
    cn_text_add(&text, "\n");
    cn_json_open(&text, NULL, '[');
    cn_json_close(&text, ']');
    expect(&text,
           "{\"empty\":[],\"list\":[{\"i\":1,\"s\":\"1\"},{\"i\":2,\"s\":\"2\"}],\"yes\":true,"
           "\"no\":false,\"nothing\":null,\"box\":[0,7,28],\"none\":[]}\n[]");
}

Test(write, numbers_are_shortest_and_finite) {
    struct cn_text text = {0};
    const float values[] = {0.1f, -0.0f, 3, INFINITY, 1e-10f};
    cn_json_open(&text, NULL, '[');
    cn_json_add_float(&text, NULL, 16777216);
    cn_json_add_float(&text, NULL, NAN);
    cn_json_add_floats(&text, NULL, values, 5);
    cn_json_close(&text, ']');
    expect(&text, "[16777216,null,[0.1,-0,3,null,1e-10]]");
}

/* Keys and strings contain each byte at each position: a quote at the end of a string must not
 * suppress the comma after it. */
Test(write, escapes_what_json_asks_for) {
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "a\"b", "\"\\/\n\x01\x7f");
    cn_json_add_string(&text, "\xc3\xa9", "x\xc3\xa9y\xf0\x9f\x98\x80");
    cn_json_add_string(&text, "bad\xff", "\xc3(\xed\xa0\x80");
    cn_json_add_string(&text, "", "[");
    cn_json_add_escaped(&text, "id", "a\\u00e9{", 8);
    cn_json_close(&text, '}');
    expect(&text,
           "{\"a\\\"b\":\"\\\"\\\\/"
           "\\u000a\\u0001\\u007f\",\"\xc3\xa9\":\"x\xc3\xa9y\xf0\x9f\x98\x80\","
           "\"bad\xef\xbf\xbd\":\"\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"\":\"[\","
           "\"id\":\"a\\u00e9{\"}");
}

Test(write, jansson_reads_every_byte_back) {
    for (int byte = 1; byte < 256; byte++) {
        const char string[] = {'<', (char)byte, '>', '\0'};
        struct cn_text text = {0};
        cn_json_open(&text, NULL, '{');
        cn_json_add_string(&text, string, string);
        cn_json_close(&text, '}');
        json_t *read = json_loads(cn_text_string(&text), 0, NULL);
        const char *expected = byte < 0x80 ? string : "<\xef\xbf\xbd>";
        cr_assert_not_null(read, "byte %d: %s", byte, text.bytes);
        cr_expect_str_eq(json_string_value(json_object_get(read, expected)), expected);
        json_decref(read);
        free(text.bytes);
    }
}

Test(write, base64_is_padded) {
    struct cn_text text = {0};
    cn_json_open(&text, NULL, '[');
    for (size_t length = 0; length <= 3; length++)
        cn_json_add_base64(&text, NULL, "foo", length);
    cn_json_close(&text, ']');
    expect(&text, "[\"\",\"Zg==\",\"Zm8=\",\"Zm9v\"]");
}

Test(write, csv_fields_are_quoted_when_they_must_be) {
    struct cn_text text = {0};
    const char *const fields[] = {"plain", "a,b", "say \"x\"", "two\nlines", ""};
    for (size_t i = 0; i < 5; i++) {
        cn_text_add(&text, i > 0 ? ";" : "");
        cn_text_add_csv(&text, fields[i]);
    }
    expect(&text, "plain;\"a,b\";\"say \"\"x\"\"\";\"two\nlines\";");
}

Test(write, a_failed_text_stays_so) {
    struct cn_text text = {.failed = true};
    size_t length = 1;
    cn_json_open(&text, NULL, '{');
    cn_json_add_string(&text, "key", "a\"b");
    cn_json_add_floats(&text, "f", (const float[]){1}, 1);
    cn_json_add_base64(&text, "b", "foo", 3);
    cr_expect_eq(text.length, 0);
    cr_expect_str_eq(cn_text_string(&text), "");
    cr_expect_null(cn_text_take(&text, &length));
    cr_expect_eq(length, 0);
}
