/* npy.c: NumPy's .npy and .npz. Every size is checked against the available bytes before it is
 * used; a member claims no more bytes than its compressed ones can produce. Thread-safe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "data/npy.h"

/* ---- .npy ---- */

/* The text after 'key': in a header such as {'descr': '|u1', 'fortran_order': False, 'shape': (2,
 * 3)}. */
static const char *find_key(const char *head, const char *key) {
    char quoted[32];
    (void)snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *place = strstr(head, quoted);
    return place == NULL ? NULL : place + strlen(quoted) + strspn(place + strlen(quoted), " ");
}

static bool parse_type(const char *text, struct cn_npy *array) {
    unsigned item = 0;
    char order = 0, kind = 0;
    if (text == NULL || sscanf(text, "'%c%c%1u'", &order, &kind, &item) != 3 || text[4] != '\'')
        return false;
    const bool whole = kind == 'u' || kind == 'i';
    array->kind = kind;
    array->item = item;
    return (order == '|' || order == '<') &&
           ((whole && (item == 1 || item == 2 || item == 4 || item == 8)) ||
            (kind == 'f' && (item == 4 || item == 8)) || (kind == 'b' && item == 1));
}

static bool parse_shape(const char *text, struct cn_npy *array) {
    array->rank = 0;
    array->count = 1;
    if (text == NULL || *text++ != '(')
        return false;
    for (;;) {
        char *end;
        text += strspn(text, " ,");
        if (*text == ')')
            return true;
        if (array->rank == CN_NPY_MAX_RANK || *text < '0' || *text > '9')
            return false;
        const unsigned long long size = strtoull(text, &end, 10);
        if (size > SIZE_MAX / 16 || __builtin_mul_overflow(array->count, size, &array->count))
            return false;
        array->dims[array->rank++] = size;
        text = end;
    }
}

enum cn_status cn_npy_parse(const unsigned char *bytes, size_t length, const char *source,
                            struct cn_npy *ret_array, struct cn_error *error) {
    struct cn_npy array = {0};
    char head[1024];
    size_t begin = 10, size, bytes_needed;
    if (length < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return cn_fail_at(error, CN_MALFORMED, source, 0, "is not a NumPy array of version 1 to 3");
    size = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1) {
        size |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        begin = 12;
    }
    if (size >= sizeof head || size > length - begin)
        return cn_fail_at(error, CN_MALFORMED, source, 8, "has a head of %zu bytes", size);
    memcpy(head, bytes + begin, size);
    head[size] = '\0';
    const char *order = find_key(head, "fortran_order");
    if (!parse_type(find_key(head, "descr"), &array))
        return cn_fail_at(error, CN_UNSUPPORTED, source, (long long)begin,
                          "holds neither whole numbers nor floats, little-endian: %.80s", head);
    if (!parse_shape(find_key(head, "shape"), &array))
        return cn_fail_at(error, CN_UNSUPPORTED, source, (long long)begin,
                          "has a shape that is not of rank 0 to %d: %.80s", CN_NPY_MAX_RANK, head);
    if (order == NULL || strncmp(order, "False", 5) != 0)
        return cn_fail_at(error, CN_UNSUPPORTED, source, (long long)begin,
                          "is not in C's order: %.80s", head);
    if (__builtin_mul_overflow(array.count, array.item, &bytes_needed) ||
        bytes_needed != length - begin - size)
        return cn_fail_at(error, CN_MALFORMED, source, (long long)(begin + size),
                          "has %zu bytes of numbers; its shape needs another number",
                          length - begin - size);
    array.data = bytes + begin + size;
    *ret_array = array;
    return CN_OK;
}

double cn_npy_value(const struct cn_npy *array, size_t i) {
    const unsigned char *p = array->data + i * array->item;
    uint64_t bits = 0;
    for (size_t k = 0; k < array->item; k++)
        bits |= (uint64_t)p[k] << (8 * k);
    if (array->kind == 'f' && array->item == 4) {
        const uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof value);
        return (double)value;
    }
    if (array->kind == 'f') {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    if (array->kind == 'i' && array->item < 8 && (bits >> (8 * array->item - 1)) != 0)
        return (double)bits - (double)(UINT64_C(1) << (8 * array->item));
    return array->kind == 'i' ? (double)(int64_t)bits : (double)bits;
}

/* ---- .npz: a zip archive (PKWARE's APPNOTE 6.3), read by its central directory ---- */

enum {
    END_SIZE = 22,
    END_64_SIZE = 56,
    LOCATOR_SIZE = 20,
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    MAX_COMMENT = 65535,
    PART = 1 << 30 /* of what zlib takes at a time */
};
static const size_t deflate_ratio = 1032;   /* the most that deflate can compress */
static const size_t elsewhere = UINT32_MAX; /* the number is in a field of 64 bits */

static size_t number(const unsigned char *p, int bytes) {
    size_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (size_t)p[i] << (8 * i);
    return value;
}

/* The end record, or NULL. */
static const unsigned char *find_end(const unsigned char *bytes, size_t length) {
    for (size_t back = END_SIZE; back <= length && back <= END_SIZE + MAX_COMMENT; back++)
        if (memcmp(bytes + length - back, "PK\5\6", 4) == 0)
            return bytes + length - back;
    return NULL;
}

static enum cn_status member_inflate(const struct cn_npz_member *member, const char *source,
                                     unsigned char *to, struct cn_error *error) {
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)member->bytes, .next_out = to};
    size_t packed = member->length, size = member->size;
    int code = inflateInit2(&stream, -MAX_WBITS);
    if (code != Z_OK)
        return cn_fail(error, CN_MEMORY, "no memory for an inflater");
    while (code == Z_OK) {
        const size_t before_in = packed < PART ? packed : PART, before = size < PART ? size : PART;
        stream.avail_in = (uInt)before_in;
        stream.avail_out = (uInt)before;
        code = inflate(&stream, Z_NO_FLUSH); /* Z_BUF_ERROR where nothing is left of one of them */
        packed -= before_in - stream.avail_in;
        size -= before - stream.avail_out;
    }
    const bool whole = code == Z_STREAM_END && size == 0;
    (void)inflateEnd(&stream);
    return whole ? CN_OK : cn_fail_at(error, CN_MALFORMED, source, -1, "is corrupt zip data");
}

enum cn_status cn_npz_unpack(const struct cn_npz_member *member, const char *source,
                             unsigned char *to, struct cn_error *error) {
    enum cn_status status = CN_OK;
    if (member->deflated)
        status = member_inflate(member, source, to, error);
    else
        memcpy(to, member->bytes, member->size);
    if (status == CN_OK && crc32_z(crc32_z(0, NULL, 0), to, member->size) != member->crc)
        status = cn_fail_at(error, CN_MALFORMED, source, -1, "has another checksum than it says");
    return status;
}

/* A number of 32 bits of an entry, or the next one of its 64-bit fields. */
static size_t wide_number(size_t narrow, const unsigned char **next, const unsigned char *end) {
    if (narrow != elsewhere || end - *next < 8)
        return narrow;
    *next += 8;
    return number(*next - 8, 8);
}

/* The 64-bit fields of an entry, from *ret_begin to *ret_end; none: both are the entry's end. */
static void wide_fields(const unsigned char *entry, const unsigned char **ret_begin,
                        const unsigned char **ret_end) {
    const unsigned char *field = entry + ENTRY_SIZE + number(entry + 28, 2);
    const unsigned char *end = field + number(entry + 30, 2);
    *ret_begin = *ret_end = end;
    while (end - field >= 4) {
        const size_t size = number(field + 2, 2);
        if (size > (size_t)(end - field - 4))
            return;
        if (number(field, 2) == 1) {
            *ret_begin = field + 4;
            *ret_end = field + 4 + size;
            return;
        }
        field += 4 + size;
    }
}

/* Reads the member that the directory's entry describes. */
static enum cn_status member_open(const unsigned char *bytes, size_t length,
                                  const unsigned char *entry, const char *source,
                                  struct cn_npz_member *ret_member, struct cn_error *error) {
    const unsigned char *next, *end;
    wide_fields(entry, &next, &end);
    const size_t method = number(entry + 10, 2);
    const size_t size = wide_number(number(entry + 24, 4), &next, end);
    const size_t packed = wide_number(number(entry + 20, 4), &next, end);
    const size_t local = wide_number(number(entry + 42, 4), &next, end);
    if ((entry[8] & 1) != 0 || (method != 0 && method != 8))
        return cn_fail_at(error, CN_UNSUPPORTED, source, -1,
                          "is encrypted or packed by method %zu; 0 and 8 are possible", method);
    if (local > length || length - local < LOCAL_SIZE || memcmp(bytes + local, "PK\3\4", 4) != 0)
        return cn_fail_at(error, CN_MALFORMED, source, -1, "is not where the zip archive says");
    const size_t skip = LOCAL_SIZE + number(bytes + local + 26, 2) + number(bytes + local + 28, 2);
    if (skip > length - local || packed > length - local - skip ||
        (method == 0 && packed != size) || size / deflate_ratio > packed)
        return cn_fail_at(error, CN_MALFORMED, source, -1,
                          "claims %zu bytes from %zu, which cannot be", size, packed);
    *ret_member = (struct cn_npz_member){.bytes = bytes + local + skip,
                                         .length = packed,
                                         .size = size,
                                         .deflated = method == 8,
                                         .crc = (uint32_t)number(entry + 16, 4)};
    return CN_OK;
}

/* The number of entries and their place by the end record of 64 bits, if there is one. */
static void read_wide_end(const unsigned char *bytes, const unsigned char *end, size_t *ret_count,
                          size_t *ret_place) {
    const size_t before = (size_t)(end - bytes);
    if (before < LOCATOR_SIZE + END_64_SIZE || memcmp(end - LOCATOR_SIZE, "PK\6\7", 4) != 0)
        return;
    const size_t at = number(end - LOCATOR_SIZE + 8, 8);
    if (at > before - LOCATOR_SIZE - END_64_SIZE || memcmp(bytes + at, "PK\6\6", 4) != 0)
        return;
    *ret_count = number(bytes + at + 32, 8);
    *ret_place = number(bytes + at + 48, 8);
}

enum cn_status cn_npz_find(const unsigned char *bytes, size_t length, const char *name,
                           const char *source, bool *ret_found, struct cn_npz_member *ret_member,
                           struct cn_error *error) {
    const unsigned char *end = length >= END_SIZE ? find_end(bytes, length) : NULL;
    *ret_found = false;
    if (end == NULL)
        return cn_fail_at(error, CN_MALFORMED, source, -1, "is not a zip archive");
    size_t count = number(end + 10, 2), place = number(end + 16, 4);
    if (count == UINT16_MAX || place == elsewhere)
        read_wide_end(bytes, end, &count, &place);
    for (; count > 0; count--) {
        if (place > length || length - place < ENTRY_SIZE ||
            memcmp(bytes + place, "PK\1\2", 4) != 0)
            return cn_fail_at(error, CN_MALFORMED, source, (long long)place,
                              "has a zip directory that is cut");
        const unsigned char *entry = bytes + place;
        const size_t name_length = number(entry + 28, 2);
        const size_t size =
            ENTRY_SIZE + name_length + number(entry + 30, 2) + number(entry + 32, 2);
        if (size > length - place)
            return cn_fail_at(error, CN_MALFORMED, source, (long long)place,
                              "has a zip directory that is cut");
        if (strlen(name) == name_length && memcmp(entry + ENTRY_SIZE, name, name_length) == 0) {
            *ret_found = true;
            return member_open(bytes, length, entry, source, ret_member, error);
        }
        place += size;
    }
    return CN_OK;
}
