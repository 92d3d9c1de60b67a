/* scan.c: reads a JSON text: punctuation, strings, numbers, and values that are skipped. It
 * builds nothing. No state but the caller's. */
#include "json/scan.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum cn_status cn_json_fail(struct json_scan *s, const char *expected) {
    const size_t offset = (size_t)(s->at - s->text);
    if (offset >= s->length)
        return cn_fail(s->error, CN_MALFORMED, "the JSON ends at byte %zu, where %s is expected",
                       offset, expected);
    const unsigned char byte = (unsigned char)*s->at;
    return cn_fail(s->error, CN_MALFORMED,
                   byte >= 0x20 && byte < 0x7f
                       ? "the JSON has '%c' at byte %zu, where %s is expected"
                       : "the JSON has byte %d at byte %zu, where %s is "
                         "expected",
                   byte, offset, expected);
}

char cn_json_peek(struct json_scan *s) {
    while (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')
        s->at++;
    return *s->at;
}

bool cn_json_take(struct json_scan *s, char c) {
    if (cn_json_peek(s) != c)
        return false;
    s->at++;
    return true;
}

enum cn_status cn_json_end(struct json_scan *s) {
    if (cn_json_peek(s) != '\0' || s->at != s->text + s->length)
        return cn_json_fail(s, "the end");
    return CN_OK;
}

static bool take_word(struct json_scan *s, const char *word) {
    const size_t length = strlen(word);
    if (strncmp(s->at, word, length) != 0)
        return false;
    s->at += length;
    return true;
}

enum cn_status cn_json_bool(struct json_scan *s, const char *expected, bool *ret_value) {
    (void)cn_json_peek(s);
    const bool yes = take_word(s, "true");
    if (!yes && !take_word(s, "false"))
        return cn_json_fail(s, expected);
    *ret_value = yes;
    return CN_OK;
}

enum cn_status cn_json_text(struct json_scan *s, struct json_string *ret_string) {
    if (!cn_json_take(s, '"'))
        return cn_json_fail(s, "a string");
    const char *begin = s->at;
    while (*s->at != '"') {
        if ((unsigned char)*s->at < 0x20)
            return cn_json_fail(s, "the end of a string");
        if (*s->at == '\\') {
            s->at++;
            if (*s->at == '\0' || strchr("\"\\/bfnrtu", *s->at) == NULL)
                return cn_json_fail(s, "an escape");
            if (*s->at == 'u' && strspn(s->at + 1, "0123456789abcdefABCDEF") < 4)
                return cn_json_fail(s, "four hexadecimal digits");
        }
        s->at++;
    }
    *ret_string = (struct json_string){begin, (size_t)(s->at - begin)};
    s->at++;
    return CN_OK;
}

/* ---- Objects and lists ---- */

enum cn_status cn_json_object(struct json_scan *s,
                              enum cn_status (*member)(struct json_scan *scan,
                                                       struct json_string key, void *data),
                              void *data) {
    if (!cn_json_take(s, '{'))
        return cn_json_fail(s, "'{'");
    if (cn_json_take(s, '}'))
        return CN_OK;
    do {
        struct json_string key = {0};
        enum cn_status status = cn_json_text(s, &key);
        if (status == CN_OK && !cn_json_take(s, ':'))
            status = cn_json_fail(s, "':'");
        if (status == CN_OK)
            status = member(s, key, data);
        if (status != CN_OK)
            return status;
    } while (cn_json_take(s, ','));
    return cn_json_take(s, '}') ? CN_OK : cn_json_fail(s, "',' or '}'");
}

enum cn_status cn_json_list(struct json_scan *s,
                            enum cn_status (*element)(struct json_scan *scan, size_t index,
                                                      void *data),
                            void *data) {
    size_t index = 0;
    if (!cn_json_take(s, '['))
        return cn_json_fail(s, "'['");
    if (cn_json_take(s, ']'))
        return CN_OK;
    do {
        const enum cn_status status = element(s, index++, data);
        if (status != CN_OK)
            return status;
    } while (cn_json_take(s, ','));
    return cn_json_take(s, ']') ? CN_OK : cn_json_fail(s, "',' or ']'");
}

static enum cn_status skip_scalar(struct json_scan *s) {
    struct json_string string;
    float number = 0;
    const char c = cn_json_peek(s);
    if (c == '"')
        return cn_json_text(s, &string);
    if (take_word(s, "true") || take_word(s, "false") || take_word(s, "null"))
        return CN_OK;
    if (c != '-' && (c < '0' || c > '9'))
        return cn_json_fail(s, "a value");
    return cn_json_number(s, &number);
}

static enum cn_status skip_member(struct json_scan *s, struct json_string key, void *data);

static enum cn_status skip_element(struct json_scan *s, size_t index, void *data) {
    int *depth = data;
    enum cn_status status = CN_OK;
    const char c = cn_json_peek(s);
    (void)index;
    if (c != '{' && c != '[')
        return skip_scalar(s);
    if (++*depth > JSON_MAX_DEPTH)
        return cn_fail(s->error, CN_MALFORMED, "the JSON is nested more than %d levels deep",
                       JSON_MAX_DEPTH);
    status =
        c == '{' ? cn_json_object(s, skip_member, depth) : cn_json_list(s, skip_element, depth);
    --*depth;
    return status;
}

static enum cn_status skip_member(struct json_scan *s, struct json_string key, void *data) {
    (void)key;
    return skip_element(s, 0, data);
}

enum cn_status cn_json_skip(struct json_scan *s) {
    int depth = 0;
    return skip_element(s, 0, &depth);
}

/* ---- The contents of strings: escapes, UTF-8, base64 ---- */

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

bool cn_json_is(struct json_string string, const char *text) {
    const size_t length = strlen(text);
    char plain[CN_JSON_NAME];
    if (string.length <= sizeof plain && memchr(string.begin, '\\', string.length) != NULL)
        string = (struct json_string){plain, cn_json_unescape(string, plain)};
    return string.length == length && memcmp(string.begin, text, length) == 0;
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
    for (char *c = from; (c = strpbrk(c, "-_")) != NULL; c++) /* the alphabet for URLs */
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

/* ---- Numbers ----
 * Most samples have few digits. Those are converted by one integer and one division in double
 * arithmetic, which is exact enough to be rounded once more; strtof converts the rest. The process
 * never sets a locale, so strtof expects a decimal point. */

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
