/* file.c: see file.h. Blocking; no state. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum cn_status cn_file_open(const char *path, int *ret_fd, struct cn_error *error) {
    /* O_NONBLOCK: opening a FIFO must not hang; regular files ignore the flag. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open the file: %s", strerror(errno));
    *ret_fd = fd;
    return CN_OK;
}

enum cn_status cn_file_read_open(int fd, const char *path, size_t limit, unsigned char **ret_bytes,
                                 size_t *ret_length, struct cn_error *error) {
    struct stat info;
    size_t used = 0;
    if (fstat(fd, &info) != 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot stat the file: %s", strerror(errno));
    if (!S_ISREG(info.st_mode))
        return cn_fail_at(error, CN_INVALID, path, -1, "is not a regular file");
    if (info.st_size < 0 || (unsigned long long)info.st_size > limit)
        return cn_fail_at(error, CN_LIMIT, path, -1, "has %lld bytes; the limit is %zu",
                          (long long)info.st_size, limit);
    const size_t length = (size_t)info.st_size;
    unsigned char *bytes = malloc(length + 1);
    if (bytes == NULL)
        return cn_fail_at(error, CN_MEMORY, path, -1, "no memory for %zu bytes", length + 1);
    while (used < length) {
        const ssize_t got = pread(fd, bytes + used, length - used, (off_t)used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            free(bytes);
            return got < 0 ? cn_fail_at(error, CN_IO, path, (long long)used, "cannot read: %s",
                                        strerror(errno))
                           : cn_fail_at(error, CN_MALFORMED, path, (long long)used,
                                        "the file shrank while it was read");
        }
        used += (size_t)got;
    }
    bytes[length] = '\0';
    *ret_bytes = bytes;
    *ret_length = length;
    return CN_OK;
}

enum cn_status cn_file_read(const char *path, size_t limit, unsigned char **ret_bytes,
                            size_t *ret_length, struct cn_error *error) {
    int fd = -1;
    enum cn_status status = cn_file_open(path, &fd, error);
    if (status != CN_OK)
        return status;
    status = cn_file_read_open(fd, path, limit, ret_bytes, ret_length, error);
    (void)close(fd);
    return status;
}

static enum cn_status write_all(int fd, const struct cn_file_part *part, const char *path,
                                struct cn_error *error) {
    size_t used = 0;
    while (used < part->length) {
        const ssize_t wrote = write(fd, (const char *)part->bytes + used, part->length - used);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return cn_fail_at(error, CN_IO, path, -1, "cannot write: %s", strerror(errno));
        used += (size_t)wrote;
    }
    return CN_OK;
}

enum cn_status cn_file_write_descriptor(int fd, const struct cn_file_part *parts, size_t part_count,
                                        struct cn_error *error) {
    enum cn_status status = CN_OK;
    for (size_t i = 0; i < part_count && status == CN_OK; i++)
        status = write_all(fd, &parts[i], "output", error);
    return status;
}

/* Makes a rename durable: writes the folder's entry to the disk. */
static enum cn_status sync_folder(const char *folder, const char *path, struct cn_error *error) {
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot open its folder: %s", strerror(errno));
    /* EINVAL: the file system cannot sync folders and needs no sync. */
    const int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    (void)close(fd);
    if (failed != 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot sync its folder: %s", strerror(failed));
    return CN_OK;
}

/* ---- Temporary files ---- */

/* True if `name` is a temporary file of a save of `base`: .base.XXXXXX, as mkostemp names it. */
static bool is_temporary(const char *name, const char *base) {
    const size_t length = strlen(base);
    if (name[0] != '.' || strncmp(name + 1, base, length) != 0 || name[1 + length] != '.')
        return false;
    const char *rest = name + 1 + length + 1;
    size_t letters = 0;
    while (isalnum((unsigned char)rest[letters]))
        letters++;
    return letters == 6 && rest[letters] == '\0';
}

/* Removes temporary files of saves that were killed; these hold no lock any more. */
static void remove_stale(const char *folder, const char *base) {
    DIR *listing = opendir(folder);
    if (listing == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        struct stat info;
        if (!is_temporary(entry->d_name, base))
            continue;
        const int fd =
            openat(dirfd(listing), entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
            (void)unlinkat(dirfd(listing), entry->d_name, 0);
        (void)close(fd);
    }
    (void)closedir(listing);
}

/* Opens a new file by the pattern `temporary` and locks it. A simultaneous save may take it for
 * stale and remove it before it is locked: then another one is made. */
static int open_temporary(char *temporary) {
    char *letters = temporary + strlen(temporary) - 6;
    for (int attempt = 0;; attempt++) {
        struct stat info;
        memcpy(letters, "XXXXXX", 6);
        const int fd = mkostemp(temporary, O_CLOEXEC);
        /* A file system without locks has no stale files removed either. */
        if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &info) != 0 || info.st_nlink > 0 ||
            attempt == 100)
            return fd;
        (void)close(fd);
    }
}

enum cn_status cn_file_write(const char *path, const struct cn_file_part *parts, size_t part_count,
                             struct cn_error *error) {
    enum cn_status status = CN_OK;
    char folder_copy[PATH_MAX], name_copy[PATH_MAX], temporary[PATH_MAX];
    int fd = -1;
    if (strlen(path) + 16 > sizeof folder_copy || path[0] == '\0')
        return cn_fail_at(error, CN_INVALID, path, -1, "is not a usable path");
    (void)snprintf(folder_copy, sizeof folder_copy, "%s", path);
    (void)snprintf(name_copy, sizeof name_copy, "%s", path);
    const char *folder = dirname(folder_copy), *base = basename(name_copy);
    const int length = snprintf(temporary, sizeof temporary, "%s/.%s.XXXXXX", folder, base);
    if (length < 0 || (size_t)length >= sizeof temporary)
        return cn_fail_at(error, CN_INVALID, path, -1, "is too long a path");
    remove_stale(folder, base);
    fd = open_temporary(temporary);
    if (fd < 0)
        return cn_fail_at(error, CN_IO, path, -1, "cannot create a file in its folder: %s",
                          strerror(errno));
    for (size_t i = 0; i < part_count && status == CN_OK; i++)
        status = write_all(fd, &parts[i], path, error);
    const mode_t mask = umask(0);
    (void)umask(mask);
    if (status == CN_OK && (fchmod(fd, 0666 & ~mask) != 0 || fsync(fd) != 0))
        status = cn_fail_at(error, CN_IO, path, -1, "cannot sync: %s", strerror(errno));
    /* The file is closed, and so unlocked, only after it has its final name. */
    if (status == CN_OK && rename(temporary, path) != 0)
        status = cn_fail_at(error, CN_IO, path, -1, "cannot rename: %s", strerror(errno));
    if (status != CN_OK)
        (void)unlink(temporary);
    if (close(fd) != 0 && status == CN_OK)
        status = cn_fail_at(error, CN_IO, path, -1, "cannot close: %s", strerror(errno));
    if (status != CN_OK)
        return status;
    return sync_folder(folder, path, error);
}
