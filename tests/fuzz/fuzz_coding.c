/* fuzz_coding.c: any bytes as a compressed body, with the limits of a body; and the bytes
 * compressed and decompressed. */
#include "fuzz/fuzz.h"
#include "http/coding.h"

enum { LIMIT = 4 << 20 };

static void check_inflated(enum http_coding coding, const uint8_t *bytes, size_t length) {
    unsigned char *plain = NULL;
    const char *fault = NULL;
    size_t size = 0;
    const unsigned status =
        http_coding_inflate(coding, bytes, length, LIMIT, &plain, &size, &fault);
    if ((status == 0) != (plain != NULL) || (status != 0) != (fault != NULL))
        abort();
    if (status == 0 && (size > LIMIT || plain[size] != '\0'))
        abort();
    if (status != 0 && status != 400 && status != 413 && status != 503)
        abort();
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    size_t packed_length = 0, size = 0;
    unsigned char *plain = NULL;
    const char *fault = NULL;
    check_inflated(HTTP_CODING_GZIP, bytes, length);
    check_inflated(HTTP_CODING_DEFLATE, bytes, length);
    char *packed = http_coding_gzip(bytes, length, &packed_length);
    if (packed != NULL) {
        if (http_coding_inflate(HTTP_CODING_GZIP, packed, packed_length, length + 1, &plain, &size,
                                &fault) != 0 ||
            size != length || memcmp(plain, bytes, length) != 0)
            abort();
        free(plain);
        free(packed);
    }
    return 0;
}
