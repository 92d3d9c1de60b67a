/* picture_archive.h: the files in a zip or tar archive that lies whole in memory.
 *
 * Nothing is unpacked before it is asked for, and nothing is kept for a member that was passed: an
 * archive costs no more memory than its bytes, whatever it says of itself. Names are only names: no
 * file is ever opened by one.
 */
#ifndef CONVNET_DATA_PICTURE_ARCHIVE_H
#define CONVNET_DATA_PICTURE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "convnet/status.h"

enum { CN_MEMBER_NAME = 1024 };

/* A file in the archive. */
struct cn_archive_member {
    char name[CN_MEMBER_NAME]; /* with its folders; a longer one is cut */
    const unsigned char *bytes;
    size_t length; /* as it lies in the archive */
    size_t size;   /* unpacked, as the archive says */
    int method;    /* 0: as it is, 8: deflated, others: cannot be unpacked */
    bool encrypted, is_zip;
    uint32_t crc; /* of a zip's member, unpacked */
};

struct cn_archive {
    const unsigned char *bytes;
    size_t length;
    size_t at; /* of the next member's entry */
    bool is_zip;
    uint64_t left;                  /* a zip's entries to come */
    uint64_t packed;                /* bytes of the members that have come, packed */
    char long_name[CN_MEMBER_NAME]; /* a tar's, for the next member; "": none */
    uint64_t long_size;
    bool has_size;
};

/* True if the bytes are a zip (by its end, too) or a tar (by the sum of its first header). */
bool cn_archive_recognize(const void *bytes, size_t length);

/* Borrows `bytes` as long as the archive and its members are used. CN_MALFORMED, CN_UNSUPPORTED. */
enum cn_status cn_archive_open(const void *bytes, size_t length, struct cn_archive *ret_archive,
                               struct cn_error *error);

/* The next file; *ret_found false after the last one. Folders, links and what is hidden (a name
 * with a component that begins with a dot, or __MACOSX) are passed over. CN_MALFORMED: the archive
 * is cut, or its members lie over each other. */
enum cn_status cn_archive_next(struct cn_archive *archive, struct cn_archive_member *ret_member,
                               bool *ret_found, struct cn_error *error);

/* The member's content: malloc'd with *ret_owned the same, or within the archive with *ret_owned
 * NULL. CN_LIMIT: it has over `limit` bytes, or over a hundred times as many as it has packed and
 * more than a mebibyte; CN_MALFORMED: it is not what the archive says; CN_UNSUPPORTED: encrypted,
 * or compressed otherwise; CN_MEMORY. */
enum cn_status cn_archive_unpack(const struct cn_archive_member *member, size_t limit,
                                 const void **ret_bytes, void **ret_owned, struct cn_error *error);

#endif
