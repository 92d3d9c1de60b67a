/* deadline_heap.h: a heap of deadlines: finds the earliest in constant time and removes any one in
 * logarithmic time. It has no clock and no thread: the owner holds the lock. */
#ifndef CONVNET_SERVING_DEADLINE_HEAP_H
#define CONVNET_SERVING_DEADLINE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in whatever has a deadline. */
struct deadline {
    uint64_t at;  /* by cn_clock_nanoseconds; 0: none */
    size_t place; /* the heap's own: position from 1; 0: not in the heap */
};

struct deadlines {
    struct deadline **heap; /* the earliest is first; zero-initialised: empty */
    size_t count, capacity;
};

/* Adds `deadline` unless its time is 0; false if memory runs out. */
bool deadlines_add(struct deadlines *deadlines, struct deadline *deadline);

/* Removes `deadline` if it is in the heap. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);

/* The earliest time, or UINT64_MAX. */
uint64_t deadlines_next(const struct deadlines *deadlines);

/* Removes and returns the earliest deadline if it is at `now` or before; else NULL. */
struct deadline *deadlines_take(struct deadlines *deadlines, uint64_t now);

void deadlines_clear(struct deadlines *deadlines);

#endif
