/* load.h: parses foreign JSON with this library's errors, and shows values in messages. */
#ifndef CONVNET_JSON_LOAD_H
#define CONVNET_JSON_LOAD_H

#include <jansson.h>
#include <stddef.h>

#include "convnet/status.h"

enum {
    CN_JSON_TEXT = 80,           /* bytes for a value in a message, with its NUL */
    CN_JSON_MAX_LENGTH = 1 << 24 /* bytes of one JSON text */
};

/* Parses `length` bytes of JSON (an object or array, no duplicate keys, nothing after it), which
 * messages call `what`. If `base` >= 0, errors have the byte offset base + position; -1: none.
 * CN_LIMIT above CN_JSON_MAX_LENGTH, CN_MALFORMED, CN_MEMORY. Caller releases with json_decref. */
enum cn_status cn_json_parse(const char *text, size_t length, const char *what, const char *source,
                             long long base, json_t **ret_json, struct cn_error *error);

/* Parses like cn_json_parse, but without its limit and its messages. Returns NULL if the text is
 * malformed, with the reason in *ret_problem, or if memory runs out, with an empty reason there. */
json_t *cn_json_load(const char *text, size_t length, json_error_t *ret_problem);

/* Writes the value as compact ASCII JSON, cut to fit, and returns `text`. NULL shows "nothing". */
const char *cn_json_show(const json_t *value, char text[static CN_JSON_TEXT]);

/* Writes the string with '?' for control bytes and everything but ASCII, cut to fit. */
const char *cn_text_show(const char *string, char text[static CN_JSON_TEXT]);

/* A list of these numbers; NULL: no memory. */
json_t *cn_json_ints(const int *values, int count);

/* Sets the source of an error that has none. */
void cn_error_set_source(struct cn_error *error, const char *source);

#endif
