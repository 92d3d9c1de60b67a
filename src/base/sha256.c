/* sha256.c: see sha256.h. No state. */
#include "base/sha256.h"

void cn_sha256_begin(struct cn_sha256 *hash) {
    sha256_init(&hash->context);
}

void cn_sha256_add(struct cn_sha256 *hash, const void *bytes, size_t length) {
    sha256_update(&hash->context, length, bytes);
}

void cn_sha256_end(struct cn_sha256 *hash, char ret_text[static CN_SHA256_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&hash->context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        ret_text[2 * i] = digits[digest[i] >> 4];
        ret_text[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_text[2 * sizeof digest] = '\0';
}

void cn_sha256(const struct cn_file_part *parts, size_t part_count,
               char ret_text[static CN_SHA256_TEXT]) {
    struct cn_sha256 hash;
    cn_sha256_begin(&hash);
    for (size_t i = 0; i < part_count; i++)
        cn_sha256_add(&hash, parts[i].bytes, parts[i].length);
    cn_sha256_end(&hash, ret_text);
}
