/* malloc_fails.c: an LD_PRELOAD library for the daemon's tests, which makes an allocation fail.
 * When the file MALLOC_FAILS appears with a decimal number k, it is renamed to its name with .armed
 * added, and the k-th allocation from then on fails once; then the file is removed. -1: none fails.
 * With "+" after k all allocations from the k-th on fail, until the file appears again. The C
 * library's allocator is used instead of jemalloc. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static long left = -1; /* atomic; below zero: not armed */
static char armed[4096];
static bool all_from_there; /* atomic */

static void arm(void) {
    static __thread bool inside;
    const char *path = getenv("MALLOC_FAILS");
    char text[16] = "";
    if (path == NULL || inside)
        return;
    inside = true;
    const int saved = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t got = read(fd, text, sizeof text - 1);
        (void)close(fd);
        (void)snprintf(armed, sizeof armed, "%s.armed", path);
        if (got > 0 && rename(path, armed) == 0) {
            char *end = text;
            const long k = strtol(text, &end, 10);
            __atomic_store_n(&all_from_there, *end == '+', __ATOMIC_RELAXED);
            __atomic_store_n(&left, k, __ATOMIC_RELAXED);
        }
    }
    errno = saved;
    inside = false;
}

static bool fails(void) {
    arm();
    const long now = __atomic_load_n(&left, __ATOMIC_RELAXED);
    if (now < 0)
        return false;
    if (now == 0 && __atomic_load_n(&all_from_there, __ATOMIC_RELAXED)) {
        errno = ENOMEM;
        return true;
    }
    if (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) != -1)
        return false;
    (void)unlink(armed);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}

/* The daemon's own allocator must not free blocks that it did not allocate. */
void free(void *memory) {
    __libc_free(memory);
}

/* OpenMP ends the process when it gets no memory, so its allocations never fail. */
void *memalign(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size) {
    return __libc_memalign(alignment, size);
}

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size) {
    void *memory = fails() ? NULL : __libc_memalign(alignment, size);
    if (memory == NULL)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}
