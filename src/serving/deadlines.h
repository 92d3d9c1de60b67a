/* deadlines.h: a heap of deadlines: the earliest one at once, any one removed in the logarithm of
 * their number. Knows no clock and no thread: the owner has the lock. */
#ifndef CONVNET_SERVING_DEADLINES_H
#define CONVNET_SERVING_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of what has to end in time. */
struct deadline {
    uint64_t at;  /* cn_clock_nanoseconds; 0: none */
    size_t place; /* the heap's own: from 1; 0: not in it */
};

struct deadlines {
    struct deadline **heap; /* the earliest first; zero-initialised: empty */
    size_t count, capacity;
};

/* Adds `deadline` unless it is none; false without memory. */
bool deadlines_add(struct deadlines *deadlines, struct deadline *deadline);

/* Removes it if it is there. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);

/* The earliest moment, or UINT64_MAX. */
uint64_t deadlines_next(const struct deadlines *deadlines);

/* Takes out the earliest deadline if it is at `now` or before; else NULL. */
struct deadline *deadlines_take(struct deadlines *deadlines, uint64_t now);

void deadlines_clear(struct deadlines *deadlines);

#endif
