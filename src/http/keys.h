/* keys.h: the API keys that this server knows, kept as hashes only. */
#ifndef CONVNET_HTTP_KEYS_H
#define CONVNET_HTTP_KEYS_H

#include <stddef.h>

#include "convnet/status.h"

/* A key's length in bytes, its name's with the NUL, and keys in one file. */
enum {
    HTTP_KEY_MIN = 16,
    HTTP_KEY_MAX = 256,
    HTTP_KEY_NAME_SIZE = 33,
    HTTP_KEYS_MAX = 1024,
    HTTP_KEYS_FILE_MAX = 1024 * 1024
};

struct http_keys; /* read-only once made */

/* Reads `path`: on each line a key of HTTP_KEY_MIN to HTTP_KEY_MAX printable ASCII bytes, and after
 * blanks perhaps a name of at most 32 letters, digits, '.', '_' and '-'. Empty lines and what
 * follows a '#' at a line's beginning or after a blank mean nothing. Keys without a name are called
 * line-N. CN_INVALID names the line, never the key; a file without keys is refused, as it would let
 * nobody in. Caller frees with http_keys_free. */
enum cn_status http_keys_read(const char *path, struct http_keys **ret_keys,
                              struct cn_error *error);

/* The same from memory: `text` has `length` bytes and a NUL after them and is written to. */
enum cn_status http_keys_parse(char *text, size_t length, const char *source,
                               struct http_keys **ret_keys, struct cn_error *error);
void http_keys_free(struct http_keys *keys); /* accepts NULL */

size_t http_keys_count(const struct http_keys *keys);

/* The name of `key`, borrowed until `keys` is freed, or NULL if it is none of them. Its SHA-256 is
 * compared with all that are known, in the same time wherever they differ. Thread-safe. */
const char *http_keys_find(const struct http_keys *keys, const char *key);

#endif
