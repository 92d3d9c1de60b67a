/* seal.h: the checksum in the header of a sealed file; see safetensors.h. */
#ifndef CONVNET_MODEL_SEAL_H
#define CONVNET_MODEL_SEAL_H

#include "base/file.h"
#include "base/sha256.h"

enum { CN_SEAL_DIGITS = CN_SHA256_TEXT - 1 };

/* The placeholder for the checksum while it is computed. */
#define CN_SEAL_OPEN "sha256:0000000000000000000000000000000000000000000000000000000000000000"

/* The 64 digits in the header [length], or NULL unless it has exactly one "checksum":"sha256:...".
 */
char *cn_seal_find(const char *header, size_t length);

/* Writes the checksum of the parts to `digits`, which are in one of the parts. */
void cn_seal_set(const struct cn_file_part *parts, size_t part_count, char *digits);

#endif
