/* load_memory.c: parses foreign JSON so that a failed allocation is an error. jansson 2.14 does not
 * check whether its lexer's buffer could grow: it asserts or reads on. So the parser allocates from
 * an arena which, when it is out of memory, does not return but jumps back here. The result is then
 * copied out of the arena, where jansson does check. Thread-safe: an arena belongs to its thread's
 * call. */
#include "json/load.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

struct arena {
    struct chunk *chunks;
    jmp_buf without_memory;
};

enum { CHUNK = 65536, ALIGNMENT = 16 };

static _Thread_local struct arena *active;
/* The program's allocator, which is used except while a text is parsed. */
static json_malloc_t host_malloc = malloc;
static json_free_t host_free = free;

static void *arena_take(struct arena *arena, size_t size) {
    struct chunk *chunk = arena->chunks;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        const size_t room = size > CHUNK ? size : CHUNK;
        chunk = malloc(sizeof *chunk + room);
        if (chunk == NULL)
            longjmp(arena->without_memory, 1);
        *chunk = (struct chunk){.next = arena->chunks, .size = room};
        arena->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    return memory;
}

static void *json_malloc(size_t size) {
    return active != NULL ? arena_take(active, size) : host_malloc(size);
}

static void json_free(void *memory) {
    if (active == NULL) /* an arena is freed as a whole */
        host_free(memory);
}

static void allocator_install(void) {
    json_get_alloc_funcs(&host_malloc, &host_free);
    json_set_alloc_funcs(json_malloc, json_free);
}

json_t *cn_json_load(const char *text, size_t length, json_error_t *ret_problem) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct arena arena = {.chunks = NULL};
    json_t *copy = NULL;
    (void)pthread_once(&once, allocator_install);
    ret_problem->text[0] = '\0';
    active = &arena;
    if (setjmp(arena.without_memory) == 0) {
        const json_t *parsed = json_loadb(text, length, JSON_REJECT_DUPLICATES, ret_problem);
        active = NULL;
        if (parsed != NULL)
            copy = json_deep_copy(parsed);
    } else {
        ret_problem->text[0] = '\0'; /* the parser may have begun another message */
    }
    active = NULL;
    for (struct chunk *chunk = arena.chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    return copy;
}
