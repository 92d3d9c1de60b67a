/* scan.c: reads a JSON text: punctuation, strings, and values that are skipped. scan_number.c reads
 * numbers. It builds nothing. No state but the caller's. */
#include "json/scan.h"

#include <string.h>

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
        return cn_fail(s->error, CN_MALFORMED, "the JSON is nested over %d deep", JSON_MAX_DEPTH);
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
