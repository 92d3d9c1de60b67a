/* picture_archive.c: see picture_archive.h. It is written here and not taken from a library because
 * its users are the daemon, which keeps large parsers out of its address space, and a command that
 * reads an archive of a million pictures from a memory mapping. zlib decompresses; the rest is
 * headers. Writes no file. No state; thread-safe. */
#include "data/picture_archive.h"
#include "base/number.h"
#include "data/picture_list.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    ZIP_END = 22,
    ZIP_END_COMMENT = 65535,
    ZIP64_LOCATOR = 20,
    ZIP64_END = 56,
    ZIP_ENTRY = 46,
    ZIP_LOCAL = 30,
    TAR_BLOCK = 512,
    RATIO = 100,
    RATIO_FREE = 1 << 20
};

/* ---- Names ---- */

static void member_name(char to[static CN_MEMBER_NAME], const void *from, size_t length) {
    length = strnlen(from, length < CN_MEMBER_NAME - 1 ? length : CN_MEMBER_NAME - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

static bool name_is_hidden(const char *name) {
    while (*name != '\0') {
        const size_t part = strcspn(name, "/");
        const bool here = part == 1 && name[0] == '.', up = part == 2 && memcmp(name, "..", 2) == 0;
        if ((name[0] == '.' && !here && !up) || (part == 8 && memcmp(name, "__MACOSX", 8) == 0))
            return true;
        name += part + strspn(name + part, "/");
    }
    return false;
}

static bool name_is_folder(const char *name) {
    return name[0] == '\0' || name[strlen(name) - 1] == '/';
}

/* ---- Zip (PKWARE's APPNOTE, 4.3) ---- */

/* The record at the end, before a comment; NULL: there is none. */
static const unsigned char *zip_end(const unsigned char *bytes, size_t length) {
    for (size_t comment = 0; comment <= ZIP_END_COMMENT && comment + ZIP_END <= length; comment++) {
        const unsigned char *end = bytes + length - comment - ZIP_END;
        if (memcmp(end, "PK\5\6", 4) == 0 && cn_number_little(end + 20, 2) == comment)
            return end;
    }
    return NULL;
}

static bool is_zip(const unsigned char *bytes, size_t length) {
    return length >= ZIP_END &&
           (memcmp(bytes, "PK\3\4", 4) == 0 || memcmp(bytes, "PK\5\6", 4) == 0) &&
           zip_end(bytes, length) != NULL;
}

static enum cn_status zip_open(struct cn_archive *archive, struct cn_error *error) {
    const unsigned char *bytes = archive->bytes, *end = zip_end(bytes, archive->length);
    const size_t at = (size_t)(end - bytes);
    uint64_t count = cn_number_little(end + 10, 2), size = cn_number_little(end + 12, 4),
             begin = cn_number_little(end + 16, 4);
    if (cn_number_little(end + 4, 2) != 0 && cn_number_little(end + 4, 2) != 0xffff)
        return cn_fail(error, CN_UNSUPPORTED, "the zip is one part of several");
    if (at >= ZIP64_LOCATOR && memcmp(end - ZIP64_LOCATOR, "PK\6\7", 4) == 0) {
        const uint64_t place = cn_number_little(end - ZIP64_LOCATOR + 8, 8);
        if (place > at || at - place < ZIP64_END + ZIP64_LOCATOR ||
            memcmp(bytes + place, "PK\6\6", 4) != 0)
            return cn_fail(error, CN_MALFORMED, "the zip's end names no zip64 record");
        count = cn_number_little(bytes + place + 32, 8);
        size = cn_number_little(bytes + place + 40, 8);
        begin = cn_number_little(bytes + place + 48, 8);
    }
    if (begin > at || size > at - begin || count > size / ZIP_ENTRY)
        return cn_fail(error, CN_MALFORMED,
                       "the zip's directory of %llu entries in %llu bytes at %llu does not lie in "
                       "its %zu bytes",
                       (unsigned long long)count, (unsigned long long)size,
                       (unsigned long long)begin, archive->length);
    archive->at = (size_t)begin;
    archive->left = count;
    return CN_OK;
}

/* Reads the 64-bit values in an entry's extra field that replace fields of all ones. */
static bool zip64_values(const unsigned char *extra, size_t length, uint64_t *values[], int count) {
    while (length >= 4) {
        const size_t size = (size_t)cn_number_little(extra + 2, 2);
        if (size > length - 4)
            return false;
        if (cn_number_little(extra, 2) == 1) {
            const unsigned char *value = extra + 4;
            for (int i = 0; i < count; i++, value += 8) {
                if ((size_t)(value - extra) + 8 > 4 + size)
                    return false;
                *values[i] = cn_number_little(value, 8);
            }
            return true;
        }
        extra += 4 + size;
        length -= 4 + size;
    }
    return count == 0;
}

static bool zip_is_link(const unsigned char *entry) {
    const uint64_t kind = cn_number_little(entry + 38, 4) >> 28; /* the file type of Unix's mode */
    return entry[5] == 3 && kind != 0 && kind != 8;
}

/* Reads the directory's next entry; its own header locates its content. */
static enum cn_status zip_entry(struct cn_archive *archive, struct cn_archive_member *member,
                                bool *ret_is_file, struct cn_error *error) {
    const unsigned char *bytes = archive->bytes, *entry = bytes + archive->at;
    const size_t room = archive->length - archive->at;
    if (room < ZIP_ENTRY || memcmp(entry, "PK\1\2", 4) != 0)
        return cn_fail(error, CN_MALFORMED, "the zip's directory is cut at byte %zu", archive->at);
    const size_t name = (size_t)cn_number_little(entry + 28, 2),
                 extra = (size_t)cn_number_little(entry + 30, 2);
    const size_t whole = ZIP_ENTRY + name + extra + (size_t)cn_number_little(entry + 32, 2);
    uint64_t packed = cn_number_little(entry + 20, 4), size = cn_number_little(entry + 24, 4),
             local = cn_number_little(entry + 42, 4);
    uint64_t *wide[3];
    int wide_count = 0;
    for (size_t i = 0; i < 3; i++) {
        uint64_t *const fields[] = {&size, &packed, &local};
        if (*fields[i] == 0xffffffff)
            wide[wide_count++] = fields[i];
    }
    if (whole > room || !zip64_values(entry + ZIP_ENTRY + name, extra, wide, wide_count) ||
        local > archive->length || archive->length - local < ZIP_LOCAL ||
        memcmp(bytes + local, "PK\3\4", 4) != 0)
        return cn_fail(error, CN_MALFORMED, "the zip's entry at byte %zu names no member",
                       archive->at);
    const size_t head = ZIP_LOCAL + (size_t)cn_number_little(bytes + local + 26, 2) +
                        (size_t)cn_number_little(bytes + local + 28, 2);
    const size_t rest = archive->length - (size_t)local;
    if (head > rest || packed > rest - head || size > SIZE_MAX / 2)
        return cn_fail(error, CN_MALFORMED, "the zip's member at byte %zu is cut", (size_t)local);
    member_name(member->name, entry + ZIP_ENTRY, name);
    member->bytes = bytes + local + head;
    member->length = (size_t)packed;
    member->size = (size_t)size;
    member->method = (int)cn_number_little(entry + 10, 2);
    member->encrypted = (entry[8] & 1) != 0;
    member->crc = (uint32_t)cn_number_little(entry + 16, 4);
    member->is_zip = true;
    archive->at += whole;
    archive->packed += packed;
    *ret_is_file = !zip_is_link(entry);
    /* Members must not share bytes: otherwise a small zip whose entries all refer to the same bytes
     * would be as large as its directory says. */
    return archive->packed <= archive->length
               ? CN_OK
               : cn_fail(error, CN_MALFORMED, "the zip's members lie over each other");
}

/* ---- Tar (POSIX's ustar and pax, GNU's long names) ---- */

/* Parses a number in octal digits or GNU's base 256; false if it is malformed. */
static bool tar_number(const unsigned char *field, size_t length, uint64_t *ret_value) {
    uint64_t value = 0;
    size_t i = 0;
    if (field[0] == 0x80) {
        for (i = 1; i < length; i++) {
            if (value >> 56 != 0)
                return false;
            value = value << 8 | field[i];
        }
        *ret_value = value;
        return true;
    }
    while (i < length && field[i] == ' ')
        i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    *ret_value = value;
    return i == length || field[i] == ' ' || field[i] == '\0';
}

static bool tar_header_is_sound(const unsigned char *block) {
    uint64_t stated = 0, sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return memcmp(block + 257, "ustar", 5) == 0 && tar_number(block + 148, 8, &stated) &&
           stated == sum;
}

/* Reads the needed records "LENGTH KEY=VALUE\n" of a pax header. */
static bool tar_pax(struct cn_archive *archive, const unsigned char *bytes, size_t length) {
    while (length > 0) {
        size_t record = 0, at = 0;
        for (; at < length && bytes[at] >= '0' && bytes[at] <= '9' && record < length; at++)
            record = 10 * record + (size_t)(bytes[at] - '0');
        if (at == length || bytes[at] != ' ' || record > length || record < at + 2 ||
            bytes[record - 1] != '\n')
            return false;
        const unsigned char *key = bytes + at + 1;
        const size_t size = record - at - 2;
        if (size > 5 && memcmp(key, "path=", 5) == 0)
            member_name(archive->long_name, key + 5, size - 5);
        if (size > 5 && memcmp(key, "size=", 5) == 0) {
            archive->has_size = true;
            archive->long_size = 0;
            for (size_t i = 5; i < size && key[i] >= '0' && key[i] <= '9'; i++)
                archive->long_size = archive->long_size < UINT64_MAX / 20
                                         ? 10 * archive->long_size + (uint64_t)(key[i] - '0')
                                         : UINT64_MAX / 20;
        }
        bytes += record;
        length -= record;
    }
    return true;
}

static void tar_name(const struct cn_archive *archive, const unsigned char *block,
                     char name[static CN_MEMBER_NAME]) {
    size_t prefix = 0;
    if (archive->long_name[0] != '\0') {
        memcpy(name, archive->long_name, CN_MEMBER_NAME);
        return;
    }
    /* GNU's format, "ustar  ", has other fields where ustar has the prefix. */
    if (block[345] != '\0' && memcmp(block + 257, "ustar\0", 6) == 0) {
        member_name(name, block + 345, 155);
        prefix = strlen(name);
        name[prefix++] = '/';
    }
    char last[CN_MEMBER_NAME];
    member_name(last, block, 100);
    memcpy(name + prefix, last, strlen(last) + 1);
}

/* Reads the next header and its data; *ret_end after the last one. */
static enum cn_status tar_entry(struct cn_archive *archive, struct cn_archive_member *member,
                                bool *ret_is_file, bool *ret_end, struct cn_error *error) {
    const unsigned char *block = archive->bytes + archive->at;
    const size_t room = archive->length - archive->at;
    uint64_t size = 0;
    *ret_end = room >= TAR_BLOCK && block[0] == '\0' && block[257] == '\0';
    *ret_is_file = false;
    if (*ret_end)
        return CN_OK;
    if (room == 0) /* some of its members may be missing */
        return cn_fail(error, CN_MALFORMED, "the tar is cut: it has no block of zeros at its end");
    if (room < TAR_BLOCK || !tar_header_is_sound(block) || !tar_number(block + 124, 12, &size))
        return cn_fail(error, CN_MALFORMED, "the tar has no sound header at byte %zu", archive->at);
    const char type = (char)block[156];
    const bool is_header = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (archive->has_size && !is_header)
        size = archive->long_size;
    if (size > room - TAR_BLOCK)
        return cn_fail(error, CN_MALFORMED, "the tar's member at byte %zu of %llu bytes is cut",
                       archive->at, (unsigned long long)size);
    const unsigned char *content = block + TAR_BLOCK;
    const size_t padded = ((size_t)size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    if (padded > room - TAR_BLOCK)
        return cn_fail(error, CN_MALFORMED, "the tar's member at byte %zu is cut", archive->at);
    archive->at += TAR_BLOCK + padded;
    if (type == 'L')
        member_name(archive->long_name, content, (size_t)size);
    if (type == 'x' && !tar_pax(archive, content, (size_t)size))
        return cn_fail(error, CN_MALFORMED, "the tar's pax header at byte %zu is none",
                       (size_t)(content - archive->bytes));
    if (is_header)
        return CN_OK;
    tar_name(archive, block, member->name);
    archive->long_name[0] = '\0';
    archive->has_size = false;
    member->bytes = content;
    member->length = member->size = (size_t)size;
    *ret_is_file = type == '0' || type == '\0' || type == '7';
    return CN_OK;
}

/* ---- Both formats ---- */

bool cn_archive_recognize(const void *bytes, size_t length) {
    return is_zip(bytes, length) || (length >= TAR_BLOCK && tar_header_is_sound(bytes));
}

enum cn_status cn_archive_open(const void *bytes, size_t length, struct cn_archive *ret_archive,
                               struct cn_error *error) {
    *ret_archive =
        (struct cn_archive){.bytes = bytes, .length = length, .is_zip = is_zip(bytes, length)};
    if (ret_archive->is_zip)
        return zip_open(ret_archive, error);
    if (length >= TAR_BLOCK && tar_header_is_sound(bytes))
        return CN_OK;
    return cn_fail(error, CN_MALFORMED, "%zu bytes that are neither a zip nor a tar", length);
}

enum cn_status cn_archive_next(struct cn_archive *archive, struct cn_archive_member *ret_member,
                               bool *ret_found, struct cn_error *error) {
    bool end = false, is_file = false;
    *ret_found = false;
    for (;;) {
        *ret_member = (struct cn_archive_member){.bytes = archive->bytes};
        if (archive->is_zip && archive->left == 0)
            return CN_OK;
        const enum cn_status status = archive->is_zip
                                          ? zip_entry(archive, ret_member, &is_file, error)
                                          : tar_entry(archive, ret_member, &is_file, &end, error);
        if (status != CN_OK || end)
            return status;
        archive->left -= archive->is_zip;
        *ret_found =
            is_file && !name_is_folder(ret_member->name) && !name_is_hidden(ret_member->name);
        if (*ret_found)
            return CN_OK;
    }
}

/* Decompresses exactly `size` bytes; false if the member has more or fewer. */
static bool member_inflate(const struct cn_archive_member *member, unsigned char *to) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)member->bytes,
                       .avail_in = (uInt)member->length,
                       .next_out = to,
                       .avail_out =
                           (uInt)member->size + 1}; /* so that one byte too many is detected */
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return false;
    const int code = inflate(&stream, Z_FINISH);
    const bool good = code == Z_STREAM_END && stream.total_out == member->size;
    (void)inflateEnd(&stream);
    return good;
}

bool cn_archive_is_picture(const struct cn_archive_member *member) {
    const char *slash = strrchr(member->name, '/');
    return cn_picture_is_named(member->name) ||
           strchr(slash != NULL ? slash : member->name, '.') == NULL;
}

enum cn_status cn_archive_unpack(const struct cn_archive_member *member, size_t limit,
                                 const void **ret_bytes, void **ret_owned, struct cn_error *error) {
    unsigned char *bytes = NULL;
    if (member->encrypted)
        return cn_fail(error, CN_UNSUPPORTED, "the member is encrypted");
    if (member->method != 0 && member->method != Z_DEFLATED)
        return cn_fail(error, CN_UNSUPPORTED,
                       "the member is compressed by method %d; only stored (0) and deflated (8) "
                       "ones are taken",
                       member->method);
    if (member->size > limit || member->size >= UINT32_MAX || member->length > UINT32_MAX)
        return cn_fail(error, CN_LIMIT, "the member has %zu bytes; the limit is %zu", member->size,
                       limit);
    if (member->size > RATIO_FREE && member->size / RATIO > member->length)
        return cn_fail(error, CN_LIMIT,
                       "the member unpacks %zu bytes to %zu; over a mebibyte it may be %d times as "
                       "many",
                       member->length, member->size, RATIO);
    if (member->method == 0 && member->length != member->size)
        return cn_fail(error, CN_MALFORMED, "the member has %zu bytes, and says %zu",
                       member->length, member->size);
    if (member->method == Z_DEFLATED) {
        bytes = malloc(member->size + 1);
        if (bytes == NULL)
            return cn_fail(error, CN_MEMORY, "no memory for a member of %zu bytes", member->size);
        if (!member_inflate(member, bytes)) {
            free(bytes);
            return cn_fail(error, CN_MALFORMED, "the member's compressed bytes are damaged");
        }
    }
    const unsigned char *content = bytes != NULL ? bytes : member->bytes;
    if (member->is_zip && crc32(0, content, (uInt)member->size) != member->crc) {
        free(bytes);
        return cn_fail(error, CN_MALFORMED, "the member's checksum is wrong");
    }
    *ret_bytes = content;
    *ret_owned = bytes;
    return CN_OK;
}
