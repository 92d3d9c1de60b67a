/* deadline_heap.c: see deadline_heap.h: a binary heap whose elements know their positions. The
 * owner holds the lock. */
#include "serving/deadline_heap.h"

#include <stdlib.h>

static void heap_place(struct deadlines *deadlines, size_t i, struct deadline *deadline) {
    deadlines->heap[i] = deadline;
    deadline->place = i + 1;
}

static void heap_rise(struct deadlines *deadlines, size_t i, struct deadline *deadline) {
    while (i > 0 && deadlines->heap[(i - 1) / 2]->at > deadline->at) {
        heap_place(deadlines, i, deadlines->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_place(deadlines, i, deadline);
}

static void heap_sink(struct deadlines *deadlines, size_t i, struct deadline *deadline) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < deadlines->count &&
            deadlines->heap[child + 1]->at < deadlines->heap[child]->at)
            child++;
        if (child >= deadlines->count || deadlines->heap[child]->at >= deadline->at)
            break;
        heap_place(deadlines, i, deadlines->heap[child]);
        i = child;
    }
    heap_place(deadlines, i, deadline);
}

bool deadlines_add(struct deadlines *deadlines, struct deadline *deadline) {
    deadline->place = 0;
    if (deadline->at == 0)
        return true;
    if (deadlines->count == deadlines->capacity) {
        const size_t capacity = 2 * deadlines->capacity + 64;
        struct deadline **heap = realloc(deadlines->heap, capacity * sizeof(struct deadline *));
        if (heap == NULL)
            return false;
        deadlines->heap = heap;
        deadlines->capacity = capacity;
    }
    heap_rise(deadlines, deadlines->count++, deadline);
    return true;
}

void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline) {
    if (deadline->place == 0)
        return;
    const size_t i = deadline->place - 1;
    struct deadline *last = deadlines->heap[--deadlines->count];
    deadline->place = 0;
    if (last == deadline)
        return;
    if (i > 0 && deadlines->heap[(i - 1) / 2]->at > last->at)
        heap_rise(deadlines, i, last);
    else
        heap_sink(deadlines, i, last);
}

uint64_t deadlines_next(const struct deadlines *deadlines) {
    return deadlines->count > 0 ? deadlines->heap[0]->at : UINT64_MAX;
}

struct deadline *deadlines_take(struct deadlines *deadlines, uint64_t now) {
    if (deadlines_next(deadlines) > now || deadlines->count == 0)
        return NULL;
    struct deadline *deadline = deadlines->heap[0];
    deadlines_remove(deadlines, deadline);
    return deadline;
}

void deadlines_clear(struct deadlines *deadlines) {
    free(deadlines->heap);
    *deadlines = (struct deadlines){0};
}
