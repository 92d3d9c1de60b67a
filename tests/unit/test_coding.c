#include "http/coding.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/random.h"

static unsigned char *bytes;
static size_t length;
static const char *fault;

/* Compresses with zlib's windowBits: 31 gzip, 15 zlib, -15 neither. */
static size_t pack(const void *from, size_t size, int window, unsigned char *to, size_t room) {
    z_stream stream = {.next_in = (z_const Bytef *)from,
                       .avail_in = (uInt)size,
                       .next_out = to,
                       .avail_out = (uInt)room};
    cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(deflateEnd(&stream), Z_OK);
    return room - stream.avail_out;
}

static unsigned unpack(enum http_coding coding, const void *from, size_t size, size_t limit) {
    fault = NULL;
    return http_coding_inflate(coding, from, size, limit, &bytes, &length, &fault);
}

/* The text must come back, with a NUL after it. */
static bool comes_back(enum http_coding coding, const void *from, size_t size, size_t limit,
                       const void *text, size_t text_length) {
    if (unpack(coding, from, size, limit) != 0)
        return false;
    const bool same =
        length == text_length && memcmp(bytes, text, length) == 0 && bytes[length] == '\0';
    free(bytes);
    return same;
}

Test(coding, names) {
    cr_assert_eq(http_coding_of(NULL), HTTP_CODING_NONE);
    cr_assert_eq(http_coding_of(""), HTTP_CODING_NONE);
    cr_assert_eq(http_coding_of("identity"), HTTP_CODING_NONE);
    cr_assert_eq(http_coding_of("GZip"), HTTP_CODING_GZIP);
    cr_assert_eq(http_coding_of("deflate"), HTTP_CODING_DEFLATE);
    cr_assert_eq(http_coding_of("br"), HTTP_CODING_UNKNOWN);
    cr_assert_eq(http_coding_of("gzip, gzip"), HTTP_CODING_UNKNOWN);
}

Test(coding, inflate) {
    unsigned char packed[4096];
    static const char text[] = "seven, seven, seven";
    const size_t size = strlen(text);
    size_t used = pack(text, size, 31, packed, sizeof packed);
    cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, 1000, text, size));
    cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, size, text, size));
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, size - 1), 413);
    cr_assert_not_null(strstr(fault, "limit"));
    cr_assert_eq(unpack(HTTP_CODING_DEFLATE, packed, used, 1000), 400);
    for (size_t cut = 1; cut < used; cut++)
        cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, cut, 1000), 400, "cut at %zu", cut);
    packed[used] = 'x'; /* more bytes after it */
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used + 1, 1000), 400);
    packed[used - 5] ^= 1; /* the checksum */
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, 1000), 400);
    used = pack(text, size, 15, packed, sizeof packed);
    cr_assert(comes_back(HTTP_CODING_DEFLATE, packed, used, 1000, text, size));
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, 1000), 400);
    packed[used] = 'x';
    cr_assert_eq(unpack(HTTP_CODING_DEFLATE, packed, used + 1, 1000), 400);
    used = pack(text, 0, 31, packed, sizeof packed);
    cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, 1000, "", 0));
}

Test(coding, members) {
    unsigned char packed[4096];
    size_t used = pack("abc", 3, 31, packed, sizeof packed);
    used += pack("def", 3, 31, packed + used, sizeof packed - used);
    cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, 1000, "abcdef", 6));
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, 5), 413);
}

/* Lengths near those at which the buffer grows. */
Test(coding, long_bodies) {
    enum { LONGEST = 300000 };
    unsigned char *text = malloc(LONGEST), *packed = malloc(LONGEST + 1000);
    struct cn_random random = cn_random_stream(9, 0, 0, 0);
    static const size_t sizes[] = {65535, 65536, 65537, 131072, 131073, LONGEST};
    for (size_t i = 0; i < LONGEST; i++)
        text[i] = (unsigned char)(cn_random_bits(&random) & 15);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t used = pack(text, sizes[i], 31, packed, LONGEST + 1000);
        cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, 1 << 24, text, sizes[i]));
        cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, sizes[i], text, sizes[i]));
        cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, sizes[i] - 1), 413);
    }
    free(text);
    free(packed);
}

Test(coding, bombs) {
    enum { MUCH = 4 << 20 };
    unsigned char *zeros = calloc(1, MUCH), *packed = malloc(MUCH);
    size_t used = pack(zeros, 1 << 20, 31, packed, MUCH); /* each body may have a mebibyte */
    cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, (size_t)1 << 30, zeros, 1 << 20));
    used = pack(zeros, MUCH, 31, packed, MUCH);
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, (size_t)1 << 30), 413);
    cr_assert_not_null(strstr(fault, "256 times"));
    cr_assert_eq(unpack(HTTP_CODING_GZIP, packed, used, 1 << 16), 413);
    cr_assert_not_null(strstr(fault, "over the limit"));
    free(zeros);
    free(packed);
}

Test(coding, who_wants_gzip) {
    cr_assert(http_coding_accepts_gzip("gzip"));
    cr_assert(http_coding_accepts_gzip("deflate, GZIP;q=0.5"));
    cr_assert(http_coding_accepts_gzip("br;q=0,gzip;q=0.001"));
    cr_assert_not(http_coding_accepts_gzip(NULL));
    cr_assert_not(http_coding_accepts_gzip(""));
    cr_assert_not(http_coding_accepts_gzip("deflate, br"));
    cr_assert_not(http_coding_accepts_gzip("gzip;q=0"));
    cr_assert_not(http_coding_accepts_gzip("gzip; q=0.000, br"));
    cr_assert_not(http_coding_accepts_gzip("gzipped"));
    cr_assert_not(http_coding_accepts_gzip("*"));
}

Test(coding, answers) {
    cr_assert(http_coding_is_worthwhile("application/json", 5000));
    cr_assert(http_coding_is_worthwhile("text/plain; version=0.0.4", 5000));
    cr_assert_not(http_coding_is_worthwhile("application/json", 500));
    cr_assert_not(http_coding_is_worthwhile("image/png", 5000));
    cr_assert_not(http_coding_is_worthwhile(NULL, 5000));
    char text[5000];
    memset(text, 'x', sizeof text);
    size_t used = 0;
    char *packed = http_coding_gzip(text, sizeof text, &used);
    cr_assert_not_null(packed);
    cr_assert_lt(used, 200);
    cr_assert(comes_back(HTTP_CODING_GZIP, packed, used, 1 << 20, text, sizeof text));
    free(packed);
    struct cn_random random = cn_random_stream(3, 0, 0, 0);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)cn_random_bits(&random);
    cr_assert_null(http_coding_gzip(text, sizeof text, &used)); /* noise cannot be compressed */
}
