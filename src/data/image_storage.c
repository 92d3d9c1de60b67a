/* image_storage.c: room for a data set's images: memory, or a file without a name that is mapped,
 * once there are more bytes than its storage says. The system reads such a file ahead and lets go
 * of its pages where memory is short; the bytes are the same. Thread-safe between data sets.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/dataset_table.h"

/* Opens a file that is deleted when it is closed. */
static int open_nameless(const char *folder) {
    char path[PATH_MAX];
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || snprintf(path, sizeof path, "%s/convnet.XXXXXX", folder) >= PATH_MAX)
        return file;
    file = mkostemp(path, O_CLOEXEC); /* a file system that knows no nameless ones */
    if (file >= 0)
        (void)unlink(path);
    return file;
}

static const char *room_folder(const struct cn_dataset *dataset) {
    const char *folder = dataset->storage.folder;
    if (folder == NULL)
        folder = getenv("TMPDIR");
    return folder != NULL && folder[0] != '\0' ? folder : "/var/tmp";
}

static enum cn_status fail_room(const struct cn_dataset *dataset, size_t bytes, int number,
                                struct cn_error *error) {
    return cn_fail(
        error, CN_IO,
        "the %zu bytes of the pictures are too many for memory, and the folder %s has no "
        "file for them: %s",
        bytes, room_folder(dataset), strerror(number));
}

/* Moves the images from memory into a file of `bytes`. */
static enum cn_status room_leave_memory(struct cn_dataset *dataset, size_t used, size_t bytes,
                                        struct cn_error *error) {
    const int file = open_nameless(room_folder(dataset));
    int number = file < 0 ? errno : posix_fallocate(file, 0, (off_t)bytes);
    void *mapped = MAP_FAILED;
    if (number == 0) {
        mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        number = errno;
    }
    if (mapped == MAP_FAILED) {
        if (file >= 0)
            (void)close(file);
        return fail_room(dataset, bytes, number, error);
    }
    if (used > 0)
        memcpy(mapped, dataset->images, used);
    free(dataset->images);
    dataset->images = mapped;
    dataset->mapped = bytes;
    dataset->file = file;
    return CN_OK;
}

static enum cn_status room_grow_file(struct cn_dataset *dataset, size_t bytes,
                                     struct cn_error *error) {
    const int number = posix_fallocate(dataset->file, 0, (off_t)bytes);
    if (number != 0)
        return fail_room(dataset, bytes, number, error);
    void *mapped = mremap(dataset->images, dataset->mapped, bytes, MREMAP_MAYMOVE);
    if (mapped == MAP_FAILED)
        return fail_room(dataset, bytes, errno, error);
    dataset->images = mapped;
    dataset->mapped = bytes;
    return CN_OK;
}

enum cn_status cn_dataset_resize(struct cn_dataset *dataset, size_t used, size_t bytes,
                                 struct cn_error *error) {
    const size_t limit = dataset->storage.memory;
    if (dataset->mapped > 0)
        return bytes <= dataset->mapped ? CN_OK : room_grow_file(dataset, bytes, error);
    if (limit > 0 && bytes > limit)
        return room_leave_memory(dataset, used, bytes, error);
    uint8_t *images = realloc(dataset->images, bytes > 0 ? bytes : 1);
    if (images == NULL)
        return cn_fail(error, CN_MEMORY, "no memory for %zu bytes of pictures", bytes);
    dataset->images = images;
    return CN_OK;
}

void cn_dataset_free_images(struct cn_dataset *dataset) {
    if (dataset->mapped > 0) {
        (void)munmap(dataset->images, dataset->mapped);
        (void)close(dataset->file);
    } else {
        free(dataset->images);
    }
    dataset->images = NULL;
    dataset->mapped = 0;
}

void cn_dataset_expect(const struct cn_dataset *dataset, const uint32_t *samples, size_t count) {
    if (dataset->mapped == 0)
        return;
    const size_t size = cn_shape_size(&dataset->shape), page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < count; i++) {
        const size_t first = samples[i] * size / page * page;
        (void)madvise(dataset->images + first, (samples[i] + (size_t)1) * size - first,
                      MADV_WILLNEED);
    }
}
