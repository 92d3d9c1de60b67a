/* test_safetensors.c: the container: what is accepted, and what must be refused. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/foreign.h"
#include "model/safetensors.h"

/* A file with two tensors of 8 and 4 bytes. */
#define A_ENTRY "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define B_ENTRY "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}"
#define GOOD    "{" A_ENTRY "," B_ENTRY "}"

static const float values[] = {1.5F, -2.25F, 3.0F};

/* Builds a file of `header` and `data_length` bytes of `values` (then zeros) with malloc(). */
static unsigned char *make_file(const char *header, size_t data_length, size_t *ret_length) {
    const size_t header_length = strlen(header);
    unsigned char *bytes = calloc(1, 8 + header_length + data_length + 1);
    cr_assert_not_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)header_length >> (8 * i));
    memcpy(bytes + 8, header, header_length);
    memcpy(bytes + 8 + header_length, values,
           data_length < sizeof values ? data_length : sizeof values);
    *ret_length = 8 + header_length + data_length;
    return bytes;
}

/* The status of parsing; the message must contain `words`. */
static enum cn_status refuse(const char *header, size_t data_length, const char *words) {
    struct cn_safetensors *file = NULL;
    struct cn_error error = {0};
    size_t length = 0;
    unsigned char *bytes = make_file(header, data_length, &length);
    const enum cn_status status = cn_safetensors_parse(bytes, length, "t", &file, &error);
    cr_expect_null(file, "%s", header);
    cr_expect_eq(error.status, status);
    cr_expect_str_eq(error.source, "t");
    cr_expect(strstr(error.text, words) != NULL, "\"%s\" lacks \"%s\"", error.text, words);
    cn_safetensors_free(file);
    free(bytes);
    return status;
}

Test(safetensors, reads_every_alignment) {
    char header[400];
    for (int spaces = 0; spaces < 8; spaces++) {
        struct cn_safetensors *file = NULL;
        struct cn_error error = {0};
        size_t length = 0;
        (void)snprintf(header, sizeof header, "{%s,%s,\"__metadata__\":{\"k\":\"v\"}}%*s", B_ENTRY,
                       A_ENTRY, spaces, "");
        unsigned char *bytes = make_file(header, 12, &length);
        cr_assert_eq(cn_safetensors_parse(bytes, length, "t", &file, &error), CN_OK, "%s",
                     error.text);
        cr_assert_eq(file->tensor_count, 2);
        const struct cn_safetensor *a = cn_safetensors_tensor(file, "a");
        const struct cn_safetensor *b = cn_safetensors_tensor(file, "b");
        cr_assert(a != NULL && b != NULL);
        cr_expect_eq((uintptr_t)a->data % sizeof(float), 0);
        cr_expect(a->rank == 1 && a->dims[0] == 2 && a->size == 2);
        cr_expect(b->rank == 0 && b->size == 1);
        cr_expect_arr_eq(a->data, values, 8);
        cr_expect_arr_eq(b->data, values + 2, 4);
        cr_expect_null(cn_safetensors_tensor(file, "c"));
        cr_expect_str_eq(cn_safetensors_metadata(file, "k"), "v");
        cr_expect_null(cn_safetensors_metadata(file, "l"));
        cn_safetensors_free(file);
        free(bytes);
    }
}

Test(safetensors, reads_no_tensors_and_empty_ones) {
    static const char *const headers[] = {
        "{}", "{\"z\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]}}"};
    for (size_t i = 0; i < 2; i++) {
        struct cn_safetensors *file = NULL;
        size_t length = 0;
        unsigned char *bytes = make_file(headers[i], 0, &length);
        cr_assert_eq(cn_safetensors_parse(bytes, length, "t", &file, NULL), CN_OK);
        cr_expect_eq(file->tensor_count, i);
        cn_safetensors_free(file);
        free(bytes);
    }
}

#define T(shape, offsets)                                                                          \
    "{\"t\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

Test(safetensors, refuses_bad_headers) {
    static const struct {
        const char *header, *words;
        size_t data;
        enum cn_status status;
    } cases[] = {
        {T("[2]", "[0,18446744073709551615]"), "JSON", 8, CN_MALFORMED},
        {T("[2]", "[0,9223372036854775808]"), "JSON", 8, CN_MALFORMED},
        {T("[2]", "[0,9223372036854775807]"), "holds 8 bytes", 8, CN_MALFORMED},
        {T("[2]", "[-8,0]"), "0 <= begin", 8, CN_MALFORMED},
        {T("[2]", "[8,0]"), "0 <= begin", 8, CN_MALFORMED},
        {T("[2]", "[0,8.0]"), "two integers", 8, CN_MALFORMED},
        {T("[2]", "[\"0\",8]"), "two integers", 8, CN_MALFORMED},
        {T("[2]", "[0,8,8]"), "two integers", 8, CN_MALFORMED},
        {T("[2]", "8"), "two integers", 8, CN_MALFORMED},
        {T("[2]", "null"), "two integers", 8, CN_MALFORMED},
        {T("[2]", "[0,12]"), "holds 8 bytes", 8, CN_MALFORMED},
        {T("[3]", "[0,8]"), "takes 12", 8, CN_MALFORMED},
        {T("[2]", "[4,12]"), "hole", 12, CN_MALFORMED},
        {T("[2]", "[0,8]"), "4 bytes of data follow", 12, CN_MALFORMED},
        {T("[-2]", "[0,8]"), "at least 0", 8, CN_MALFORMED},
        {T("[2.0]", "[0,8]"), "at least 0", 8, CN_MALFORMED},
        {T("[\"2\"]", "[0,8]"), "at least 0", 8, CN_MALFORMED},
        {T("2", "[0,8]"), "list", 8, CN_MALFORMED},
        {T("[1,1,1,1,2]", "[0,8]"), "rank 5", 8, CN_UNSUPPORTED},
        {T("[4294967296,4294967296]", "[0,0]"), "too many", 0, CN_MALFORMED},
        {T("[4611686018427387904]", "[0,0]"), "too many", 0, CN_MALFORMED},
        {"{\"t\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", "F16", 8,
         CN_UNSUPPORTED},
        {"{\"t\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}", "dtype 1", 8, CN_MALFORMED},
        {"{\"t\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "nothing", 8, CN_MALFORMED},
        {"{\"t\":[]}", "dtype", 8, CN_MALFORMED},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", "unknown key",
         8, CN_MALFORMED},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "name", 8,
         CN_MALFORMED},
        {"{" A_ENTRY "," A_ENTRY "}", "duplicate", 8, CN_MALFORMED},
        {"{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "duplicate", 8, CN_MALFORMED},
        {"{" A_ENTRY ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", "overlap",
         12, CN_MALFORMED},
        {"{" A_ENTRY ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "overlap",
         8, CN_MALFORMED},
        {"{\"__metadata__\":[]}", "object", 0, CN_MALFORMED},
        {"{\"__metadata__\":{\"k\":1}}", "string", 0, CN_MALFORMED},
        {"[]", "'{'", 0, CN_MALFORMED},
        {" {}", "'{'", 0, CN_MALFORMED},
        {"{} x", "JSON", 0, CN_MALFORMED},
        {"{\"a\\u0000\":1}", "JSON", 0, CN_MALFORMED},
        {"{\"\xff\":1}", "JSON", 0, CN_MALFORMED},
        {"", "'{'", 0, CN_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(refuse(cases[i].header, cases[i].data, cases[i].words), cases[i].status,
                     "case %zu: %s", i, cases[i].header);
}

Test(safetensors, refuses_header_lengths) {
    static const uint64_t lengths[] = {99999999999u, UINT64_MAX, (uint64_t)1 << 63, (1u << 20) + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned char bytes[64] = {0};
        struct cn_safetensors *file = NULL;
        struct cn_error error = {0};
        memcpy(bytes, &lengths[i], 8);
        bytes[8] = '{';
        cr_expect_eq(cn_safetensors_parse(bytes, sizeof bytes, "t", &file, &error), CN_LIMIT);
        cr_expect_null(file);
    }
}

Test(safetensors, refuses_every_truncation) {
    size_t length = 0;
    unsigned char *bytes = make_file(GOOD, 12, &length);
    for (size_t cut = 0; cut < length; cut++) {
        struct cn_safetensors *file = NULL;
        struct cn_error error = {0};
        unsigned char *exact = malloc(cut > 0 ? cut : 1); /* a block of exact size, so that
                                                           * sanitizers detect a read past its
                                                           * end */
        memcpy(exact, bytes, cut);
        cr_expect_eq(cn_safetensors_parse(exact, cut, "t", &file, &error), CN_MALFORMED, "at %zu",
                     cut);
        cr_expect(error.text[0] != '\0' && error.offset >= 0);
        free(exact);
    }
    free(bytes);
}

Test(safetensors, refuses_too_many_tensors) {
    const size_t count = CN_SAFETENSORS_MAX_TENSORS + 1;
    char *header = malloc(count * 80);
    size_t used = (size_t)sprintf(header, "{");
    for (size_t i = 0; i < count; i++)
        used += (size_t)sprintf(
            header + used, "%s\"%zu\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
            i > 0 ? "," : "", i);
    (void)sprintf(header + used, "}");
    cr_expect_eq(refuse(header, 0, "4097 tensors"), CN_LIMIT);
    free(header);
}

Test(safetensors, survives_deep_nesting) {
    char *header = malloc(500001);
    memset(header, '[', 500000);
    memcpy(header, "{\"a\":", 5);
    header[500000] = '\0';
    cr_expect_eq(refuse(header, 0, "JSON"), CN_MALFORMED);
    free(header);
}

Test(safetensors, shows_no_control_characters) {
    struct cn_safetensors *file = NULL;
    struct cn_error error = {0};
    size_t length = 0;
    unsigned char *bytes = make_file("{\"\\u001b[31m\":{\"dtype\":\"\\u001b\"}}", 0, &length);
    cr_expect_eq(cn_safetensors_parse(bytes, length, "t", &file, &error), CN_UNSUPPORTED);
    for (const char *c = error.text; *c != '\0'; c++)
        cr_expect(*c >= 0x20 && *c < 0x7f);
    free(bytes);
}

/* A path in a fresh folder; the caller removes both. */
static void make_path(char *folder, char *path, size_t size) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, size, "%s/cn-safetensors-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(path, size, "%s/f.safetensors", folder);
}

Test(safetensors, writes_what_it_reads) {
    char folder[256], path[256], sha256[65];
    struct cn_safetensors *file = NULL;
    struct cn_error error = {0};
    const struct cn_safetensor tensors[] = {
        {.name = "x/kernel", .rank = 2, .dims = {1, 2}, .size = 2, .data = values},
        {.name = "scalar", .rank = 0, .size = 1, .data = values + 2},
        {.name = "none", .rank = 1, .dims = {0}, .size = 0, .data = NULL},
    };
    struct cn_metadata metadata[] = {{(char *)"key", (char *)"va\"l\nue \xc3\xa9"}};
    make_path(folder, path, sizeof path);
    cr_assert_eq(cn_safetensors_write(path, tensors, 3, metadata, 1, &error), CN_OK, "%s",
                 error.text);
    cr_assert_eq(cn_safetensors_read(path, &file, sha256, &error), CN_OK, "%s", error.text);
    cr_assert_eq(file->tensor_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct cn_safetensor *read = &file->tensors[i];
        cr_expect_str_eq(read->name, tensors[i].name);
        cr_expect_eq(read->rank, tensors[i].rank);
        cr_expect_eq(read->size, tensors[i].size);
        if (read->size > 0)
            cr_expect_arr_eq(read->data, tensors[i].data, read->size * sizeof(float));
    }
    cr_expect_str_eq(cn_safetensors_metadata(file, "key"), metadata[0].value);
    cr_expect_null(file->copy, "our own files are aligned");
    cr_expect_eq(strlen(sha256), 64);
    cn_safetensors_free(file);
    (void)unlink(path);
    cr_expect_eq(rmdir(folder), 0, "nothing else was left");
}

Test(safetensors, refuses_to_write_nonsense) {
    char folder[256], path[256];
    make_path(folder, path, sizeof path);
    const struct cn_safetensor good = {
        .name = "a", .rank = 1, .dims = {3}, .size = 3, .data = values};
    struct cn_safetensor twice[] = {good, good}, empty = good, size = good, reserved = good;
    struct cn_safetensor utf8 = good, huge = good;
    struct cn_metadata bad[] = {{(char *)"k", (char *)"\xff"}};
    empty.name[0] = '\0';
    size.size = 2;
    strcpy(reserved.name, "__metadata__");
    strcpy(utf8.name, "\xff");
    huge.dims[0] = huge.size = (size_t)1 << 30;
    cr_expect_eq(cn_safetensors_write(path, twice, 2, NULL, 0, NULL), CN_INVALID);
    cr_expect_eq(cn_safetensors_write(path, &empty, 1, NULL, 0, NULL), CN_INVALID);
    cr_expect_eq(cn_safetensors_write(path, &size, 1, NULL, 0, NULL), CN_INVALID);
    cr_expect_eq(cn_safetensors_write(path, &reserved, 1, NULL, 0, NULL), CN_INVALID);
    cr_expect_eq(cn_safetensors_write(path, &utf8, 1, NULL, 0, NULL), CN_INVALID);
    cr_expect_eq(cn_safetensors_write(path, &huge, 1, NULL, 0, NULL), CN_LIMIT);
    cr_expect_eq(cn_safetensors_write(path, &good, 1, bad, 1, NULL), CN_INVALID);
    cr_expect_eq(access(path, F_OK), -1);
    cr_expect_eq(rmdir(folder), 0, "nothing was left");
}

Test(safetensors, names_a_missing_file) {
    struct cn_safetensors *file = NULL;
    struct cn_error error = {0};
    cr_expect_eq(cn_safetensors_read("/nonexistent/x", &file, NULL, &error), CN_IO);
    cr_expect_str_eq(error.source, "/nonexistent/x");
}

/* The weights in a .keras file are stored without compression, and may begin where the reader
 * searches for HDF5's signature. */
Test(safetensors, knows_a_zip_that_holds_hdf5) {
    unsigned char bytes[600] = "PK\x03\x04";
    memcpy(bytes + 30, "config.json", 11);
    memcpy(bytes + 512, "\x89HDF\r\n\x1a\n", 8);
    cr_expect_eq(cn_foreign_recognize(bytes, sizeof bytes), CN_FOREIGN_KERAS_ZIP);
    bytes[0] = 0; /* HDF5 then calls the bytes before the signature a user block */
    cr_expect_eq(cn_foreign_recognize(bytes, sizeof bytes), CN_FOREIGN_HDF5);
}
