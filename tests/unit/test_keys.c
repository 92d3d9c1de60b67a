#include "http/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_A "0123456789abcdef0123456789abcdef"
#define KEY_B "ABCDEFGHIJKLMNOP"

static struct http_keys *keys;
static struct cn_error error;

static enum cn_status parse(const char *text) {
    char *copy = strdup(text);
    cr_assert_not_null(copy);
    error = (struct cn_error){0};
    http_keys_free(keys);
    keys = NULL;
    const enum cn_status status = http_keys_parse(copy, strlen(text), "here", &keys, &error);
    free(copy);
    return status;
}

Test(keys, a_file) {
    cr_assert_eq(parse("# ours\n\n" KEY_A " first\r\n\t " KEY_B "\t# of line 4\n"), CN_OK, "%s",
                 error.text);
    cr_assert_eq(http_keys_count(keys), 2);
    cr_assert_str_eq(http_keys_find(keys, KEY_A), "first");
    cr_assert_str_eq(http_keys_find(keys, KEY_B), "line-4");
}

Test(keys, only_the_whole_key_is_found) {
    cr_assert_eq(parse(KEY_A "\n" KEY_B), CN_OK);
    static const char *const others[] = {"",           "0123456789abcdef0123456789abcde",
                                         KEY_A "0",    "0123456789ABCDEF0123456789ABCDEF",
                                         KEY_A " ",    " " KEY_A,
                                         KEY_A "\n",   "abcdefghijklmnop",
                                         KEY_A KEY_B,  "line-1",
                                         KEY_A "\tabc"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_assert_null(http_keys_find(keys, others[i]), "'%s'", others[i]);
}

Test(keys, bad_files) {
    static const struct {
        const char *text;
        long long line;
        const char *words;
    } cases[] = {
        {"", -1, "no key"},
        {"# nothing\n", -1, "no key"},
        {KEY_A "\n0123456789abcde\n", 2, "16 bytes or more"},
        {KEY_A "\n\n0123456789abcde\xc3\xa9\n", 3, "printable"},
        {KEY_A " a b\n", 1, "optionally a name"},
        {KEY_A " a/b\n", 1, "a key's name"},
        {KEY_A " 123456789012345678901234567890123\n", 1, "a key's name"},
        {KEY_A " a\n" KEY_A " b\n", 2, "twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(parse(cases[i].text), CN_INVALID, "%s", cases[i].text);
        cr_assert_eq(error.offset, cases[i].line, "%s: line %lld", cases[i].text, error.offset);
        cr_assert_not_null(strstr(error.text, cases[i].words), "%s", error.text);
        cr_assert_str_eq(error.source, "here");
        cr_assert_null(strstr(error.text, "0123456789"), "a message never shows a key");
        cr_assert_null(keys);
    }
    char with_nul[] = KEY_A "\0\n";
    cr_assert_eq(http_keys_parse(with_nul, sizeof with_nul - 1, "here", &keys, NULL), CN_INVALID);
    char text[HTTP_KEY_MAX + 2];
    memset(text, 'a', sizeof text);
    text[HTTP_KEY_MAX + 1] = '\0';
    cr_assert_eq(parse(text), CN_INVALID);
    text[HTTP_KEY_MAX] = '\0';
    cr_assert_eq(parse(text), CN_OK);
    cr_assert_eq(http_keys_read("/nonexistent/keys", &keys, NULL), CN_IO);
}

Test(keys, as_many_as_fit) {
    char *text = calloc(1, (HTTP_KEYS_MAX + 1) * (size_t)24);
    char *to = text;
    cr_assert_not_null(text);
    for (int i = 0; i < HTTP_KEYS_MAX; i++)
        to += sprintf(to, "key-number-%08d\n", i);
    cr_assert_eq(parse(text), CN_OK, "%s", error.text);
    cr_assert_eq(http_keys_count(keys), (size_t)HTTP_KEYS_MAX);
    cr_assert_str_eq(http_keys_find(keys, "key-number-00001023"), "line-1024");
    (void)sprintf(to, "one-key-too-many\n");
    cr_assert_eq(parse(text), CN_INVALID);
    cr_assert_eq(error.offset, HTTP_KEYS_MAX + 1);
    free(text);
}
