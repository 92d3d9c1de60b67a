/* picture_archive.h: the files of a zip or tar archive that is whole in memory.
 *
 * A member is decompressed only when it is requested, and nothing is kept of skipped members: an
 * archive needs no more memory than its bytes, whatever sizes it claims. Names are never opened as
 * files. */
#ifndef CONVNET_DATA_PICTURE_ARCHIVE_H
#define CONVNET_DATA_PICTURE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum { CN_MEMBER_NAME = 1024 };

/* A file in the archive. */
struct cn_archive_member {
    char name[CN_MEMBER_NAME]; /* with its folders; cut if it is too long */
    const unsigned char *bytes;
    size_t length; /* in the archive */
    size_t size;   /* uncompressed, as the archive claims */
    int method;    /* 0: stored, 8: deflated; others are not supported */
    bool encrypted, is_zip;
    uint32_t crc; /* of a zip's uncompressed member */
};

struct cn_archive {
    const unsigned char *bytes;
    size_t length;
    size_t at; /* of the next member's entry */
    bool is_zip;
    uint64_t left;                  /* a zip's remaining entries */
    uint64_t packed;                /* bytes of the members so far, compressed */
    char long_name[CN_MEMBER_NAME]; /* a tar's name for the next member; "": none */
    uint64_t long_size;
    bool has_size;
};

/* True if the bytes are a zip (checked at its end, too) or a tar (by the checksum of its first
 * header). */
bool cn_archive_recognize(const void *bytes, size_t length);

/* Borrows `bytes` as long as the archive and its members are used. CN_MALFORMED, CN_UNSUPPORTED. */
enum cn_status cn_archive_open(const void *bytes, size_t length, struct cn_archive *ret_archive,
                               struct cn_error *error);

/* Reads the next file; *ret_found false after the last one. Folders, links and hidden files (with a
 * name component that begins with a dot, or __MACOSX) are skipped. CN_MALFORMED: the archive is
 * truncated, or its members overlap. */
enum cn_status cn_archive_next(struct cn_archive *archive, struct cn_archive_member *ret_member,
                               bool *ret_found, struct cn_error *error);

/* True if the file is to be read as a picture: its name has a picture's ending, or none. */
bool cn_archive_is_picture(const struct cn_archive_member *member);

/* The member's content: malloc'd, with *ret_owned the same, or within the archive with *ret_owned
 * NULL. CN_LIMIT: it has more than `limit` bytes, or more than a mebibyte and a hundred times its
 * compressed size; CN_MALFORMED: it differs from what the archive claims; CN_UNSUPPORTED:
 * encrypted, or another compression; CN_MEMORY. */
enum cn_status cn_archive_unpack(const struct cn_archive_member *member, size_t limit,
                                 const void **ret_bytes, void **ret_owned, struct cn_error *error);

#endif
