/* keys.h: the API keys that this server accepts, as digests. */
#ifndef CONVNET_HTTP_KEYS_H
#define CONVNET_HTTP_KEYS_H

#include <stddef.h>

#include "convnet/status.h"

/* The length of a key in bytes, that of its name with the NUL, and the most keys in one file. */
enum {
    HTTP_KEY_MIN = 16,
    HTTP_KEY_MAX = 256,
    HTTP_KEY_NAME_SIZE = 33,
    HTTP_KEYS_MAX = 1024,
    HTTP_KEYS_FILE_MAX = 1024 * 1024
};

struct http_keys; /* read-only once made */

/* Reads `path`. Each line has a key of HTTP_KEY_MIN to HTTP_KEY_MAX printable ASCII bytes, and
 * optionally, after blanks, a name of at most 32 letters, digits, '.', '_' and '-'. Empty lines are
 * skipped, and a '#' at the beginning of a line or after a blank begins a comment. Keys without a
 * name are called line-N. CN_INVALID names the line, never the key; a file without keys is refused,
 * since it would lock everybody out. Caller frees with http_keys_free. */
enum cn_status http_keys_read(const char *path, struct http_keys **ret_keys,
                              struct cn_error *error);

/* The same from memory: `text` has `length` bytes and a NUL after them, and is modified. */
enum cn_status http_keys_parse(char *text, size_t length, const char *source,
                               struct http_keys **ret_keys, struct cn_error *error);
void http_keys_free(struct http_keys *keys); /* accepts NULL */

size_t http_keys_count(const struct http_keys *keys);

/* The name of `key`, borrowed until `keys` is freed, or NULL if the key is unknown. Its SHA-256 is
 * compared with all digests in constant time. Thread-safe. */
const char *http_keys_find(const struct http_keys *keys, const char *key);

#endif
