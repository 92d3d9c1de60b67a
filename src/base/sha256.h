/* sha256.h: SHA-256 checksums as text, by nettle. */
#ifndef CONVNET_BASE_SHA256_H
#define CONVNET_BASE_SHA256_H

#include <stddef.h>

#include <nettle/sha2.h>

#include "base/file.h"

enum { CN_SHA256_TEXT = 65 };

/* An incremental checksum: begin, add any number of times, end. */
struct cn_sha256 {
    struct sha256_ctx context;
};
void cn_sha256_begin(struct cn_sha256 *hash);
void cn_sha256_add(struct cn_sha256 *hash, const void *bytes, size_t length);
void cn_sha256_end(struct cn_sha256 *hash, char ret_text[static CN_SHA256_TEXT]);

/* SHA-256 (FIPS 180-4) of the parts one after another, as lower-case hex with its NUL. */
void cn_sha256(const struct cn_file_part *parts, size_t part_count,
               char ret_text[static CN_SHA256_TEXT]);

#endif
