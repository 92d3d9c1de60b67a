/* test_picture_archive.c: zip and tar archives, valid and hostile, which the tests assemble. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "data/picture_archive.h"

enum { ROOM = 1 << 16 };

/* An archive under construction. */
struct made {
    unsigned char bytes[ROOM];
    size_t length;
    unsigned char directory[4096]; /* for a zip */
    size_t directory_length, entries;
};

static void put(unsigned char *to, uint64_t value, int count) {
    for (int i = 0; i < count; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

/* Adds an entry, deflated if `method` is 8. */
static void zip_add(struct made *made, const char *name, int method, const void *content,
                    size_t size) {
    unsigned char *local = made->bytes + made->length;
    unsigned char *entry = made->directory + made->directory_length;
    const size_t name_length = strlen(name);
    size_t packed = size;
    memset(local, 0, 30);
    memset(entry, 0, 46);
    memcpy(local, "PK\3\4", 4);
    memcpy(local + 30, name, name_length);
    put(local + 26, name_length, 2);
    if (method == 8) {
        z_stream stream = {0};
        cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
        stream.next_in = (Bytef *)(uintptr_t)content;
        stream.avail_in = (uInt)size;
        stream.next_out = local + 30 + name_length;
        stream.avail_out = (uInt)(ROOM - made->length - 30 - name_length);
        cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
        packed = stream.total_out;
        (void)deflateEnd(&stream);
    } else {
        memcpy(local + 30 + name_length, content, size);
    }
    memcpy(entry, "PK\1\2", 4);
    put(entry + 10, (uint64_t)method, 2);
    put(entry + 16, crc32(0, content, (uInt)size), 4);
    put(entry + 20, packed, 4);
    put(entry + 24, size, 4);
    put(entry + 28, name_length, 2);
    put(entry + 42, made->length, 4);
    memcpy(entry + 46, name, name_length);
    made->length += 30 + name_length + packed;
    made->directory_length += 46 + name_length;
    made->entries++;
}

static void zip_finish(struct made *made) {
    unsigned char *end = made->bytes + made->length + made->directory_length;
    memcpy(made->bytes + made->length, made->directory, made->directory_length);
    memset(end, 0, 22);
    memcpy(end, "PK\5\6", 4);
    put(end + 8, made->entries, 2);
    put(end + 10, made->entries, 2);
    put(end + 12, made->directory_length, 4);
    put(end + 16, made->length, 4);
    made->length += made->directory_length + 22;
}

static void tar_add(struct made *made, char type, const char *name, const void *content,
                    size_t size) {
    char *block = (char *)made->bytes + made->length;
    unsigned sum = 0;
    memset(block, 0, 512);
    memcpy(block, name, strlen(name));
    (void)snprintf(block + 124, 12, "%011o", (unsigned)size);
    memcpy(block + 257, "ustar\00000", 8);
    block[156] = type;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    (void)snprintf(block + 148, 8, "%06o", sum);
    memset(block + 512, 0, (size + 511) / 512 * 512);
    memcpy(block + 512, content, size);
    made->length += 512 + (size + 511) / 512 * 512;
}

/* The members as "name=content;", or "name!status;" if a member has a fault, or "!status" if the
 * archive has one. */
static void list(const void *bytes, size_t length, char *text, size_t size) {
    struct cn_archive archive;
    struct cn_archive_member member;
    struct cn_error error = {0};
    bool found = true;
    size_t at = 0;
    text[0] = '\0';
    enum cn_status status = cn_archive_open(bytes, length, &archive, &error);
    while (status == CN_OK && at + 600 < size) {
        const void *content = NULL;
        void *owned = NULL;
        struct cn_error fault = {0};
        status = cn_archive_next(&archive, &member, &found, &error);
        if (status != CN_OK || !found)
            break;
        if (cn_archive_unpack(&member, 1 << 24, &content, &owned, &fault) == CN_OK)
            at +=
                (size_t)snprintf(text + at, size - at, "%.64s=%.*s;", member.name,
                                 (int)(member.size < 99 ? member.size : 99), (const char *)content);
        else
            at += (size_t)snprintf(text + at, size - at, "%.64s!%s;", member.name,
                                   cn_status_name(fault.status));
        free(owned);
    }
    if (status != CN_OK)
        (void)snprintf(text + at, size - at, "!%s", cn_status_name(status));
    cr_assert((status == CN_OK) == (error.text[0] == '\0'));
}

static void check_list(const struct made *made, const char *expected) {
    char text[4096];
    /* A copy of exact size, so that sanitizers detect a read past its end. */
    unsigned char *bytes = malloc(made->length);
    memcpy(bytes, made->bytes, made->length);
    list(bytes, made->length, text, sizeof text);
    free(bytes);
    cr_assert_str_eq(text, expected);
}

static void fill_zip(struct made *made) {
    zip_add(made, "a/", 0, "", 0);
    zip_add(made, "a/one.png", 0, "one", 3);
    zip_add(made, "two.png", 8, "twotwotwotwotwotwo", 18);
    zip_add(made, ".hidden", 0, "x", 1);
    zip_add(made, "__MACOSX/a/one.png", 0, "x", 1);
    zip_add(made, "a/.b/c", 0, "x", 1);
    zip_add(made, "./empty", 8, "", 0);
}

static struct made made;

Test(picture_archive, zip) {
    fill_zip(&made);
    zip_finish(&made);
    cr_assert(cn_archive_recognize(made.bytes, made.length));
    check_list(&made, "a/one.png=one;two.png=twotwotwotwotwotwo;./empty=;");
}

Test(picture_archive, zip_members_that_cannot_be_unpacked) {
    zip_add(&made, "method", 12, "one", 3);
    zip_add(&made, "locked", 0, "one", 3);
    made.directory[46 + 6 + 8] = 1;
    zip_add(&made, "crc", 0, "one", 3);
    made.bytes[made.length - 1] = 'x';
    zip_add(&made, "damaged", 8, "twotwotwotwotwotwo", 18);
    made.bytes[made.length - 3] ^= 0x55;
    zip_add(&made, "good", 8, "good", 4);
    zip_finish(&made);
    check_list(&made, "method!unsupported;locked!unsupported;crc!malformed;damaged!malformed;"
                      "good=good;");
}

Test(picture_archive, a_bomb_is_not_unpacked) {
    enum { SIZE = 8 << 20 };
    char *zeros = calloc(1, SIZE);
    zip_add(&made, "bomb", 8, zeros, SIZE);
    zip_finish(&made);
    check_list(&made, "bomb!limit;");
    free(zeros);
}

Test(picture_archive, members_may_not_share_their_bytes) {
    static const char content[200];
    zip_add(&made, "a", 0, content, sizeof content);
    for (int i = 0; i < 20; i++) { /* the same entry again */
        memcpy(made.directory + made.directory_length, made.directory, 47);
        made.directory_length += 47;
        made.entries++;
    }
    zip_finish(&made);
    struct cn_archive archive;
    struct cn_archive_member member;
    struct cn_error error = {0};
    bool found = true;
    size_t members = 0;
    cr_assert_eq(cn_archive_open(made.bytes, made.length, &archive, &error), CN_OK);
    while (cn_archive_next(&archive, &member, &found, &error) == CN_OK && found)
        members++;
    cr_assert_eq(error.status, CN_MALFORMED);
    cr_assert_lt(members * sizeof content, made.length);
}

Test(picture_archive, tar) {
    char text[4096], name[300], pax[400];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    tar_add(&made, '5', "folder/", "", 0);
    tar_add(&made, '0', "folder/one.png", "one", 3);
    tar_add(&made, '2', "link", "", 0);
    tar_add(&made, '0', ".hidden", "x", 1);
    tar_add(&made, 'L', "././@LongLink", name, sizeof name);
    tar_add(&made, '0', "nnn", "long", 4);
    const int length = snprintf(pax, sizeof pax, "%d path=%s\n", 11 + 40,
                                "p/qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq");
    cr_assert_eq(length, 51 - 2);
    (void)snprintf(pax, sizeof pax, "%d path=%s\n", length,
                   "p/qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq");
    tar_add(&made, 'x', "PaxHeaders/x", pax, (size_t)length);
    tar_add(&made, '0', "short", "pax", 3);
    cr_assert(cn_archive_recognize(made.bytes, made.length));
    list(made.bytes, made.length, text, sizeof text);
    cr_assert_not_null(strstr(text, "=pax;!malformed"), "it has no end: %s", text);
    made.length += 1024;
    list(made.bytes, made.length, text, sizeof text);
    cr_assert_not_null(strstr(text, "folder/one.png=one;nnnn"), "%s", text);
    cr_assert_str_eq(strstr(text, "=long;"), "=long;p/qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq=pax;");
    made.length = 512 + 512 + 2; /* cut within a member */
    check_list(&made, "!malformed");
}

/* After any change or cut the reader ends without a read outside the archive (a sanitizer build
 * detects one). */
Test(picture_archive, damaged_anywhere) {
    static struct made tar;
    char text[4096];
    fill_zip(&made);
    zip_finish(&made);
    tar_add(&tar, 'x', "x", "12 path=abc\n", 12);
    tar_add(&tar, '0', "a", "content", 7);
    const struct made *const archives[] = {&made, &tar};
    for (size_t a = 0; a < 2; a++) {
        for (size_t i = 0; i < archives[a]->length; i++) {
            for (int to = 0; to < 3; to++) {
                unsigned char *bytes = malloc(archives[a]->length);
                memcpy(bytes, archives[a]->bytes, archives[a]->length);
                bytes[i] = to == 0 ? 0xff : to == 1 ? 0 : (unsigned char)(bytes[i] + 1);
                list(bytes, archives[a]->length, text, sizeof text);
                free(bytes);
            }
            unsigned char *bytes = malloc(i + 1);
            memcpy(bytes, archives[a]->bytes, i);
            list(bytes, i, text, sizeof text);
            free(bytes);
        }
    }
}

Test(picture_archive, other_bytes_are_none) {
    cr_assert_not(cn_archive_recognize("", 0));
    cr_assert_not(cn_archive_recognize("PK\3\4", 4));
    static const unsigned char zeros[1024];
    cr_assert_not(cn_archive_recognize(zeros, sizeof zeros));
    check_list(&(struct made){.length = 4, .bytes = "PK\3\4"}, "!malformed");
}
