/* test_utf8.c: the errors of RFC 3629's table, and every code point encoded and decoded. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

static const struct {
    const char *text;
    size_t left, length;
} table[] = {
    {"a", 1, 1},
    {"", 1, 1}, /* a NUL counts as a character */
    {"a", 0, 0},
    {"\x7f", 1, 1},
    {"\x80", 1, 0},
    {"\xc1\xbf", 2, 0}, /* overlong */
    {"\xc2\x80", 2, 2},
    {"\xc2\x80", 1, 0}, /* incomplete */
    {"\xc2", 8, 0},     /* ended by a NUL */
    {"\xc3(", 2, 0},
    {"\xe0\x9f\xbf", 3, 0}, /* overlong */
    {"\xe0\xa0\x80", 3, 3},
    {"\xe2\x82\xac", 2, 0},
    {"\xe2\x82", 8, 0},
    {"\xed\x9f\xbf", 3, 3},
    {"\xed\xa0\x80", 3, 0},     /* a surrogate */
    {"\xf0\x8f\xbf\xbf", 4, 0}, /* overlong */
    {"\xf0\x90\x80\x80", 4, 4},
    {"\xf4\x8f\xbf\xbf", 4, 4},
    {"\xf4\x90\x80\x80", 4, 0}, /* beyond U+10FFFF */
    {"\xf5\x80\x80\x80", 4, 0},
    {"\xff", 1, 0},
};

Test(utf8, tells_characters_from_others) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        cr_expect_eq(cn_utf8_length(table[i].text, table[i].left), table[i].length, "row %zu", i);
}

static size_t encode(uint32_t code, char *to) {
    const size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(first[length] | code);
    return length;
}

Test(utf8, knows_every_code_point) {
    char text[4];
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        const size_t length = encode(code, text);
        const size_t expected = code >= 0xd800 && code <= 0xdfff ? 0 : length;
        if (cn_utf8_length(text, length) != expected || cn_utf8_length(text, length - 1) != 0)
            cr_assert_fail("U+%04X", (unsigned)code);
    }
}
