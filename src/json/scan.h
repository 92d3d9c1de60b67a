/* scan.h: reads JSON (RFC 8259) once, from left to right, without a node per value, so that a
 * picture's numbers are stored where they belong at once. The caller reads the text in its order:
 * `cn_json_` functions read the next item, or fail with what was expected where.
 *
 * The text ends with a NUL that its length does not count. Depth is bounded where a value is
 * skipped, and by the shape that a caller expects elsewhere: no input makes the stack grow. */
#ifndef CONVNET_JSON_SCAN_H
#define CONVNET_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum { JSON_MAX_DEPTH = 32 }; /* of values that are skipped */

struct json_scan {
    const char *text, *at;
    size_t length;
    struct cn_error *error; /* not NULL */
};

/* The inside of a string as it is written, with its escapes; borrowed from the text. */
struct json_string {
    const char *begin;
    size_t length;
};

/* Fails with what was expected at the scan's position: CN_MALFORMED. */
enum cn_status cn_json_fail(struct json_scan *scan, const char *expected);

/* Skips blanks and returns the next byte without taking it; NUL at the end. */
char cn_json_peek(struct json_scan *scan);

/* Takes `c` if it is next. */
bool cn_json_take(struct json_scan *scan, char c);

/* Reads a number, rounded to the nearest float as strtof does. */
enum cn_status cn_json_number(struct json_scan *scan, float *ret_value);

/* Reads a number without fraction and exponent that fits into 64 bits; `expected` is for the
 * message. */
enum cn_status cn_json_integer(struct json_scan *scan, const char *expected, int64_t *ret_value);

enum cn_status cn_json_bool(struct json_scan *scan, const char *expected, bool *ret_value);
enum cn_status cn_json_text(struct json_scan *scan, struct json_string *ret_string);

/* Skips a value of any kind. */
enum cn_status cn_json_skip(struct json_scan *scan);

/* Checks that only blanks are left. */
enum cn_status cn_json_end(struct json_scan *scan);

/* Reads an object: calls `member` for each member, with the scan at its value, which it must read.
 */
enum cn_status cn_json_object(struct json_scan *scan,
                              enum cn_status (*member)(struct json_scan *scan,
                                                       struct json_string key, void *data),
                              void *data);

/* Reads a list: calls `element` for each, with the scan at its value, which it must read. */
enum cn_status cn_json_list(struct json_scan *scan,
                            enum cn_status (*element)(struct json_scan *scan, size_t index,
                                                      void *data),
                            void *data);

/* True if the string is `text`, with or without escapes. Escapes are understood if `text` has at
 * most CN_JSON_NAME / 6 bytes, since an escape has up to six. */
enum { CN_JSON_NAME = 6 * 256 };
bool cn_json_is(struct json_string string, const char *text);

/* Decodes the string to UTF-8; `to` has room for `length` bytes. Returns the number of bytes. */
size_t cn_json_unescape(struct json_string string, char *to);

/* True if the string is valid UTF-8, so that it can be sent back unchanged. */
bool cn_json_is_utf8(struct json_string string);

/* A string of base64 (RFC 4648, in either alphabet, with or without blanks and padding, perhaps a
 * whole data: URL) as bytes, malloc'd; caller frees with free(). CN_MALFORMED: not base64;
 * CN_MEMORY. */
enum cn_status cn_json_base64(struct json_string string, uint8_t **ret_bytes, size_t *ret_length,
                              struct cn_error *error);

#endif
