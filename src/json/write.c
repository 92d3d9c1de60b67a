/* write.c: see write.h. The byte before a value shows whether it needs a comma, so that no state is
 * kept. No state but the caller's. */
#include "json/write.h"

#include <nettle/base64.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"

enum { LONG_ROOM = 65536 };

char *cn_text_room(struct cn_text *text, size_t more) {
    if (text->failed)
        return NULL;
    if (text->capacity - text->length < more) {
        const size_t capacity = 2 * text->capacity + more + 1024;
        char *bytes = realloc(text->bytes, capacity);
        if (bytes == NULL) {
            text->failed = true;
            return NULL;
        }
        text->bytes = bytes;
        text->capacity = capacity;
    }
    return text->bytes + text->length;
}

void cn_text_add_bytes(struct cn_text *text, const void *bytes, size_t length) {
    char *room = length > 0 ? cn_text_room(text, length)
                            : NULL; /* a NULL pointer is allowed without bytes */
    if (room == NULL)
        return;
    memcpy(room, bytes, length);
    text->length += length;
}

void cn_text_add(struct cn_text *text, const char *string) {
    cn_text_add_bytes(text, string, strlen(string));
}

void cn_text_add_float(struct cn_text *text, float value) {
    char *room = cn_text_room(text, CN_FLOAT_TEXT);
    if (room != NULL)
        text->length += cn_float_format(room, value);
}

void cn_text_add_size(struct cn_text *text, size_t value) {
    char digits[24], *first = digits + sizeof digits;
    do /* an answer has many numbers, and snprintf would take 0.3 us of its 7 us */
        *--first = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    cn_text_add_bytes(text, first, (size_t)(digits + sizeof digits - first));
}

const char *cn_text_string(struct cn_text *text) {
    char *end = cn_text_room(text, 1);
    if (end == NULL)
        return "";
    *end = '\0';
    return text->bytes;
}

char *cn_text_take(struct cn_text *text, size_t *ret_length) {
    char *bytes = text->failed ? NULL : text->bytes;
    if (text->failed)
        free(text->bytes);
    /* The text may be kept for a long time, so much unused capacity is given back. */
    char *less = text->length > 0 && bytes != NULL && text->capacity - text->length > LONG_ROOM
                     ? realloc(bytes, text->length)
                     : NULL;
    bytes = less != NULL ? less : bytes;
    *ret_length = text->failed ? 0 : text->length;
    *text = (struct cn_text){0};
    return bytes;
}

void cn_text_add_csv(struct cn_text *text, const char *field) {
    if (strpbrk(field, "\",\r\n") == NULL) {
        cn_text_add(text, field);
        return;
    }
    cn_text_add(text, "\"");
    for (; *field != '\0'; field++)
        cn_text_add_bytes(text, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    cn_text_add(text, "\"");
}

/* ---- JSON ---- */

/* The length of the string up to the first byte that JSON must escape. */
static size_t plain_length(const char *string) {
    static const bool plain[256] = {
        [0x20 ... 0x21] = true, [0x23 ... 0x5b] = true, [0x5d ... 0x7e] = true};
    const unsigned char *s = (const unsigned char *)string;
    while (plain[*s])
        s++;
    return (size_t)(s - (const unsigned char *)string);
}

/* Adds one byte or character that must be escaped; returns what follows it. */
static const char *add_escape(struct cn_text *text, const char *s) {
    char escape[8];
    const size_t length = cn_utf8_length(s, SIZE_MAX);
    if (length == 0) {
        cn_text_add(text, "\xef\xbf\xbd");
    } else if (length == 1) {
        (void)snprintf(escape, sizeof escape, *s == '"' || *s == '\\' ? "\\%c" : "\\u%04x",
                       (unsigned char)*s);
        cn_text_add(text, escape);
    } else {
        cn_text_add_bytes(text, s, length);
    }
    return s + (length > 0 ? length : 1);
}

/* Adds `before`, the quoted string and `after` ('\0': nothing). Nearly every string needs no
 * escapes. */
static void add_quoted(struct cn_text *text, const char *before, const char *string, char after) {
    const size_t plain = plain_length(string);
    char *room = cn_text_room(text, plain + 4), *to = room;
    if (room == NULL)
        return;
    for (; *before != '\0'; before++)
        *to++ = *before;
    *to++ = '"';
    memcpy(to, string, plain);
    to += plain;
    const char *s = string + plain;
    if (*s != '\0') {
        text->length += (size_t)(to - room);
        while (*s != '\0') {
            s = add_escape(text, s);
            const size_t more = plain_length(s);
            cn_text_add_bytes(text, s, more);
            s += more;
        }
        room = to = cn_text_room(text, 2);
        if (room == NULL)
            return;
    }
    *to++ = '"';
    if (after != '\0')
        *to++ = after;
    text->length += (size_t)(to - room);
}

/* A comma, unless the value is the first of its object, list or line. */
static const char *comma(const struct cn_text *text) {
    const char last = text->length > 0 ? text->bytes[text->length - 1] : '\n';
    return last == '{' || last == '[' || last == ':' || last == ' ' || last == '\n' ? "" : ",";
}

/* Adds what precedes a value: a comma and its key. */
static void add_place(struct cn_text *text, const char *key) {
    if (key != NULL)
        add_quoted(text, comma(text), key, ':');
    else
        cn_text_add(text, comma(text));
}

void cn_json_open(struct cn_text *text, const char *key, char bracket) {
    add_place(text, key);
    cn_text_add_bytes(text, &bracket, 1);
}

void cn_json_close(struct cn_text *text, char bracket) {
    cn_text_add_bytes(text, &bracket, 1);
}

void cn_json_add_string(struct cn_text *text, const char *key, const char *string) {
    add_place(text, key);
    add_quoted(text, "", string, '\0');
}

void cn_json_add_escaped(struct cn_text *text, const char *key, const char *inside, size_t length) {
    add_place(text, key);
    cn_text_add_bytes(text, "\"", 1);
    cn_text_add_bytes(text, inside, length);
    cn_text_add_bytes(text, "\"", 1);
}

void cn_json_add_base64(struct cn_text *text, const char *key, const void *bytes, size_t length) {
    add_place(text, key);
    cn_text_add_bytes(text, "\"", 1);
    char *room = cn_text_room(text, BASE64_ENCODE_RAW_LENGTH(length));
    if (room != NULL) {
        base64_encode_raw(room, length, bytes);
        text->length += BASE64_ENCODE_RAW_LENGTH(length);
    }
    cn_text_add_bytes(text, "\"", 1);
}

void cn_json_add_size(struct cn_text *text, const char *key, size_t value) {
    add_place(text, key);
    cn_text_add_size(text, value);
}

void cn_json_add_size_string(struct cn_text *text, const char *key, size_t value) {
    add_place(text, key);
    cn_text_add_bytes(text, "\"", 1);
    cn_text_add_size(text, value);
    cn_text_add_bytes(text, "\"", 1);
}

void cn_json_add_float(struct cn_text *text, const char *key, float value) {
    add_place(text, key);
    cn_text_add_float(text, value);
}

void cn_json_add_bool(struct cn_text *text, const char *key, bool value) {
    add_place(text, key);
    cn_text_add(text, value ? "true" : "false");
}

void cn_json_add_null(struct cn_text *text, const char *key) {
    add_place(text, key);
    cn_text_add(text, "null");
}

void cn_json_add_floats(struct cn_text *text, const char *key, const float *values, size_t count) {
    cn_json_open(text, key, '[');
    for (size_t i = 0; i < count; i++) {
        char *room = cn_text_room(text, 1 + CN_FLOAT_TEXT);
        if (room == NULL)
            return;
        *room = ',';
        text->length += i > 0;
        text->length += cn_float_format(room + (i > 0), values[i]);
    }
    cn_json_close(text, ']');
}

void cn_json_add_integers(struct cn_text *text, const char *key, const int *values, size_t count) {
    cn_json_open(text, key, '[');
    for (size_t i = 0; i < count; i++)
        cn_json_add_size(text, NULL, (size_t)values[i]);
    cn_json_close(text, ']');
}
