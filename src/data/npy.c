/* npy.c: NumPy's .npy and .npz. Every size is checked against the available bytes before it is
 * used; a member claims no more bytes than its compressed ones can produce. Thread-safe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/number.h"
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
    array->big = order == '>';
    return (order == '|' || order == '<' || order == '>') &&
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
    size_t begin, size, bytes_needed;
    if (length < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return cn_fail_at(error, CN_MALFORMED, source, 0, "is not a NumPy array of version 1 to 3");
    begin = bytes[6] == 1 ? 10 : 12;
    size = (size_t)cn_number_little(bytes + 8, (int)begin - 8);
    if (size >= sizeof head || size > length - begin)
        return cn_fail_at(error, CN_MALFORMED, source, 8,
                          "has a head of %zu bytes; the file has %zu more, and %zu is the limit",
                          size, length - begin, sizeof head - 1);
    memcpy(head, bytes + begin, size);
    head[size] = '\0';
    const char *order = find_key(head, "fortran_order");
    if (!parse_type(find_key(head, "descr"), &array))
        return cn_fail_at(error, CN_UNSUPPORTED, source, (long long)begin,
                          "holds neither whole numbers nor floats: %.80s", head);
    if (!parse_shape(find_key(head, "shape"), &array))
        return cn_fail_at(error, CN_UNSUPPORTED, source, (long long)begin,
                          "has a shape that is not of rank 0 to %d: %.80s", CN_NPY_MAX_RANK, head);
    if (order == NULL || strncmp(order, "False", 5) != 0)
        return cn_fail_at(error, CN_UNSUPPORTED, source, (long long)begin,
                          "is not in C's order; save numpy.ascontiguousarray(x): %.80s", head);
    if (__builtin_mul_overflow(array.count, array.item, &bytes_needed) ||
        bytes_needed != length - begin - size)
        return cn_fail_at(error, CN_MALFORMED, source, (long long)(begin + size),
                          "has %zu bytes of numbers; its type and shape need %zu times %zu",
                          length - begin - size, array.count, array.item);
    array.data = bytes + begin + size;
    *ret_array = array;
    return CN_OK;
}

double cn_npy_value(const struct cn_npy *array, size_t i) {
    const unsigned char *p = array->data + i * array->item;
    uint64_t bits = 0;
    for (size_t k = 0; k < array->item; k++)
        bits |= (uint64_t)p[array->big ? array->item - 1 - k : k] << (8 * k);
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

/* ---- .npz: a zip archive ---- */

enum { PART = 1 << 30 };                  /* bytes that zlib takes at a time */
static const size_t deflate_ratio = 1032; /* the most that deflate can compress */

enum cn_status cn_npz_find(const unsigned char *bytes, size_t length, const char *name,
                           const char *source, bool *ret_found,
                           struct cn_archive_member *ret_member, struct cn_error *error) {
    struct cn_archive archive;
    struct cn_archive_member *member = ret_member;
    struct cn_error reason = {0};
    bool more = true;
    *ret_found = false;
    enum cn_status status = cn_archive_open(bytes, length, &archive, &reason);
    while (status == CN_OK && more && !*ret_found) {
        status = cn_archive_next(&archive, member, &more, &reason);
        *ret_found = status == CN_OK && more && strcasecmp(member->name, name) == 0;
    }
    if (status != CN_OK)
        return cn_fail_at(error, status, source, -1, "%s", reason.text);
    if (!*ret_found)
        return CN_OK;
    if (member->encrypted || (member->method != 0 && member->method != 8))
        return cn_fail_at(error, CN_UNSUPPORTED, source, -1,
                          "is encrypted or packed by method %d; 0 and 8 are possible",
                          member->method);
    if ((member->method == 0 && member->length != member->size) ||
        member->size / deflate_ratio > member->length)
        return cn_fail_at(error, CN_MALFORMED, source, -1,
                          "claims %zu bytes from %zu, which cannot be", member->size,
                          member->length);
    return CN_OK;
}

static enum cn_status member_inflate(const struct cn_archive_member *member, const char *source,
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

enum cn_status cn_npz_unpack(const struct cn_archive_member *member, const char *source,
                             unsigned char *to, struct cn_error *error) {
    enum cn_status status = CN_OK;
    if (member->method == 8)
        status = member_inflate(member, source, to, error);
    else
        memcpy(to, member->bytes, member->size);
    if (status == CN_OK && crc32_z(crc32_z(0, NULL, 0), to, member->size) != member->crc)
        status = cn_fail_at(error, CN_MALFORMED, source, -1, "has another checksum than it says");
    return status;
}
