/* seal.c: computes and compares the checksum of a sealed file; see seal.h and safetensors.h. No
 * state. */
#include "model/seal.h"

#include <string.h>

#include "base/number.h"
#include "model/safetensors.h"
#include "json/load.h"

static const char before[] = "\"" CN_SAFETENSORS_CHECKSUM "\":\"sha256:";
enum { BEFORE = sizeof before - 1 };

char *cn_seal_find(const char *header, size_t length) {
    const char *found = memmem(header, length, before, BEFORE);
    if (found == NULL)
        return NULL;
    const size_t left = length - (size_t)(found - header) - BEFORE;
    found += BEFORE;
    if (left < CN_SEAL_DIGITS || memmem(found, left, before, BEFORE) != NULL)
        return NULL;
    return (char *)(uintptr_t)found;
}

/* Computes the SHA-256 of the parts, with zeros in place of `digits`, which are in one of the
 * parts. */
static void seal_compute(const struct cn_file_part *parts, size_t part_count, const char *digits,
                         char ret_text[static CN_SHA256_TEXT]) {
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct cn_sha256 hash;
    cn_sha256_begin(&hash);
    for (size_t i = 0; i < part_count; i++) {
        const char *bytes = parts[i].bytes;
        size_t length = parts[i].length;
        if (digits >= bytes && digits + CN_SEAL_DIGITS <= bytes + length) {
            const size_t first = (size_t)(digits - bytes);
            cn_sha256_add(&hash, bytes, first);
            cn_sha256_add(&hash, zeros, CN_SEAL_DIGITS);
            bytes += first + CN_SEAL_DIGITS;
            length -= first + CN_SEAL_DIGITS;
        }
        cn_sha256_add(&hash, bytes, length);
    }
    cn_sha256_end(&hash, ret_text);
}

void cn_seal_set(const struct cn_file_part *parts, size_t part_count, char *digits) {
    char text[CN_SHA256_TEXT];
    if (digits == NULL)
        return;
    seal_compute(parts, part_count, digits, text);
    memcpy(digits, text, CN_SEAL_DIGITS);
}

enum cn_status cn_safetensors_check_seal(const struct cn_safetensors *file, bool *ret_sealed,
                                         struct cn_error *error) {
    enum { LENGTH_BYTES = 8 };
    const char *stated = cn_safetensors_metadata(file, CN_SAFETENSORS_CHECKSUM);
    const char *raw = (const char *)file->raw;
    char text[CN_SHA256_TEXT], shown[CN_JSON_TEXT];
    *ret_sealed = false;
    if (stated == NULL)
        return CN_OK;
    const char *digits =
        cn_seal_find(raw + LENGTH_BYTES, cn_number_little(file->raw, LENGTH_BYTES));
    if (digits == NULL)
        return cn_fail(error, CN_MALFORMED,
                       "the checksum is \"%s\"; it must be sha256: and 64 hexadecimal digits, "
                       "without an escape or a space",
                       cn_text_show(stated, shown));
    seal_compute(&(struct cn_file_part){raw, file->raw_length}, 1, digits, text);
    if (memcmp(digits, text, CN_SEAL_DIGITS) != 0)
        return cn_fail(error, CN_MALFORMED,
                       "the file's checksum is %.16s..., it says %.16s...: it is damaged, or was "
                       "changed by a program that did not take the checksum out",
                       text, digits);
    *ret_sealed = true;
    return CN_OK;
}
