/* seal.h: where in a header the checksum is, and what it must be; see safetensors.h. */
#ifndef CONVNET_MODEL_SEAL_H
#define CONVNET_MODEL_SEAL_H

#include "base/file.h"
#include "base/sha256.h"

enum { CN_SEAL_DIGITS = CN_SHA256_TEXT - 1 };

/* The checksum before it is known. */
#define CN_SEAL_OPEN "sha256:0000000000000000000000000000000000000000000000000000000000000000"

/* The 64 digits in the header [length], or NULL if they are not there exactly once, as they are
 * written: "checksum":"sha256:...". */
char *cn_seal_find(const char *header, size_t length);

/* SHA-256 of the parts; `digits`, which lie in one of them, are taken as zeros. */
void cn_seal_compute(const struct cn_file_part *parts, size_t part_count, const char *digits,
                     char ret_text[static CN_SHA256_TEXT]);

/* Writes the checksum of the parts to `digits`, which lie in one of them. */
void cn_seal_set(const struct cn_file_part *parts, size_t part_count, char *digits);

#endif
