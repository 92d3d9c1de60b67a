/* write.c: see write.h. No state but the caller's. */
#include "json/write.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"

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
    char *room = cn_text_room(text, length);
    if (room == NULL)
        return;
    memcpy(room, bytes, length);
    text->length += length;
}

void cn_text_add(struct cn_text *text, const char *string) {
    cn_text_add_bytes(text, string, strlen(string));
}

void cn_text_add_json(struct cn_text *text, const char *string) {
    for (const char *s = string; *s != '\0';) {
        char escape[8];
        const size_t length = cn_utf8_length(s, SIZE_MAX);
        if (length == 0) {
            cn_text_add(text, "\xef\xbf\xbd");
            s++;
        } else if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\' || *s == 0x7f) {
            (void)snprintf(escape, sizeof escape, *s == '"' || *s == '\\' ? "\\%c" : "\\u%04x",
                           (unsigned char)*s);
            cn_text_add(text, escape);
            s++;
        } else {
            cn_text_add_bytes(text, s, length);
            s += length;
        }
    }
}

void cn_text_add_float(struct cn_text *text, float value) {
    char *room = cn_text_room(text, CN_FLOAT_TEXT);
    if (room != NULL)
        text->length += cn_float_format(room, value);
}

void cn_text_add_size(struct cn_text *text, size_t value) {
    char digits[24], *first = digits + sizeof digits;
    do /* an answer has many: snprintf takes 0.3 us of the 7 that one takes in all */
        *--first = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    cn_text_add_bytes(text, first, (size_t)(digits + sizeof digits - first));
}

char *cn_text_take(struct cn_text *text, size_t *ret_length) {
    char *bytes = text->failed ? NULL : text->bytes;
    if (text->failed)
        free(text->bytes);
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
