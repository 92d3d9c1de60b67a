/* write.h: a growing text for answers. After a failed allocation it stays empty and says so at the
 * end, so that writers need not look. */
#ifndef CONVNET_JSON_WRITE_H
#define CONVNET_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>

struct cn_text {
    char *bytes;
    size_t length, capacity;
    bool failed;
};

/* Room for `more` bytes beyond length; NULL without memory. */
char *cn_text_room(struct cn_text *text, size_t more);

void cn_text_add_bytes(struct cn_text *text, const void *bytes, size_t length);

void cn_text_add(struct cn_text *text, const char *string);

/* As the inside of a JSON string; bytes that are not UTF-8 become U+FFFD. */
void cn_text_add_json(struct cn_text *text, const char *string);

/* As a field of a CSV line (RFC 4180): quoted when it must be, quotes doubled. */
void cn_text_add_csv(struct cn_text *text, const char *field);

/* The shortest decimal that reads back as the same float. */
void cn_text_add_float(struct cn_text *text, float value);

void cn_text_add_size(struct cn_text *text, size_t value);

/* The text, malloc'd, for http_reply; NULL after a failure. The buffer is empty afterwards. */
char *cn_text_take(struct cn_text *text, size_t *ret_length);

#endif
