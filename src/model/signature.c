/* signature.c: see signature.h. nettle does the arithmetic. No state; keys are read-only once read.
 *
 * GMP, which nettle uses, ends the process when an allocation fails. So free memory is tested
 * before it is called. */
#include "model/signature.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/base16.h>
#include <nettle/eddsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "json/load.h"

enum {
    KEY_BYTES = ED25519_KEY_SIZE,
    KEY_TEXT = 2 * KEY_BYTES,
    SIGNATURE_BYTES = ED25519_SIGNATURE_SIZE,
    SIGNATURE_TEXT = 2 * SIGNATURE_BYTES,
    MAX_KEYS_FILE = 1 << 20, /* bytes */
    MAX_SIGNATURE_FILE = 4096,
    LINE_SIZE = 512,
    ARITHMETIC = 1 << 16 /* in bytes; more than GMP allocates for one signature */
};

static const char signature_head[] = "convnet-signature/1\n",
                  secret_head[] = "convnet-secret-key/1 ";

struct trusted_key {
    uint8_t bytes[KEY_BYTES];
    long long since; /* seconds; 0: no limit */
};

struct cn_trusted_keys {
    size_t count;
    struct trusted_key *keys;
};

static void hex_write(const uint8_t *bytes, size_t count, char *text) {
    base16_encode_update(text, count, bytes);
    text[2 * count] = '\0';
}

/* Reads exactly `count` bytes from 2 `count` lower- or upper-case digits. */
static bool hex_read(const char *text, size_t length, uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < length; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    struct base16_decode_ctx context;
    size_t written = count;
    base16_decode_init(&context);
    return length == 2 * count &&
           base16_decode_update(&context, &written, bytes, length, text) == 1 && written == count &&
           base16_decode_final(&context) == 1;
}

static bool arithmetic_fits(void) {
    void *memory = malloc(ARITHMETIC);
    const bool fits = memory != NULL;
    free(memory);
    return fits;
}

/* ---- Trusted keys ---- */

void cn_trusted_keys_free(struct cn_trusted_keys *keys) {
    if (keys == NULL)
        return;
    free(keys->keys);
    free(keys);
}

bool cn_trusted_keys_equal(const struct cn_trusted_keys *a, const struct cn_trusted_keys *b) {
    if (a == NULL || b == NULL)
        return a == b;
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = memcmp(a->keys[i].bytes, b->keys[i].bytes, KEY_BYTES) == 0 &&
                a->keys[i].since == b->keys[i].since;
    return equal;
}

static bool read_date(const char *text, long long *ret_seconds) {
    struct tm date = {0};
    const char *end = strptime(text, "%Y-%m-%d", &date);
    *ret_seconds = (long long)timegm(&date);
    return end != NULL && *end == '\0' && strlen(text) == sizeof "2026-01-01" - 1;
}

/* Parses one line without its newline; modifies it. */
static enum cn_status read_key(char *line, struct trusted_key *key, struct cn_error *error) {
    char *state = NULL, shown[CN_JSON_TEXT];
    const char *kind = strtok_r(line, " \t\r", &state);
    const char *hex = strtok_r(NULL, " \t\r", &state);
    key->since = 0;
    if (kind == NULL || strcmp(kind, "ed25519") != 0 || hex == NULL ||
        !hex_read(hex, strlen(hex), key->bytes, KEY_BYTES))
        return cn_fail(error, CN_MALFORMED,
                       "a line of trusted keys must be 'ed25519', %d hexadecimal digits, and "
                       "perhaps a name and since=YYYY-MM-DD",
                       KEY_TEXT);
    for (const char *word; (word = strtok_r(NULL, " \t\r", &state)) != NULL;)
        if (strncmp(word, "since=", 6) == 0 && !read_date(word + 6, &key->since))
            return cn_fail(error, CN_MALFORMED, "'%s' must be since=YYYY-MM-DD",
                           cn_text_show(word, shown));
    return CN_OK;
}

static bool keys_add(struct cn_trusted_keys *keys, const struct trusted_key *key) {
    struct trusted_key *larger = realloc(keys->keys, (keys->count + 1) * sizeof *larger);
    if (larger == NULL)
        return false;
    keys->keys = larger;
    keys->keys[keys->count++] = *key;
    return true;
}

enum cn_status cn_trusted_keys_parse(const char *text, size_t length, const char *source,
                                     struct cn_trusted_keys **ret_keys, struct cn_error *error) {
    struct cn_trusted_keys *keys = calloc(1, sizeof *keys);
    enum cn_status status =
        keys != NULL ? CN_OK : cn_fail(error, CN_MEMORY, "no memory for the trusted keys");
    long long number = 0;
    for (size_t begin = 0; begin < length && status == CN_OK;) {
        const char *end = memchr(text + begin, '\n', length - begin);
        const size_t size = (end != NULL ? (size_t)(end - text) : length) - begin;
        char line[LINE_SIZE] = "";
        struct trusted_key key;
        struct cn_error why = {0};
        number++;
        if (size < sizeof line)
            memcpy(line, text + begin, size);
        begin += size + 1;
        if (size < sizeof line && (line[strspn(line, " \t\r")] == '\0' || line[0] == '#'))
            continue;
        status = size < sizeof line && memchr(line, '\0', size) == NULL
                     ? read_key(line, &key, &why)
                     : cn_fail(&why, CN_MALFORMED, "the line must be text of at most %d bytes",
                               LINE_SIZE - 1);
        if (status != CN_OK)
            (void)cn_fail_at(error, status, source, number, "%s", why.text);
        else if (!keys_add(keys, &key))
            status = cn_fail(error, CN_MEMORY, "no memory for the trusted keys");
    }
    if (status == CN_OK && keys->count == 0)
        status = cn_fail_at(error, CN_INVALID, source, -1, "has no key: nothing would be trusted");
    if (status != CN_OK) {
        cn_trusted_keys_free(keys);
        return status;
    }
    *ret_keys = keys;
    return CN_OK;
}

enum cn_status cn_trusted_keys_read(const char *path, struct cn_trusted_keys **ret_keys,
                                    struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    enum cn_status status = cn_file_read(path, MAX_KEYS_FILE, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    status = cn_trusted_keys_parse((const char *)bytes, length, path, ret_keys, error);
    free(bytes);
    return status;
}

/* ---- Signatures ---- */

/* The contents of a signature file whose format is correct. */
struct statement {
    uint8_t key[KEY_BYTES], signature[SIGNATURE_BYTES];
    long long time;
    char sha256[CN_SHA256_TEXT];
    size_t signed_length;
};

/* The rest of a line that begins with `name` and a space; *at moves to the next line. */
static const char *take_line(const char **at, const char *name, size_t *ret_length) {
    const size_t length = strlen(name);
    const char *end = strchr(*at, '\n'), *value = *at + length + 1;
    if (end == NULL || strncmp(*at, name, length) != 0 || (*at)[length] != ' ' || value > end)
        return NULL;
    *ret_length = (size_t)(end - value);
    *at = end + 1;
    return value;
}

static bool read_time(const char *text, size_t length, long long *ret_time) {
    *ret_time = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 12)
            return false;
        *ret_time = *ret_time * 10 + (text[i] - '0');
    }
    return length > 0;
}

/* `text` ends with a NUL. */
static bool read_statement(const char *text, size_t length, struct statement *statement) {
    size_t key = 0, time = 0, sha256 = 0, signature = 0;
    const char *at = text + sizeof signature_head - 1;
    if (strlen(text) != length || strncmp(text, signature_head, sizeof signature_head - 1) != 0)
        return false;
    const char *key_text = take_line(&at, "key", &key);
    const char *time_text = key_text != NULL ? take_line(&at, "time", &time) : NULL;
    const char *sha256_text = time_text != NULL ? take_line(&at, "sha256", &sha256) : NULL;
    statement->signed_length = (size_t)(at - text);
    const char *signature_text =
        sha256_text != NULL ? take_line(&at, "signature", &signature) : NULL;
    if (signature_text == NULL || *at != '\0' || sha256 != CN_SHA256_TEXT - 1)
        return false;
    memcpy(statement->sha256, sha256_text, sha256);
    statement->sha256[sha256] = '\0';
    return hex_read(key_text, key, statement->key, KEY_BYTES) &&
           read_time(time_text, time, &statement->time) &&
           hex_read(signature_text, signature, statement->signature, SIGNATURE_BYTES);
}

enum cn_status cn_signature_check_text(const struct cn_trusted_keys *keys, const char *text,
                                       size_t length, const char *sha256, long long *ret_time,
                                       struct cn_error *error) {
    struct statement statement;
    const struct trusted_key *key = NULL;
    if (!read_statement(text, length, &statement))
        return cn_fail(error, CN_INVALID,
                       "is not a signature of convnet: five lines, the first convnet-signature/1");
    for (size_t i = 0; i < keys->count && key == NULL; i++)
        if (memcmp(keys->keys[i].bytes, statement.key, KEY_BYTES) == 0)
            key = &keys->keys[i];
    if (key == NULL)
        return cn_fail(error, CN_INVALID, "is of the key %.16s..., which is not trusted",
                       text + sizeof signature_head - 1 + sizeof "key" /* and its space */);
    if (strcmp(statement.sha256, sha256) != 0)
        return cn_fail(error, CN_INVALID,
                       "is of another file: it says SHA-256 %.16s..., the model's is %.16s...",
                       statement.sha256, sha256);
    if (!arithmetic_fits())
        return cn_fail(error, CN_MEMORY, "no memory to check the signature");
    if (ed25519_sha512_verify(statement.key, statement.signed_length, (const uint8_t *)text,
                              statement.signature) != 1)
        return cn_fail(error, CN_INVALID, "is forged or damaged: the signature is wrong");
    if (statement.time < key->since)
        return cn_fail(error, CN_INVALID,
                       "was made at %lld, before the day since which its key is trusted (%lld)",
                       statement.time, key->since);
    *ret_time = statement.time;
    return CN_OK;
}

static bool signature_path(const char *path, char *text, size_t size) {
    const int length = snprintf(text, size, "%s.sig", path);
    return length > 0 && (size_t)length < size;
}

enum cn_status cn_signature_check(const struct cn_trusted_keys *keys, const char *path,
                                  const char *sha256, long long *ret_time, struct cn_error *error) {
    char file[PATH_MAX];
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct cn_error why = {0};
    if (!signature_path(path, file, sizeof file))
        return cn_fail_at(error, CN_INVALID, path, -1, "is too long a path for a signature");
    if (access(file, F_OK) != 0 && errno == ENOENT)
        return cn_fail_at(error, CN_INVALID, path, -1,
                          "is not signed: there is no %.200s, and only signed models are trusted",
                          file);
    enum cn_status status = cn_file_read(file, MAX_SIGNATURE_FILE, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    status = cn_signature_check_text(keys, (const char *)bytes, length, sha256, ret_time, &why);
    if (status != CN_OK)
        (void)cn_fail_at(error, status, file, -1, "%s", why.text);
    free(bytes);
    return status;
}

static enum cn_status read_secret(const char *path, uint8_t secret[static KEY_BYTES],
                                  struct cn_error *error) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    const enum cn_status status = cn_file_read(path, MAX_SIGNATURE_FILE, &bytes, &length, error);
    if (status != CN_OK)
        return status;
    const size_t head = sizeof secret_head - 1;
    while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
        length--;
    const bool good = length == head + KEY_TEXT && memcmp(bytes, secret_head, head) == 0 &&
                      hex_read((const char *)bytes + head, KEY_TEXT, secret, KEY_BYTES);
    explicit_bzero(bytes, length);
    free(bytes);
    return good ? CN_OK
                : cn_fail_at(error, CN_MALFORMED, path, -1,
                             "is not a secret key of convnet, as convnet keygen writes them");
}

enum cn_status cn_signature_write(const char *key_path, const char *path, const char *sha256,
                                  long long time, struct cn_error *error) {
    uint8_t secret[KEY_BYTES], public[KEY_BYTES], signature[SIGNATURE_BYTES];
    char file[PATH_MAX], text[LINE_SIZE], hex[SIGNATURE_TEXT + 1];
    if (!signature_path(path, file, sizeof file))
        return cn_fail_at(error, CN_INVALID, path, -1, "is too long a path for a signature");
    enum cn_status status = read_secret(key_path, secret, error);
    if (status != CN_OK)
        return status;
    ed25519_sha512_public_key(public, secret);
    hex_write(public, KEY_BYTES, hex);
    const int length = snprintf(text, sizeof text, "%skey %s\ntime %lld\nsha256 %s\n",
                                signature_head, hex, time, sha256);
    ed25519_sha512_sign(public, secret, (size_t)length, (const uint8_t *)text, signature);
    explicit_bzero(secret, sizeof secret);
    hex_write(signature, SIGNATURE_BYTES, hex);
    const struct cn_file_part parts[] = {{text, (size_t)length},
                                         {"signature ", sizeof "signature " - 1},
                                         {hex, SIGNATURE_TEXT},
                                         {"\n", 1}};
    return cn_file_write(file, parts, sizeof parts / sizeof *parts, error);
}

/* Creates a new file; an existing one is not changed. */
static enum cn_status write_new(const char *path, const char *text, mode_t mode,
                                struct cn_error *error) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot make the file: %s", strerror(errno));
    const struct cn_file_part part = {text, strlen(text)};
    enum cn_status status = cn_file_write_descriptor(fd, &part, 1, error);
    if (fsync(fd) != 0 && status == CN_OK)
        status = cn_fail_at(error, CN_IO, path, -1, "cannot sync: %s", strerror(errno));
    if (close(fd) != 0 && status == CN_OK)
        status = cn_fail_at(error, CN_IO, path, -1, "cannot close: %s", strerror(errno));
    if (status != CN_OK)
        (void)unlink(path);
    return status;
}

enum cn_status cn_signature_generate(const char *secret_path, const char *public_path,
                                     const char *name, struct cn_error *error) {
    uint8_t secret[KEY_BYTES], public[KEY_BYTES];
    char text[LINE_SIZE], hex[KEY_TEXT + 1];
    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        return cn_fail(error, CN_IO, "no random bytes: %s", strerror(errno));
    ed25519_sha512_public_key(public, secret);
    hex_write(secret, KEY_BYTES, hex);
    (void)snprintf(text, sizeof text, "%s%s\n", secret_head, hex);
    enum cn_status status = write_new(secret_path, text, 0600, error);
    explicit_bzero(secret, sizeof secret);
    explicit_bzero(text, sizeof text);
    hex_write(public, KEY_BYTES, hex);
    (void)snprintf(text, sizeof text, "ed25519 %s%s%.200s\n", hex, name != NULL ? " " : "",
                   name != NULL ? name : "");
    if (status != CN_OK)
        return status;
    status = write_new(public_path, text, 0644, error);
    if (status != CN_OK)
        (void)unlink(secret_path);
    return status;
}
