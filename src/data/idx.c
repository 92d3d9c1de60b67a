/* idx.c: reads one IDX file of unsigned bytes. The claimed size is checked before anything is
 * allocated, and memory grows with what the file really holds, so that a short file with a large
 * claim costs nothing. Blocking; thread-safe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/number.h"
#include "data/idx.h"

enum { MAGIC = 4, UNSIGNED_BYTE = 8, FIRST_BLOCK = 1 << 20, READ_SIZE = 1 << 20 };
static const uint64_t size_limit = 1ULL << 40;

/* zlib's reason, or the system's. */
static enum cn_status fail_read(gzFile file, const char *path, struct cn_error *error) {
    int code = Z_OK;
    const int saved = errno;
    const char *reason = gzerror(file, &code);
    if (code == Z_ERRNO)
        return cn_fail_at(error, CN_IO, path, -1, "cannot read: %s", strerror(saved));
    if (code == Z_MEM_ERROR)
        return cn_fail_at(error, CN_MEMORY, path, -1, "no memory for a gzip reader");
    return cn_fail_at(error, CN_MALFORMED, path, -1, "the gzip data is corrupt: %s", reason);
}

static enum cn_status open_file(const char *path, gzFile *ret_file, struct cn_error *error) {
    struct stat info;
    /* O_NONBLOCK: a FIFO must not hang the open; regular files ignore it. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open the file: %s", strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        (void)close(fd);
        return cn_fail_at(error, CN_INVALID, path, -1, "is not a regular file");
    }
    gzFile file = gzdopen(fd, "rb");
    if (file == NULL) {
        (void)close(fd);
        return cn_fail_at(error, CN_MEMORY, path, -1, "no memory for a gzip reader");
    }
    (void)gzbuffer(file, 1U << 17);
    *ret_file = file;
    return CN_OK;
}

static enum cn_status read_header(gzFile file, const char *path, int rank, struct cn_idx *idx,
                                  uint64_t *ret_size, struct cn_error *error) {
    unsigned char header[MAGIC + 4 * CN_IDX_MAX_RANK];
    const unsigned expected = (unsigned)(MAGIC + 4 * rank);
    uint64_t size = 1;
    const int got = gzread(file, header, expected);
    if (got < 0)
        return fail_read(file, path, error);
    if ((unsigned)got < expected)
        return cn_fail_at(error, CN_MALFORMED, path, got,
                          "ends after %d bytes; an IDX header of rank %d has %u", got, rank,
                          expected);
    if (header[0] != 0 || header[1] != 0 || header[2] != UNSIGNED_BYTE || header[3] != rank)
        return cn_fail_at(error, CN_MALFORMED, path, 0,
                          "the magic number is %02x%02x%02x%02x; unsigned bytes of rank %d have "
                          "000008%02x",
                          header[0], header[1], header[2], header[3], rank, (unsigned)rank);
    idx->rank = rank;
    for (int axis = 0; axis < rank; axis++) {
        const uint32_t length = (uint32_t)cn_number_big(header + MAGIC + 4 * axis, 4);
        if (length == 0 || length > INT32_MAX)
            return cn_fail_at(error, CN_MALFORMED, path, MAGIC + 4 * axis,
                              "axis %d has %u items; 1 to 2147483647 are possible", axis,
                              (unsigned)length);
        if (__builtin_mul_overflow(size, length, &size) || size > size_limit)
            return cn_fail_at(error, CN_LIMIT, path, MAGIC + 4 * axis,
                              "claims more than %llu bytes, the limit",
                              (unsigned long long)size_limit);
        idx->sizes[axis] = (int)length;
    }
    *ret_size = size;
    return CN_OK;
}

static uint8_t *elements_resize(void *data, size_t size, struct cn_error *error) {
    uint8_t *grown = realloc(*(uint8_t **)data, size);
    if (grown == NULL)
        (void)cn_fail(error, CN_MEMORY, "no memory for %zu bytes", size);
    else
        *(uint8_t **)data = grown;
    return grown;
}

/* Reads `size` bytes and finds the file's end behind them. */
static enum cn_status read_elements(gzFile file, const char *path, uint64_t size,
                                    const struct cn_idx_room *place, uint8_t **ret_elements,
                                    struct cn_error *error) {
    enum cn_status status = CN_OK;
    uint8_t *own = NULL, *elements = NULL;
    uint64_t used = 0, capacity = 0;
    int got = 1;
    const struct cn_idx_room usual = {&own, elements_resize};
    if (place == NULL)
        place = &usual;
    while (used < size && got > 0) {
        if (used == capacity) {
            capacity = capacity == 0 ? FIRST_BLOCK : capacity * 4;
            capacity = capacity > size ? size : capacity;
            struct cn_error reason = {0};
            elements = place->resize(place->data, (size_t)capacity, &reason);
            if (elements == NULL) {
                status = cn_fail_at(error, reason.status, path, -1, "%s", reason.text);
                goto out;
            }
        }
        const uint64_t room = capacity - used;
        got = gzread(file, elements + used, room < READ_SIZE ? (unsigned)room : READ_SIZE);
        if (got > 0)
            used += (uint64_t)got;
    }
    if (used == size) {
        /* Reading past the end also makes zlib check the gzip trailer. */
        uint8_t more[256];
        got = gzread(file, more, sizeof more);
        if (got > 0) {
            status = cn_fail_at(error, CN_MALFORMED, path, -1,
                                "holds at least %llu bytes of items; its header claims %llu",
                                (unsigned long long)size + (unsigned)got, (unsigned long long)size);
            goto out;
        }
    }
    int code = Z_OK;
    (void)gzerror(file, &code);
    if (got < 0 || code != Z_OK) {
        status = fail_read(file, path, error);
        goto out;
    }
    if (used < size) {
        status = cn_fail_at(error, CN_MALFORMED, path, -1,
                            "holds %llu bytes of items; its header claims %llu",
                            (unsigned long long)used, (unsigned long long)size);
        goto out;
    }
    *ret_elements = elements;
    own = NULL;
out:
    free(own);
    return status;
}

enum cn_status cn_idx_read(const char *path, int rank, const struct cn_idx_room *room,
                           struct cn_idx *ret_idx, struct cn_error *error) {
    struct cn_idx idx = {0};
    gzFile file = NULL;
    uint64_t size = 0;
    enum cn_status status = open_file(path, &file, error);
    if (status != CN_OK)
        return status;
    status = read_header(file, path, rank, &idx, &size, error);
    if (status == CN_OK)
        status = read_elements(file, path, size, room, &idx.elements, error);
    if (status == CN_OK)
        *ret_idx = idx;
    (void)gzclose(file);
    return status;
}

void cn_idx_clear(struct cn_idx *idx) {
    free(idx->elements);
    *idx = (struct cn_idx){0};
}
