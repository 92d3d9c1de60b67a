/* keys.c: reads a file of API keys and looks keys up. It keeps SHA-256 digests, so that neither a
 * core dump nor a stray read shows a key; high-entropy keys need no slow hash. Independent of HTTP.
 * Thread-safe: a set of keys does not change. */
#include "http/keys.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct http_keys {
    size_t count;
    struct http_key {
        uint8_t digest[SHA256_DIGEST_SIZE];
        char name[HTTP_KEY_NAME_SIZE];
    } keys[];
};

static void digest_key(const char *key, uint8_t digest[static SHA256_DIGEST_SIZE]) {
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, strlen(key), (const uint8_t *)key);
    sha256_digest(&context, SHA256_DIGEST_SIZE, digest);
    explicit_bzero(&context, sizeof context);
}

/* Cuts the next word off *rest; returns NULL at the end of the line or at a comment. */
static char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " \t");
    if (*word == '\0' || *word == '#')
        return NULL;
    char *end = word + strcspn(word, " \t");
    *rest = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

static const char *fault_of_key(const char *key) {
    size_t length = 0;
    for (; key[length] != '\0'; length++)
        if (key[length] <= 0x20 || key[length] >= 0x7f)
            return "a key must be printable ASCII";
    if (length < HTTP_KEY_MIN)
        return "a key must have 16 bytes or more, or it can be guessed; "
               "`openssl rand -hex 32` makes a good one";
    return length > HTTP_KEY_MAX ? "a key must have 256 bytes or fewer" : NULL;
}

static const char *fault_of_name(const char *name) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t length = strlen(name);
    return length >= HTTP_KEY_NAME_SIZE || strspn(name, allowed) != length
               ? "a key's name must have at most 32 letters, digits, '.', '_' and '-'"
               : NULL;
}

/* Adds one line to `keys`; returns its fault, or NULL. */
static const char *take_line(struct http_keys *keys, char *line, long long number) {
    char *rest = line;
    const char *key = next_word(&rest);
    if (key == NULL)
        return NULL;
    const char *name = next_word(&rest);
    if (name != NULL && next_word(&rest) != NULL)
        return "the line must contain a key and optionally a name";
    const char *fault = fault_of_key(key);
    if (fault == NULL && name != NULL)
        fault = fault_of_name(name);
    if (fault != NULL)
        return fault;
    if (keys->count == HTTP_KEYS_MAX)
        return "there are more than 1024 keys";
    struct http_key *new = &keys->keys[keys->count];
    digest_key(key, new->digest);
    for (size_t i = 0; i < keys->count; i++)
        if (memeql_sec(keys->keys[i].digest, new->digest, sizeof new->digest))
            return "this key is listed twice";
    if (name != NULL)
        (void)snprintf(new->name, sizeof new->name, "%s", name);
    else
        (void)snprintf(new->name, sizeof new->name, "line-%lld", number);
    keys->count++;
    return NULL;
}

static size_t count_lines(const char *text, size_t length) {
    size_t lines = 1;
    for (const char *c = text; (c = memchr(c, '\n', length - (size_t)(c - text))) != NULL; c++)
        lines++;
    return lines;
}

enum cn_status http_keys_parse(char *text, size_t length, const char *source,
                               struct http_keys **ret_keys, struct cn_error *error) {
    size_t lines = count_lines(text, length);
    const size_t room = lines < HTTP_KEYS_MAX ? lines : HTTP_KEYS_MAX;
    struct http_keys *keys = calloc(1, sizeof *keys + room * sizeof *keys->keys);
    if (keys == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for API keys");
    long long number = 1;
    const char *fault = memchr(text, '\0', length) != NULL ? "the file contains a NUL byte" : NULL;
    for (char *line = text; fault == NULL; number++) {
        char *end = line + strcspn(line, "\n");
        const bool last = *end == '\0';
        *end = '\0';
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        fault = take_line(keys, line, number);
        if (last || fault != NULL)
            break;
        line = end + 1;
    }
    if (fault == NULL && keys->count == 0) {
        fault = "the file contains no key, so no client could be accepted";
        number = -1;
    }
    if (fault != NULL) {
        http_keys_free(keys);
        return cn_fail_at(error, CN_INVALID, source, number, "%s", fault);
    }
    *ret_keys = keys;
    return CN_OK;
}

enum cn_status http_keys_read(const char *path, struct http_keys **ret_keys,
                              struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, HTTP_KEYS_FILE_MAX, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    status = http_keys_parse((char *)bytes, length, path, ret_keys, error);
    explicit_bzero(bytes, length);
    free(bytes);
    return status;
}

void http_keys_free(struct http_keys *keys) {
    free(keys);
}

size_t http_keys_count(const struct http_keys *keys) {
    return keys->count;
}

const char *http_keys_find(const struct http_keys *keys, const char *key) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    const struct http_key *found = NULL;
    digest_key(key, digest);
    /* All keys are compared, so that the time does not tell which one came close. */
    for (size_t i = 0; i < keys->count; i++)
        if (memeql_sec(keys->keys[i].digest, digest, sizeof digest))
            found = &keys->keys[i];
    return found != NULL ? found->name : NULL;
}
