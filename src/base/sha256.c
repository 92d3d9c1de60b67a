/* sha256.c: see sha256.h. No state. */
#include <nettle/sha2.h>

#include "base/sha256.h"

void cn_sha256(const struct cn_file_part *parts, size_t part_count,
               char ret_text[static CN_SHA256_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    for (size_t i = 0; i < part_count; i++)
        sha256_update(&context, parts[i].length, parts[i].bytes);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        ret_text[2 * i] = digits[digest[i] >> 4];
        ret_text[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_text[2 * sizeof digest] = '\0';
}
