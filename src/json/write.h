/* write.h: a growing text for answers, and the one way to write JSON into it. After a failed
 * allocation the text stays empty and says so at the end, so that writers need no checks. */
#ifndef CONVNET_JSON_WRITE_H
#define CONVNET_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>

struct cn_text {
    char *bytes;
    size_t length, capacity;
    bool failed;
};

/* Makes room for `more` bytes after the text; NULL if memory runs out. */
char *cn_text_room(struct cn_text *text, size_t more);

void cn_text_add_bytes(struct cn_text *text, const void *bytes, size_t length);

void cn_text_add(struct cn_text *text, const char *string);

/* Adds a field of a CSV line (RFC 4180), quoted if necessary, with quotes doubled. */
void cn_text_add_csv(struct cn_text *text, const char *field);

/* Adds the shortest decimal that reads back as the same float. */
void cn_text_add_float(struct cn_text *text, float value);

void cn_text_add_size(struct cn_text *text, size_t value);

/* The text as a string, borrowed until it grows; "" after a failure. */
const char *cn_text_string(struct cn_text *text);

/* Returns the text, malloc'd, for http_reply; NULL after a failure. `text` is empty afterwards. */
char *cn_text_take(struct cn_text *text, size_t *ret_length);

/* ---- JSON ----
 * Each call writes one value: with its `key` inside an object, with a NULL key inside a list or
 * alone. Commas are put where they belong, keys and strings are escaped, and bytes that are not
 * UTF-8 become U+FFFD. Floats are the shortest decimals; NaN and infinities become null.
 */

/* Opens an object or a list, which the matching bracket closes: '{' and '}', '[' and ']'. */
void cn_json_open(struct cn_text *text, const char *key, char bracket);
void cn_json_close(struct cn_text *text, char bracket);

void cn_json_add_string(struct cn_text *text, const char *key, const char *string);
/* Adds the inside of a JSON string, which already has its escapes. */
void cn_json_add_escaped(struct cn_text *text, const char *key, const char *inside, size_t length);
void cn_json_add_base64(struct cn_text *text, const char *key, const void *bytes, size_t length);
void cn_json_add_size(struct cn_text *text, const char *key, size_t value);
/* Adds the digits as a string, as inference protocols write versions. */
void cn_json_add_size_string(struct cn_text *text, const char *key, size_t value);
void cn_json_add_float(struct cn_text *text, const char *key, float value);
void cn_json_add_bool(struct cn_text *text, const char *key, bool value);
void cn_json_add_null(struct cn_text *text, const char *key);

/* Add lists of numbers; integers must not be negative. */
void cn_json_add_floats(struct cn_text *text, const char *key, const float *values, size_t count);
void cn_json_add_integers(struct cn_text *text, const char *key, const int *values, size_t count);

#endif
