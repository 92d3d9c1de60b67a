/* scan_string.c: the contents of JSON strings: escapes, UTF-8, base64. No state. */
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "json/scan.h"

bool cn_json_is(struct json_string string, const char *text) {
    return string.length == strlen(text) && memcmp(string.begin, text, string.length) == 0;
}

/* Four hexadecimal digits, which cn_json_text has checked. */
static unsigned hex4(const char *digits) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = digits[i];
        value = value * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static char *put_utf8(char *to, unsigned code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned first[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(first[more] | code >> (6 * more));
    for (int i = more - 1; i >= 0; i--)
        *to++ = (char)(0x80 | (code >> (6 * i) & 0x3f));
    return to;
}

/* Decodes the escape after a backslash at *from and advances past it. A lone surrogate becomes
 * U+FFFD. */
static char *put_escape(char *to, const char **from, const char *end) {
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    const char c = *(*from)++;
    if (c != 'u') {
        const char *name = memchr(names, c, sizeof names - 1);
        *to++ = name != NULL ? values[name - names] : c;
        return to;
    }
    unsigned code = hex4(*from);
    *from += 4;
    const bool high = code >= 0xd800 && code < 0xdc00;
    if (high && end - *from >= 6 && (*from)[0] == '\\' && (*from)[1] == 'u' &&
        hex4(*from + 2) >= 0xdc00 && hex4(*from + 2) < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(*from + 2) - 0xdc00);
        *from += 6;
    } else if (code >= 0xd800 && code < 0xe000) {
        code = 0xfffd;
    }
    return put_utf8(to, code);
}

size_t cn_json_unescape(struct json_string string, char *to) {
    const char *from = string.begin, *end = from + string.length;
    char *start = to;
    while (from < end) {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        from++;
        to = put_escape(to, &from, end);
    }
    return (size_t)(to - start);
}

bool cn_json_is_utf8(struct json_string string) {
    size_t length = 0;
    for (size_t i = 0; i < string.length; i += length) {
        length = cn_utf8_length(string.begin + i, string.length - i);
        if (length == 0)
            return false;
    }
    return true;
}

enum cn_status cn_json_base64(struct json_string string, uint8_t **ret_bytes, size_t *ret_length,
                              struct cn_error *error) {
    struct base64_decode_ctx context;
    size_t length = 0;
    char *text = malloc(string.length + 1);
    uint8_t *bytes = malloc(BASE64_DECODE_LENGTH(string.length) + 1);
    if (text == NULL || bytes == NULL) {
        free(text);
        free(bytes);
        return cn_fail(error, CN_MEMORY, "no memory for %zu bytes of base64", string.length);
    }
    const size_t text_length = cn_json_unescape(string, text);
    char *comma =
        text_length > 5 && memcmp(text, "data:", 5) == 0 ? memchr(text, ',', text_length) : NULL;
    char *from = comma != NULL ? comma + 1 : text;
    text[text_length] = '\0';
    for (char *c = from; (c = strpbrk(c, "-_")) != NULL; c++) /* the alphabet of URLs, too */
        *c = *c == '-' ? '+' : '/';
    base64_decode_init(&context);
    bool good = base64_decode_update(&context, &length, bytes, text_length - (size_t)(from - text),
                                     from) == 1;
    size_t none = 0;
    for (int i = 0; i < 2 && good && base64_decode_final(&context) != 1; i++) /* without padding */
        good = base64_decode_update(&context, &none, bytes + length, 1, "=") == 1;
    good = good && base64_decode_final(&context) == 1;
    free(text);
    if (!good) {
        free(bytes);
        return cn_fail(error, CN_MALFORMED, "the string is not base64");
    }
    *ret_bytes = bytes;
    *ret_length = length;
    return CN_OK;
}
