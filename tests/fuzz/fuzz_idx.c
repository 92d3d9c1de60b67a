/* fuzz_idx.c: arbitrary bytes as an IDX file of images and of labels, plain or gzipped.
 * libFuzzer's entry point; the reader takes a path, so the bytes go through a memory file.
 */
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    const int fd = memfd_create("idx", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int rank = 1; rank <= CN_IDX_MAX_RANK; rank += 2) {
        struct cn_idx idx = {0};
        (void)cn_idx_read(path, rank, NULL, &idx, NULL);
        cn_idx_clear(&idx);
    }
    (void)close(fd);
    return 0;
}
