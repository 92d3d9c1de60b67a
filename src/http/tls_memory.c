/* tls_memory.c: a reserve of memory for GMP, which cannot handle a failed allocation, and a check
 * of free memory for libtasn1, which does not check. GnuTLS itself needs neither. Thread-safe: one
 * mutex guards the reserve. */
#include "http/tls_memory.h"

#include <gmp.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/time.h"

/* Enough for several simultaneous handshakes with 8192-bit keys; unused pages cost no memory. */
enum { BLOCK = 16 * 1024, BLOCKS = 64 };

static pthread_mutex_t reserve_mutex = PTHREAD_MUTEX_INITIALIZER;
static alignas(max_align_t) char reserve[BLOCKS][BLOCK];
static bool reserve_used[BLOCKS];

static bool is_reserve(const void *memory) {
    const uintptr_t at = (uintptr_t)memory, begin = (uintptr_t)reserve;
    return at >= begin && at < begin + sizeof reserve;
}

static void *reserve_take(size_t size) {
    void *taken = NULL;
    (void)pthread_mutex_lock(&reserve_mutex);
    for (size_t i = 0; i < BLOCKS && taken == NULL && size <= BLOCK; i++)
        if (!reserve_used[i]) {
            reserve_used[i] = true;
            taken = reserve[i];
        }
    (void)pthread_mutex_unlock(&reserve_mutex);
    return taken;
}

/* Never returns NULL, since GMP would use it. */
static void *gmp_take(size_t size) {
    void *memory = malloc(size);
    while (memory == NULL && (memory = reserve_take(size)) == NULL) {
        (void)nanosleep(&(struct timespec){.tv_nsec = CN_MILLISECOND}, NULL);
        memory = malloc(size);
    }
    return memory;
}

static void gmp_give(void *memory, size_t size) {
    (void)size;
    if (!is_reserve(memory)) {
        free(memory);
        return;
    }
    (void)pthread_mutex_lock(&reserve_mutex);
    reserve_used[(size_t)((char *)memory - reserve[0]) / BLOCK] = false;
    (void)pthread_mutex_unlock(&reserve_mutex);
}

static void *gmp_change(void *memory, size_t old_size, size_t size) {
    void *changed = is_reserve(memory) ? NULL : realloc(memory, size);
    if (changed != NULL)
        return changed;
    changed = gmp_take(size);
    memcpy(changed, memory, old_size < size ? old_size : size);
    gmp_give(memory, old_size);
    return changed;
}

static void set_functions(void) {
    mp_set_memory_functions(gmp_take, gmp_change, gmp_give);
}

void http_tls_memory_init(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, set_functions);
}

bool http_tls_memory_is_there(size_t bytes) {
    void *volatile memory = malloc(bytes);
    free(memory);
    return memory != NULL;
}
