/* text.h: a growing text for answers. After a failed allocation it stays empty and says so at the
 * end, so that writers need not look. */
#ifndef CONVNET_HTTP_TEXT_H
#define CONVNET_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct http_text {
    char *bytes;
    size_t length, capacity;
    bool failed;
};

/* Room for `more` bytes beyond length; NULL without memory. */
char *http_text_room(struct http_text *text, size_t more);

void http_text_add_bytes(struct http_text *text, const void *bytes, size_t length);

void http_text_add(struct http_text *text, const char *string);

/* As the inside of a JSON string; bytes that are not UTF-8 become U+FFFD. */
void http_text_add_json(struct http_text *text, const char *string);

/* The shortest decimal that reads back as the same float. */
void http_text_add_float(struct http_text *text, float value);

void http_text_add_size(struct http_text *text, size_t value);

/* The text, malloc'd, for http_reply; NULL after a failure. The buffer is empty afterwards. */
char *http_text_take(struct http_text *text, size_t *ret_length);

#endif
