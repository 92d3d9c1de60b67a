/* test_idx.c: IDX files, plain and gzipped, valid and invalid. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "data/idx.h"
#include "support/folder.h"

static const unsigned char two_images[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3,  0,  0,
                                                  0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static enum cn_status read_bytes(const void *bytes, size_t length, bool zipped, int rank,
                                 struct cn_idx *idx, struct cn_error *error) {
    char folder[FOLDER_PATH], path[FOLDER_PATH];
    folder_create(folder);
    folder_join(path, folder, "file");
    if (zipped) {
        gzFile file = gzopen(path, "wb");
        cr_assert_not_null(file);
        cr_assert_eq(gzwrite(file, bytes, (unsigned)length), (int)length);
        cr_assert_eq(gzclose(file), Z_OK);
    } else {
        folder_write(path, bytes, length);
    }
    const enum cn_status status = cn_idx_read(path, rank, NULL, idx, error);
    folder_remove(folder);
    return status;
}

Test(idx, plain_and_gzip) {
    for (int zipped = 0; zipped < 2; zipped++) {
        struct cn_idx idx = {0};
        struct cn_error error = {0};
        cr_assert_eq(read_bytes(two_images, sizeof two_images, zipped != 0, 3, &idx, &error), CN_OK,
                     "%s", error.text);
        cr_assert(idx.rank == 3 && idx.sizes[0] == 2 && idx.sizes[1] == 3 && idx.sizes[2] == 2);
        for (int i = 0; i < 12; i++)
            cr_assert_eq(idx.elements[i], i + 1);
        cn_idx_clear(&idx);
    }
}

Test(idx, wrong_magic) {
    static const struct {
        size_t at;
        unsigned char value;
    } cases[] = {{0, 1}, {1, 1}, {2, 9}, {3, 1}, {3, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[sizeof two_images];
        struct cn_idx idx = {0};
        struct cn_error error = {0};
        memcpy(bytes, two_images, sizeof bytes);
        bytes[cases[i].at] = cases[i].value;
        cr_assert_eq(read_bytes(bytes, sizeof bytes, false, 3, &idx, &error), CN_MALFORMED);
        cr_assert_not_null(strstr(error.text, "magic"), "%s", error.text);
        cr_assert_not_null(strstr(error.source, "file"));
        cr_assert_null(idx.elements);
    }
}

Test(idx, truncated_at_every_byte) {
    for (int zipped = 0; zipped < 2; zipped++) {
        for (size_t cut = 0; cut < sizeof two_images; cut++) {
            struct cn_idx idx = {0};
            struct cn_error error = {0};
            cr_assert_eq(read_bytes(two_images, cut, zipped != 0, 3, &idx, &error), CN_MALFORMED,
                         "%zu bytes", cut);
            if (cut >= 16) {
                char holds[32];
                (void)snprintf(holds, sizeof holds, "holds %zu bytes", cut - 16);
                cr_assert_not_null(strstr(error.text, holds), "%s", error.text);
                cr_assert_not_null(strstr(error.text, "claims 12"), "%s", error.text);
            }
        }
    }
}

Test(idx, longer_than_claimed) {
    unsigned char bytes[sizeof two_images + 3] = {0};
    memcpy(bytes, two_images, sizeof two_images);
    for (int zipped = 0; zipped < 2; zipped++) {
        struct cn_idx idx = {0};
        struct cn_error error = {0};
        cr_assert_eq(read_bytes(bytes, sizeof bytes, zipped != 0, 3, &idx, &error), CN_MALFORMED);
        cr_assert_not_null(strstr(error.text, "15 bytes of items"), "%s", error.text);
        cr_assert_not_null(strstr(error.text, "claims 12"), "%s", error.text);
    }
}

Test(idx, impossible_sizes) {
    static const struct {
        unsigned char sizes[12];
        enum cn_status status;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2}, CN_MALFORMED},
        {{0, 0, 0, 2, 255, 255, 255, 255, 0, 0, 0, 2}, CN_MALFORMED},
        {{127, 255, 255, 255, 127, 255, 255, 255, 127, 255, 255, 255}, CN_LIMIT},
        {{0, 1, 0, 0, 0, 0, 16, 0, 0, 0, 16, 1}, CN_LIMIT},   /* just over 1 TiB */
        {{0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0}, CN_MALFORMED}, /* the header claims 4 GiB, and the
                                                               * file has 12 bytes */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned char bytes[sizeof two_images];
        struct cn_idx idx = {0};
        struct cn_error error = {0};
        memcpy(bytes, two_images, sizeof bytes);
        memcpy(bytes + 4, cases[i].sizes, 12);
        cr_assert_eq(read_bytes(bytes, sizeof bytes, false, 3, &idx, &error), cases[i].status,
                     "case %zu: %s", i, error.text);
    }
}

Test(idx, corrupt_gzip) {
    unsigned char *bytes = NULL;
    size_t length = 0;
    struct cn_idx whole = {0};
    cr_assert_eq(cn_file_read(TEST_DATA_DIR "/mnist-sample/t10k-labels-idx1-ubyte.gz", 1 << 20,
                              &bytes, &length, NULL),
                 CN_OK);
    cr_assert_eq(read_bytes(bytes, length, false, 1, &whole, NULL), CN_OK);
    cr_assert_eq(whole.sizes[0], 200);
    /* The bytes from the deflate data (after the 10 bytes of gzip's header) to the trailer. */
    for (size_t at = 10; at < length; at++) {
        struct cn_idx idx = {0};
        struct cn_error error = {0};
        bytes[at] ^= 0x10;
        const enum cn_status status = read_bytes(bytes, length, false, 1, &idx, &error);
        cr_assert_neq(status, CN_OK, "byte %zu makes no difference", at);
        bytes[at] ^= 0x10;
        cr_assert_neq(read_bytes(bytes, at, false, 1, &idx, NULL), CN_OK, "cut at %zu", at);
    }
    cn_idx_clear(&whole);
    free(bytes);
}

Test(idx, not_a_file) {
    struct cn_idx idx = {0};
    struct cn_error error = {0};
    cr_assert_eq(cn_idx_read(TEST_DATA_DIR, 1, NULL, &idx, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "regular file"));
    cr_assert_eq(cn_idx_read(TEST_DATA_DIR "/none", 1, NULL, &idx, NULL), CN_IO);
}
